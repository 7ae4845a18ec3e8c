"""What is plugged in, as the one thing to do next with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from thermoflop.pico.doctor import OK, PROBLEM, Facts, Finding, gather, judge
from thermoflop.pico.ports import Target, is_simulated
from thermoflop.pico.setup.boot_disk import BootDisk, find_disks
from thermoflop.pico.wire import printable

LISTEN_S = 3.0
RUNS, OLD, BARE, BOOT, NONE, WRONG = "runs", "old", "bare", "boot", "none", "wrong"
_NOT_MOUNTED = "its disk is not mounted: `udisksctl mount -b /dev/disk/by-label/RPI-RP2`"


@dataclass(frozen=True, slots=True)
class Situation:
    """What there is.

    ``kind`` is RUNS (the firmware of this package), OLD (an older one), BARE (a serial port that
    may be MicroPython's), BOOT (a chip in its boot loader), NONE, or WRONG (nothing to go on with).
    """

    kind: str
    text: str
    remedy: str = ""
    target: Target | None = None
    disk: BootDisk | None = None


def look(port: str | None = None, disks: Iterable[Path] | None = None) -> Situation:
    """Listen to the board at ``port``, by default the only one; else look for a boot loader."""
    facts = gather(port, ask=True, listen_s=LISTEN_S)
    return situation(facts, find_disks(disks) if facts.target is None else [])


def situation(facts: Facts, disks: list[BootDisk]) -> Situation:
    """What the facts mean; ``disks`` are those of chips in their boot loaders."""
    if facts.target is None:
        return _without_port(facts, disks)
    return _at_port(facts, facts.target)


def _at_port(facts: Facts, target: Target) -> Situation:
    findings = {finding.check: finding for finding in judge(facts)}
    where = printable(target.url)
    for check in ("permission", "second reader", "open"):
        if (found := findings.get(check)) and found.state == PROBLEM:
            return Situation(WRONG, found.text, found.remedy)
    heard = facts.heard
    if heard is None or not heard.good_lines:
        return Situation(BARE, f"{where}: {findings['firmware'].text}", target=target)
    version = findings["version"]
    if version.state == PROBLEM:
        is_old = "older" in version.text
        kind = OLD if is_old and not is_simulated(target.url) else WRONG
        return Situation(kind, f"{where}: {version.text}", version.remedy, target)
    said = version.text if version.state == OK else "firmware"
    return Situation(RUNS, f"{where} runs {said}", target=target)


def _without_port(facts: Facts, disks: list[BootDisk]) -> Situation:
    found: dict[str, Finding] = {finding.check: finding for finding in judge(facts)}
    if disk := next((disk for disk in disks if disk.chip == "RP2040"), None):
        return Situation(BOOT, f"a board in BOOTSEL, its disk at {disk.path}", disk=disk)
    if boot := found.get("boot loader"):
        kind = WRONG if "RP2350" in boot.text else BOOT
        return Situation(kind, boot.text, boot.remedy if kind == WRONG else _NOT_MOUNTED)
    if disks:
        chip = disks[0].chip
        what = "a Pico 2, or another board with an RP2350," if chip == "RP2350" else chip
        return Situation(
            WRONG,
            f"{what} is in its boot loader, its disk at {disks[0].path}",
            "the firmware is for the RP2040 of a Pico W or Pico, and not for this chip: use one",
        )
    for check in ("usb id", "port"):
        if (finding := found.get(check)) and finding.state == PROBLEM:
            several = finding.remedy.startswith("choose")
            kind = WRONG if check == "usb id" or several else NONE
            return Situation(kind, finding.text, finding.remedy)
    return Situation(NONE, "no board")
