"""The readings of one source, numbered so that a viewer gets only new ones, and hours of its past.

The newest are kept as they came; of older ones every few seconds one, for as many hours. Whoever
opens the page gets both. The newest have their memory from the first on, so that it does not grow.
"""

from __future__ import annotations

import json
import math
import threading
from array import array
from collections import deque
from collections.abc import Callable, Sequence

Point = Sequence[float | None]

KEPT_POINTS = 2000  # more than a new viewer gets at once; what is older is of the past
COARSE_S = 5.0  # between two readings of the past
COARSE_KEPT = 7200  # ten hours
CHUNK = 60  # rows of the past that are one text


class Ring:
    """The last ``most`` rows of numbers, all as long as the first."""

    def __init__(self, most: int) -> None:
        """Takes no memory yet."""
        self._most = most
        self._width = 0
        self._numbers = array("d")
        self.next = 0  # the number that the next row will get

    @property
    def first(self) -> int:
        """The number of the oldest row that is kept."""
        return max(0, self.next - self._most)

    def add(self, row: Point) -> None:
        """Append a row; what is no finite number is told as null."""
        if not self._width:
            self._width = len(row)
            self._numbers = array("d", bytes(8 * self._most * self._width))
        at = self.next % self._most * self._width
        self._numbers[at : at + self._width] = array(
            "d", [v if v is not None and math.isfinite(v) else math.nan for v in row]
        )
        self.next += 1

    def start(self, number: int) -> float:
        """The first value of a row."""
        return self._numbers[number % self._most * self._width]

    def text(self, number: int, until: int) -> str:
        """The rows from ``number`` to the one before ``until`` as JSON; all must be kept."""
        if number >= until:
            return "[]"
        row = "[" + ",".join(["%.15g"] * self._width) + "]"
        start, end = (n % self._most * self._width for n in (number, until))
        numbers = self._numbers
        found = numbers[start:end] if start < end else numbers[start:] + numbers[:end]
        rows = ",".join([row] * (until - number)) % tuple(found)
        return "[" + rows.replace("nan", "null") + "]"


class Past:
    """Rows, one every ``COARSE_S``, as the JSON that a new viewer gets: ten hours of eight GPUs are
    four megabytes of it, and nobody waits until they are written."""

    def __init__(self, kept: int) -> None:
        """Keeps the last ``kept`` rows, and up to a chunk more."""
        self._chunks: deque[tuple[float, str]] = deque(maxlen=kept // CHUNK)  # with their last time
        self._open: list[tuple[float, str]] = []
        self._last_s = -math.inf

    def add(self, at_s: float, row: Callable[[], str]) -> None:
        """Keep a row if it is time for one."""
        if at_s - self._last_s < COARSE_S:
            return
        self._last_s = at_s
        self._open.append((at_s, row()))
        if len(self._open) == CHUNK:
            self._chunks.append((at_s, ",".join(text for _, text in self._open)))
            self._open.clear()

    def before(self, end_s: float) -> str:
        """The rows before this moment."""
        parts = []
        for last_s, text in self._chunks:
            if last_s >= end_s:
                rows = [row for row in json.loads(f"[{text}]") if row[0] < end_s]
                text = json.dumps(rows, separators=(",", ":"))[1:-1]
            parts.append(text)
        parts += [text for at_s, text in self._open if at_s < end_s]
        return "[" + ",".join(filter(None, parts)) + "]"


class Readings:
    """A bounded buffer of points, whose first value is a time in seconds; a viewer that was away
    too long misses the oldest."""

    def __init__(self, maxlen: int = KEPT_POINTS, past: int = COARSE_KEPT) -> None:
        """Keeps the last ``maxlen`` points, and ``past`` before them, one every ``COARSE_S``."""
        self._points = Ring(maxlen)
        self._past = Past(past)
        self._is_kept = past > 0
        self._lock = threading.Lock()  # one thread adds, another reads

    @property
    def next(self) -> int:
        """The number that the next point will get."""
        return self._points.next

    def add(self, point: Point) -> None:
        """Append a point."""
        with self._lock:
            points = self._points
            points.add(point)
            if self._is_kept:
                number = points.next - 1
                self._past.add(points.start(number), lambda: points.text(number, number + 1)[1:-1])

    def since(self, number: int, until: int) -> tuple[int, str]:
        """The number of the first point kept from ``number`` on, and the points from there to the
        one before ``until``, as JSON."""
        with self._lock:
            first = min(max(number, self._points.first), until)
            return first, self._points.text(first, until)

    def before(self, number: int) -> str:
        """The past up to the point with that number, a reading every ``COARSE_S``, as JSON."""
        with self._lock:
            points = self._points
            first = max(number, points.first)
            return self._past.before(points.start(first) if first < points.next else math.inf)
