"""Predicted beside measured: each way in which a run may say what it took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kit.run_folder import START_S, event, mark, trial, write
from thermoflop.report.html.page import page
from thermoflop.report.html.sentences import sentences
from thermoflop.report.terminal.terminal import lines
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.analysis.figures import Analysis
from thermoflop.runs.analysis.quantity import Compared
from thermoflop.runs.analysis.row import keep
from thermoflop.runs.gpu.sample import GpuSample


def values(bound: float, expected: float, low: float, high: float) -> dict[str, float]:
    """One quantity."""
    return {"bound": bound, "expected": expected, "low": low, "high": high}


# batch 2, prompt 100, 11 generated: a prompt is 200 tokens, a step 2
PREDICTED: dict[str, Any] = {
    "model": "m", "hardware": "h", "devices": 1, "dtype": "bf16",
    "batch": 2, "prompt": 100, "generate": 11, "profile": "p", "shortfall_bytes": 0.0,
    "quantities": {
        "ttft_s": values(0.5, 1.0, 0.8, 1.5),
        "token_s": values(0.05, 0.1, 0.08, 0.15),
        "decode_tokens_per_s": values(40, 20, 13, 25),
        "total_s": values(1.0, 2.0, 1.6, 3.0),
        "tokens_per_s": values(22, 11, 7, 14),
        "joules_per_token": {"bound": None, "expected": 10.0, "low": 8.0, "high": 12.0},
        "power_w": {"bound": None, "expected": 100.0, "low": 80.0, "high": 120.0},
        "memory_bytes": {"bound": None, "expected": 2e9, "low": None, "high": None},
    },
    "work": {
        "peak_flops_per_s": 1000.0, "peak_bytes_per_s": 100.0,
        "prefill": {"flops_per_token": 4.0, "bytes_per_token": 0.1},
        "decode": {"flops_per_token": 5.0, "bytes_per_token": 2.0},
    },
}  # fmt: skip


def run(tmp_path: Path, *records: Any, **more: Any) -> Analysis:
    """A run of ten seconds with those predictions."""
    given = {"predictions": PREDICTED, "kind": "record", **more}
    return analyze(write(tmp_path, [*trial(0, 10), *records], **given))


def rows(analysis: Analysis) -> dict[str, Compared]:
    """The comparison by quantity."""
    return {row.key: row for row in analysis.predicted}


def measured(analysis: Analysis) -> dict[str, float]:
    """What was measured, by quantity."""
    return {key: row.measured for key, row in rows(analysis).items() if row.measured is not None}


def test_phases_with_tokens_are_scaled_to_the_predicted_sizes(tmp_path: Path) -> None:
    """Two prompts in one phase; decode counts the tokens of all sequences."""
    analysis = run(tmp_path, mark(1, "prefill", tokens=400), mark(3, "decode"), mark(4, tokens=10),
                   mark(4.9, tokens=10), mark(5, None))  # fmt: skip
    assert measured(analysis) == pytest.approx({
        "ttft_s": 1.0, "token_s": 0.2, "decode_tokens_per_s": 10.0,
        "total_s": 3.0, "tokens_per_s": 22 / 3,
    })  # fmt: skip
    assert rows(analysis)["ttft_s"].verdict == "inside"
    assert rows(analysis)["token_s"].verdict == "above"
    assert rows(analysis)["token_s"].off == pytest.approx(1.0)
    assert rows(analysis)["decode_tokens_per_s"].verdict == "below"
    assert rows(analysis)["power_w"].verdict == "not measured"


def test_a_generation_of_another_length_is_named_wherever_it_is_scaled(tmp_path: Path) -> None:
    """4 steps of 2 sequences in 2 s where 10 were asked for: 1 s for the prompt, 0.5 s a step."""
    said = "the command made 4 tokens where 11 were asked for: scaled from 4"
    phases = [mark(1, "prefill", tokens=200), mark(2, "decode", tokens=8), mark(4, None)]
    analysis = run(tmp_path, *phases)
    assert measured(analysis)["total_s"] == pytest.approx(1 + 10 * 0.5)
    for key, row in rows(analysis).items():
        assert row.scaled == (said if key in ("total_s", "tokens_per_s") else "")
    (line,) = (line for line in lines(analysis) if "prompt and all tokens" in line)
    assert "6 s (scaled)" in line
    assert f"scaled: {said}" in lines(analysis)
    assert f"6 s for prompt and all tokens (+200 %, above; {said})" in sentences(analysis)[1][1]


def test_a_prompt_of_another_length_is_named_too(tmp_path: Path) -> None:
    """24 tokens of 2 sequences in 0.3 s: 2.5 s for 200, and the rest of the run with it."""
    analysis = run(tmp_path, mark(1, "prefill", tokens=24), mark(1.3, "decode", tokens=20),
                   mark(3.3, None))  # fmt: skip
    assert measured(analysis)["ttft_s"] == pytest.approx(2.5)
    said = "the command read 12 tokens where 100 were asked for: scaled from 12"
    assert [rows(analysis)[key].scaled for key in ("ttft_s", "total_s")] == [said, said]


@pytest.mark.parametrize("tokens", [20, 22])
@pytest.mark.parametrize("times", [1, 3])
def test_a_generation_that_was_asked_for_is_not_scaled(
    tmp_path: Path, tokens: int, times: int
) -> None:
    """With its first token or without, and of several in one phase, as their prompts tell."""
    phases = [mark(1, "prefill", tokens=200 * times), mark(2, "decode", tokens=tokens * times)]
    assert not any(row.scaled for row in run(tmp_path, *phases).predicted)


def test_phases_without_tokens_are_one_prompt_and_one_generation(tmp_path: Path) -> None:
    """And it is said that this was assumed."""
    analysis = run(tmp_path, mark(1, "Prefill"), mark(2, "decode"), mark(4, None))
    assert measured(analysis)["ttft_s"] == pytest.approx(1.0)
    assert measured(analysis)["token_s"] == pytest.approx(0.2)
    assert "assumed" in rows(analysis)["ttft_s"].how
    assert "10 steps a phase assumed" in rows(analysis)["token_s"].how


def test_what_the_run_says_itself_goes_before_its_phases(tmp_path: Path) -> None:
    """ttft_s=, token_s= and total_s= as they are; of several the mean."""
    analysis = run(tmp_path, mark(1, "prefill", tokens=200), mark(2, ttft_s=0.9),
                   mark(3, ttft_s=1.1), mark(4, token_s=0.12, total_s=2.5))  # fmt: skip
    assert measured(analysis) == pytest.approx({
        "ttft_s": 1.0, "token_s": 0.12, "decode_tokens_per_s": 2 / 0.12, "total_s": 2.5,
        "tokens_per_s": 22 / 2.5,
    })  # fmt: skip
    assert rows(analysis)["ttft_s"].how == "said as ttft_s=, mean of 2"
    assert keep(analysis).decode_tokens_per_s == pytest.approx(2 / 0.12)  # in the list too


def test_a_rate_said_in_decode_is_decodes_and_elsewhere_the_whole_runs(tmp_path: Path) -> None:
    """tokens_per_s= means the phase that is running."""
    analysis = run(tmp_path, mark(1, "decode"), mark(2, tokens_per_s=16), mark(3, None),
                   mark(4, tokens_per_s=9))  # fmt: skip
    assert measured(analysis)["token_s"] == pytest.approx(2 / 16)
    assert measured(analysis)["tokens_per_s"] == 9


def test_a_command_that_says_tokens_alone_is_measured_as_a_whole(tmp_path: Path) -> None:
    """Its start included, which is said."""
    analysis = run(tmp_path, mark(9, tokens=50))
    assert measured(analysis) == pytest.approx({"tokens_per_s": 5.0})
    assert rows(analysis)["tokens_per_s"].how == "the command as a whole"


def test_energy_power_and_memory_come_from_the_gpu_that_drew_most(tmp_path: Path) -> None:
    """100 W for 1 s of a prompt and 2 s of ten steps; a second GPU that idles is left out."""
    readings = [
        GpuSample(START_S + n / 10, 0.0, gpu, power_w=100.0 / (1 + 9 * gpu), mem_used_bytes=10**9,
                  energy_j=10.0 * n / (1 + 9 * gpu))
        for n in range(101) for gpu in (0, 1)
    ]  # fmt: skip
    analysis = run(tmp_path, mark(1, "prefill", tokens=200), mark(2, "decode", tokens=20),
                   mark(4, None), *readings)  # fmt: skip
    assert measured(analysis)["power_w"] == pytest.approx(100.0)
    assert measured(analysis)["joules_per_token"] == pytest.approx(300 / 22)
    assert measured(analysis)["memory_bytes"] == 1e9
    assert rows(analysis)["memory_bytes"].verdict == "no interval"


def test_a_simulated_gpu_is_judged_by_no_prediction(tmp_path: Path) -> None:
    """Its memory and power are made up: whether they are as a real card's says nothing."""
    readings = [
        GpuSample(START_S + n / 10, 0.0, 0, power_w=100.0, mem_used_bytes=10**9) for n in range(101)
    ]
    made_up = {"gpu": {"driver": "simulated", "devices": [{"index": 0}]}}
    analysis = run(tmp_path, mark(1, "prefill", tokens=200), mark(2, "decode", tokens=20),
                   mark(4, None), *readings, **made_up)  # fmt: skip
    for key in ("power_w", "joules_per_token", "memory_bytes"):
        assert (rows(analysis)[key].off, rows(analysis)[key].verdict) == (None, "not measured")
    assert "W a device" in page([analysis])
    assert lines(analysis)[-1] == "not measured: the GPU is simulated"
    assert "token_s" in measured(analysis)


