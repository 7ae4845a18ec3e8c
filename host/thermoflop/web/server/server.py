"""The server of the page: one process, one port, loopback unless the user says otherwise."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from thermoflop.errors import BoardError, MissingExtra, UsageError
from thermoflop.pico.wire import printable
from thermoflop.web.live.sources import LiveSources
from thermoflop.web.server.browser import open_page
from thermoflop.web.server.guard import Guard
from thermoflop.web.server.patience import bounded_protocol
from thermoflop.web.site import Site

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

# HTTP clients and another server that Socket.IO imports if they are there, and that a server of our
# kind never calls: they were two fifths of what starting costs.
CLIENTS = ("aiohttp", "requests", "tornado")
STOP_S = 3  # how long open connections may take to end when the server stops
MAX_LOGGED = 10  # a minute; each may be a traceback of a hundred lines
MISSING = "the page needs NiceGUI: pip install 'thermoflop[web]'"


def serve(
    site: Site,
    stop: threading.Event,
    on_address: Callable[[str], None] = lambda _: None,
    open_browser: bool = False,
) -> None:
    """Serve ``site`` until Ctrl-C or SIGTERM; calls ``on_address`` with the URL once it answers.

    ``stop`` is set by a signal that came before the server took them over. MissingExtra without
    NiceGUI, BoardError when the address is taken or not of this machine.
    """
    with _listen(site.host, site.port) as listener, ExitStack() as opened:
        site.port = listener.getsockname()[1]
        site.protect()
        sources = LiveSources(site)

        def answers() -> None:
            from thermoflop.web.estimator.answers import answer_first
            from thermoflop.web.estimator.inputs import DEFAULTS

            on_address(site.url)
            threading.Thread(target=answer_first, args=(DEFAULTS,), daemon=True).start()
            if open_browser:
                opened.enter_context(open_page(site.url, private=site.token is not None))

        try:
            # before a second of imports: a board that cannot be opened ends it here
            sources.start(site.board_port)
            _server(site, sources, stop, answers).run(sockets=[listener])
        finally:
            sources.stop()


def _server(
    site: Site, sources: LiveSources, stop: threading.Event, answers: Callable[[], None]
) -> uvicorn.Server:
    """uvicorn with all pages; calls ``answers`` when it does. MissingExtra without NiceGUI."""
    _quiet_logs()  # first: a logger of Socket.IO without a level gets an output of its own
    # NiceGUI would read what it kept from ./.nicegui, which may be anybody's; we keep nothing there
    os.environ["NICEGUI_STORAGE_PATH"] = os.path.join(os.devnull, "nothing")  # noqa: PTH118
    try:
        with absent(*CLIENTS):
            import nicegui  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingExtra(MISSING) from error

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            answers()
            self.should_exit |= stop.is_set()

    return Server(
        uvicorn.Config(
            Guard(build_app(site, sources), site),
            log_config=None,
            access_log=False,
            server_header=False,
            http=bounded_protocol(),
            backlog=64,  # taken at once: more would use up the descriptors before any is let go
            ws="wsproto",
            ws_max_size=1 << 20,
            ws_per_message_deflate=False,
            lifespan="on",
            timeout_graceful_shutdown=STOP_S,
        )
    )


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Meanwhile, modules of these names that are not loaded yet cannot be imported."""
    loaded: dict[str, Any] = sys.modules  # None: there is no such module
    left_out = [name for name in names if name not in loaded]
    loaded.update(dict.fromkeys(left_out))
    try:
        yield
    finally:
        for name in left_out:
            del loaded[name]


def build_app(site: Site, sources: LiveSources) -> Any:
    """The ASGI application of all pages."""
    from fastapi import FastAPI
    from nicegui import ui

    from thermoflop.web import frame
    from thermoflop.web.server.pages import register

    app: FastAPI = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    frame.add_assets(app)
    register(app, site, sources)
    ui.run_with(
        app,
        title="thermoflop",
        favicon="🌡️",
        dark=None,
        language="en-US",
        tailwind=False,
        reconnect_timeout=10.0,
        message_history_length=200,
        gzip_middleware_factory=None,
        show_welcome_message=False,
    )
    return app


class _Plain(logging.Formatter):
    """Log formatter that makes request paths printable: they may hold terminal escapes."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, each line in printable characters."""
        return "\n".join(printable(line) for line in super().format(record).splitlines())


class _Bounded:
    """Log filter that passes on MAX_LOGGED records a minute: peers cause them as they like."""

    def __init__(self) -> None:
        self._minute, self._records = 0.0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged; the first that is not says so."""
        minute = record.created // 60
        if minute != self._minute:
            self._minute, self._records = minute, 0
        self._records += 1
        if self._records == MAX_LOGGED + 1:
            record.msg, record.args = "more errors of this minute are left out", ()
            record.exc_info = record.exc_text = record.stack_info = None
        return self._records <= MAX_LOGGED + 1


def _quiet_logs() -> None:
    """Log the libraries' errors to standard error, except about missing pages."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain("%(name)s: %(message)s"))
    handler.addFilter(_Bounded())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    for name in ("nicegui", "uvicorn", "asyncio", "engineio.server", "socketio.server"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OverflowError as error:
        raise UsageError(f"--http-port {port} must be from 0 to 65535") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = "another program is using it; choose another with --http-port"
        else:
            why = error.strerror or str(error)
        raise BoardError(f"cannot serve at {host}:{port}: {why}") from error
