"""A simulated board that writes to a file or a pipe; it takes no input."""

from __future__ import annotations

from collections.abc import Callable

from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.cable import LinkLost

_CHUNK_BYTES = 65536
_LOOK_EVERY_S = 0.2


def serve_output(board: SimulatedBoard, write: Callable[[bytes], object]) -> None:
    """Give all that ``board`` sends to ``write`` until it ends, over unplugged cables.

    What an unplug cut off is ended with a newline, so that it is not taken for half of another.
    """
    last = b"\n"
    board.start()
    while True:
        try:
            ticket = board.cable.attach()
        except LinkLost:
            if board.wait(0.001):
                return
            continue
        board.begin()
        try:
            while True:
                data = board.cable.read(ticket, _CHUNK_BYTES, _LOOK_EVERY_S)
                if data:
                    write(data)
                    last = data[-1:]
        except LinkLost:
            if last != b"\n":
                write(b"\n")
                last = b"\n"
        finally:
            board.cable.detach(ticket)
