"""A rate over the last while: samples a second, processors kept busy."""

from __future__ import annotations

from collections import deque

_MOST = 200  # a stranger who talks fast takes no memory


class RollingRate:
    """What was added in the last ``window_s`` seconds, a second."""

    def __init__(self, window_s: float) -> None:
        """The rate is 0 until something was added twice."""
        self.per_s = 0.0
        self._window_s = window_s
        self._sums: deque[tuple[float, float]] = deque(maxlen=_MOST)  # when, all until then

    def add(self, at_s: float, amount: float = 1.0) -> None:
        """``amount`` was done from the last call to ``at_s``; it may be longer than the window."""
        sums = self._sums
        sums.append((at_s, (sums[-1][1] if sums else 0.0) + amount))
        while len(sums) > 2 and sums[0][0] < at_s - self._window_s:
            sums.popleft()
        (from_s, before), (to_s, until) = sums[0], sums[-1]
        if to_s > from_s:
            self.per_s = (until - before) / (to_s - from_s)
