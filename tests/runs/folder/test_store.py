"""A run folder: created once, appended to whole lines at a time, honest about a failing disk."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from kit.board_lines import sample_line
from thermoflop.errors import StorageError, UsageError
from thermoflop.pico.track import BadLine, BoardLine, HostEvent
from thermoflop.pico.wire import Message, decode
from thermoflop.runs.folder.reader import RunReader
from thermoflop.runs.folder.store import RunStore, encode, is_being_written, safe_name


def board_line(seq: int) -> BoardLine:
    """A good line as the tracker gives it."""
    line = sample_line(seq)[:-1]
    message = decode(line)
    assert isinstance(message, Message)
    return BoardLine(1.5 + seq, 1.75e9 + seq, line, message)


def test_a_record_carries_the_boards_line_byte_for_byte() -> None:
    """Its crc can be checked again, and the whole is still one JSON object."""
    item = board_line(3)
    record = encode(item)
    assert item.line in record
    assert json.loads(record)["line"] == json.loads(item.line)
    assert json.loads(record)["mono_s"] == 4.5


def test_a_bad_line_is_kept_escaped() -> None:
    """NULs, newlines' relatives and terminal escapes stand there as text."""
    data = json.loads(encode(BadLine(1.0, 2.0, "not_ascii", b"a\x00\x1b[31m\xff", 8)))
    assert (data["bad"], data["text"], data["bytes"]) == ("not_ascii", "a\x00\x1b[31m\xff", 8)
    assert encode(BadLine(1.0, 2.0, "not_ascii", bytes(range(256)), 256)).isascii()


def test_a_host_event_names_itself() -> None:
    """Source, name and details."""
    data = json.loads(encode(HostEvent(1.0, 2.0, "gap", {"missing": 3})))
    assert (data["src"], data["ev"], data["missing"]) == ("host", "gap", 3)


def test_one_write_call_per_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a kill between two lines leaves whole lines."""
    calls: list[bytes] = []
    store = RunStore(tmp_path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append(data) or real(fd, data))
    for seq in range(5):
        store.write(board_line(seq))
    assert len(calls) == 5
    assert all(call.endswith(b"\n") and call.count(b"\n") == 1 for call in calls)
    store.close()


def test_two_runs_of_one_name_get_two_folders(tmp_path: Path) -> None:
    """Nothing is ever overwritten."""
    folders = {RunStore(tmp_path, "same").folder for _ in range(5)}
    assert len(folders) == 5


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Fan Test", "fan-test"),
        ("../../etc", "etc"),
        ("a/b\\c:d", "a-b-c-d"),
        ("x" * 99, "x" * 40),
        ("Lüfter Größe", "lüfter-größe"),
        ("e\u0301t\u00e9", "\u00e9t\u00e9"),
        ("冷却 テスト", "冷却-テスト"),
        ("a\u202egnp\x1b[31m\x00\u2028b", "a-gnp-31m-b"),
        ("🔥run", "run"),
    ],
)
def test_a_name_cannot_leave_its_folder(name: str, safe: str) -> None:
    """Letters and digits of any script survive, underscore and dash, and nothing that steers."""
    assert safe_name(name) == safe


def test_a_name_of_nothing_is_refused() -> None:
    """With the value in the sentence."""
    with pytest.raises(UsageError, match=r"'\.\.'"):
        safe_name("..")


def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes seven bytes at a time still gets whole lines."""
    store = RunStore(tmp_path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    store.write(board_line(0))
    monkeypatch.undo()
    store.close()
    assert len(list(RunReader(store.folder))) == 1


def fill_disk_after(monkeypatch: pytest.MonkeyPatch, n_bytes: int) -> None:
    """Make os.write take ``n_bytes`` more and then say that the disk is full."""
    left = n_bytes
    real = os.write

    def write(fd: int, data: bytes) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(fd, data[:left])
        left -= done
        return done

    monkeypatch.setattr(os, "write", write)


def test_a_full_disk_is_one_sentence_and_loses_no_whole_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part of a line that still fitted is taken back."""
    store = RunStore(tmp_path)
    store.write(board_line(0))
    store.write(board_line(1))
    fill_disk_after(monkeypatch, 30)
    with pytest.raises(StorageError, match="the disk is full"):
        store.write(board_line(2))
    monkeypatch.undo()
    store.close()
    reader = RunReader(store.folder)
    assert len(list(reader)) == 2
    assert reader.counts.torn == 0


def test_a_folder_deleted_under_the_writer_is_noticed(tmp_path: Path) -> None:
    """Writes into a deleted file would succeed, and be lost."""
    store = RunStore(tmp_path)
    store.write(board_line(0))
    shutil.rmtree(store.folder)
    store.write(board_line(1))
    with pytest.raises(StorageError, match="deleted"):
        store.sync(now=True)


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    """--out names a file."""
    (tmp_path / "runs").write_text("")
    with pytest.raises(StorageError, match="in the way"):
        RunStore(tmp_path / "runs")


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EROFS, "read-only"), (errno.EACCES, "no permission")]
)
def test_a_read_only_place_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """The system's refusal is put in words (root may write anywhere, so it is made up here)."""

    def refuse(self: Path, *args: Any, **kwargs: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match=words):
        RunStore(tmp_path)


@pytest.mark.parametrize(("where", "step"), [(os, "fsync"), (os, "replace")])
def test_run_json_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, step: str
) -> None:
    """A second write that fails at any step leaves the first one readable and nothing beside it."""
    store = RunStore(tmp_path)
    store.write_run({"n": 1})

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(where, step, refuse)
    with pytest.raises(StorageError, match="disk is full"):
        store.write_run({"n": 2})
    monkeypatch.undo()
    assert json.loads((store.folder / "run.json").read_text())["n"] == 1
    assert sorted(p.name for p in store.folder.iterdir()) == ["run.json", "samples.jsonl"]


def test_a_run_that_is_being_written_is_known_as_such(tmp_path: Path) -> None:
    """Until it is closed, or its process has ended."""
    store = RunStore(tmp_path)
    assert is_being_written(store.folder)
    store.close()
    assert not is_being_written(store.folder)
    assert not is_being_written(tmp_path / "nothing")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_run_json_never_holds_what_is_no_json(tmp_path: Path, value: float) -> None:
    """A figure that is not finite stands there as null: a strict reader takes the file."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is in the file")

    run = RunStore(tmp_path)
    run.write_run({"summary": {"max_c": value, "list": [1.5, (value, "x")]}, "n": 3})
    run.write(HostEvent(1.0, 2.0, "mark", {"values": {"loss": value}}))
    run.close()
    kept = json.loads((run.folder / "run.json").read_text(), parse_constant=refuse)
    assert kept["summary"] == {"max_c": None, "list": [1.5, [None, "x"]]}
    line = json.loads((run.folder / "samples.jsonl").read_text(), parse_constant=refuse)
    assert line["values"] == {"loss": None}
