"""The routes of all pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.pico.wire import printable
from thermoflop.web.frame import THEME_COOKIE, plain_page

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from thermoflop.web.live.sources import LiveSources
    from thermoflop.web.site import Site


def register(app: FastAPI, site: Site, sources: LiveSources) -> None:
    """Register the route of every page."""
    from nicegui import app as framework
    from nicegui import ui
    from starlette.routing import Route, WebSocketRoute

    from thermoflop.web.estimator.page import estimator_page
    from thermoflop.web.export.prometheus import metrics_endpoint
    from thermoflop.web.live import light
    from thermoflop.web.live.page import live_page
    from thermoflop.web.live.stream import PATH, Stream
    from thermoflop.web.runs.reports import Reports
    from thermoflop.web.runs.runs_page import runs_page

    ui.page("/", title="Estimator · thermoflop", response_timeout=30)(estimator_page)
    ui.page("/live", title="Live · thermoflop")(lambda: live_page(sources))
    app.router.routes.append(Route(light.PATH, light.Lights(sources).respond))
    app.router.routes.append(WebSocketRoute(PATH, Stream(sources).serve))

    @ui.page("/runs", title="Runs · thermoflop")
    async def runs() -> None:
        await runs_page(site.runs)

    for guessed in ("/estimator", "/estimate"):  # as it is called in the navigation, and typed
        app.router.routes.append(Route(guessed, _to_estimator))
    app.router.routes.append(Route("/metrics", metrics_endpoint(sources)))
    reports = Reports(site.runs, site.token is None)  # one for both: its turns are shared
    app.router.routes.append(Route("/runs/compare", reports.compare))
    app.router.routes.append(Route("/runs/{name:path}/report", reports.one))
    framework.add_exception_handler(404, _missing)


async def _to_estimator(request: Request) -> Response:
    """Lead to the estimator, with what the address asks."""
    from starlette.responses import RedirectResponse

    return RedirectResponse(f"/?{request.url.query}" if request.url.query else "/")


async def _missing(request: Request, error: Exception) -> Response:
    """Say in the site's frame that there is no such page."""
    from fastapi.exception_handlers import http_exception_handler
    from starlette.exceptions import HTTPException
    from starlette.responses import HTMLResponse

    if request.url.path.startswith("/_nicegui") and isinstance(error, HTTPException):
        return await http_exception_handler(request, error)
    sentence = f"There is no page at {printable(request.url.path[:100])}."
    theme = request.cookies.get(THEME_COOKIE, "")
    return HTMLResponse(plain_page("Not found", sentence, theme), 404)
