"""A page that was closed leaves nothing behind in the server."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from kit import website

pytestmark = pytest.mark.skipif(bool(website.no_server()), reason=website.no_server())


def test_an_estimator_page_that_was_closed_is_not_kept_in_memory() -> None:
    asyncio.run(_open_and_close())


async def _open_and_close() -> None:
    from fastapi import FastAPI
    from nicegui import Client, core, ui
    from thermoflop.web.estimator.inputs import Inputs
    from thermoflop.web.estimator.page import Estimator

    core.loop = asyncio.get_running_loop()
    ui.run_with(FastAPI(), show_welcome_message=False)
    client = Client(ui.page("/closed"), request=None)
    with client:
        view = Estimator(Inputs(), [])
        view.build()
    page = weakref.ref(view)
    client.delete()
    del client, view
    gc.collect()
    assert page() is None
