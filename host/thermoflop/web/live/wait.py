"""The command of a recording without a command: waits until stopped, exits with 0.

``python -m thermoflop.web.live.wait [SECONDS]``
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from pathlib import Path

from thermoflop.marks import ENVIRONMENT
from thermoflop.runs.folder.store import KNOWS_LOCKS, is_being_written

LOOK_EVERY_S = 0.5


def main(seconds: float | None) -> int:
    """Wait for ``seconds``, or until SIGINT, SIGTERM or the end of the recorder that started us."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    end_s = time.monotonic() + (seconds or math.inf)
    # a recorder that was killed cannot say so
    while time.monotonic() < end_s and _is_recorded():
        if stop.wait(min(LOOK_EVERY_S, max(0.0, end_s - time.monotonic()))):
            break
    return 0


def _is_recorded() -> bool:
    """Whether the recorder lives: it holds the lock of its run."""
    marks = os.environ.get(ENVIRONMENT)
    return not KNOWS_LOCKS or marks is None or is_being_written(Path(marks).parent)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else None))
