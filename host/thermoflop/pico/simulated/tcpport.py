"""A simulated board behind a TCP port, for ``socket://host:port`` and anything else.

One reader at a time, as on a serial port: a second one is hung up on. Without a host in the
address only this machine can reach it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable

from thermoflop.errors import BoardError, UsageError
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.cable import LinkLost
from thermoflop.pico.simulated.pump import CHUNK_BYTES, Closed, Pump

LOOPBACK = "127.0.0.1"
_LOOK_EVERY_S = 0.2


class Connection:
    """One reader's connection."""

    def __init__(self, peer: socket.socket, server: socket.socket) -> None:
        """``server`` is asked now and then for others who call in vain."""
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = peer
        self._server = server

    def fileno(self) -> int:
        """What select can wait for."""
        return self._peer.fileno()

    def read(self) -> bytes:
        """What the reader sent."""
        try:
            data = self._peer.recv(CHUNK_BYTES)
        except BlockingIOError:
            _hang_up_on_next(self._server)  # only while this reader is known to be there
            raise
        except ConnectionError:
            raise Closed from None
        if not data:
            raise Closed
        return data

    def write(self, data: bytes) -> int:
        """Bytes that the connection took."""
        try:
            return self._peer.send(data)
        except ConnectionError:
            raise Closed from None


def parse_address(text: str) -> tuple[str, int]:
    """``HOST:PORT``, ``:PORT`` or ``PORT``; port 0 lets the system choose."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise UsageError(f"address {text!r} must be PORT or HOST:PORT, like {LOOPBACK}:0")
    return host.strip("[]") or LOOPBACK, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve_tcp(
    board: SimulatedBoard, address: tuple[str, int], on_address: Callable[[str, int], None]
) -> None:
    """Serve ``board`` at ``address`` until it ends; ``on_address`` is told where that is."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        server = socket.create_server(address, family=family, backlog=4)
    except OSError as error:
        raise BoardError(
            f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}"
        ) from error
    board.start()
    pump = Pump(board)
    try:
        server.settimeout(_LOOK_EVERY_S)
        on_address(*server.getsockname()[:2])
        while board.is_alive:
            _one_reader(server, pump)
    finally:
        pump.close()
        server.close()


def _one_reader(server: socket.socket, pump: Pump) -> None:
    """Wait a little for a reader, and serve it until it goes or the cable is pulled."""
    try:
        peer, _ = server.accept()
    except TimeoutError:
        return
    with peer, contextlib.suppress(Closed, LinkLost):
        server.settimeout(0)
        try:
            pump.serve(Connection(peer, server))
        finally:
            server.settimeout(_LOOK_EVERY_S)


def _hang_up_on_next(server: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        server.accept()[0].close()
