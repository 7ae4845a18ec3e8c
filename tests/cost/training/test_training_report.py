"""What ``tf.train`` prints is what its record holds, and degrees of two at their smallest."""

from __future__ import annotations

import re

import pytest
import thermoflop as tf
from kit.made_up import (
    DEVICE,
    HEAD_MATRIX,
    INNER,
    LAYERS,
    MATRICES,
    MIXTURE,
    NORMS,
    WIDTH,
    decoder,
)
from thermoflop.base.record import replace
from thermoflop.base.units import digits, gigabytes, scaled, seconds
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.replicas import (
    experts_shared_by,
    owned_parameters,
    replica_works,
)
from thermoflop.cost.training.result import training_json
from thermoflop.cost.training.stages import slots_of
from thermoflop.cost.training.why import training_rates, training_reasons
from thermoflop.cost.training.work import share_of, trained
from thermoflop.cost.work.share import Layout

SIZES = {"global_batch": 16, "sequence": 1000}


def train(**changes: object) -> tf.TrainingEstimate:
    return tf.train(decoder(), changes.pop("hardware", DEVICE), **{**SIZES, **changes})


def plainly(text: str) -> str:
    """The text with single blanks."""
    return re.sub(r"\s+", " ", text)


@pytest.fixture(scope="module")
def found() -> tf.TrainingEstimate:
    return train(
        devices=4, pp=2, dp=2, micro_batch=2, zero=2, recomputed=0.5, lengths=250, padded=0.25,
        offload="optimizer", tokens=2e12, price=1.5, compiled=False,
    )  # fmt: skip


def test_a_report_carries_every_figure_of_its_record(found: tf.TrainingEstimate) -> None:
    memory, host, span = found.memory, found.host, found.iteration
    text = plainly(str(found))
    expected, low, high = found.days
    for said in (
        f"training {found.model_name} ({decoder().params:,} parameters) on 4 x made-up",
        "(pp=2 dp=2), bf16",
        "batch 16 x 1000 tokens, micro-batch 2, recompute none, 50 % of the layers entirely, not",
        "documents of 250 tokens, within which attention stays; 25 % of the tokens are padding",
        f"the host keeps optimizer: {gigabytes(host.host_bytes)} a device (",
        f"{gigabytes(4 * host.host_bytes)} for 4); it moves {gigabytes(host.moved_bytes)} an",
        (
            f"at {digits(host.link_bytes_s / 1e9)} GB/s a device and direction and steps in "
            f"{seconds(host.step_s)} (memory of the host at 200 GB/s assumed): "
            f"{seconds(host.exposed_s)} more an iteration"
        ),
        (
            f"an iteration {seconds(span.expected_s)} expected, {seconds(span.low_s)} .. "
            f"{seconds(span.high_s)} in 80 %, bound {seconds(span.bound_s)}"
        ),
        f"throughput {digits(found.tokens_per_s)} tokens/s, {digits(found.tokens_per_s / 4)} a",
        (
            f"MFU {100 * found.mfu:.1f} %, HFU {100 * found.hfu:.1f} % of 100 TFLOP/s "
            "bf16 (attention windowed, masked keys too)"
        ),
        f"pipeline bubble {100 * found.bubble:.1f} % of the time without it",
        (
            f"{scaled(found.model_flops, 'FLOP')} of the model, "
            f"{scaled(found.hardware_flops, 'FLOP')} with recomputation; "
            f"6N is {100 * found.six_n_flops / found.model_flops:.1f} % of it"
        ),
        (
            f"weights {gigabytes(memory.weight_bytes)}, "
            f"gradients {gigabytes(memory.gradient_bytes)}, "
            f"optimizer {gigabytes(memory.optimizer_bytes)}"
        ),
        f"activations {gigabytes(memory.activation_bytes)} (",
        (
            f"logits {gigabytes(memory.logit_bytes)} (loss full), while working "
            f"{gigabytes(memory.working_bytes)}, reserve {gigabytes(memory.reserve_bytes)} assumed"
        ),
        f"memory a device: {gigabytes(memory.total_bytes)} of {gigabytes(10e9)}, fits",
        (
            f"2.00 T tokens: {digits(expected)} days ({digits(low)} .. {digits(high)}), "
            f"{digits(found.device_hours)} device hours"
        ),
        f"at 1.5 a device hour: {digits(found.price)}",
    ):
        assert plainly(said) in text, said


