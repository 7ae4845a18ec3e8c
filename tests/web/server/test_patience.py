"""The server waits for a request for so long, and for so many: nobody can lock the owner out."""

from __future__ import annotations

import asyncio
import http.client
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit import website
from kit.commands import ENVIRONMENT
from thermoflop.web.server.guard import LARGE_BYTES, MAX_LARGE, Guard
from thermoflop.web.site import Site

pytestmark = pytest.mark.skipif(bool(website.no_server()), reason=website.no_server())

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers once it has the whole body."""
    if scope["type"] != "http":
        return
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"whole"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with our bounds, less patient than usual."""
    import uvicorn
    from thermoflop.web.server import patience

    monkeypatch.setattr(patience, "HEAD_S", 1.0)
    monkeypatch.setattr(patience, "BODY_S", 1.0)
    config = uvicorn.Config(
        echo, http=patience.bounded_protocol(), log_config=None, lifespan="off", backlog=64
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def ask(port: int) -> int:
    """The status of a whole request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/")
    status = connection.getresponse().status
    connection.close()
    return status


def connect(port: int, data: bytes) -> socket.socket:
    """A connection on which so much was said."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(data)
    return connection


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes it, within the time of the connection."""
    try:
        return connection.recv(1 << 16) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        HEAD,
        HEAD + b"12345",
    ],
)
def test_half_a_request_is_not_waited_for_without_end(port: int, data: bytes) -> None:
    """Nothing, half a line, half a head, no body, half a body."""
    with connect(port, data) as connection:
        assert is_closed(connection)


def test_half_a_request_after_a_whole_one_is_not_waited_for_either(port: int) -> None:
    """It stops the clock of the keep-alive."""
    with connect(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        assert b"whole" in connection.recv(1 << 16) + connection.recv(1 << 16)
        connection.sendall(b"GET / HT")
        assert is_closed(connection)


def test_a_request_that_comes_in_pieces_is_answered(port: int) -> None:
    """As long as each comes in time."""
    with connect(port, HEAD) as connection:
        for piece in (b"123", b"456", b"7890"):
            time.sleep(0.4)
            connection.sendall(piece)
        assert b"200" in connection.recv(1 << 16)


def test_more_half_requests_than_there_is_room_for_lock_nobody_out(port: int) -> None:
    """The oldest are closed at once."""
    from thermoflop.web.server.patience import MAX_WAITING

    held = [connect(port, b"GET / HT") for _ in range(MAX_WAITING + 50)]
    assert ask(port) == 200
    for connection in held[:50]:
        assert is_closed(connection)
    for connection in held:
        connection.close()


def test_a_few_large_bodies_are_read_at_once_and_the_others_refused() -> None:
    """And there is room again when they have ended."""

    async def statuses(n_requests: int) -> list[int]:
        let_go = asyncio.Event()
        answers: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await let_go.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answers.append(message["status"])

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        site = Site(port=80)
        guard = Guard(app, site)
        length = str(LARGE_BYTES + 1).encode()
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"",
                 "headers": [(b"host", b"localhost"), (b"content-length", length)]}  # fmt: skip
        for _ in range(2):
            let_go.clear()
            tasks = [asyncio.create_task(guard(scope, receive, send)) for _ in range(n_requests)]
            await asyncio.sleep(0)
            let_go.set()
            await asyncio.gather(*tasks)
        return answers

    answers = asyncio.run(statuses(40))
    assert answers.count(200) == 2 * MAX_LARGE
    assert answers.count(503) == 2 * (40 - MAX_LARGE)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_the_token_is_in_no_argument_of_the_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Everybody on a machine may read those; a file for its owner alone leads to the page."""
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f"#!/bin/sh\necho \"$@\" > '{seen}.new'\nmv '{seen}.new' '{seen}'\n")
    browser.chmod(0o755)
    monkeypatch.setitem(ENVIRONMENT, "BROWSER", str(browser))
    with website.Site(
        tmp_path / "runs", "--gpu", "none", "--port", "none", "--open", "--host", host
    ) as site:
        end_s = time.monotonic() + 30
        while not seen.exists():
            assert time.monotonic() < end_s
            time.sleep(0.05)
        address = seen.read_text().strip()
        if host == "127.0.0.1":
            assert address == site.url
            return
        token = site.url.split("token=")[1]
        assert token not in address
        file = Path(address.removeprefix("file://"))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert site.url in file.read_text()
    assert not file.exists()
