"""``gpus.table``: the numbers of the GPUs' lines, written beside ``samples.jsonl`` while recording.

A report of a long run spends most of its time on reading numbers out of text. The recorder does it
a quarter of a megabyte at a time, by the very function that a report reads with. The evidence
stays ``samples.jsonl``: a block of the table holds the digest of the bytes that it is of, and
counts for those bytes alone. Where they are others (edited, torn, written anew), where the block is
damaged or of another version, or where there is none, the lines themselves are read. Some blocks,
drawn anew each time, are held against their lines as well; a table that says anything else of them
is not believed at all. That is no proof against who writes both files with care: he could write any
``samples.jsonl``, too.

The file is a line that says what it is, then blocks: a head; and, compressed, the columns of ROW
one after the other as doubles, then where each other line begins and ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import struct
import sys
import zlib
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from thermoflop.base.files import create, open_plain
from thermoflop.runs.folder.gpu_lines import MARK, ROW, GpuLines, as_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TABLE = "gpus.table"
BLOCK_BYTES = (
    1 << 18
)  # of samples.jsonl: 7 ms of the recorder's time, every 13 s of 8 GPUs at 10 Hz
_FIRST_LINE = f"thermoflop gpus 1 {sys.byteorder} {' '.join(ROW)}\n".encode()
_HEAD = struct.Struct("<QIIII32sI")  # _Place, crc of it and of what is packed
_MOST_BYTES = 2 * BLOCK_BYTES  # of a block, in samples.jsonl and here
_LOOKED_AT = 16  # blocks, 7 ms each


class _Place(NamedTuple):
    """What a block is of: ``n_bytes`` of ``samples.jsonl`` from ``begin`` on."""

    begin: int
    n_bytes: int
    n_rows: int
    n_others: int
    n_packed: int
    digest: bytes

    def crc(self, packed: bytes) -> int:
        return zlib.crc32(packed, zlib.crc32(repr(tuple(self)).encode()))

    @property
    def makes_sense(self) -> bool:
        """Within bounds: what it says is not trusted."""
        most = max(self.n_bytes, self.n_packed, self.n_rows + self.n_others)
        return self.n_rows > 0 and 0 < most <= _MOST_BYTES


@dataclass(frozen=True, slots=True)
class Tabled:
    """What a piece of ``samples.jsonl`` holds: readings of GPUs, as rows, and its other lines."""

    rows: NDArray[np.float64]
    others: list[bytes]


class TableWriter:
    """Takes every line that was written; whatever fails here ends the table and nothing else."""

    def __init__(self, folder: Path) -> None:
        """The file comes with the first block: a short run needs none."""
        self._path = folder / TABLE
        self._reader = GpuLines()
        self._fd: int | None = None
        self._ended = False
        self._begin(0)

    def _begin(self, at: int) -> None:
        self._from = self._at = at
        self._digest = hashlib.sha256()
        self._lines: list[bytes] = []
        self._others = array("I")

    def add(self, line: bytes) -> None:
        """A line with its newline, which stands in ``samples.jsonl`` behind the one before."""
        if self._ended:
            return
        self._digest.update(line)
        begin = self._at
        self._at += len(line)
        if MARK in line:
            self._lines.append(line[:-1])
        elif self._at - self._from <= _MOST_BYTES:
            self._others.extend((begin - self._from, self._at - 1 - self._from))
        if self._at - self._from >= BLOCK_BYTES:
            try:
                self._write()
            except Exception:
                self.close()  # half a block at the end is none to a reader
            self._begin(self._at)

    def close(self) -> None:
        """No more blocks."""
        self._ended = True
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = None

    def _write(self) -> None:
        columns, unusual = self._reader.columns(self._lines)
        n_bytes = self._at - self._from
        if unusual or not self._lines or n_bytes > _MOST_BYTES:
            return  # the lines will be read
        data = b""
        if self._fd is None:
            self._fd, data = create(str(self._path), os.O_WRONLY | os.O_APPEND), _FIRST_LINE
        numbers = b"".join(column.tobytes() for column in columns)
        packed = zlib.compress(numbers + self._others.tobytes(), 1)
        counts = len(self._lines), len(self._others) // 2, len(packed)
        place = _Place(self._from, n_bytes, *counts, self._digest.digest())
        data += _HEAD.pack(*place, place.crc(packed)) + packed
        if os.write(self._fd, data) < len(data):
            self.close()


class GpuTable:
    """The blocks of a run's table, in order; none where there is no table to be believed."""

    def __init__(self, samples: Path) -> None:
        """``samples`` is the samples file that it stands beside."""
        self._file: BinaryIO = io.BytesIO()  # until there is one
        self._place: _Place | None = None
        self._crc = 0
        try:
            self._file = os.fdopen(open_plain(str(samples.parent / TABLE)), "rb")
            if not self._is_believed(samples):
                self.close()
                return
            self._file.seek(len(_FIRST_LINE))
            self._next()
        except OSError:
            self.close()

    def close(self) -> None:
        """There are no more blocks."""
        self._place = None
        self._file.close()

    def ahead(self, at: int, most: int) -> int:
        """How many bytes of the samples to read from ``at`` on: a block, or what comes before."""
        while self._place is not None and self._place.begin < at:
            self._take_packed()
        if self._place is None:
            return most
        begin = self._place.begin
        return self._place.n_bytes if begin == at else min(most, begin - at)

    def read(self, at: int, chunk: bytes) -> Tabled | None:
        """What ``chunk`` holds, which stands at ``at``; None where the table does not say."""
        place = self._place
        if place is None or place.begin != at:
            return None
        packed = self._take_packed()
        is_of_it = len(chunk) == place.n_bytes and hashlib.sha256(chunk).digest() == place.digest
        return _unpacked(packed, place, chunk) if packed and is_of_it else None

    def _next(self) -> None:
        """On to the next block's head; there is none behind one that makes no sense."""
        head = self._file.read(_HEAD.size)
        self._place = None
        if len(head) == _HEAD.size:
            *fields, self._crc = _HEAD.unpack(head)
            place = _Place(*fields)
            self._place = place if place.makes_sense else None

    def _take_packed(self) -> bytes | None:
        """What is packed in the block whose head was read, and on to the next one."""
        if self._place is None:
            return None
        packed = self._file.read(self._place.n_packed)
        if self._place.crc(packed) != self._crc:
            self._place = None
            return None
        self._next()
        return packed

    def _is_believed(self, samples: Path) -> bool:
        """Whether it is of this version, and a few of its blocks say what their lines say."""
        if self._file.readline(len(_FIRST_LINE) + 1) != _FIRST_LINE:
            return False
        places = list[int]()
        while True:
            at = self._file.tell()
            self._next()
            if self._place is None:
                break
            places.append(at)
            self._file.seek(self._place.n_packed, os.SEEK_CUR)
        with os.fdopen(open_plain(str(samples)), "rb") as file:
            drawn = random.SystemRandom().sample(places, min(_LOOKED_AT, len(places)))
            return all(self._is_right(place, file) for place in drawn)

    def _is_right(self, at: int, samples: BinaryIO) -> bool:
        """Whether the block at ``at`` is of other bytes, or says what its lines say."""
        import numpy as np

        self._file.seek(at)
        self._next()
        if self._place is None:
            return True  # nothing will be read from it, nor from one of other bytes
        begin = self._place.begin
        samples.seek(begin)
        chunk = samples.read(self._place.n_bytes)
        said = self.read(begin, chunk)
        if said is None:
            return True
        lines = chunk.split(b"\n")[:-1]
        rows, unusual = GpuLines().read([line for line in lines if MARK in line])
        others = [line for line in lines if MARK not in line]
        is_same = np.array_equal(said.rows, rows, equal_nan=True)
        return is_same and not unusual and said.others == others


def _unpacked(packed: bytes, place: _Place, chunk: bytes) -> Tabled | None:
    """What a block holds; None where that makes no sense. No more is unpacked than it says."""
    size, ends = 8 * place.n_rows, array("I")
    n_bytes = size * len(ROW) + 2 * ends.itemsize * place.n_others
    try:
        data = zlib.decompressobj().decompress(packed, n_bytes + 1)
    except zlib.error:
        return None
    if len(data) != n_bytes:
        return None
    rows = as_rows([array("d", data[n * size : (n + 1) * size]) for n in range(len(ROW))])
    ends.frombytes(data[size * len(ROW) :])
    others = [chunk[a:b] for a, b in zip(ends[::2], ends[1::2], strict=True)]
    if rows is None or any(MARK in line or b"\n" in line for line in others):
        return None
    return Tabled(rows, others)
