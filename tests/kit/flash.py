"""Two small firmwares and the question which of them a flash holds after the next start."""

from __future__ import annotations

import json
import os
import select
import time
from pathlib import Path

from thermoflop.pico import firmware
from vm.repl_board import ReplBoard
from vm.runner import FIRMWARE

MAIN = (FIRMWARE / "main.py").read_text(encoding="utf-8")
BOARD = """\
from machine import Pin, reset
FAN = Pin(2, Pin.OUT, value=1)
class Board:
    crashes = 0
def hand_over():
    FAN.value(1)
"""
APP = """\
import sys, part
def run(board, safe_after):
    sys.stdout.write("running %s\\n" % "-".join(sorted({{"{version}", part.VERSION}})))
"""


def small_files(version: str) -> dict[str, bytes]:
    """The real main.py over a program that only says its version; no two versions share a file."""
    texts = {
        "main.py": f"{MAIN}\n# {version}\n",
        "board.py": f"{BOARD}# {version}\n",
        "app.py": APP.format(version=version),
        "part.py": f'VERSION = "{version}"\n',
    }
    return {name: text.encode() for name, text in texts.items()}


def make_firmware(folder: Path, version: str) -> firmware.Firmware:
    """The small firmware of this version as files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = small_files(version)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    package = {"version": version, "urls": [[name, name] for name in files]}
    (folder / "package.json").write_text(json.dumps(package))
    return firmware.load(folder)


def on_flash(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files in the root of a flash."""
    return {f"/{name}": data for name, data in files.items()}


def first_line(port_name: str, limit_s: float = 20.0) -> str:
    """The first line that a board says, without its end; what there is when none comes.

    The terminal is read as a file: pyserial throws away what was said before it opened the port.
    """
    said = b""
    deadline = time.monotonic() + limit_s
    port = os.open(port_name, os.O_RDONLY | os.O_NOCTTY)
    try:
        while b"\n" not in said and (left_s := deadline - time.monotonic()) > 0:
            if select.select([port], [], [], left_s)[0]:
                said += os.read(port, 4096)
    finally:
        os.close(port)
    return said.decode().split("\n")[0].strip()


def says_after_start(image: Path) -> str:
    """The first line that a board with this flash says when power comes back."""
    with ReplBoard(image) as board:
        return first_line(board.port)
