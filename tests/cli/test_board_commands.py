"""log, watch, pico, ports and doctor as a user meets them: output, exit codes, one sentence."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.board_lines import Pty, introduction, sample_line
from kit.commands import run, start
from thermoflop.cli.arguments import duration_s
from thermoflop.runs.folder.reader import RunReader, read_run


@contextmanager
def talking(pty: Pty, hz: float = 100.0) -> Iterator[None]:
    """A board that talks as long as the block lasts; its introduction comes again and again."""
    stop = threading.Event()

    def talk() -> None:
        seq = 0
        while not stop.wait(1 / hz):
            data = introduction() if seq % 20 == 0 else b""
            try:
                pty.say(data + sample_line(seq, temp_c=25 + seq % 50 / 10))
            except OSError:
                return
            seq += 1

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        pty.unplug()
        thread.join()


def test_log_records_for_a_time_and_says_where(tmp_path: Path) -> None:
    """Summary and folder on standard output, a picture when asked for, exit code 0."""
    with Pty() as pty, talking(pty):
        done = run(
            "log",
            "--port",
            pty.path,
            "--duration",
            "1s",
            "--out",
            str(tmp_path),
            "--plot",
            "--json",
        )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["end"] == "time"
    assert result["summary"]["samples"] > 0
    assert Path(result["picture"]).read_text().startswith("<svg")
    assert len(list(RunReader(Path(result["folder"])))) >= result["lines_written"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_log_in_order(tmp_path: Path, number: int) -> None:
    """Exit code 0, the run complete; the echo holds only what is in the file."""
    with Pty() as pty, talking(pty):
        process = start("log", "--port", pty.path, "--out", str(tmp_path), "--echo")
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    (folder,) = tmp_path.iterdir()
    stored = (folder / "samples.jsonl").read_bytes()
    echoed = (first + out).splitlines()
    assert echoed
    assert all(line in stored for line in echoed)
    assert read_run(folder)["ended"]["end"] == "stopped"
    assert str(folder) in err.decode()
    assert b"Traceback" not in err


def test_a_second_ctrl_c_leaves_at_once_and_loses_nothing(tmp_path: Path) -> None:
    """Exit code 130 or a finished run, never a traceback."""
    with Pty() as pty, talking(pty):
        process = start("log", "--port", pty.path, "--out", str(tmp_path), "--echo")
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 130)
    assert b"Traceback" not in err
    stored = (next(tmp_path.iterdir()) / "samples.jsonl").read_bytes()
    assert all(line in stored for line in (first + out).splitlines(keepends=False))


def test_a_pulled_board_that_cannot_return_is_exit_code_4(tmp_path: Path) -> None:
    """The run is complete all the same."""
    pty = Pty()
    with talking(pty):
        process = start("log", "--port", pty.path, "--out", str(tmp_path), "--echo")
        assert process.stdout is not None
        process.stdout.readline()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 4
    assert b"went away for good" in err
    assert read_run(next(tmp_path.iterdir()))["ended"]["end"] == "gone"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("log", "--port", "/dev/none"), 4, "there is no port /dev/none"),
        (("log", "--port", "/dev/null"), 4, "not a serial port"),
        (("watch", "--port", "nope://x"), 4, "not understood"),
        (("pico", "--port", "/dev/none", "id"), 4, "there is no port"),
        (("pico", "--port", "/dev/none", "set", "on_c", "x" * 80), 2, "bytes long"),
        (("log", "--duration", "soon"), 2, "is no duration"),
    ],
)
def test_bad_input_is_one_sentence_and_its_exit_code(
    words: tuple[str, ...], code: int, sentence: str, tmp_path: Path
) -> None:
    """No traceback."""
    done = run(*words)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    """The second reader is refused, the first reads on."""
    with Pty() as pty, talking(pty):
        first = start("log", "--port", pty.path, "--out", str(tmp_path), "--echo")
        assert first.stdout is not None
        first.stdout.readline()
        second = run("log", "--port", pty.path, "--out", str(tmp_path))
        first.stdout.readline()
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)
    assert second.returncode == 4
    assert "is busy" in second.stderr
    assert first.returncode == 0


def test_a_place_that_cannot_be_written_is_exit_code_6(tmp_path: Path) -> None:
    """--out names a file."""
    (tmp_path / "file").write_text("")
    with Pty() as pty, talking(pty):
        done = run("log", "--port", pty.path, "--duration", "1s", "--out", str(tmp_path / "file"))
    assert done.returncode == 6
    assert "in the way" in done.stderr


def test_a_full_disk_is_exit_code_6(tmp_path: Path) -> None:
    """The samples file is a link to the device that is always full."""
    script = (
        "import os, sys\n"
        "real = os.open\n"
        "def full(path, *rest, **more):\n"
        "    if str(path).endswith('samples.jsonl'):\n"
        "        return real('/dev/full', os.O_WRONLY)\n"
        "    return real(path, *rest, **more)\n"
        "os.open = full\n"
        "from thermoflop.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    import subprocess
    import sys

    from kit.commands import ENVIRONMENT

    with Pty() as pty, talking(pty):
        words = ["log", "--port", pty.path, "--duration", "5s", "--out", str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            capture_output=True,
            text=True,
            timeout=60,
            env=ENVIRONMENT,
            check=False,
        )
    assert done.returncode == 6
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_watch_in_a_pipe_prints_plain_lines(tmp_path: Path) -> None:
    """No escape sequence; the board's own lines with --json."""
    with Pty() as pty, talking(pty):
        plain = run("watch", "--port", pty.path, "--duration", "1s")
        exact = run("watch", "--port", pty.path, "--duration", "1s", "--json")
    assert plain.returncode == exact.returncode == 0
    assert "°C  fan off  auto" in plain.stdout
    assert "\x1b" not in plain.stdout
    assert {json.loads(line)["k"] for line in exact.stdout.splitlines()} >= {"t"}


