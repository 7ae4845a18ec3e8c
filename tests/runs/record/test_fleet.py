"""Many boards in one process: found by serial number, set, recorded, each for itself."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.board_lines import Pty, hello_line, sample_line, settings_line
from kit.commands import ENVIRONMENT, command
from thermoflop.errors import BoardRefused, InputError, ThermoflopError
from thermoflop.pico.client import ask
from thermoflop.pico.ports import Target
from thermoflop.pico.simulated import registry
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.options import parse_options
from thermoflop.runs.folder.reader import read_run
from thermoflop.runs.record import fleet
from thermoflop.runs.record.fleet import (
    FleetBoard,
    apply_settings,
    read_fleet,
    record_fleet,
    systemd_unit,
)
from thermoflop.web.live.simboard import SimBoard


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come."""
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def written(tmp_path: Path, text: str) -> Path:
    """A fleet file."""
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    return path


def test_a_fleet_file_names_boards_their_places_and_settings(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
out = "all"
[boards.rack-1]
serial = "E66"
on_c = 40.0
rate_ms = 500
side = "low"
[boards."Labor 2"]
port = "socket://10.0.0.2:7000"
out = "labor"
""",
    )
    one, two = read_fleet(path)
    assert one == FleetBoard(
        "rack-1", "E66", None, Path("all"), {"on_c": "40.000", "rate_ms": "500", "side": "low"}
    )
    assert (two.name, two.port, two.out) == ("Labor 2", "socket://10.0.0.2:7000", Path("labor"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("boards = 3", "1 to 256 boards expected"),
        ("", "1 to 256 boards expected"),
        ("x = 1\n[boards.a]\nport='p'", "'x' is not known"),
        ("[boards.a]\n", "expected either serial or port"),
        ("[boards.a]\nport='p'\nserial='s'", "expected either serial or port"),
        ("[boards.a]\nport=3", "boards.a.port is 3: expected a text"),
        ("[boards]\na = 3", "boards.a: expected a table"),
        ("[boards.a]\nport='p'\non_c=[1]", "boards.a.on_c is [1]: expected a number"),
        ("[boards.a]\nport='p'\non_c=true", "boards.a.on_c is True"),
        ("[boards.a]\nport='p'\n[boards.b]\nport='p'", "p is two boards"),
        ("[boards.'!']\nport='p'", "must have a letter"),
        ("not toml", "is not TOML"),
        ("[boards.a]\nport='p'\n'on c'=1", "on c"),
    ],
)
def test_what_makes_no_sense_in_it_is_one_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ThermoflopError) as refused:
        read_fleet(written(tmp_path, text))
    assert sentence in str(refused.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_fleet(tmp_path / "none.toml")


def test_only_what_a_board_does_not_have_is_set_and_it_is_saved() -> None:
    board = SimBoard("sim://")
    try:
        target = Target(board.address)
        assert apply_settings(target, {"on_c": "41.5", "off_c": "28.000"}) == ["on_c"]
        assert apply_settings(target, {"on_c": "41.500"}) == []
        ask(target, "reset")  # what was not saved would be gone
        assert apply_settings(target, {"on_c": "41.5"}) == []
        with pytest.raises(BoardRefused, match="no setting"):
            apply_settings(target, {"warp": "9"})
        with pytest.raises(BoardRefused, match="must be above"):  # in no order
            apply_settings(target, {"on_c": "60", "off_c": "70", "t_max_c": "65"})
    finally:
        board.end()


@pytest.mark.parametrize(
    "wanted",
    [
        {"off_c": "35", "on_c": "40"},  # above the board's 28 and 29: on_c has to go first
        {"on_c": "20", "off_c": "18"},  # below them: off_c
        {"t_min_c": "30", "off_c": "35", "on_c": "70", "t_max_c": "80"},
        # Murata NCP15WB473 at 0, 25 and 70 °C (tests/data/ntc_tables.json)
        {"model": "sh", "r1_ohm": "158214", "r2_ohm": "47000", "r3_ohm": "7798"},
    ],
)
def test_settings_that_hold_together_are_taken_in_whatever_order_they_stand(
    wanted: dict[str, str],
) -> None:
    board = SimBoard("sim://")
    try:
        target = Target(board.address)
        assert apply_settings(target, wanted) == list(wanted)
        assert apply_settings(target, wanted) == []
    finally:
        board.end()


class Recorded:
    """A fleet being recorded."""

    def __init__(self, boards: list[FleetBoard]) -> None:
        self.said: list[str] = []
        self.lines: dict[str, int] = {}
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(boards,))
        self._thread.start()

    def _run(self, boards: list[FleetBoard]) -> None:
        try:
            record_fleet(boards, self.stop, self.said.append, self._count)
        except ThermoflopError as error:
            self.error = error

    def _count(self, board: FleetBoard, _: Any) -> None:
        self.lines[board.name] = self.lines.get(board.name, 0) + 1

    def end(self) -> None:
        """In order."""
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_boards_are_recorded_each_into_its_own_run_and_one_that_is_missing_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "RETRY_S", 0.05)
    ptys = {name: Pty() for name in ("a", "b")}
    boards = [FleetBoard(name, None, pty.path, tmp_path / name) for name, pty in ptys.items()]
    boards.append(FleetBoard("gone", None, str(tmp_path / "no-port"), tmp_path))
    recorded = Recorded(boards)
    try:
        n = itertools.count()

        def both_are_heard() -> bool:
            for pty in ptys.values():
                pty.say(hello_line() + settings_line() + sample_line(next(n)))
            return len(recorded.lines) == 2 and min(recorded.lines.values()) >= 20

        until(both_are_heard)
        until(lambda: any("gone: there is no port" in text for text in recorded.said))
    finally:
        recorded.end()
    assert sum("gone" in text for text in recorded.said) == 1  # told once, asked again and again
    for name in ptys:
        (folder,) = (tmp_path / name).iterdir()
        run = read_run(folder)
        assert (run["name"], run["ended"]["end"]) == (name, "stopped")
        assert run["lines_written"] == recorded.lines[name] >= 20


def test_a_disk_that_takes_no_more_ends_all_runs_in_order(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ptys = {name: Pty() for name in ("a", "b")}
    boards = [
        FleetBoard("a", None, ptys["a"].path, tmp_path / "a"),
        FleetBoard("b", None, ptys["b"].path, tmp_path / "file" / "b"),
    ]
    recorded = Recorded(boards)
    try:
        until(lambda: ptys["a"].say(hello_line()) or recorded.lines.get("a"))
        until(lambda: ptys["b"].say(hello_line()) or recorded.error)
    finally:
        recorded.end()
    assert "cannot create the run folder" in str(recorded.error)
    (folder,) = (tmp_path / "a").iterdir()
    assert read_run(folder)["ended"]["end"] == "stopped"


def test_settings_that_a_full_flash_did_not_take_are_saved_when_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the second attempt the board has them already; without a save its next start lost them."""
    monkeypatch.setattr(fleet, "RETRY_S", 0.05)
    pico = SimulatedBoard(parse_options([("heat", "off")]))
    flash = pico.world.flash
    flash.full = True
    url = registry.put("full-flash", pico)
    recorded = Recorded([FleetBoard("a", None, url, tmp_path, {"on_c": "41.500"})])
    try:
        until(lambda: any("could not be saved" in said for said in recorded.said))
        assert "/settings.txt" not in flash.files
        flash.full = False
        until(lambda: recorded.lines.get("a"))
        assert b"on_c 41.500" in flash.files["/settings.txt"]
    finally:
        recorded.end()
        registry.remove("full-flash")


def test_the_unit_runs_the_fleet_where_its_file_lies(tmp_path: Path) -> None:
    unit = systemd_unit(tmp_path / "my fleet.toml", ["/usr/bin/python3", "-m", "thermoflop"])
    expected = f'ExecStart=/usr/bin/python3 -m thermoflop log --fleet "{tmp_path}/my fleet.toml"'
    assert expected in unit.splitlines()
    assert f"WorkingDirectory={tmp_path}" in unit.splitlines()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--systemd",), 2, "name its file with --fleet"),
        (("--fleet", "FLEET", "--port", "x"), 2, "--port is of one board"),
        (("--fleet", "none.toml"), 3, "cannot read none.toml"),
        (("--fleet", "FLEET", "--systemd"), 0, ""),
    ],
)
def test_log_and_a_fleet(tmp_path: Path, words: tuple[str, ...], code: int, sentence: str) -> None:
    path = written(tmp_path, "[boards.a]\nport='sim://'")
    done = subprocess.run(
        command("log", *(str(path) if word == "FLEET" else word for word in words)),
        env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert sentence in done.stderr
    assert code or sys.executable in done.stdout
