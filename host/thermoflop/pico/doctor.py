"""Why the board is not heard: facts gathered once, then judged by small pure functions.

Each check looks at the facts and gives one finding: fine, a problem with its remedy, or not known
because it could not be looked at. Gathering listens and never writes, unless it is told to ask.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from thermoflop.errors import BoardError, ThermoflopError
from thermoflop.pico.link import Link
from thermoflop.pico.ports import PortInfo, Target, list_ports
from thermoflop.pico.system import System, look_at_system
from thermoflop.pico.track import BadLine, BoardLine, HostEvent, Tracker
from thermoflop.pico.usb_ids import (
    BOARD_PID,
    BOARD_VID,
    in_boot_loader,
    is_no_board,
    taken_for_board,
)
from thermoflop.pico.wire import encode_command, printable

LISTEN_S = 3.0  # 15 samples at the usual rate, 3 at one a second
MOST_HOLDERS = 3
OK, PROBLEM, UNKNOWN = "ok", "problem", "unknown"
_ADD_RULE = "put this line into /etc/udev/rules.d/99-pico.rules and replug: "
_PROMPT = re.compile(r">>>|MicroPython v\d|Traceback \(most recent")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came from the port while we listened."""

    seconds: float
    n_bytes: int = 0
    good_lines: int = 0
    bad_lines: int = 0
    text: str = ""  # of lines that were no good
    fw: str | None = None
    proto: int | None = None
    safe: int = 0
    crashes: int = 0
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the checks look at; None where it could not be found out."""

    ports: tuple[PortInfo, ...]
    system: System
    target: Target | None = None
    open_error: str | None = None
    heard: Heard | None = None
    shipped_fw: str | None = None
    shipped_proto: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer; ``remedy`` is what to do about a problem."""

    check: str
    state: str
    text: str
    remedy: str = ""


Said = tuple[str, ...]  # a finding without its check: state, text, and for a problem the remedy


def examine(
    port: str | None = None, ask: bool = False, listen_s: float = LISTEN_S
) -> list[Finding]:
    """Gather and judge."""
    return judge(gather(port, ask, listen_s))


def judge(facts: Facts) -> list[Finding]:
    """Every check's finding, in the order in which to fix things."""
    return [Finding(name, *said) for name, check in CHECKS.items() if (said := check(facts))]


def gather(port: str | None, ask: bool, listen_s: float) -> Facts:
    """Look at the machine, and listen to the port if there is one to listen to."""
    ports = tuple(list_ports())
    boards = [p for p in ports if p.is_board]
    target = Target(boards[0].device, boards[0].serial_number) if len(boards) == 1 else None
    if port is not None:
        target = Target(port, next((p.serial_number for p in ports if p.device == port), None))
    system = look_at_system(target.find() if target and target.is_path else None)
    heard, open_error = None, None
    if target is not None:
        try:
            heard = listen(target, ask, listen_s)
        except BoardError as error:
            open_error = str(error)
    return Facts(ports, system, target, open_error, heard, shipped_firmware())


def listen(target: Target, ask: bool, listen_s: float) -> Heard:
    """What arrives in ``listen_s``; with ``ask``, a board that is heard gets the command ``id``."""
    texts: list[str] = []
    is_asked = not ask
    with Link(target) as link:
        end_s = time.monotonic() + listen_s
        while time.monotonic() < end_s and not link.gone:
            time.sleep(0.05)
            for item in link.inbox.take():
                if isinstance(item, BadLine):
                    texts.append(item.head.decode("latin-1"))
                elif isinstance(item, HostEvent) and item.ev == "torn_at_open":
                    texts.append(str(item.detail.get("text", "")))
                elif isinstance(item, BoardLine) and not is_asked:
                    is_asked = True
                    link.write(encode_command(1, "id"))
            if link.tracker.board.hello and link.tracker.last_sample and is_asked:
                break
        texts.append(link.tracker.pending_text())
        counters = link.tracker.counters
        good_lines = counters.lines - counters.bad_lines - counters.torn_at_open
        text = printable("\n".join(texts)[-400:])
        return heard_of(link.tracker, listen_s, good_lines, text)


def heard_of(tracker: Tracker, listen_s: float, good_lines: int, text: str = "") -> Heard:
    """What came of a board in some seconds; ``text`` is what of it was no line."""
    counters, hello, last = tracker.counters, tracker.board.hello, tracker.last_sample
    return Heard(
        seconds=listen_s,
        n_bytes=counters.n_bytes,
        good_lines=good_lines,
        bad_lines=counters.bad_lines,
        text=text,
        fw=hello.fw if hello else None,
        proto=hello.proto if hello else None,
        safe=hello.safe if hello else 0,
        crashes=hello.crashes if hello else 0,
        flags=last.flags if last else (),
    )


