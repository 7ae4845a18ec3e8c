"""What a USB id of Raspberry Pi's vendor tells, and what to do when it is not our board's.

Ids: github.com/raspberrypi/usb-pid, Readme.md at commit 00f06e9. From f000 up they are those of
Arduino-Pico (its boards.txt); like the SDK's they say what program a board runs.
"""

from __future__ import annotations

BOARD_VID, BOARD_PID = 0x2E8A, 0x0005  # MicroPython on any RP2040 or RP2350
BOOTSEL_PID = 0x0003  # the RP2040's own boot loader: a disk, no serial port
RP2350_BOOTSEL_PID = 0x000F  # that of the RP2350, the chip of a Pico 2
PROBES = {0x0004: "Picoprobe", 0x000C: "Debug Probe"}
# two hubs, two keyboards, one that is reserved, an Ethernet gadget, a flash drive
PERIPHERALS = frozenset({0x000D, 0x000E, 0x0010, 0x0011, 0x0012, 0x0013, 0x0030})
OTHER_MAKERS = range(0x1000, 0x2000)  # boards and products of others that have the chip in them

OTHER_PROGRAM = (
    "it runs something else than MicroPython: hold BOOTSEL while plugging it in, copy "
    "MicroPython's .uf2 for the Pico W onto the disk that appears, then `thermoflop flash`"
)
OTHER_MAKER = (
    "if it is a bare board with an RP2040, put MicroPython on it as its maker says, then "
    "`thermoflop flash`; else leave it alone and plug the Pico W in"
)
PROBE = (
    "leave it as it is (its serial port is that of the pins it is wired to), and plug in the "
    "Pico W by its own USB socket, too"
)


def is_no_board(vid: int | None, pid: int | None) -> bool:
    """Whether these are the ids of something that can be no board, as a Debug Probe."""
    return vid == BOARD_VID and (pid in PROBES or pid in PERIPHERALS)


def in_boot_loader(pids: set[int]) -> tuple[str, str] | None:
    """What is said of a chip in its boot loader and what to do about it; None without one."""
    if RP2350_BOOTSEL_PID in pids:
        return (
            "a Pico 2, or another board with an RP2350, is in BOOTSEL: it shows a disk RP2350",
            "the firmware is for the RP2040 of a Pico W or Pico, and not for this chip: use one",
        )
    if BOOTSEL_PID in pids:
        return (
            "a board is in BOOTSEL: it shows a disk RPI-RP2 and no serial port",
            "copy MicroPython's .uf2 for the Pico W onto that disk, then `thermoflop flash`",
        )
    return None


def taken_for_board(pids: set[int], circuit_python: list[str]) -> tuple[str, str] | None:
    """The same of what is there in the place of our board.

    ``circuit_python`` are the ids of ports that call themselves so; most are another vendor's.
    """
    pids = pids - {BOARD_PID, BOOTSEL_PID, RP2350_BOOTSEL_PID} - PERIPHERALS
    programs = sorted(pid for pid in pids if pid not in PROBES and pid not in OTHER_MAKERS)
    ids = dict.fromkeys([*map(_name, programs), *circuit_python])
    if ids:
        also = ", which is CircuitPython" if circuit_python else ""
        return f"a Raspberry Pi device is there, but as {', '.join(ids)}{also}", OTHER_PROGRAM
    if others := sorted(pid for pid in pids if pid in OTHER_MAKERS):
        names = ", ".join(map(_name, others))
        return f"{names}: another maker's product with a Raspberry Pi chip", OTHER_MAKER
    if probes := sorted({PROBES[pid] for pid in pids & set(PROBES)}):
        return f"a {' and a '.join(probes)} is there, which is no board of ours", PROBE
    return None


def _name(pid: int) -> str:
    return f"{BOARD_VID:04x}:{pid:04x}"
