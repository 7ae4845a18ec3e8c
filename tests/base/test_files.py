"""Files are read within bounds and written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from thermoflop.base.files import (
    LARGEST_FILE_BYTES,
    load_json,
    read_bytes,
    read_json,
    write_file,
    write_text,
)
from thermoflop.errors import InputError, StorageError


def test_a_pipe_is_not_waited_for_and_a_device_not_read(tmp_path: Path) -> None:
    """Nobody writes into the pipe: reading it would never end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/zero", str(tmp_path), str(tmp_path / "none")):
        with pytest.raises(InputError, match="is not a file: expected a recipe"):
            read_bytes(path, "a recipe")


def test_as_much_as_is_allowed_is_read_and_a_byte_more_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bytes(str(path), "a recipe", 5) == b"12345"
    with pytest.raises(InputError, match="more than 4 bytes: expected a recipe"):
        read_bytes(str(path), "a recipe", 4)
    with path.open("wb") as file:
        file.truncate(LARGEST_FILE_BYTES + 1)
    with pytest.raises(InputError, match=f"{LARGEST_FILE_BYTES:,}"):
        read_json(str(path))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not valid JSON"),
        (b"\xff", "not text in UTF-8: expected a recipe"),
        (b"[" * 200_000, "nested too deeply to be a recipe"),
        (b"9" * 5000, "not valid JSON"),
    ],
)
def test_what_is_no_json_is_one_sentence_with_its_name(data: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=f"^that file is {sentence}"):
        load_json(data, "that file", "a recipe")


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b'\xef\xbb\xbf{"a": [1]}')
    assert read_json(str(tmp_path / "c.json")) == {"a": [1]}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_breaks_off_leaves_what_was_there_and_nothing_beside(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "report.html"
    write_text(str(path), "whole")

    def break_off(file: BinaryIO) -> None:
        file.write(b"ha")
        raise error

    with pytest.raises((StorageError, KeyboardInterrupt)):
        write_file(str(path), break_off)
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    """A run folder from elsewhere may have a link where the report goes."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "report.html").symlink_to(tmp_path / "mine")
    write_text(str(tmp_path / "report.html"), "report")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "report.html").read_text() == "report"


def test_a_new_file_has_the_rights_that_the_user_gives_new_files(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_text(str(tmp_path / "a"), "")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_the_terminal_is_written_to_as_it_is(capfd: Any) -> None:
    """A rename would take the device's name away."""
    write_text("/dev/stdout", "<svg/>")
    assert capfd.readouterr().out == "<svg/>"


def test_where_nothing_can_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^cannot write .*/none/a: there is no folder .*/none$"):
        write_text(str(tmp_path / "none" / "a"), "")


@pytest.mark.parametrize("name", ["report.html.part", "report.html", "report.html.0a1b2c3d.part"])
def test_nothing_that_was_laid_there_is_written_through(tmp_path: Path, name: str) -> None:
    """In a folder that others write to: the part has a name that nobody knows, and is new."""
    theirs = tmp_path / "theirs"
    theirs.write_text("mine\n")
    (tmp_path / name).symlink_to(theirs)
    write_text(str(tmp_path / "report.html"), "report")
    assert theirs.read_text() == "mine\n"
    assert (tmp_path / "report.html").read_text() == "report"
    assert not (tmp_path / "report.html").is_symlink()


def test_a_part_that_is_there_already_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should somebody guess its name after all: a link there, or a file of theirs, is refused."""
    monkeypatch.setattr(os, "urandom", lambda n: b"\0" * n)
    theirs, part = tmp_path / "theirs", tmp_path / "x.00000000.part"
    for lay in (lambda: part.symlink_to(theirs), part.touch):
        lay()
        with pytest.raises(StorageError):
            write_text(str(tmp_path / "x"), "report")
        part.unlink(missing_ok=True)
    assert not theirs.exists()
    assert not (tmp_path / "x").exists()
