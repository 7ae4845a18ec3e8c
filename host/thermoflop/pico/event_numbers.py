"""Which of a board's events are news, by the numbers that they carry.

Each event has the next number, so a number that jumps says that events are missing, and one that
goes back that a line is stale. But one corrupted line in 65,536 passes its CRC: a single number
that is too high must not make all that follow look stale. So a number is believed for good once
the one after it came; until then one that lies in the gap that it made takes it back.
"""

from __future__ import annotations

MAX_STALE = 8  # in a row, each with the next number: then it is we who are wrong


class EventNumbers:
    """The numbers of one boot's events."""

    def __init__(self, last: int | None) -> None:
        """``last`` is -1 where the first number, 0, is expected, and None where any may come."""
        self.last = last
        self._gap: tuple[int | None, int] | None = None  # the newest: number before it, its size
        self._stale_n = self._stale_run = 0

    def is_stale(self, n: int) -> bool:
        """Whether ``n`` is no news: its event was there already, or belongs to an old buffer."""
        if self.last is None or n > self.last or self._takes_back(n):
            return False
        self._stale_run = self._stale_run + 1 if n == self._stale_n + 1 else 1
        self._stale_n = n
        return self._stale_run <= MAX_STALE

    def take(self, n: int) -> tuple[int, int | None]:
        """Take a number that is not stale: how many more are missing, and the number taken back.

        Fewer than 0 are missing when a gap that was counted before is taken back.
        """
        more, taken_back = 0, None
        if self.last is not None and n <= self.last:
            taken_back, before = self.last, None
            if self._takes_back(n) and self._gap is not None:
                before, size = self._gap
                more = -size
            self.last = before
        missing = 0 if self.last is None else n - self.last - 1
        self._gap = (self.last, missing) if self.last is None or missing else None
        self.last, self._stale_run = n, 0
        return more + missing, taken_back

    def _takes_back(self, n: int) -> bool:
        """Whether ``n`` lies in the newest gap, whose end no further number has confirmed."""
        if self._gap is None or self.last is None:
            return False
        before = self._gap[0]
        return (before is None or before < n) and n < self.last
