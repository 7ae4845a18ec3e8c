"""One run is one folder: created exclusively, appended to line by line, never overwritten.

``samples.jsonl`` gets exactly one write call per line, so that a process killed at any moment loses
no line that was acknowledged; it is synced to the disk every second and at every event.
``run.json`` is written whole. When the disk is
full or the folder is gone, StorageError says so in one sentence and what was written stays.

A record of ``samples.jsonl`` is one JSON object::

    {"mono_s":12.345678,"wall_s":1750000000.123,"src":"board","line":{...the board's line...}}
    {"mono_s":12.345678,"wall_s":1750000000.123,"src":"board","bad":"crc","bytes":91,"text":"..."}
    {"mono_s":12.345678,"wall_s":1750000000.123,"src":"board","board":1,"line":{...the second's...}}
    {"mono_s":12.345678,"wall_s":1750000000.123,"src":"host","ev":"gap","missing":3}
    {"mono_s":12.345678,"wall_s":1750000000.123,"src":"gpu","gpu":0,"temp_c":61,"power_w":284.112}

``run.json`` holds format, id, name, command, git, host, port, started, ended (null while it goes
on, and for ever when the recorder was killed), board (hello and settings), counters, clocks (one
fit a boot), lines_written and summary; ``boards`` is a list of the same where there are several.

``mono_s`` is the host's monotonic clock, ``wall_s`` its wall clock (Unix time), both when the line
arrived. The board's line stands there byte for byte, so that its crc can be checked again.

``gpus.table`` (``gpu_table.py``) spares reports of long runs the reading of numbers; without it
they say the same.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import tempfile
import time
import unicodedata
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: a run that goes on cannot be told from one that was cut off
    fcntl = None  # type: ignore[assignment]

from thermoflop.base.files import BINARY, open_plain, replace_file, sync_folder
from thermoflop.base.record import plain
from thermoflop.errors import StorageError, UsageError
from thermoflop.pico.track import BadLine, BoardLine, HostEvent
from thermoflop.runs.folder.gpu_table import TableWriter
from thermoflop.runs.folder.records import FurtherLine, Record
from thermoflop.runs.gpu.sample import GpuSample, encode_gpu

KNOWS_LOCKS = fcntl is not None
FORMAT = 1
SAMPLES = "samples.jsonl"
RUN = "run.json"
RESERVE_BYTES = 128 << 10  # room for run.json and what could not be written
SYNC_EVERY_S = 1.0  # a sync costs 0.3 ms on an SSD: a power cut may take the last second

_MAX_NAME = 40  # a folder name of 255 bytes holds it, date and id in any script
_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS and Windows have no fdatasync


class Reserve:
    """Room on the disk that is kept back, so that a run on a full disk can still say how it ended:
    a file without a name, which leaves nothing behind however the process ends."""

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


class RunStore:
    """An open run folder. One thread writes."""

    def __init__(self, out: Path, name: str = "run") -> None:
        """Create ``out/<utc>-<name>-<id>/`` with an empty samples file in it."""
        self.run_id = secrets.token_hex(3)
        utc = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self.folder = out / f"{utc}-{safe_name(name)}-{self.run_id}"
        self.n_bytes = 0
        self._table = TableWriter(self.folder)
        self._dirty = False
        self._synced_s = time.monotonic()
        try:
            out.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir()
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | BINARY
            self._fd = os.open(self.folder / SAMPLES, flags, 0o644)
            _lock(self._fd)
            self._reserve = self._keep_back()
            sync_folder(str(self.folder))
            sync_folder(str(out))
        except OSError as error:
            raise StorageError(_why(error, "create the run folder", self.folder)) from error

    def _keep_back(self) -> Reserve:
        """The reserve; without one nothing of the run stays, for it could not begin."""
        try:
            return Reserve(self.folder)
        except OSError:
            os.close(self._fd)
            (self.folder / SAMPLES).unlink()
            self.folder.rmdir()
            raise

    def give_up_reserve(self) -> bool:
        """Give back the room that was kept; whether there was any."""
        return self._reserve.give_up()

    def write(self, item: Record) -> None:
        """Append one item; when this returns, killing the process cannot lose it."""
        data = encode(item)
        try:
            written = os.write(self._fd, data)
            while written < len(data):  # a signal, or the last block of a nearly full disk
                written += os.write(self._fd, data[written:])
        except OSError as error:
            self._cut_back()
            raise StorageError(_why(error, "write to", self.folder / SAMPLES)) from error
        self.n_bytes += len(data)
        self._dirty = True
        self._table.add(data)

    def sync(self, now: bool = False) -> None:
        """Bring what was written to the disk itself, if a second has passed or ``now``."""
        if not now and time.monotonic() - self._synced_s < SYNC_EVERY_S:
            return
        self._synced_s = time.monotonic()
        try:
            if self._dirty:
                _sync_data(self._fd)
                self._dirty = False
            links = os.fstat(self._fd).st_nlink
        except OSError as error:
            raise StorageError(_why(error, "sync", self.folder / SAMPLES)) from error
        if links == 0:  # writing on would succeed, into a file that nobody can open any more
            raise StorageError(f"{self.folder / SAMPLES} was deleted while it was being written")

    def write_run(self, run: dict[str, Any]) -> None:
        """Replace ``run.json`` by ``run``, whole or not at all; the reserve goes when it must."""
        path = self.folder / RUN
        data = _json({"format": FORMAT, "id": self.run_id, **run}, indent=1).encode() + b"\n"
        try:
            replace_file(str(path), lambda file: file.write(data))
        except OSError as error:
            if self.give_up_reserve():
                self.write_run(run)
                return
            raise StorageError(_why(error, "write", path)) from error

    def close(self) -> None:
        """Sync and close; safe to call twice."""
        self._table.close()
        if self._fd < 0:
            return
        try:
            if self._dirty:
                _sync_data(self._fd)
            os.close(self._fd)
        except OSError as error:
            raise StorageError(_why(error, "close", self.folder / SAMPLES)) from error
        finally:
            self._fd = -1

    def _cut_back(self) -> None:
        """Take away the part of a line that did fit; a reader would tolerate it, too."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self.n_bytes)


