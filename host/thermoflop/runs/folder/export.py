"""A run as one flat table: CSV with nothing but the standard library, Parquet with an extra.

One row for each record, one column for each field; what a record has no value for is empty. The
board's events and the host's notes keep their details as JSON text in the column ``detail``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from thermoflop.base.files import write_file
from thermoflop.errors import MissingExtra, UsageError
from thermoflop.pico.track import BadLine, BoardLine, HostEvent
from thermoflop.pico.wire import Event, Sample
from thermoflop.runs.folder.reader import RunReader
from thermoflop.runs.folder.records import FurtherLine
from thermoflop.runs.gpu.sample import MEASURED, GpuSample

_BOARD = ("boot", "seq", "up_s", "board_c", "raw", "fan", "mode", "flags", "drops")
_AS_SAID = [name for name in _BOARD if name not in ("board_c", "flags")]
COLUMNS = ("mono_s", "wall_s", "source", "kind", "gpu", *MEASURED, *_BOARD, "detail")
_BATCH = 50_000  # rows of a Parquet row group: some MB of memory
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four: full-width = + - @


def export(folder: Path, path: Path) -> int:
    """Write the run in ``folder`` to ``path``; how many records that were."""
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise UsageError(f"{path} must end in .csv or .parquet")
    fill = _csv if suffix == ".csv" else _parquet
    return write_file(str(path), lambda file: fill(folder, file))


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The records as dictionaries of some of COLUMNS."""
    for item in RunReader(folder):
        row: dict[str, Any] = {"mono_s": item.mono_s, "wall_s": item.wall_s}
        board = "board"
        if isinstance(item, FurtherLine):
            board, item = f"board {item.number + 1}", item.line
        match item:
            case GpuSample():
                row |= {"source": "gpu", "kind": "sample", "gpu": item.gpu}
                row |= {name: getattr(item, name) for name in MEASURED}
            case HostEvent():
                detail = json.dumps(dict(item.detail))
                row |= {"source": "host", "kind": item.ev, "detail": detail}
            case BadLine():
                row |= {"source": board, "kind": "bad", "detail": item.reason}
            case BoardLine():
                row |= {"source": board, **_board(item.message)}
        yield {key: _text(value) for key, value in row.items()}


def _text(value: Any) -> Any:
    """Half of a surrogate pair can be in JSON, but not in a file of UTF-8."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _board(message: object) -> dict[str, Any]:
    if isinstance(message, Sample):
        said = {name: getattr(message, name) for name in _AS_SAID}
        flags = " ".join(message.flags)
        return {"kind": "sample", "board_c": message.temp_c, "flags": flags, **said}
    if isinstance(message, Event):
        return {"kind": message.ev, "boot": message.boot, "up_s": message.up_s,
                "detail": json.dumps(dict(message.detail))}  # fmt: skip
    return {"kind": type(message).__name__.lower()}


def _csv(folder: Path, file: BinaryIO) -> int:
    written = 0
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    for row in rows(folder):
        writer.writerow({key: safe_cell(value) for key, value in row.items()})
        written += 1
    text.detach()  # flushed; the file stays open to be synced
    return written


def safe_cell(value: Any) -> Any:
    """A spreadsheet takes text that begins like a formula for one."""
    return "'" + value if isinstance(value, str) and value[:1] in _FORMULA else value


def _parquet(folder: Path, file: BinaryIO) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra(
            "Parquet needs pyarrow: pip install 'thermoflop[parquet]', or export to CSV"
        ) from error
    text = ("source", "kind", "boot", "mode", "flags", "detail")
    whole = ("gpu", "mem_used_bytes", "reasons", "seq", "raw", "fan", "drops")
    schema = pa.schema(
        [
            (name, pa.string() if name in text else pa.int64() if name in whole else pa.float64())
            for name in COLUMNS
        ]
    )
    written, left = 0, rows(folder)
    with pq.ParquetWriter(file, schema) as writer:
        while batch := list(islice(left, _BATCH)):
            full = [{n: _whole(row.get(n), n in whole) for n in COLUMNS} for row in batch]
            writer.write_table(pa.Table.from_pylist(full, schema))
            written += len(batch)
    return written


def _whole(value: Any, whole: bool) -> Any:
    """A number that a column of 64 bits cannot hold is left out; the run still has it."""
    return None if whole and isinstance(value, int) and not -(1 << 63) <= value < 1 << 63 else value