def shipped_firmware() -> str | None:
    """The version of the firmware that comes with this package."""
    from thermoflop.pico import firmware

    try:
        return firmware.load().version
    except (ThermoflopError, OSError):
        return None


def check_port(facts: Facts) -> Said:
    """Is there a board, and only one?"""
    boards = [p for p in facts.ports if p.is_board]
    if facts.target is not None:
        return OK, f"looking at {printable(facts.target.url)}"
    if len(boards) > 1:
        names = ", ".join(b.device for b in boards)
        return PROBLEM, f"{len(boards)} boards: {names}", "choose with --port"
    remedy = "plug the board in with a cable that carries data; many carry only power"
    if facts.system.usb_ids == ():
        remedy += (
            "; this system sees no USB device at all: a container or virtual machine must be "
            "given it, WSL with `usbipd attach --wsl --busid ID` on the Windows side"
        )
    named = [p for p in facts.ports if not is_no_board(p.vid, p.pid)]
    if others := ", ".join(f"{p.device} ({p.usb_id or 'no USB id'})" for p in named):
        remedy += f"; if it is one of {others}, name it with --port"
    return PROBLEM, f"no serial port with the id {BOARD_VID:04x}:{BOARD_PID:04x}", remedy


def check_bootsel(facts: Facts) -> Said | None:
    """Is a board waiting in its boot loader?"""
    said = in_boot_loader(_pids(facts))
    return None if said is None else (PROBLEM, *said)


def check_usb_id(facts: Facts) -> Said | None:
    """Is something there that could be taken for the board, or is the board with other ids?"""
    if any(p.is_board for p in facts.ports):
        return None
    circuit = [p.usb_id for p in facts.ports if p.usb_id and "CircuitPython" in p.description]
    said = taken_for_board(_pids(facts), circuit)
    return None if said is None else (PROBLEM, *said)


def _pids(facts: Facts) -> set[int]:
    """The product ids of Raspberry Pi's vendor id; ports' alone where the system tells no more."""
    ids = {*(facts.system.usb_ids or ()), *((p.vid, p.pid) for p in facts.ports)}
    return {pid for vid, pid in ids if vid == BOARD_VID and pid is not None}


def check_permission(facts: Facts) -> Said | None:
    """May we open it?"""
    if facts.target is None or facts.system.port_group is None:
        return None
    if facts.system.may_open:
        return OK, "the port may be opened"
    where, group = printable(facts.target.url), facts.system.port_group
    if group == "root":
        rule = 'SUBSYSTEM=="tty", ATTRS{idVendor}=="2e8a", GROUP="dialout", MODE="0660"'
        return PROBLEM, f"only root may open {where}", _ADD_RULE + rule
    text = f"{where} belongs to the group {group}, and you are not in it"
    return PROBLEM, text, f"`sudo usermod -aG {group} $USER`, then log out and in again"


def check_second_reader(facts: Facts) -> Said | None:
    """Does another process hold the port?"""
    if facts.system.holders:
        holders = facts.system.holders
        names = ", ".join(f"{name} (process {pid})" for pid, name in holders[:MOST_HOLDERS])
        if len(holders) > MOST_HOLDERS:
            names += f" and {len(holders) - MOST_HOLDERS} more"
        remedy = "close that program"
        if all(name == "ModemManager" for _, name in holders):
            remedy = "it lets go within half a minute; see below how to keep it away"
        text = f"the port is also open in {names}: two readers steal each other's bytes"
        return PROBLEM, text, remedy
    if facts.open_error and "busy" in facts.open_error:
        return PROBLEM, facts.open_error, "close the other program"
    return None


def check_modem_manager(facts: Facts) -> Said | None:
    """Will ModemManager type AT commands at the board?"""
    if not facts.system.modem_manager or facts.system.port_group is None:
        return None
    if facts.system.modem_manager_ignores:
        return OK, "runs, and leaves this port alone"
    rule = 'ATTRS{idVendor}=="2e8a", ATTRS{idProduct}=="0005", ENV{ID_MM_DEVICE_IGNORE}="1"'
    text = "runs, and probes a board for half a minute after it is plugged in"
    return PROBLEM, text, _ADD_RULE + rule


def check_opens(facts: Facts) -> Said | None:
    """Did it open?"""
    if facts.open_error is None or "busy" in facts.open_error:
        return None
    return PROBLEM, facts.open_error, "see the checks above, or name another --port"


