"""The live page in a real browser: boards, faults, control, recordings, GPUs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kit import website
from kit.board_lines import Pty, hello_line, sample_line, seal, settings_line
from kit.commands import ENVIRONMENT, command
from thermoflop.model.mults import (
    DecoderShape,
    exact_mults,
    page_mults,
    script_mults,
    script_params,
)
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Sample, decode
from thermoflop.runs.folder.reader import RunReader
from thermoflop.runs.folder.records import Record
from thermoflop.runs.folder.store import RunStore, is_being_written

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

# a board that has been on for a minute, four times as fast as time, with no heat but a finger's
CALM = "sim://?heat=off&uptime=60&speed=4"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[website.Site]:
    """A server of this module's own, with a board that stays cool by itself."""
    runs = tmp_path_factory.mktemp("live") / "runs"
    with website.Site(runs, "--port", CALM, "--gpu", "sim") as running:
        yield running


def board(page: Page) -> Locator:
    """The card of the only board."""
    return page.locator("section[aria-label=Boards] .card")


def control(page: Page) -> Locator:
    """The same with its control switched on."""
    card = board(page)
    switch = card.get_by_role("switch", name="Control this board")
    if switch.get_attribute("aria-checked") != "true":
        switch.click()
    return card


def figure(place: Locator, name: str) -> Locator:
    """The number beside a word."""
    return place.locator(".facts div", has=place.page.get_by_text(name, exact=True)).locator("b")


def test_the_simulated_finger_starts_the_fan_and_its_end_stops_it(page: Page) -> None:
    page.goto("/live")
    card = board(page)
    card.get_by_text("fan off", exact=True).wait_for()
    card.get_by_role("button", name="Put a finger on the simulated thermistor").click()
    card.get_by_text("fan on", exact=True).wait_for()
    assert card.get_by_text("simulated", exact=True).is_visible()
    assert card.locator("svg.turns").count() == 1
    assert float(card.locator(".big").inner_text()) >= 28.0
    card.get_by_text("Events").click()
    card.get_by_text(re.compile("fan on: warm enough to start at 29")).wait_for()
    card.get_by_text("fan off", exact=True).wait_for(timeout=40_000)
    assert card.locator("svg.turns").count() == 0


def test_readings_move_and_the_plot_shows_the_thresholds(page: Page) -> None:
    page.goto("/live")
    card = board(page)
    samples = figure(card, "samples")
    page.wait_for_function("document.querySelector('.curve.board')?.getAttribute('d').length > 20")
    before = int((samples.text_content() or "").replace(",", ""))
    page.locator("[data-plots]").get_by_text("fan on at 29.0 °C").wait_for()
    page.locator("[data-plots]").get_by_text("off at 28.0 °C").wait_for()
    page.wait_for_function(
        "([box, n]) => Number(box.textContent.replace(',', '')) > n",
        arg=[samples.element_handle(), before],
    )
    assert figure(card, "lost").text_content() == "0"


def test_nothing_can_be_said_to_the_board_before_control_is_switched_on(page: Page) -> None:
    page.goto("/live")
    card = board(page)
    card.get_by_role("switch", name="Control this board").wait_for()
    assert card.get_by_role("button", name="Save settings").count() == 0
    control(page).get_by_role("button", name="Save settings").wait_for()


def test_a_setpoint_is_set_and_the_board_s_own_words_say_why_not(page: Page) -> None:
    page.goto("/live")
    card = control(page)
    card.get_by_label("Fan on at, °C").fill("33")
    card.get_by_label("Fan off at, °C").fill("31.5")
    card.get_by_role("button", name="Set", exact=True).click()
    card.get_by_text(re.compile("Done: fan on at 33")).wait_for()
    page.locator("[data-plots]").get_by_text("fan on at 33.0 °C").wait_for()
    card.get_by_label("Fan on at, °C").fill("500")
    card.get_by_role("button", name="Set", exact=True).click()
    refused = card.get_by_text(re.compile("The board refused: "))
    refused.wait_for()
    assert "on_c" in refused.inner_text()
    card.get_by_label("Fan on at, °C").fill("29")
    card.get_by_label("Fan off at, °C").fill("28")
    card.get_by_role("button", name="Set", exact=True).click()
    page.locator("[data-plots]").get_by_text("fan on at 29.0 °C").wait_for()


