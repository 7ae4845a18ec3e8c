"""The numbers written beside a recording: a report says the same with them and without them."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from kit.board_lines import sample_line
from kit.run_folder import START_S, board_line, board_settings, event, mark, trial, write
from thermoflop.pico.track import BadLine
from thermoflop.runs.analysis import readings
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.folder import gpu_table
from thermoflop.runs.folder.gpu_table import _HEAD, TABLE, GpuTable, Tabled, _Place
from thermoflop.runs.folder.reader import RunReader
from thermoflop.runs.folder.records import FurtherLine, Record
from thermoflop.runs.folder.store import encode
from thermoflop.runs.gpu.sample import GpuSample

LASTS_S = 60


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight kilobytes: fewer blocks than are looked at, so that all of them are."""
    monkeypatch.setattr(gpu_table, "BLOCK_BYTES", 1 << 13)


def gpu(t_s: float, index: int, **values: float) -> GpuSample:
    """A reading at ``t_s`` of the run."""
    return GpuSample(START_S + t_s, 1.75e9 + t_s, index, **values)  # type: ignore[arg-type]


def faulty() -> Iterator[Record]:
    """Two boards and two GPUs: one is lost, a counter stands still, a board restarts and is plugged
    in anew, the clock is set, a line is damaged, and a reading is so odd that it is read alone."""
    start, end = trial(1, LASTS_S - 1)
    yield from (board_settings(0.0, 29.0, 28.0), start, mark(1.5, "prefill", tokens=64))
    for n in range(LASTS_S * 2):
        t_s = n / 2
        boot = "00aa" if t_s < 30 else "00bb"
        line = sample_line(n, boot=boot, up_s=t_s % 30 + 1, temp_c=28 + n % 7 / 4, fan=n % 3 % 2)
        if n != 17:
            yield board_line(t_s, line)
        yield FurtherLine(1, board_line(t_s, sample_line(n, temp_c=40.0, up_s=t_s + 5)))
        watts = 300 + n % 11
        yield gpu(t_s, 0, temp_c=60 + n % 9, power_w=watts, energy_j=1000 + 4 * (n // 40))
        if not 20 <= t_s < 30:
            yield gpu(t_s, 1, temp_c=70, power_w=watts / 3, reasons=4 if n % 5 else 0)
    yield event(20, "gpu_lost", gpu=1, why="gone")
    yield event(30, "gpu_back", gpu=1)
    yield event(31, "lost", why="unplugged")
    yield event(32, "reconnect")
    yield event(33, "clock_step", step_s=3600.0)
    yield BadLine(START_S + 34, 1.75e9, "crc", b"{}", 9)
    yield mark(35, "decode", tokens=512)
    yield gpu(36, 0, temp_c=60, power_w=1e300, reasons=1 << 63)
    yield end


def blocks_used(folder: Path) -> int:
    """How many pieces of the samples a report takes from the table."""
    with closing(GpuTable(folder / "samples.jsonl")) as table:
        pieces = RunReader(folder).blocks(table)
        return sum(isinstance(piece, Tabled) for piece in pieces)


def said(folder: Path) -> str:
    """Every figure and every column of a run."""
    analysis = analyze(folder)
    columns = [
        (n, name, column.tolist())
        for n, table in analysis.data.gpus.items()
        for name, column in table.items()
    ]
    boards = [(b.t_s.tolist(), b.temp_c.tolist()) for b in analysis.data.boards.values()]
    return json.dumps([analysis.to_json(), str(columns), str(boards), str(analysis.data.counts)])


def without_table(folder: Path) -> str:
    """The same from the lines alone."""
    (folder / TABLE).rename(folder / "kept")
    try:
        return said(folder)
    finally:
        (folder / "kept").rename(folder / TABLE)


@pytest.mark.parametrize("most", [readings.MOST_READINGS, 100])
def test_a_run_with_faults_says_the_same_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """To the last digit, readings kept one by one or several as one, with a torn end too."""
    monkeypatch.setattr(readings, "MOST_READINGS", most)
    monkeypatch.setattr(readings, "_BLOCK", 37)
    folder = write(tmp_path, faulty())
    assert blocks_used(folder) >= 4
    assert said(folder) == without_table(folder)
    assert ("taken as one" in said(folder)) == (most == 100)
    samples = folder / "samples.jsonl"
    samples.write_bytes(samples.read_bytes()[:-10])
    assert blocks_used(folder) >= 4
    assert said(folder) == without_table(folder)


def edited(folder: Path) -> None:
    path = folder / "samples.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"temp_c":70,', b'"temp_c":99,'))


def joined(folder: Path) -> None:
    path = folder / "samples.jsonl"
    path.write_bytes(path.read_bytes().replace(b"}\n", b"} "))


def shifted(folder: Path) -> None:
    path = folder / "samples.jsonl"
    path.write_bytes(b"\n" + path.read_bytes())


def cut(folder: Path) -> None:
    path = folder / "samples.jsonl"
    path.write_bytes(path.read_bytes()[:5000])


def of_another_version(folder: Path) -> None:
    path = folder / TABLE
    path.write_bytes(path.read_bytes().replace(b"gpus 1", b"gpus 2", 1))


def damaged(folder: Path) -> None:
    path = folder / TABLE
    data = bytearray(path.read_bytes())
    for at in range(data.index(b"\n") + 60, len(data), 500):
        data[at] ^= 1
    path.write_bytes(data)


def a_link(folder: Path) -> None:
    (folder / TABLE).rename(folder / "elsewhere")
    (folder / TABLE).symlink_to(folder / "elsewhere")


def a_pipe(folder: Path) -> None:
    (folder / TABLE).unlink()
    os.mkfifo(folder / TABLE)


def forged(folder: Path) -> None:
    """Right digests and sums, and every temperature 20 degrees lower."""
    path = folder / TABLE
    first, _, rest = path.read_bytes().partition(b"\n")
    made = first + b"\n"
    while rest:
        *fields, _ = _HEAD.unpack(rest[: _HEAD.size])
        packed = rest[_HEAD.size : _HEAD.size + fields[4]]
        rest = rest[_HEAD.size + fields[4] :]
        data = bytearray(zlib.decompress(packed))
        column = np.frombuffer(data, count=fields[2], offset=2 * 8 * fields[2])
        column -= 20
        packed = zlib.compress(data)
        place = _Place(*fields[:4], len(packed), fields[5])
        made += _HEAD.pack(*place, place.crc(packed)) + packed
    path.write_bytes(made)


def huge(folder: Path) -> None:
    """A head that asks for all memory, and a block that unpacks to far more than that."""
    path = folder / TABLE
    first, _, rest = path.read_bytes().partition(b"\n")
    *fields, _ = _HEAD.unpack(rest[: _HEAD.size])
    packed = zlib.compress(bytes(1 << 24))
    bomb = _Place(*fields[:4], len(packed), fields[5])
    asks = _Place(fields[0], fields[1], 0xFFFFFFFF, 0, 0xFFFFFFFF, fields[5])
    blocks = [(bomb, packed), (asks, b"")]
    made = b"".join(_HEAD.pack(*place, place.crc(data)) + data for place, data in blocks)
    path.write_bytes(first + b"\n" + made)


@pytest.mark.parametrize(
    "spoil",
    [edited, joined, shifted, cut, of_another_version, damaged, a_link, a_pipe, forged, huge],
    ids=lambda spoil: spoil.__name__,
)
def test_a_table_that_does_not_match_its_samples_says_nothing(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """The evidence is samples.jsonl, whatever lies beside it."""
    folder = write(tmp_path, faulty())
    before = blocks_used(folder)
    spoil(folder)
    assert blocks_used(folder) < before
    assert blocks_used(folder) == 0 or spoil in (edited, damaged, cut)
    assert said(folder) == without_table(folder)


def test_one_edited_line_costs_its_own_block_alone(tmp_path: Path) -> None:
    """The other blocks are still of the bytes that stand there; and the edit is seen."""
    folder = write(tmp_path, faulty())
    before = blocks_used(folder)
    path = folder / "samples.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"temp_c":68,', b'"temp_c":99,', 1))
    assert blocks_used(folder) == before - 1
    assert max(heat.max_c for heat in analyze(folder).heat) == 99


def test_a_table_that_cannot_be_written_costs_itself_alone(tmp_path: Path) -> None:
    """Something of its name is in the way: every line of the run is there."""

    def obstructed() -> Iterator[Record]:
        for folder in tmp_path.iterdir():
            (folder / TABLE).mkdir()
        yield from faulty()

    folder = write(tmp_path, obstructed())
    assert (folder / "samples.jsonl").read_bytes() == b"".join(map(encode, faulty()))
    assert blocks_used(folder) == 0


def test_a_run_without_gpus_or_of_a_few_seconds_has_no_table(tmp_path: Path) -> None:
    """There is nothing to spare."""
    short = [gpu(n / 10, 0, temp_c=60) for n in range(50)]
    board = [board_line(n / 5, sample_line(n)) for n in range(200)]
    for name, records in (("short", short), ("board", board)):
        folder = write(tmp_path / name, records)
        assert not (folder / TABLE).exists()
        assert len(list(RunReader(folder))) == len(records)
