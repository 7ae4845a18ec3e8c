"""What `serving` prints: every figure in its place and unit. The figures are made up."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.paper import fitted, paper
from thermoflop.base.record import replace
from thermoflop.cost.serving.result import (
    Bounds,
    Serving,
    serving_json,
    serving_text,
    simulation_text,
)
from thermoflop.cost.serving.simulation import Simulation

SIMULATION = Simulation(
    1800, 7, "poisson", (0.1, 0.2, 0.3), 0.15, (0.021, 0.022, 0.023), 0.0215, 3.5, 0.875, 3.0625,
    4321,
)  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Serving:
    """Two devices; 4 requests/s of 100 tokens."""
    made = tf.serving("llama-3-8b", "h100", users=16, tp=2, dtype="bf16", profile="vllm")
    return replace(
        made, prompt=1000.0, generate=100.0, prefix_hit=0.25, rate=4.0, sequences=11.0,
        largest_batch=77, most_sequences=64, token_s=(0.008, 0.01, 0.0125),
        first_s=(0.31, 0.41, 0.51), queue_s=0.032, benchmark_first_s=0.62, prompt_share=0.45,
        most_requests_per_s=5.0, tokens_per_s_interval=(320.0, 500.0), load=0.8,
        joules_per_token=2.5, meets=True, unknown=("why",), benchmark_interval_s=(0.4, 0.9),
        bounds=Bounds(0.004, 0.2, 700.0),
    )  # fmt: skip


def lines(served: Serving) -> list[str]:
    return [" ".join(line.split()) for line in serving_text(served).splitlines()]


def test_every_figure_stands_beside_its_name(served: Serving) -> None:
    """10 ms are 100 tokens/s; 4 requests/s of 100 tokens are 400 tokens/s, 200 on each of two."""
    said = lines(served)
    assert said[0] == "llama-3-8b on 2 x H100-SXM-80GB (tp=2), bf16, vllm"
    assert said[1].startswith("16 users at once, 4.00 requests/s; 1,000 prompt, 25% cached + 100")
    assert "a user's tokens 10.0 ms apart (8.00 ms to 12.5 ms), 100 tokens/s; bound 4.00 ms" in said
    assert "first token 410 ms (310 ms to 510 ms), 32.0 ms of it waiting; bound 200 ms" in said
    assert "throughput 400 tokens/s (320 to 500), 200 a device; bound 700" in said
    assert "decoding at once 11.0 of 64 sequences (memory holds 77)" in said
    assert "prompts take 45% of the time" in said
    assert "load 80% of 5.00 requests/s, the most that it keeps up" in said
    assert "energy 2.50 J a token, 0.694 kWh a million" in said  # 2.5e6 J / 3.6e6
    whole = " ".join(said)
    assert "; bound 200 ms in a benchmark 620 ms (400 ms to 900 ms), mean if all start" in whole
    assert "targets: met" in said
    assert "not known: why" in said


def test_the_object_has_the_rates_that_follow(served: Serving) -> None:
    found = serving_json(served)
    assert (found["tokens_per_s"], found["tokens_per_s_device"]) == (400, 200)
    assert found["tokens_per_s_user"] == pytest.approx(100)
    assert (found["device"], found["rate"]) == ("H100-SXM-80GB", 4.0)


def test_more_requests_than_are_answered_make_no_more_tokens(served: Serving) -> None:
    """9 requests/s asked, 5 answered: 500 tokens/s."""
    said = lines(replace(served, rate=9.0, saturated=True, meets=False))
    assert "throughput 500 tokens/s (320 to 500), 250 a device; bound 700" in said
    assert any(line.startswith("targets: MISSED") for line in said)
    assert any(line.startswith("OVERLOADED: 9.00 requests/s come and 5.00 can be") for line in said)
    assert "first token 410 ms (310 ms to 510 ms), and a wait that grows; bound 200 ms" in said


def test_users_that_wait_for_a_slot_are_said_before_the_figures(served: Serving) -> None:
    """Of 100 users 64 are served at once."""
    said = lines(replace(served, users=100))
    full = next(n for n, line in enumerate(said) if line.startswith("FULL: of 100 users 36 wait"))
    assert full < said.index("throughput 400 tokens/s (320 to 500), 200 a device; bound 700")
    assert not any(line.startswith("FULL") for line in lines(replace(served, users=64)))


def test_a_narrow_page_keeps_what_is_to_know_of_a_figure_in_its_column(served: Serving) -> None:
    with paper(60):
        text = fitted(serving_text(served)).splitlines()
    assert max(map(len, text)) <= 60
    at = next(n for n, line in enumerate(text) if line.startswith("  a user's tokens"))
    assert text[at].index("apart") == len(text[at + 1]) - len(text[at + 1].lstrip())


def test_the_verdict_stands_before_the_figures(served: Serving) -> None:
    said = lines(replace(served, rate=9.0, saturated=True, meets=False, simulation=SIMULATION))
    starts = ("OVERLOADED", "targets: MISSED", "a user's tokens 10.0 ms", "simulated")
    at = [next(n for n, line in enumerate(said) if line.startswith(start)) for start in starts]
    assert at == sorted(at)


def test_a_simulation_prints_its_quantiles_and_means() -> None:
    said = [" ".join(line.split()) for line in simulation_text(SIMULATION).splitlines()]
    assert said == [
        "simulated: 1,800 requests (poisson, seed 7), 3.50 requests/s",
        "first token p50 100 ms, p90 200 ms, p99 300 ms; mean 150 ms",
        "a user's tokens p50 21.0 ms, p90 22.0 ms, p99 23.0 ms; mean 21.5 ms",
        "within the target 87.5%: goodput 3.06 requests/s",
    ]


def test_an_overload_is_said_once() -> None:
    """Of 50 requests/s it answers a few: it is told as that, and not also as 100% of its most."""
    said = str(tf.serving("llama-3.1-8b", "rtx-4090", rate=50, profile="vllm"))
    assert "OVERLOADED: 50.0 requests/s come" in said
    assert "of the highest rate" not in said


@pytest.mark.parametrize(
    ("meets", "within", "users", "sentence"),
    [
        (True, 1, 1, "met by up to 1 user"),
        (True, 5, 5, "met by up to 5 users"),
        (True, 64, 64, "met by up to 64 users; more would wait for a slot"),
        (False, 2.5, None, "MISSED: up to 2.50 requests/s would meet them"),
        (False, 0, None, "MISSED: no rate meets them"),
        (False, 1, 16, "MISSED: up to 1 user would meet them"),
        (False, 2, 16, "MISSED: up to 2 users would meet them"),
        (False, None, 16, "MISSED: not even one user meets them"),
    ],
)
def test_targets_are_met_by_as_many_as_were_found(served, meets, within, users, sentence) -> None:
    said = lines(replace(served, meets=meets, most_within=within, users=users))
    assert f"targets: {sentence}" in said


def test_whole_tokens_are_printed_whole(served: Serving) -> None:
    assert "; 1,000 prompt, 25% cached + 4 output tokens" in lines(replace(served, generate=4.0))[1]
    assert "+ 4.50 output tokens" in lines(replace(served, generate=4.5))[1]
