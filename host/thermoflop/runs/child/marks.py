"""Follow the file that ``tf.mark`` appends to, and turn its lines into events of the run.

The stamps are the command's own (the monotonic clock is one for the whole machine), so how often we
look does not matter. What is not a mark is counted and passed over.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from thermoflop.base.files import create
from thermoflop.base.plain import finite
from thermoflop.pico.lines import LineSplitter, Overlong
from thermoflop.pico.track import HostEvent

MARKS = "marks.jsonl"
MAX_MARK_BYTES = 4096  # PIPE_BUF on Linux: what several writers append stays whole
MAX_VALUES = 32  # more than any step has figures
_CHUNK_BYTES = 1 << 20


class MarksFile:
    """The marks of a run, read as they come."""

    def __init__(self, folder: Path) -> None:
        """Create the empty file; StorageError."""
        self.path = folder / MARKS
        self.bad = 0
        self.marks = 0
        self._splitter = LineSplitter(MAX_MARK_BYTES)
        self._fd = create(str(self.path), os.O_RDONLY)

    def take(self) -> list[HostEvent]:
        """The marks since the last call, at most a chunk of them at a time."""
        events = []
        for line in self._splitter.feed(os.read(self._fd, _CHUNK_BYTES)):
            event = None if isinstance(line, Overlong) else parse_mark(line)
            if event is None:
                self.bad += 1
            else:
                events.append(event)
        self.marks += len(events)
        return events

    def close(self) -> None:
        """Close the file, and remove it when it is empty."""
        if self._fd >= 0:
            empty = os.fstat(self._fd).st_size == 0
            os.close(self._fd)
            self._fd = -1
            if empty:
                self.path.unlink(missing_ok=True)


def parse_mark(line: bytes) -> HostEvent | None:
    """One line of the file as an event, or None."""
    try:
        data = json.loads(line)
        mono_s, pid = float(data["mono_s"]), int(data["pid"])
        values = clean(data.get("values", {}))
        if values is None or not math.isfinite(mono_s):
            return None
        detail: dict[str, Any] = {"by": "mark", "pid": pid, "values": values}
        if "phase" in data:
            name = data["phase"]
            detail["phase"] = None if name is None else str(name)[:200]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return HostEvent.at(mono_s, "mark", detail)


def clean(values: Any) -> dict[str, float | str] | None:
    """Values of a mark: finite numbers and short words; None when they are something else."""
    if not isinstance(values, dict) or len(values) > MAX_VALUES:
        return None
    kept: dict[str, float | str] = {}
    for key, value in values.items():
        number = float(value) if isinstance(value, bool) else finite(value)
        kept[str(key)[:64]] = str(value)[:200] if number is None else number
    return kept
