"""Several cards as one name: those that are alike, and what stands for those that are not."""

from __future__ import annotations

from functools import partial

import pytest
import thermoflop as tf
from thermoflop.cost.catalogue.cards import alike, mean_card, pooled, slowest_card
from thermoflop.cost.hardware.device import Device
from thermoflop.errors import UsageError

SMALL = Device(
    "small", memory_bytes=10e9, bandwidth_bytes_s=100e9, peaks={"fp16": 10e12, "fp8": 20e12},
    pcie="PCIe 3 x16", power_w=100.0, cores=10, boost_mhz=1000.0,
)  # fmt: skip
LARGE = Device(
    "large", memory_bytes=30e9, bandwidth_bytes_s=400e9, peaks={"fp16": 40e12},
    pcie="PCIe 4 x16", power_w=300.0, cores=40, boost_mhz=2000.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "count"),
    [("2x4090", 2), ("rtx-4090 + rtx-4090", 2), ("rtx 4090 + 2 x 4090", 3), ("rtx-4090", None)],
)
def test_cards_that_are_alike_are_one_and_how_many(text, count):
    device, found = alike(text, None)
    assert (found, pooled(text, None, None, 1)[1]) == (count, count)
    assert tf.fit("gpt2", device).device.name == "RTX 4090"


def test_a_name_may_end_in_a_plus_and_a_list_may_not():
    for name in ("Intel Xeon Platinum 8480+", "xeon platinum 8480+"):
        assert tf.fit("gpt2", name).device.name.startswith("Intel Xeon Platinum 8480+")
    with pytest.raises(UsageError, match="no list of cards"):
        tf.fit("gpt2", "rtx-4090 +")
    with pytest.raises(UsageError, match="no list of cards"):
        tf.fit("gpt2", "h100+")


def test_one_question_in_three_spellings_has_one_answer():
    asked = {"dtype": "q4_k_m", "profile": "llama.cpp"}
    answers = [tf.fit("llama-3-70b", name, **asked) for name in ("2x4090", "rtx-4090 + rtx-4090")]
    answers.append(tf.fit("llama-3-70b", "rtx-4090", devices=2, **asked))
    assert len({str(answer) for answer in answers}) == 1
    times = [tf.estimate("llama-3-70b", name, **asked) for name in ("2x4090", "4090 + rtx-4090")]
    assert str(times[0]) == str(times[1])
    assert times[0].plan.label == "pp=2"  # llama.cpp divides layers


