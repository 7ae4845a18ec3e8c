"""Control a running recording: others append orders to a file in its folder, and it obeys.

While a run is recorded its recorder alone holds the board's port. With ``record --control`` it
looks into ``control.txt`` ten times a second, passes commands of the form ``!id verb args`` on to
the board and notes them in the run, and ends in order on ``stop``. The answers come back as lines
of the board, in the run. Who may write into the folder may command the board; nobody else can.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from thermoflop.base.files import create, open_plain
from thermoflop.errors import InputError
from thermoflop.pico.lines import LineSplitter
from thermoflop.pico.wire import MAX_COMMAND_BYTES
from thermoflop.runs.folder.store import is_being_written

CONTROL = "control.txt"
STOP = "stop"
_CHUNK_BYTES = 65536


class Control:
    """The recorder's end."""

    def __init__(self, folder: Path) -> None:
        """Create the empty file; StorageError."""
        self.path = folder / CONTROL
        self._splitter = LineSplitter(MAX_COMMAND_BYTES)
        self._fd = create(str(self.path), os.O_RDONLY, 0o600)

    def take(self) -> list[str]:
        """The orders since the last call; what is not one is passed over."""
        lines = self._splitter.feed(os.read(self._fd, _CHUNK_BYTES))
        texts = (line.decode("latin-1") for line in lines if isinstance(line, bytes))
        return [text for text in texts if text == STOP or is_command(text)]

    def close(self) -> None:
        """Take the file away: the run holds what was commanded."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self.path.unlink(missing_ok=True)


def take_away(folder: Path) -> None:
    """Take the file of a recording away that was killed: it obeys nobody any more."""
    if not is_being_written(folder):
        with contextlib.suppress(OSError):
            (folder / CONTROL).unlink(missing_ok=True)


def is_command(text: str) -> bool:
    """Whether a line is a board's command as ``encode_command`` makes it."""
    return text.startswith("!") and text.isascii() and text.isprintable()


def order(folder: Path, text: str) -> None:
    """Append one order to a recording that goes on; InputError when it takes none."""
    path = folder / CONTROL
    if not (path.is_file() and is_being_written(folder)):
        raise InputError(
            f"the recording {folder.name} takes no orders: it has ended, or was not "
            "started with --control"
        )
    try:
        with os.fdopen(open_plain(str(path), os.O_WRONLY | os.O_APPEND), "ab", 0) as file:
            file.write(text.encode("ascii") + b"\n")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
