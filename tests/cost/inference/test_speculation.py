"""What a draft gains (Leviathan, Kalman and Matias 2023), on a device that only moves weights."""

from __future__ import annotations

from math import log

import pytest
import thermoflop as tf
from kit.made_up import (
    BANDWIDTH,
    DEVICE,
    HEAD_MATRIX,
    LAYERS,
    MATRICES,
    PEAK,
    TOKENS,
    decoder,
    rates,
)
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.speculative import (
    Speculation,
    acceptance_of,
    drafted_run,
    halves,
    plan_of_draft,
    tokens_per_check,
)
from thermoflop.cost.serving.times import StepTimes
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError
from thermoflop.model.load import load_model


@pytest.mark.parametrize(
    ("acceptance", "drafted", "tokens"),
    [(0, 4, 1), (1, 4, 5), (0.5, 3, 1 + 1 / 2 + 1 / 4 + 1 / 8), (0.8, 1, 1.8)],
)
def test_a_check_gives_the_accepted_tokens_and_one_more(acceptance, drafted, tokens):
    assert tokens_per_check(acceptance, drafted) == pytest.approx(tokens)


@pytest.mark.parametrize(
    ("tokens", "drafted", "acceptance"),
    [(1, 4, 0), (5, 4, 1), (1 + 1 / 2 + 1 / 4 + 1 / 8, 3, 0.5), (1.8, 1, 0.8), (4, 8, 0.776)],
)
def test_the_tokens_of_a_check_say_the_acceptance(tokens, drafted, acceptance):
    """Of the last: 1 - 0.776^9 = 0.898, over 0.224 4.01."""
    found = acceptance_of(tokens, drafted)
    assert tokens_per_check(found, drafted) == pytest.approx(tokens)
    assert found == pytest.approx(acceptance, abs=0.002)


@pytest.mark.parametrize(("tokens", "drafted"), [(0.9, 4), (5.1, 4)])
def test_a_check_gives_no_more_than_was_drafted_and_one(tokens, drafted):
    with pytest.raises(UsageError, match="tokens_per_check"):
        acceptance_of(tokens, drafted)


@pytest.mark.parametrize("acceptance", [-0.01, 1.01])
def test_an_acceptance_that_is_no_probability_is_refused(acceptance):
    with pytest.raises(UsageError, match="expected 0 to 1"):
        tokens_per_check(acceptance, 4)


def test_a_token_takes_its_share_of_the_drafts_and_of_a_check():
    found = Speculation("large", "small", 4, 0.75, 3.0, 0.002, 0.022, 0.02)
    assert found.per_token_s == pytest.approx((4 * 0.002 + 0.022) / 3)
    assert found.speed_up == pytest.approx(2)
    assert str(found).splitlines() == [
        "drafting 4 tokens with small at an acceptance of 75%:",
        "  10.0 ms a token instead of 20.0 ms, 2.00 times as fast",
        "  3.00 tokens a check of 22.0 ms, a draft step 2.00 ms",
    ]


def test_a_check_computes_every_drafted_token_and_the_one_before_them():
    """On a device where computing alone takes time: 5 tokens' products for 4 drafted ones."""
    big, small = decoder(num_hidden_layers=2 * LAYERS), decoder()
    computes = replace(DEVICE, bandwidth_bytes_s=1e30)
    sizes = {"prompt": 1, "generate": 2, "profile": rates()}
    found = tf.speculate(big, small, computes, drafted=4, **sizes)
    assert found.check_s == pytest.approx(5 * found.plain_step_s, rel=0.01)
    layers, head = 2 * LAYERS * MATRICES / PEAK, 2 * HEAD_MATRIX / PEAK
    assert found.draft_step_s == pytest.approx(layers + head, rel=0.01)
    assert found.plain_step_s == pytest.approx(2 * layers + head, rel=0.01)


def test_a_check_reads_the_weights_once_whatever_was_drafted():
    """On a device where reading the large matrices of a wide model takes nearly all of the time."""
    wide = {"hidden_size": 4096, "intermediate_size": 8192, "num_attention_heads": 64}
    moves = replace(DEVICE, peaks={"bf16": 1e30})
    model = decoder(**wide)
    found = tf.speculate(model, model, moves, prompt=1, generate=2, profile=rates())
    read = 2 * (model.params - TOKENS * 4096)  # the table is looked up
    assert found.plain_step_s == pytest.approx(read / BANDWIDTH, rel=0.01)
    assert found.check_s == pytest.approx(found.plain_step_s, rel=0.01)
    assert found.draft_step_s == found.plain_step_s


def test_a_check_of_latent_attention_reads_one_latent_a_token_as_a_decode_step_does():
    """DeepSeek-V3: 512 + 64 numbers a token and layer, where 128 heads of 192 and 128 are 71 times
    as many; two tokens of a sequence read them once."""
    layers, latent, heads, cached = 61, 512 + 64, 128, 100_000
    setting = Setting(
        load_model("deepseek-v3"), find_device("h200"), Layout(tp=8),
        choose_precision("fp8", kv_dtype="bf16"), find_profile("sglang"),
    )  # fmt: skip
    works = setting.works(setting.check_step(2, 1, cached))
    assert sum(each.times * each.kv_bytes for each in works) == pytest.approx(
        layers * latent * 2 * cached, rel=0.01
    )
    absorbed = 2 * heads / 8 * (latent + 512) * (2 * cached + 3)
    attended = sum(each.times * each.flops for each in works if each.name == "attention")
    assert attended == pytest.approx(layers * absorbed, rel=0.01)
    assert not [each for each in works if each.name == "kv_b_proj"]


