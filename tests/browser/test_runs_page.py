"""The runs page in a real browser: find, open, compare, delete; and what a run may not do to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kit import commands, website
from kit.run_folder import START_S, trial, write
from thermoflop.report.html.page import write_report
from thermoflop.runs.folder.store import RunStore
from thermoflop.runs.gpu.sample import GpuSample

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

EVIL = "<img src=x onerror=alert(1)>\x1b[31m</script><script>alert(2)</script>"


HOSTILE = [
    b"",
    b"null",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"format":1,"ended":{"duration_s":1e999},"started":[],"exit_code":"0"}',
    b'{"format":1,"ended":{"duration_s":1' + b"0" * 400 + b'},"labels":[1],"command":{"a":1}}',
    b'{"format":1,"ended":{"end":{"a":[]}},"started":{"utc":7},"labels":{"a":null},"command":[[]]}',
    b'{"format":99}',
    b'{"format":1,"host":[1],"gpu":"x","absent":3,"board":[],"notices":7,"git":1,"trials":{}}',
    b'{"format":1,"gpu":{"devices":[1,{"missing":1}]},"board":{"hello":1},"notices":null}',
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two recorded runs; the second one failed."""
    runs = tmp_path_factory.mktemp("recorded") / "runs"
    options = ["--out", str(runs), "--port", "sim://?speed=20&uptime=60", "--gpu", "sim"]
    for name, code in (("first", 0), ("second", 3)):
        parts = ["record", *options, "--name", name, "--label", f"kind={name}", "--", "sh", "-c"]
        assert commands.run(*parts, f"sleep 0.6; exit {code}").returncode == code
    return runs


@pytest.fixture(scope="module")
def site(recorded: Path) -> Iterator[website.Site]:
    """A server for a copy of that folder."""
    with website.Site(recorded.with_name("shown"), "--gpu", "none") as running:
        yield running


@pytest.fixture(autouse=True)
def runs(recorded: Path, site: website.Site) -> Path:
    """The copy, made anew: a test may change it."""
    shutil.rmtree(site.runs, ignore_errors=True)
    shutil.copytree(recorded, site.runs)
    return site.runs


def rows(page: Page) -> Locator:
    """The runs of the list."""
    return page.locator("table.runs tbody tr")


def test_runs_are_listed_newest_first_and_filtered(page: Page) -> None:
    page.goto("/runs")
    page.get_by_text("2 of 2 runs").wait_for()
    assert re.search("second.*first", " ".join(rows(page).all_inner_texts()), re.DOTALL)
    rows(page).nth(0).get_by_text("exit 3", exact=True).wait_for()
    page.get_by_label("Filter").fill("KIND=first")
    page.get_by_text("1 of 2 runs").wait_for()
    assert rows(page).count() == 1
    page.get_by_label("Filter").fill("there is no such run")
    page.get_by_text("0 of 2 runs").wait_for()


def test_a_report_opens_in_a_sandbox_of_its_own(page: Page) -> None:
    page.goto("/runs")
    with page.context.expect_page() as opened:
        rows(page).nth(1).get_by_role("link", name=re.compile("report of")).click()
    report = opened.value
    report.get_by_role("heading", level=1, name="first").wait_for()
    report.locator(".chart svg").first.wait_for()  # its script ran
    assert report.evaluate("window.origin") == "null"
    with pytest.raises(Exception, match="sandboxed"):
        report.evaluate("document.cookie")


def test_what_a_pointer_reads_off_a_report_stays_on_the_screen(
    browser: Browser, tmp_path: Path
) -> None:
    """Of the first panel, while the last one is far below the screen's end."""
    readings = [
        GpuSample(START_S + n, 0.0, 0, temp_c=40.0 + n, power_w=200.0, sm_mhz=1980.0)
        for n in range(10)
    ]
    folder = write(tmp_path, [*trial(0, 10), *readings])
    height = 400
    page = browser.new_page(viewport={"width": 1280, "height": height})
    page.goto(write_report([folder]).as_uri())
    panel = page.get_by_label("GPU temperature in °C over time")
    panel.scroll_into_view_if_needed()
    reading = page.locator(".reading")
    assert not reading.is_visible()
    for y in (20, height - 20):  # wherever the panel is, the reading is not over it
        bounds = panel.bounding_box()
        assert bounds is not None
        page.mouse.wheel(0, bounds["y"] + 40 - y)
        page.wait_for_timeout(100)
        page.mouse.move(640, y)
        reading.get_by_text(re.compile(r"^at .* · GPU 0 4[0-9] °C · ")).wait_for()
        box = reading.bounding_box()
        assert box is not None
        assert 0 <= box["y"] <= height - box["height"]
        assert not box["y"] - 8 <= y <= box["y"] + box["height"] + 8
    page.mouse.move(2, 2)
    assert not reading.is_visible()
    page.close()


def test_runs_are_compared(page: Page) -> None:
    page.goto("/runs")
    assert page.get_by_role("button", name="Compare").is_disabled()
    for row in (0, 1):
        rows(page).nth(row).get_by_role("checkbox").click()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Compare 2 runs").click()
    compared = opened.value
    compared.get_by_role("heading", level=1, name=re.compile("first and second|second and first"))
    compared.get_by_role("row", name=re.compile("^label kind")).wait_for()


