"""What can be measured of how pages look: nothing cut, nothing too small to touch or to read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from kit import website
from thermoflop.runs.folder.store import RunStore

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGES = ["/live", "/runs"]
PHONE = {"width": 390, "height": 844}

TOO_SMALL = """() => [...document.querySelectorAll('button, a, input, select, [role=switch]')]
  .filter((node) => node.offsetParent !== null && !node.classList.contains('skip'))
  .map((node) => [node, node.closest('.q-field, .q-toggle, .q-checkbox') || node])
  .map(([node, around]) => [node, around.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.height < 43.5 || box.width < 43.5))
  .map(([node, box]) => `${node.outerHTML.slice(0, 90)} ${box.width}x${box.height}`)"""

OVERLAPS = """() => {
  const shown = (node) => {  // what a scrolled box cuts off is not seen
    const box = node.getBoundingClientRect();
    let [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom];
    for (let at = node.parentElement; at; at = at.parentElement) {
      if (getComputedStyle(at).overflowY === 'visible' || at === document.documentElement) continue;
      const cut = at.getBoundingClientRect();
      [left, top] = [Math.max(left, cut.left), Math.max(top, cut.top)];
      [right, bottom] = [Math.min(right, cut.right), Math.min(bottom, cut.bottom)];
    }
    return {left, top, right, bottom};
  };
  const nodes = [...document.querySelectorAll('button, a, input, select, h1, h2, h3, b, p, th')]
    .filter((node) => node.checkVisibility() && node.textContent + (node.value || '') !== '');
  const found = [];
  for (const a of nodes) for (const b of nodes) {
    if (a === b || a.contains(b) || b.contains(a)) continue;
    const p = shown(a), q = shown(b);
    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (wide <= 1 || high <= 1) continue;
    found.push([a, b].map((node) => node.textContent.slice(0, 40)).join(' over '));
  }
  return found;
}"""

# with every GPU throttled: the word on its line is the widest that it can have
WIDTH = """() => {
  for (const line of document.querySelectorAll('.gpu-fold > summary')) {
    Object.assign(line.lastElementChild, {className: 'hot', textContent: 'throttled'});
  }
  return document.documentElement.scrollWidth;
}"""

LOW_CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const c = parse(getComputedStyle(node).backgroundColor);
      if (c.length < 4 || c[3] > 0.5) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || node.offsetParent === null) continue;
    if (node.closest('[disabled], .disabled, svg, .skip')) continue;
    const a = light(parse(getComputedStyle(node).color)), b = light(ground(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${node.textContent.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""


WRAPPED = """() => [...document.querySelectorAll(
    '.q-btn__content, nav a, .runs a, th:not(:has(button)), .facts b')]
  .filter((node) => node.offsetParent !== null)
  .filter((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const tops = [...range.getClientRects()].filter((r) => r.width > 0).map((r) => r.top);
    return Math.max(...tops) - Math.min(...tops) > 8;
  })
  .map((node) => node.textContent)"""


CUT = """() => [...document.querySelectorAll('.run-folder')]
  .filter((node) => node.scrollWidth > node.clientWidth).map((node) => node.textContent)"""


@pytest.fixture(scope="module", autouse=True)
def runs(site: website.Site) -> None:
    """Something to show on the runs page, with a name as long as names get."""
    started = {"utc": "2026-01-01T00:00:00Z"}
    ended = {"duration_s": 5025.0, "end": "stopped"}
    for name in ("short", "long-name-" * 4):
        store = RunStore(site.runs, name)
        command = ["python", "bench.py", "--model", "x" * 150]
        store.write_run({"name": name, "command": command, "started": started, "ended": ended})
        store.close()


def opened(page: Page, path: str) -> None:
    """Open a page and everything on it that opens."""
    page.goto(path)
    page.get_by_role("heading", level=1).wait_for()
    if path == "/live":
        page.locator(".curve.board[d]").wait_for(state="attached")
        page.get_by_role("switch", name="Control this board").click()
        page.get_by_text("Count multiplications on the board").click()
        page.get_by_role("button", name="Count", exact=True).wait_for()
    if path == "/runs":
        page.locator("table.runs tbody tr").nth(1).wait_for()
    page.wait_for_timeout(400)  # what opens does so smoothly


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_overlaps_and_nothing_sticks_out(page: Page, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    opened(page, path)
    assert page.evaluate(WIDTH) <= width
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(WRAPPED) == []
    assert page.evaluate(CUT) == []


@pytest.mark.parametrize("path", PAGES)
def test_everything_can_be_touched_with_a_thumb(page: Page, path: str) -> None:
    page.set_viewport_size(PHONE)
    opened(page, path)
    assert page.evaluate(TOO_SMALL) == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, path: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened(page, path)
    page.locator(f"body.body--{scheme}").wait_for()
    assert page.evaluate(LOW_CONTRAST) == []


def test_a_finger_a_fan_and_a_recording_need_no_mouse(page: Page) -> None:
    page.goto("/live")
    page.locator(".curve.board[d]").wait_for(state="attached")
    lines = page.locator(".gpu-fold > summary")
    lines.nth(7).wait_for()
    box = lines.nth(7).bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 720  # a board and eight GPUs, with nothing to scroll for
    assert re.match(r"7 *[0-9]+ °C", lines.nth(7).inner_text().replace("\n", " "))
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):  # past the last one
            break
        reached.append(
            page.evaluate(
                "(document.activeElement.getAttribute('aria-label') || "
                "document.activeElement.textContent).trim()"
            )
        )
        outline = page.evaluate(
            "getComputedStyle(document.activeElement.closest('.q-field--focused .q-field__control')"
            " || document.activeElement).outlineStyle"
        )
        assert outline != "none", reached[-1]
    names = ["Put a finger on the simulated thermistor", "Control this board", "Start recording"]
    assert [name for name in names if name not in reached] == []
    page.get_by_role("switch", name="Control this board").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Self-check").first.wait_for()
    lines.nth(7).click()
    page.locator(".gpu-fold[open] .facts", has_text="temperature").wait_for()
