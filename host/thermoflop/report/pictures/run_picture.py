"""A run as a picture: an SVG drawn here, with nothing but the standard library.

Temperature over time with the thresholds it was held between, the fan's spans, the faults, and the
times without data shown as what they are. However long the run, the file stays within some 100 kB:
each column of pixels keeps its lowest and its highest reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thermoflop.base import chart
from thermoflop.base.files import write_text
from thermoflop.errors import InputError
from thermoflop.pico.wire import printable
from thermoflop.report.messages import describe_fault, switches
from thermoflop.report.pictures.trace import Trace, Tracer
from thermoflop.report.summary import duration, summarize, temperature
from thermoflop.runs.folder.reader import RunReader, read_run
from thermoflop.runs.summary import Summary

PICTURE = "picture.svg"

_WIDTH, _HEIGHT = 960, 440
_LEFT, _RIGHT, _TOP, _BASE = 64, _WIDTH - 92, 84, _HEIGHT - 86  # edges of the plot, px
_FAN_PX = 12  # the strip under the plot
_FAULT_PX = 12  # the strip over it
_MIN_SPAN_C = 2.0  # a still temperature is not blown up to a noisy one
_MIN_GAP_PX = 2.5  # a shorter break in the line would not be seen

_HEAT, _FAN, _FAULT = "#c2410c", "#3b82f6", "#dc2626"
_ON, _OFF = "#b91c1c", "#1d4ed8"
_DASH = "6 4"  # of a threshold


def draw_run(folder: Path) -> Path:
    """Draw the run in ``folder`` into that folder; the path of the picture."""
    from thermoflop.runs.analysis.data import simulated

    tracer = Tracer()

    def traced() -> Iterator[Any]:
        for item in RunReader(folder):
            tracer.add(item)
            yield item

    summary = summarize(traced())
    try:
        run = read_run(folder)
    except InputError:  # a recorder that was killed before its first run.json
        run = {}
    when = run.get("started", {}).get("utc", folder.name)
    name = printable(str(run.get("name", "run")))
    title = f"{name}  ·  {when.replace('T', ' ').replace('Z', ' UTC')}"
    if simulated(run):
        title += f"  ·  {simulated(run)} simulated"
    path = folder / PICTURE
    write_text(str(path), draw(tracer.trace(), title, subtitle(summary)))
    return path


def subtitle(summary: Summary) -> str:
    """One line of figures under the title."""
    figures = [duration(summary.watched_s + summary.gap_s)]
    if summary.mean_c is not None:
        figures.append(temperature(summary))
    if summary.fan_duty is not None:
        figures.append(f"fan on {100 * summary.fan_duty:.0f} % of the time")
        figures.append(switches(summary.fan_switches))
    return "  ·  ".join(figures)


def draw(trace: Trace, title: str, below: str = "") -> str:
    """The SVG text of a trace."""
    x = chart.Axis(0.0, max(trace.end_s, 0.001), _LEFT, _RIGHT)
    y = _temperature_axis(trace)
    parts = [
        *_head(title, below),
        *_bands(trace, x),
        *_grid(x, y),
        *_thresholds(trace, x, y),
        *(part for points in trace.lines for part in chart.line(points, x, y, _HEAT)),
        *_strips(trace, x),
        *_marks(trace, x),
        *_legend(trace),
    ]
    return chart.document(_WIDTH, _HEIGHT, title, parts)


def _temperature_axis(trace: Trace) -> chart.Axis:
    """Room for every reading and both thresholds; 8 % more than that, half above, half below."""
    temps = [c for points in trace.lines for _, c in points]
    temps += [c for _, on_c, off_c in trace.thresholds for c in (on_c, off_c)]
    low_c, high_c = (min(temps), max(temps)) if temps else (20.0, 30.0)
    middle_c = (low_c + high_c) / 2
    half_c = max(_MIN_SPAN_C / 2, (high_c - low_c) * 0.54)
    return chart.Axis(middle_c - half_c, middle_c + half_c, _BASE, _TOP)


def _head(title: str, below: str) -> list[str]:
    card = f'x=".5" y=".5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" rx="10"'
    tile = 'width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"'
    hatch = '<path d="M0 0V6" stroke="#9ca3af" stroke-width="1.5"/>'
    return [
        f'<defs><pattern id="gap" {tile}>{hatch}</pattern></defs>',
        f'<rect {card} fill="none" stroke="{chart.GRID}"/>',
        chart.text(_LEFT, 32, title, size=16, weight=600),
        chart.text(_LEFT, 53, below, chart.SOFT),
    ]


def _bands(trace: Trace, x: chart.Axis) -> list[str]:
    """Pale columns behind the line: fan, gaps, faults."""
    height, fault = _BASE - _TOP, chart.pale(_FAULT)
    return [
        chart.bands(trace.fan, x, _TOP, height, chart.pale(_FAN)),
        chart.bands(trace.gaps, x, _TOP, height, chart.pale("url(#gap)", 0.45), _MIN_GAP_PX),
        *(chart.bands(spans, x, _TOP, height, fault) for spans in trace.faults.values()),
    ]


def _grid(x: chart.Axis, y: chart.Axis) -> list[str]:
    unit, ticks = x.time_ticks()
    below = _BASE + _FAN_PX + 6  # the fan's strip
    return [
        *chart.y_grid(x, y),
        chart.text(_LEFT - 9, _TOP - 12, "°C", chart.SOFT, anchor="end"),
        *chart.x_ticks(ticks, x, below),
        chart.text(_RIGHT + 9, below + 18, unit, chart.SOFT),
        chart.path(f"M{_LEFT} {_TOP}V{_BASE}H{_RIGHT}", chart.SOFT),
    ]


def _thresholds(trace: Trace, x: chart.Axis, y: chart.Axis) -> list[str]:
    parts = []
    steps = trace.thresholds
    ends_s = [from_s for from_s, *_ in steps[1:]] + [x.high]
    for (from_s, on_c, off_c), to_s in zip(steps, ends_s, strict=False):
        for temp_c, color in ((on_c, _ON), (off_c, _OFF)):
            d = f"M{x(from_s):.1f} {y(temp_c):.1f}H{x(to_s):.1f}"
            parts.append(chart.path(d, color, dash=_DASH))
    if steps:
        _, on_c, off_c = steps[-1]
        push = max(0.0, (14 - (y(off_c) - y(on_c))) / 2)  # keep the two labels apart
        parts.append(chart.text(_RIGHT + 9, y(on_c) + 4 - push, f"on {on_c:.1f} °C", _ON))
        parts.append(chart.text(_RIGHT + 9, y(off_c) + 4 + push, f"off {off_c:.1f} °C", _OFF))
    return parts


def _strips(trace: Trace, x: chart.Axis) -> list[str]:
    """Solid bars: the fan under the plot, the faults over it."""
    top = _BASE + 5
    strip = f'x="{_LEFT}" y="{top}" width="{_RIGHT - _LEFT}" height="{_FAN_PX}" rx="2"'
    parts = [
        f'<rect {strip} fill="{chart.GRID}"/>',
        chart.text(_LEFT - 9, top + 10, "fan", chart.SOFT, anchor="end"),
        chart.bands(trace.fan, x, top, _FAN_PX, f'fill="{_FAN}"'),
    ]
    free_px = 0.0
    for flag, spans in sorted(trace.faults.items(), key=lambda fault: fault[1][0]):
        parts.append(chart.bands(spans, x, _TOP - _FAULT_PX, 4, f'fill="{_FAULT}"'))
        left, label = max(x(spans[0][0]), free_px), describe_fault(flag)
        free_px = left + 7 * len(label) + 10
        parts.append(chart.text(left, _TOP - _FAULT_PX - 4, label, _FAULT, size=11))
    return parts


def _marks(trace: Trace, x: chart.Axis) -> list[str]:
    parts = []
    for t_s, name in trace.marks:
        parts.append(chart.path(f"M{x(t_s):.1f} {_TOP}V{_BASE}", chart.SOFT, dash="2 3"))
        parts.append(chart.text(x(t_s) + 4, _TOP + 12, name, chart.SOFT, size=11))
    return parts


def _legend(trace: Trace) -> list[str]:
    """What the colours mean; only of what is there."""
    entries = [
        (True, "temperature", f'stroke="{_HEAT}" stroke-width="2.5"'),
        (trace.fan, "fan on", f'fill="{_FAN}"'),
        (trace.thresholds, "fan starts at or above", f'stroke="{_ON}" stroke-dasharray="{_DASH}"'),
        (trace.thresholds, "fan stops at or below", f'stroke="{_OFF}" stroke-dasharray="{_DASH}"'),
        (trace.gaps, "no data", 'fill="url(#gap)" stroke="#9ca3af"'),
        (trace.faults, "fault", f'fill="{_FAULT}"'),
    ]
    there = [(name, style) for is_there, name, style in entries if is_there]
    return chart.legend(there, _LEFT, _HEIGHT - 22)
