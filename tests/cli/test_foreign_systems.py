"""The board's half and the estimator use nothing that Windows' Python lacks.

Each command runs in a process where the modules and names of POSIX are gone before thermoflop is
imported (``kit/foreign_system.py`` lists them). This holds the fallbacks, not Windows itself.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit import foreign_system
from kit.commands import ENVIRONMENT
from thermoflop.runs.folder.reader import RunReader, read_run


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """A finished process of such a system; it never ends in a traceback."""
    done = foreign_system.run(*words, env=ENVIRONMENT)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@contextmanager
def board_behind_tcp() -> Iterator[str]:
    """``simulate --tcp`` on such a system: its address."""
    words = foreign_system.command("simulate", "--tcp", "--heat", "off")
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_nothing_of_posix_is_left_to_the_commands() -> None:
    """What the other tests rely on: the modules cannot be imported, the names are gone."""
    code = """
import foreign_system, os, signal, sys
foreign_system.take_away()
for name in foreign_system.ABSENT_MODULES:
    try:
        __import__(name)
    except ImportError:
        continue
    sys.exit(name)
left = [n for n in ("fork", "killpg", "setsid", "getuid", "openpty") if hasattr(os, n)]
left += [n for n in ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGCHLD") if hasattr(signal, n)]
sys.exit(str(left) if left else 0)
"""
    folder = Path(foreign_system.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["doctor", "--port", "sim://", "--listen", "1s"], 0, "good lines"),
        (["watch", "--port", "sim://?heat=off", "--duration", "1s"], 0, "°C  fan on"),
        (["pico", "--port", "sim://", "get", "on_c"], 0, "29"),
        (["setup", "--port", "sim://?speed=20", "--yes"], 0, "passed: the board works"),
        (["simulate", "--duration", "1s"], 0, '"k":"t"'),
        (["flash", "--help"], 0, "MicroPython 1.22"),
        (["estimate", "llama-3-8b", "--gpu", "h100"], 0, "each token after it"),
        (["ops", "gpt2"], 0, "q_proj"),
    ],
)
def test_commands_work_without_posix(words: list[str], code: int, text: str) -> None:
    """With a simulated board in the process, or none."""
    done = run(*words)
    assert done.returncode == code, done.stderr
    assert text in done.stdout


def test_ports_work_without_posix() -> None:
    """Whatever is plugged in where this test runs."""
    done = run("ports", "--json")
    assert done.returncode == (0 if any(p["is_board"] for p in json.loads(done.stdout)) else 4)


def test_a_board_behind_tcp_is_served_and_read_without_posix(tmp_path: Path) -> None:
    """Both ends; Ctrl-C ends the board in order."""
    with board_behind_tcp() as port:
        assert port.startswith("socket://127.0.0.1:")
        assert "good lines" in run("doctor", "--port", port, "--ask").stdout
        assert "°C" in run("watch", "--port", port, "--duration", "1s").stdout
        assert "29" in run("pico", "--port", port, "get", "on_c").stdout
        done = run("log", "--port", port, "--duration", "1s", "--out", str(tmp_path), "--plot")
        assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert read_run(folder)["summary"]["samples"] > 0
    assert (folder / "picture.svg").exists()


def test_a_log_is_kept_and_listed_without_locks(tmp_path: Path) -> None:
    """No flock, no fdatasync."""
    out = str(tmp_path)
    done = run("log", "--port", "sim://?heat=off", "--duration", "1s", "--out", out)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    reader = RunReader(folder)
    assert sum(1 for _ in reader) == reader.counts.records > 5
    assert reader.counts.torn == reader.counts.foreign == 0
    assert folder.name in run("runs", "--in", out).stdout
    assert "°C" in run("runs", "show", folder.name, "--in", out).stdout


def test_record_keeps_output_and_exit_code_without_groups(tmp_path: Path) -> None:
    """Both pipes, KEY=value, the code; nothing is known of processes left behind."""
    child = "import sys; print('tokens=3', flush=True); sys.stderr.write('e'*99999); sys.exit(7)"
    words = ("record", "--port", "none", "--gpu", "none", "--out", str(tmp_path))
    done = run(*words, "--", sys.executable, "-c", child)
    assert done.returncode == 7
    assert done.stdout.startswith("tokens=3")
    (folder,) = tmp_path.iterdir()
    assert (folder / "child.log").stat().st_size == len("tokens=3\n") + 99999
    assert read_run(folder)["exit_code"] == 7
    assert any(getattr(item, "ev", "") == "mark" for item in RunReader(folder))


def test_record_ends_with_its_command_on_sigterm_without_groups(tmp_path: Path) -> None:
    """The signal is passed to the command's first process, and the run is closed in order."""
    words = ("record", "--port", "none", "--gpu", "none", "--no-report", "--out", str(tmp_path))
    child = "import time; print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        foreign_system.command(*words, "--", sys.executable, "-c", child),
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"up"
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    process.stdout.close()
    (folder,) = tmp_path.iterdir()
    assert read_run(folder)["ended"]["end"] == "stopped"


def test_a_pseudo_terminal_is_refused_in_a_sentence_that_names_tcp() -> None:
    """There are none on Windows."""
    done = run("simulate", "--pty", "--duration", "1s")
    assert done.returncode == 2
    assert "--tcp" in done.stderr


def test_the_demo_plays_without_posix(tmp_path: Path) -> None:
    """Prediction, a real benchmark, board, GPU, report."""
    done = run("demo", "--duration", "3s", "--out", str(tmp_path))
    assert done.returncode in (0, 1), done.stderr  # 1: a busy machine may heat too little
    (folder,) = tmp_path.iterdir()
    assert (folder / "report.html").exists()
    assert read_run(folder)["exit_code"] == 0