def test_a_run_is_deleted_only_after_it_was_confirmed(page: Page, runs: Path) -> None:
    before = sorted(path.name for path in runs.iterdir())
    page.goto("/runs")
    rows(page).nth(0).get_by_role("button", name=re.compile("delete")).click()
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("dialog").wait_for(state="hidden")
    assert sorted(path.name for path in runs.iterdir()) == before
    rows(page).nth(0).get_by_role("button", name=re.compile("delete")).dblclick()
    assert before[1] in page.get_by_role("dialog").inner_text()
    page.get_by_role("button", name="Delete for good").click()  # asked once
    page.get_by_text("1 of 1 runs").wait_for()
    assert [path.name for path in runs.iterdir()] == before[:1]


def test_a_run_that_goes_on_is_marked_and_cannot_be_deleted(page: Page, runs: Path) -> None:
    store = RunStore(runs, "going on")
    store.write_run({"name": "going on", "started": {"utc": "2026-01-01T00:00:00Z"}, "ended": None})
    page.goto("/runs")
    row = rows(page).filter(has_text="going-on")
    row.get_by_text("recording", exact=True).wait_for()
    assert row.get_by_role("button", name=re.compile("delete")).count() == 0
    store.close()
    page.get_by_role("button", name="Look again").click()
    row.get_by_text("cut off").wait_for()


def test_markup_in_a_run_is_shown_as_text(page: Page, runs: Path) -> None:
    (folder, _) = sorted(runs.iterdir())
    evil = runs / "2027<img src=x onerror=alert(3)>'\"&amp;"
    folder.rename(evil)
    run = json.loads((evil / "run.json").read_text())
    run |= {"name": EVIL, "command": [EVIL, EVIL], "labels": {EVIL: EVIL}}
    run["started"]["utc"] = EVIL
    run["ended"]["end"] = EVIL
    run["exit_code"] = None
    (evil / "run.json").write_text(json.dumps(run))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto("/runs")
    row = rows(page).filter(has_text="2027")
    row.get_by_text("<img src=x onerror=alert(1)>").first.wait_for()
    assert "\x1b" not in row.inner_text()
    with page.context.expect_page() as opened:
        row.get_by_role("link").click()
    report = opened.value
    report.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    report.get_by_role("heading", level=1).wait_for()
    assert report.locator("img").count() + page.locator("img").count() == 0
    row.get_by_role("button", name=re.compile("delete")).click()
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_text("1 of 1 runs").wait_for()
    assert not evil.exists()
    assert dialogs == []


OUTSIDE = [
    "..", ".", "../secret", "%2e%2e", "..%2fsecret", "%2e%2e%2fsecret", "a/../../secret",
    "/etc", "%2fetc", "secret%00", "..%5csecret", "linked", "%0d%0aSet-Cookie:%20a=b",
]  # fmt: skip


def test_a_run_s_name_does_not_lead_out_of_the_folder(site: website.Site, runs: Path) -> None:
    secret = runs.parent / "secret"
    shutil.copytree(sorted(runs.iterdir())[0], secret)
    (runs / "linked").symlink_to(secret)
    for name in OUTSIDE:
        for path in (f"runs/{name}/report", f"runs/compare?run={name}"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(site.url + path, timeout=20)
            assert refused.value.code in (400, 404), path
            assert "set-cookie" not in refused.value.headers
            assert b"<h1>" not in refused.value.read()


def test_a_run_whose_facts_make_no_sense_costs_its_own_line_alone(page: Page, runs: Path) -> None:
    for number, text in enumerate(HOSTILE):
        folder = runs / f"20270101T000000Z-odd-{number:06x}"
        folder.mkdir()
        (folder / "samples.jsonl").write_bytes(b"{}\n")
        (folder / "run.json").write_bytes(text)
    page.goto("/runs")
    page.get_by_text(f"{len(HOSTILE) + 2} of {len(HOSTILE) + 2} runs").wait_for()
    assert rows(page).filter(has_text="-odd-").count() == len(HOSTILE)
    for number in range(len(HOSTILE)):
        answer = page.request.get(f"/runs/20270101T000000Z-odd-{number:06x}/report")
        assert answer.status in (200, 404)
        assert "run.json" in answer.text()
        assert "Traceback" not in answer.text()


def test_a_run_whose_name_is_not_utf_8_is_listed_and_opened(page: Page, runs: Path) -> None:
    folder = runs / os.fsdecode(b"20270101T000000Z-b\xe4d-000000")
    shutil.copytree(next(runs.iterdir()), folder)
    facts = json.loads((folder / "run.json").read_text()) | {"command": ["\ud800"]}
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "report.html").unlink(missing_ok=True)
    page.goto("/runs")
    page.get_by_text("3 of 3 runs").wait_for()
    assert rows(page).count() == 3
    odd = rows(page).filter(has_text="20270101T000000Z-b")
    answer = page.request.get(str(odd.get_by_role("link").get_attribute("href")))
    assert answer.status == 200
    assert "run.json" in answer.text()


def test_a_report_that_is_a_pipe_holds_up_nobody(page: Page, runs: Path) -> None:
    folder = next(runs.iterdir())
    (folder / "report.html").unlink(missing_ok=True)
    os.mkfifo(folder / "report.html")
    for _ in range(3):
        answer = page.request.get(f"/runs/{folder.name}/report", timeout=20_000)
        assert answer.status == 200


def test_an_empty_folder_is_told_in_words(page: Page, runs: Path) -> None:
    shutil.rmtree(runs)
    page.goto("/runs")
    page.get_by_text("Nothing has been recorded in").wait_for()