def test_mfu_and_mbu_follow_from_tokens_alone(tmp_path: Path) -> None:
    """FLOPs and bytes of a token come from the prediction; what the run says goes before."""
    analysis = run(tmp_path, mark(1, "decode", tokens=20), mark(3, None),
                   mark(4, "decode", tokens=20, flops_per_token=1.0, peak_flops_per_s=100.0),
                   mark(6, None))  # fmt: skip
    assert analysis.phases[0].mfu == pytest.approx(10 * 5.0 / 1000)
    assert analysis.phases[0].mbu == pytest.approx(10 * 2.0 / 100)
    assert analysis.phases[1].mfu == pytest.approx(10 * 1.0 / 100)


def test_better_than_the_bound_is_said(tmp_path: Path) -> None:
    """A time below it, a rate above it."""
    analysis = run(tmp_path, mark(1, "prefill", tokens=800), mark(2, "decode", tokens_per_s=41.0))
    assert rows(analysis)["ttft_s"].beats_bound
    assert rows(analysis)["decode_tokens_per_s"].beats_bound
    assert "one of the two is wrong" in page([analysis])


def test_warm_ups_and_the_other_command_do_not_count(tmp_path: Path) -> None:
    """The prediction is for the command it was asked for."""
    records = [
        event(0, "child_start", trial=0, variant="A", warmup=True, pid=1), mark(0, ttft_s=9.0),
        event(1, "child_end", trial=0, exit_code=0, signal=None),
        *trial(2, 3, 1, "A"), mark(2.5, ttft_s=1.0), *trial(4, 5, 2, "B"), mark(4.5, ttft_s=5.0),
    ]  # fmt: skip
    analysis = analyze(write(tmp_path, records, predictions=PREDICTED))
    assert measured(analysis)["ttft_s"] == 1.0


def test_page_and_terminal_show_it_and_a_run_without_says_so(tmp_path: Path) -> None:
    """With the interval, and a memory that will not do as a warning."""
    analysis = run(tmp_path, mark(1, "prefill"), mark(2, None))
    assert "800 ms to 1.5 s" in page([analysis])
    assert any("time to first token" in line for line in lines(analysis))
    short = run(tmp_path, predictions={**PREDICTED, "shortfall_bytes": 3e9})
    assert "predicted not to fit: 3 GB" in page([short])
    assert "No prediction was asked for" in page([run(tmp_path, predictions=None)])


@pytest.mark.parametrize(
    "given", [[], "x", {"quantities": 3}, {"quantities": {"ttft_s": {"expected": "x"}}, "work": 1}]
)
def test_predictions_that_somebody_wrote_by_hand_break_nothing(tmp_path: Path, given: Any) -> None:
    """A run folder may come from anywhere."""
    assert page([run(tmp_path, mark(1, "prefill", tokens=3), predictions=given)])
