"""A board for mpremote: the real MicroPython VM with its raw REPL, behind a pseudo-terminal.

The VM runs in Node (repl_board.mjs). Its flash is an image file that is true after every step, so
``kill`` is a pulled cable, and a new ``ReplBoard`` on the same image is the board after power came
back: it runs main.py over the fake Pico in real time and answers Ctrl-C, as the chip does.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tty
from pathlib import Path
from typing import Any, Self

from vm.runner import FAKES, TESTS, find_package

ROM = {"/rom/fakes.py": FAKES, "/rom/repl_rom.py": TESTS / "vm" / "repl_rom.py"}
FLASH_BYTES = 212 * 4096  # what a Pico W with MicroPython leaves for files


class ReplBoard:
    """Use as a context manager; ``port`` is the path for mpremote.

    ``cut_at_step`` pulls the cable before the n-th step that changes the flash, ``cut_at_byte``
    before the n-th byte from the host is understood.
    """

    def __init__(
        self,
        image: Path,
        *,
        capacity: int = FLASH_BYTES,
        cut_at_step: int = 0,
        cut_at_byte: int = 0,
    ) -> None:
        self.image = image
        if not image.exists():
            image.write_text("{}")
        self._job: dict[str, Any] = {
            "package": str(find_package()),
            "rom": {path: file.read_text(encoding="utf-8") for path, file in ROM.items()},
            "image": str(image),
            "capacity": capacity,
            "cutAtStep": cut_at_step,
            "cutAtByte": cut_at_byte,
        }

    def __enter__(self) -> Self:
        job = self.image.with_suffix(".job")
        job.write_text(json.dumps(self._job))
        master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(master, False)
        self.port = os.ttyname(self._slave)
        command = ["node", str(TESTS / "vm" / "repl_board.mjs"), str(job)]
        self._log = self.image.with_suffix(".log").open("wb")
        self._node = subprocess.Popen(command, stdin=master, stdout=master, stderr=self._log)
        os.close(master)  # Node's is the only one: when it ends, the port is gone
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        os.close(self._slave)
        self._log.close()

    def kill(self) -> None:
        """Pull the cable."""
        self._node.kill()
        self._node.wait()

    @property
    def was_cut(self) -> bool:
        """Whether the cable has been pulled by now."""
        return self._node.poll() is not None

    def files(self) -> dict[str, bytes]:
        """Path -> content, of what is on the flash now."""
        return read_image(self.image)


def read_image(image: Path) -> dict[str, bytes]:
    """Path -> content of a flash; a folder's path ends in a slash."""
    return {path: base64.b64decode(data) for path, data in json.loads(image.read_text()).items()}


def write_image(image: Path, files: dict[str, bytes]) -> None:
    """Make a flash that holds these files."""
    coded = {path: base64.b64encode(data).decode() for path, data in files.items()}
    image.write_text(json.dumps(coded))
