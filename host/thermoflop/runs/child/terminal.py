"""A pseudo-terminal for the command: some programs draw bars, flush or ask on a terminal alone.

The command's input, output and error are one terminal, which is its controlling one. What is typed
to the recorder is typed to the command, except for the keys that send signals: those reach the
recorder and are passed on as without a terminal. Where the recorder has none itself, its standard
input is typed in, unseen, and ends as it ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import IO, Any, Self

try:
    import fcntl
    import termios

    _FAILS: tuple[type[Exception], ...] = (OSError, termios.error)  # a terminal that has gone
except ImportError:  # Windows
    fcntl = termios = None  # type: ignore[assignment]

from thermoflop.errors import UsageError

_USUAL_SIZE = b"\x18\0\x50\0\0\0\0\0"  # struct winsize: 24 rows of 80 columns
_LOOK_S = 0.1
_CHUNK_BYTES = 1024  # a terminal holds 4096 bytes that nobody has read yet
_END_EVERY_S, _MAX_ENDS = 0.5, 1000  # and each end of file is one of them
_IFLAG, _LFLAG, _CC = 0, 3, 6  # of what tcgetattr returns


def check_terminals() -> None:
    """UsageError on a system without pseudo-terminals."""
    if termios is None:
        raise UsageError(
            "--pty needs a pseudo-terminal, which Linux and macOS have and this system lacks: "
            "leave it out"
        )


class Terminal:
    """A terminal of one command; a context manager. Our own keeps its settings after it."""

    def __init__(self) -> None:
        """Open it, as large as our own."""
        self._ours = next((fd for fd in range(3) if os.isatty(fd)), None)
        self._is_typed = os.isatty(0)
        self._before: list[Any] | None = termios.tcgetattr(0) if self._is_typed else None
        self._master, self.slave = os.openpty()
        self._name = os.ttyname(self.slave)
        settings = self._before or termios.tcgetattr(self.slave)
        if not self._is_typed:
            settings[_LFLAG] &= ~termios.ECHO  # what a pipe brings is no output
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)
        self._size = b""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._type, name="thermoflop-keys", daemon=True)

    def __enter__(self) -> Self:
        self.turn()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(1.0)
        self.give_keys_back()
        os.close(self._master)
        if self.slave >= 0:
            os.close(self.slave)

    def control(self) -> None:
        """Make it the controlling terminal of a new session; called in the child."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def reader(self) -> dict[str, IO[bytes]]:
        """What the command says, under the terminal's name; its end is in the command alone now."""
        os.close(self.slave)
        self.slave = -1
        return {self._name: os.fdopen(os.dup(self._master), "rb", buffering=0)}

    def turn(self) -> None:
        """A few times a second: as large as our own is now, and the keys of who is in front."""
        size = _USUAL_SIZE
        if self._ours is not None:
            with contextlib.suppress(*_FAILS):
                size = fcntl.ioctl(self._ours, termios.TIOCGWINSZ, bytes(len(size)))
        if size != self._size and any(size):
            self._size = size
            with contextlib.suppress(*_FAILS):
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        with contextlib.suppress(*_FAILS):
            self._take_keys()

    def _take_keys(self) -> None:
        """Each key at once and unseen: the command's terminal shows it, if it is to be shown."""
        if self._before is None or not _is_in_front():
            return
        settings = termios.tcgetattr(0)
        if not settings[_LFLAG] & termios.ICANON:
            return
        settings[_IFLAG] &= ~termios.ICRNL
        settings[_LFLAG] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
        settings[_CC] = list(settings[_CC])
        settings[_CC][termios.VMIN], settings[_CC][termios.VTIME] = 1, 0
        termios.tcsetattr(0, termios.TCSANOW, settings)

    def give_keys_back(self) -> None:
        """Our own terminal as it was."""
        with contextlib.suppress(*_FAILS):
            if self._before is not None and _is_in_front():
                termios.tcsetattr(0, termios.TCSANOW, self._before)

    def _type(self) -> None:
        """What comes in, until the command has ended."""
        last = b"\n"
        with contextlib.suppress(*_FAILS):
            while not self._done.is_set():
                if self._is_typed and not _is_in_front():
                    self._done.wait(_LOOK_S)  # reading would stop us
                elif select.select([0], [], [], _LOOK_S)[0]:
                    chunk = os.read(0, _CHUNK_BYTES)
                    if not chunk:
                        break
                    self._write(chunk)
                    last = chunk[-1:]
            self._say_end(last)

    def _say_end(self, last: bytes) -> None:
        """Our input has ended: so has the command's, whenever it reads."""
        said = 0
        if last != b"\n":
            self._write(self._end())  # the first one ends the line alone
        while not self._done.is_set() and said < _MAX_ENDS:
            if said == 0 or not self._done.wait(_END_EVERY_S):
                self._write(self._end())
                said += 1

    def _write(self, data: bytes) -> None:
        while data and not self._done.is_set():
            if select.select([], [self._master], [], _LOOK_S)[1]:
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(self._master, data) :]

    def _end(self) -> bytes:
        settings = termios.tcgetattr(self._master)
        end: bytes = settings[_CC][termios.VEOF]
        return end if settings[_LFLAG] & termios.ICANON else b""


def _is_in_front() -> bool:
    """Whether our own terminal listens to us; from the background reading it would stop us."""
    return os.tcgetpgrp(0) == os.getpgrp()
