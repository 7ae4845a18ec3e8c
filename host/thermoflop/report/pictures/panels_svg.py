"""A still picture of a run: the page's panels as one SVG, with the values it reached in words.

For documents and chats where a page with a script cannot go. It has a light background of its own.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from thermoflop.errors import StorageError
from thermoflop.report.html.series import run_series
from thermoflop.report.pictures.run_picture import nice_step, time_unit

_WIDTH, _LEFT, _RIGHT, _HEAD, _PANEL, _FOOT = 960, 64, 20, 64, 170, 34
INK, SOFT, GRID, HOT, FAN = "#1b2230", "#5b6577", "#e2e6ec", "#dc2626", "#3b82f6"
COLORS = {
    "gpu0": "#2563c9", "gpu1": "#7c3aed", "gpu2": "#0f766e", "gpu3": "#a21caf",
    "board": "#c2410c", "rate": "#15803d",
}  # fmt: skip


_PHASE_COLORS = ("gpu0", "board", "gpu1", "gpu2", "rate", "gpu3")
_MOST_NAMES = 6


def phase_colors(run: dict[str, Any]) -> dict[str, str]:
    """A colour for each name of a phase, in order of time."""
    names = dict.fromkeys(phase["name"] for phase in run["phases"])
    return {
        name: COLORS[_PHASE_COLORS[index % len(_PHASE_COLORS)]] for index, name in enumerate(names)
    }


def write_still(folder: Path, path: Path) -> Path:
    """Draw the run in ``folder`` into ``path``."""
    from thermoflop.runs.analysis.analyze import analyze

    text = still(run_series(analyze(folder)))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    return path


def still(run: dict[str, Any]) -> str:
    """The SVG text of a run's series."""
    panels = run["panels"]
    height = _HEAD + _PANEL * max(1, len(panels)) + _FOOT
    start, end = min(run["start"], 0.0), max(run["end"], run["start"] + 1e-3)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    font = 'font-family="system-ui,sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {font}>',
        f'<rect width="{_WIDTH}" height="{height}" rx="10" fill="#fff"/>',
        _words(_LEFT, 26, run["name"], INK, 16),
        *_phases(run, start, end),
    ]
    for index, panel in enumerate(panels):
        parts += _panel(run, panel, _HEAD + index * _PANEL, start, end)
    parts += _time_axis(start, end, height - _FOOT)
    return "\n".join([*parts, "</svg>", ""])


def _x(t_s: float, start: float, end: float) -> float:
    share = min(1.0, max(0.0, (t_s - start) / (end - start)))
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share


def _phases(run: dict[str, Any], start: float, end: float) -> list[str]:
    """The strip, and each name once: a narrow phase has no room for its own."""
    colors = phase_colors(run)
    parts = []
    for phase in run["phases"]:
        left, right = _x(phase["start"], start, end), _x(phase["end"], start, end)
        box = f'x="{left:.1f}" y="42" width="{max(0.8, right - left):.1f}" height="14"'
        parts.append(f'<rect {box} fill="{colors[phase["name"]]}" fill-opacity=".35"/>')
    right = float(_WIDTH - _RIGHT)
    for name, color in reversed(list(colors.items())[:_MOST_NAMES]):
        words = name if len(name) <= 16 else name[:15] + "…"
        parts.append(_words(right, 26, words, INK, anchor="end"))
        right -= 7.0 * len(words) + 16
        box = f'x="{right:.1f}" y="16" width="11" height="11"'
        parts.append(f'<rect {box} fill="{color}" fill-opacity=".5"/>')
        right -= 14
    return parts


