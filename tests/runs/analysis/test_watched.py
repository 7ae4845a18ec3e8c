"""What was read in a part of a run is told as that: peaks, throttling, power, the board's figures.

A trial of 20 s, whose GPUs are read ten times a second, but for the times that a test takes out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from kit.run_folder import START_S, WALL_S, board_sample, event, mark, trial, write
from thermoflop.report.html.page import page
from thermoflop.report.html.tables import hottest, throttled
from thermoflop.report.markdown import markdown
from thermoflop.report.terminal import side_by_side
from thermoflop.report.terminal.terminal import lines
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.analysis.figures import Analysis
from thermoflop.runs.analysis.row import row_of
from thermoflop.runs.folder.records import Record
from thermoflop.runs.gpu.sample import GpuSample

END_S = 20.0
TOO_HOT = 0x20  # NVML's bit of a clock lowered by heat


def read(
    unread: Sequence[tuple[float, float]] = (),
    gpu: int = 0,
    reasons: Callable[[float], int] = lambda _: 0,
    every_s: float = 0.1,
) -> list[Record]:
    """Readings of a GPU at 300 W, at 50 °C and a tenth more each second."""
    at_s = [n * every_s - 0.5 for n in range(round((END_S + 1) / every_s) + 1)]
    return [
        GpuSample(START_S + t, WALL_S + t, gpu, temp_c=50 + t / 10, power_w=300.0,
                  sm_mhz=1980.0, reasons=reasons(t))
        for t in at_s
        if not any(from_s < t < to_s for from_s, to_s in unread)
    ]  # fmt: skip


def recorded(out: Path, *records: Record) -> Analysis:
    """A trial with a token every tenth of a second, in one phase."""
    notes = [mark((n + 1) / 10 - 0.01, tokens=1) for n in range(round(10 * END_S))]
    return analyze(write(out, [*trial(0, END_S), mark(0, "decode"), *notes, *records]))


def test_that_nothing_throttled_is_said_of_the_time_that_was_watched(tmp_path: Path) -> None:
    """The GPU was lost from 5 to 15 s: of 20 s 10 are known, by every page."""
    analysis = recorded(tmp_path, *read([(5.01, 14.99)]))
    html, text = page([analysis]), "\n".join(lines(analysis))
    note = "GPU 0 was watched in 10.0 of 20.0 s: its temperatures and throttling are of that time"
    assert all(note in shown for shown in (html, text, markdown(analysis)))
    assert "nothing: no GPU throttled in the 10.0 of 20.0 s watched" in html
    assert "hottest was GPU 0 with 52.0 °C in 10.0 of 20.0 s" in html
    assert "of 10.0 of 20.0 s watched a GPU throttled" in html
    assert hottest(analysis.trials[0]) == "≥ 52.0"
    seen = json.loads(json.dumps(analysis.to_json()))["watched"]["GPU 0"]
    assert seen == {
        "seen_s": pytest.approx(10),
        "of_s": pytest.approx(END_S),
        "is_whole": False,
    }


def test_a_gpu_that_was_read_all_the_time_has_no_such_words(tmp_path: Path) -> None:
    """Nor one that missed a reading or two."""
    analysis = recorded(tmp_path, *read([(5.01, 5.29)]))
    assert analysis.warnings == []
    assert "watched" not in page([analysis]).split("<footer>")[0].split("run.json")[0]
    assert hottest(analysis.trials[0]) == "52.0"


def test_a_gpu_that_was_never_read_leaves_the_peak_open(tmp_path: Path) -> None:
    """The command could use GPU 1, which gave nothing."""
    notes = [*trial(0, END_S), *read()]
    analysis = analyze(write(tmp_path, notes, gpu={"own": [0, 1], "own_from": "asked"}))
    assert hottest(analysis.trials[0]) == "≥ 52.0"
    assert analysis.throttling_watched is not None
    assert analysis.throttling_watched.seen_s == 0


def test_time_throttled_is_a_share_and_of_a_part_at_least_that(tmp_path: Path) -> None:
    """Too hot for the first 10 s of 20; seen for 5 s, and nobody knows how often besides."""
    whole = recorded(tmp_path / "a", *read(reasons=lambda t: TOO_HOT * (t < 9.95)))
    part = recorded(tmp_path / "b", *read([(5.01, 14.99)], reasons=lambda t: TOO_HOT * (t < 9.95)))
    assert throttled(whole.trials[0]) == "50 %"
    assert throttled(part.trials[0]) == "≥ 25 %"


def test_the_share_on_top_is_of_the_time_that_its_own_gpu_was_watched(tmp_path: Path) -> None:
    """GPU 0 was, all the time, and throttled for half of it; GPU 1 was watched for 5 s."""
    hot = read(reasons=lambda t: TOO_HOT * (t < 9.95))
    html = page([recorded(tmp_path, *hot, *read([(5.01, 99)], gpu=1))])
    assert "<b>50.0 %</b><span>of the time a GPU throttled" in html


def test_a_list_of_runs_has_no_share_throttled_of_a_part(tmp_path: Path) -> None:
    """0 % of the 10 s that were read is not 0 % of 20 s; a run read all the time has it."""
    whole = recorded(tmp_path / "a", *read())
    part = recorded(tmp_path / "b", *read([(5.01, 14.99)]))
    assert row_of(whole.data.folder).throttled == 0.0
    assert row_of(part.data.folder).throttled is None


def test_a_gpu_that_is_read_seldom_does_not_stretch_another_ones_readings(tmp_path: Path) -> None:
    """One reading in 10 s is GPU 1's way; the 8 s that GPU 0 was lost are not throttled."""
    lost = read([(5.01, 12.99)], reasons=lambda t: TOO_HOT * (t < 5.05))
    slow = read(gpu=1, every_s=10.0)
    analysis = recorded(tmp_path, *lost, *slow)
    assert analysis.seconds_by_reason == {"sw_thermal": pytest.approx(5.0, abs=0.11)}


