"""Shared by the simulator's tests: boards that run as fast as they can, and their lines."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from thermoflop.errors import BoardError
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.cable import LinkLost
from thermoflop.pico.simulated.options import parse_options
from thermoflop.pico.wire import Bad, Event, Hello, Message, Reply, Sample, decode


class SteppedBoard(SimulatedBoard):
    """A board whose time passes when it is told to, read in the same thread."""

    _gate_s = math.inf
    _ticket: int | None = None
    _rest = b""

    def run(self, seconds: float) -> list[bytes]:
        """Let ``seconds`` pass as fast as possible; the lines that came, without newlines."""
        if self._thread is None:
            self._gate_s = 0.0
            self.start()
            with contextlib.suppress(LinkLost):  # it was stopped before it began
                self._ticket = self.cable.attach()
            self.begin()
        with self.cable.changed:
            self._gate_s += seconds
            self.cable.changed.notify_all()
        *lines, self._rest = self._collect(bytearray(self._rest)).split(b"\n")
        return lines

    def type(self, data: bytes) -> None:
        """Write to the board's console, as a host does."""
        if self._ticket is None:
            self.run(0.0)
        if self._ticket is None:
            raise BoardError("the simulated board is switched off or unplugged")
        self.cable.write(self._ticket, data, timeout_s=0.0)

    def _collect(self, data: bytearray) -> bytes:
        """Read until the gate; what an unplug cut off is a line of its own, not half of another."""
        while True:
            done = self._reached_s >= self._gate_s or not self.is_alive
            try:
                if self._ticket is None:
                    self._ticket = self.cable.attach()
                data += self.cable.read(self._ticket, 1 << 20, 0.0 if done else 0.05)
            except LinkLost:
                self._ticket = None
                if data and data[-1:] != b"\n":
                    data += b"\n"
                if not done:
                    time.sleep(0.0005)
            if done and (self._ticket is None or not self.cable.unread_bytes):
                return bytes(data)

    def _wait_s(self, now_s: float) -> float | None:
        if self._gate_s == math.inf:
            return super()._wait_s(now_s)
        return None if not self._begun or now_s >= self._gate_s else self._lockstep_s()


@contextmanager
def board(**words: str) -> Iterator[SteppedBoard]:
    """A board with these options, cool unless told otherwise, switched off at the end."""
    pairs = {"heat": "off", **words}
    made = SteppedBoard(parse_options(pairs.items()))
    try:
        yield made
    finally:
        made.stop()


def messages(lines: list[bytes]) -> list[Message | Bad]:
    """The lines, decoded."""
    return [decode(line) for line in lines]


def samples(lines: list[bytes]) -> list[Sample]:
    """The samples among the lines."""
    return [m for m in messages(lines) if isinstance(m, Sample)]


def events(lines: list[bytes]) -> list[Event]:
    """The events among the lines."""
    return [m for m in messages(lines) if isinstance(m, Event)]


def hellos(lines: list[bytes]) -> list[Hello]:
    """The introductions among the lines."""
    return [m for m in messages(lines) if isinstance(m, Hello)]


def replies(lines: list[bytes]) -> list[Reply]:
    """The replies among the lines."""
    return [m for m in messages(lines) if isinstance(m, Reply)]


def bad(lines: list[bytes]) -> list[bytes]:
    """The lines that are not to be believed."""
    return [line for line in lines if isinstance(decode(line), Bad)]