def test_what_follows_from_an_iteration_is_its_arithmetic(found: tf.TrainingEstimate) -> None:
    """16 x 1000 tokens, of which a quarter is padding."""
    span = found.iteration
    assert found.tokens_per_s == pytest.approx(12_000 / span.expected_s)
    iterations = 2e12 / 12_000
    assert found.days == pytest.approx(
        [iterations * each / 86_400 for each in (span.expected_s, span.low_s, span.high_s)]
    )
    assert found.device_hours == pytest.approx(found.days[0] * 24 * 4)
    assert found.price == pytest.approx(found.device_hours * 1.5)
    assert found.mfu == pytest.approx(found.model_flops / (span.expected_s * 4 * 100e12))
    assert found.hfu == pytest.approx(found.hardware_flops / (span.expected_s * 4 * 100e12))
    assert found.hfu > found.mfu
    plain = train()
    assert (plain.days, plain.device_hours, plain.price) == (None, None, None)
    assert train(tokens=1e9).price is None


def test_power_is_that_of_what_is_computed(found: tf.TrainingEstimate) -> None:
    """0.516 and 1.514 times the share of the peak, recomputation included, of 400 W each; a token
    that is padding costs as much and is none."""
    energy, hfu = found.energy, found.hfu
    watts = 400 * (0.516 + 1.514 * hfu)
    assert 0.01 < hfu < 0.3
    assert energy.power_w == pytest.approx(watts)
    assert energy.energy_j == pytest.approx(4 * watts * found.iteration.expected_s)
    assert energy.per_token_j == pytest.approx(4 * watts / found.tokens_per_s)
    text = plainly(str(found))
    between = f"{digits(0.67 * watts)} .. {digits(min(1.41 * watts, 400))}"
    assert f"{digits(watts)} W a device ({between})" in text
    assert f"{digits(energy.per_token_j)} J a token" in text
    assert f"device hours, {scaled(energy.per_token_j * 2e12 / 3600, 'Wh')}" in text
    assert training_json(found)["energy"]["power_w"] == energy.power_w
    unknown = train(hardware=replace(DEVICE, power_w=None), tokens=1e9)
    assert unknown.energy is None
    assert training_json(unknown)["energy"] is None
    assert " W a device" not in str(unknown)
    assert "Wh" not in str(unknown)


def test_adapters_are_told_with_their_share_of_the_parameters() -> None:
    text = plainly(str(train(lora=4, lora_targets="q,o")))
    adapters = LAYERS * 2 * 4 * (WIDTH + WIDTH)
    share = 100 * adapters / decoder().params
    assert (
        f"LoRA of rank 4 beside q_proj, o_proj: {adapters:,} parameters are trained ({share:.2g} "
        "%), the base is frozen in bf16" in text
    )
    assert "documents" not in text
    every = plainly(str(train(lora=4)))
    assert "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj:" in every


def test_the_reasons_add_up_to_the_iteration_with_what_the_step_costs_besides() -> None:
    for options in ({}, {"devices": 2, "pp": 2}, {"devices": 2, "zero": 3},
                    {"devices": 2, "tp": 2}):  # fmt: skip
        one = train(**options)
        listed, besides = training_reasons(one.question, None)
        total = sum(reason.time_s for reason in listed) + besides
        assert total == pytest.approx(one.iteration.expected_s), options
        names = [(reason.part, reason.name) for reason in listed]
        assert len(names) == len(set(names))
        products = [each for each in listed if each.name == "gate_proj"]
        (gate,) = products
        split = 2 if options.get("pp") or options.get("tp") or options.get("zero") else 1
        flops = 3 * 16 * LAYERS * 2 * 1000 * WIDTH * INNER / split
        extra = 17 / 16 if options.get("pp") else 1  # one micro-batch more is the bubble
        assert gate.flops == pytest.approx(flops * extra), options


