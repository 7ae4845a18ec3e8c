"""The doctor: every ill has its finding and its remedy; facts go in, no hardware is needed."""

from __future__ import annotations

import threading

import pytest
from kit.board_lines import Pty, hello_line, sample_line
from thermoflop.pico.doctor import Facts, Finding, Heard, gather, judge
from thermoflop.pico.ports import PortInfo, Target
from thermoflop.pico.system import System

BOARD = PortInfo("/dev/ttyACM0", "Board in FS mode", 0x2E8A, 0x0005, "E66")
TARGET = Target("/dev/ttyACM0", "E66")
WELL = Heard(3.0, 2000, 15, 0, fw="0.1.0", proto=1)


def facts(**changes: object) -> Facts:
    """A healthy board, but for ``changes``."""
    healthy: dict[str, object] = {
        "ports": (BOARD,),
        "system": System(usb_ids=((0x2E8A, 0x0005),), port_group="dialout"),
        "target": TARGET,
        "heard": WELL,
        "shipped_fw": "0.1.0",
    }
    return Facts(**{**healthy, **changes})  # type: ignore[arg-type]


def problems(**changes: object) -> list[Finding]:
    """What is found to be wrong."""
    return [f for f in judge(facts(**changes)) if f.state == "problem"]


def test_a_healthy_board_has_no_problem() -> None:
    """Every finding is ok."""
    assert {f.state for f in judge(facts())} == {"ok"}


LINUX = {"usb_ids": (), "port_group": "dialout"}


@pytest.mark.parametrize(
    ("changes", "check", "words", "remedy"),
    [
        ({"ports": (), "target": None, "heard": None}, "port", "no serial port", "carries data"),
        (
            {"ports": (BOARD, BOARD), "target": None, "heard": None},
            "port",
            "2 boards",
            "--port",
        ),
        (
            {"ports": (), "heard": None, "system": System(usb_ids=((0x2E8A, 3),))},
            "boot loader",
            "BOOTSEL",
            ".uf2",
        ),
        (
            {"ports": (), "heard": None, "system": System(usb_ids=((0x2E8A, 0xA),))},
            "usb id",
            "2e8a:000a",
            ".uf2",
        ),
        (
            {"heard": None, "system": System(**LINUX, may_open=False)},  # type: ignore[arg-type]
            "permission",
            "group dialout",
            "usermod -aG dialout",
        ),
        (
            {"system": System(**LINUX, holders=((7, "minicom"),))},  # type: ignore[arg-type]
            "second reader",
            "minicom (process 7)",
            "close",
        ),
        ({"heard": None, "open_error": "port x is busy"}, "second reader", "busy", "close"),
        ({"heard": None, "open_error": "cannot open x"}, "open", "cannot open x", "above"),
        (
            {"system": System(**LINUX, modem_manager=True)},  # type: ignore[arg-type]
            "ModemManager",
            "probes",
            "ID_MM_DEVICE_IGNORE",
        ),
        ({"heard": Heard(3.0)}, "firmware", "silence for 3 s", "thermoflop flash"),
        ({"heard": Heard(3.0, 40, text=">>> ")}, "firmware", "prompt", "thermoflop flash"),
        ({"heard": Heard(3.0, 40, text="$GPGGA")}, "firmware", "no valid line", "--port"),
        (
            {"heard": Heard(3.0, 99, 9, fw="0.0.9", proto=1)},
            "version",
            "0.0.9 is older than 0.1.0",
            "thermoflop flash",
        ),
        ({"heard": Heard(3.0, 99, 9, fw="9.0", proto=2)}, "version", "protocol 2", "upgrade"),
        (
            {"heard": Heard(3.0, 99, 9, fw="0.1.0", flags=("open", "newer"))},
            "faults",
            "open, newer",
            "wiring.md",
        ),
        (
            {"heard": Heard(3.0, 99, 9, fw="0.1.0", flags=("cold",))},
            "faults",
            "cold",
            "a 100k thermistor on a board set to 10k: -19 °C in a room of 25",
        ),
        (
            {"heard": Heard(3.0, 99, 9, fw="0.1.0", safe=1, crashes=3)},
            "faults",
            "3 crashes",
            "clear",
        ),
    ],
)
def test_every_ill_is_found_and_has_a_remedy(
    changes: dict[str, object], check: str, words: str, remedy: str
) -> None:
    """By name, in words, with what to do."""
    (finding,) = (f for f in problems(**changes) if f.check == check)
    assert words in finding.text
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("pid", "check", "words", "remedy"),
    [
        (0x000F, "boot loader", "RP2350", "RP2040"),  # a Pico 2 in BOOTSEL
        (0x000C, "usb id", "Debug Probe", "leave it as it is"),
        (0x0004, "usb id", "Picoprobe", "leave it as it is"),
        (0x101F, "usb id", "another maker", "as its maker says"),  # Waveshare's RP2040-Zero
        (0x000B, "usb id", "2e8a:000b", ".uf2"),  # CircuitPython
        (0xF00A, "usb id", "2e8a:f00a", ".uf2"),  # a program made with Arduino-Pico
    ],
)
@pytest.mark.parametrize("system_knows", [True, False])
def test_other_devices_of_the_vendor_get_advice_that_fits_them(
    pid: int, check: str, words: str, remedy: str, system_knows: bool
) -> None:
    """From Linux's list of USB devices, or from the ports alone, as on Windows and macOS.

    Ids: github.com/raspberrypi/usb-pid. Only what can run MicroPython is to be given its file.
    """
    port = PortInfo("COM3", "USB Serial Device", 0x2E8A, pid, "E66")
    seen = System(usb_ids=((0x2E8A, pid),)) if system_knows else System()
    there = problems(ports=(port,), system=seen, target=None, heard=None)
    (finding,) = (f for f in there if f.check == check)
    assert words in finding.text
    assert remedy in finding.remedy
    assert (".uf2" in finding.remedy) == (".uf2" in remedy)


