"""Reading back: everything whole is read, everything else is counted, nothing raises."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.board_lines import sample_line
from thermoflop.errors import InputError
from thermoflop.pico.track import BadLine, BoardLine, HostEvent
from thermoflop.pico.wire import Message, Sample, decode
from thermoflop.runs.folder.reader import MAX_RUN_BYTES, RunReader, parse, read_run
from thermoflop.runs.folder.store import encode


def record(seq: int) -> bytes:
    """One record as the store writes it."""
    line = sample_line(seq)[:-1]
    message = decode(line)
    assert isinstance(message, Message)
    return encode(BoardLine(1.0 + seq, 1.75e9 + seq, line, message))


def reader_of(tmp_path: Path, data: bytes) -> RunReader:
    """A reader of a samples file with ``data`` in it."""
    (tmp_path / "samples.jsonl").write_bytes(data)
    return RunReader(tmp_path)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Board lines, bad lines and host events come back as they were."""
    items = [
        parse(record(0)[:-1]),
        BadLine(1.0, 2.0, "crc", b"\x00\xffx", 3),
        HostEvent(3.0, 4.0, "gap", {"missing": 3}),
    ]
    data = b"".join(encode(item) for item in items if item is not None)
    assert list(reader_of(tmp_path, data)) == items


def test_a_torn_tail_is_left_alone_and_said(tmp_path: Path) -> None:
    """The last line had no end: a recorder was killed, or is writing now."""
    reader = reader_of(tmp_path, record(0) + record(1)[:50])
    assert len(list(reader)) == 1
    assert reader.counts.torn == 1


def test_nul_bytes_and_foreign_lines_are_counted(tmp_path: Path) -> None:
    """A power cut leaves NULs; an editor leaves anything."""
    data = b"\0" * 100 + record(0) + b"hello\n[1]\n{}\n" + record(1) + b"\0" * 50 + b"\n"
    reader = reader_of(tmp_path, data)
    assert len(list(reader)) == 2
    assert (reader.counts.nul_bytes, reader.counts.foreign) == (150, 3)


def test_a_board_line_that_was_changed_later_is_not_believed(tmp_path: Path) -> None:
    """The crc inside the record is checked again."""
    data = record(0).replace(b"25.310", b"26.310") + record(1)
    reader = reader_of(tmp_path, data)
    (item,) = reader
    assert isinstance(item, BoardLine)
    assert isinstance(item.message, Sample)
    assert item.message.seq == 1
    assert reader.counts.bad_crc == 1


def test_a_text_that_looks_like_a_record_is_not_one() -> None:
    """A bad line that contains a record's own key is still a bad line."""
    item = BadLine(1.0, 2.0, "no_crc", b'x,"src":"board","line":{"k":"t"}', 30)
    assert parse(encode(item)[:-1]) == item


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_raise(line: bytes) -> None:
    """Whatever stands in the file."""
    parse(line)


def test_a_log_is_followed_while_it_is_written(tmp_path: Path) -> None:
    """A line in two halves comes out once, whole."""
    path = tmp_path / "samples.jsonl"
    path.write_bytes(record(0) + record(1)[:30])
    stop = threading.Event()
    got = []
    for item in RunReader(path, follow=True, stop=stop):
        got.append(item)
        if len(got) == 1:
            with path.open("ab") as file:
                file.write(record(1)[30:] + record(2))
        if len(got) == 3:
            stop.set()
    assert [item.mono_s for item in got] == [1.0, 2.0, 3.0]


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """Twenty thousand lines, and a megabyte without a newline among them."""
    data = b"".join(record(seq) for seq in range(10_000))
    reader = reader_of(tmp_path, data + b"x" * (1 << 20) + b"\n" + data)
    del data
    tracemalloc.start()
    n_items = sum(1 for _ in reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_items == 20_000
    assert reader.counts.foreign == 1
    assert peak < 2_000_000


def test_a_folder_without_samples_is_one_sentence(tmp_path: Path) -> None:
    """Not a run."""
    with pytest.raises(InputError, match="not a run"):
        RunReader(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "1"}', '{"format": 2}'])
def test_a_run_json_that_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    """Torn, foreign or without a format number."""
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json"):
        read_run(tmp_path)


def test_run_json_is_read(tmp_path: Path) -> None:
    """As it was written."""
    (tmp_path / "run.json").write_text(json.dumps({"format": 1, "n": 2}))
    assert read_run(tmp_path)["n"] == 2


def test_run_json_that_is_no_plain_file_is_neither_waited_for_nor_read_for_ever(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(InputError, match="not a file"):
        read_run(tmp_path)
    (tmp_path / "run.json").unlink()
    (tmp_path / "run.json").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="not a file"):
        read_run(tmp_path)


def test_run_json_without_end_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "run.json").open("wb") as file:
        file.truncate(MAX_RUN_BYTES + 1)
    with pytest.raises(InputError, match="67,108,864 bytes"):
        read_run(tmp_path)