def test_the_formula_of_an_iteration_has_every_rate_in_its_own_place() -> None:
    one = train(devices=2, pp=2, micro_batch=2, virtual=1, overlap=0.25)
    text, e = plainly(one.why()), training_rates(one.question, None).efficiency
    for said in (
        "x = layers x (8.00 micro-batches + 1.00 of a bubble) / pp=2",
        (
            f"compute = (FLOP + {e.m_half:.0f} rows of padding) / (100 TFLOP/s x e), "
            f"e = {e.matmul:.2f} in products, {e.attention:.2f} in attention; sides that are no "
            f"multiple of 64 cost {100 * e.tile_penalty:.0f} % more"
        ),
        f"memory = bytes / (1.00 TB/s x e), e = {e.weights:.2f} for weights, {e.activations:.2f}",
        f"network = bytes / (100 GB/s x {e.link:.2f}) + {seconds(e.collective_s)} for each step",
        "of what replicas send 25 % hides behind computing",
    ):
        assert plainly(said) in text, said


def iteration(zero: int = 1, **changes: object) -> Iteration:
    """Two replicas of the made-up decoder, 8 micro-batches each."""
    layout = {"dp": 2, **{key: changes.pop(key) for key in ("tp", "pp", "dp", "cp", "ep")
                          if key in changes}}  # fmt: skip
    model = changes.pop("model", decoder())
    plan = Layout(**layout, node_size=8)
    return Iteration("default", model, DEVICE, plan, choose_precision("bf16"), 16.0, 1.0, 1000,
                     zero=zero, **changes)  # fmt: skip


def sent(one: Iteration) -> tuple[dict[str, float], dict[str, float]]:
    """Bytes that replicas send in each micro-batch, and once."""
    each, once = replica_works(one, share_of(one))
    return tuple({work.name: work.times * work.activation_bytes for work in works}
                 for works in (each, once))  # fmt: skip


@pytest.mark.parametrize(
    ("zero", "each", "once"),
    [
        (0, {}, {"gradients": 2}), (1, {}, {"gradients": 2}),
        (2, {"gradients": 1}, {"gather weights": 1}),
        (3, {"gradients": 1, "gather weights": 2}, {}),
    ],
)  # fmt: skip
def test_two_replicas_send_half_of_their_bytes_a_pass(zero, each, once):
    """A ring of two: a reduce-scatter or a gather sends one half, an all-reduce both."""
    half = 2 * decoder().params / 2
    found = sent(iteration(zero))
    for told, known in zip(found, (each, once), strict=True):
        assert told == {name: pytest.approx(times * half) for name, times in known.items()}
    alone = iteration(zero, dp=1)
    assert sent(alone) == ({}, {})


def test_what_replicas_send_is_as_wide_as_activations():
    """Weights of one byte: gradients of two."""
    narrow = replace(iteration(), precision=choose_precision("fp8"))
    assert sent(narrow) == sent(iteration())


def test_stages_share_the_layers_and_sum_gradients_once_whatever_zero():
    """Half of what two stages hold; gathered weights stay until the last micro-batch."""
    for zero in (1, 2, 3):
        each, once = sent(iteration(zero, pp=2))
        assert each == {}
        assert once == {"gradients": pytest.approx(2 * decoder().params / 2)}


def test_experts_are_shared_by_fewer_replicas_and_sent_apart():
    """Two replicas share the eight experts: none holds those of the other, and
    all hold the router of every expert."""
    model = decoder(**MIXTURE)
    experts = LAYERS * 8 * 3 * WIDTH * INNER
    one = iteration(ep=2, model=model)
    assert experts_shared_by(one, 2) == 1
    assert experts_shared_by(iteration(dp=8, ep=2, model=model), 8) == 4
    assert experts_shared_by(iteration(dp=8, tp=2, ep=4, model=model), 8) == 4
    dense = pytest.approx(2 * (model.params - experts))
    assert sent(one)[1] == {"gradients": dense}
    four = sent(iteration(dp=4, ep=2, model=model))[1]
    assert four["gradients"] / (2 * 3 / 4) == dense
    assert four["gradients of experts"] == pytest.approx(2 * experts / 2)
    owned = owned_parameters(iteration(zero=1, dp=4, ep=2, model=model), share_of(one))
    assert owned == pytest.approx((model.params - experts) / 4 + experts / 2 / 2)