@pytest.mark.parametrize("pid", [0x000C, 0x0004, 0x000D, 0x0010, 0x0013, 0x0030])
def test_what_can_be_no_board_is_not_proposed_as_port(pid: int) -> None:
    """A probe, a hub, a keyboard, a gadget, a drive; hubs and the like are not mentioned at all."""
    port = PortInfo("COM3", "USB Serial Device", 0x2E8A, pid, "E66")
    found = problems(ports=(port,), system=System(), target=None, heard=None)
    assert all("COM3" not in f.remedy for f in found)
    assert len(found) == (2 if pid in (0x000C, 0x0004) else 1)


def test_a_board_beside_a_probe_is_all_that_matters() -> None:
    """Both plugged in, as they are on a developer's desk."""
    ids = ((0x2E8A, 0x0005), (0x2E8A, 0x000C))
    assert problems(system=System(usb_ids=ids, port_group="dialout")) == []


def test_circuitpython_under_its_own_vendor_s_id_is_recognized() -> None:
    """Adafruit's vendor id, as CircuitPython's Pico W has it."""
    port = PortInfo("/dev/ttyACM0", "Pico W - CircuitPython", 0x239A, 0x8120, "DE6")
    found = problems(ports=(port,), system=System(), target=None, heard=None)
    (finding,) = (f for f in found if f.check == "usb id")
    assert "239a:8120" in finding.text
    assert ".uf2" in finding.remedy


def test_a_system_without_any_usb_device_is_told_how_to_get_one() -> None:
    """WSL and containers."""
    (finding,) = problems(ports=(), system=System(usb_ids=()), target=None, heard=None)
    assert "usbipd" in finding.remedy
    (finding,) = problems(ports=(), system=System(usb_ids=None), target=None, heard=None)
    assert "usbipd" not in finding.remedy


def test_a_modem_manager_that_was_told_off_is_no_problem() -> None:
    """A udev rule is in place."""
    system = System(
        usb_ids=(), port_group="dialout", modem_manager=True, modem_manager_ignores=True
    )
    assert problems(system=system) == []


def test_a_version_that_was_not_heard_is_not_known_and_not_wrong() -> None:
    """It is said once a minute."""
    findings = judge(facts(heard=Heard(3.0, 99, 9)))
    assert [f.check for f in findings if f.state == "unknown"] == ["version"]


def test_text_from_the_port_cannot_drive_the_terminal() -> None:
    """A version string with an escape sequence in it."""
    heard = Heard(3.0, 99, 9, fw="0.0.1\x1b[2J", proto=1, flags=("\x07",))
    assert all(f.text.isprintable() for f in judge(facts(heard=heard)))


def say_until_told(pty: Pty, data: bytes, stop: threading.Event) -> None:
    """Repeat ``data``, as a board does."""
    while not stop.wait(0.02):
        pty.say(data)


def test_listening_hears_a_board_and_writes_nothing() -> None:
    """Facts of a real port."""
    stop = threading.Event()
    with Pty() as pty:
        data = hello_line() + sample_line(0)
        thread = threading.Thread(target=say_until_told, args=(pty, data, stop), daemon=True)
        thread.start()
        findings = gather(pty.path, ask=False, listen_s=5.0)
        stop.set()
        thread.join()
    assert findings.heard is not None
    assert findings.heard.fw == "0.1.0"
    assert findings.open_error is None


def test_a_prompt_is_recognised() -> None:
    """It ends in no newline."""
    stop = threading.Event()
    with Pty() as pty:
        data = b"MicroPython v1.27 on x\r\n>>> "
        thread = threading.Thread(target=say_until_told, args=(pty, data, stop), daemon=True)
        thread.start()
        findings = gather(pty.path, ask=False, listen_s=0.6)
        stop.set()
        thread.join()
    (finding,) = (f for f in judge(findings) if f.check == "firmware")
    assert "prompt" in finding.text
