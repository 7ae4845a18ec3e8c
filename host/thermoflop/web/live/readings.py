"""The newest readings of one source, numbered so that a viewer gets only new ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

Point = Sequence[float | int | None]


class Readings:
    """A bounded buffer of points; a viewer that was away too long misses the oldest."""

    def __init__(self, maxlen: int) -> None:
        """Keeps the last ``maxlen`` points."""
        self._points: deque[Point] = deque(maxlen=maxlen)
        self._lock = threading.Lock()  # one thread adds, another reads
        self.next = 0  # the number that the next point will get

    def add(self, point: Point) -> None:
        """Append a point."""
        with self._lock:
            self._points.append(point)
            self.next += 1

    def since(self, number: int) -> tuple[int, list[Point]]:
        """The number of the first point kept from ``number`` on, and the points."""
        with self._lock:
            first = self.next - len(self._points)
            start = min(max(number, first), self.next)
            return start, list(islice(self._points, start - first, None))
