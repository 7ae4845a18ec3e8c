"""Notice when the wall clock is set, or the machine slept: the monotonic clock saw neither.

All intervals of a run are taken on the monotonic clock, so a step of the wall clock costs nothing
but the truth of the wall times after it. It is written down so that nobody has to wonder.
"""

from __future__ import annotations

import time
from typing import Any

STEP_S = 0.5  # less is the slow slewing of a time service


class ClockWatch:
    """Look from time to time; the answer says what was stepped, and by how much."""

    def __init__(self) -> None:
        """Take the differences between the clocks as they are now."""
        self._wall_s, self._sleep_s = _differences()

    def look(self) -> dict[str, Any] | None:
        """The step since the last look, or None."""
        wall_s, sleep_s = _differences()
        step_s, slept_s = wall_s - self._wall_s, sleep_s - self._sleep_s
        self._wall_s, self._sleep_s = wall_s, sleep_s
        if slept_s > STEP_S:
            return {"step_s": round(step_s, 3), "slept_s": round(slept_s, 3)}
        if abs(step_s) > STEP_S:
            return {"step_s": round(step_s, 3)}
        return None


def _differences() -> tuple[float, float]:
    """Wall clock, and clock that counts sleep, each less the monotonic clock."""
    mono_s = time.monotonic()
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    boot_s = time.clock_gettime(boot) if boot is not None else mono_s
    return time.time() - mono_s, boot_s - mono_s
