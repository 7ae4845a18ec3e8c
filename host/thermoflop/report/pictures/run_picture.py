"""A run as a picture: an SVG drawn here, with nothing but the standard library.

Temperature over time with the thresholds it was held between, the fan's spans, the faults, and the
times without data shown as what they are. It has a light background of its own, so that it can be
read on a light page and on a dark one. However long the run, the file stays within some 100 kB:
each column of pixels keeps its lowest and its highest reading.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from thermoflop.errors import InputError, StorageError
from thermoflop.pico.wire import printable
from thermoflop.report.messages import describe_fault, switches
from thermoflop.report.pictures.trace import Point, Span, Trace, Tracer
from thermoflop.report.summary import duration, summarize
from thermoflop.runs.folder.reader import RunReader, read_run
from thermoflop.runs.summary import Summary

PICTURE = "picture.svg"

_WIDTH, _HEIGHT = 960, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 92, 84, 86  # margins around the plot, px
_FAN_PX = 12  # the strip under the plot
_FAULT_PX = 12  # the strip over it
_MIN_SPAN_C = 2.0
_MIN_GAP_PX = 2.5
_MERGE_PX = 0.3

_INK, _SOFT, _GRID = "#1f2937", "#6b7280", "#e5e7eb"
_HEAT, _FAN, _FAULT = "#c2410c", "#3b82f6", "#dc2626"
_ON, _OFF = "#b91c1c", "#1d4ed8"
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"

# largest run -> unit of the time axis and its length in seconds
_TIME_UNITS = ((180.0, "seconds", 1), (3 * 3600.0, "minutes", 60), (4 * 86400.0, "hours", 3600))
_TIME_STEPS = {
    "seconds": (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30),
    "minutes": (0.5, 1, 2, 5, 10, 15, 20, 30),
    "hours": (0.5, 1, 2, 3, 6, 12),
    "days": (0.5, 1, 2, 5, 7, 14, 30, 60, 180, 365),
}


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where seconds and degrees lie on the page."""

    end_s: float
    low_c: float
    high_c: float

    def x(self, t_s: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, t_s / self.end_s)

    def y(self, temp_c: float) -> float:
        share = (temp_c - self.low_c) / (self.high_c - self.low_c)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def draw_run(folder: Path) -> Path:
    """Draw the run in ``folder`` into that folder; the path of the picture."""
    tracer = Tracer()

    def seen() -> Iterator[Any]:
        for item in RunReader(folder):
            tracer.add(item)
            yield item

    summary = summarize(seen())
    try:
        run = read_run(folder)
    except InputError:  # a recorder that was killed before its first run.json
        run = {}
    when = run.get("started", {}).get("utc", folder.name)
    name = printable(str(run.get("name", "run")))
    title = f"{name}  ·  {when.replace('T', ' ').replace('Z', ' UTC')}"
    path = folder / PICTURE
    part = folder / (PICTURE + ".part")
    try:
        part.write_text(draw(tracer.trace(), title, subtitle(summary)), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    return path


def subtitle(summary: Summary) -> str:
    """One line of figures under the title."""
    words = [duration(summary.watched_s + summary.gap_s)]
    if summary.min_c is not None and summary.mean_c is not None and summary.max_c is not None:
        words.append(
            f"min {summary.min_c:.2f}, mean {summary.mean_c:.2f}, max {summary.max_c:.2f} °C"
        )
    if summary.fan_duty is not None:
        words.append(f"fan on {100 * summary.fan_duty:.0f} % of the time")
        words.append(switches(summary.fan_switches))
    return "  ·  ".join(words)


def draw(trace: Trace, title: str, below: str = "") -> str:
    """The SVG text of a trace."""
    axes = _axes(trace)
    parts = [
        *_head(title, below),
        *_bands(trace, axes),
        *_grid(axes),
        *_thresholds(trace, axes),
        *_temperature(trace, axes),
        *_strips(trace, axes),
        *_marks(trace, axes),
        *_legend(trace),
    ]
    return "\n".join([*filter(None, parts), "</svg>", ""])


def _axes(trace: Trace) -> _Axes:
    temps = [c for line in trace.lines for _, c in line]
    temps += [c for _, on_c, off_c in trace.thresholds for c in (on_c, off_c)]
    low_c, high_c = (min(temps), max(temps)) if temps else (20.0, 30.0)
    middle_c = (low_c + high_c) / 2
    half_c = max(_MIN_SPAN_C / 2, (high_c - low_c) * 0.54)
    return _Axes(max(trace.end_s, 0.001), middle_c - half_c, middle_c + half_c)


def _head(title: str, below: str) -> list[str]:
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    card = f'x=".5" y=".5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" rx="10"'
    tile = 'width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"'
    hatch = '<path d="M0 0V6" stroke="#9ca3af" stroke-width="1.5"/>'
    font = f'font-family="{_FONT}" font-size="12"'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {font}>',
        f"<title>{escape(title)}</title>",
        f'<defs><pattern id="gap" {tile}>{hatch}</pattern></defs>',
        f'<rect {card} fill="#fff" stroke="{_GRID}"/>',
        _text(_LEFT, 32, title, size=16, weight=600),
        _text(_LEFT, 53, below, fill=_SOFT),
    ]


