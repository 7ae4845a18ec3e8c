"""The metrics of the page's own sources, at /metrics of its server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.errors import MissingExtra
from thermoflop.web.export.exposition import Exposition
from thermoflop.web.export.metrics import RoomCollector
from thermoflop.web.export.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from thermoflop.web.live.sources import LiveSources


def metrics_endpoint(sources: LiveSources) -> Callable[[Request], Response]:
    """What answers a scrape; 501 where prometheus-client is not installed."""
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
