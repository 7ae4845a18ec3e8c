"""A command on a terminal of its own: what it sees, what is typed, what is kept, how it ends."""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kit import commands, foreign_system
from kit.commands import ENVIRONMENT
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.folder.reader import read_run

WAIT_S = 20.0


def record(out: Path, *command: str) -> list[str]:
    """The words that record a command on a terminal."""
    sources = ("--port", "none", "--gpu", "none", "--no-report", "--out", str(out))
    return commands.command("record", "--pty", *sources, "--", *command)


def run(out: Path, *command: str, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Recorded from a script, which has no terminal."""
    return subprocess.run(
        record(out, *command), input=typed, capture_output=True, env=ENVIRONMENT,
        timeout=60, check=False,
    )  # fmt: skip


def log(out: Path) -> bytes:
    """What was kept of the output of the only run."""
    return next(out.glob("*/child.log")).read_bytes()


class Desk:
    """A terminal with the recorder in front of it, and somebody who types."""

    def __init__(self, words: list[str], environment: Mapping[str, str] = ENVIRONMENT) -> None:
        self.keys, slave = os.openpty()
        self.before = termios.tcgetattr(slave)
        self.resize(31, 97)
        self.shown = b""
        self.recorder = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.slave = slave

    def resize(self, rows: int, columns: int) -> None:
        """As a window is dragged."""
        fcntl.ioctl(self.keys, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.keys, keys)

    def wait_for(self, text: bytes) -> None:
        """Until the terminal shows it."""
        until_s = time.monotonic() + WAIT_S
        while text not in self.shown and time.monotonic() < until_s:
            if select.select([self.keys], [], [], 0.1)[0]:
                self.shown += os.read(self.keys, 65536)
        assert text in self.shown

    def close(self) -> None:
        """Whatever happened."""
        self.recorder.kill()
        self.recorder.wait()
        os.close(self.keys)
        os.close(self.slave)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Somebody records a command that says its terminal's size, each new one, and each line."""
    script = """
import os, signal, sys
def say(*_):
    print("size", *os.get_terminal_size(), flush=True)
signal.signal(signal.SIGWINCH, say)
try:
    say()
    print("all", all(os.isatty(fd) for fd in range(3)), os.isatty(os.open("/dev/tty", os.O_RDWR)))
    for line in sys.stdin:
        print("heard", line.strip())
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(9)
"""
    desk = Desk(record(tmp_path, sys.executable, "-c", script))
    desk.wait_for(b"size 97 31")
    yield desk
    desk.close()


def test_the_command_sees_a_terminal_as_large_as_ours(desk: Desk) -> None:
    """Input, output, error and /dev/tty; a new size is told."""
    desk.wait_for(b"all True True")
    desk.resize(20, 55)
    desk.wait_for(b"size 55 20")


def test_what_is_typed_is_the_commands_and_ctrl_d_ends_it(desk: Desk, tmp_path: Path) -> None:
    """Each line is shown once, by the command's terminal; ours is as before at the end."""
    desk.type(b"one two\r")
    desk.wait_for(b"heard one two")
    assert desk.shown.count(b"one two") == 2
    desk.type(b"\x04")
    assert desk.recorder.wait(WAIT_S) == 0
    assert termios.tcgetattr(desk.slave) == desk.before
    assert b"heard one two" in log(tmp_path)


def test_ctrl_c_reaches_the_command_once(desk: Desk, tmp_path: Path) -> None:
    """It ends as it likes, and its exit code is the recorder's."""
    desk.type(b"\x03")
    assert desk.recorder.wait(WAIT_S) == 9
    run = read_run(next(tmp_path.iterdir()))
    assert run["exit_code"] == 9
    assert log(tmp_path).count(b"interrupted") == 1


def test_ctrl_z_gives_the_terminal_back_until_both_are_continued(desk: Desk) -> None:
    """A shell that takes over finds its terminal as it was."""
    desk.wait_for(b"all True")
    desk.type(b"\x1a")
    os.waitpid(desk.recorder.pid, os.WUNTRACED)
    assert termios.tcgetattr(desk.slave) == desk.before
    os.kill(desk.recorder.pid, signal.SIGCONT)
    desk.type(b"again\r\x04")
    desk.wait_for(b"heard again")
    assert desk.recorder.wait(WAIT_S) == 0


def test_a_password_is_neither_shown_nor_kept(tmp_path: Path) -> None:
    """The command turns its terminal's echo off, and ours has none."""
    script = 'import getpass; print(len(getpass.getpass("password: ")), "letters")'
    desk = Desk(record(tmp_path, sys.executable, "-c", script))
    try:
        desk.wait_for(b"password: ")
        desk.type(b"hunter2\r")
        assert desk.recorder.wait(WAIT_S) == 0
        desk.wait_for(b"7 letters")
        assert b"hunter2" not in desk.shown + log(tmp_path)
    finally:
        desk.close()


@pytest.mark.parametrize(("end", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)])
def test_the_exit_code_is_the_commands(tmp_path: Path, end: str, code: int) -> None:
    """As without a terminal."""
    assert run(tmp_path, "sh", "-c", end).returncode == code


def test_all_of_a_long_output_is_kept_and_passed_on(tmp_path: Path) -> None:
    """Through the few kilobytes that a terminal holds; its lines end as a terminal's do."""
    lines = "".join(f"{n}\r\n" for n in range(1, 300_001)).encode()
    done = run(tmp_path, "seq", "300000")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(lines).digest()
    assert hashlib.sha256(log(tmp_path)).digest() == hashlib.sha256(lines).digest()


def test_marks_on_a_bar_are_read(tmp_path: Path) -> None:
    """Output and error are one stream; what a carriage return has overwritten is gone."""
    bar = (
        r"printf 'phase=a\n\rtokens=1\rtokens=2\n'; printf 'tokens=3\n\033[32mtokens=4\033[0m' >&2"
    )
    run(tmp_path, "sh", "-c", bar)
    (phase,) = analyze(next(tmp_path.iterdir())).phases
    assert phase.window.sums["tokens"] == 2 + 3 + 4


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (b"", b""),
        (b"a line\n", b"a line\r\n"),
        (b"no end", b"no end"),
        (b"two\nlines", b"two\r\nlines"),
    ],
)
def test_a_script_types_its_input_and_ends_it(tmp_path: Path, typed: bytes, kept: bytes) -> None:
    """Unseen; a command that reads on is told the end again, instead of being left waiting."""
    done = run(tmp_path, "sh", "-c", "cat; cat; cat", typed=typed)
    assert (done.returncode, done.stdout) == (0, kept)


def test_a_terminal_of_nobody_has_the_usual_size(tmp_path: Path) -> None:
    """24 rows of 80 columns, as VT100s and their heirs have."""
    assert run(tmp_path, "stty", "size").stdout == b"24 80\r\n"


def test_a_process_left_behind_is_hung_up_on(tmp_path: Path) -> None:
    """As in a window that closes: the recorder does not wait for it."""
    assert run(tmp_path, "sh", "-c", "sleep 1000 & exit 4").returncode == 4


def test_a_system_without_terminals_says_so(tmp_path: Path) -> None:
    """In one sentence, before anything runs."""
    words = record(tmp_path, "true")[3:]
    done = foreign_system.run(*words, env=dict(ENVIRONMENT))
    assert done.returncode == 2
    assert done.stderr == (
        "thermoflop record: --pty needs a pseudo-terminal, which Linux and macOS have and this "
        "system lacks: leave it out\n"
    )
