"""Room on the disk that is kept back, so that a run on a full disk can still say how it ended."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

RESERVE_BYTES = 128 << 10  # room for run.json and what could not be written


class Reserve:
    """A file without a name: however the process ends, it leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        """Fill it; OSError when there is no room even now."""
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(os.urandom(RESERVE_BYTES))  # a disk that compresses keeps it, too
            self._fd = os.dup(file.fileno())

    def give_up(self) -> bool:
        """Give the room back; whether there was any."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        return fd >= 0

    def __del__(self) -> None:
        """Give it back with the run that kept it."""
        if getattr(self, "_fd", -1) >= 0:
            self.give_up()
