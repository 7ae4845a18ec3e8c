"""The readings of one source, numbered so that a viewer gets only new ones, and hours of its past.

The newest are kept as they came; of older ones every few seconds one, for as many hours. Whoever
opens the page gets both. Their memory is claimed with the first: a page that is left open for days
takes no more of it.
"""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left
from collections.abc import Sequence

Point = Sequence[float | None]

KEPT_POINTS = 2000  # more than a new viewer gets at once; what is older is of the past
COARSE_S = 5.0  # between two readings of the past
COARSE_KEPT = 7200  # ten hours


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


class Readings:
    """A bounded buffer of points, whose first value is a time in seconds; a viewer that was away
    too long misses the oldest."""

    def __init__(self, maxlen: int = KEPT_POINTS, past: int = COARSE_KEPT) -> None:
        """Keeps the last ``maxlen`` points, and ``past`` before them, one every ``COARSE_S``."""
        self._points = Ring(maxlen)
        self._past = Ring(past) if past else None
        self._lock = threading.Lock()  # one thread adds, another reads

    @property
    def next(self) -> int:
        """The number that the next point will get."""
        return self._points.next

    def add(self, point: Point) -> None:
        """Append a point."""
        with self._lock:
            self._points.add(point)
            past = self._past
            if past is not None:
                last_s = past.start(past.next - 1) if past.next else -math.inf
                if self._points.start(self._points.next - 1) - last_s >= COARSE_S:
                    past.add(point)

    def since(self, number: int, until: int) -> tuple[int, str]:
        """The number of the first point kept from ``number`` on, and the points from there to the
        one before ``until``, as JSON."""
        with self._lock:
            first = min(max(number, self._points.first), until)
            return first, self._points.text(first, until)

    def before(self, number: int) -> str:
        """The past up to the point with that number, a reading every ``COARSE_S``, as JSON."""
        with self._lock:
            points, past = self._points, self._past
            if past is None:
                return "[]"
            first = max(number, points.first)
            end_s = points.start(first) if first < points.next else math.inf
            until = bisect_left(range(past.next), end_s, lo=past.first, key=past.start)
            return past.text(past.first, until)
