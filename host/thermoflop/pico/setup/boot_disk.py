"""MicroPython onto a chip in its boot loader: its disk, and the .uf2 file that goes onto it.

The boot ROM of the RP2040 shows a disk with INFO_UF2.TXT and takes UF2 files: blocks of 512 bytes,
each with a family id that says for which chip it is (github.com/microsoft/uf2; RP2040 datasheet
2.8.4). The ROM ignores blocks for another chip without a word, so the file is read first. A Pico
and a Pico W cannot be told apart there: the chip is the same.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from thermoflop.base.files import read_bytes
from thermoflop.errors import BoardError, InputError
from thermoflop.pico.flash import OLDEST
from thermoflop.pico.wire import printable

DOWNLOAD = "https://micropython.org/download/"
PAGES = {"Pico W": "RPI_PICO_W", "Pico (no radio)": "RPI_PICO"}
INFO = "INFO_UF2.TXT"
BLOCK_BYTES = 512
MAX_UF2_BYTES = 16_000_000  # twice the 2 MB of a Pico's flash, as a UF2 is of its content, and more
_MAGIC = (0x0A324655, 0x9E5D5157)
_MAX_PAYLOAD_BYTES = 476
_RP2040 = 0xE48BFF56
# of the RP2350: blocks at absolute addresses, Arm, RISC-V (utils/uf2families.json of microsoft/uf2)
_RP2350 = {0xE48BFF57, 0xE48BFF59, 0xE48BFF5A, 0xE48BFF5B}
_CHUNK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class BootDisk:
    """The disk of a chip in its boot loader; ``chip`` is RP2040, RP2350 or what it calls itself."""

    path: Path
    chip: str


def find_disks(folders: Iterable[Path] | None = None) -> list[BootDisk]:
    """The boot loaders' disks among ``folders``, by default where this system mounts disks."""
    disks = (read_disk(folder) for folder in (_mounts() if folders is None else folders))
    return [disk for disk in disks if disk is not None]


def read_disk(folder: Path) -> BootDisk | None:
    """The boot loader's disk that is this folder; None where it is none."""
    try:
        with (folder / INFO).open("rb") as file:
            text = file.read(4096).decode("ascii", "replace")
    except OSError:
        return None
    known = next((chip for chip in ("RP2350", "RPI-RP2") if chip in text), None)
    if known is None:
        board = re.search(r"Board-ID:\s*(\S+)", text)
        return BootDisk(folder, printable(board[1])[:40] if board else "another board")
    return BootDisk(folder, "RP2040" if known == "RPI-RP2" else known)


def _mounts() -> Iterator[Path]:
    if sys.platform == "win32":
        yield from (Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ")
        return
    # desktops of Linux mount below a folder of the user's, WSL shows Windows' drives below /mnt
    for pattern in ("media/*", "media/*/*", "run/media/*/*", "mnt", "mnt/*", "Volumes/*"):
        with contextlib.suppress(OSError):
            yield from sorted(Path("/").glob(pattern))


def check_uf2(path: Path) -> bytes:
    """The bytes of a file with MicroPython for an RP2040; InputError says why it is none."""
    name = printable(str(path))
    data = read_bytes(str(path), "a .uf2 file", MAX_UF2_BYTES)
    families, content = _blocks(name, data)
    if _RP2040 not in families:
        chip = "an RP2350 (Pico 2)" if families & _RP2350 else "another chip"
        raise InputError(f"{name} is for {chip}, and the board needs that for the Pico W")
    if b"CircuitPython" in content or b"MicroPython" not in content:
        raise InputError(f"{name} does not hold MicroPython: take the .uf2 of {DOWNLOAD}RPI_PICO_W")
    version = re.search(rb"MicroPython v(\d{1,3})\.(\d{1,3})", content)
    if version and (int(version[1]), int(version[2])) < OLDEST:
        old = f"{int(version[1])}.{int(version[2])}"
        raise InputError(f"{name} is MicroPython {old}, and the firmware needs 1.22 or later")
    return data


def _blocks(name: str, data: bytes) -> tuple[set[int], bytes]:
    """The families of a UF2 file's blocks and what they hold for the RP2040."""
    if not data or len(data) % BLOCK_BYTES:
        raise InputError(f"{name} is no whole .uf2 file: {len(data)} bytes, not blocks of 512")
    families, parts = set(), []
    for start in range(0, len(data), BLOCK_BYTES):
        head = struct.unpack_from("<8I", data, start)
        if head[:2] != _MAGIC or head[4] > _MAX_PAYLOAD_BYTES:
            raise InputError(f"{name} is no .uf2 file: its block at byte {start} does not begin so")
        families.add(head[7])
        if head[7] == _RP2040:
            parts.append(data[start + 32 : start + 32 + head[4]])
    return families, b"".join(parts)


def copy_uf2(data: bytes, disk: BootDisk) -> None:
    """Give the chip the file's bytes; BoardError when its disk does not take them.

    The chip restarts at the last block and takes its disk along: an error then is none.
    """
    try:
        with (disk.path / "firmware.uf2").open("wb", buffering=0) as file:
            for start in range(0, len(data), _CHUNK_BYTES):
                file.write(data[start : start + _CHUNK_BYTES])
            os.fsync(file.fileno())
    except OSError as error:
        if read_disk(disk.path) is not None:
            raise BoardError(
                f"{printable(str(disk.path))} did not take the file: {error.strerror}"
            ) from error
