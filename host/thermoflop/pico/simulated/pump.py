"""Carries bytes between a simulated board's cable and a stream that the system knows."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Protocol

from thermoflop.pico.simulated.board import SimulatedBoard

CHUNK_BYTES = 4096
_LOOK_EVERY_S = 0.2  # how soon the end of the board is noticed while nothing moves


class HasFileno(Protocol):
    """Something that select can wait for."""

    def fileno(self) -> int:
        """Its file descriptor."""


class Closed(Exception):
    """The reader at the other end of the stream has gone."""


class Stream(HasFileno, Protocol):
    """A non-blocking stream; ``read`` and ``write`` raise Closed, or BlockingIOError for later."""

    def read(self) -> bytes:
        """What is there."""

    def write(self, data: bytes) -> int:
        """Bytes that were taken."""


class Pump:
    """Serves one reader after another; each sees the board as a freshly opened port."""

    def __init__(self, board: SimulatedBoard, greeting: bytes = b"") -> None:
        """``board`` must have been started; its time begins with the first reader. Every later one
        says ``greeting`` to it first."""
        self.board = board
        self._greeting = greeting
        self._readers = 0
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        board.cable.on_data = self._wake

    def close(self) -> None:
        """Give the wake-up call back."""
        self.board.cable.on_data = None
        self._wake_in.close()
        self._wake_out.close()

    def serve(self, stream: Stream) -> None:
        """Until the reader goes (Closed) or the cable is pulled (LinkLost)."""
        ticket = self.board.cable.attach()
        self.board.begin()
        try:
            self._carry(stream, ticket)
        finally:
            self.board.cable.detach(ticket)

    def _carry(self, stream: Stream, ticket: int) -> None:
        cable = self.board.cable
        to_host, to_board = b"", self._greeting if self._readers else b""
        self._readers += 1
        while True:
            if not to_host:
                to_host = cable.read(ticket, CHUNK_BYTES)
            readers: list[HasFileno] = [self._wake_out] if to_board else [self._wake_out, stream]
            select.select(readers, [stream] if to_host else [], [], _LOOK_EVERY_S)
            with contextlib.suppress(BlockingIOError):
                while self._wake_out.recv(CHUNK_BYTES):
                    pass
            if to_host:
                with contextlib.suppress(BlockingIOError):
                    to_host = to_host[stream.write(to_host) :]
            if not to_board:
                with contextlib.suppress(BlockingIOError):
                    to_board = stream.read()
            if to_board:
                to_board = to_board[cable.write(ticket, to_board, timeout_s=0.0) :]

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody waits
            self._wake_in.send(b"!")
