"""``simulate`` from the shell: lines out, a ledger, a terminal, and one sentence for nonsense."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from kit.commands import ENVIRONMENT, command, run, start
from thermoflop.cli import build_parser
from thermoflop.pico.simulated.menu import MENU
from thermoflop.pico.simulated.options import WORDS
from thermoflop.pico.wire import Sample, decode

FAST = ("--speed", "max", "--heat", "off")


def test_the_words_on_the_command_line_are_those_of_the_url() -> None:
    text = build_parser("simulate")._actions[-1].choices["simulate"].format_help()
    assert all(f"--{word}" in text for word in WORDS)
    assert all(f"\n  {kind} " in text for kind in MENU)


def test_lines_go_to_standard_output_and_nothing_else() -> None:
    done = run("simulate", "--duration", "5s", *FAST)
    assert (done.returncode, done.stderr) == (0, "")
    messages = [decode(line.encode()) for line in done.stdout.splitlines()]
    assert sum(isinstance(message, Sample) for message in messages) == 25


def test_the_same_seed_gives_the_same_bytes() -> None:
    words = (
        "simulate",
        "--duration",
        "20s",
        "--speed",
        "max",
        "--seed",
        "7",
        "--fault",
        "drop=0.1",
    )
    assert run(*words).stdout == run(*words).stdout


def test_the_ledger_says_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    words = ("--fault", "drop=0.1", "--fault", "reboot@30", "--ledger", str(path))
    done = run("simulate", "--duration", "60s", *FAST, *words)
    ledger = json.loads(path.read_text())
    samples = sum('"k":"t"' in line for line in done.stdout.splitlines())
    assert ledger["samples_delivered"] == samples < ledger["samples_sent"]
    assert ledger["reboots"] == {"power": 1}


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("--seed", "x"), 2, "seed must be a whole number"),
        (("--fault", "fire@5"), 2, "fault 'fire@5' must begin with one of open"),
        (("--heat", "nowhere.txt"), 3, "nowhere.txt"),
        (("--finger", "now"), 2, "START:SECONDS"),
        (("--duration", "soon"), 2, "is no duration"),
        (("--pty", "--tcp"), 2, "exclude each other"),
        (("--tcp", "x"), 2, "PORT or HOST:PORT"),
        (("--tcp", "999.1.1.1:0"), 4, "cannot listen"),
        (("--ledger", "/nowhere/at/all"), 6, "cannot write /nowhere/at/all"),
        (("--speed", "fast"), 2, "speed must be a number"),
        (("--sped", "2"), 2, "there is no option --sped; did you mean --speed?"),
    ],
)
def test_nonsense_is_one_sentence_and_an_exit_code(
    words: tuple[str, ...], code: int, part: str
) -> None:
    done = run("simulate", *words)
    assert done.returncode == code
    assert part in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_it_in_order(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    process = start("simulate", "--heat", "off", "--ledger", str(path))
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b'{"k":"hello"')
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, b"")
    assert json.loads(path.read_text())["lines_delivered"] >= 1


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = start("simulate", *FAST)
    assert process.stdout is not None
    process.stdout.read(1000)
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_sentence() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("simulate", *FAST),
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            check=False,
        )
    assert done.returncode == 6
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pty")
def test_a_terminal_is_printed_and_ctrl_c_ends_it() -> None:
    process = start("simulate", "--pty")
    assert process.stdout is not None
    path = process.stdout.readline().decode().strip()
    assert Path(path).is_char_device()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[1] == b""
    assert process.returncode == 0


def test_tcp_says_where_it_can_be_reached() -> None:
    process = start("simulate", "--tcp")
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"socket://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[1] == b""
    assert process.returncode == 0