def test_a_device_steps_its_share_of_the_parameters():
    params = decoder().params
    assert owned_parameters(iteration(0), share_of(iteration(0))) == params
    assert owned_parameters(iteration(1), share_of(iteration(1))) == params / 2


def test_two_devices_under_zero_3_gather_the_layer_at_work():
    """Weights of the layer at work and the next, and its gradients in fp32."""
    options = {"global_batch": 2, "sequence": 8, "devices": 2}
    shared, whole = (tf.train(decoder(), DEVICE, zero=zero, **options).memory for zero in (3, 2))
    gathered = (2 * 2 + 4) * (MATRICES + NORMS)
    widest = 2 * 8 * (2 * WIDTH + 3 * INNER)
    assert shared.working_bytes == pytest.approx(widest + gathered - shared.logit_bytes)
    assert whole.working_bytes == widest - whole.logit_bytes
    assert shared.weight_bytes == pytest.approx(2 * decoder().params / 2)


def test_two_stages_under_zero_3_keep_gathered_weights_and_whole_gradients():
    """Half of the layers with the larger of table and head, whole in 16 bits besides the share."""
    options = {"devices": 4, "pp": 2, "dp": 2, "global_batch": 4}
    held = LAYERS * (MATRICES + NORMS) / 2 + HEAD_MATRIX
    found = tf.train(decoder(), DEVICE, zero=3, **options).memory
    assert found.weight_bytes == pytest.approx(2 * held / 2 + 2 * held)
    assert found.gradient_bytes == pytest.approx(4 * held)
    assert found.optimizer_bytes == pytest.approx(12 * held / 2)
    alone = tf.train(decoder(), DEVICE, zero=3, devices=2, pp=2, global_batch=4).memory
    assert alone.weight_bytes == pytest.approx(2 * held)


def sends(one: Iteration) -> tuple[float, set[float]]:
    """How often a device sends to other stages in an iteration, and the bytes of each."""
    sent = [
        (phase.weight * work.times, work.activation_bytes)
        for phase in trained(one)
        for work in [*phase.works, *(each for each, _ in phase.behind)]
        if work.name == "send"
    ]
    return sum(times for times, _ in sent), {size for _, size in sent}


def test_a_micro_batch_of_two_stages_is_sent_over_their_boundary_both_ways():
    one = iteration(dp=1, pp=2)
    assert sends(one) == (pytest.approx(2 * 16), {1000 * WIDTH * 2})
    assert slots_of(one) == (16 + 1) / 2
    assert slots_of(replace(one, virtual=2)) == (16 + 1 / 2) / 2
    assert sends(replace(one, virtual=2))[0] == pytest.approx(2 * 2 * 16)
    halves = iteration(dp=1, tp=2, pp=2, model=decoder(num_key_value_heads=4))
    assert sends(halves)[1] == {1000 * WIDTH * 2 / 2}


@pytest.mark.parametrize(("took_s", "said"), [(4 * 3600, "4.00 hours"), (33 * 60, "33.0 minutes")])
def test_a_run_of_less_than_a_day_is_told_in_hours_or_minutes(
    found: tf.TrainingEstimate, took_s: float, said: str
) -> None:
    """An iteration is 16 x 1,000 tokens, a quarter of them padding."""
    tokens = 12_000 * took_s / found.iteration.expected_s
    assert f"tokens: {said} (" in str(replace(found, train_tokens=tokens))


def test_the_report_names_the_optimizer_whose_states_it_counts() -> None:
    """As it is called here, whatever it was called when asked for: 8 bytes a parameter of fp32
    moments and 4 of a master weight, of 124,439,808."""
    found = str(tf.train("gpt2", "h100", devices=1, optimizer="adamw_torch"))
    assert "optimizer 1.49 GB (adamw-torch)" in found
