"""Runs side by side in a real browser: the answer, the phases, an address that can be sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from kit import website
from kit.run_folder import decoding, trial, write

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOVED_BY_FIGURES = """() => {
  const places = () => [...document.querySelectorAll('.runs .box')]
    .map((each) => JSON.stringify(each.getBoundingClientRect()));
  const cells = [...document.querySelectorAll('.runs td.num > *')];
  const before = places(), texts = cells.map((cell) => cell.textContent);
  for (const cell of cells) cell.textContent = '…';
  const moved = places().filter((place, n) => place !== before[n]);
  cells.forEach((cell, n) => { cell.textContent = texts[n]; });
  return moved;
}"""
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[website.Site]:
    """A server for four runs: two that differ by 8 degrees alone, one hostile, one empty."""
    runs = tmp_path_factory.mktemp("compared") / "runs"
    labels = {"suite": "nightly"}
    for number, (name, temp_c) in enumerate((("cool", 60.0), ("warm", 68.0), (EVIL, 60.0))):
        started = {"mono_s": 5000.0, "utc": f"2026-01-0{number + 1}T12:00:00Z"}
        folder = decoding(runs, temp_c, name=name, labels=labels | {"fan": name}, started=started)
        folder.rename(folder.with_name(f"run-{number}"))
    write(runs, trial(0, 1), name="short").rename(runs / "run-9")
    with website.Site(runs, "--gpu", "none") as running:
        yield running


def address(*names: str) -> str:
    """That of a comparison."""
    return "/runs/compare?" + urlencode([("run", name) for name in names])


def test_which_run_was_hotter_and_whether_that_is_real_is_found_from_the_first_page(
    page: Page,
) -> None:
    """By what stands there alone: Runs, two boxes, Compare, and the first sentence."""
    page.goto("/")
    page.get_by_role("link", name="Runs", exact=True).click()
    for name in ("cool", "warm"):  # while their figures are still being read
        row = page.locator("table.runs tbody tr").filter(has_text=f"fan={name}")
        row.get_by_role("checkbox").click()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Compare 2 runs").click()
    first = opened.value.locator(".verdict p").first
    text = first.inner_text()
    assert re.search(r"was (hotter|cooler) than .*68.*60|.*60.*68", text)
    assert "more than noise" in text
    # each difference has its unit: of temperatures kelvin, whose zero is no matter
    apart = opened.value.locator(".compared tr:visible", has_text="GPU temperature").first
    assert re.search(r"[+-]8\.\d* ± [0-9.]+ K", apart.inner_text())


def test_the_address_of_a_phase_opens_that_phase(page: Page) -> None:
    page.goto(address("run-0", "run-1") + "#phase=whole%20command")
    page.get_by_role("heading", level=2, name="whole command").wait_for()
    assert page.get_by_role("heading", level=2, name="decode").count() == 0
    page.get_by_role("link", name="decode", exact=True).click()
    page.get_by_role("heading", level=2, name="decode").wait_for()
    assert page.url.endswith("#phase=decode")
    panel = page.get_by_role("img", name="GPU temperature in °C over time")
    panel.hover()
    reading = re.compile(r"^at .* s · cool (59|61) °C · warm (67|69) °C")
    page.get_by_text(reading).wait_for()
    for tail in ("%", "phase=<b>", "phase=nothing"):  # what is no phase shows the first
        page.goto(address("run-0", "run-1") + f"#{tail}")
        page.reload()
        page.get_by_role("heading", level=2, name="decode").wait_for()


def test_energy_and_settings_stand_beside_each_other(page: Page) -> None:
    """16 tokens a second at 300 W are 18.75 J a token, in both."""
    page.goto(address("run-0", "run-1"))
    energy = page.get_by_role("row", name=re.compile("^energy of a token")).inner_text()
    assert len(re.findall(r"18\.\d+ J/token", energy)) == 2
    assert "within the noise" in energy
    shown = page.locator("table.compared:visible")
    heads = shown.locator("thead th").all()
    values = shown.locator("tbody tr").first.locator("td b").all()
    assert len(heads) == 2
    for head, value in zip(heads, values, strict=True):  # each name stands over its own figures
        above, below = head.bounding_box(), value.bounding_box()
        assert above is not None
        assert below is not None
        assert abs(above["x"] - below["x"]) < 3
    page.get_by_role("row", name=re.compile("^label fan cool warm")).wait_for()


def test_a_hostile_name_is_text_and_a_run_without_readings_is_compared(page: Page) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(address("run-2", "run-9"))
    page.get_by_role("row", name=re.compile("^seconds it took")).wait_for()
    assert page.locator("img").count() == 0
    assert EVIL in page.get_by_role("heading", level=1).inner_text()
    assert dialogs == []


def test_a_run_is_not_compared_with_itself(page: Page) -> None:
    """Named twice it is one run, and its own report."""
    page.goto(address("run-0", "run-0"))
    page.get_by_role("heading", level=1, name="cool").wait_for()
    assert page.locator("section.phase").count() == 0


def test_the_theme_that_was_chosen_on_the_page_is_kept(page: Page) -> None:
    """Whatever the system prefers."""
    page.emulate_media(color_scheme="light")
    page.goto("/runs")
    page.evaluate("document.cookie = 'thermoflop-theme=dark; path=/'")
    page.goto(address("run-0", "run-1"))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 29)"


def test_eight_runs_fit_on_a_phone(page: Page, site: website.Site) -> None:
    names = [f"more-{n}" for n in range(6)]
    folders = [decoding(site.runs, 50 + n, name="more", labels={"n": str(n)}) for n in range(6)]
    for folder, name in zip(folders, names, strict=True):
        folder.rename(folder.with_name(name))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address("run-0", "run-1", *names))
    page.get_by_role("heading", level=1, name="8 runs side by side").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert "hotter: warm" in page.locator(".verdict p").first.inner_text()


def names(page: Page) -> list[str]:
    """The runs of the list, in order."""
    texts = page.locator("table.runs .run-folder").all_inner_texts()
    return [text[:5] for text in texts if re.match(r"run-\d", text)]


def test_the_list_is_sorted_by_each_figure_with_what_is_unknown_last(page: Page) -> None:
    page.goto("/runs")
    warm = page.locator("table.runs tbody tr").filter(has_text="run-1")
    assert warm.locator(".run-name").inner_text() == "warm"  # as it is called where it is compared
    for width in (1010, 1280):  # beside all figures, or above them
        page.set_viewport_size({"width": width, "height": 800})
        box = warm.locator("td.what").bounding_box()
        assert box is not None
        assert box["width"] > 150
    warm.evaluate("row => row.classList.add('the-same')")
    warm.get_by_text("69.0", exact=True).wait_for()  # its figures are read
    page.get_by_role("button", name="peak °C").click()
    page.locator("th[aria-sort=descending]", has_text="peak").wait_for()
    assert names(page)[0] == "run-1"
    assert names(page)[-1] == "run-9"
    page.get_by_role("button", name="peak °C").click()
    page.locator("th[aria-sort=ascending]", has_text="peak").wait_for()
    assert names(page)[-2:] == ["run-1", "run-9"]
    assert page.locator("tr.the-same").count() == 1  # moved, not made anew under a click
    assert "15.2" in warm.inner_text()
    for width in (1280, 390):  # no figure that arrives moves a row that somebody points at
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(MOVED_BY_FIGURES) == []
    assert re.search(r"2026-01-0[123] \d\d:00", warm.inner_text())  # on the viewer's clock


def test_a_note_is_kept_and_found_and_is_text(page: Page, site: website.Site) -> None:
    page.goto("/runs")
    row = page.locator("table.runs tbody tr").filter(has_text="run-0")
    row.evaluate("row => row.classList.add('the-same')")
    row.get_by_role("button", name="note on run-0").click()
    page.get_by_role("dialog").get_by_role("textbox").fill(f"new paste {EVIL}")
    page.get_by_role("button", name="Keep the note").click()
    page.locator("tr.the-same").get_by_text("new paste <img").wait_for()
    assert (site.runs / "run-0" / "note.txt").read_text() == f"new paste {EVIL}\n"
    assert page.locator("img").count() == 0
    page.get_by_label("Filter").fill("new paste")
    page.get_by_text(re.compile("^1 of")).wait_for()


def test_the_trend_of_a_label_marks_where_a_figure_moved(page: Page, site: website.Site) -> None:
    """Four runs at 50 degrees and one at 80."""
    for number, temp_c in enumerate((50, 50, 50, 50, 80)):
        started = {"mono_s": 5000.0, "utc": f"2026-02-0{number + 1}T12:00:00Z"}
        folder = decoding(site.runs, temp_c, name="trend", labels={"job": "t"}, started=started)
        folder.rename(folder.with_name(f"trend-{number}"))
    page.goto("/runs")
    page.get_by_label("Filter").fill("job=t")
    page.get_by_text(re.compile("^5 (of|runs)")).wait_for()  # a menu closes where the list changes
    page.get_by_label("Figure").click()
    page.get_by_role("option", name="peak °C").click()
    page.get_by_text("moved at trend-4: 81, expected").wait_for()
    picture = page.get_by_role("img", name="peak °C of 5 runs in order of time")
    assert picture.locator("circle").count() == 5
    assert picture.locator("circle.dot-moved").count() == 1
