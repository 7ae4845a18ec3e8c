"""The command of a recording beside a process that already runs: waits for its end, exits with 0.

``python -m thermoflop.runs.engines.attached PID [SECONDS]``
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from pathlib import Path

from thermoflop.base.processes import stat_of
from thermoflop.base.signal_event import SignalEvent

LOOK_EVERY_S = 0.2


def main(pid: int, seconds: float = math.inf) -> int:
    """Wait until the process has ended, ``seconds`` have passed, or SIGINT or SIGTERM comes."""
    stop = SignalEvent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    began = started_at(pid)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s and began is not None and started_at(pid) == began:
        if stop.wait(min(LOOK_EVERY_S, max(0.0, end_s - time.monotonic()))):
            break
    return 0


def started_at(pid: int) -> str | None:
    """What tells this process from a later one of the same number; None where there is none.

    A zombie has ended: nobody but its parent can take it away.
    """
    if len(fields := stat_of(pid)) > 19:
        return None if fields[0] in ("Z", "X") else fields[19]
    if Path("/proc/self/stat").exists():
        return None
    try:  # no such table: macOS
        os.kill(pid, 0)
    except PermissionError:
        return "there"
    except OSError:
        return None
    return "there"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *map(float, sys.argv[2:3])))
