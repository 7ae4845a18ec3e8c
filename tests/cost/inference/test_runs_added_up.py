"""A run is its steps, and replicas are alike: estimates beside sums over every step."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import BANDWIDTH, DEVICE, LINK, PEAK, POWER, decoder, rates
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.steady import InFlight, client_s, steady_s, waiting_parts
from thermoflop.cost.roofline.bound import sums_of
from thermoflop.cost.work.mixed import Mixed
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.steps import decode_step, prefill_step

SLOW = rates(matmul=0.2, weights=0.3, cache=0.3, activations=0.3, step_s=1e-4, link=0.5)
SPANS = ("first_token", "per_token", "total")


def estimated(model=None, **asked):
    model = model or decoder(num_key_value_heads=4)
    return tf.estimate(model, DEVICE, profile=SLOW, **asked)


@pytest.mark.parametrize("layout", [{}, {"tp": 2}, {"pp": 2}, {"cp": 2}], ids=str)
def test_replicas_have_the_times_and_memory_of_one_with_its_part_of_the_sequences(layout):
    asked = {"prompt": 300, "generate": 20, "prefix": 60, **layout}
    one, three = estimated(batch=4, **asked), estimated(batch=12, dp=3, **asked)
    for name in SPANS:
        assert getattr(three, name) == pytest.approx(getattr(one, name))
    assert three.memory == one.memory
    assert three.energy.power_w == pytest.approx(one.energy.power_w)
    assert three.energy.energy_j == pytest.approx(3 * one.energy.energy_j)
    assert three.energy.per_token_j == pytest.approx(one.energy.per_token_j)
    for name in ("tokens_per_s", "decode_tokens_per_s", "prefill_tokens_per_s"):
        assert getattr(three, name) == pytest.approx(3 * getattr(one, name))


WINDOW = decoder(model_type="mistral", num_key_value_heads=4, sliding_window=55)


@pytest.mark.parametrize("model", [None, WINDOW], ids=["full", "window"])
@pytest.mark.parametrize("layout", [{}, {"tp": 2}, {"pp": 2}, {"dp": 2, "pp": 2}], ids=str)
@pytest.mark.parametrize(("batch", "prompt", "generate"), [(2, 700, 9), (32, 40, 30), (2, 50, 0)])
def test_the_energy_of_a_run_is_that_of_all_its_steps(model, layout, batch, prompt, generate):
    """0.516 + 1.514 f + 0.272 b of the design power, f and b the mean shares of the peaks; of
    stages a device does its own part. The window is full before the last step of 40 + 30."""
    made = estimated(model, batch=batch, prompt=prompt, generate=generate, **layout)
    each, setting = batch / layout.get("dp", 1), made.setting
    steps = [prefill_step(prompt, each)]
    steps += [decode_step(prompt + at, each) for at in range(generate - 1)]
    sums = [sums_of(setting.least_works(step)) for step in steps]
    lasts = made.total.expected_s * layout.get("pp", 1)
    flops = sum(one.flops for one in sums) / lasts / PEAK
    moved = sum(one.weight_bytes + one.kv_bytes for one in sums) / lasts / BANDWIDTH
    watts = POWER * (0.516 + 1.514 * flops + 0.272 * moved)
    assert flops > 0.002
    assert moved > 0.01
    assert made.energy.power_w == pytest.approx(watts, rel=1e-6)
    assert made.energy.energy_j == pytest.approx(watts * made.plan.devices * made.total.expected_s)
    assert made.energy.per_token_j == pytest.approx(
        made.energy.energy_j / (batch * max(generate, 1))
    )


def test_a_run_without_decode_steps_is_its_first_token():
    for generate in (0, 1):
        made = estimated(batch=2, prompt=50, generate=generate)
        assert made.total == made.first_token
        assert made.per_token.expected_s == 0
    two = estimated(batch=2, prompt=50, generate=2)
    for part in ("bound_s", "expected_s", "low_s", "high_s"):
        parts = [getattr(getattr(two, name), part) for name in SPANS]
        assert parts[0] + parts[1] == pytest.approx(parts[2])


def served(**device):
    """Two devices of an engine that mixes prompts in, at rates that are made up."""
    profile = replace(find_profile("vllm"), fixed={**SLOW.fixed, "prompt_s": 3e-3})
    return Setting(
        decoder(num_key_value_heads=4), replace(DEVICE, **device), Layout(2),
        choose_precision("bf16"), profile,
    )  # fmt: skip


@pytest.mark.parametrize("bound_by", ["flops", "bytes", "wire"])
def test_the_bound_of_a_mean_step_is_a_decode_step_and_its_share_of_prompts(bound_by):
    """Eight sequences of 40 tokens bring a fifth of a prompt a step, which reads no weights again;
    what binds is the only thing that is slow."""
    fast = {"peaks": {"bf16": 1e24}, "bandwidth_bytes_s": 1e24, "link_bytes_s": 1e24}
    slow = {"flops": {"peaks": {"bf16": PEAK}}, "bytes": {"bandwidth_bytes_s": BANDWIDTH},
            "wire": {"link_bytes_s": LINK}}[bound_by]  # fmt: skip
    setting = served(**{**fast, **slow})
    decode = sums_of(setting.least_works(decode_step(500, 8)))
    prompt = sums_of(setting.least_works(prefill_step(400, 1, 90)))
    seconds = {
        "flops": (decode.flops + prompt.flops / 5) / PEAK,
        "bytes": (decode.weight_bytes + decode.kv_bytes + prompt.kv_bytes / 5) / BANDWIDTH,
        "wire": (decode.wire_bytes + prompt.wire_bytes / 5) / LINK,
    }[bound_by]
    assert steady_s(setting, InFlight(8, 400, 40, 500, 90))[0] == pytest.approx(seconds)
    alone = {"flops": prompt.flops / PEAK, "wire": prompt.wire_bytes / LINK,
             "bytes": (prompt.weight_bytes + prompt.kv_bytes) / BANDWIDTH}[bound_by]  # fmt: skip
    assert client_s(setting, InFlight(8, 400, 40, 500, 90))[0] == pytest.approx(alone)


def test_before_anything_was_measured_a_client_waits_as_is_assumed():
    """0.03 s, 10 us a token, 0.7 of the step that carries the prompt, a mean step, and a tenth of
    all requests behind half of the others' prompts; and what a lone request takes."""
    setting = served()
    setting.profile = replace(setting.profile, waiting={})
    parts, own = waiting_parts(setting, InFlight(8, 400, 40, 500))
    expected = 0.03 + 1e-5 * 400 + 0.7 * parts[2] + parts[3] + 0.05 * parts[4] + own
    assert client_s(setting, InFlight(8, 400, 40, 500))[1] == pytest.approx(expected)


