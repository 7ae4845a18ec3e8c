"""Which simulated boards this process has, so that a URL finds its board again.

``sim://?...`` is a new board each time it is opened, and is switched off when it is closed; after
an unplug the same URL finds the same board. ``sim://NAME?...`` is one board for the whole process;
its options count when it is first named.
"""

from __future__ import annotations

import threading

from thermoflop.errors import UsageError
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.cable import LinkLost
from thermoflop.pico.simulated.options import parse_url

_named: dict[str, SimulatedBoard] = {}
_unplugged: dict[str, list[SimulatedBoard]] = {}  # nameless boards that will come back
_lock = threading.Lock()


class Session:
    """An open port: a board and the ticket to read its cable."""

    def __init__(self, url: str, board: SimulatedBoard, ticket: int, is_named: bool) -> None:
        """Made by ``connect``."""
        self.board = board
        self.cable = board.cable
        self.ticket = ticket
        self._url = url
        self._is_named = is_named

    def close(self) -> None:
        """Close the port. A nameless board whose cable is out waits for its URL to come back."""
        if self._is_named:
            self.cable.detach(self.ticket)
        elif self.cable.lost(self.ticket) and self.board.is_alive:
            with _lock:
                _unplugged.setdefault(self._url, []).append(self.board)
        else:
            self.cable.detach(self.ticket)
            self.board.stop()


def put(name: str, board: SimulatedBoard) -> str:
    """Make ``board`` reachable as ``sim://NAME``; returns that URL."""
    with _lock:
        if name in _named:
            raise UsageError(f"there is a simulated board {name!r} already")
        _named[name] = board
    return f"sim://{name}"


def remove(name: str) -> None:
    """Switch the board of that name off and forget it; nothing happens when there is none."""
    with _lock:
        board = _named.pop(name, None)
    if board is not None:
        board.stop()


def connect(url: str) -> Session:
    """Open ``url``. UsageError, InputError, LinkLost or LinkBusy say why it cannot be."""
    name, options = parse_url(url)
    with _lock:
        waiting = _unplugged.get(url)
        board = _named.get(name) if name else (waiting.pop(0) if waiting else None)
        if board is None:
            board = SimulatedBoard(options)
            if name:
                _named[name] = board
    board.start()
    try:
        ticket = board.cable.attach()
    except LinkLost:
        if not name and board.is_alive:
            with _lock:
                _unplugged.setdefault(url, []).insert(0, board)
        raise
    board.begin()
    return Session(url, board, ticket, bool(name))
