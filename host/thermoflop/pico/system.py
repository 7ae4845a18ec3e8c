"""What Linux knows about a port: its rights, who has it open, which services will write to it.

Elsewhere the same questions stay unanswered: None, not a guess.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from thermoflop.base.processes import holders, name_of, processes, read_text

_USB = Path("/sys/bus/usb/devices")
_UDEV = Path("/run/udev/data")


@dataclass(frozen=True, slots=True)
class System:
    """Facts of the operating system; None (or empty) where they could not be had."""

    usb_ids: tuple[tuple[int, int], ...] | None = None
    port_group: str | None = None
    may_open: bool = True
    holders: tuple[tuple[int, str], ...] = ()  # (process id, name)
    modem_manager: bool = False
    modem_manager_ignores: bool = False


def look_at_system(device: str | None) -> System:
    """Look; ``device`` is the path of the port, if there is one."""
    if not sys.platform.startswith("linux"):
        return System()
    running = "ModemManager" in map(name_of, processes())
    usb_ids = _usb_ids()
    # a pseudo-terminal is no USB device, and its owner has both ends open by right
    if device is None or os.path.realpath(device).startswith("/dev/pts/"):
        return System(usb_ids=usb_ids, modem_manager=running)
    return System(
        usb_ids=usb_ids,
        port_group=_group(device) if Path(device).exists() else None,
        may_open=not Path(device).exists() or os.access(device, os.R_OK | os.W_OK),
        holders=tuple(holders(os.path.realpath(device))),
        modem_manager=running,
        modem_manager_ignores=_is_ignored(device),
    )


def _usb_ids() -> tuple[tuple[int, int], ...] | None:
    if not _USB.is_dir():
        return None
    ids = []
    for entry in sorted(_USB.iterdir()):
        vendor, product = read_text(entry / "idVendor"), read_text(entry / "idProduct")
        if vendor and product:
            ids.append((int(vendor, 16), int(product, 16)))
    return tuple(ids)


def _group(device: str) -> str:
    try:
        return Path(device).group()
    except (KeyError, OSError):  # a group without a name
        return "dialout"


def _is_ignored(device: str) -> bool:
    """Whether a udev rule tells ModemManager to leave the device alone."""
    try:
        number = Path(device).stat().st_rdev
    except OSError:
        return False
    data = read_text(_UDEV / f"c{os.major(number)}:{os.minor(number)}")
    return "ID_MM_DEVICE_IGNORE=1" in data or "ID_MM_PORT_IGNORE=1" in data
