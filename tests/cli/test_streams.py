"""Standard streams that are full, closed, or cannot say °C: one sentence, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from thermoflop.cli import streams
from thermoflop.model.validate import PUBLISHED, read_records

ROOT = Path(__file__).parents[2]
COMMANDS = (("watch",), ("pico", "get"), ("log", "--out", "runs"), ("simulate",))


def run(shell_tail: str, *words: str, cwd: Path, **extra: str) -> tuple[int, str]:
    """A command through a shell that redirects; its exit code and what it said on stderr."""
    if words[0] == "pico":
        words += ("--port", "sim://")
    else:
        words += ("--duration", "0.5s", *(("--port", "sim://") if words[0] != "simulate" else ()))
    done = subprocess.run(
        ["sh", "-c", f'"$@" {shell_tail}', "sh", sys.executable, "-m", "thermoflop", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "host"), **extra},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_to_a_full_disk(tmp_path: Path, words: tuple[str, ...], unbuffered: str) -> None:
    """Exit code 6 and one sentence, whether the error comes at once or with the last flush."""
    code, said = run(">/dev/full", *words, cwd=tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert code == 6
    assert said.startswith(f"thermoflop {words[0]}: cannot write ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_closed_standard_output(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A parent that closed it wants no output; no file of a run gets its number."""
    assert run(">&-", *words, cwd=tmp_path) == (0, "")


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_an_encoding_without_a_degree_sign(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The sign becomes a question mark."""
    assert run("", *words, cwd=tmp_path, PYTHONIOENCODING="ascii") == (0, "")


def test_echo_into_a_closed_standard_output(tmp_path: Path) -> None:
    """The run is recorded all the same; its summary goes to standard error."""
    code, said = run(">&-", "log", "--echo", "--out", "runs", cwd=tmp_path)
    assert code == 0
    assert "Traceback" not in said


def test_a_wrong_word_for_the_simulated_board_points_at_its_help(tmp_path: Path) -> None:
    """The list of words is on the page of ``simulate``."""
    done = subprocess.run(
        [sys.executable, "-m", "thermoflop", "log", "--port", "sim://?seed=-1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "host")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    assert "from 0 to 2147483648, not '-1'" in done.stderr
    assert "`thermoflop simulate --help`" in done.stderr


def test_reading_a_long_run_is_told_on_a_terminal_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """20 MB are long; the line is taken away when it is done."""
    with (tmp_path / "samples.jsonl").open("wb") as file:
        file.truncate(20_000_000)
    with streams.reading([tmp_path]):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with streams.reading([tmp_path]):
        assert "reading 20 MB" in capsys.readouterr().err
    assert capsys.readouterr().err == "\r\x1b[K"


def test_what_takes_over_a_second_says_on_a_terminal_how_long_it_will_take(tmp_path: Path) -> None:
    """Standard error is a terminal: a share and the time left; the result itself is untouched.
    All published records are counted ten times: seconds on any machine."""
    import pty

    records = tmp_path / "records.json"
    records.write_text(json.dumps(read_records(PUBLISHED) * 10), encoding="utf-8")
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)  # nothing shown is a failure, not a wait
    try:
        done = subprocess.run(
            [sys.executable, "-m", "thermoflop", "validate", "counts", str(records)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "host"), "TERM": "xterm"},
            stderr=theirs, stdout=subprocess.PIPE, timeout=120, check=False,
        )  # fmt: skip
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0
    assert " %  " in shown
    assert " left  " in shown
    assert b"\r" not in done.stdout


def test_what_a_command_says_of_somebodys_file_steers_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A board's name in a fleet's file is repeated in every line about it."""
    streams.tell("thermoflop log: rack\x1b[2J 1: is being recorded,\nat 25 °C")
    assert capsys.readouterr().err == (
        "thermoflop log: rack\\x1b[2J 1: is being recorded,\nat 25 °C\n"
    )
