"""Many boards by name, in one process: each with its own settings, and recorded into its own runs.

A fleet file is TOML::

    out = "runs"                       # where the runs go; a board may name its own
    [boards.rack-1]
    serial = "E6614103E7341A2B"        # `thermoflop ports` says it; or: port = "/dev/ttyACM0"
    on_c = 40.0                        # any setting of the board; what it has already stays

A board that is not there, or goes away for good, costs itself alone: it is asked for again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thermoflop.base.files import read_toml
from thermoflop.errors import BoardError, BoardRefused, InputError, StorageError, ThermoflopError
from thermoflop.pico.client import say
from thermoflop.pico.link import Link
from thermoflop.pico.ports import Target, list_ports
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Settings, encode_command, printable
from thermoflop.runs.folder.store import safe_name
from thermoflop.runs.record.log import record

MOST_BOARDS = 256
RETRY_S = 5.0
RECORDING = "is being recorded"
_PLACES = ("serial", "port", "out")

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FleetBoard:
    """One board of a fleet; ``settings`` are what it is set to before it is recorded."""

    name: str
    serial: str | None
    port: str | None
    out: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def find(self) -> str:
        """Its port now; BoardError while it is not plugged in."""
        if self.serial is None:
            return str(self.port)
        for port in list_ports():
            if port.serial_number == self.serial:
                return port.device
        raise BoardError(f"no port has the serial number {printable(self.serial)}")


def read_fleet(path: Path) -> list[FleetBoard]:
    """The boards of a fleet file. InputError, naming the place, for what makes no sense."""
    name, data = printable(str(path)), read_toml(path)
    unknown = sorted(set(data) - {"out", "boards"})
    tables = data.get("boards")
    if unknown or not isinstance(tables, dict) or not 0 < len(tables) <= MOST_BOARDS:
        why = f"{unknown[0]!r} is not known" if unknown else f"1 to {MOST_BOARDS} boards expected"
        raise InputError(f"{name}: {why}; expected out and [boards.NAME] tables")
    out = data.get("out", "runs")
    boards = [_board(f"{name}: boards.{key}", key, table, out) for key, table in tables.items()]
    places = [board.serial or board.port for board in boards]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None:
        raise InputError(f"{name}: {twice} is two boards")
    return boards


def _board(where: str, name: str, table: Any, out: Any) -> FleetBoard:
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a table")
    place = {key: table.get(key, out if key == "out" else None) for key in _PLACES}
    wrong = next((k for k, v in place.items() if not isinstance(v, str | None)), None)
    if wrong is not None:
        raise InputError(f"{where}.{wrong} is {place[wrong]!r}: expected a text")
    if (place["serial"] is None) == (place["port"] is None):
        raise InputError(f"{where}: expected either serial or port")
    safe_name(name)
    wanted = {key: value for key, value in table.items() if key not in _PLACES}
    settings = {key: _setting(f"{where}.{key}", value) for key, value in wanted.items()}
    for key, value in settings.items():
        if len(f"{key} {value}".split()) != 2:
            raise InputError(f"{where}: {key!r} = {value!r} is no setting: expected one word each")
        encode_command(1, "set", (key, value))  # what cannot be sent is refused before a port opens
    return FleetBoard(name, place["serial"], place["port"], Path(str(place["out"])), settings)


def _setting(where: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(f"{where} is {value!r}: expected a number or a word")
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def apply_settings(
    target: Target, wanted: Mapping[str, str], *, is_saved: bool = True
) -> list[str]:
    """Set on a board what it does not have yet, and save it there; the keys that were changed.

    Without ``is_saved`` it is saved even if nothing is missing: an earlier attempt broke off.
    Raises BoardError, and BoardRefused with the board's reason.
    """
    if not wanted:
        return []
    known: dict[str, Any] = {}
    with Link(target) as link:
        for line in say(link, "get").lines:
            if isinstance(line.message, Settings):
                known.update(line.message.values)
        changed = [key for key, value in wanted.items() if not _is_same(known.get(key), value)]
        _set_in_some_order(link, {key: wanted[key] for key in changed})
        if changed or not is_saved:
            say(link, "save")
    return changed


def _set_in_some_order(link: Link, wanted: Mapping[str, str]) -> None:
    """Set all of them; the board holds each against the others that it has at that moment, so what
    it refuses now (an ``off_c`` above the old ``on_c``) it may take after the rest. The model comes
    last: with it three points must fit each other, which half of them seldom do."""
    refused: BoardRefused | None = None
    left = dict(sorted(wanted.items(), key=lambda pair: pair[0] == "model"))
    while left:
        before = len(left)
        for key, value in tuple(left.items()):
            try:
                say(link, "set", (key, value))
                del left[key]
            except BoardRefused as error:
                refused = refused or error
        if refused is not None and len(left) == before:
            raise refused
        refused = None


def _is_same(now: Any, wanted: str) -> bool:
    try:
        return abs(float(now) - float(wanted)) < 5e-4  # the firmware keeps thousandths
    except (TypeError, ValueError):
        return bool(now == wanted)


def record_fleet(
    boards: Sequence[FleetBoard],
    stop: threading.Event,
    notify: Notify = lambda _: None,
    on_line: Callable[[FleetBoard, BoardLine], None] = lambda *_: None,
) -> None:
    """Record all boards until ``stop`` is set, each in a thread of its own.

    StorageError when a disk takes no more of any of them: the others are ended in order first.
    """
    failed: list[StorageError] = []

    def run(board: FleetBoard) -> None:
        try:
            _keep_recording(board, stop, notify, on_line)
        except StorageError as error:
            failed.append(error)
            stop.set()

    threads = [threading.Thread(target=run, args=(board,), name=board.name) for board in boards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _keep_recording(
    board: FleetBoard,
    stop: threading.Event,
    notify: Notify,
    on_line: Callable[[FleetBoard, BoardLine], None],
) -> None:
    told, is_saved = "", True

    def take(line: BoardLine) -> None:
        nonlocal told
        if told != RECORDING:
            told = RECORDING
            notify(f"{board.name}: {RECORDING}")
        on_line(board, line)

    while not stop.is_set():
        try:
            port = board.find()
            before, is_saved = is_saved, False
            changed = apply_settings(Target(port, board.serial), board.settings, is_saved=before)
            is_saved = True
            if changed:
                notify(f"{board.name}: set and saved {', '.join(changed)}")
            record(port, board.out, name=board.name, stop=stop, on_line=take)
        except StorageError:
            raise
        except ThermoflopError as error:
            if str(error) != told and not stop.is_set():
                told = str(error)
                notify(f"{board.name}: {told}; trying again")
        stop.wait(RETRY_S)


def systemd_unit(fleet: Path, program: Sequence[str]) -> str:
    """A unit that records a fleet from boot on, to be read and installed by hand.

    ``program`` are the words that start thermoflop.
    """
    words = [*program, "log", "--fleet", str(fleet.resolve())]
    quoted = " ".join(f'"{word}"' if " " in word else word for word in words)
    return f"""\
[Unit]
Description=thermoflop: boards of {fleet.name}
After=local-fs.target

[Service]
ExecStart={quoted.replace("%", "%%")}
WorkingDirectory={str(fleet.resolve().parent).replace("%", "%%")}
# SIGTERM ends every run in order
KillSignal=SIGTERM
Restart=on-failure
RestartSec=5
# of the group that may open serial ports; the user that the runs shall belong to
DynamicUser=no
SupplementaryGroups=dialout

[Install]
WantedBy=multi-user.target
"""
