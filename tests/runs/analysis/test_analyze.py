"""A run's figures are those it was made with: phases, energy, throttling, clocks, comparison."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.run_folder import START_S, board_sample, board_settings, event, mark, trial, write
from thermoflop.errors import InputError
from thermoflop.pico.track import HostEvent
from thermoflop.report.html.page import page
from thermoflop.report.html.series import run_series
from thermoflop.report.summary import summarize
from thermoflop.report.terminal import terminal
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.analysis.compare import outliers, paired, spread, t_95
from thermoflop.runs.analysis.figures import Analysis
from thermoflop.runs.analysis.predicted import _noted
from thermoflop.runs.analysis.throughput import steps
from thermoflop.runs.folder.reader import RunReader
from thermoflop.runs.gpu.sample import GpuSample


def gpu(t_s: float, power_w: float, energy_j: float, reasons: int = 0, **more: float) -> GpuSample:
    """A reading of GPU 0."""
    return GpuSample(
        START_S + t_s, 0.0, 0, power_w=power_w, energy_j=energy_j, reasons=reasons, **more
    )


# From the fastest that a board takes to the slowest that `record --rate` takes; a GPU's usual one
# is 0.1, a board's 0.2. 5 and 10 s are above SHORTEST_GAP_S: silence there is not a gap by itself.
EVERY_S = (0.1, 0.2, 1.0, 5.0, 10.0)


def decode_run(tmp_path: Path, cut_from: float, slow: float, every_s: float = 0.1) -> Analysis:
    """Decode at 100 tokens/s, ``slow`` times that from the share ``cut_from`` of the time on.

    200 readings of a GPU at 200 W, one each ``every_s``, and a step of decode every five of them.
    """
    whole_s, step_s = 200 * every_s, 5 * every_s
    records = [*trial(0, whole_s), mark(0, "decode", flops_per_token=2.0, peak_flops_per_s=1000.0)]
    for n in range(40):
        begin_s, end_s = n * step_s, (n + 1) * step_s
        free_s = min(end_s, max(begin_s, cut_from * whole_s)) - begin_s
        tokens = 100 * (free_s + slow * (step_s - free_s))
        records.append(mark(end_s - 1e-4, tokens=tokens))
    readings = [
        gpu(n * every_s, 200.0, 200.0 * n * every_s, 0x20 * (n >= 200 * cut_from), sm_mhz=1980)
        for n in range(201)
    ]
    return analyze(write(tmp_path, [*records, *readings]))


def test_phases_last_until_the_next_mark_or_the_end_of_the_trial(tmp_path: Path) -> None:
    """With the sums of what was said in them."""
    records = [
        *trial(1, 9),
        mark(2, "prefill", tokens=100),
        mark(4, "decode"),
        mark(5, tokens=1),
        mark(6, tokens=1, loss=2.5),
        mark(7, None),
        mark(8, tokens=50),
    ]
    analysis = analyze(write(tmp_path, records))
    phases = [(p.window.name, p.window.start_s, p.window.end_s) for p in analysis.phases]
    assert phases == [("prefill", 2, 4), ("decode", 4, 7)]
    assert analysis.phases[0].tokens_per_s == 50
    assert analysis.phases[1].window.sums["tokens"] == 2
    assert analysis.phases[1].window.last["loss"] == 2.5
    assert analysis.trials[0].window.sums["tokens"] == 152


def test_tokens_below_0_are_no_tokens_however_they_are_noted(tmp_path: Path) -> None:
    """One note of 3 counts; a loss may be below 0."""
    lines = {"lines": 2, "sums": {"tokens": -9.0}, "counts": {"tokens": 2}}
    records = [
        *trial(0, 9),
        mark(1, "decode"),
        mark(2, tokens=-5, loss=-1.5),
        mark(3, tokens=3),
        event(4, "mark", by="output", values={}, **lines),
    ]
    (phase,) = analyze(write(tmp_path, records)).phases
    assert phase.window.sums == {"tokens": 3.0, "loss": -1.5}


def test_a_mark_belongs_to_the_trial_that_runs(tmp_path: Path) -> None:
    """Also when the next one starts right after it; late output counts for its own."""
    records = [
        *trial(0, 1, 0),
        mark(0.5, "a"),
        mark(1.005, tokens=1),
        *trial(1.01, 2, 1),
        mark(1.2, "b"),
    ]
    analysis = analyze(write(tmp_path, records))
    assert [(p.window.name, p.window.trial) for p in analysis.phases] == [("a", 0), ("b", 1)]
    assert analysis.trials[0].window.sums == {"tokens": 1}


@pytest.mark.parametrize("every_s", EVERY_S)
def test_energy_is_the_counters_and_the_integral_checks_it(tmp_path: Path, every_s: float) -> None:
    """200 W for 200 readings' time at 100 tokens/s: 2 J a token, 200 FLOP/s of 1000."""
    analysis = decode_run(tmp_path, 2.0, 1.0, every_s)
    (phase,) = analysis.phases
    assert phase.energy[0].counter_j == pytest.approx(200 * 200 * every_s, rel=1e-3)
    assert phase.energy[0].check == pytest.approx(1.0, abs=1e-3)
    assert phase.joules_per_token == pytest.approx(2.0, rel=1e-3)
    assert phase.mfu == pytest.approx(100 * 2 / 1000, rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 0.9), st.floats(0.3, 0.95), st.sampled_from(EVERY_S))