def test_the_power_of_a_gpu_that_died_is_not_added_on(tmp_path: Path) -> None:
    """GPU 1 drew 300 W when it was read last, at 5 s: nobody knows what both drew together."""
    both = recorded(tmp_path / "a", *read(), *read(gpu=1))
    one = recorded(tmp_path / "b", *read(), *read([(5.01, 99)], gpu=1))
    text = "\n".join(side_by_side.lines([both, one]))
    assert "GPU power, mean" not in text
    assert "time throttled" not in text
    assert "GPU 1 was watched in 5.0 of 20.0 s" in text
    again = recorded(tmp_path / "c", *read(), *read(gpu=1))
    alike = side_by_side.to_json([both, again], "decode")
    power = next(row for row in alike["phases"][0]["rows"] if row["key"] == "power_w")
    assert power["values"] == (pytest.approx(600), pytest.approx(600))
    assert alike["of_part"] == {}


def test_a_board_that_was_unplugged_is_told_with_the_time_that_it_was_heard(
    tmp_path: Path,
) -> None:
    """From 5.9 to 14 s there is no sample: 5.9 + 6 s are left."""
    heard = [n for n in range(205) if not 60 <= n < 140]
    samples = [board_sample(n / 10, n, up_s=100 + n / 10) for n in heard]
    analysis = recorded(tmp_path, *samples)
    note = "the board gave temperatures in 11.9 of 20.0 s: they are of that time"
    assert note in analysis.warnings


def test_time_in_which_the_command_was_stopped_is_not_missed(tmp_path: Path) -> None:
    """From 5 to 15 s neither ran: 10 s of 10."""
    stop = [event(5, "paused"), event(15, "continued")]
    analysis = recorded(tmp_path, *stop, *read([(5.01, 14.99)]))
    assert analysis.watched["GPU 0"].is_whole
    assert analysis.watched["GPU 0"].of_s == pytest.approx(10)


def test_values_of_a_part_of_the_time_are_not_called_too_few(tmp_path: Path) -> None:
    """150 readings are enough; that they lie in the first 15 s is what is wrong."""
    both = [
        recorded(tmp_path / name, *read(unread)) for name, unread in (("a", ()), ("b", [(5, 99)]))
    ]
    text = "\n".join(side_by_side.lines(both))
    assert "values are of a part of the time: record -n 5 would tell" in text
    assert "are too few" not in text


def test_samples_of_a_board_stand_where_they_came_after_a_machine_has_slept(tmp_path: Path) -> None:
    """It slept at 10 s for ten minutes of the board's clock: 40 °C are of the first phase alone."""
    samples = [
        board_sample(n / 10, n + 6000 * (n >= 100), up_s=n / 10 + 600 * (n >= 100),
                     temp_c=40.0 if n < 100 else 30.0)
        for n in range(200)
    ]  # fmt: skip
    marks = [mark(0, "before"), mark(10, "after")]
    analysis = analyze(write(tmp_path, [*trial(0, 19.9), *marks, *samples]))
    assert [phase.max_board_c for phase in analysis.phases] == [40.0, 30.0]
    assert analysis.to_json()["clock_error_s"] is None
    assert any("went apart, as when a machine sleeps" in said for said in analysis.warnings)


