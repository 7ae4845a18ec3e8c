"""How much of the machine other programs took while something was measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from thermoflop.base.busy import busy_processor_s

TRIES = 3
T = TypeVar("T")


class Others:
    """The share of all processors that other programs took since this was made."""

    NOTABLE = 0.05

    def __init__(self) -> None:
        """Counting begins now."""
        self._begun = _counters()

    def share(self) -> float | None:
        """The share, 0 to 1; None where the system keeps no such counters."""
        now = _counters()
        if now is None or self._begun is None:
            return None
        elapsed_s, busy_s, own_s = (
            after - before for after, before in zip(now, self._begun, strict=True)
        )
        whole_s = elapsed_s * (os.cpu_count() or 1)
        return round(min(1.0, max(0.0, (busy_s - own_s) / whole_s)), 4) if whole_s > 0 else None


class Patience:
    """Measures again when other programs took processors, up to ``most`` times in all."""

    def __init__(self, most: int = 60) -> None:
        """``most`` repeats may be used in all."""
        self.left = most

    def undisturbed(self, measure: Callable[[], T]) -> T:
        """What ``measure`` finds while others rest; else the least disturbed of three."""
        tries: list[tuple[float, T]] = []
        while True:
            others = Others()
            result = measure()
            share = others.share() or 0.0
            if share <= Others.NOTABLE:
                return result
            tries.append((share, result))
            if len(tries) == TRIES or self.left <= 0:
                return min(tries, key=lambda each: each[0])[1]
            self.left -= 1


def _counters() -> tuple[float, float, float] | None:
    """Seconds: by the clock, of all processors in use (stolen ones too), of this process."""
    busy_s = busy_processor_s()
    if busy_s is None:
        return None
    spent = os.times()
    return time.monotonic(), busy_s, spent.user + spent.system
