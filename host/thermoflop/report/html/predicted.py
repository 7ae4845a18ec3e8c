"""Predicted beside measured, for the page and for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import inside, is_between
from thermoflop.base.units import table as text_table
from thermoflop.report.html.tables import DASH, escaped, number, seconds, table

if TYPE_CHECKING:
    from thermoflop.runs.analysis.figures import Analysis
    from thermoflop.runs.analysis.quantity import Compared

NO_PREDICTION = (
    "No prediction was asked for: thermoflop record --model MODEL writes one into the run before "
    "the command starts, and this page sets it beside what was measured."
)
_HEAD = ("bound", "expected", "80 % interval", "measured", "against expected")


def predictions(analysis: Analysis) -> str:
    """The run's predictions and those in its phases' marks as HTML, or that there are none."""
    rows = [
        [f"{row.phase}: {row.name}", *_cells(row), row.how or DASH] for row in analysis.predicted
    ]
    of_run = table(["what", *_HEAD, "measured how"], rows)
    of_phases = _of_phases(analysis)
    if of_run:
        sentence = describe_prediction(analysis.data.run["predictions"])
        of_run = f'<p class="soft">{escaped(sentence)}</p>{of_run}'
    elif not of_phases and analysis.data.run.get("kind") == "record":
        return f'<p class="soft">{NO_PREDICTION}</p>'
    return of_run + of_phases


def describe_prediction(predicted: dict[str, Any]) -> str:
    """What was predicted, for what, and when, in a sentence or two."""
    sizes = ", ".join(
        f"{predicted[name]} {word}".strip() if word else f"{name} {predicted[name]}"
        for name, word in (("batch", ""), ("prompt", ""), ("generate", "generated"))
        if name in predicted
    )
    where = f"{predicted.get('devices', 1)} x {predicted.get('hardware')}"
    when = str(inside(predicted, "made", "utc") or "").replace("T", " ").replace("Z", " UTC")
    rests = str(predicted.get("profile"))
    return (
        f"{predicted.get('model')} on {where} ({predicted.get('hardware_source')}), "
        f"{predicted.get('dtype')}, {sizes}; predicted {when}, before the command started. "
        f"{rests[:1].upper()}{rests[1:]}."
    )


def text_rows(analysis: Analysis) -> list[list[str]]:
    """The comparison as rows of text, the first one its head."""
    rows = [[f"{row.phase}: {row.name}", *_cells(row)] for row in analysis.predicted]
    return [["predicted", *_HEAD], *rows]


def lines(analysis: Analysis) -> list[str]:
    """The same as the lines of a table; none where nothing was predicted."""
    if not analysis.predicted:
        return []
    notes = [f"scaled: {row.scaled}" for row in analysis.predicted if row.scaled]
    notes += [
        f"not measured: {row.how}" for row in analysis.predicted if row.measured is None and row.how
    ]
    table = text_table(text_rows(analysis), least=(_HEAD[0], _HEAD[2])).splitlines()
    return [*table, *dict.fromkeys(notes)]


def _cells(row: Compared) -> list[str]:
    against = row.verdict
    if row.off is not None and not row.beats_bound:
        against = f"{100 * row.off:+.0f} %, {row.verdict}"
    measured = _value(row.measured, row.unit) + (" (scaled)" if row.scaled else "")
    ends = _ends(row.bound, row.expected, row.low, row.high, row.unit)
    return [*ends, measured, against]


def _ends(
    bound: float | None, expected: float | None, low: float | None, high: float | None, unit: str
) -> list[str]:
    """What was predicted, under the first three of ``_HEAD``."""
    between = DASH
    if low is not None and high is not None:
        between = f"{_value(low, unit)} to {_value(high, unit)}"
    return [_value(bound, unit), _value(expected, unit), between]


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return DASH
    if unit == "s":
        return seconds(value)
    if unit == "bytes":
        return f"{value / 1e9:.3g} GB"
    return number(value)


def _of_phases(analysis: Analysis) -> str:
    """Bound, expectation and measurement of each phase whose marks hold one of the first two."""
    rows = []
    for name in dict.fromkeys(p.window.name for p in analysis.phases):
        named = [p.window for p in analysis.phases if p.window.name == name]
        mine = [window for window in named if window.is_measured]
        marked: dict[str, Any] = {}
        for window in mine:
            marked |= {k: v for k, v in window.last.items() if k.endswith("_s")}
        bound_s, expected_s, low_s, high_s = (
            _float(marked, f"{end}_s") for end in ("bound", "expected", "low", "high")
        )
        if not mine or (bound_s is None and expected_s is None):
            continue
        repeats = _float(marked, "repeats_s") or 1.0
        timed_s = [w.duration_s for w in mine if not w.untimed]
        measured_s = sum(timed_s) / len(timed_s) / repeats if timed_s else None
        measured_s = _float(marked, "measured_s") or measured_s
        against = DASH
        if expected_s and measured_s is not None:
            against = f"{100 * (measured_s / expected_s - 1):+.1f} %"
        if bound_s and measured_s is not None and measured_s < bound_s:
            against = "faster than its bound: one of the two is wrong"
        ends = _ends(bound_s, expected_s, low_s, high_s, "s")
        rows.append([name, *ends, seconds(measured_s), against])
    return table(["phase", *_HEAD], rows)


def _float(data: dict[str, Any], key: str) -> float | None:
    value = data.get(key)
    return float(value) if is_between(value, 0, float("inf")) else None
