"""The link: drains, reconnects, never writes unasked. Over real pseudo-terminals."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.board_lines import Pty, hello_line, introduction, sample_line
from thermoflop.errors import BoardError
from thermoflop.pico.link import Latest, Link
from thermoflop.pico.ports import Target
from thermoflop.pico.track import BoardLine, HostEvent, Item
from thermoflop.pico.wire import Sample

PATIENCE_S = 10.0  # how long a test waits for what must come; no test measures time


def wait_for(done: Callable[[], bool]) -> None:
    """Until ``done`` or PATIENCE_S."""
    end_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.01)


def seqs(items: list[Item]) -> list[int]:
    """The sample numbers among the items."""
    return [
        i.message.seq for i in items if isinstance(i, BoardLine) and isinstance(i.message, Sample)
    ]


def test_every_line_arrives_and_nothing_is_ever_written() -> None:
    """The board hears not one byte."""
    got: list[Item] = []
    with Pty() as pty, Link(Target(pty.path), got.extend) as link:
        pty.say(b"rest of a line\n" + introduction())
        for seq in range(200):
            pty.say(sample_line(seq))
        wait_for(lambda: len(seqs(got)) == 200)
        assert select.select([pty.master], [], [], 0)[0] == []
        counters = link.tracker.counters
    assert (counters.bad_lines, counters.torn_at_open) == (0, 1)


def test_a_slow_viewer_makes_nobody_wait() -> None:
    """It loses its oldest items; the link reads on."""
    viewer = Latest(maxlen=10)
    with Pty() as pty, Link(Target(pty.path), viewer) as link:
        pty.say(b"\n" + b"".join(sample_line(seq) for seq in range(500)))
        wait_for(lambda: link.tracker.counters.samples == 500)
        assert seqs(viewer.take()) == list(range(490, 500))


def test_a_board_that_comes_back_is_found_again(tmp_path: Path) -> None:
    """Unplugged in the middle of a line, replugged: one reconnect, one gap, no bad sample."""
    got: list[Item] = []
    path = tmp_path / "pico"
    first = Pty(path)
    with Link(Target(str(path)), got.extend) as link:
        first.say(introduction() + sample_line(0) + sample_line(1)[:40])
        wait_for(lambda: seqs(got) == [0])
        first.unplug()
        wait_for(lambda: not link.connected)
        second = Pty(path)
        wait_for(lambda: link.connected)
        second.say(sample_line(2)[30:] + sample_line(3) + sample_line(4))
        wait_for(lambda: seqs(got) == [0, 3, 4])
        counters = link.tracker.counters
        second.unplug()
    names = [item.ev for item in got if isinstance(item, HostEvent)]
    assert names[:4] == ["lost", "reconnect", "torn_at_open", "gap"]
    assert (counters.reconnects, counters.gap_samples, counters.bad_lines) == (1, 2, 0)


def test_a_pseudo_terminal_that_closed_ends_the_link() -> None:
    """Its number may be another's by now."""
    got: list[Item] = []
    pty = Pty()
    with Link(Target(pty.path), got.extend) as link:
        pty.say(introduction())
        wait_for(lambda: bool(got))
        pty.unplug()
        wait_for(lambda: link.gone is not None)
    assert link.gone == "the device went away"


def test_a_tcp_board_that_hangs_up_is_called_again() -> None:
    """A board behind a socket: same link, same books."""
    import socket

    got: list[Item] = []
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]

    # pyserial throws away what comes before its open is through: speak when told to
    may_speak = [threading.Event(), threading.Event()]

    def serve() -> None:
        for first, told in zip((0, 5), may_speak, strict=True):
            client, _ = server.accept()
            told.wait(PATIENCE_S)
            for seq in range(first, first + 3):
                client.sendall(sample_line(seq))
            client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with Link(Target(f"socket://127.0.0.1:{port}"), got.extend) as link:
        counters = link.tracker.counters
        may_speak[0].set()
        wait_for(lambda: counters.reconnects == 1)
        may_speak[1].set()
        wait_for(lambda: len(seqs(got)) == 6)
    server.close()
    thread.join()
    assert counters.gap_samples == 2


def test_a_busy_port_is_refused_at_the_start() -> None:
    """Before any thread is running."""
    with Pty() as pty, Link(Target(pty.path), list), pytest.raises(BoardError, match="busy"):
        Link(Target(pty.path), list).start()


def test_a_command_is_written_as_asked() -> None:
    """The only way anything is ever sent."""
    with Pty() as pty, Link(Target(pty.path), list) as link:
        link.write(b"!1 id\n")
        assert pty.hear() == b"!1 id\n"


def test_a_sink_that_fails_does_not_look_like_a_quiet_board() -> None:
    """The link says that it ended, and why."""

    def broken(_: list[Item]) -> None:
        raise RuntimeError("full")

    caught: list[object] = []
    hook, threading.excepthook = threading.excepthook, lambda args: caught.append(args.exc_value)
    try:
        with Pty() as pty, Link(Target(pty.path), broken) as link:
            pty.say(hello_line())
            wait_for(lambda: link.gone is not None)
            assert link.gone == "RuntimeError: full"
    finally:
        threading.excepthook = hook