def test_a_share_of_a_prompt_is_read_a_step_and_each_ends_with_its_own_cost():
    """Eight sequences of 40 tokens: a prompt in a fifth of all steps, and 3 ms for each."""
    setting = served()
    decode = setting.step_s(decode_step(500, 8))
    both = setting.step_s(Mixed(decode_step(500, 8), prefill_step(400, 1)))
    mean = 0.8 * decode + 0.2 * (both + 3e-3)
    assert steady_s(setting, InFlight(8, 400, 40, 500))[1] == pytest.approx(mean)


def test_a_client_of_a_replica_waits_for_those_who_share_it():
    """Twelve over three replicas are four; 240 of 300 tokens are new; never less than the way to
    the server and its own prompt take alone."""
    asked = {"prompt": 300, "generate": 21, "prefix": 60}
    profile = replace(find_profile("vllm"), fixed={**SLOW.fixed, "prompt_s": 3e-3})
    made = tf.estimate(decoder(), DEVICE, profile=profile, batch=12, dp=3, **asked)
    setting = made.setting
    bound, expected = client_s(setting, InFlight(4, 240, 21, 300 + 20 / 2, 60))
    own = setting.steps_s(setting.prompt_steps(240, 1, 60)) + 3e-3
    way = profile.waiting["request_s"] + profile.waiting["token_s"] * 240
    client = setting.span("client", bound, max(expected, way + own))
    alone = setting.span("prefill", bound, own)
    found = made.client_first_token
    for part in ("bound_s", "expected_s", "low_s", "high_s"):
        most = max(getattr(client, part), getattr(alone, part))
        assert getattr(found, part) == pytest.approx(most, rel=1e-3)
    one = tf.estimate(decoder(), DEVICE, profile=profile, prompt=9, generate=1)
    assert one.client_first_token is None
    assert made.tokens_per_s == 12 * 21 / made.total.expected_s
    assert made.decode_tokens_per_s == pytest.approx(12 / made.per_token.expected_s)
    assert made.prefill_tokens_per_s == 12 * 300 / made.first_token.expected_s


def test_of_cards_that_are_not_alike_the_smallest_is_the_device():
    found = tf.fit("gpt2", "rtx-3060 + rtx-4090")
    assert found.device.memory_bytes == find_device("rtx-3060").memory_bytes
    assert tf.fit("gpt2", "rtx-4090 + rtx-3060").device == found.device
