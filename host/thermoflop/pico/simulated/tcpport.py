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
        """``server`` is polled for further connections, which are refused."""
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = peer
        self._server = server
        self.next: socket.socket | None = None  # who called just after this reader had gone

    def fileno(self) -> int:
        """What select can wait for."""
        return self._peer.fileno()

    def read(self) -> bytes:
        """What the reader sent."""
        try:
            data = self._peer.recv(CHUNK_BYTES)
        except BlockingIOError:
            self._hang_up_on_next()
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

    def _hang_up_on_next(self) -> None:
        with contextlib.suppress(BlockingIOError):
            caller = self._server.accept()[0]
            if self._is_there():
                caller.close()
            else:
                self.next = caller
                raise Closed

    def _is_there(self) -> bool:
        try:
            return bool(self._peer.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except ConnectionError:
            return False


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
    board: SimulatedBoard,
    address: tuple[str, int],
    on_address: Callable[[str, int], None],
    greeting: bytes = b"",
) -> None:
    """Serve ``board`` at ``address`` until it ends; ``on_address`` gets the address in use. Every
    reader after the first says ``greeting`` to it."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        server = socket.create_server(address, family=family, backlog=4)
    except OSError as error:
        raise BoardError(
            f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}"
        ) from error
    board.start()
    pump = Pump(board, greeting)
    try:
        server.settimeout(_LOOK_EVERY_S)
        on_address(*server.getsockname()[:2])
        caller: socket.socket | None = None
        while board.is_alive:
            caller = _one_reader(caller, server, pump)
    finally:
        pump.close()
        server.close()


def _one_reader(
    caller: socket.socket | None, server: socket.socket, pump: Pump
) -> socket.socket | None:
    """Serve this caller, or the next one, until it goes or the cable is pulled; who came then."""
    if caller is None:
        try:
            caller, _ = server.accept()
        except TimeoutError:
            return None
    connection = Connection(caller, server)
    with caller, contextlib.suppress(Closed, LinkLost):
        server.settimeout(0)
        try:
            pump.serve(connection)
        finally:
            server.settimeout(_LOOK_EVERY_S)
    return connection.next
