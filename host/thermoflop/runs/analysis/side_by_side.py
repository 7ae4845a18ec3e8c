"""Two or more runs side by side, phase by phase: figures, differences with intervals, curves.

A phase that every run repeated, trial by trial, is compared by its repetitions; any other by blocks
of the first seconds that all have. The first run is the one that the others are held against.
Warm-ups, a second command (``record --vs``) and phases without times do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import attributes
from thermoflop.errors import InputError
from thermoflop.runs.analysis.difference import (
    BLOCKS,
    REPETITIONS,
    Difference,
    between_blocks,
    between_repetitions,
)
from thermoflop.runs.analysis.phases import Window
from thermoflop.runs.analysis.stretch import FIGURES, Stretch, Sums

if TYPE_CHECKING:
    from thermoflop.runs.analysis.figures import Analysis

WHOLE = "whole command"  # the name of all of a run, beside those of its phases
MAX_RUNS = 8
# Blocks, and readings or steps that they need: of the course that is taken off from many blocks,
# the same reading in several would be an error; of few, it shows as correlation.
_BLOCKS = ((32, 64), (16, 32), (8, 8), (4, 4))
_FEW_DEGREES = 10  # of freedom: fewer are told, for Student's t makes the interval wider


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of all runs; ``differences`` are from the first, whose own is None."""

    key: str
    name: str
    unit: str
    values: tuple[float | None, ...]
    differences: tuple[Difference | None, ...]

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        apart = [None if each is None else each.to_json() for each in self.differences]
        return {**attributes(self, "key", "name", "unit", "values"), "differences": apart}


@dataclass(frozen=True, slots=True)
class PhaseComparison:
    """One phase of all runs: over ``length_s`` of each, or over the repetitions, if those count;
    the longest run has ``longest_s`` of it, one repetition after the other."""

    phase: str
    length_s: float
    repetitions: tuple[int, ...]  # of each run
    rows: tuple[Row, ...]
    longest_s: float = 0.0

    @property
    def is_repeated(self) -> bool:
        """Whether the spread is that between repetitions."""
        return min(self.repetitions) > 1

    def row(self, key: str) -> Row | None:
        """The row of a figure, if the runs have it."""
        return next((row for row in self.rows if row.key == key), None)

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        rows = [row.to_json() for row in self.rows]
        return {**attributes(self, "phase", "length_s", "repetitions"), "rows": rows}


def phases_of_all(runs: Sequence[Analysis]) -> list[str]:
    """The phases that every run has with times, the longest first; then ``WHOLE``."""
    lengths = [_lengths(analysis) for analysis in runs]
    common = [name for name in lengths[0] if all(name in each for each in lengths[1:])]
    return [*sorted(common, key=lambda name: -lengths[0][name]), WHOLE]


def windows_of(analysis: Analysis, phase: str) -> list[Window]:
    """The windows of a phase that count, in order of time; of ``WHOLE`` the trials."""
    rows = analysis.trials if phase == WHOLE else analysis.phases
    windows = [row.window for row in rows if phase == WHOLE or row.window.name == phase]
    if phase == WHOLE and not windows:  # a log: no command, and the recording is one stretch
        windows = [Window(WHOLE, 0.0, analysis.data.end_s, 0)]
    return [w for w in windows if w.counts and not w.untimed and w.end_s > w.start_s]


def compare_phase(runs: Sequence[Analysis], phase: str) -> PhaseComparison:
    """Compare one phase of these runs, the first of them with each other one.

    Args:
        runs: 2 to 8 analysed runs.
        phase: a name of ``phases_of_all``.

    Returns:
        Figures that at least two of the runs have, and their differences.

    Raises:
        InputError: a run has no such phase.
    """
    windows = [windows_of(analysis, phase) for analysis in runs]
    for analysis, each in zip(runs, windows, strict=True):
        if not each:
            known = ", ".join(phases_of_all(runs))
            raise InputError(f"run {analysis.data.name!r} has no phase {phase!r}: all have {known}")
    trials = [by_trial(each) for each in windows]
    repetitions = tuple(len(each) for each in trials)
    lengths_s = [sum(w.end_s - w.start_s for w in each) for each in windows]
    length_s = min(lengths_s)
    if min(repetitions) > 1:
        rows = _of_repetitions(runs, trials)
    else:
        rows = _of_blocks(runs, windows, length_s)
    seconds = [[sum(w.duration_s for w in each) for each in mine] for mine in trials]
    rows.append(_row(("seconds", "seconds it took", "s"), seconds))
    return PhaseComparison(phase, length_s, repetitions, tuple(rows), max(lengths_s))


def _lengths(analysis: Analysis) -> dict[str, float]:
    lengths: dict[str, float] = {}
    for row in analysis.phases:
        if row.window in windows_of(analysis, row.window.name):
            lengths[row.window.name] = lengths.get(row.window.name, 0.0) + row.window.duration_s
    return lengths


def by_trial(windows: Sequence[Window]) -> list[list[Window]]:
    """The windows of each trial."""
    trials: dict[int, list[Window]] = {}
    for window in windows:
        trials.setdefault(window.trial, []).append(window)
    return list(trials.values())


_PEAK = ("peak_c", "hottest in the phase", "°C")  # the run's own peak may lie outside
_MEAN_PEAK = ("peak_c", "hottest in the phase, mean", "°C")