def is_being_written(folder: Path) -> bool:
    """Whether a recorder has the run open; its lock ends with its process, however that ends."""
    if fcntl is None:
        return False
    try:
        fd = open_plain(str(folder / SAMPLES))
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(fd)
    return False


def _lock(fd: int) -> None:
    """Say that this run is being written; a file system without locks goes without."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)


def encode(item: Record) -> bytes:
    """The record of an item, newline included."""
    if isinstance(item, GpuSample):
        return encode_gpu(item)
    of = ""
    if isinstance(item, FurtherLine):
        of, item = f'"board":{item.number},', item.line
    head = f'{{"mono_s":{item.mono_s:.6f},"wall_s":{item.wall_s:.3f},"src":'
    match item:
        case BoardLine():
            return b'%s"board",%s"line":%s}\n' % (head.encode("ascii"), of.encode(), item.line)
        case BadLine():
            bad = {"bad": item.reason, "bytes": item.n_bytes, "text": item.head.decode("latin-1")}
            return f'{head}"board",{of}{_inner(bad)}}}\n'.encode("ascii")
        case HostEvent():
            return f'{head}"host",{_inner({"ev": item.ev, **item.detail})}}}\n'.encode("ascii")


def safe_name(name: str) -> str:
    """``name`` as it may stand in a folder's name: letters and digits of any script, _ and -."""
    text = unicodedata.normalize("NFC", name.lower())
    kept = "".join(c if c in "_-" or unicodedata.category(c)[0] in "LNM" else " " for c in text)
    safe = "-".join(kept.split()).strip("-")[:_MAX_NAME].strip("-")
    if not safe:
        raise UsageError(f"run name {name!r} must have a letter or a digit in it")
    return safe


def _inner(data: dict[str, Any]) -> str:
    """A JSON object without its braces."""
    return _json(data, separators=(",", ":"))[1:-1]


def _json(data: dict[str, Any], **layout: Any) -> str:
    """JSON that every reader takes: what is not finite is null, and stops no recording."""
    try:
        return json.dumps(data, allow_nan=False, **layout)
    except ValueError:
        return json.dumps(plain(data), allow_nan=False, **layout)


def _why(error: OSError, action: str, path: Path) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"cannot {action} {path}: the disk is full; what was written so far is kept"
        case errno.EROFS:
            return f"cannot {action} {path}: the file system is read-only; choose another --out"
        case errno.EACCES | errno.EPERM:
            return f"cannot {action} {path}: no permission; choose another --out"
        case errno.ENOENT:
            return f"cannot {action} {path}: there is no such folder, or it was deleted"
        case errno.ENOTDIR | errno.EEXIST:
            return f"cannot {action} {path}: a file of that name is in the way"
    return f"cannot {action} {path}: {error.strerror or error}"
