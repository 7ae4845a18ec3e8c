"""Fixtures of the browser tests: ``site`` is a server with a simulated board, ``page`` a browser
page whose addresses are relative to it. A page that runs into an error of its own, breaks its
content security policy, or asks another host for anything fails the test that opened it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kit import website

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


# what costs a processor and shows nothing that a test looks at
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-software-rasterizer", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-features=Translate,MediaRouter,OptimizationHints", "--no-first-run", "--mute-audio",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all of this folder, with the reason, where a piece is not installed."""
    here = Path(__file__).parent
    if why := website.missing():
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[website.Site]:
    """One server for all tests that leave it as it was."""
    runs = tmp_path_factory.mktemp("site") / "runs"
    with website.Site(runs, "--port", "sim://", "--gpu", "8xsim") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of one file; while it lives this thread has an event loop."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=website.chromium(),
            args=ARGUMENTS,
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def profile(browser: Browser, site: website.Site) -> Iterator[BrowserContext]:
    """A browser profile whose relative addresses are the site's: what the pages load is loaded and
    compiled once for all tests of a file. What turns and glides stands still: drawing it is a tenth
    of what a page costs."""
    opened = browser.new_context(
        base_url=site.url, viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    opened.set_default_timeout(30_000)
    yield opened
    opened.close()


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """The same, with nothing of the test before but its cache."""
    yield profile
    for page in profile.pages:
        page.close()
    profile.clear_cookies()
    profile.clear_permissions()


@pytest.fixture
def page(context: BrowserContext, site: website.Site) -> Iterator[Page]:
    """A page of that profile; its errors fail the test."""
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
    opened.on(
        "console", lambda message: wrong.append(message.text) if message.type == "error" else None
    )
    opened.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((site.url, "data:", "blob:"))
            else wrong.append(f"asked {request.url}")
        ),
    )
    yield opened
    assert wrong == []