def check_firmware_runs(facts: Facts) -> Said | None:
    """Does it speak as our firmware does?"""
    heard = facts.heard
    if heard is None:
        return None
    if heard.good_lines:
        bad = f", {heard.bad_lines} bad" if heard.bad_lines else ""
        return OK, f"{heard.good_lines} good lines{bad}"
    if _PROMPT.search(heard.text):
        text = "MicroPython's prompt, not the firmware"
        remedy = "`thermoflop flash`; if it is installed, it was stopped: replug the board"
    elif heard.n_bytes:
        text = (
            f"{heard.n_bytes} bytes and no valid line: another program, or not this kind of board"
        )
        remedy = "if it is a Pico that runs MicroPython, `thermoflop flash`; else another --port"
    else:
        text = f"silence for {heard.seconds:g} s"
        remedy = (
            "replug the board; if that does not help, `thermoflop flash` (a board without firmware "
            "is silent, and so is one that was stopped at its prompt)"
        )
    return PROBLEM, text, remedy


def check_firmware_age(facts: Facts) -> Said | None:
    """Is it the firmware that this package brings?"""
    heard = facts.heard
    if heard is None or not heard.good_lines:
        return None
    if heard.fw is None:
        text = "the board says its version once a minute"
        return UNKNOWN, text, "`thermoflop doctor --ask` asks it"
    if heard.proto is not None and heard.proto > facts.shipped_proto:
        text = f"the board speaks protocol {heard.proto}, this package {facts.shipped_proto}"
        return PROBLEM, text, "upgrade thermoflop on this machine"
    if facts.shipped_fw is None:
        return UNKNOWN, f"firmware {printable(heard.fw)}"
    if _version(heard.fw) < _version(facts.shipped_fw):
        text = f"firmware {printable(heard.fw)} is older than {facts.shipped_fw}, shipped here"
        return PROBLEM, text, "`thermoflop flash` (your settings are kept)"
    return OK, f"firmware {printable(heard.fw)}"


def check_faults(facts: Facts) -> Said | None:
    """Does the board itself report a fault, or has it crashed?"""
    heard = facts.heard
    if heard is None or not heard.good_lines:
        return None
    if heard.safe:
        text = f"safe mode after {heard.crashes} crashes: fan on, defaults, nothing else"
        remedy = (
            "`thermoflop pico clear`, then `thermoflop pico reset`; if it comes back, report it"
        )
        return PROBLEM, text, remedy
    if not heard.flags:
        return OK, "none"
    remedies = [REMEDIES.get(flag, "see wiring.md") for flag in heard.flags]
    text = "the board reports " + ", ".join(printable(flag) for flag in heard.flags)
    return PROBLEM, text, "; ".join(dict.fromkeys(remedies))


REMEDIES = {
    "open": "a wire of the thermistor is off, or its resistor is bridged: see wiring.md",
    "short": "the thermistor is bridged, or a leg of its 10k resistor is off: see wiring.md",
    "range": "check the sensor and its settings (r25_ohm, beta_k, side)",
    "cold": "a part of more ohm than the settings' reads like this (a 100k thermistor on a board "
    "set to 10k: -19 °C in a room of 25), see wiring.md: set r25_ohm, beta_k "
    "and r_series_ohm to what is there, and t_min_c lower if it really is so cold",
    "fast": "a loose contact, or a sensor in moving air",
    "frozen": "the reading does not move at all: check GPIO26 and the divider",
    "noisy": "keep the sensor's wires away from the fan's, see wiring.md",
    "stale": "no fresh reading: replug the board",
    "hot": "it is too hot: take the load away; if it is not, the part has less ohm than r25_ohm",
    "pin": "GPIO2 does not follow: it is bridged to ground or 3V3, or drives more than a gate, or "
    "than an LED with its resistor: see wiring.md",
    "settings": "the settings file was bad; defaults are in use, and the fan stays on: set them "
    "again, then `thermoflop pico save` and `thermoflop pico clear`",
    "nocool": "the fan runs and it still gets hotter: check the fan, then `thermoflop pico clear`",
}

CHECKS: dict[str, Callable[[Facts], Said | None]] = {
    "port": check_port,
    "boot loader": check_bootsel,
    "usb id": check_usb_id,
    "permission": check_permission,
    "second reader": check_second_reader,
    "ModemManager": check_modem_manager,
    "open": check_opens,
    "firmware": check_firmware_runs,
    "version": check_firmware_age,
    "faults": check_faults,
}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
