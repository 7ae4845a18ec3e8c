"""A simulated board behind a pseudo-terminal: any terminal program can open it, pyserial too.

The kernel tells whether somebody has the terminal open: reading its other end fails with EIO while
nobody does (on macOS it gives an end of file). A pulled cable closes the terminal, and what comes
back is a new one under a new number; a symbolic link, when one was asked for, is renewed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from thermoflop.errors import StorageError, UsageError
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.cable import LinkLost
from thermoflop.pico.simulated.pump import CHUNK_BYTES, Closed, Pump

_LOOK_EVERY_S = 0.02  # for somebody who opens the terminal
_DRAIN_S = 0.5


class Terminal:
    """The board's end of a pseudo-terminal in raw mode."""

    def __init__(self) -> None:
        """OSError when the system has no terminal left."""
        import tty

        self._fd, reader_fd = os.openpty()
        self.path = os.ttyname(reader_fd)
        tty.setraw(reader_fd)
        os.set_blocking(self._fd, False)
        os.close(reader_fd)  # from here on the kernel tells when somebody opens it

    def fileno(self) -> int:
        """What select can wait for."""
        return self._fd

    def read(self) -> bytes:
        """What the reader typed; Closed when there is no reader."""
        try:
            data = os.read(self._fd, CHUNK_BYTES)
        except OSError as error:
            if error.errno == errno.EIO:
                raise Closed from None
            raise
        if not data:
            raise Closed
        return data

    def write(self, data: bytes) -> int:
        """Bytes that the terminal took."""
        return os.write(self._fd, data)

    def close(self) -> None:
        """Hang up, after a reader had time to take what is there: the kernel would drop it.

        The kernel moves bytes from one buffer to another behind our back, and counts those in the
        second only; so nothing must be there twice in a row.
        """
        deadline_s = time.monotonic() + _DRAIN_S
        empty = 0
        while empty < 2 and time.monotonic() < deadline_s:
            empty = 0 if self._unread_bytes() else empty + 1
            time.sleep(_LOOK_EVERY_S)
        os.close(self._fd)

    def _unread_bytes(self) -> int:
        """Bytes that wait in the kernel for the reader; 0 when it is not open."""
        import fcntl
        import struct
        import termios

        try:
            self.read()
        except BlockingIOError:
            pass
        except (Closed, OSError):
            return 0
        try:
            reader_fd = os.open(self.path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:  # a reader may have locked the terminal for itself
            return 0
        try:
            count = fcntl.ioctl(reader_fd, termios.FIONREAD, b"\0\0\0\0")
        finally:
            os.close(reader_fd)
        return int(struct.unpack("i", count)[0])


def serve_pty(
    board: SimulatedBoard, on_path: Callable[[str], None], link: Path | None = None
) -> None:
    """Serve ``board`` until it ends; ``on_path`` gets each terminal's path, or the link's."""
    if not hasattr(os, "openpty"):
        raise UsageError("this system has no pseudo-terminals; use --tcp instead of --pty")
    board.start()
    pump = Pump(board)
    try:
        while board.is_alive:
            if board.cable.plugged:
                _one_terminal(board, pump, on_path, link)
            else:
                time.sleep(_LOOK_EVERY_S)
    finally:
        pump.close()


def _one_terminal(
    board: SimulatedBoard, pump: Pump, on_path: Callable[[str], None], link: Path | None
) -> None:
    """From plugging in to pulling out, or to the end of the board."""
    terminal = Terminal()
    try:
        if link is not None:
            _point(link, terminal.path)
        on_path(str(link or terminal.path))
        while board.is_alive and board.cable.plugged:
            try:
                _wait_for_reader(board, terminal)
                pump.serve(terminal)
            except Closed:
                continue
            except LinkLost:
                return
    finally:
        terminal.close()
        if link is not None and link.is_symlink() and str(link.readlink()) == terminal.path:
            link.unlink()


def _wait_for_reader(board: SimulatedBoard, terminal: Terminal) -> None:
    """Return when the terminal was opened; what was typed into it until then is lost."""
    while board.is_alive and board.cable.plugged:
        try:
            with contextlib.suppress(BlockingIOError):
                terminal.read()
            return
        except Closed:
            pass
        time.sleep(_LOOK_EVERY_S)
    raise Closed


def _point(link: Path, path: str) -> None:
    """Make the symbolic link; only a link is ever replaced."""
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(path)
    except FileExistsError:
        raise UsageError(f"{link} exists and is no symbolic link; choose another name") from None
    except OSError as error:
        raise StorageError(f"cannot make the link {link}: {error.strerror}") from error
