"""Shared by the simulator's tests: boards that run as fast as they can, and their lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.options import parse_options
from thermoflop.pico.wire import Bad, Event, Hello, Message, Reply, Sample, decode


@contextmanager
def board(**words: str) -> Iterator[SimulatedBoard]:
    """A board with these options, cool unless told otherwise, switched off at the end."""
    pairs = {"heat": "off", **words}
    made = SimulatedBoard(parse_options(pairs.items()))
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