def test_throttled_share_and_what_it_took_are_recovered(
    cut_from: float, slow: float, every_s: float
) -> None:
    """From nothing but tokens, times and the reason bits; share of time to one sample."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        analysis = decode_run(Path(folder), cut_from, slow, every_s)
    assert analysis.throttled_share[0] == pytest.approx(1 - cut_from, abs=0.01)
    (lost,) = analysis.lost
    assert lost.by == "tokens"
    assert lost.error is not None
    assert abs(lost.share - (1 - slow) * (1 - cut_from)) < lost.error + 0.02
    assert lost.free_per_s == pytest.approx(100, rel=0.03)


def test_throttled_throughout_falls_back_on_the_clock(tmp_path: Path) -> None:
    """And says so; there is no free rate to compare with."""
    analysis = decode_run(tmp_path, 0.0, 1.0)
    assert [lost.by for lost in analysis.lost] == ["clock"]


@settings(max_examples=15, deadline=None)
@given(st.floats(-80, 80), st.integers(0, 1000), st.sampled_from(EVERY_S))
def test_the_boards_clock_is_told_in_the_hosts(drift_ppm: float, seed: int, every_s: float) -> None:
    """A skewed crystal and late arrivals: every sample is placed within the stated error."""
    import tempfile

    rng = random.Random(seed)
    rate = 1 / (1 + drift_ppm * 1e-6)  # a clock that gains shows more of its own seconds
    truth, records = [], []
    for seq in range(400):
        up_s = round(3.0 + every_s * seq, 3)
        true_s = 1.0 + rate * (up_s - 3.0)
        truth.append(true_s)
        records.append(board_sample(true_s + rng.expovariate(200), seq, up_s=up_s))
    with tempfile.TemporaryDirectory() as folder:
        analysis = analyze(write(Path(folder), records))
    board = analysis.data.board
    assert board is not None
    assert board.clock_error_s is not None
    worst_s = max(abs(a - b) for a, b in zip(board.t_s, truth, strict=True))
    assert worst_s < board.clock_error_s + 0.003
    assert board.drift_ppm is not None
    span_s = 400 * every_s
    allowed_ppm = 1e6 * (2 * board.clock_error_s + 0.001) / span_s  # the error at both its ends
    assert abs(board.drift_ppm - drift_ppm) < allowed_ppm


@pytest.mark.parametrize("every_s", EVERY_S)
def test_the_fans_time_is_one_in_report_analysis_and_summary(
    tmp_path: Path, every_s: float
) -> None:
    """A state holds until the next sample, at any rate; time without samples counts for nothing.

    Samples 0 to 99 with the fan on from 75, and 500 and 501 with it on: it ran for 24 + 1 of the
    99 + 1 steps that were watched.
    """
    numbers = [*range(100), 500, 501]
    records = [board_settings(0, 29.0, 28.0)]
    records += [board_sample(every_s * n, n, up_s=every_s * n, fan=int(n >= 75)) for n in numbers]
    folder = write(tmp_path, records)
    analysis = analyze(folder)
    assert analysis.fan_duty == pytest.approx(0.25)
    assert summarize(RunReader(folder)).fan_duty == pytest.approx(0.25)
    series = run_series(analysis)
    spans_s = [end_s - start_s for start_s, end_s in series["fan"]]
    assert spans_s == pytest.approx([24 * every_s, every_s], abs=0.002)
    (board,) = (panel for panel in series["panels"] if panel["title"] == "Board temperature")
    assert [value for _, value in board["curves"][0]["points"]].count(None) == 1
    assert analysis.data.board is not None
    assert analysis.data.board.on_c == 29.0


def test_a_restart_of_the_board_ends_what_the_fan_was_known_to_do(tmp_path: Path) -> None:
    """Nothing says how long it was off: 1 of 2 watched steps had the fan on, none between."""
    records = [board_sample(n, n, up_s=float(n), fan=1) for n in range(2)]
    records += [board_sample(2 + n, n, boot="b00702", up_s=float(n)) for n in range(2)]
    analysis = analyze(write(tmp_path, records))
    assert analysis.fan_duty == 0.5
    assert run_series(analysis)["fan"] == [[0.0, 1.0]]


@pytest.mark.parametrize("every_s", EVERY_S)
def test_a_gap_in_a_gpus_readings_is_one_for_energy_throttling_and_curve(
    tmp_path: Path, every_s: float
) -> None:
    """100 W over 20 steps with the cap reached in half of them; two minutes are not recorded."""
    times_s = [every_s * n for n in range(20)]
    times_s += [times_s[-1] + 120.0, times_s[-1] + 120.0 + every_s]
    whole_s = times_s[-1]
    readings = [gpu(t_s, 100.0, 0.0, 0x4 if 5 <= n < 15 else 0) for n, t_s in enumerate(times_s)]
    analysis = analyze(write(tmp_path, [*trial(0, whole_s), *readings]))
    (energy,) = analysis.trials[0].energy.values()
    assert energy.watched_s == pytest.approx(20 * every_s)
    assert energy.integral_j == pytest.approx(2000 * every_s)
    assert analysis.throttled_share == {0: pytest.approx(0.5)}
    assert analysis.trials[0].throttled_s == pytest.approx(10 * every_s)
    (power,) = (p for p in run_series(analysis)["panels"] if p["title"] == "GPU power")
    assert [value for _, value in power["curves"][0]["points"]].count(None) == 1


def test_a_window_within_a_gap_watched_nothing(tmp_path: Path) -> None:
    """However short it is: nobody read a power there."""
    readings = [gpu(t_s, 100.0, 0.0) for t_s in (0.0, 0.1, 0.2, 60.0, 60.1)]
    analysis = analyze(write(tmp_path, [*trial(30, 31), *readings]))
    assert analysis.trials[0].energy[0].watched_s == 0
    assert analysis.trials[0].energy[0].integral_j is None


def test_a_wall_clock_that_was_set_changes_nothing_but_a_warning(tmp_path: Path) -> None:
    """All intervals are monotonic."""
    records = [*trial(0, 4), event(2, "clock_step", step_s=3600.0)]
    analysis = analyze(write(tmp_path, records))
    assert analysis.trials[0].window.duration_s == 4
    assert any("wall clock was set 1 time" in text for text in analysis.warnings)


def test_a_machine_that_slept_had_no_clock_set(tmp_path: Path) -> None:
    """The wall clock is ahead by what the monotonic one did not count."""
    slept = event(2, "clock_step", step_s=600.0, slept_s=600.0)
    analysis = analyze(write(tmp_path, [*trial(0, 4), slept]))
    assert analysis.warnings == ["this machine slept for 600 s: no part of the times"]
    assert '"text":"machine slept"' in page([analysis]).replace('": "', '":"')


def test_a_run_without_an_end_is_read_and_said(tmp_path: Path) -> None:
    """Its recorder was killed; the trial ends with the last record."""
    records = [trial(0, 99)[0], gpu(3.0, 100, 0), gpu(4.0, 100, 100)]
    analysis = analyze(write(tmp_path, records, ended=None))
    assert analysis.trials[0].window.end_s == 4.0
    assert any("killed" in text for text in analysis.warnings)


def test_a_lost_run_json_is_no_loss_of_the_run(tmp_path: Path) -> None:
    """The samples stand by themselves; a folder without both is no run."""
    folder = write(tmp_path, [*trial(1, 2), gpu(1.5, 100, 0)])
    (folder / "run.json").write_text("{")
    analysis = analyze(folder)
    assert analysis.trials[0].window.duration_s == 1
    assert analysis.warnings[0].startswith("run.json is missing or damaged")
    assert not any("killed" in text for text in analysis.warnings)
    (folder / "samples.jsonl").write_text("")
    with pytest.raises(InputError):
        analyze(folder)


def test_interleaved_commands_are_compared_pair_by_pair(tmp_path: Path) -> None:
    """A drift that hits both alike cancels."""
    records, t_s = [], 0.0
    for index in range(6):
        length_s = (1.0 + 0.1 * (index // 2)) * (1.2 if index % 2 else 1.0)
        records += trial(t_s, t_s + length_s, index, "AB"[index % 2])
        t_s += length_s + 1
    analysis = analyze(write(tmp_path, records))
    assert analysis.b_over_a is not None
    assert analysis.b_over_a.mean == pytest.approx(0.2)
    assert analysis.b_over_a.error == pytest.approx(0, abs=1e-6)
    assert len(analysis.durations["A"].values) == 3


def test_outliers_are_kept_and_named() -> None:
    """In the values, in the mean, and in a list of their own."""
    values = [1.0, 1.01, 0.99, 1.02, 5.0]
    figures = spread(values)
    assert figures is not None
    assert figures.outliers == outliers(values) == (4,)
    assert figures.values == tuple(values)
    assert figures.mean == pytest.approx(sum(values) / 5)
    assert spread([]) is None
    assert paired([1.0], []) is None
    assert t_95(1) > t_95(30) > t_95(1000) > 1.96 - 1e-9


def test_the_analysis_is_json_without_nan(tmp_path: Path) -> None:
    """Infinite intervals and missing temperatures are null."""
    folder = write(tmp_path, [*trial(0, 1), gpu(0.5, math.nan, 1.0)])
    text = json.dumps(analyze(folder).to_json(), allow_nan=False)
    assert json.loads(text)["run"]["name"] == "made"


def test_the_boards_time_constant_comes_from_the_gpus_power(tmp_path: Path) -> None:
    """With a heat that comes and goes a step response would say nothing."""
    records: list[Any] = [*trial(0, 80)]
    temp_c, powers = 25.0, [300.0 if n // 150 % 2 else 40.0 for n in range(800)]
    for n, power_w in enumerate(powers):
        records.append(gpu(n / 10, power_w, 0.0))
        if n % 2 == 0:
            records.append(board_sample(n / 10, n // 2, temp_c=round(temp_c, 3), up_s=n / 10))
        temp_c += (25 + 0.02 * power_w - temp_c) * (1 - math.exp(-0.1 / 8.0))
    analysis = analyze(write(tmp_path, records))
    (board,) = (heat for heat in analysis.heat if heat.name == "board")
    assert board.fit is not None
    assert board.fit.tau_low_s <= 8.0 <= board.fit.tau_high_s
    assert board.fit.tau_s == pytest.approx(8.0, rel=0.05)
    assert board.fit.r_k_per_w == pytest.approx(0.02, rel=0.05)


def printed(t_s: float, phase: str | None = None, **detail: Any) -> HostEvent:
    """A mark that was printed, with what was written down of how it came."""
    named = {} if phase is None else {"phase": phase}
    return event(t_s, "mark", by="output", **{"values": {}, **named, **detail})


def read(gap_s: float, lines: int, phases: int, cut: bool = False) -> dict[str, Any]:
    """How a phase came."""
    return {"gap_s": gap_s, "lines": lines, "phases": phases, "cut": cut}


def times(analysis: Analysis) -> dict[str, float | None]:
    """The seconds of each phase, None where they are not known."""
    return {p.window.name: p.duration_s for p in analysis.phases}


def test_marks_that_came_in_one_piece_give_no_times(tmp_path: Path) -> None:
    """Two seconds and four, said as the command ends after six: what was counted stands."""
    came = read(5.98, 4, 2)
    records = [
        *trial(0, 6.04),
        printed(6.0, "prefill", values={"tokens": 2048.0}, read=came),
        printed(6.0, "decode", read=came),
        printed(6.0, values={"tokens": 64.0}),
        *[gpu(n / 10, 100.0, 10.0 * n) for n in range(61)],
    ]
    analysis = analyze(write(tmp_path, records))
    assert times(analysis) == {"prefill": None, "decode": None}
    assert [p.window.sums["tokens"] for p in analysis.phases] == [2048, 64]
    decode = analysis.to_json()["phases"][1]
    assert [decode[k] for k in ("start_s", "end_s", "duration_s", "tokens_per_s", "joules")] == [
        None
    ] * 5
    assert "one piece" in decode["untimed"]
    assert any("flush" in warning for warning in analysis.warnings)
    assert analysis.trials[0].tokens_per_s == pytest.approx(2112 / 6.04)
    text = "\n".join(terminal.lines(analysis))
    assert "64 tokens" in text
    assert "1e+0" not in text
    assert "0.040" not in text


@pytest.mark.parametrize(
    ("came", "end_s", "known"),
    [
        (read(2.0, 2, 1), 6.0, True),  # the last line of prefill, and the mark of decode
        (read(2.0, 1, 1, cut=True), 6.0, False),  # a buffer that was full: at any time since
        (read(0.1, 2, 2), 6.0, True),  # two at once, but no longer after than 2.5 % of 4 s
        (read(0.3, 2, 2), 6.0, False),  # 7.5 % of 4 s
        (read(2.0, 2, 1), 2.4, False),  # with another line, and the command ended 0.4 s later
        (read(2.0, 1, 1), 2.4, True),  # alone: a process with a buffer would have ended by then
        (read(2.0, 1, 1), 2.05, False),
        (read(0.002, 1, 1), 2.05, True),  # it came at most 2 ms late, of 50
    ],
)
def test_a_printed_phase_has_times_where_they_are_certain_to_a_twentieth(
    tmp_path: Path, came: dict[str, Any], end_s: float, known: bool
) -> None:
    records = [*trial(0, end_s), printed(2.0, "decode", read=came)]
    analysis = analyze(write(tmp_path, records))
    assert times(analysis) == {"decode": pytest.approx(end_s - 2.0) if known else None}


def test_a_doubtful_mark_takes_the_time_of_the_phase_before_it_too(tmp_path: Path) -> None:
    """Prefill was flushed; where it ended was not. What follows decode is certain again."""
    records = [
        *trial(0, 9),
        printed(1.0, "prefill", read=read(1.0, 1, 1)),
        printed(5.0, "decode", read=read(4.0, 3, 2)),
        printed(5.0, "empty", read=read(4.0, 3, 2)),
        printed(6.0, "last", read=read(1.0, 1, 1)),
    ]
    analysis = analyze(write(tmp_path, records))
    assert times(analysis) == {"prefill": None, "decode": None, "empty": None, "last": 3.0}


def test_a_run_of_before_is_judged_by_the_moments_of_its_marks(tmp_path: Path) -> None:
    """Nothing was written down of reads then: what has one stamp came in one."""
    records = [
        *trial(0, 6.04),
        printed(6.0, "prefill"),
        printed(6.0, "decode"),
        printed(6.0, values={"tokens": 64.0}),
    ]
    assert times(analyze(write(tmp_path / "late", records))) == {"prefill": None, "decode": None}
    records = [*trial(0, 6.0), printed(0.1, "prefill"), printed(2.0, "decode")]
    found = times(analyze(write(tmp_path / "good", records)))
    assert found == pytest.approx({"prefill": 1.9, "decode": 4.0})


def test_marks_of_the_library_have_their_own_clock_and_no_doubt(tmp_path: Path) -> None:
    records = [*trial(0, 1.0), mark(0.1, "a"), mark(0.101, "b"), mark(0.99, "c")]
    found = times(analyze(write(tmp_path, records)))
    assert found == pytest.approx({"a": 0.001, "b": 0.889, "c": 0.01})


def test_notes_that_were_added_up_count_as_the_lines_they_were(tmp_path: Path) -> None:
    """Tokens as their sum, a figure that is said as the mean over all lines."""
    many = {"values": {"tokens": 1.0, "token_s": 0.3}, "lines": 200}
    sums = {"sums": {"tokens": 500.0, "token_s": 40.0}, "counts": {"tokens": 200, "token_s": 200}}
    records = [
        *trial(0, 4),
        printed(0.0, "decode", read=read(0.0, 1, 1)),
        printed(1.0, **many, **sums),
        printed(2.0, values={"tokens": 100.0}),
        printed(2.0, values={"tokens": 100.0}),
    ]
    analysis = analyze(write(tmp_path, records))
    (decode,) = analysis.phases
    assert decode.window.sums["tokens"] == 700
    assert decode.tokens_per_s == 175
    assert [(s.start_s, s.end_s, s.tokens) for s in steps(decode.window)] == [
        (0, 1, 500),
        (1, 2, 200),
    ]
    assert _noted([decode], "token_s") == (
        pytest.approx(0.2),
        "said as token_s=, mean of 200",
    )


def test_what_was_left_out_is_said_beside_the_figures(tmp_path: Path) -> None:
    """Numbers of phases that came too fast count for the trial; runs of before left out lines."""
    records = [
        *trial(0, 4),
        printed(1.0, "a", read=read(0.5, 1, 1), values={"tokens": 5.0}),
        printed(2.0, phase_left_out=True, values={"tokens": 7.0}),
        printed(3.0, "b", read=read(0.5, 1, 1)),
    ]
    output = {"bytes": 0, "lost_bytes": 0, "lines_not_looked_at": 859, "phases_left_out": 12}
    analysis = analyze(write(tmp_path, records, output=output))
    assert times(analysis) == {"a": 1.0, "b": 1.0}
    assert analysis.phases[0].window.sums["tokens"] == 5
    assert analysis.trials[0].window.sums["tokens"] == 12
    assert any("12 phases" in warning for warning in analysis.warnings)
    assert any("859 lines" in warning for warning in analysis.warnings)
