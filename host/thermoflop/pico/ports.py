"""Find the board and open its port; everything that pyserial can say becomes one sentence.

A port is a device path (``/dev/ttyACM0``, a pseudo-terminal), ``sim://...`` (a simulated board in
this process) or ``socket://host:port`` (a board behind TCP).
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import Any

try:
    import fcntl
    import termios
except ImportError:  # Windows locks every port by itself
    fcntl = termios = None  # type: ignore[assignment]

from thermoflop.base.plain import attributes
from thermoflop.errors import BoardError
from thermoflop.pico.usb_ids import BOARD_PID, BOARD_VID
from thermoflop.pico.wire import printable

BAUD = 115200  # ignored by USB, needed by pyserial

_NETWORK = ("socket://", "rfc2217://")
_BUSY = {errno.EAGAIN, errno.EACCES, errno.EBUSY, errno.EWOULDBLOCK}
# pyserial has more: with spy://...?file=F anybody who may name a port could overwrite the file F
SCHEMES = ("sim", "socket", "rfc2217")


@dataclass(frozen=True, slots=True)
class PortInfo:
    """A serial port of this machine; ids are None where it is not on USB."""

    device: str
    description: str
    vid: int | None
    pid: int | None
    serial_number: str | None

    @property
    def is_board(self) -> bool:
        """Whether its USB ids are those of a Pico that runs MicroPython."""
        return (self.vid, self.pid) == (BOARD_VID, BOARD_PID)

    def to_json(self) -> dict[str, object]:
        """The port as ``thermoflop ports --json`` prints it."""
        return attributes(self, "device", "description", "usb_id", "serial_number", "is_board")

    @property
    def usb_id(self) -> str | None:
        """Vendor and product as four hex digits each, like 2e8a:0005."""
        return None if self.vid is None else f"{self.vid:04x}:{self.pid or 0:04x}"


@dataclass(frozen=True, slots=True)
class Target:
    """A port to open, and the USB serial number by which to find it again."""

    url: str
    serial_number: str | None = None

    @property
    def is_path(self) -> bool:
        """Whether it is a device of this machine, not a URL."""
        return "://" not in self.url

    def find(self) -> str:
        """Where the board is now: a replugged board may have come back under another name."""
        if self.serial_number:
            found = [p.device for p in list_ports() if p.serial_number == self.serial_number]
            # some makers give all their chips one number: then the port that was named is meant
            if found and not {self.url, os.path.realpath(self.url)} & set(found):
                return found[0]
        return self.url

    @property
    def may_return(self) -> bool:
        """Whether a port that went away can come back as itself.

        A pseudo-terminal cannot: once its owner has closed it, the same number is given to the next
        one who asks, which may be somebody's shell. A symbolic link to one can be renewed.
        """
        if not self.is_path or self.serial_number:
            return True
        return not self.url.startswith("/dev/pts/")


def is_simulated(url: str) -> bool:
    """Whether a port is a simulated board in this process."""
    return url.startswith("sim:")


def list_ports() -> list[PortInfo]:
    """Every serial port that the system names, boards first."""
    from serial.tools import list_ports as pyserial_ports

    ports = [
        PortInfo(p.device, printable(p.description or ""), p.vid, p.pid, p.serial_number)
        for p in pyserial_ports.comports()
        if p.vid is not None or p.hwid != "n/a"
    ]
    return sorted(ports, key=lambda port: (not port.is_board, port.device))


def choose(port: str | None = None) -> Target:
    """The port to use: the one named, or else the only board there is."""
    ports = list_ports() if port is None or "://" not in port else []
    if port is not None:
        return _named(port, ports)
    boards = [p for p in ports if p.is_board]
    if not boards:
        raise BoardError(
            "no board found: no USB serial port has the id 2e8a:0005 of a Pico that runs "
            "MicroPython; plug it in, name a port with --port, or ask `thermoflop doctor`"
        )
    if len(boards) > 1:
        names = ", ".join(f"{b.device} (serial number {b.serial_number})" for b in boards)
        raise BoardError(f"{len(boards)} boards found: {names}; choose one with --port")
    return Target(boards[0].device, boards[0].serial_number)


def _named(port: str, ports: list[PortInfo]) -> Target:
    if "://" in port:
        return Target(port)
    if os.name == "posix" and not os.path.exists(port):  # noqa: PTH110 - no error, whatever it is
        there = ", ".join(p.device for p in ports) or "none"
        named = printable(port)[:100] or "''"
        scheme = next((each for each in SCHEMES if port.lower().split(":")[0] == each), "")
        meant = f"; did you mean {scheme}://?" if scheme else ""
        raise BoardError(f"there is no port {named}; the ports of this machine: {there}{meant}")
    real = os.path.realpath(port)
    serial_number = next((p.serial_number for p in ports if p.device in (port, real)), None)
    return Target(port, serial_number)


def open_port(url: str) -> Any:
    """The port at ``url``, open, raw, DTR set, reads never waiting; BoardError in one sentence.

    DTR tells the board's USB stack that somebody listens. A device is locked against a second
    reader, who would steal bytes from the first.
    """
    import serial

    scheme, sign, _ = url.partition("://")
    if sign and scheme.lower() not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise BoardError(f"{printable(url)[:100]} is not understood: expected a device, or {known}")
    if "thermoflop.pico.simulated" not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append("thermoflop.pico.simulated")
    is_path = "://" not in url
    options: dict[str, Any] = {"exclusive": True} if is_path and os.name == "posix" else {}
    try:
        port = serial.serial_for_url(url, BAUD, timeout=0, write_timeout=2.0, **options)
    except (OSError, ValueError) as error:  # pyserial's own error is an OSError
        raise BoardError(_why_not(url, error)) from error
    except Exception as error:
        # a board that vanishes while it is opened: termios.error is no OSError, see pyserial's open
        if termios is not None and isinstance(error, termios.error):
            raise BoardError(_why_not(url, error)) from error
        raise
    if is_path:
        _keep_others_out(url, port)
    return port


def _keep_others_out(url: str, port: Any) -> None:
    """The lock above binds only those who ask for it; this one binds everybody (but root).

    Not on a pseudo-terminal: there the flag outlives us for as long as its owner holds it open.
    """
    if fcntl is None or os.path.realpath(url).startswith("/dev/pts/"):
        return
    try:
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    except OSError:  # not every driver knows it, and the first lock holds
        return


def _why_not(url: str, error: Exception) -> str:
    name = printable(url)
    number = getattr(error, "errno", None)
    # pyserial's Windows half puts the system's error into the text and has no number of its own;
    # a COM port belongs to no group, so "access is denied" says that somebody else has it open
    if "PermissionError(13" in str(error) or "Access is denied" in str(error):
        number = errno.EBUSY
    elif "FileNotFoundError(2" in str(error):
        number = errno.ENOENT
    if url.startswith(_NETWORK) and not re.fullmatch(r"[^/]+//[^/?#]+:\d{1,5}([/?#].*)?", url):
        return f"port {name} is not understood: expected {url.partition('://')[0]}://HOST:PORT"
    if isinstance(error, ValueError):
        see = "simulate --help" if is_simulated(url) else "ports"
        return f"port {name} is not understood ({printable(str(error))}); see `thermoflop {see}`"
    if number == errno.ENOENT:
        return f"there is no port {name}"
    if number == errno.EACCES and "lock" not in str(error):
        return (
            f"no permission to open {name}: add yourself to the group that owns it "
            "(`sudo usermod -aG dialout $USER`), then log in again"
        )
    if number in _BUSY:
        return f"port {name} is busy: another program is reading it; close that one first"
    if "configure port" in str(error) or number in (errno.EISDIR, errno.ENOTTY):
        return f"{name} is not a serial port"
    return f"cannot open {name}: {printable(str(error))}"
