"""What ``thermoflop watch`` shows: a board right now, as text of any size.

Times are the host's monotonic seconds; temperatures degrees Celsius.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from thermoflop.base.plain import is_number
from thermoflop.base.rolling import RollingRate
from thermoflop.pico.track import Board, BoardLine, Counters, Item
from thermoflop.pico.wire import Sample, printable
from thermoflop.report.messages import LOSSES, describe_fault
from thermoflop.report.summary import duration
from thermoflop.report.terminal.braille import Canvas
from thermoflop.report.terminal.plain import clock_time, news

MIN_COLUMNS, MIN_ROWS = 40, 10
_MAX_POINTS = 20_000  # kept in memory: more than an hour at five samples a second
_RATE_OVER_S = 5.0  # one late line then hardly changes the rate
_LABEL = 9  # columns left of the plot
_MIN_SPAN_C = 1.0  # a still temperature is not blown up to a noisy one
_NEWS = 3  # lines of events under the plot


@dataclass(frozen=True, slots=True)
class _Reading:
    mono_s: float
    temp_c: float | None
    fan: int
    joined: bool  # follows the one before without a gap


class Live:
    """The last ``window_s`` seconds of a board."""

    def __init__(self, port: str, window_s: float = 120.0) -> None:
        """``port`` is shown in the title."""
        self.port = printable(port)
        self.window_s = window_s
        self.last: Sample | None = None
        self._readings: deque[_Reading] = deque(maxlen=_MAX_POINTS)
        self._news: deque[str] = deque(maxlen=_NEWS)
        self._rate = RollingRate(_RATE_OVER_S)

    def add(self, items: Iterable[Item]) -> None:
        """Take the items that came since the last call."""
        for item in items:
            if isinstance(item, BoardLine) and isinstance(item.message, Sample):
                sample = item.message
                joined = sample.follows(self.last)
                self._rate.add(item.mono_s)
                self._readings.append(_Reading(item.mono_s, sample.temp_c, sample.fan, joined))
                self.last = sample
            elif text := news(item):
                self._news.append(f"{clock_time(item)}  {text}")
        while self._readings and self._readings[0].mono_s < self._now_s() - self.window_s:
            self._readings.popleft()

    def render(
        self, columns: int, rows: int, board: Board, counters: Counters, connected: bool
    ) -> list[Text]:
        """The picture: at most ``rows`` lines of at most ``columns`` characters."""
        columns, rows = max(columns, MIN_COLUMNS), max(rows, MIN_ROWS)
        lines = [self._title(board), self._state(connected), self._faults()]
        plot_rows = rows - len(lines) - 3 - _NEWS
        lines += self._plot(columns, max(2, plot_rows), board.settings)
        lines.append(self._fan_strip(columns))
        lines.append(self._losses_line(counters))
        lines += [Text(text, "dim") for text in self._news]
        lines = lines[: rows - 1]
        lines.append(Text("Ctrl-C ends; nothing is sent to the board", "dim italic"))
        for line in lines:
            line.truncate(columns, overflow="ellipsis")
        return lines

    def _now_s(self) -> float:
        return self._readings[-1].mono_s if self._readings else 0.0

    def _title(self, board: Board) -> Text:
        line = Text(f" {self.port}", "bold")
        if board.hello:
            name, fw = printable(board.hello.board), printable(board.hello.fw)
            line.append(f"  {name}, firmware {fw}", "not bold")
        if self.last:
            line.append(f"  up {duration(self.last.up_s)}", "dim not bold")
        return line

    def _state(self, connected: bool) -> Text:
        if self.last is None:
            return Text(" listening", "dim")
        temp_c = self.last.temp_c
        line = Text(" no valid reading" if temp_c is None else f" {temp_c:.2f} °C", "bold red")
        line.append("   fan ", "not bold default")
        line.append(*(("ON ", "bold blue") if self.last.fan else ("off", "bold default")))
        line.append(f"   mode {self.last.mode}", "not bold default")
        line.append(f"   {self._rate.per_s:.1f} samples/s", "not bold dim")
        if not connected:
            line.append("   the board is gone: waiting for it to come back", "bold yellow")
        return line

    def _faults(self) -> Text:
        if self.last is None or not self.last.flags:
            return Text(" no fault" if self.last else "", "green")
        faults = ", ".join(printable(describe_fault(flag)) for flag in self.last.flags)
        return Text(f" FAULT: {faults}", "bold white on red")

    def _plot(self, columns: int, rows: int, settings: dict[str, Any]) -> Iterator[Text]:
        canvas = Canvas(columns - _LABEL, rows)
        levels = {"on": settings.get("on_c"), "off": settings.get("off_c")}
        known = {k: float(v) for k, v in levels.items() if is_number(v)}
        low_c, high_c = self._range(known.values())
        for stretch in self._stretches():
            canvas.line(
                (self._x(r, canvas.width), _y(t, low_c, high_c, canvas.height)) for r, t in stretch
            )
        at_row = {_y(c, low_c, high_c, canvas.height) // 4: name for name, c in known.items()}
        labels = {0: high_c, rows - 1: low_c, (rows - 1) // 2: (low_c + high_c) / 2}
        for index in range(rows):
            name = at_row.get(index)
            label = f"{name} {known[name]:.1f}" if name else ""
            if not label and index in labels:
                label = f"{labels[index]:.1f}"
            color = {"on": "red", "off": "blue"}.get(name or "", "dim")
            line = Text(f"{label:>{_LABEL - 1}} ", color)
            for cell in canvas.row(index):
                if cell != " ":
                    line.append(cell, "bold yellow")
                else:
                    line.append("╌" if name else " ", color)
            yield line

    def _range(self, levels: Iterable[float]) -> tuple[float, float]:
        temps = [r.temp_c for r in self._readings if r.temp_c is not None]
        drawn = [*temps, *levels] or [20.0, 30.0]
        low_c, high_c = min(drawn), max(drawn)
        spare_c = max(0.05 * (high_c - low_c), (_MIN_SPAN_C - high_c + low_c) / 2)
        return low_c - spare_c, high_c + spare_c

    def _stretches(self) -> Iterator[list[tuple[_Reading, float]]]:
        """Readings without a break between them."""
        stretch: list[tuple[_Reading, float]] = []
        for reading in self._readings:
            if stretch and (not reading.joined or reading.temp_c is None):
                yield stretch
                stretch = []
            if reading.temp_c is not None:
                stretch.append((reading, reading.temp_c))
        yield stretch

    def _x(self, reading: _Reading, width: int) -> int:
        age_s = self._now_s() - reading.mono_s
        return round((width - 1) * (1 - age_s / self.window_s))

    def _fan_strip(self, columns: int) -> Text:
        width = columns - _LABEL
        on = [0] * width
        for reading in self._readings:
            on[max(0, min(width - 1, self._x(reading, 2 * width) // 2))] |= reading.fan
        line = Text(f"{'fan':>{_LABEL - 1}} ", "dim")
        line.append("".join("▀" if cell else " " for cell in on), "blue")
        return line

    def _losses_line(self, counters: Counters) -> Text:
        line = Text(f" last {duration(self.window_s)}", "dim")
        line.append(f"   {counters.samples} samples", "default not dim")
        for key, name in LOSSES.items():
            n = getattr(counters, key)
            if n or name == "lost":
                line.append(f"   {n} {name}", "yellow not dim" if n else "dim")
        return line


def _y(temp_c: float, low_c: float, high_c: float, height: int) -> int:
    return round((height - 1) * (high_c - temp_c) / (high_c - low_c))
