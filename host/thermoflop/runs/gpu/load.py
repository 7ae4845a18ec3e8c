"""The real load of this machine, 0 to 1, for a simulated GPU that warms because of work done."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_EVERY_S = 0.1


class MachineLoad:
    """The share of processor time in use, looked at ten times a second at most."""

    def __init__(self) -> None:
        """The first answer needs two looks, so it is 0."""
        self._looked_s = 0.0
        self._busy, self._total = 0, 0
        self._load = 0.0

    def __call__(self, _at_s: float) -> float:
        """The load now, whatever moment is asked about."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= _EVERY_S:
            self._looked_s = now_s
            self._load = self._look()
        return self._load

    def _look(self) -> float:
        try:
            words = _STAT.read_text().split("\n", 1)[0].split()[1:9]
        except OSError:  # not Linux
            return min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        ticks = [int(word) for word in words]
        total = sum(ticks)
        busy = total - ticks[3] - ticks[4]  # all but idle and waiting for a disk
        first = self._total == 0
        share = (busy - self._busy) / max(1, total - self._total)
        self._busy, self._total = busy, total
        return 0.0 if first else min(1.0, max(0.0, share))