@pytest.mark.parametrize(
    ("term", "is_picture"), [("dumb", False), ("unknown", False), ("xterm-256color", True)]
)
def test_watch_prints_lines_on_a_terminal_that_can_only_print(
    monkeypatch: pytest.MonkeyPatch, term: str, is_picture: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    ours, theirs = os.openpty()
    with Pty() as pty, talking(pty):
        words = ["watch", "--port", pty.path, "--duration", "1s"]
        process = subprocess.Popen([sys.executable, "-m", "thermoflop", *words], stdout=theirs)
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # how Linux says that a terminal has no writer left
            while chunk := os.read(ours, 65536):
                text += chunk
        assert process.wait(timeout=30) == 0
    os.close(ours)
    assert (b"\x1b[" in text) == is_picture
    assert is_picture or "°C  fan off  auto" in text.decode()


def test_log_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    with Pty() as pty, talking(pty):
        command = ["nohup", sys.executable, "-m", "thermoflop", "log", "--port", pty.path]
        command += ["--out", str(tmp_path), "--echo", "--duration", "2s"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=30)
    assert process.returncode == 0
    (folder,) = tmp_path.iterdir()
    assert read_run(folder)["ended"]["end"] == "time"


def test_watch_whose_reader_leaves_ends_quietly() -> None:
    """As `| head` does."""
    with Pty() as pty, talking(pty):
        process = start("watch", "--port", pty.path)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 0
        assert b"Traceback" not in process.stderr.read()
        process.stderr.close()


def test_doctor_of_a_healthy_board_is_exit_code_0() -> None:
    """And of a silent one 1, with a remedy."""
    with Pty() as pty, talking(pty):
        well = run("doctor", "--port", pty.path, "--json")
    with Pty() as pty:
        silent = run("doctor", "--port", pty.path, "--listen", "200ms")
    assert well.returncode == 0, well.stdout
    assert {f["state"] for f in json.loads(well.stdout)} == {"ok"}
    assert silent.returncode == 1
    assert "thermoflop flash" in " ".join(silent.stdout.split())


def test_pico_asks_a_board_and_prints_its_answer() -> None:
    """Options before or after the verb, a negative value, a refusal with exit code 5."""
    done = run("pico", "--port", "sim://?speed=20", "set", "t_min_c", "-5")
    assert (done.returncode, done.stdout.split()) == (0, ["t_min_c", "-5.0"])
    done = run("pico", "get", "on_c", "--port", "sim://?speed=20", "--json")
    assert json.loads(done.stdout)["on_c"] == 29.0
    done = run("pico", "--port", "sim://?speed=20", "set", "on_c", "20")
    assert done.returncode == 5
    assert "on_c 20.000 must be above off_c 28.000" in done.stderr


def test_pico_counts_a_models_multiplications() -> None:
    """GPT-2's, to the last digit."""
    sizes = ("12", "12", "768", "64", "1024", "3072", "50257")
    done = run("pico", "--port", "sim://?speed=20", "--json", "mults", *sizes)
    counts = json.loads(done.stdout)
    assert (counts["page"], counts["params"]) == (278_396_928, 123_532_032)


def test_ports_prints_a_list() -> None:
    """Exit code 4 where there is no board."""
    done = run("ports", "--json")
    boards = [port for port in json.loads(done.stdout) if port["is_board"]]
    assert done.returncode == (0 if boards else 4)


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("5m", 300), ("1.5h", 5400), ("10", 10), ("200ms", 0.2)]
)
def test_durations_are_understood(text: str, seconds: float) -> None:
    """With and without a unit."""
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0", "-1s", "nan", "inf", "1e999s", "5 parsecs", "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Also zero: a run of no time is a slip."""
    with pytest.raises(argparse.ArgumentTypeError):
        duration_s(text)