def test_the_fan_can_be_overridden_and_given_back(page: Page) -> None:
    page.goto("/live")
    card = control(page)
    card.get_by_role("button", name="On for that long").click()
    card.get_by_text("mode on").wait_for()
    card.get_by_role("button", name="Automatic").click()
    card.get_by_text("mode auto").wait_for()


def test_the_board_counts_multiplications_as_the_host_does(page: Page) -> None:
    page.goto("/live")
    card = control(page)
    card.get_by_text("Count multiplications on the board").click()
    card.get_by_role("button", name="Count", exact=True).click()
    card.get_by_text("Done: multiplications for one new token").wait_for()
    texts = card.locator(".wide .facts b").all_inner_texts()
    gpt2 = DecoderShape(12, 12, 768, 64, 1024, 3072, 50257)
    counts = [page_mults(gpt2), script_mults(gpt2), exact_mults(gpt2), script_params(gpt2)]
    assert texts == [f"{count:,}" for count in counts]


def test_the_self_check_says_what_doctor_says(page: Page) -> None:
    page.goto("/live")
    card = control(page)
    card.get_by_role("button", name="Self-check").click()
    card.get_by_text(re.compile(r"✓ firmware: \d+ good lines")).wait_for()
    card.get_by_text(re.compile("✓ faults: none")).wait_for()


def test_a_recording_is_started_commanded_and_stopped_from_the_page(
    page: Page, site: website.Site
) -> None:
    page.goto("/live")
    card = board(page)
    page.get_by_label("Name").fill("from the page")
    page.get_by_role("button", name="Start recording").click()
    row = page.locator(".recording")
    row.wait_for()
    (folder,) = site.runs.glob("*-from-the-page-*")
    assert is_being_written(folder)
    # the board stays on the page, and is commanded through the recorder that holds its port
    control(page).get_by_role("button", name="On for that long").click()
    card.get_by_text("mode on").wait_for()
    card.get_by_role("button", name="Automatic").click()
    card.get_by_text("mode auto").wait_for()
    row.get_by_role("button", name="Stop").click()
    page.get_by_text(f"{folder.name} has ended").wait_for()
    run = json.loads((folder / "run.json").read_text())
    assert run["ended"]["why"] == "SIGTERM"
    assert run["exit_code"] == 0
    assert run["counters"]["lost_samples"] == 0
    orders = [
        line for line in (folder / "samples.jsonl").read_text().splitlines() if "order" in line
    ]
    assert ["fan on 60" in orders[0], "fan auto" in orders[1]] == [True, True]
    # the port came back to the page
    samples = figure(card, "samples")
    before = int((samples.text_content() or "").replace(",", ""))
    page.wait_for_function(
        "([box, n]) => Number(box.textContent.replace(',', '')) > n",
        arg=[samples.element_handle(), before],
    )


