"""A run boiled down to what a picture needs, in one pass and bounded memory.

Times are seconds since the run's first sample, by the board's own clock (its spacing has none
of the link's jitter); each boot is placed where its first sample arrived. Temperatures are degrees
Celsius. Of a long run only the extremes of each stretch are kept: no peak is ever lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from thermoflop.base.plain import is_number
from thermoflop.pico.track import BoardLine, HostEvent
from thermoflop.pico.wire import Sample, Settings
from thermoflop.runs.folder.records import Record

MAX_POINTS = 8192  # ten for each pixel of the picture's width
MAX_SPANS = 2048  # two for each pixel
MAX_MARKS = 50  # more names would cover each other

Point = tuple[float, float]  # (t_s, temp_c)
Span = tuple[float, float]  # (start_s, end_s)


@dataclass(slots=True)
class Trace:
    """What happened in a run, ready to be drawn.

    ``lines`` are stretches without a break; ``gaps`` are the times without samples; ``thresholds``
    are (from_s, on_c, off_c) as the board stated them; ``marks`` are moments with a name.
    """

    lines: list[list[Point]] = field(default_factory=list)
    gaps: list[Span] = field(default_factory=list)
    fan: list[Span] = field(default_factory=list)
    faults: dict[str, list[Span]] = field(default_factory=dict)
    thresholds: list[tuple[float, float, float]] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    end_s: float = 0.0


class _Line:
    """Points of one temperature line, thinned to the extremes of ever longer stretches."""

    def __init__(self) -> None:
        self._lines: list[list[Point]] = [[]]
        self._stride = 1
        self._group: list[Point] = []
        self._kept = 0

    def add(self, point: Point) -> None:
        self._group.append(point)
        if len(self._group) >= 2 * self._stride:
            self._flush()
        if self._kept > MAX_POINTS:
            self._halve()

    def cut(self) -> None:
        """The next point is not joined to the last."""
        self._flush()
        if self._lines[-1]:
            self._lines.append([])

    def lines(self) -> list[list[Point]]:
        self._flush()
        return [line for line in self._lines if line]

    def _flush(self) -> None:
        kept = _extremes(self._group)
        self._lines[-1] += kept
        self._kept += len(kept)
        self._group = []

    def _halve(self) -> None:
        self._stride *= 2
        for index, line in enumerate(self._lines):
            groups = (line[i : i + 4] for i in range(0, len(line), 4))
            self._lines[index] = [point for group in groups for point in _extremes(group)]
        if len(self._lines) > MAX_POINTS // 4:  # more breaks than pixels: join them two by two
            pairs = (self._lines[i : i + 2] for i in range(0, len(self._lines), 2))
            self._lines = [[point for line in pair for point in line] for pair in pairs]
        self._kept = sum(map(len, self._lines))


def _extremes(points: list[Point]) -> list[Point]:
    """The lowest and the highest point, in order of time."""
    if len(points) <= 2:
        return points
    low = min(points, key=lambda p: p[1])
    high = max(points, key=lambda p: p[1])
    return [low] if low == high else sorted((low, high))


class Tracer:
    """Makes the trace of a run from its items, added in order."""

    def __init__(self) -> None:
        """No item yet."""
        self._trace = Trace()
        self._line = _Line()
        self._last: Sample | None = None
        self._last_t_s = 0.0
        self._offset_s = 0.0
        self._start_s: float | None = None

    def add(self, item: Record) -> None:
        """The next item; what says nothing about temperature, fan or thresholds is passed over."""
        if isinstance(item, HostEvent) and item.ev == "reconnect":
            self._mark(self._last_t_s, "reconnect")
        if not isinstance(item, BoardLine):
            return
        if isinstance(item.message, Settings):
            self._settings(item.message)
        elif isinstance(item.message, Sample):
            self._sample(item.message, item.mono_s)

    def trace(self) -> Trace:
        """The trace of the items so far."""
        self._trace.lines = self._line.lines()
        self._trace.end_s = self._last_t_s
        return self._trace

    def _settings(self, settings: Settings) -> None:
        on_c, off_c = settings.values.get("on_c"), settings.values.get("off_c")
        if not is_number(on_c) or not is_number(off_c):
            return
        steps = self._trace.thresholds
        if not steps or steps[-1][1:] != (on_c, off_c):
            steps.append((self._last_t_s if steps else 0.0, float(on_c), float(off_c)))

    def _sample(self, sample: Sample, mono_s: float) -> None:
        last = self._last
        if self._start_s is None:
            self._start_s = mono_s
        if last is None or sample.boot != last.boot:
            arrived_s = max(mono_s - self._start_s, self._last_t_s)
            self._offset_s = arrived_s - sample.up_s
            if last is not None:
                self._mark(arrived_s, "reboot")
        t_s = max(self._last_t_s, sample.up_s + self._offset_s)
        if last is not None and sample.follows(last):
            self._extend(last, t_s)
        elif last is not None:
            self._line.cut()
            _extend(self._trace.gaps, self._last_t_s, t_s)
        if sample.temp_c is None:
            self._line.cut()
        else:
            self._line.add((t_s, sample.temp_c))
        self._last, self._last_t_s = sample, t_s

    def _mark(self, t_s: float, name: str) -> None:
        if len(self._trace.marks) < MAX_MARKS:
            self._trace.marks.append((t_s, name))

    def _extend(self, last: Sample, t_s: float) -> None:
        """The fan and the flags of the last sample hold until now."""
        if last.fan:
            _extend(self._trace.fan, self._last_t_s, t_s)
        for flag in last.flags:
            _extend(self._trace.faults.setdefault(flag, []), self._last_t_s, t_s)


def _extend(spans: list[Span], start_s: float, end_s: float) -> None:
    """Add a span, joined to the one before where they touch."""
    if spans and spans[-1][1] >= start_s:
        spans[-1] = (spans[-1][0], end_s)
    else:
        spans.append((start_s, end_s))
    if len(spans) > MAX_SPANS:
        hole_s = sorted(b[0] - a[1] for a, b in pairwise(spans))[MAX_SPANS // 2]
        joined: list[Span] = []
        for span in spans:
            if joined and span[0] - joined[-1][1] <= hole_s:
                joined[-1] = (joined[-1][0], span[1])
            else:
                joined.append(span)
        spans[:] = joined
