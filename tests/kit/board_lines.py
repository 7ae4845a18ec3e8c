"""A board that costs nothing: lines with the right frame, and a pseudo-terminal to say them on."""

from __future__ import annotations

import os
import tty
from pathlib import Path
from typing import Self

from thermoflop.pico.wire import crc16

BOOT = "3fa2c1"


def seal(body: str) -> bytes:
    """``body`` is a JSON object without its closing brace; the line with crc, brace and newline."""
    data = body.encode("ascii")
    return data + b',"crc":"%04x"}\n' % crc16(data)


def sample_line(
    seq: int,
    boot: str = BOOT,
    *,
    temp_c: float | None = 25.31,
    fan: int = 0,
    flags: tuple[str, ...] = (),
    drops: int = 0,
    up_s: float | None = None,
    mode: str = "auto",
) -> bytes:
    """One sample, newline included; five a second unless ``up_s`` says otherwise."""
    up_s = 0.2 * (seq + 1) if up_s is None else up_s
    temp = "null" if temp_c is None else f"{temp_c:.3f}"
    names = ",".join(f'"{flag}"' for flag in flags)
    return seal(
        f'{{"k":"t","boot":"{boot}","seq":{seq},"up_s":{up_s:.3f},"temp_c":{temp},"raw":2048,'
        f'"fan":{fan},"mode":"{mode}","flags":[{names}],"drops":{drops}'
    )


def hello_line(boot: str = BOOT, fw: str = "0.1.0", up_s: float = 0.0) -> bytes:
    """Who the board is."""
    return seal(
        f'{{"k":"hello","proto":1,"fw":"{fw}","board":"Raspberry Pi Pico W with RP2040",'
        f'"uid":"e6616408432a2c2e","boot":"{boot}","reset":"power","boots":4,"crashes":0,'
        f'"safe":0,"up_s":{up_s:.3f}'
    )


def settings_line(boot: str = BOOT, on_c: float = 29.0, off_c: float = 28.0) -> bytes:
    """The thresholds, as a board states them."""
    return seal(
        f'{{"k":"settings","boot":"{boot}","part":1,"parts":1,"on_c":{on_c:.3f},"off_c":{off_c:.3f}'
    )


def event_line(n: int, boot: str = BOOT, up_s: float = 1.0, fan: int = 1) -> bytes:
    """The fan was switched."""
    return seal(
        f'{{"k":"e","boot":"{boot}","n":{n},"up_s":{up_s:.3f},"ev":"fan","fan":{fan},'
        f'"reason":"on_c","temp_c":29.010'
    )


def introduction(boot: str = BOOT) -> bytes:
    """What a board says at boot."""
    return hello_line(boot) + settings_line(boot)


class Pty:
    """A raw pseudo-terminal: the test writes to ``master``, the link opens ``path``."""

    def __init__(self, link: Path | None = None) -> None:
        """With ``link``, the path is a symbolic link that can be renewed, as a replug does."""
        self.master, self._slave = os.openpty()
        tty.setraw(self.master)
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(self.path)
            self.path = str(link)

    def say(self, data: bytes) -> None:
        """Write all of ``data``, waiting for the reader where the pseudo-terminal is full."""
        while data:
            data = data[os.write(self.master, data) :]

    def hear(self, n_bytes: int = 4096) -> bytes:
        """What was written to the board's side; waits for it."""
        return os.read(self.master, n_bytes)

    def unplug(self) -> None:
        """Close both ends."""
        for fd in (self.master, self._slave):
            if fd >= 0:
                os.close(fd)
        self.master = self._slave = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()
