"""The command of a recording without a command: waits until stopped, exits with 0.

``python -m thermoflop.web.live.wait [SECONDS]``
"""

from __future__ import annotations

import signal
import sys
import threading


def main(seconds: float | None) -> int:
    """Wait for ``seconds``, or until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait(seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else None))