def test_a_killed_server_costs_a_recording_nothing_and_the_next_one_shows_it(
    browser: Browser, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    with website.Site(runs, "--port", CALM, "--gpu", "none") as first:
        page = browser.new_page(base_url=first.url)
        page.goto("/live")
        page.get_by_label("Duration").fill("60s")  # should this test fail, it ends by itself
        page.get_by_role("button", name="Start recording").click()
        page.locator(".recording").wait_for()
        (samples,) = runs.glob("*/samples.jsonl")
        while samples.read_bytes().count(b'"k":"t"') < 10:  # it ends by itself: 20 lines a second
            page.wait_for_timeout(50)
        first.stop(signal.SIGKILL)
        page.locator(".dash.lost").wait_for()  # what was last heard looks old
        assert page.locator(".curve.board[d]").count() == 1
        page.close()
    folder = samples.parent
    acknowledged = samples.read_bytes()
    with website.Site(runs, "--gpu", "none") as second:
        page = browser.new_page(base_url=second.url)
        page.goto("/live")
        row = page.locator(".recording", has_text=folder.name)
        row.wait_for()
        board(page).get_by_text("no fault").wait_for()
        assert samples.stat().st_size > len(acknowledged)
        row.get_by_role("button", name="Stop").click()
        page.get_by_text(f"{folder.name} has ended").wait_for()
        page.close()
    assert samples.read_bytes().startswith(acknowledged)
    sent = [item.message.seq for item in RunReader(folder) if is_sample(item)]
    assert sent == list(range(sent[0], sent[-1] + 1))
    assert json.loads((folder / "run.json").read_text())["exit_code"] == 0


def test_closing_the_page_stops_nothing_that_was_asked_for(
    page: Page, site: website.Site, browser: Browser
) -> None:
    visitor = browser.new_page(base_url=site.url)
    visitor.goto("/live")
    visitor.get_by_label("Name").fill("left alone")
    visitor.get_by_label("Duration").fill("4s")
    visitor.get_by_role("button", name="Start recording").click()
    visitor.locator(".recording").wait_for()
    visitor.close()
    (folder,) = site.runs.glob("*-left-alone-*")
    assert is_being_written(folder)
    page.goto("/live")
    page.get_by_text(f"{folder.name} has ended").wait_for()
    run = json.loads((folder / "run.json").read_text())
    assert (run["ended"]["end"], run["exit_code"]) == ("done", 0)
    assert run["ended"]["duration_s"] >= 4


def test_a_recording_that_runs_operators_ends_when_its_time_is_over(
    page: Page, site: website.Site
) -> None:
    """They would take minutes; and the list says what was chosen, not what waits."""
    page.goto("/live")
    page.get_by_label("Name").fill("operators")
    page.get_by_label("Duration").fill("1s")
    page.get_by_label("Meanwhile").click()
    page.get_by_role("option", name="run the operators of a model").click()
    page.get_by_role("button", name="Start recording").click()
    page.get_by_text(re.compile("-operators-[0-9a-f]+ has ended")).wait_for()
    (folder,) = site.runs.glob("*-operators-*")
    run = json.loads((folder / "run.json").read_text())
    assert (run["ended"]["end"], run["exit_code"]) == ("done", 0)
    assert re.search(r"--gpu sim:\d+ ", " ".join(run["recorder"]))  # as warm as the page's own
    page.goto("/runs")
    row = page.locator("table.runs tr").filter(has_text="-operators-")
    row.get_by_text("recorded from the page for 1 s, meanwhile: thermoflop bench gpt2").wait_for()


def is_sample(item: Record) -> bool:
    """Whether a record of a run is a board's sample."""
    return isinstance(item, BoardLine) and isinstance(item.message, Sample)


def test_board_and_gpu_fill_one_screen_with_a_crosshair_at_the_same_moment_in_all_curves(
    browser: Browser, site: website.Site
) -> None:
    """1280x720, nothing to scroll for; the past of the GPU is there for who comes later."""
    page = browser.new_page(base_url=site.url, viewport={"width": 1280, "height": 720})
    page.goto("/live")
    page.locator("[data-plots] .chart").nth(4).wait_for()
    for place in (board(page), page.locator("[data-gpus] .card"), page.locator("[data-plots]")):
        box = place.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 720
    assert not page.get_by_text("reconnects").is_visible()  # link counters are behind a click
    page.wait_for_function("document.querySelector('.curve.line-0').getAttribute('d').length > 40")
    area = page.locator("[data-plots]").bounding_box()
    assert area is not None
    page.mouse.move(area["x"] + area["width"] - 60, area["y"] + 200)
    page.locator("[data-crosshair]", has_text=" ago").wait_for()
    page.locator("[data-plots] .crosshair").nth(4).wait_for(state="attached")
    values = page.locator("[data-plots] text.strong[text-anchor=end]").all_text_contents()
    assert [text.split(" ")[-1] for text in values] == ["°C", "°C", "W", "%", "MHz"]
    seen = len(page.locator(".curve.line-0").first.get_attribute("d") or "")
    page.goto("/runs")  # nobody looks
    page.wait_for_timeout(1500)
    page.goto("/live")
    page.wait_for_function(
        "(n) => (document.querySelector('.curve.line-0')?.getAttribute('d') || '').length >= n",
        arg=seen,
    )
    page.close()


def test_two_recordings_of_one_address_are_two_boards_and_two_curves(
    page: Page, site: website.Site
) -> None:
    """One says 20 °C all the time and the other 40: a curve of both would jump between them."""
    stores = [RunStore(site.runs) for _ in range(2)]
    try:
        for store, temp_c in zip(stores, (20.0, 40.0), strict=True):
            store.write_run({"format": 1, "port": {"url": "sim://"}})
            for seq in range(20):
                line = sample_line(seq, temp_c=temp_c).rstrip(b"\n")
                message = decode(line)
                assert isinstance(message, Sample)
                at_s = time.monotonic() - 5 + seq / 5
                store.write(BoardLine(at_s, time.time(), line, message))
        page.goto("/live")
        for store in stores:
            page.get_by_role("heading", name=f"Board at sim://, {store.folder.name}").wait_for()
            title = f"board at sim://, {store.folder.name}, °C"
            chart = page.locator("[data-plots] .chart", has=page.get_by_text(title, exact=True))
            curve = chart.locator(".curve[d*=L]")
            curve.wait_for(state="attached")
            heights = re.findall(r"[ML][0-9.]+ ([0-9.]+)", curve.get_attribute("d") or "")
            assert len(heights) > 2
            assert len(set(heights)) == 1
    finally:
        for store in stores:
            store.close()
    for store in stores:
        page.get_by_text(f"{store.folder.name} has ended").wait_for()


def test_a_page_whose_machine_slept_connects_again(page: Page) -> None:
    """Nobody tells it that the connection ended meanwhile; what it shows is of now again."""
    page.clock.install()
    streams: list[str] = []
    page.on("websocket", lambda s: streams.append(s.url) if s.url.endswith("/stream") else None)
    page.goto("/live")
    drawn = page.locator(".curve.board[d*=L]")
    drawn.wait_for(state="attached")
    page.clock.fast_forward(60_000)
    page.locator(".dash.lost").wait_for()
    page.locator(".dash:not(.lost)").wait_for()
    drawn.wait_for(state="attached")
    assert len(streams) == 2


def test_a_light_in_the_header_of_every_page_says_what_is_recorded(
    browser: Browser, tmp_path: Path
) -> None:
    """Phase and tokens a second, from what the command says of itself."""
    script = tmp_path / "work.py"
    script.write_text(
        "import time\nprint('phase=decode', flush=True)\n"
        "while True:\n    time.sleep(0.1)\n    print('tokens=5', flush=True)\n"
    )
    runs = tmp_path / "runs"
    words = command("record", "--port", "none", "--gpu", "none", "--out", str(runs), "--",
                    sys.executable, str(script))  # fmt: skip
    with website.Site(runs, "--gpu", "none", "--port", "none") as served:
        recorder = subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        try:
            page = browser.new_page(base_url=served.url)
            page.goto("/runs")
            light = page.locator("[data-light]", has_text=re.compile("decode · [0-9.]+ tokens/s"))
            light.wait_for()
            assert (light.inner_text()).startswith("Recording ")
            page.close()
        finally:
            recorder.send_signal(signal.SIGINT)
            recorder.wait(timeout=30)


def test_a_gpu_is_shown_with_its_reasons(page: Page) -> None:
    page.goto("/live")
    page.get_by_role("heading", name=re.compile("GPU 0: Simulated GPU")).wait_for()
    page.locator("[data-gpus] [role=status]").get_by_text(re.compile("hrottled")).wait_for()
    # one limit, where its driver slows it down, and not the chip's own at 92
    assert figure(page.locator("[data-gpus]"), "temperature").inner_text().endswith(" °C of 83")
    assert figure(page.locator("[data-gpus]"), "power").inner_text().endswith("of 300")
    assert figure(page.locator("[data-gpus]"), "fan").inner_text().endswith(" %")
    link = re.compile(r"PCIe (1.0 x16 of )?4.0 x16\s*[0-9,]+ in, [0-9,]+ out MB/s")
    page.locator("[data-gpus] .facts div", has_text=link).wait_for()
    page.locator("[data-gpus] summary", has_text="process").wait_for()


def test_memory_fan_and_pcie_of_gpus_have_curves_of_their_own(page: Page) -> None:
    """Kept by the server, on the same time axis as the board's."""
    page.goto("/live")
    page.locator("select[name=curves]").select_option("traffic")
    for name in ("memory used %", "fan %", "PCIe in MB/s", "PCIe out MB/s"):
        title = page.locator("[data-plots] text", has_text=f"GPU (simulated), {name}")
        title.wait_for(state="attached")
    drawn = "[...document.querySelectorAll('.curve.line-0')].filter((c) => c.getAttribute('d'))"
    page.wait_for_function(f"{drawn}.length > 3")


def test_without_board_and_gpu_the_page_says_so_and_offers_simulated_ones(
    browser: Browser, tmp_path: Path
) -> None:
    with website.Site(tmp_path / "runs", "--gpu", "none") as bare:
        page = browser.new_page(base_url=bare.url)
        page.goto("/live")
        page.get_by_text("No board is plugged in").wait_for()
        page.get_by_text("No GPU: not asked for").wait_for()
        page.get_by_role("button", name="Show a simulated GPU").click()
        page.get_by_role("heading", name=re.compile("GPU 0")).wait_for()
        page.get_by_role("button", name="Self-check").click()
        page.get_by_text(re.compile("✗ port: no serial port")).wait_for()
        page.get_by_role("textbox", name="Port").fill("/dev/there-is-none")
        page.get_by_role("button", name="Open this port").click()
        page.get_by_text("there is no port /dev/there-is-none").wait_for()
        page.get_by_role("button", name="Open a simulated board").click()
        board(page).get_by_text("no fault").wait_for()
        board(page).get_by_role("button", name="Close").click()
        board(page).wait_for(state="detached")
        page.close()


def test_markup_from_a_board_is_shown_as_text(page: Page, browser: Browser, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    port = Pty()
    board_says = hello_line().replace(b"Raspberry Pi Pico W with RP2040", evil.encode())
    body = board_says.split(b',"crc"')[0].decode()
    port.say(seal(body) + settings_line() + sample_line(0))
    with website.Site(tmp_path / "runs", "--port", port.path, "--gpu", "none") as site:
        seen = browser.new_page(base_url=site.url)
        dialogs: list[str] = []
        seen.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        seen.goto("/live")
        port.say(seal(body))
        log = f'{{"k":"log","boot":"3fa2c1","text":"{evil}\\u001b[31m"'
        endless = '{"k":"settings","boot":"3fa2c1","part":1,"parts":1,"on_c":1e999,"off_c":[1]'
        port.say(seal(endless))
        event = f'{{"k":"e","boot":"3fa2c1","n":0,"up_s":1.0,"ev":"odd","note":"{evil}"'
        port.say(seal(log) + seal(event) + sample_line(1))
        board(seen).get_by_text("Events").click()
        news = board(seen).locator(".news")
        news.get_by_text(evil + r"\x1b[31m").wait_for()
        news.get_by_text(f"odd: note {evil}").wait_for()
        assert seen.locator("img[src=x]").count() == 0
        assert dialogs == []
        seen.close()
