"""What `serve --open` hands to a browser leads to the page, with its token."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from kit import website
from thermoflop.web.server.browser import leading_to

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_file_leads_to_the_page(browser: Browser, tmp_path: Path) -> None:
    """A browser sends a strict cookie to nothing that a file redirects to, only to the page."""
    anywhere = "0.0.0.0"  # noqa: S104
    with website.Site(
        tmp_path / "runs", "--gpu", "none", "--port", "none", "--host", anywhere
    ) as site:
        file = tmp_path / "open.html"
        file.write_text(leading_to(re.sub(r"//[^:]+:", "//127.0.0.1:", site.url)))
        page = browser.new_page()
        page.goto(file.as_uri())
        page.get_by_role("link", name="Live").wait_for()
        assert "token" not in page.url
        page.goto(file.as_uri())  # with a cookie already
        page.get_by_role("link", name="Live").wait_for()
        page.close()
