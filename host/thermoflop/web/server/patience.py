"""How long the server waits for a request, and for how many at once.

A connection costs a file descriptor before anybody has shown a token, and a process has few of
them: without bounds some hundred half requests lock the page's owner out.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

HEAD_S = 10.0  # from the first byte to the last of a request's head
BODY_S = 20.0  # between two pieces of a body
MAX_WAITING = 64  # connections without a whole request; one more ends the oldest


def bounded_protocol() -> type[asyncio.Protocol]:
    """uvicorn's own HTTP protocol for one server, with these bounds."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    waiting: OrderedDict[Any, None] = OrderedDict()

    class Bounded(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # which one is chosen there
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._wait(HEAD_S)

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait(None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.transport.get_protocol() is not self or self.transport.is_closing():
                self._wait(None)  # it is a websocket now, or over
            elif self.cycle is None or self.cycle.response_complete:
                if self._timer is None:
                    self._wait(HEAD_S)
            else:
                self._wait(BODY_S if self.cycle.more_body else None)

        def on_response_complete(self) -> None:
            self._wait(None)  # from here on uvicorn's own keep-alive counts
            super().on_response_complete()

        def _wait(self, seconds: float | None) -> None:
            """Wait so long for the next part of a request; None: there is nothing to wait for."""
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if seconds is None:
                waiting.pop(self, None)
                return
            self._timer = self.loop.call_later(seconds, self.transport.abort)
            waiting[self] = None
            if len(waiting) > MAX_WAITING:
                oldest, _ = waiting.popitem(last=False)
                oldest.transport.abort()

    return Bounded