def test_plan_reads_cards_that_are_alike_in_every_spelling(capsys):
    from thermoflop.cli import main

    printed = []
    for name in ("2x4090", "rtx-4090 + rtx-4090"):
        assert main(["plan", "llama-3.1-8b", "--gpu", name]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "2 x RTX 4090" in printed[0]


def test_layers_by_memory_take_the_mean_of_the_seconds_that_each_card_takes():
    """1 layer in 4 at 100 GB/s and 3 at 400: 1 / (1/400 + 3/1600) GB/s = 228.6; 1 / (1/40 + 3/160)
    TFLOP/s = 22.86; and cores x clock, 10e9 and 80e9: 1 / (1/40 + 3/320) = 29.09."""
    card = mean_card([SMALL, LARGE])
    assert card.bandwidth_bytes_s == pytest.approx(1600e9 / 7)
    assert card.peaks == {"fp16": pytest.approx(160e12 / 7)}  # fp8 is of one of them alone
    assert card.core_hz == pytest.approx(320e9 / 11)
    assert (card.memory_bytes, card.power_w, card.pcie) == (20e9, 200.0, "PCIe 3 x16")


def test_cards_that_share_every_step_wait_for_the_slowest():
    card = slowest_card([LARGE, SMALL, SMALL])
    assert (card.bandwidth_bytes_s, card.memory_bytes) == (100e9, 10e9)
    assert (card.peaks, card.name) == ({"fp16": 10e12}, "slowest of large + 2 small")


def test_cards_that_are_not_alike_lie_between_those_that_are():
    def token_s(name):
        found = tf.estimate("llama-3-8b", name, dtype="q4_k_m", profile="llama.cpp")
        return found.per_token.bound_s

    slow, mixed, fast = map(token_s, ("2x3090", "rtx-3090 + rtx-4090", "2x4090"))
    assert fast < mixed < slow
    assert tf.train("gpt2", "rtx-3090 + rtx-4090", global_batch=8).plan.dp == 2
    assert tf.serving("gpt2", "rtx-3090 + rtx-4090", users=2).tokens_per_s > 0


def test_pick_shares_models_over_cards():
    found = tf.pick("2x4090", pattern="llama-3.1-70b", top=1)
    assert (found.devices, found.picks[0].dtype) == (2, "q4_k_m")
    assert not tf.pick("4090", pattern="llama-3.1-70b", top=1).picks


@pytest.mark.parametrize(
    "asked", [{"devices": 3}, {"tp": 2, "profile": "llama.cpp"}, {"pp": 3}, {"dp": 2, "batch": 2}]
)
def test_degrees_besides_cards_that_are_not_alike_are_refused(asked):
    with pytest.raises(UsageError):
        tf.estimate("gpt2", "rtx-3090 + rtx-4090", **asked)


@pytest.mark.parametrize(
    "ask",
    [tf.estimate, tf.fit, partial(tf.serving, users=1), partial(tf.speculate, "llama-3-8b")],
)
def test_an_engine_that_one_of_the_cards_is_too_old_for_runs_on_none(ask):
    """vLLM asks for compute capability 7.0; a P40 has 6.1 and twice the memory of the other."""
    with pytest.raises(UsageError, match="vllm does not run on P40"):
        ask("llama-3.2-1b", "rtx-3060-12gb + p40", profile="vllm")
    with pytest.raises(UsageError, match="vllm does not run on P40"):
        tf.pick("rtx-3060-12gb + p40", profile="vllm", pattern="gpt2")
    assert tf.fit("llama-3.2-1b", "rtx-3060-12gb + p40", profile="llama.cpp").fits


@pytest.mark.parametrize(("gpu", "layout"), [("p40", (1, 2)), ("m2 ultra", (1, 2)), ("t4", (2, 1))])
def test_devices_that_llama_cpp_stands_for_share_layers_as_where_it_is_named(gpu, layout):
    """Other servers run on a T4, and divide heads."""
    asked = {"devices": 2, "dtype": "fp16"}
    made = [
        ask("llama-3.2-1b", gpu, **asked).plan
        for ask in (tf.estimate, tf.fit, partial(tf.serving, users=1))
    ]
    assert {(plan.tp, plan.pp) for plan in made} == {layout}
    named = tf.estimate("llama-3.2-1b", gpu, profile="llama.cpp", **asked).per_token
    plain = tf.estimate("llama-3.2-1b", gpu, **asked).per_token
    assert (plain == named) is (layout == (1, 2))


def test_drafts_are_taken_over_several_cards():
    alone = tf.speculate("llama-3-8b", "llama-3.2-1b", "rtx-4090", profile="llama.cpp")
    both = tf.speculate("llama-3-8b", "llama-3.2-1b", "4090 + rtx-3090", profile="llama.cpp")
    assert both.plain_step_s > alone.plain_step_s


def test_drafts_under_ollamas_profile_are_of_its_downloads():
    asked = "llama-3-8b", "llama-3.2-1b", "rtx-4090"
    narrow = tf.speculate(*asked, profile="ollama", dtype="q4_k_m")
    found = tf.speculate(*asked, profile="ollama")
    assert found.plain_step_s == pytest.approx(narrow.plain_step_s, rel=1e-3)
    assert found.draft_step_s == pytest.approx(narrow.draft_step_s, rel=1e-3)
