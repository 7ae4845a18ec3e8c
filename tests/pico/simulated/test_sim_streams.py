"""A pseudo-terminal, a TCP port and a pipe lead to the same board."""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
from kit.simulated_board import SteppedBoard, samples
from thermoflop.errors import BoardError, StorageError, UsageError
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.options import parse_options
from thermoflop.pico.simulated.ptyport import serve_pty
from thermoflop.pico.simulated.stdoutport import serve_output
from thermoflop.pico.simulated.tcpport import is_loopback, parse_address, serve_tcp

no_pty = pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pty")
WAIT_S = 10.0


def made(until_s: float = 1e9, **words: str) -> SteppedBoard:
    return SteppedBoard(parse_options({"heat": "off", **words}.items()), until_s=until_s)


class Server:
    """A board that is served in a thread; ``where`` yields the places it was served at."""

    def __init__(self, pico: SimulatedBoard, serve: Callable[..., None], *args: object) -> None:
        self.pico = pico
        self.where: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=serve, args=(pico, *args), daemon=True)

    def say(self, *where: object) -> None:
        self.where.put(":".join(map(str, where)))

    def start(self) -> str:
        self._thread.start()
        return self.next()

    def next(self) -> str:
        return self.where.get(timeout=WAIT_S)

    def end(self) -> None:
        self.pico.stop()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()


def pty_server(pico: SimulatedBoard, link: Path | None = None) -> Server:
    server = Server(pico, lambda board: serve_pty(board, server.say, link))
    return server


def tcp_server(pico: SimulatedBoard) -> Server:
    server = Server(pico, lambda board: serve_tcp(board, ("127.0.0.1", 0), server.say))
    return server


def read_lines(read: Callable[[int], bytes], count: int) -> list[bytes]:
    """At least so many lines."""
    data = b""
    deadline_s = time.monotonic() + WAIT_S
    while data.count(b"\n") < count and time.monotonic() < deadline_s:
        data += read(4096)
    return data.split(b"\n")[:-1]


@pytest.fixture
def ended() -> Iterator[list[Server]]:
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.end()


@no_pty
def test_a_pty_is_a_serial_port(ended: list[Server]) -> None:
    server = pty_server(made(speed="max"))
    ended.append(server)
    with serial.Serial(server.start(), timeout=0.2, exclusive=True) as board:
        lines = read_lines(board.read, 500)
        assert [s.seq for s in samples(lines)] == list(range(len(samples(lines))))
        board.write(b"!5 get on_c\n")
        data = b""
        while b'"id":5' not in data:
            data += board.read(500)


@no_pty
def test_a_pty_survives_readers_that_come_and_go_in_the_middle_of_a_line(
    ended: list[Server],
) -> None:
    server = pty_server(made(speed="100"))
    ended.append(server)
    path = server.start()
    last = -1
    for _ in range(5):
        with serial.Serial(path, timeout=0.2) as board:
            taken = samples(read_lines(board.read, 30))
            board.read(7)
        assert taken[0].seq > last
        last = taken[-1].seq
    assert server.where.empty()
    assert server.pico.is_alive


@no_pty
def test_an_unplugged_pty_comes_back_under_its_link(ended: list[Server], tmp_path: Path) -> None:
    link = tmp_path / "board"
    server = pty_server(made(speed="max", fault="unplug@5:2"), link)
    ended.append(server)
    assert server.start() == str(link)
    with (
        serial.Serial(str(link), timeout=0.2) as board,
        pytest.raises((serial.SerialException, OSError)),
    ):
        read_lines(board.read, 1_000_000)
    server.next()
    with serial.Serial(str(link), timeout=0.2) as board:
        assert samples(read_lines(board.read, 20))[-1].seq > 25
    server.end()
    assert not link.exists()
    assert not link.is_symlink()


@no_pty
def test_a_file_in_the_place_of_the_link_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("keep")
    pico = made()
    with pytest.raises(UsageError, match="precious"):
        serve_pty(pico, lambda _: None, path)
    pico.stop()
    assert path.read_text() == "keep"


@no_pty
def test_a_link_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    pico = made()
    with pytest.raises(StorageError, match="nowhere"):
        serve_pty(pico, lambda _: None, tmp_path / "nowhere" / "link")
    pico.stop()


@no_pty
def test_a_reader_of_a_pty_gets_everything_before_the_board_ends() -> None:
    server = pty_server(made(until_s=20.0, speed="max"))
    data = b""
    with serial.Serial(server.start(), timeout=1) as board:
        try:
            while chunk := board.read(100):
                data += chunk
        except (serial.SerialException, OSError):
            pass
    assert samples(data.split(b"\n"))[-1].up_s == pytest.approx(19.9, abs=0.3)
    server.end()


def test_tcp_is_a_port_for_socket_urls(ended: list[Server]) -> None:
    server = tcp_server(made(speed="max"))
    ended.append(server)
    with serial.serial_for_url(f"socket://{server.start()}", timeout=0.2) as board:
        assert samples(read_lines(board.read, 100))
        board.write(b"!5 get on_c\n")
        data = b""
        while b'"id":5' not in data:
            data += board.read(500)


def test_tcp_hangs_up_on_a_second_reader_and_takes_the_next(ended: list[Server]) -> None:
    server = tcp_server(made(speed="50"))
    ended.append(server)
    host, port = server.start().split(":")
    with socket.create_connection((host, int(port)), WAIT_S) as first:
        assert first.recv(10)
        with socket.create_connection((host, int(port)), WAIT_S) as second:
            second.settimeout(WAIT_S)
            assert second.recv(10) == b""
        assert first.recv(10)
    with socket.create_connection((host, int(port)), WAIT_S) as third:
        assert third.recv(10)


def test_tcp_closes_when_the_cable_is_pulled(ended: list[Server]) -> None:
    server = tcp_server(made(speed="max", fault="unplug@5:2"))
    ended.append(server)
    host, port = server.start().split(":")
    with socket.create_connection((host, int(port)), WAIT_S) as reader:
        while reader.recv(4096):
            pass
    heard = b""
    deadline_s = time.monotonic() + WAIT_S
    while not heard and time.monotonic() < deadline_s:
        # while the cable is out a caller is hung up on: call again, as one does
        with socket.create_connection((host, int(port)), WAIT_S) as reader:
            heard = reader.recv(4096)
    assert heard


def test_a_taken_tcp_port_is_one_sentence() -> None:
    pico = made()
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(BoardError, match="cannot listen"),
    ):
        serve_tcp(pico, other.getsockname()[:2], lambda *_: None)
    pico.stop()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0", ("127.0.0.1", 0)),
        (":5000", ("127.0.0.1", 5000)),
        ("192.0.2.1:1", ("192.0.2.1", 1)),
        ("[::1]:80", ("::1", 80)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "host:", "1:2:x", "70000", "127.0.0.1:-1"])
def test_addresses_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match="PORT"):
        parse_address(text)


def test_only_loopback_is_private() -> None:
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "192.0.2.1", "::", "x")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_output_is_all_that_the_board_sends() -> None:
    piped: list[bytes] = []
    serve_output(made(until_s=30.0, speed="max", fault="unplug@5:2"), piped.append)
    run = made(until_s=30.0, fault="unplug@5:2")
    assert b"".join(piped).split(b"\n") == [*run.run(100.0), b""]
