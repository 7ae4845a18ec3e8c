"""A figure of like runs over time, with a mark where it moved beyond its spread."""

from __future__ import annotations

from collections.abc import Sequence

from thermoflop.base.chart import Axis, nice_step
from thermoflop.errors import printable
from thermoflop.report.html.tables import escaped, number
from thermoflop.runs.analysis.row import RunRow, model_of
from thermoflop.runs.analysis.trend import LEAST_BEFORE, Point, trend
from thermoflop.runs.folder.index import Entry
from thermoflop.web.runs.reports import sendable

Rows = Sequence[tuple["Entry", RunRow]]
# the figure, its unit, and what it is rounded to
_FIGURES = {
    "decode_tokens_per_s": ("decode/s", 0.0),
    "tokens_per_s": ("all tokens/s", 0.0),
    "peak_c": ("peak °C", 1.0),
    "joules_per_token": ("J/token", 0.0),
    "throttled": ("share of the time throttled", 0.001),
}
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BASE = 900, 256, 70, 890, 24, 204
_MOST = 200  # runs: the newest


class TrendView:
    """The card under the list of runs."""

    def __init__(self) -> None:
        """Build it, without runs."""
        from nicegui import ui

        self._groups: dict[str, list[tuple[Entry, RunRow]]] = {}
        self._card = ui.element("section").classes("card trend").props("id=trend")
        with self._card:
            with ui.element("h2"):
                ui.label("Trend")
            with ui.element("div").classes("fields"):
                self._group = ui.select([], label="Runs of", on_change=self._draw)
                self._group.props("outlined dense").classes("wide")
                names = {key: name for key, (name, _) in _FIGURES.items()}
                self._figure = ui.select(names, value="tokens_per_s", label="Figure",
                                         on_change=self._draw)  # fmt: skip
                self._figure.props("outlined dense").classes("wide")
            self._picture = ui.html("", sanitize=False)
            self._words = ui.label("").classes("soft trend-words").props("role=status")

    def show(self, rows: Rows) -> None:
        """Take the runs that the list shows."""
        self._groups = groups(rows)
        names = list(self._groups)
        if names:
            chosen = self._group.value if self._group.value in self._groups else names[0]
            self._group.set_options(names, value=chosen)
            self._draw()
        else:
            self._group.set_options([], value=None)
            self._picture.set_content("")
            self._words.set_text("Two runs of one model or label, and more, make a trend.")

    def _draw(self) -> None:
        mine = self._groups.get(str(self._group.value or ""), [])
        key = str(self._figure.value)
        known = [(entry, float(v)) for entry, row in mine if (v := getattr(row, key)) is not None]
        known = known[-_MOST:]
        name, step = _FIGURES[key]
        points = trend([value for _, value in known], step)
        names = [printable(sendable(entry.folder.name)) for entry, _ in known]
        self._picture.set_content(picture(points, names, name) if len(points) > 1 else "")
        self._words.set_text(describe(points, names, name))


def groups(rows: Rows) -> dict[str, list[tuple[Entry, RunRow]]]:
    """Runs of one model or label, of two at least, each in order of time; the largest first."""
    of: dict[str, list[tuple[Entry, RunRow]]] = {}
    for entry, row in sorted(rows, key=lambda each: each[0].started):
        keys = [f"{key}={value}" for key, value in entry.labels.items()]
        model = model_of(entry.run)
        for key in [f"model {model}"] * bool(model) + keys:
            of.setdefault(printable(key[:80]), []).append((entry, row))
    kept = {key: each for key, each in of.items() if len(each) > 1}
    return dict(sorted(kept.items(), key=lambda item: -len(item[1])))


def describe(points: Sequence[Point], names: Sequence[str], figure: str) -> str:
    """Where it moved, in words."""
    if len(points) < 2:
        return f"Fewer than two of these runs have {figure}."
    if len(points) <= LEAST_BEFORE:
        return (
            f"{len(points)} runs: what is beyond their spread is known from {LEAST_BEFORE + 1} on."
        )
    said = [
        f"{'moved' if point.mark == 'moved' else 'stands apart'} at {name}: "
        f"{number(point.value)}, expected {number(point.low)} to {number(point.high)}"
        for point, name in zip(points, names, strict=True)
        if point.mark
    ]
    band = " The band is where 99 of 100 next runs lie, by the spread of those before."
    return (
        f"{figure}: {'; '.join(said) or 'no run lies beyond the spread of those before it'}.{band}"
    )


def picture(points: Sequence[Point], names: Sequence[str], figure: str) -> str:
    """The chart as SVG in the page's own colours, each text in it escaped."""
    ends = [v for p in points for v in (p.value, p.low, p.high) if v is not None]
    low, high = min(ends), max(ends)
    pad = 0.08 * (high - low) or abs(high) * 0.05 or 1.0
    # what has never been negative has no axis below nothing
    floor = 0.0 if min(point.value for point in points) >= 0 else float("-inf")
    y = Axis(max(floor, low - pad), high + pad, _BASE, _TOP)
    x = Axis(0.0, len(points) - 1.0, _LEFT + 12, _RIGHT - 12)
    parts = [_text(_LEFT, 12, escaped(figure), "start")]
    for value, label in y.ticks(5):
        parts.append(f'<path class="rule" d="M{_LEFT} {y(value):.1f}H{_RIGHT}"/>')
        parts.append(_text(_LEFT - 8, y(value) + 4, label, "end"))
    half = (_RIGHT - _LEFT) / len(points) / 2
    for n, point in enumerate(points):
        if point.low is not None and point.high is not None:
            base = y(max(point.low, floor))
            box = f'x="{x(n) - half:.1f}" width="{2 * half:.1f}" y="{y(point.high):.1f}"'
            parts.append(f'<rect class="band" {box} height="{base - y(point.high):.1f}"/>')
    line = " ".join(f"{x(n):.1f},{y(point.value):.1f}" for n, point in enumerate(points))
    parts.append(f'<polyline class="curve board" points="{line}"/>')
    parts += [
        _dot(x(n), y(point.value), point, name)
        for n, (point, name) in enumerate(zip(points, names, strict=True))
    ]
    step = max(1, int(nice_step(len(points), 10)))
    parts += [_text(x(n), _BASE + 32, str(n + 1), "middle") for n in range(0, len(points), step)]
    parts.append(_text(_LEFT, _HEIGHT - 4, "runs in order of time", "start"))
    about = f'role="img" aria-label="{escaped(figure)} of {len(points)} runs in order of time"'
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<div class="chart" tabindex="0"><svg {size} {about}>{"".join(parts)}</svg></div>'


def _dot(x: float, y: float, point: Point, name: str) -> str:
    tip = f"<title>{escaped(name)}: {number(point.value)}</title>"
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="4"'
    dot = f'<circle class="dot-{point.mark or "usual"}" {place}>{tip}</circle>'
    sign = {"moved": "▲", "alone": "◆"}.get(point.mark)
    return dot if sign is None else dot + _text(x, _BASE + 16, sign, "middle")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
