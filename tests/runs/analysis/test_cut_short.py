"""A trial that crashed is no repetition, and what goes on after a command's end is none of it.

A good trial makes 1,000 tokens in 10 s at 300 W: 100 tokens/s, 3 J a token.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.run_folder import event, mark, readings, trial, write
from thermoflop.report.html.page import page
from thermoflop.report.html.tables import windows
from thermoflop.report.terminal.terminal import lines
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.analysis.figures import Analysis
from thermoflop.runs.analysis.row import row_of
from thermoflop.runs.analysis.side_by_side import windows_of
from thermoflop.runs.folder.records import Record

GOOD_S, CRASH_S = 10.0, 1.0


def tried(from_s: float, index: int, code: int | None = 0, variant: str = "A") -> list[Record]:
    """A trial with its tokens; one that fails does so after 1 s and 5 tokens."""
    to_s = from_s + (GOOD_S if code == 0 else CRASH_S)
    start, end = trial(from_s, to_s, index, variant)
    ends = [end] if code == 0 else []
    if code:
        ends = [event(to_s, "child_end", trial=index, exit_code=code, signal=None)]
    made = mark(to_s - 0.01, tokens=1000 if code == 0 else 5)
    return [start, mark(from_s, "decode"), made, *ends]


def thrice(out: Path, code: int | None) -> Path:
    """Two good trials and a third one."""
    ended = {"end": "done"} if code is not None else None
    records = [*tried(0, 0), *tried(11, 1), *tried(22, 2, code), *readings(-0.5, 23.0, 50, 300)]
    return write(out, records, ended=ended)


@pytest.mark.parametrize("code", [1, 139, None])
def test_a_trial_that_crashed_is_part_of_no_mean(tmp_path: Path, code: int | None) -> None:
    """Three of 10, 10 and 1 s had a mean of 7 s, and of 3, 3 and 60 J a token one of 22."""
    folder = thrice(tmp_path, code)
    analysis, row = analyze(folder), row_of(folder)
    assert analysis.durations["A"].values == (GOOD_S, GOOD_S)
    assert (row.tokens_per_s, row.decode_tokens_per_s) == (pytest.approx(100), pytest.approx(100))
    assert row.joules_per_token == pytest.approx(3.0, rel=0.01)
    assert [window.trial for window in windows_of(analysis, "decode")] == [0, 1]
    assert "10 s of time (mean of 2) and 3 kJ of its GPUs each time" in page([analysis])


@pytest.mark.parametrize(
    ("code", "said"), [(139, "trial 2 ended with exit code 139"), (None, "trial 2 has no end")]
)
def test_a_trial_that_is_part_of_no_mean_is_told(
    tmp_path: Path, code: int | None, said: str
) -> None:
    """With what became of it."""
    assert f"{said}: no part of means" in analyze(thrice(tmp_path, code)).warnings


def test_a_command_that_only_failed_has_figures_until_then(tmp_path: Path) -> None:
    """5 tokens in 1 s; the terminal names the exit code too."""
    analysis = analyze(write(tmp_path, tried(0, 0, 3)))
    assert analysis.durations["A"].values == (CRASH_S,)
    text = "\n".join(lines(analysis))
    assert "1.000 s, 5 tokens/s, exit code 3" in text
    assert "trial 0 ended with exit code 3: figures are of what it did until then" in text


def test_a_second_command_that_crashed_is_not_faster(tmp_path: Path) -> None:
    """A took 10 s, and B crashed after 1 s: that is no 90 % less."""
    records = [*tried(0, 0), *tried(11, 1, 1, "B")]
    assert analyze(write(tmp_path, records)).b_over_a is None


def test_a_round_in_which_a_command_crashed_pairs_no_others(tmp_path: Path) -> None:
    """A 1, 9 (crashed) and 4 s, B 2, 2 and 4 s: twice as long in the first round, as long in the
    last."""
    lasted = [("A", 1, 0), ("B", 2, 0), ("A", 9, 1), ("B", 2, 0), ("A", 4, 0), ("B", 4, 0)]
    records, at_s = list[Record](), 0.0
    for index, (variant, length_s, code) in enumerate(lasted):
        start = trial(at_s, at_s + length_s, index, variant)[0]
        records += [start, event(at_s + length_s, "child_end", trial=index, exit_code=code)]
        at_s += length_s + 1
    ratio = analyze(write(tmp_path, records)).b_over_a
    assert ratio is not None
    assert ratio.values == pytest.approx((1.0, 0.0))


def test_phases_of_a_trial_that_crashed_are_gathered_apart(tmp_path: Path) -> None:
    """Many phases make one row for each name; those cut short have one of their own."""
    records = [r for n in range(12) for r in tried(11 * n, n)]
    analysis = analyze(write(tmp_path, [*records, *tried(132, 12, 1)]))
    assert "decode, failed" in windows(analysis.phases, phases=True)


def left_behind(out: Path, went_on_s: float) -> Analysis:
    """A command that ends at 2 s; what it left behind makes 10 tokens each half second."""
    start, end = trial(0, 2)
    notes = [mark(0.25 + n / 2, tokens=10) for n in range(int(2 * (2 + went_on_s)))]
    who = {"trial": 0, "variant": "A", "warmup": False, "left_behind": 1}
    last = event(2 + went_on_s, "trial_end", **who)
    return analyze(write(out, [start, mark(0, "decode"), *notes, end, last]))


def test_tokens_of_processes_left_behind_are_not_divided_by_the_commands_time(
    tmp_path: Path,
) -> None:
    """4 x 10 tokens in 2 s are 20 a second; 36 x 10 more came in 18 s that are none of it."""
    analysis = left_behind(tmp_path, 18.0)
    assert analysis.trials[0].tokens_per_s == pytest.approx(20)
    assert analysis.phases[0].tokens_per_s == pytest.approx(20)
    (warning,) = analysis.warnings
    assert warning == (
        "trial 0 left processes behind, which went on for 18.0 s: figures are of the 2.0 s before, "
        "without 360 tokens noted later"
    )


def test_a_process_that_goes_at_once_is_not_told(tmp_path: Path) -> None:
    """As a pool's workers do."""
    assert left_behind(tmp_path, 0.05).warnings == []


def test_output_that_is_read_late_counts_where_nobody_was_left_behind(tmp_path: Path) -> None:
    """The pipe's last line, half a second after the end."""
    start, end = trial(0, 2)
    analysis = analyze(write(tmp_path, [start, end, mark(2.5, tokens=40)]))
    assert analysis.trials[0].tokens_per_s == pytest.approx(20)
