"""Several runs side by side as lines for a terminal: the answer, the table, what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thermoflop.base.paper import fitted
from thermoflop.base.units import table
from thermoflop.report.messages import visible
from thermoflop.report.verdict import (
    DASH,
    NOISE,
    ONE_IN_TWENTY,
    REAL,
    UNKNOWN,
    describe,
    figure,
    judge,
    sentences,
)
from thermoflop.runs.analysis.coverage import of_part
from thermoflop.runs.analysis.data import simulated
from thermoflop.runs.analysis.settings import differing, distinct_names
from thermoflop.runs.analysis.side_by_side import compare_phase, extent, how, phases_of_all

_IN_NAMES = ("tokens/s", "s")  # units that the figures' names say
_SHORT = {REAL: "yes", NOISE: "no", UNKNOWN: "not known", DASH: DASH}

if TYPE_CHECKING:
    from thermoflop.runs.analysis.figures import Analysis
    from thermoflop.runs.analysis.side_by_side import PhaseComparison


def lines(runs: Sequence[Analysis], phase: str | None = None) -> list[str]:
    """The comparison of one phase.

    Args:
        runs: 2 to 8 analysed runs; the others are held against the first.
        phase: a phase that all have, or "whole command"; None takes the longest that all have.

    Returns:
        Sentences, a table for each run but the first, and the settings that differ.

    Raises:
        InputError: not every run has the phase.
    """
    names, known = _names(runs), phases_of_all(runs)
    comparison = compare_phase(runs, phase or known[0])
    others = [name for name in known if name != comparison.phase]
    parts = [f"{visible(comparison.phase)}, {extent(comparison)}", ""]
    parts += [visible(text) for text in sentences(comparison, names)]
    parts += [
        f"{visible(name)}: {visible(said)} simulated, which is no measurement"
        for name, said in _simulated(runs, names).items()
    ]
    parts += [visible(f"{name}: {text}") for name, each in _parts(runs).items() for text in each]
    for n in range(1, len(runs)):
        parts += [
            "",
            table(_rows(comparison, names, n), least=(visible(names[0]), visible(names[n]))),
        ]
    parts += ["", f"{how(comparison)} {ONE_IN_TWENTY}", ""]
    parts += _differing(runs, names)
    if others:
        parts.append(f"other phases (--phase): {visible(', '.join(others))}")
    return [fitted(part) if "\n" not in part else part for part in parts]


def to_json(runs: Sequence[Analysis], phase: str | None = None) -> dict[str, Any]:
    """The same as plain values: of every phase, or of the one that is asked for."""
    phases = [phase] if phase else phases_of_all(runs)
    facts = [analysis.data.run for analysis in runs]
    return {
        "runs": [str(analysis.data.folder) for analysis in runs],
        "names": _names(runs),
        "phases": [compare_phase(runs, each).to_json() for each in phases],
        "differing": {name: list(values) for name, values in differing(facts)},
        "simulated": _simulated(runs, _names(runs)),
        "of_part": _parts(runs),
    }


def _simulated(runs: Sequence[Analysis], names: Sequence[str]) -> dict[str, str]:
    """Which boards and GPUs of each run were simulated, in words; runs without are left out."""
    said = {name: simulated(each.data.run) for name, each in zip(names, runs, strict=True)}
    return {name: sources for name, sources in said.items() if sources}


def _parts(runs: Sequence[Analysis]) -> dict[str, list[str]]:
    """What of each run is of a part of it, in sentences; whole runs are left out."""
    said = {name: of_part(each) for name, each in zip(_names(runs), runs, strict=True)}
    return {name: texts for name, texts in said.items() if texts}


def _names(runs: Sequence[Analysis]) -> list[str]:
    facts = [analysis.data.run for analysis in runs]
    return distinct_names(facts, [analysis.data.folder.name for analysis in runs])


def _rows(comparison: PhaseComparison, names: Sequence[str], n: int) -> list[list[str]]:
    rows = [["", visible(names[0]), visible(names[n]), "difference", "more than noise?"]]
    for row in comparison.rows:
        apart = row.differences[n]
        error = None if apart is None else apart.error
        both = (row.values[0], row.values[n])
        values = [figure(v, error, row.unit).removesuffix(f" {row.unit}") for v in both]
        unit = "" if row.unit in _IN_NAMES else f", {row.unit.partition('/')[0]}"
        rows.append([f"{row.name}{unit}", *values, describe(apart), _SHORT[judge(apart)]])
    return rows


def _differing(runs: Sequence[Analysis], names: Sequence[str]) -> list[str]:
    rows = differing([analysis.data.run for analysis in runs])
    if not rows:
        return ["no setting or version that was recorded differs"]
    parts = ["in what they differ:"]
    for name, values in rows:
        parts.append(f"  {visible(name)}")
        parts += [
            f"    {visible(run)}: {visible(value)[:300]}"
            for run, value in zip(names, values, strict=True)
        ]
    return parts