def test_a_board_whose_sensor_failed_gave_temperatures_for_the_rest(tmp_path: Path) -> None:
    """From 5 to 15 s there was none: a highest one of 25 °C is of the other 10 s, less a step."""
    samples = [
        board_sample(n / 10, n, up_s=100 + n / 10, temp_c=None if 50 < n < 150 else 25.0)
        for n in range(205)
    ]
    analysis = recorded(tmp_path, *samples)
    note = "the board gave temperatures in 10.0 of 20.0 s: they are of that time"
    assert note in analysis.warnings


def test_a_mean_temperature_is_that_of_the_time_and_not_of_the_readings(tmp_path: Path) -> None:
    """40 °C for 10 s in 100 readings, 80 °C for 10 s in 8: 60 °C, where the readings mean 43; a
    board that spoke ten times a second at 20 °C and once a second at 40 °C was at 30."""
    often = [GpuSample(START_S + n / 10, WALL_S, 0, temp_c=40.0) for n in range(100)]
    seldom = [GpuSample(START_S + 10 + 10 * n / 7, WALL_S, 0, temp_c=80.0) for n in range(8)]
    spoken = [
        *(board_sample(n / 10, n, up_s=100 + n / 10, temp_c=20.0) for n in range(100)),
        *(board_sample(10 + n, 100 + n, up_s=110 + n, temp_c=40.0) for n in range(11)),
    ]
    heat = {each.name: each for each in recorded(tmp_path, *often, *seldom, *spoken).heat}
    assert heat["GPU 0"].mean_c == pytest.approx(60, abs=0.1)
    assert heat["board"].mean_c == pytest.approx(30, abs=0.1)


def test_a_rate_that_is_compared_is_of_the_time_in_which_the_command_ran(tmp_path: Path) -> None:
    """200 tokens in 20 s, of which it was stopped for 10: 20 a second, as its report says."""
    stop = [event(5, "paused"), event(15, "continued")]
    both = [recorded(tmp_path / name, *more) for name, more in (("a", stop), ("b", []))]
    told = side_by_side.to_json(both, "decode")["phases"][0]["rows"]
    rates = next(row for row in told if row["key"] == "tokens_per_s")["values"]
    assert rates == (pytest.approx(20, rel=0.01), pytest.approx(10, rel=0.01))
    assert both[0].phases[0].tokens_per_s == pytest.approx(20, rel=0.01)


def test_a_list_has_no_energy_of_a_token_where_one_trial_has_none(tmp_path: Path) -> None:
    """The GPU was lost in the second of two; the mean of those that are known is not the run's."""
    trials = [*trial(0, 5), *trial(10, 15, 1)]
    marks = [mark(1, tokens=10), mark(11, tokens=10)]
    whole = write(tmp_path / "a", [*trials, *marks, *read()])
    part = write(tmp_path / "b", [*trials, *marks, *read([(12.01, 99)])])
    assert row_of(whole).joules_per_token == pytest.approx(150)  # 300 W x 5 s of 10 tokens
    assert row_of(part).joules_per_token is None


def test_what_a_gpu_does_between_the_trials_is_none_of_their_time_throttled(tmp_path: Path) -> None:
    """Two trials of 4 s; a GPU that was too hot from 2 to 13 s throttled for 2 s of the first one
    and for 1 s of the second: 3 of 8 s, and no second of the cool-down between them."""
    trials = [*trial(0, 4), *trial(12, 16, 1)]
    hot = read(reasons=lambda t: TOO_HOT * (1.95 < t < 12.95))
    folder = write(tmp_path, [*trials, *hot])
    analysis = analyze(folder)
    assert analysis.seconds_by_reason == {"sw_thermal": pytest.approx(3)}
    assert analysis.throttled_share == {0: pytest.approx(3 / 8)}
    assert row_of(folder).throttled == pytest.approx(3 / 8)


def test_of_a_recording_without_a_command_all_of_the_time_counts(tmp_path: Path) -> None:
    """A log of 21 s, too hot for the first 10.5 of them."""
    folder = write(tmp_path, read(reasons=lambda t: TOO_HOT * (t < 9.95)))
    assert analyze(folder).throttled_share == {0: pytest.approx(0.5)}


def test_a_gpu_that_cooled_down_before_a_command_is_not_the_hotter_for_it(tmp_path: Path) -> None:
    """90 °C until the command began at 5 s, 70 °C in it, 75 °C right after it ended."""
    samples = [
        GpuSample(START_S + n / 10, WALL_S, 0,
                  temp_c=90.0 if n < 50 else 70.0 if n < 150 else 75.0)
        for n in range(160)
    ]  # fmt: skip
    folder = write(tmp_path, [*trial(5, 15), *samples])
    analysis = analyze(folder)
    assert row_of(folder).peak_c == 75.0
    assert "hottest was GPU 0 with 75.0 °C" in page([analysis])
    assert analysis.heat[0].max_c == 90.0
