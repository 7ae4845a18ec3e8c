"""Read a run back: streaming, in bounded memory, also while it is still being written.

The reader believes nothing: a board line's crc is checked again, a torn tail is left alone until it
is finished, NUL bytes (a power cut leaves them) and foreign lines are counted and passed over.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermoflop.base.files import open_plain, read_json
from thermoflop.errors import InputError
from thermoflop.pico.lines import LineSplitter, Overlong
from thermoflop.pico.track import BadLine, BoardLine, HostEvent
from thermoflop.pico.wire import Bad, decode
from thermoflop.runs.folder.gpu_table import GpuTable, Tabled
from thermoflop.runs.folder.records import FurtherLine, Record
from thermoflop.runs.folder.store import FORMAT, RUN, SAMPLES
from thermoflop.runs.gpu.sample import parse_gpu

MAX_RUN_BYTES = 64 << 20  # ten thousand trials with their gates take a tenth of it
_CHUNK_BYTES = 1 << 18
_MAX_RECORD_BYTES = 65536  # a mark has at most 4096 bytes, a line of a board 256
_FOLLOW_EVERY_S = 0.1  # half the time between two samples at the usual rate
_LINE_KEY = b',"src":"board","line":'
_FURTHER_LINE = re.compile(
    rb'(.{1,99}?),"src":"board","board":([1-9]\d{0,3}),"line":(.*)\}', re.DOTALL
)
# as the recorder writes it; two matches cost a third of what json takes for the same
_STAMPS = re.compile(rb'\{"mono_s":(-?\d{1,15}\.\d{1,9}),"wall_s":(-?\d{1,15}\.\d{1,9})').fullmatch


@dataclass(slots=True)
class ReadCounts:
    """What the reader met: ``torn`` is 1 when the last line had no end."""

    records: int = 0
    bad_crc: int = 0
    foreign: int = 0
    nul_bytes: int = 0
    torn: int = 0


class RunReader:
    """Iterate over the items of a run; ``counts`` says what was passed over."""

    def __init__(
        self, run: Path, follow: bool = False, stop: threading.Event | None = None
    ) -> None:
        """``run`` is a folder or its samples file; ``follow`` waits for more until ``stop``."""
        self.path = samples_path(run)
        self.counts = ReadCounts()
        self._follow = follow
        self._stop = stop or threading.Event()

    def __iter__(self) -> Iterator[Record]:
        """The items, oldest first."""
        for block in self.blocks():
            for line in block.others if isinstance(block, Tabled) else block:
                item = self.item(line)
                if item is not None:
                    yield item

    def blocks(self, table: GpuTable | None = None) -> Iterator[list[bytes | Overlong] | Tabled]:
        """The lines as they stand there, many at once, for who reads the usual ones by himself;
        instead of them what ``table`` says that they are.
        """
        splitter, at = LineSplitter(_MAX_RECORD_BYTES), 0
        try:
            file = os.fdopen(open_plain(str(self.path)), "rb", buffering=0)
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror}") from error
        with file:
            while True:
                n_bytes = _CHUNK_BYTES if table is None else table.ahead(at, _CHUNK_BYTES)
                chunk = file.read(n_bytes)
                if chunk:
                    is_whole = not splitter.pending_bytes and chunk.endswith(b"\n")
                    tabled = None if table is None else table.read(at, chunk)
                    yield tabled if tabled and is_whole else splitter.feed(chunk)
                    at += len(chunk)
                elif not self._follow or self._stop.wait(_FOLLOW_EVERY_S):
                    break
        self.counts.torn = int(splitter.pending_bytes > 0)

    def item(self, line: bytes | Overlong) -> Record | None:
        """What a line says; it is counted."""
        if isinstance(line, Overlong):
            self.counts.foreign += 1
            return None
        if b"\0" in line:
            self.counts.nul_bytes += line.count(b"\0")
            line = line.strip(b"\0")
        item = parse(line)
        said = item.line if isinstance(item, FurtherLine) else item
        if item is None:
            self.counts.foreign += bool(line.strip())
        elif isinstance(said, BadLine) and said.reason.startswith("stored_"):
            self.counts.bad_crc += 1
        else:
            self.counts.records += 1
            return item
        return None


def parse(line: bytes) -> Record | None:
    """One record without its newline, or None when it is not one.

    A board line that is no longer what the board sent comes back as a BadLine whose reason starts
    with ``stored_``.
    """
    head, key, rest = line.partition(_LINE_KEY)
    try:
        if key and rest.endswith(b"}"):
            return _board_item(head, rest[:-1])
        if further := _FURTHER_LINE.fullmatch(line):
            return FurtherLine(int(further[2]), _board_item(further[1], further[3]))
        record = json.loads(line)
        mono_s, wall_s = float(record.pop("mono_s")), float(record.pop("wall_s"))
        if not (math.isfinite(mono_s) and math.isfinite(wall_s)):
            return None  # json reads 1e999 and NaN
        src = record.pop("src")
        if src == "host":
            return HostEvent(mono_s, wall_s, str(record.pop("ev")), record)
        if src == "gpu":
            return parse_gpu(mono_s, wall_s, record)
        if src == "board":
            text = str(record["text"]).encode("latin-1")
            bad = BadLine(mono_s, wall_s, str(record["bad"]), text, int(record["bytes"]))
            number = int(record.get("board", 0))
            return FurtherLine(number, bad) if number > 0 else bad
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None
    return None


def _board_item(head: bytes, raw: bytes) -> BoardLine | BadLine:
    """A board's line, as it came, behind the stamps of its arrival."""
    if usual := _STAMPS(head):
        mono_s, wall_s = float(usual[1]), float(usual[2])
    else:
        stamps = json.loads(head + b"}")
        mono_s, wall_s = float(stamps["mono_s"]), float(stamps["wall_s"])
    message = decode(raw)
    if isinstance(message, Bad):
        return BadLine(mono_s, wall_s, f"stored_{message.reason}", raw, len(raw))
    return BoardLine(mono_s, wall_s, raw, message)


def samples_path(run: Path) -> Path:
    """The samples file of a run folder, or ``run`` itself when it is that file."""
    path = run / SAMPLES if run.is_dir() else run
    if not path.exists():
        raise InputError(f"{run} is not a run: there is no {SAMPLES} in it")
    return path


def read_run(folder: Path) -> dict[str, Any]:
    """``run.json`` of a run folder; InputError when it is missing or not what it should be."""
    path = folder / RUN
    run = read_json(str(path), "the run.json of a run", MAX_RUN_BYTES, links=False)
    if not isinstance(run.get("format"), int):
        raise InputError(f"{path} is not the run.json of a run: it has no format number")
    if run["format"] > FORMAT:
        raise InputError(
            f"{path} has format {run['format']}, and this version reads up to {FORMAT}: upgrade"
        )
    return run