def _bands(trace: Trace, axes: _Axes) -> list[str]:
    """Pale columns behind the line: fan, gaps, faults."""
    height = _HEIGHT - _TOP - _BOTTOM
    pale = f'fill="{_FAULT}" fill-opacity=".10"'
    return [
        _rects(trace.fan, axes, _TOP, height, f'fill="{_FAN}" fill-opacity=".10"'),
        _rects(_wide(trace.gaps, axes), axes, _TOP, height, 'fill="url(#gap)" fill-opacity=".45"'),
        *(_rects(spans, axes, _TOP, height, pale) for spans in trace.faults.values()),
    ]


def _grid(axes: _Axes) -> list[str]:
    parts = []
    right = _WIDTH - _RIGHT
    step_c = nice_step(axes.high_c - axes.low_c, 6)
    digits = max(0, -math.floor(math.log10(step_c) + 1e-9))
    for n in range(math.ceil(axes.low_c / step_c), math.floor(axes.high_c / step_c) + 1):
        y = axes.y(n * step_c)
        parts.append(_path(f"M{_LEFT} {y:.1f}H{right}", _GRID))
        parts.append(_text(_LEFT - 9, y + 4, f"{n * step_c:.{digits}f}", fill=_SOFT, anchor="end"))
    parts.append(_text(_LEFT - 9, _TOP - 12, "°C", fill=_SOFT, anchor="end"))
    unit, unit_s = time_unit(axes.end_s)
    end = axes.end_s / unit_s
    step = next((s for s in _TIME_STEPS[unit] if end / s <= 10), nice_step(end, 8))
    base = _HEIGHT - _BOTTOM
    for n in range(math.floor(end / step + 1e-9) + 1):
        x = axes.x(n * step * unit_s)
        parts.append(_path(f"M{x:.1f} {base + _FAN_PX + 6}v5", _SOFT))
        parts.append(_text(x, base + _FAN_PX + 24, f"{n * step:g}", fill=_SOFT, anchor="middle"))
    parts.append(_text(right + 9, base + _FAN_PX + 24, unit, fill=_SOFT))
    parts.append(_path(f"M{_LEFT} {_TOP}V{base}H{right}", _SOFT))
    return parts


def _thresholds(trace: Trace, axes: _Axes) -> list[str]:
    parts = []
    steps = trace.thresholds
    for index, (from_s, on_c, off_c) in enumerate(steps):
        to_s = steps[index + 1][0] if index + 1 < len(steps) else axes.end_s
        for temp_c, color in ((on_c, _ON), (off_c, _OFF)):
            d = f"M{axes.x(from_s):.1f} {axes.y(temp_c):.1f}H{axes.x(to_s):.1f}"
            parts.append(_path(d, color, extra=' stroke-dasharray="6 4"'))
    if steps:
        _, on_c, off_c = steps[-1]
        on_y, off_y = axes.y(on_c), axes.y(off_c)
        push = max(0.0, (14 - (off_y - on_y)) / 2)  # keep the two labels apart
        right = _WIDTH - _RIGHT + 9
        parts.append(_text(right, on_y + 4 - push, f"on {on_c:.1f} °C", fill=_ON))
        parts.append(_text(right, off_y + 4 + push, f"off {off_c:.1f} °C", fill=_OFF))
    return parts


def _temperature(trace: Trace, axes: _Axes) -> list[str]:
    parts = []
    for line in trace.lines:
        points = list(_per_pixel(line, axes))
        if len(points) == 1:
            x, y = points[0]
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.5" fill="{_HEAT}"/>')
            continue
        d = "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(_path(d, _HEAT, 1.8, ' stroke-linejoin="round" stroke-linecap="round"'))
    return parts


def _per_pixel(line: list[Point], axes: _Axes) -> Iterator[tuple[float, float]]:
    """At most two points for each column of pixels: its lowest and its highest."""
    column: list[Point] = []
    for point in line:
        if column and int(axes.x(point[0])) != int(axes.x(column[0][0])):
            yield from _low_high(column, axes)
            column = []
        column.append(point)
    yield from _low_high(column, axes)


def _low_high(column: list[Point], axes: _Axes) -> Iterator[tuple[float, float]]:
    ends = {min(column, key=lambda p: p[1]), max(column, key=lambda p: p[1])}
    for t_s, temp_c in sorted(ends):
        yield axes.x(t_s), axes.y(temp_c)