def _panel(
    run: dict[str, Any], panel: dict[str, Any], top: float, start: float, end: float
) -> list[str]:
    upper, lower = top + 28, top + _PANEL - 8
    values = [v for curve in panel["curves"] for _, v in curve["points"] if v is not None]
    if not values:
        return []
    low, high = min(values), max(values)
    near = high - low + 1
    values += [x["value"] for x in panel["levels"] if low - near < x["value"] < high + near]
    low, high = min(values), max(values)
    pad = max((high - low) * 0.08, 0.02 * abs(high), 1e-9)
    low, high = (low - pad if low < 0 or low - pad > 0 else 0.0), high + pad

    def y(value: float) -> float:
        return float(lower - (lower - upper) * (value - low) / (high - low))

    parts = [_words(_LEFT, top + 18, f"{panel['title']}, {panel['unit']}", INK)]
    for spans, color in ((_throttled(run), HOT), (run["fan"], FAN)):
        for a, b in spans:
            left, right = _x(a, start, end), _x(b, start, end)
            box = f'x="{left:.1f}" y="{upper}" width="{max(0.5, right - left):.1f}"'
            height = f'height="{lower - upper}"'
            parts.append(f'<rect {box} {height} fill="{color}" fill-opacity=".09"/>')
    parts += _grid(low, high, y)
    parts += _levels(panel, (low, high), y)
    for index, curve in enumerate(panel["curves"]):
        color = COLORS.get(curve["color"], INK)
        d = _path(curve["points"], start, end, y)
        parts.append(f'<path d="{d}" fill="none" stroke="{color}" stroke-width="1.6"/>')
        mine = [v for _, v in curve["points"] if v is not None]
        words = f"{curve['name']}: {min(mine):.4g} to {max(mine):.4g}"
        x = _WIDTH - _RIGHT - 230 * (len(panel["curves"]) - 1 - index)
        parts.append(_words(x, top + 18, words, color, anchor="end"))
    return parts


def _throttled(run: dict[str, Any]) -> list[tuple[float, float]]:
    return [(span["start"], span["end"]) for span in run["throttle"]]


def _grid(low: float, high: float, y: Any) -> list[str]:
    step = nice_step(high - low, 4)
    digits = _digits(step)
    parts = []
    for n in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1):
        at = y(n * step)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="{GRID}"/>')
        parts.append(_words(_LEFT - 8, at + 4, f"{n * step:.{digits}f}", SOFT, anchor="end"))
    return parts


def _digits(step: float) -> int:
    """Decimals of a label: steps are 1, 2, 2.5 or 5 times a power of ten."""
    power = math.floor(math.log10(step) + 1e-9)
    return max(0, -power + int(abs(step / 10.0**power - 2.5) < 1e-6))


def _levels(panel: dict[str, Any], limits: tuple[float, float], y: Any) -> list[str]:
    parts, above = [], -math.inf
    shown = [level for level in panel["levels"] if limits[0] <= level["value"] <= limits[1]]
    for level in sorted(shown, key=lambda level: -float(level["value"])):
        at = y(level["value"])
        line = f"M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}"
        parts.append(f'<path d="{line}" stroke="{SOFT}" stroke-dasharray="5 4"/>')
        words = f"{level['name']} {level['value']:g}"
        below = at - above < 30  # the label of the line above is in the way
        text_y = at + 13 if below else at - 4
        parts.append(_words(_WIDTH - _RIGHT - 4, text_y, words, SOFT, anchor="end"))
        above = at
    return parts


def _path(points: list[list[float | None]], start: float, end: float, y: Any) -> str:
    words, pen = [], False
    for t_s, value in points:
        if value is None or t_s is None:
            pen = False
            continue
        words.append(f"{'L' if pen else 'M'}{_x(t_s, start, end):.1f} {y(value):.1f}")
        pen = True
    return "".join(words) or "M0 0"


def _time_axis(start: float, end: float, top: float) -> list[str]:
    unit, unit_s = time_unit(end - start)
    step = nice_step((end - start) / unit_s, 9)
    parts = []
    first, last = math.ceil(start / unit_s / step), math.floor(end / unit_s / step + 1e-9)
    for n in range(first, last + 1):
        x = _x(n * step * unit_s, start, end)
        parts.append(f'<path d="M{x:.1f} {top - 8}v5" stroke="{SOFT}"/>')
        parts.append(_words(x, top + 12, f"{n * step:g}", SOFT, anchor="middle"))
    return [*parts, _words(_WIDTH - _RIGHT, top + 28, unit, SOFT, anchor="end")]


def _words(x: float, y: float, text: str, color: str, size: int = 12, anchor: str = "start") -> str:
    printable = "".join(c if c.isprintable() else "?" for c in text)
    style = f'fill="{color}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(printable)}</text>'
