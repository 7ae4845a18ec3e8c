"""A still picture of a run: the page's panels as one SVG, with the values it reached in words.

For documents and chats where a page with a script cannot go.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from thermoflop.base import chart
from thermoflop.base.files import write_text
from thermoflop.report.html.series import run_series

_WIDTH, _HEAD, _PANEL, _FOOT = 960, 64, 170, 34
_LEFT, _RIGHT = 64, _WIDTH - 20
HOT, FAN = "#dc2626", "#3b82f6"
COLORS = {
    "gpu0": "#2563c9", "gpu1": "#7c3aed", "gpu2": "#0f766e", "gpu3": "#a21caf",
    "board": "#c2410c", "rate": "#15803d",
}  # fmt: skip
_PHASE_COLORS = ("gpu0", "board", "gpu1", "gpu2", "rate", "gpu3")
_MOST_NAMES = 6
_MOST_NAMED = 3  # curves whose names have room beside a title


def phase_colors(run: dict[str, Any]) -> dict[str, str]:
    """A colour for each name of a phase, in order of time."""
    names = dict.fromkeys(phase["name"] for phase in run["phases"])
    return {
        name: COLORS[_PHASE_COLORS[index % len(_PHASE_COLORS)]] for index, name in enumerate(names)
    }


def write_still(folder: Path, path: Path) -> Path:
    """Draw the run in ``folder`` into ``path``."""
    from thermoflop.runs.analysis.analyze import analyze

    write_text(str(path), still(run_series(analyze(folder))))
    return path


def still(run: dict[str, Any]) -> str:
    """The SVG text of a run's series."""
    panels = run["panels"]
    height = _HEAD + _PANEL * max(1, len(panels)) + _FOOT
    start, end = min(run["start"], 0.0), max(run["end"], run["start"] + 1e-3)
    x = chart.Axis(start, end, _LEFT, _RIGHT)
    unit, ticks = x.time_ticks()
    parts = [chart.text(_LEFT, 26, run["name"], size=16), *_phases(run, x)]
    for index, panel in enumerate(panels):
        parts += _panel(run, panel, _HEAD + index * _PANEL, x)
    parts += chart.x_ticks(ticks, x, height - _FOOT - 6)
    parts.append(chart.text(_RIGHT, height - _FOOT + 28, unit, chart.SOFT, anchor="end"))
    return chart.document(_WIDTH, height, run["name"], parts)


def _phases(run: dict[str, Any], x: chart.Axis) -> list[str]:
    """The strip, and each name once: a narrow phase has no room for its own."""
    colors = phase_colors(run)
    parts, entries = [], []
    for name, color in colors.items():
        spans = [(each["start"], each["end"]) for each in run["phases"] if each["name"] == name]
        parts.append(chart.bands(spans, x, 42, 14, chart.pale(color, 0.35)))
        entries.append((name if len(name) <= 16 else name[:15] + "…", chart.pale(color, 0.5)))
    some = entries[:_MOST_NAMES]
    return parts + chart.legend(some, _RIGHT, 26, ink=chart.INK, sample_px=11, anchor="end")


def _panel(run: dict[str, Any], panel: dict[str, Any], top: float, x: chart.Axis) -> list[str]:
    upper, lower = top + 28, top + _PANEL - 8
    values = [v for curve in panel["curves"] for _, v in curve["points"] if v is not None]
    if not values:
        return []
    y = _value_axis(values, [level["value"] for level in panel["levels"]], lower, upper)
    throttled = [(span["start"], span["end"]) for span in run["throttle"]]
    parts = [
        chart.text(_LEFT, top + 18, f"{panel['title']}, {panel['unit']}"),
        chart.bands(throttled, x, upper, lower - upper, chart.pale(HOT, 0.09)),
        chart.bands(run["fan"], x, upper, lower - upper, chart.pale(FAN, 0.09)),
        *chart.y_grid(x, y, 4),
        *_levels(panel, y),
    ]
    if many := len(panel["curves"]) > _MOST_NAMED:
        reached = f"{len(panel['curves'])} curves: {min(values):.4g} to {max(values):.4g}"
        parts.append(chart.text(_RIGHT, top + 18, reached, anchor="end"))
    for place, curve in enumerate(panel["curves"], 1 - len(panel["curves"])):
        color = COLORS.get(curve["color"], chart.INK)
        parts += chart.line(curve["points"], x, y, color, 1.6)
        known = [v for _, v in curve["points"] if v is not None]
        if many:
            continue
        reached = f"{curve['name']}: {min(known):.4g} to {max(known):.4g}"
        parts.append(chart.text(_RIGHT + 230 * place, top + 18, reached, color, anchor="end"))
    return parts


def _value_axis(values: list[float], levels: list[float], lower: float, upper: float) -> chart.Axis:
    """Room for every value and for the levels near them; a distant limit would flatten a curve."""
    near = max(values) - min(values) + 1
    values = values + [v for v in levels if min(values) - near < v < max(values) + near]
    low, high = min(values), max(values)
    pad = max((high - low) * 0.08, 0.02 * abs(high), 1e-9)
    return chart.Axis(low - pad if low < 0 or low - pad > 0 else 0.0, high + pad, lower, upper)


def _levels(panel: dict[str, Any], y: chart.Axis) -> list[str]:
    parts, above = [], -math.inf
    drawn = [level for level in panel["levels"] if y.low <= level["value"] <= y.high]
    for level in sorted(drawn, key=lambda level: -float(level["value"])):
        at = y(level["value"])
        parts.append(chart.path(f"M{_LEFT} {at:.1f}H{_RIGHT}", chart.SOFT, dash="5 4"))
        y_px = at + 13 if at - above < 30 else at - 4  # below where the label above is in the way
        label = f"{level['name']} {level['value']:g}"
        parts.append(chart.text(_RIGHT - 4, y_px, label, chart.SOFT, anchor="end"))
        above = at
    return parts
