"""The readings of one source, numbered so that a viewer gets only new ones, and hours of its past.

The newest are kept as they came; of older ones every few seconds one, for as many hours. Whoever
opens the page gets both.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

Point = Sequence[float | int | None]

KEPT_POINTS = 2000  # more than a new viewer gets at once; what is older is of the past
COARSE_S = 5.0  # between two readings of the past
COARSE_KEPT = 7200  # ten hours


class Readings:
    """A bounded buffer of points, whose first value is a time in seconds; a viewer that was away
    too long misses the oldest."""

    def __init__(self, maxlen: int = KEPT_POINTS, past: int = COARSE_KEPT) -> None:
        """Keeps the last ``maxlen`` points, and ``past`` before them, one every ``COARSE_S``."""
        self._points: deque[Point] = deque(maxlen=maxlen)
        self._past: deque[Point] = deque(maxlen=past)
        self._lock = threading.Lock()  # one thread adds, another reads
        self.next = 0  # the number that the next point will get

    def add(self, point: Point) -> None:
        """Append a point."""
        with self._lock:
            self._points.append(point)
            if not self._past or (point[0] or 0.0) - (self._past[-1][0] or 0.0) >= COARSE_S:
                self._past.append(point)
            self.next += 1

    def since(self, number: int) -> tuple[int, list[Point]]:
        """The number of the first point kept from ``number`` on, and the points."""
        with self._lock:
            first = self.next - len(self._points)
            start = min(max(number, first), self.next)
            return start, list(islice(self._points, start - first, None))

    def before(self, number: int) -> list[Point]:
        """The past up to the point with that number, a reading every ``COARSE_S``."""
        points = self.since(number)[1]
        end_s = (points[0][0] or 0.0) if points else float("inf")
        with self._lock:
            return [point for point in self._past if (point[0] or 0.0) < end_s]
