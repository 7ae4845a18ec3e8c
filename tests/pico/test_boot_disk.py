"""The boot loader's disk, the .uf2 that goes onto it, and what each thing plugged in calls for."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from thermoflop.errors import BoardError, InputError
from thermoflop.pico.doctor import Facts, Heard
from thermoflop.pico.ports import PortInfo, Target
from thermoflop.pico.setup import search
from thermoflop.pico.setup.boot_disk import BootDisk, check_uf2, copy_uf2, find_disks, read_disk
from thermoflop.pico.setup.wiring import DRAWING, PARTS, drawing
from thermoflop.pico.system import System

ROOT = Path(__file__).parents[2]
RP2040, RP2350 = 0xE48BFF56, 0xE48BFF59  # utils/uf2families.json of github.com/microsoft/uf2
INFO = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: {}\n"


def uf2(content: bytes, family: int = RP2040) -> bytes:
    """A UF2 file: blocks of 512 bytes with 256 of content each."""
    parts = [content[i : i + 256].ljust(256, b"\0") for i in range(0, len(content), 256)]
    blocks = []
    for number, part in enumerate(parts):
        address = 0x10000000 + 256 * number
        head = (0x0A324655, 0x9E5D5157, 0x2000, address, 256, number, len(parts), family)
        blocks.append(struct.pack("<8I", *head) + part.ljust(476, b"\0") + b"\x30\x6f\xb1\x0a")
    return b"".join(blocks)


GOOD = uf2(b"x" * 300 + b"MicroPython v1.24.1 on 2024-11-29" + b"y" * 300)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (GOOD, None),
        (uf2(b"." * 250 + b"MicroPython v1.27.0"), None),  # the name lies across two blocks
        (b"", "no whole .uf2"),
        (GOOD[:-100], "no whole .uf2"),
        (b"PK" * 512, "no .uf2 file"),
        (uf2(b"MicroPython v1.24.1", RP2350), "an RP2350 (Pico 2)"),
        (uf2(b"MicroPython v1.24.1", 0x1234), "another chip"),
        (uf2(b"Adafruit CircuitPython 9, from MicroPython"), "does not hold MicroPython"),
        (uf2(b"blink"), "does not hold MicroPython"),
        (uf2(b"MicroPython v1.19.1 on 2022"), "MicroPython 1.19, and the firmware needs 1.22"),
    ],
)
def test_only_micropython_for_this_chip_is_taken(
    tmp_path: Path, data: bytes, said: str | None
) -> None:
    path = tmp_path / "a.uf2"
    path.write_bytes(data)
    if said is None:
        assert check_uf2(path) == data
    else:
        with pytest.raises(InputError) as error:
            check_uf2(path)
        assert said in str(error.value)


def test_a_disk_is_known_by_its_info_file(tmp_path: Path) -> None:
    names = {"RPI-RP2": "RP2040", "RP2350": "RP2350", "SAMD21": "SAMD21"}
    for board in names:
        (tmp_path / board).mkdir()
        (tmp_path / board / "INFO_UF2.TXT").write_text(INFO.format(board))
    (tmp_path / "usb-stick").mkdir()
    found = {disk.path.name: disk.chip for disk in find_disks(sorted(tmp_path.iterdir()))}
    assert found == names


def test_the_file_is_copied_whole_and_a_disk_that_goes_away_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "INFO_UF2.TXT").write_text(INFO.format("RPI-RP2"))
    disk = read_disk(tmp_path)
    assert disk is not None
    copy_uf2(GOOD, disk)
    assert (tmp_path / "firmware.uf2").read_bytes() == GOOD
    copy_uf2(GOOD, BootDisk(tmp_path / "gone", "RP2040"))
    (tmp_path / "firmware.uf2").unlink()
    (tmp_path / "firmware.uf2").mkdir()
    with pytest.raises(BoardError, match="did not take the file"):
        copy_uf2(GOOD, disk)


BOARD = PortInfo("/dev/ttyACM0", "Board in FS mode", 0x2E8A, 0x0005, "e661")
PICO = Target("/dev/ttyACM0", "e661")


def facts(
    ids: tuple[int, ...] = (), heard: Heard | None = None, ports: tuple[PortInfo, ...] = ()
) -> Facts:
    """What was found out, with product ids of Raspberry Pi's and what was heard."""
    system = System(usb_ids=tuple((0x2E8A, pid) for pid in ids))
    target = PICO if heard is not None else None
    return Facts(ports, system, target, None, heard, "0.2.0")


@pytest.mark.parametrize(
    ("found", "chips", "kind", "said"),
    [
        (facts(heard=Heard(3.0, 99, 9, fw="0.2.0", proto=1)), (), search.RUNS, "firmware 0.2.0"),
        (facts(heard=Heard(3.0, 99, 9, fw="0.1.0", proto=1)), (), search.OLD, "older than 0.2.0"),
        (facts(heard=Heard(3.0, 99, 9, fw="9.0.0", proto=9)), (), search.WRONG, "upgrade"),
        (facts(heard=Heard(3.0, 9, text=">>> ")), (), search.BARE, "prompt"),
        (facts(heard=Heard(3.0)), (), search.BARE, "silence"),
        (facts((3,)), ("RP2040",), search.BOOT, "BOOTSEL, its disk at"),
        (facts(), ("RP2040",), search.BOOT, "BOOTSEL, its disk at"),  # macOS and Windows tell no id
        (facts((3,)), (), search.BOOT, "not mounted"),
        (facts((0xF,)), (), search.WRONG, "not for this chip"),
        (facts(), ("RP2350",), search.WRONG, "not for this chip"),
        (facts(), ("SAMD21",), search.WRONG, "SAMD21"),
        (facts((0xF,)), ("RP2350", "RP2040"), search.BOOT, "BOOTSEL"),
        (facts((0xC,)), (), search.WRONG, "Debug Probe"),
        (facts((0x9,)), (), search.WRONG, "something else than MicroPython"),
        (facts(ports=(BOARD, BOARD)), (), search.WRONG, "choose with --port"),
        (facts(), (), search.NONE, "no serial port"),
    ],
)
def test_each_thing_that_is_plugged_in_has_its_next_step(
    found: Facts, chips: tuple[str, ...], kind: str, said: str
) -> None:
    disks = [BootDisk(Path("/media/me/X"), chip) for chip in chips]
    now = search.situation(found, disks)
    assert now.kind == kind
    assert said in f"{now.text}; {now.remedy}"


def test_the_drawing_fits_60_columns_in_any_encoding_and_is_that_of_the_manual() -> None:
    assert max(map(len, (DRAWING + PARTS).splitlines())) <= 60
    assert max(map(len, DRAWING.splitlines())) <= 60
    assert drawing("utf-8") == DRAWING
    assert drawing("ascii").isascii()
    assert len(drawing("ascii")) == len(DRAWING)
    assert DRAWING in (ROOT / "wiring.md").read_text(encoding="utf-8")
