"""The metrics of the page's own sources, at /metrics of its server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.errors import MissingExtra
from thermoflop.web.export.metrics import registry_of
from thermoflop.web.export.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from thermoflop.web.live.sources import LiveSources


def metrics_endpoint(sources: LiveSources) -> Callable[[Request], Response]:
    """What answers a scrape; 501 where prometheus-client is not installed."""
    from starlette.responses import Response

    room = Room(sources)

    def metrics(_: Request) -> Response:
        try:
            registry = registry_of(room)
        except MissingExtra as error:
            return Response(f"{error}\n", 501, media_type="text/plain")
        from prometheus_client import generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_LATEST

        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return metrics
