"""The newest readings of one source, numbered, so that each viewer gets those it has not seen."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

Point = Sequence[float | int | None]


class Readings:
    """A bounded row of points; a viewer that was away too long gets what is still there."""

    def __init__(self, maxlen: int) -> None:
        """At most ``maxlen`` points are kept."""
        self._points: deque[Point] = deque(maxlen=maxlen)
        self._lock = threading.Lock()  # one thread adds, another reads
        self.next = 0  # the number that the next point will get

    def add(self, point: Point) -> None:
        """The next point."""
        with self._lock:
            self._points.append(point)
            self.next += 1

    def since(self, number: int) -> tuple[int, list[Point]]:
        """The points from ``number`` on: the number of the first of them, and they themselves."""
        with self._lock:
            first = self.next - len(self._points)
            start = min(max(number, first), self.next)
            return start, list(islice(self._points, start - first, None))