@pytest.mark.parametrize(("profile", "bytes_each"), [("vllm", 2), ("llama.cpp", 4 * 2)])
def test_a_check_writes_the_state_of_a_recurrence_after_every_token(profile, bytes_each):
    """Qwen3.5-27B: 48 layers of 48 matrices of 128 x 128 in a state, and 4 inputs of the
    convolution; of 3 tokens one is read and three are written. llama.cpp copies it, in 32 bits."""
    state = 48 * 128 * 128 + 4 * (2 * 16 + 48) * 128
    setting = tf.estimate("qwen3.5-27b", "h200", prompt=9, generate=2, profile=profile).setting
    for new, moved in ((1, 2), (3, 4)):
        step = setting.check_step(new, 1, 9)
        scans = [each for each in setting.works(step) if each.kind == "scan"]
        assert [each.times for each in scans] == [48]
        assert scans[0].kv_bytes == bytes_each * moved * state


def test_llama_cpp_runs_what_was_checked_through_the_draft_as_well() -> None:
    """Once more its weights: 5 tokens of it in the time of one where few are computed; its own
    layers take them along with the first."""
    sizes = {"prompt": 64, "generate": 64, "dtype": "q8_0", "drafted": 4}
    found = tf.speculate("llama-3.1-8b", "llama-3.2-1b", "p40", profile="llama.cpp", **sizes)
    assert found.draft_step_s < found.again_s < 1.5 * found.draft_step_s
    all_s = 4 * found.draft_step_s + found.again_s + found.check_s
    assert found.per_token_s == pytest.approx(all_s / found.tokens_per_check)
    assert "to read what was checked" in str(found)
    other = tf.speculate("llama-3.1-8b", "llama-3.2-1b", "h100", profile="vllm", drafted=4)
    own = tf.speculate("qwen3.5-27b", "mtp", "4090", profile="llama.cpp", dtype="q4_k_m")
    assert other.again_s == own.again_s == 0


def test_a_lookup_in_the_text_drafts_for_nothing() -> None:
    """Three checked tokens of a step that reads the weights once."""
    sizes = {"prompt": 64, "generate": 64, "profile": "vllm"}
    found = tf.speculate("llama-3.1-8b", "ngram", "h100", drafted=2, acceptance=0.5, **sizes)
    assert found.draft_step_s == found.again_s == 0
    assert found.per_token_s == pytest.approx(found.check_s / (1 + 1 / 2 + 1 / 4))
    assert found.draft_bytes == (0, 0)
    assert found.draft_name == "n-grams of the text"
    asked = {"users": 4, "draft_tokens": 2, "acceptance": 0.5, **sizes}
    named = tf.serving("llama-3.1-8b", "h100", draft="ngram", **asked)
    assert named.token_s == tf.serving("llama-3.1-8b", "h100", **asked).token_s


def test_so_it_does_where_many_are_served() -> None:
    one = {"prompt": 64, "generate": 64, "dtype": "q8_0", "profile": "llama.cpp"}
    large, small = (tf.estimate(f"llama-3.{name}b", "p40", **one).setting
                    for name in ("1-8", "2-1"))  # fmt: skip
    drafts = StepTimes(small)
    both = StepTimes(large, 5, drafts).decode_s(1.0, 64.0) - StepTimes(large, 5).decode_s(1.0, 64.0)
    assert 5 * drafts.decode_s(1.0, 64.0) < both < 5.5 * drafts.decode_s(1.0, 64.0)


def test_served_drafts_write_as_many_states() -> None:
    setting = tf.estimate("qwen3.5-27b", "h200", prompt=9, generate=2, profile="vllm").setting
    state_bytes = 2 * (48 * 128 * 128 + 4 * (2 * 16 + 48) * 128) * 48
    one, three = (StepTimes(setting, checked).decode_s(64.0, 9.0) for checked in (1, 3))
    assert three - one > 64 * 2 * state_bytes / find_device("h200").bandwidth_bytes_s


def test_a_draft_has_the_context_of_its_model() -> None:
    """GPT-2's file states 1,024 positions; SGLang overrides those of every draft."""
    asked = {"prompt": 8000, "generate": 9, "drafted": 1}
    found = tf.speculate("llama-3.1-8b", "gpt2", "h100", **asked)
    assert str(found).startswith("drafting 1 token with gpt2")
    with pytest.raises(UsageError, match="passes the 8192 positions of llama-3-8b"):
        tf.speculate("llama-3-8b", "llama-3.1-8b", "h100", prompt=9000)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [((128256, 151936), True), ((152064, 151936), False), ((32000,), False), ((), False)],
)
def test_a_draft_of_another_vocabulary_is_said_and_padding_is_none(sizes, said):
    found = Speculation("large", "small", 4, 0.75, 3.0, 0.002, 0.022, 0.02, sizes)
    assert ("vocabularies differ" in str(found)) is said


