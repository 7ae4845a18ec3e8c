"""The page of a run as it opens: three sentences and the first curve, without scrolling; on a phone
and on paper, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kit.run_folder import START_S, board_sample, mark, trial, write
from thermoflop.report.html.page import write_report
from thermoflop.runs.gpu.sample import GpuSample

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VISIBLE = """(selector) => [...document.querySelectorAll(selector)].map((node) => {
  const box = node.getBoundingClientRect();
  return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
})"""
LINES = """(selector) => [...document.querySelectorAll(selector)].map((node) => {
  const text = document.createRange();
  text.selectNodeContents(node);
  return text.getClientRects().length;
})"""
MANY = [f"note {n}: something that whoever reads the figures has to know of" for n in range(9)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run with a board, a GPU, phases, throttling, a prediction and many notes."""
    quantity = {"bound": 1.0, "expected": 8.0, "low": 7.0, "high": 10.0}
    names = ("total_s", "decode_tokens_per_s", "joules_per_token")
    predicted = {
        "model": "llama-3-8b", "hardware": "h100", "devices": 1, "dtype": "bf16", "batch": 1,
        "prompt": 10, "generate": 41, "quantities": dict.fromkeys(names, quantity),
    }  # fmt: skip
    records: list[Any] = [*trial(0, 10), mark(0.5, "prefill", tokens=10), mark(2.5, "decode")]
    records += [mark(2.5 + n / 2, tokens=5 if n < 8 else 2) for n in range(1, 15)]
    for n in range(100):
        heat = {"temp_c": 60 + n / 5, "power_w": 200.0, "energy_j": 20.0 * n, "sm_mhz": 1980.0}
        records.append(
            GpuSample(START_S + n / 10, 0.0, 0, **heat, reasons=0x40 if n > 60 else 0)  # type: ignore[arg-type]
        )
    records += [board_sample(n / 5, n, temp_c=25 + n / 10, fan=int(n > 25)) for n in range(50)]
    folder = write(
        tmp_path_factory.mktemp("runs"), records, name="nightly", predictions=predicted,
        command=["python", "bench.py", "--model", "llama-3-8b"], notices=MANY,
    )  # fmt: skip
    return write_report([folder]).as_uri()


@pytest.fixture
def report(browser: Browser, address: str) -> Iterator[Page]:
    """The page in a window of its own."""
    opened = browser.new_page(viewport={"width": 1280, "height": 720})
    opened.goto(address)
    yield opened
    opened.close()


def test_the_sentences_and_the_first_curve_need_no_scrolling(report: Page) -> None:
    """At 1280 x 720, whatever else there is to be known; the other notes are a click away."""
    assert report.evaluate(VISIBLE, ".said p") == [True, True, True]
    first = report.locator("#chart0 svg").first.bounding_box()
    assert first is not None
    assert first["y"] + 150 < 720
    assert report.get_by_text(MANY[5], exact=True).is_hidden()
    report.get_by_text("more notes").click()
    assert report.get_by_text(MANY[5], exact=True).is_visible()


def test_no_figure_breaks_between_its_number_and_its_unit(report: Page) -> None:
    """At 1280 there is room: each short cell is one line, and the page is no wider."""
    lines = report.evaluate(LINES, "td.num")
    assert len(lines) > 10
    assert set(lines) == {1}
    assert report.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_phone_shows_the_sentences_first_and_nothing_wider_than_itself(report: Page) -> None:
    """At 390 x 844."""
    report.set_viewport_size({"width": 390, "height": 844})
    assert report.evaluate(VISIBLE, ".said p") == [True, True, True]
    assert report.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_paper_has_the_sentences_and_every_note(report: Page) -> None:
    """What is a click away on a screen cannot be clicked on paper."""
    report.emulate_media(media="print")
    report.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert report.locator(".said").is_visible()
    assert report.get_by_text(MANY[5], exact=True).is_visible()
    assert report.locator(".tools").first.is_hidden()
    samples = "[...document.querySelectorAll('.legend i')].map((each) => getComputedStyle(each))"
    inks = f"{samples}.map((style) => style.printColorAdjust + ' ' + style.backgroundColor)"
    assert {ink.split()[0] for ink in report.evaluate(inks)} == {"exact"}
    assert not [ink for ink in report.evaluate(inks) if ink.endswith("rgba(0, 0, 0, 0)")]
    report.evaluate("window.dispatchEvent(new Event('afterprint'))")
    report.emulate_media(media="screen")
    assert report.get_by_text(MANY[5], exact=True).is_hidden()


def test_a_share_above_its_peak_is_told_and_stands_on_no_axis(
    browser: Browser, tmp_path: Path
) -> None:
    """50 tokens of 10 bytes in 4 s, then in 1 s, at 400 bytes/s at most: 31.25 %, 125 %."""
    known = {"bytes_per_token": 10.0, "peak_bytes_per_s": 400.0}
    records = [*trial(0, 10), mark(1, "decode", **known), mark(5, tokens=50), mark(6, tokens=50)]
    opened = browser.new_page()
    opened.goto(write_report([write(tmp_path, [*records, mark(6, None)])]).as_uri())
    opened.get_by_text("1 of 2 stretches show up to 125 % of the peak bandwidth").wait_for()
    panel = opened.get_by_role("img", name="Share of peak in % over time")
    words = panel.locator("text[text-anchor=end]").all_text_contents()
    levels = [float(word) for word in words if word.replace(".", "").isdigit()]
    assert levels
    assert min(levels) < 31.25 < max(levels) < 100
    opened.close()
