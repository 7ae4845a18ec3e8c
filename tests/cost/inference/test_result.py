"""What an estimate prints, from a record whose numbers are round."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder, rates
from thermoflop.base.record import replace
from thermoflop.base.sheet import figures_of
from thermoflop.base.units import gigabytes, seconds
from thermoflop.cost.energy import Energy
from thermoflop.cost.inference.result import estimate_json, estimate_sheet
from thermoflop.cost.memory import Memory, too_little
from thermoflop.cost.roofline.span import Span

ENERGY = Energy(300.0, 250.0, 360.0, 1800.0, 1500.0, 2160.0, 18.75, 30.0, "as assumed")
MEMORY = Memory(4e9, 2e9, 1e9, 0.5e9, 10e9)
FIRST, TOKEN, TOTAL = Span(0.2, 0.5, 0.4, 0.8), Span(0.02, 0.04, 0.03, 0.05), Span(2, 6, 4, 8)


@pytest.fixture(scope="module")
def estimate() -> tf.Estimate:
    """4 sequences of 100 tokens and 24 more, 6 s in all."""
    made = tf.estimate(decoder(), DEVICE, batch=4, prompt=100, generate=24, profile=rates())
    return replace(
        made, first_token=FIRST, per_token=TOKEN, total=TOTAL, memory=MEMORY, energy=ENERGY
    )


def test_rates_are_tokens_of_all_sequences_over_their_time(estimate):
    assert estimate.prefill_tokens_per_s == 4 * 100 / 0.5
    assert estimate.decode_tokens_per_s == 4 / 0.04
    assert estimate.tokens_per_s == 4 * 24 / 6
    assert replace(estimate, per_token=Span(0, 0, 0, 0)).decode_tokens_per_s == 0


def figures(estimate) -> dict[str, object]:
    return {each.key: each for each in figures_of(estimate_sheet(estimate))}


def ends(figure) -> tuple[float | None, ...]:
    return figure.bound, figure.low, figure.high


def test_a_sheet_holds_every_figure_with_its_ends(estimate):
    found = figures(estimate)
    assert [found[f"token.{name}"].value for name in ("bound", "expected", "low", "high")] == [
        0.02, 0.04, 0.03, 0.05,
    ]  # fmt: skip
    assert ends(found["token.expected"]) == (0.02, 0.03, 0.05)
    # the shortest time is the highest rate, and the bound the highest of all
    assert (found["rate.decode"].value, ends(found["rate.decode"])) == (
        pytest.approx(100), pytest.approx((200, 80, 400 / 3)),
    )  # fmt: skip
    assert ends(found["rate.prefill"]) == pytest.approx((2000, 500, 1000))
    assert ends(found["rate.all"]) == pytest.approx((48, 12, 24))


def test_energy_of_a_token_has_the_ends_of_the_run(estimate):
    found = figures(estimate)
    assert ends(found["energy.power"]) == (None, 250, 360)
    assert ends(found["energy.token"]) == (None, 1500 / 96, 2160 / 96)
    assert found["energy.run"].value == 1800
    assert ends(found["energy.rise"]) == (None, pytest.approx(25), pytest.approx(36))
    assert "energy.power" not in figures(replace(estimate, energy=None))
    assert "energy.rise" not in figures(replace(estimate, energy=replace(ENERGY, rise_c=None)))


def test_memory_is_its_parts_and_their_sum(estimate):
    found = figures(estimate)
    names = ("weights", "cache", "activations", "reserve", "total", "capacity")
    assert [found[f"memory.{name}"].value for name in names] == [4, 2, 1, 0.5, 7.5, 10]


def test_the_terminal_shows_the_sheet(estimate):
    """1800 J of 96 tokens are 18.75 J each, and 18.75 / 3.6 kWh a million."""
    text = re.sub(r" +", " ", str(estimate))
    for line in (
        "batch 4, prompt 100, 24 generated",
        "first token of all 4 prompts 200 ms 500 ms 400 ms .. 800 ms",
        "each token after it 20.0 ms 40.0 ms 30.0 ms .. 50.0 ms",
        "all 2.00 s 6.00 s 4.00 s .. 8.00 s",
        "prompt tokens 800 /s",
        "while decoding 100 tokens/s",
        "overall 16.0 tokens/s",
        "memory a device: 7.50 GB of 10.0 GB, fits",
        "weights 4.00 GB, cache 2.00 GB, activations 1.00 GB, reserve 0.5 GB",
        "power a device: 300 W (250 .. 360); 18.8 J a generated token, 5.21 kWh a million",
        "settles 30.0 °C above its coolant",
    ):
        assert line in text or pytest.fail(f"{line!r} is not in\n{text}")


def test_that_it_does_not_fit_stands_before_the_times(estimate):
    """14 and 3.5 GB on a device of 10."""
    text = str(replace(estimate, memory=replace(MEMORY, weight_bytes=14e9)))
    for line in too_little(17.5e9, 10e9):
        assert text.index(line) < text.index("first token")
    assert too_little(17.5e9, 10e9)
    assert too_little(7.5e9, 10e9) == []


def test_what_generates_nothing_has_a_first_token_alone(estimate):
    found = replace(estimate, generate=0)
    assert set(figures(found)) & {"token.expected", "total.expected", "rate.decode"} == set()
    assert "J a sequence" in str(found)
    assert "while decoding" not in str(found)
    assert estimate_json(replace(estimate, generate=1))["decode_tokens_per_s"] is None


def test_the_object_has_what_follows_from_the_estimate(estimate):
    found = json.loads(json.dumps(estimate_json(estimate)))
    assert found["memory"]["total_bytes"] == 7.5e9
    assert found["memory"]["fits"] is True
    assert (found["tokens_per_s"], found["prefill_tokens_per_s"]) == (16, 800)
    assert found["decode_tokens_per_s"] == pytest.approx(100)
    assert found["first_token"]["low_s"] == 0.4
    assert "setting" not in found


def test_arrays_print_how_many_there_are_and_what_they_span(estimate):
    def several(low: float, high: float) -> Span:
        values = np.array([low, high])
        return Span(values, values, values, values)

    found = replace(estimate, batch=np.array([1, 2]), first_token=several(0.1, 0.3),
                    per_token=several(0.01, 0.02), total=several(1.0, 2.0))  # fmt: skip
    lines = str(found).splitlines()
    assert lines[0].startswith("2 estimates of")
    assert [line.split(maxsplit=2)[-1] for line in lines[1:3]] == [
        "100 ms .. 300 ms", "10.0 ms .. 20.0 ms",
    ]  # fmt: skip
    assert lines[3].split(maxsplit=1)[1] == "1.00 s .. 2.00 s"


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
@pytest.mark.parametrize(("batch", "prompt"), [(1, 126_000), (1, 1024), (64, 32_000)])
def test_no_client_sees_its_first_token_before_its_prompt_is_read(engine, batch, prompt):
    asked = {"prompt": prompt, "dtype": "bf16", "profile": engine}
    alone = tf.estimate("llama-3.1-8b", "rtx-4090", **asked).first_token
    client = tf.estimate("llama-3.1-8b", "rtx-4090", batch=batch, **asked).client_first_token
    for part in ("bound_s", "expected_s", "low_s", "high_s"):
        assert getattr(client, part) >= getattr(alone, part) * (1 - 1e-12)


@pytest.mark.parametrize(("batch", "flying"), [(1, "1 request"), (2, "2 requests")])
def test_a_clients_first_token_is_told_with_what_is_in_flight(batch, flying):
    made = tf.estimate("gpt2", "rtx-4090", batch=batch, prompt=100, generate=9, profile="vllm")
    span = made.client_first_token
    ends = f"{seconds(span.expected_s)} ({seconds(span.low_s)} .. {seconds(span.high_s)})"
    assert f"first token at a client with {flying} in flight: {ends}" in str(made)


def test_an_estimate_says_what_fit_counts_for_its_engine() -> None:
    text = str(tf.estimate("llama-3.1-8b", "rtx-4090", dtype="awq", profile="vllm"))
    fit = tf.fit("llama-3.1-8b", "rtx-4090", dtype="awq", profile="vllm")
    together = gigabytes(fit.memory.total_bytes)
    assert f"\n  as vllm divides it {together}: `fit --profile vllm`\n" in text
    assert "divides it" not in str(tf.estimate("llama-3.1-8b", "rtx-4090", dtype="awq"))


@pytest.mark.parametrize(
    ("device", "profile"),
    [("rtx-4090", "llama.cpp"), ("rtx-4090", "vllm"), ("2x4090", "llama.cpp"),
     ("rtx-4090 + rtx-3060-12gb", "llama.cpp"), ("m2-pro", "llama.cpp"),
     ("dgx-spark", "llama.cpp")],
)  # fmt: skip
def test_an_estimate_points_to_fit_for_a_part_on_the_host_where_fit_has_one(device, profile):
    """141 GB of weights."""
    estimated = str(tf.estimate("llama-3-70b", device, profile=profile))
    fitted = tf.fit("llama-3-70b", device, profile=profile)
    hosted = any(each.kind == "layers on the host" for each in fitted.remedies)
    assert ("how fast with a part on the host" in estimated) is hosted
    assert hosted is (device in ("rtx-4090", "2x4090") and profile == "llama.cpp")


def test_memory_that_ollama_divides_is_said_to_be_so() -> None:
    """Its rates are those of llama.cpp's profile."""
    words = " ".join(str(tf.estimate("llama-3-8b", "rtx-4090", profile="ollama")).split())
    assert "as ollama divides it" in words
    assert "`fit --profile ollama`" in words