@pytest.mark.parametrize("degrees", [{"tp": 2}, {"pp": 2}, {"dp": 2}, {"tp": 2, "dp": 2}, {}])
def test_a_token_without_a_draft_is_that_of_the_estimate(degrees):
    asked = {**degrees, "batch": 4, "prompt": 100, "generate": 9, "profile": rates()}
    run = tf.estimate(decoder(), DEVICE, **asked)
    found = tf.speculate(decoder(), decoder(), DEVICE, **asked)
    assert found.plain_step_s == run.per_token.expected_s
    spread = run.setting.spread("token").wider(("drafts",))  # no fitted run drafts
    assert found.interval_s == (
        found.per_token_s * spread.low, found.per_token_s * spread.high,
    )  # fmt: skip


def test_an_interval_is_wider_where_tokens_are_drafted() -> None:
    """By a factor of e^0.25 at one standard deviation, which adds by its square."""
    run = tf.estimate("llama-3.1-8b", "h100", profile="vllm")
    plain, found = run.setting.spread("token"), drafted_run(run, "llama-3.2-1b", 4, 0.7)[0]
    ends = zip((plain.low, plain.high), found.spread, strict=True)
    for end, wide in ends:
        assert log(wide) ** 2 == pytest.approx(log(end) ** 2 + (1.2815515655 * 0.25) ** 2)
    assert "no fitted run drafts: widened" in str(found)


def test_so_it_is_where_they_are_served() -> None:
    asked = {"profile": "vllm", "users": 4, "prompt": 500, "generate": 200}
    _, plain_s, high_s = tf.serving("llama-3.1-8b", "h100", **asked).token_s
    drafted = tf.serving("llama-3.1-8b", "h100", draft="llama-3.2-1b", **asked)
    _, token_s, most_s = drafted.token_s
    assert drafted.provenance.endswith("no fitted run drafts: interval widened")
    assert most_s / token_s > 1.1 * high_s / plain_s


def test_a_draft_lies_on_the_devices_of_its_model():
    """Half of its weights and of its cache on each of two devices, in 16 bits."""
    run = tf.estimate(decoder(), DEVICE, tp=2, batch=3, prompt=100, generate=9)
    small = decoder(num_hidden_layers=2 * LAYERS)
    own = tf.estimate(small, DEVICE, tp=2, batch=3, prompt=100, generate=9).memory
    found, held = drafted_run(run, small, 4, 0.7)
    assert found.draft_bytes == (own.weight_bytes, own.kv_bytes)
    assert held.memory.weight_bytes == run.memory.weight_bytes + own.weight_bytes
    assert held.memory.kv_bytes == run.memory.kv_bytes + 3 * small.kv_bytes(109) / 2
    assert run.setting.share.beside is None


@pytest.mark.parametrize("profile", [None, "vllm", "llama.cpp"])
def test_a_run_fits_where_its_draft_does_too(profile):
    """Llama 3 8B is 16 GB in 16 bits, 70B 141 GB: one H100 has 80."""
    run = tf.estimate("llama-3-8b", "h100", profile=profile)
    fits = [drafted_run(run, each, 4, 0.7)[1].fits for each in ("llama-3-8b", "llama-3-70b")]
    assert (run.fits, *fits) == (True, True, False)


def test_heads_of_a_draft_that_do_not_divide_stay_on_one_device():
    small = decoder(num_attention_heads=3, num_key_value_heads=1, hidden_size=48, head_dim=16)
    assert plan_of_draft(Layout(2), small.description) == Layout()
    assert plan_of_draft(Layout(2, 2, 3), decoder().description) == Layout(2, 2)
    deep = LAYERS + 1
    assert plan_of_draft(Layout(2, deep), decoder().description) == Layout(2)
    assert plan_of_draft(Layout(2, deep, 3), decoder().description, whole=True) == Layout(2, 1, 3)


def test_a_run_beside_its_own_draft_is_one_without_it_and_holds_its_weights() -> None:
    """Its table and head are the model's, and counted once; the times are of steps without it."""
    large, own = halves(load_model("qwen3.5-27b", mtp=True))
    run = tf.estimate(large, "h100", prompt=100, generate=9)
    plain = tf.estimate("qwen3.5-27b", "h100", prompt=100, generate=9)
    assert (run.per_token, run.first_token) == (plain.per_token, plain.first_token)
    found, held = drafted_run(run, own, 4, 0.7)
    assert found.plain_step_s == held.per_token.expected_s == plain.per_token.expected_s
    counted = tf.estimate(load_model("qwen3.5-27b", mtp=True), "h100", prompt=100, generate=9)
    assert held.memory.weight_bytes == counted.memory.weight_bytes > run.memory.weight_bytes
    assert held.memory.kv_bytes == counted.memory.kv_bytes > run.memory.kv_bytes
