"""The echo: in order and whole to a reader who reads, never a brake for one who does not."""

from __future__ import annotations

import os
import threading

from kit.board_lines import sample_line
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Message, decode
from thermoflop.runs.record.echo import EchoPump


def board_line(seq: int) -> BoardLine:
    """A good line as the recorder hands it on."""
    line = sample_line(seq)[:-1]
    message = decode(line)
    assert isinstance(message, Message)
    return BoardLine(0.0, 0.0, line, message)


def test_lines_come_out_as_they_went_in() -> None:
    """Verbatim, in order, with their newlines."""
    out, into = os.pipe()
    pump = EchoPump(into)
    for seq in range(20):
        pump(board_line(seq))
    pump.close()
    os.close(into)
    with os.fdopen(out, "rb") as file:
        assert file.read() == b"".join(sample_line(seq) for seq in range(20))


def test_a_reader_who_stalls_makes_nobody_wait() -> None:
    """What it does not take is left out and counted."""
    out, into = os.pipe()
    pump = EchoPump(into, max_lines=10)

    def hurry() -> None:
        for seq in range(2000):
            pump(board_line(seq))

    thread = threading.Thread(target=hurry, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert pump.left_out > 0
    os.close(out)  # frees the pump's own thread
    pump.close()
    os.close(into)


def test_a_reader_who_left_is_no_error() -> None:
    """As `| head -1` does."""
    out, into = os.pipe()
    os.close(out)
    pump = EchoPump(into)
    for seq in range(5):
        pump(board_line(seq))
    pump.close()
    os.close(into)
    assert pump.broken
