"""The command of a recording of the page: waits until stopped, exits with 0.

``python -m thermoflop.web.live.wait [SECONDS [COMMAND...]]``; a command that is named runs
meanwhile, and is asked to end when the time is over.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from thermoflop.base.signal_event import SignalEvent
from thermoflop.marks import ENVIRONMENT
from thermoflop.runs.folder.store import KNOWS_LOCKS, is_being_written

LOOK_EVERY_S = 0.5
END_S = 5.0  # for a command to end after it was asked to


def main(seconds: float | None, command: Sequence[str] = ()) -> int:
    """Wait for ``seconds``, or until SIGINT, SIGTERM or the end of the recorder that started us.

    With a command: until it ends, if that comes sooner; then the exit code is its own.
    """
    stop = SignalEvent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    end_s = time.monotonic() + (seconds or math.inf)
    child = subprocess.Popen(command) if command else None
    # a recorder that was killed cannot say so
    while time.monotonic() < end_s and _is_recorded():
        if stop.wait(min(LOOK_EVERY_S, max(0.0, end_s - time.monotonic()))):
            break
        if child is not None and child.poll() is not None:
            return child.returncode
    if child is not None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_S)
        child.kill()
    return 0


def _is_recorded() -> bool:
    """Whether the recorder lives: it holds the lock of its run."""
    marks = os.environ.get(ENVIRONMENT)
    return not KNOWS_LOCKS or marks is None or is_being_written(Path(marks).parent)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else None, sys.argv[2:]))
