"""The metrics of a room over HTTP, for Prometheus to scrape; and what ships beside them."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from thermoflop.errors import BoardError, MissingExtra, UsageError
from thermoflop.web.export.exposition import Exposition
from thermoflop.web.export.metrics import RoomCollector, registry_of
from thermoflop.web.export.room import Room

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication

    from starlette.requests import Request
    from starlette.responses import Response

    from thermoflop.web.live.sources import LiveSources

DEFAULT_PORT = 9877  # among those that Prometheus' wiki lists for exporters none has it
SHIPPED = {"dashboard": "grafana.json", "rules": "alerts.yml"}


def shipped(what: str) -> str:
    """The text of a file that ships with the exporter: ``dashboard`` or ``rules``."""
    return (files(__package__) / "data" / SHIPPED[what]).read_text(encoding="utf-8")


def _only_metrics(app: WSGIApplication, exposition: Exposition) -> WSGIApplication:
    """The metrics at /metrics alone; the library's application would answer anywhere, and answers
    whoever wants some of the metrics, or none."""

    def respond(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"nothing is here: the metrics are at /metrics\n"]
        if environ["REQUEST_METHOD"] != "GET" or environ.get("QUERY_STRING"):
            return app(environ, start_response)
        asked = [environ.get(name, "") for name in ("HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING")]
        headers, body = exposition.answer(*asked)
        start_response("200 OK", headers)
        return [body]

    return respond


def serve_metrics(
    room: Room,
    address: tuple[str, int],
    stop: threading.Event,
    on_address: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer scrapes at ``address`` (host, port; port 0: any) until ``stop`` is set.

    Raises MissingExtra without prometheus-client, BoardError when the address is taken or not of
    this machine.
    """
    collector = RoomCollector(room)
    from prometheus_client import start_http_server

    host, port = address
    if not 0 <= port < 1 << 16:
        raise UsageError(f"--http-port {port} is no port: expected 0 to 65535")
    try:
        server, thread = start_http_server(port, host, registry_of(collector))
    except OSError as error:
        why = error.strerror or str(error)
        raise BoardError(f"cannot listen at {host}:{port}: {why}") from error
    if (app := server.get_app()) is not None:
        server.set_app(_only_metrics(app, Exposition(collector)))
    name = f"[{host}]" if ":" in host else host
    on_address(f"http://{name}:{server.server_port}/metrics")
    stop.wait()
    server.shutdown()
    server.server_close()
    thread.join()


def metrics_endpoint(sources: LiveSources) -> Callable[[Request], Response]:
    """What answers a scrape of the page's own sources: 501 where prometheus-client is not there."""
    from starlette.responses import Response

    try:
        exposition = Exposition(RoomCollector(Room(sources)))
    except MissingExtra as error:
        missing = f"{error}\n"
        return lambda _: Response(missing, 501, media_type="text/plain")

    def metrics(request: Request) -> Response:
        asked = [request.headers.get(name, "") for name in ("Accept", "Accept-Encoding")]
        headers, body = exposition.answer(*asked)
        return Response(body, headers=dict(headers))

    return metrics
