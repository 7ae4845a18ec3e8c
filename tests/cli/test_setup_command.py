"""``thermoflop setup`` as a user meets it, on a simulated board or on none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from kit.commands import ENVIRONMENT, command
from thermoflop.pico.setup.guide import Request, set_up
from thermoflop.pico.simulated import registry
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.options import parse_options

SIM = "sim://?speed=20"
DISK = "Model: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"


def run(*words: str, typed: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """The command with these answers typed."""
    return subprocess.run(
        command("setup", *words),
        input=typed, capture_output=True, text=True, timeout=60, env={**ENVIRONMENT, **env},
        check=False, encoding="utf-8",
    )  # fmt: skip


def test_a_simulated_board_passes_without_a_question() -> None:
    """Also where the terminal has no line drawing, and 60 columns."""
    done = run("--port", SIM, "--yes", PYTHONIOENCODING="ascii", COLUMNS="60", TERM="dumb")
    assert done.returncode == 0, done.stderr
    assert "passed: the board works" in done.stdout
    assert "NTC 10k--+" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 60


def test_the_outcome_is_json_and_the_talk_goes_elsewhere() -> None:
    done = run("--port", SIM, "--json", typed="y\n\n")
    outcome = json.loads(done.stdout)
    assert (done.returncode, outcome["passed"], outcome["fault"]) == (0, True, None)
    assert outcome["rest_c"] < outcome["off_c"] <= 28.0 < 29.0 <= outcome["on_c"]
    assert "Let go." in done.stderr


@pytest.mark.parametrize(
    ("words", "typed", "name"),
    [
        ((f"{SIM}&fault=open", "--yes"), "", "open"),
        ((f"{SIM}&heat=off&finger=99999:1", "--yes"), "", "no rise"),
        ((SIM,), "n\ny\n", "fan does not run"),
    ],
)
def test_a_fault_is_named_with_its_remedy_and_exit_code_1(
    words: tuple[str, ...], typed: str, name: str
) -> None:
    done = run("--port", *words, typed=typed)
    assert done.returncode == 1, done.stderr
    fault, remedy = done.stdout.split("FAULT ")[1].split("->")
    assert fault.startswith(f"{name}: ")
    assert remedy.strip()


def test_a_question_that_nobody_answers_is_exit_code_2() -> None:
    done = run("--port", SIM)
    assert done.returncode == 2
    assert "--yes" in done.stderr


def test_without_a_board_it_is_exit_code_4_and_a_wrong_file_3(tmp_path: Path) -> None:
    (tmp_path / "INFO_UF2.TXT").write_text(DISK)
    (tmp_path / "a.uf2").write_bytes(b"PK" * 512)
    disk, words = ("--disk", str(tmp_path)), ("--port", "/dev/none")
    assert run(*words, "--yes", "--wait", "1s").returncode == 4
    assert run("--disk", str(tmp_path / "none"), "--yes").returncode == 3
    assert run(*disk, "--yes", "--uf2", str(tmp_path / "a.uf2")).returncode == 3


def test_ctrl_c_at_a_question_ends_with_130_and_a_sentence() -> None:
    process = subprocess.Popen(
        command("setup", "--port", SIM),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout is not None
    said = b""
    while b"[Y/n]" not in said:
        said += os.read(process.stdout.fileno(), 4096)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"nothing is half done" in errors
    assert b"Traceback" not in errors


class Hand:
    """Who does what is asked: a finger on a simulated board, or Ctrl-C instead."""

    def __init__(self, board: SimulatedBoard, leaves: bool) -> None:
        self._board, self._leaves = board, leaves
        self.told: list[str] = []
        self.settings: list[str] = []

    def tell(self, text: str) -> None:
        self.told.append(text)
        if "Hold the thermistor" in text:
            if self._leaves:
                raise KeyboardInterrupt
            self._board.world.touch(20.0)

    def show(self, text: str) -> None:
        """Nothing to keep."""

    draw = lambda self: None  # noqa: E731
    agree = lambda self, _: True  # noqa: E731
    wait_for = lambda self, _: ""  # noqa: E731


@pytest.mark.parametrize("leaves", [False, True])
def test_thresholds_of_the_test_are_taken_back_whatever_happens(leaves: bool) -> None:
    """In a room of 29 °C the fan of a board with 29 and 28 never rests."""
    pairs = [("speed", "20"), ("ambient", "29"), ("heat", "off"), ("uptime", "60")]
    board = SimulatedBoard(parse_options(pairs))
    url = registry.put(f"warm{leaves}", board)
    hand = Hand(board, leaves)
    try:
        if leaves:
            with pytest.raises(KeyboardInterrupt):
                set_up(Request(url, unasked=True), hand)
        else:
            assert set_up(Request(url, unasked=True), hand).fault is None
        assert any("for the test alone" in text for text in hand.told)
        from thermoflop.pico.client import ask
        from thermoflop.pico.ports import Target

        now = ask(Target(url), "get", ("on_c",)).detail, ask(Target(url), "get", ("off_c",)).detail
        assert now == ({"on_c": 29.0}, {"off_c": 28.0})
    finally:
        registry.remove(f"warm{leaves}")
