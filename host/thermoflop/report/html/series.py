"""What the page's charts draw: an analysed run as thinned curves, bands and marks.

A curve keeps the lowest and the highest value of each stretch (no peak is lost) and a null where
there is no data, so that nothing is drawn across a gap. Times are seconds since the first trial's
start, so that several runs lie over each other; earlier times are negative.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import mappings
from thermoflop.runs.analysis.believed import longest_step_s
from thermoflop.runs.analysis.throughput import SHARES, shares_of_peak, steps
from thermoflop.runs.gpu.throttle import describe_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.pico.track import HostEvent
    from thermoflop.runs.analysis.columns import Column, Stretch
    from thermoflop.runs.analysis.figures import Analysis

    _Drawn = Sequence[dict[str, Any]]

MAX_POINTS = 3000  # of a curve: more than the pixels of a wide page
FAR_APART = 5.0  # times: the lower curve would lie on the axis
MOST_APART = 3  # panels of throughput
MAX_BANDS = 400  # and marks: more cannot be told apart, and would make the page large
_MARKED = {
    "paused": "stopped (Ctrl-Z)",
    "continued": "continued",
    "gpu_lost": "GPU lost",
    "gpu_back": "GPU back",
    "reboot": "board restarted",
    "lost": "board unplugged",
    "reconnect": "board back",
    "clock_step": "clock set",
    "not_written": "disk trouble",
}


def _marked(event: HostEvent) -> str:
    return "machine slept" if event.detail.get("slept_s") else _MARKED[event.ev]


def zero_s(analysis: Analysis) -> float:
    """The start of the first trial, which the charts call 0, in seconds of the run."""
    return analysis.trials[0].window.start_s if analysis.trials else 0.0


def run_series(analysis: Analysis) -> dict[str, Any]:
    """Everything the charts of one run need, as plain values."""
    zero = zero_s(analysis)
    return {
        "name": analysis.data.name,
        "start": round(-zero, 3),
        "end": round(analysis.data.end_s - zero, 3),
        "panels": [panel for panel in _panels(analysis, zero) if panel["curves"]],
        "phases": [_window(p.window, zero) for p in analysis.phases if not p.window.untimed][
            :MAX_BANDS
        ],
        "trials": [_window(t.window, zero) for t in analysis.trials][:MAX_BANDS],
        "throttle": _throttle(analysis, zero),
        "fan": _fan(analysis, zero),
        "marks": _marks(analysis, zero),
    }


def _panels(analysis: Analysis, zero: float) -> list[dict[str, Any]]:
    return [
        _panel("GPU temperature", "°C", *_gpu(analysis, zero, "temp_c", ("gpu_max_c",))),
        _panel("Board temperature", "°C", *_board(analysis, zero)),
        _panel("GPU power", "W", *_gpu(analysis, zero, "power_w", ("power_limit_w",))),
        _panel("GPU clock", "MHz", *_gpu(analysis, zero, "sm_mhz", ())),
        *_rates(analysis, zero),
        _panel("Share of peak", "%", _shares(analysis, zero)),
    ]


def _panel(title: str, unit: str, curves: _Drawn, levels: _Drawn = ()) -> dict[str, Any]:
    return {"title": title, "unit": unit, "curves": curves, "levels": levels}


def _board(analysis: Analysis, zero: float) -> tuple[_Drawn, _Drawn]:
    """On an axis of its own: a GPU's hundred degrees would flatten the board's ten."""
    boards = analysis.data.boards
    of = {board.name: "" if len(boards) < 2 else f" of {board.name}" for board in boards.values()}
    levels = [
        {"name": name + of[board.name], "value": value}
        for board in boards.values()
        for name, value in (("fan on", board.on_c), ("fan off", board.off_c))
        if value is not None
    ]
    curves = [
        _curve(
            f"{board.name}{analysis.data.label(board.name)}",
            "board" if number == 0 else f"gpu{number % 4}",
            board.t_s - zero,
            board.temp_c,
            board.stretch,
        )
        for number, board in boards.items()
    ]
    return curves, levels


def _gpu(
    analysis: Analysis, zero: float, field: str, levels: tuple[str, ...]
) -> tuple[_Drawn, _Drawn]:
    curves = [
        _curve(
            f"GPU {gpu}{analysis.data.label('GPU')}",
            f"gpu{gpu % 4}",
            columns["t_s"] - zero,
            columns[field],
        )
        | ({"dash": "6 4"} if gpu % 8 > 3 else {})  # four colours, and again with dashes
        for gpu, columns in analysis.data.gpus.items()
        if field in columns
    ]
    devices = mappings(analysis.data.run, "gpu", "devices")
    known = []
    for level in levels:
        values = {v for d in devices if isinstance(v := d.get(level), int | float)}
        if len(values) == 1 and curves:
            name = "limit" if level == "power_limit_w" else "GPU's own limit"
            known.append({"name": name, "value": float(values.pop())})
    return curves, known


def _rates(analysis: Analysis, zero: float) -> list[dict[str, Any]]:
    """Tokens a second; prefill reads hundreds of times what decode writes, so where the phases'
    rates are far apart each has a panel of its own."""
    of: dict[str, list[list[float | None]]] = {}
    highest: dict[str, float] = {}
    for figures in analysis.phases or analysis.trials:
        name = figures.window.name if analysis.phases else ""
        points = of.setdefault(name, [])
        for step in steps(figures.window):
            if step.tokens > 0:
                rate = _round(step.tokens_per_s)
                highest[name] = max(rate, highest.get(name, 0.0))
                points += [[_round(step.start_s - zero), rate], [_round(step.end_s - zero), rate]]
        points.append([_round(figures.window.end_s - zero), None])
    apart = max(highest.values(), default=0.0) > FAR_APART * min(highest.values(), default=0.0)
    if not apart or len(highest) > MOST_APART:
        of, highest = {"": [point for points in of.values() for point in points]}, {"": 0.0}
    return [
        _panel(f"Throughput of {name}" if name else "Throughput", "tokens/s",
               _listed(name or "tokens/s", "rate", of[name]))
        for name in highest
    ]  # fmt: skip


def _shares(analysis: Analysis, zero: float) -> _Drawn:
    """Shares of the peaks; one above its peak is no share, and a warning tells it in words."""
    curves: list[dict[str, Any]] = []
    for (name, amount, peak, _), color in zip(SHARES, ("gpu0", "board"), strict=True):
        points: list[list[float | None]] = []
        for figures in analysis.phases:
            for step, share in shares_of_peak(figures.window, amount, peak):
                drawn = _round(100 * share) if share <= 1 else None
                points += [[_round(step.start_s - zero), drawn], [_round(step.end_s - zero), drawn]]
            points.append([_round(figures.window.end_s - zero), None])
        curves += _listed(name, color, points)
    return curves


def _listed(name: str, color: str, points: list[list[float | None]]) -> list[dict[str, Any]]:
    if not any(point[1] for point in points):
        return []
    stride = max(1, math.ceil(len(points) / (2 * MAX_POINTS)))
    return [{"name": name, "color": color, "points": points[::stride]}]


def _curve(
    name: str, color: str, t_s: Column, values: Column, stretch: Stretch | None = None
) -> dict[str, Any]:
    return {"name": name, "color": color, "points": thin(t_s, values, stretch)}


def thin(
    t_s: Column, values: Column, stretch: Stretch | None = None, most: int = MAX_POINTS
) -> list[list[float | None]]:
    """At most about ``most`` points: the extremes of each group, nulls at gaps.

    ``stretch`` numbers the unbroken stretches of a board's samples; a GPU's are found by time.
    """
    import numpy as np

    good = np.isfinite(values)
    if not good.any():
        return []
    # an invalid sample of a board breaks its line, as it does in the picture of a run
    part = None if stretch is None else (stretch + np.cumsum(~good))[good]
    t_s, values = t_s[good], values[good]
    gaps = np.diff(t_s) > longest_step_s(t_s) if part is None else np.diff(part) > 0
    holes = np.flatnonzero(gaps) + 1
    group = max(1, math.ceil(2 * len(t_s) / most))
    points: list[list[float | None]] = []
    for part_t, part_v in zip(np.split(t_s, holes), np.split(values, holes), strict=True):
        if points:
            points.append([_round(float(part_t[0])), None])
        for start in range(0, len(part_t), group):
            some = part_v[start : start + group]
            for at in sorted({int(np.argmin(some)), int(np.argmax(some))}):
                points.append([_round(float(part_t[start + at])), _round(float(some[at]))])
    return points


def _window(window: Any, zero: float) -> dict[str, Any]:
    named = {"name": window.name, **_stretch(window, zero)}
    return named | {"variant": window.variant, "warmup": window.warmup}


def _stretch(of: Any, zero: float) -> dict[str, Any]:
    return {"start": _round(of.start_s - zero), "end": _round(of.end_s - zero)}


def _throttle(analysis: Analysis, zero: float) -> list[dict[str, Any]]:
    spans = sorted(analysis.spans, key=lambda span: -span.duration_s)[:MAX_BANDS]
    return [
        _stretch(s, zero)
        | {"text": f"GPU {s.gpu}: " + ", ".join(describe_reason(name) for name in s.reasons)}
        for s in sorted(spans, key=lambda span: span.start_s)
    ]


def _fan(analysis: Analysis, zero: float) -> list[list[float]]:
    """Spans in which the fan ran; of several boards none is drawn for all."""
    board = analysis.data.board
    if board is None or len(analysis.data.boards) > 1:
        return []
    spans: list[list[float]] = []
    for index in range(len(board.t_s) - 1):
        if not board.fan[index] or board.stretch[index + 1] != board.stretch[index]:
            continue
        start, end = float(board.t_s[index]) - zero, float(board.t_s[index + 1]) - zero
        if spans and start - spans[-1][1] < 1e-3:
            spans[-1][1] = _round(end)
        else:
            spans.append([_round(start), _round(end)])
    return spans[:MAX_BANDS]


def _marks(analysis: Analysis, zero: float) -> list[dict[str, Any]]:
    return [
        {
            "t": _round(analysis.data.t_s(event.mono_s) - zero),
            "text": _marked(event).replace("board", analysis.data.source(event)),
        }
        for event in analysis.data.events
        if event.ev in _MARKED
    ][:MAX_BANDS]


def _round(value: float) -> float:
    return round(value, 3) if abs(value) >= 1 else round(value, 5)
