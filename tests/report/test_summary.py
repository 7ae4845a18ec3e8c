"""The figures of a run, each held to its definition."""

from __future__ import annotations

import pytest
from kit.board_lines import introduction, sample_line
from thermoflop.pico.track import Counters, Tracker
from thermoflop.pico.wire import Sample, decode
from thermoflop.report.summary import _clock, duration, losses, summarize, summary_lines
from thermoflop.runs.summary import Summarizer, Summary


def figures(*lines: bytes, on_c: float | None = 29.0) -> Summary:
    """The summary of samples."""
    summarizer = Summarizer()
    for line in lines:
        message = decode(line[:-1])
        assert isinstance(message, Sample)
        summarizer.add(message)
    return summarizer.summary(on_c, None if on_c is None else on_c - 1)


def test_the_mean_is_weighted_by_time() -> None:
    """One second at 20 and three at 40 is 35, however many samples say so."""
    summary = figures(
        sample_line(0, temp_c=20.0, up_s=1.0),
        sample_line(1, temp_c=40.0, up_s=2.0),
        sample_line(2, temp_c=40.0, up_s=4.0),
        sample_line(3, temp_c=99.0, up_s=5.0),
    )
    assert (summary.min_c, summary.mean_c, summary.max_c) == (20.0, pytest.approx(35.0), 99.0)
    assert summary.above_s == pytest.approx(3.0)


def test_time_without_samples_belongs_to_no_figure() -> None:
    """A gap is counted as a gap."""
    summary = figures(
        sample_line(0, fan=1, up_s=1.0), sample_line(1, up_s=2.0), sample_line(9, up_s=10.0)
    )
    assert (summary.watched_s, summary.gap_s) == (pytest.approx(1.0), pytest.approx(8.0))
    assert summary.fan_duty == 1.0


def test_an_invalid_sample_counts_as_time_without_a_reading() -> None:
    """It moves no mean and no minimum."""
    summary = figures(
        sample_line(0, temp_c=None, up_s=1.0),
        sample_line(1, temp_c=30.0, up_s=3.0),
        sample_line(2, temp_c=30.0, up_s=4.0),
    )
    assert (summary.invalid_s, summary.mean_c) == (pytest.approx(2.0), pytest.approx(30.0))
    assert summary.valid_samples == 2


def test_a_reboot_is_no_switch_and_no_time() -> None:
    """Nothing is known between two boots."""
    summary = figures(
        sample_line(0, "aaaaaa", fan=1, up_s=1.0),
        sample_line(1, "aaaaaa", fan=0, up_s=2.0),
        sample_line(0, "bbbbbb", fan=1, up_s=0.2),
    )
    assert summary.fan_switches == 1
    assert summary.watched_s == pytest.approx(1.0)


def test_the_setpoint_may_become_known_late() -> None:
    """A board joined in mid-run states its settings within a minute."""
    tracker = Tracker()
    tracker.opened()
    items = [
        item for n in range(10) for item in tracker.feed(sample_line(n, temp_c=29.5), 0.2 * n, 0.0)
    ]
    items += tracker.feed(introduction(), 2.0, 0.0)
    summary = summarize(items)
    assert (summary.on_c, summary.off_c) == (29.0, 28.0)
    assert summary.above_s == pytest.approx(1.8)


def test_no_sample_is_no_figure() -> None:
    """None, never zero."""
    summary = figures(on_c=None)
    assert summary.mean_c is None
    assert summary.fan_duty is None
    assert summary.above_s is None
    assert summary_lines(summary, Counters().to_json(), [])


def test_losses_are_said_in_words() -> None:
    """Each kind by name; none is said, too."""
    counters = Counters(gaps=1, gap_samples=3, board_drops=1, bad={"crc": 2}, reboots=1)
    assert losses(counters.to_json()) == (
        "2 samples lost, 1 dropped by the board, 1 gap, 2 bad lines, 1 reboot (wrong checksum 2)"
    )
    assert losses(Counters().to_json()) == "none"


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.54, "9.5 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    """In the largest fitting units."""
    assert duration(seconds) == text


@pytest.mark.parametrize("wrong_up_s", [99999.0, 9e9, 63.0])
def test_a_stamp_that_no_board_has_made_is_no_time(wrong_up_s: float) -> None:
    """A sample comes every 60 s at least: of ten seconds of samples two are not known."""
    lines = [sample_line(n, up_s=n if n != 5 else wrong_up_s + 5) for n in range(11)]
    summary = figures(*lines)
    assert (summary.watched_s, summary.gap_s, summary.samples) == (8.0, 0.0, 11)


def test_clocks_that_no_line_joins_have_no_speed() -> None:
    """A machine that slept for ten minutes is not one seventh as fast as the board."""
    clock = {"error_s": 58.3, "drift_ppm": 6e6, "apart": True}
    assert "times the speed" not in _clock([clock])
    assert "went apart" in _clock([clock])
    assert "at 7 times the speed" in _clock([{"error_s": 0.003, "drift_ppm": 6e6}])