def _strips(trace: Trace, axes: _Axes) -> list[str]:
    """Solid bars: the fan under the plot, the faults over it."""
    base = _HEIGHT - _BOTTOM + 5
    width = _WIDTH - _LEFT - _RIGHT
    parts = [
        f'<rect x="{_LEFT}" y="{base}" width="{width}" height="{_FAN_PX}" rx="2" fill="{_GRID}"/>',
        _text(_LEFT - 9, base + 10, "fan", fill=_SOFT, anchor="end"),
    ]
    parts.append(_rects(trace.fan, axes, base, _FAN_PX, f'fill="{_FAN}"'))
    free_x = 0.0
    for name, start_s, spans in sorted(
        ((name, spans[0][0], spans) for name, spans in trace.faults.items()), key=lambda f: f[1]
    ):
        parts.append(_rects(spans, axes, _TOP - _FAULT_PX, 4, f'fill="{_FAULT}"'))
        x = max(axes.x(start_s), free_x)
        words = describe_fault(name)
        free_x = x + 7 * len(words) + 10
        parts.append(_text(x, _TOP - _FAULT_PX - 4, words, fill=_FAULT, size=11))
    return parts


def _marks(trace: Trace, axes: _Axes) -> list[str]:
    parts = []
    for t_s, name in trace.marks:
        x = axes.x(t_s)
        d = f"M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"
        parts.append(_path(d, _SOFT, extra=' stroke-dasharray="2 3"'))
        parts.append(_text(x + 4, _TOP + 12, name, fill=_SOFT, size=11))
    return parts


def _legend(trace: Trace) -> list[str]:
    """What the colours mean; only of what is there."""
    line, box, dash = "M{x} {y}h20", "M{x} {top}h20v10h-20z", ' stroke-dasharray="6 4"'
    entries = [("temperature", line, f'stroke="{_HEAT}" stroke-width="2.5"')]
    if trace.fan:
        entries.append(("fan on", box, f'fill="{_FAN}"'))
    if trace.thresholds:
        entries.append(("fan starts at or above", line, f'stroke="{_ON}"{dash}'))
        entries.append(("fan stops at or below", line, f'stroke="{_OFF}"{dash}'))
    if trace.gaps:
        entries.append(("no data", box, 'fill="url(#gap)" stroke="#9ca3af"'))
    if trace.faults:
        entries.append(("fault", box, f'fill="{_FAULT}"'))
    parts, x, y = [], float(_LEFT), _HEIGHT - 22
    for name, shape, style in entries:
        d = shape.format(x=round(x), y=y - 4, top=y - 9)
        parts.append(f'<path d="{d}" {style}/>')
        parts.append(_text(x + 26, y, name, fill=_SOFT))
        x += 26 + 6.4 * len(name) + 26
    return parts


def time_unit(end_s: float) -> tuple[str, float]:
    """The unit of a time axis that ends at ``end_s``, and its length in seconds."""
    for most_s, unit, unit_s in _TIME_UNITS:
        if end_s <= most_s:
            return unit, unit_s
    return "days", 86400.0


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that cuts ``span`` in ``most`` at most."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next((m * power for m in (1, 2, 2.5, 5) if span / (m * power) <= most), 10 * power)


def _wide(spans: list[Span], axes: _Axes) -> Iterator[Span]:
    """Spans that can be seen: the short ones are made as wide as a break needs to be."""
    least_s = _MIN_GAP_PX * axes.end_s / (_WIDTH - _LEFT - _RIGHT)
    last_s = -math.inf
    for start_s, end_s in spans:
        if start_s >= last_s:
            last_s = max(end_s, start_s + least_s)
            yield start_s, last_s
        elif end_s > last_s:
            yield last_s, end_s
            last_s = end_s


def _rects(spans: Iterable[Span], axes: _Axes, top: float, height: float, style: str) -> str:
    """All spans as one shape; those that touch on the page are drawn as one."""
    pixels: list[tuple[float, float]] = []
    for start_s, end_s in spans:
        left, right = axes.x(start_s), max(axes.x(end_s), axes.x(start_s) + 0.5)
        if pixels and left - pixels[-1][1] < _MERGE_PX:
            pixels[-1] = (pixels[-1][0], right)
        else:
            pixels.append((left, right))
    boxes = (f"M{a:.1f} {top}h{b - a:.1f}v{height}h{a - b:.1f}z" for a, b in pixels)
    return f'<path d="{"".join(boxes)}" {style}/>' if pixels else ""


def _path(d: str, stroke: str, width: float = 1, extra: str = "") -> str:
    return f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="{width}"{extra}/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    fill: str = _INK,
    size: int = 12,
    anchor: str = "start",
    weight: int = 400,
) -> str:
    words = escape(text)
    style = f'font-size="{size}"' if size != 12 else ""
    style += f' font-weight="{weight}"' if weight != 400 else ""
    style += f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" {style.strip()}>{words}</text>'
