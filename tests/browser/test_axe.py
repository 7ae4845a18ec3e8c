"""No page breaks a rule of WCAG 2.1 A or AA that axe-core knows, in light and in dark."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kit import website
from kit.run_folder import decoding
from thermoflop.report.html.page import write_report
from thermoflop.runs.folder.store import RunStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TESTS = Path(__file__).parents[1]
_FOLDERS = (Path(os.environ.get("THERMOFLOP_NODE_MODULES") or "."), TESTS / "vm/node_modules")
AXE = next((path for folder in _FOLDERS if (path := folder / "axe-core/axe.min.js").exists()), None)
RULES = """() => axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}).then(
  (found) => found.violations.map(
    (each) => [each.id, each.nodes.map((node) => node.html.slice(0, 160))]))"""
PAGES = {
    "/": ".chart-roof svg",
    "/?mode=original": ".formulas",
    "/live": ".curve.board[d]",
    "/runs": "table.runs",
}


@pytest.mark.skipif(AXE is None, reason="axe-core is not installed: npm install in tests/vm")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_on_any_page(
    browser: Browser, site: website.Site, scheme: Any, tmp_path: Path
) -> None:
    """Every page of the server with all that folds unfolded, and a report as a file."""
    store = RunStore(site.runs, "axe")
    store.write_run({"name": "axe", "command": ["true"], "ended": {"duration_s": 1.0}})
    store.close()
    report = write_report([store.folder], tmp_path / "report.html")
    several = write_report([decoding(tmp_path, 50), decoding(tmp_path, 60)], tmp_path / "two.html")
    opened = browser.new_context(base_url=site.url, color_scheme=scheme, bypass_csp=True)
    opened.set_default_timeout(60_000)
    page = opened.new_page()
    found = {}
    for address, ready in {**PAGES, report.as_uri(): "h1", several.as_uri(): ".chart svg"}.items():
        page.goto(address)
        page.locator(ready).first.wait_for(state="attached")
        page.evaluate(
            "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
        )
        if address == "/":  # what is built and drawn when it is unfolded
            page.locator(".f-tp input").wait_for()
            page.locator(".chart-frontier svg text").first.wait_for()
        page.wait_for_timeout(600)
        page.add_script_tag(path=AXE)
        found[address] = page.evaluate(RULES)
    opened.close()
    assert {address: wrong for address, wrong in found.items() if wrong} == {}
