"""Marks: a line in a file that the environment names; nothing without one; never an error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from thermoflop import marks
from thermoflop.runs.child.marks import MarksFile, parse_mark

SCRIPT = """
import thermoflop as tf
tf.mark("prefill", tokens=2048)
with tf.phase("decode"):
    tf.note(tokens=1, who="me")
"""


def test_marks_of_a_python_child_arrive_in_order(tmp_path: Path) -> None:
    """With the child's own stamps, also from a grandchild."""
    file = MarksFile(tmp_path)
    environment = {marks.ENVIRONMENT: str(file.path), "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, check=True)
    events = file.take()
    assert [event.detail.get("phase", "-") for event in events] == ["prefill", "decode", "-", None]
    assert events[0].detail["values"] == {"tokens": 2048.0}
    assert events[2].detail["values"] == {"tokens": 1.0, "who": "me"}
    stamps = [event.mono_s for event in events]
    assert stamps == sorted(stamps)
    file.close()
    assert file.path.exists()


def test_without_a_recorder_a_mark_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, no error."""
    monkeypatch.delenv(marks.ENVIRONMENT, raising=False)
    monkeypatch.setattr(marks, "_fd", None)
    marks.mark("prefill")
    assert marks._fd == -1


def test_a_mark_never_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing file, odd values, a closed descriptor."""
    monkeypatch.setenv(marks.ENVIRONMENT, str(tmp_path / "gone" / "marks"))
    monkeypatch.setattr(marks, "_fd", None)
    marks.mark("a")
    (tmp_path / "marks").touch()
    monkeypatch.setenv(marks.ENVIRONMENT, str(tmp_path / "marks"))
    monkeypatch.setattr(marks, "_fd", None)
    marks.mark("a", odd=object())  # type: ignore[arg-type]
    monkeypatch.setattr(marks, "_fd", 10_000)
    marks.note(x=1)
    (line,) = (tmp_path / "marks").read_text().splitlines()
    assert json.loads(line)["phase"] == "a"


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"{}", b'{"mono_s":NaN,"pid":1}', b'{"mono_s":1,"pid":1,"values":[1]}', b"\xff"],
)
def test_what_is_not_a_mark_is_passed_over(line: bytes) -> None:
    """Anybody may write into the file."""
    assert parse_mark(line) is None


def test_bad_lines_are_counted_and_an_unused_file_goes_away(tmp_path: Path) -> None:
    """The folder holds no empty files."""
    file = MarksFile(tmp_path)
    assert file.take() == []
    with file.path.open("wb") as writer:
        writer.write(b"nonsense\n" + b"x" * 9000 + b"\n" + b'{"mono_s":1,"pid":1,"phase":"a"}\n')
    assert len(file.take()) == 1
    assert file.bad == 2
    file.path.write_bytes(b"")
    file.close()
    assert not file.path.exists()


def test_whole_numbers_that_no_float_holds_are_words_of_a_mark_and_no_time() -> None:
    huge = "1" + "0" * 400
    event = parse_mark(f'{{"mono_s": 1, "pid": 2, "values": {{"tokens": {huge}}}}}'.encode())
    assert event is not None
    assert event.detail["values"] == {"tokens": huge[:200]}
    assert parse_mark(f'{{"mono_s": {huge}, "pid": 2}}'.encode()) is None