def _of_repetitions(
    runs: Sequence[Analysis], trials: Sequence[Sequence[Sequence[Window]]]
) -> list[Row]:
    stretches = [
        [Stretch(analysis, each, sum(w.end_s - w.start_s for w in each), 1) for each in mine]
        for analysis, mine in zip(runs, trials, strict=True)
    ]
    sums = [[each.sums() for each in mine] for mine in stretches]
    rows = []
    for key, name, unit, times in FIGURES:
        values = [[times * one[key].figure for one in mine if key in one] for mine in sums]
        step = max((one[key].step for mine in sums for one in mine if key in one), default=0.0)
        rows.append(_row((key, name, unit), values, step))
    peaks = _peaks(stretches)
    step = max((each[1] for mine in peaks for each in mine), default=0.0)
    rows.insert(1, _row(_MEAN_PEAK, [[each[0] for each in mine] for mine in peaks], step))
    return [row for row in rows if _are_several(row.values)]


def _peaks(stretches: Sequence[Sequence[Stretch]]) -> list[list[tuple[float, float]]]:
    """Each run's peaks, all of GPUs where one has any: a board is never set against a GPU."""
    of_gpus = any(each.own_temps for mine in stretches for each in mine)
    return [[peak for each in mine if (peak := each.peak(of_gpus=of_gpus))] for mine in stretches]


def _of_blocks(
    runs: Sequence[Analysis], windows: Sequence[Sequence[Window]], length_s: float
) -> list[Row]:
    stretches = [
        Stretch(analysis, each, length_s, _BLOCKS[0][0])
        for analysis, each in zip(runs, windows, strict=True)
    ]
    sums = [each.sums() for each in stretches]
    rows = []
    for key, name, unit, times in FIGURES:
        known = [each.get(key) for each in sums]
        if _are_several(known):
            values = tuple(None if each is None else times * each.figure for each in known)
            apart = tuple(_blocks_apart(known[0], each, times, length_s) for each in known[1:])
            rows.append(Row(key, name, unit, values, (None, *apart)))
    peaks = _peaks([[each] for each in stretches])
    peak_row = _row(_PEAK, [[each[0] for each in mine] for mine in peaks])
    return [*rows[:1], peak_row, *rows[1:]] if _are_several(peak_row.values) else rows


def _are_several(values: Sequence[object]) -> bool:
    """Whether more than one run has a figure."""
    return sum(value is not None for value in values) > 1


def _blocks_apart(
    a: Sums | None, b: Sums | None, times: float, length_s: float
) -> Difference | None:
    if a is None or b is None:
        return None
    n = min(a.n, b.n)
    blocks = next((k for k, least in _BLOCKS if n >= least and a.fills(k) and b.fills(k)), 0)
    if not blocks:
        return Difference(times * (b.figure - a.figure), None, BLOCKS, _too_few(n, length_s))
    apart = between_blocks(a.merged(blocks), b.merged(blocks), max(a.step, b.step))
    error = None if apart.error is None else times * apart.error
    why = apart.why and (apart.why if n >= _BLOCKS[1][1] else _drifting(n, length_s))
    return replace(apart, value=times * apart.value, error=error, why=why)


def _too_few(n: int, length_s: float) -> str:
    """What would tell: more seconds at this rate of readings, or repetitions."""
    if n < 2:
        return "one value a run: record with -n 5"
    if n >= _BLOCKS[-1][1]:
        return "values are of a part of the time: record -n 5 would tell"
    longer_s = length_s * _BLOCKS[-1][1] / n
    return (
        f"{n} values in {length_s:.2g} s are too few: {longer_s:.2g} s or longer, "
        "or record -n 5, would tell"
    )


def _drifting(n: int, length_s: float) -> str:
    """The same where values were enough, but each is like the one before it."""
    return (
        f"its {n} values in {length_s:.2g} s drift: {2 * length_s:.2g} s or longer, or record "
        "-n 5, would tell"
    )


def _row(about: tuple[str, str, str], values: Sequence[Sequence[float]], step: float = 0.0) -> Row:
    """Of values of each repetition, which some runs may not have."""
    apart = tuple(
        between_repetitions(values[0], each, step) if values[0] and each else None
        for each in values[1:]
    )
    means = tuple(fmean(each) if each else None for each in values)
    return Row(*about, means, (None, *apart))


def extent(comparison: PhaseComparison) -> str:
    """What of the phase the figures are of, and why a list of runs may have others."""
    if comparison.is_repeated:
        return "means of the repetitions"
    row = ", repetitions in a row" if max(comparison.repetitions) > 1 else ""
    of = f"over the first {comparison.length_s:.4g} s{row}, which all have"
    whole = comparison.longest_s < 1.005 * comparison.length_s
    return of if whole else f"{of}; lists and reports count all of each run"


def how(comparison: PhaseComparison) -> str:
    """What the intervals of a comparison are made of, in a sentence or two."""
    if comparison.is_repeated:
        counts = " and ".join(map(str, dict.fromkeys(comparison.repetitions)))
        return (
            f"Noise is the spread between repetitions ({counts} of each), as a 95 % interval of "
            "the difference of their means (Welch 1947)."
        )
    few: dict[int, list[str]] = {}
    for row in comparison.rows:
        known = [each.degrees for each in row.differences if each is not None and each.degrees]
        if known and min(known) < _FEW_DEGREES:
            few.setdefault(min(known), []).append(row.name.partition(",")[0])
    told = "; ".join(f"{degrees} of {', '.join(names)}" for degrees, names in sorted(few.items()))
    return (
        "Noise is the spread within each run, between blocks at the same time since the phase's "
        "start, with their correlation, as a 95 % interval of the difference (batch means, "
        "Schmeiser 1982). "
        + (f"It is wide where degrees of freedom are few: {told}. " if told else "")
        + f"Whether another run of the same command would differ as much, only {REPETITIONS} tell: "
        "thermoflop record -n 5."
    )
