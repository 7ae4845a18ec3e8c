"""The run folder of a wrapped run, written so that trouble with the disk never stops the command.

A write that fails is counted and tried again a second later with what comes then; how many items
are missing, and why, is written into the run as soon as that is possible. A small file is kept in
reserve and given up when the disk is full, so that there is room to say so.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from thermoflop.errors import StorageError
from thermoflop.pico.track import HostEvent
from thermoflop.runs.folder.records import Record
from thermoflop.runs.folder.store import RunStore

_RETRY_S = 1.0  # a disk that is full stays so for longer than a record


class ResilientStore:
    """Writes items and run.json; ``lost`` items could not be written, ``why`` says the reason."""

    def __init__(self, out: Path, name: str) -> None:
        """Create the folder; StorageError while there is still nothing to lose."""
        self.store = RunStore(out, name)
        self.folder = self.store.folder
        self.lost = 0
        self.why: str | None = None
        self._said = 0
        self._retry_s = 0.0

    def write(self, item: Record) -> bool:
        """Append an item; whether it was written."""
        if self.why is not None and time.monotonic() < self._retry_s:
            self.lost += 1
            return False
        try:
            if self.lost > self._said:
                self._say()
            self.store.write(item)
        except StorageError as error:
            self._failed(error)
            self.lost += 1
            return False
        return True

    def sync(self, now: bool = False) -> None:
        """Bring it to the disk, if a second has passed or ``now``."""
        try:
            self.store.sync(now)
        except StorageError as error:
            self._failed(error)

    def write_run(self, run: dict[str, Any]) -> None:
        """Replace run.json, or note why not."""
        try:
            self.store.write_run(run)
        except StorageError as error:
            self._failed(error)

    def close(self) -> None:
        """Say what is missing, sync, and take the reserve away."""
        if self.lost > self._said:
            with contextlib.suppress(StorageError):
                self._say()
        try:
            self.store.close()
        except StorageError as error:
            self._failed(error)

    def release(self) -> None:
        """Take the reserve away; the run is over."""
        self.store.give_up_reserve()

    def _say(self) -> None:
        detail = {"lost": self.lost - self._said, "total": self.lost, "why": self.why}
        self.store.write(HostEvent(time.monotonic(), time.time(), "not_written", detail))
        self._said = self.lost

    def _failed(self, error: StorageError) -> None:
        self.why = str(error)
        self._retry_s = time.monotonic() + _RETRY_S
        self.release()
