"""Echo acknowledged lines to a reader who may be slow, without ever holding up the recording.

Each line is given to the file descriptor in one piece after it was written to the run. When the
reader stalls, lines past the bound are left out and counted: they are in the run all the same, they
were only not acknowledged here.
"""

from __future__ import annotations

import os
import queue

from thermoflop.base.threads import start_thread
from thermoflop.pico.track import BoardLine

MAX_WAITING_LINES = 20_000  # about 2 MB; a board at 10 Hz takes half an hour for them
_CLOSE_WAIT_S = 2.0  # a reader that has stalled must not hold up the end of the run


class EchoPump:
    """Call it with board lines; a thread of its own writes them to ``fd``."""

    def __init__(self, fd: int, max_lines: int = MAX_WAITING_LINES) -> None:
        """``fd`` stays open when the pump is closed."""
        self._fd = fd
        self._lines: queue.Queue[bytes | None] = queue.Queue(max_lines)
        self.left_out = 0
        self.broken = False
        self._thread = start_thread("echo", self._run)

    def __call__(self, item: BoardLine) -> None:
        """Echo one line; never waits."""
        try:
            self._lines.put_nowait(item.line + b"\n")
        except queue.Full:
            self.left_out += 1

    def close(self) -> None:
        """Write what is waiting, for at most two seconds."""
        try:
            self._lines.put(None, timeout=_CLOSE_WAIT_S)
        except queue.Full:
            return
        self._thread.join(_CLOSE_WAIT_S)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if self.broken:
                continue
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
            except OSError:  # nobody reads any more: the recording goes on
                self.broken = True
