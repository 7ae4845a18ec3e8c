"""What every page shares: navigation, light and dark, landmarks, the keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGES = [("/", "Estimator"), ("/live", "Live"), ("/runs", "Runs")]


@pytest.mark.parametrize(("path", "name"), PAGES)
def test_each_page_has_its_landmarks_and_marks_itself_in_the_navigation(
    page: Page, path: str, name: str
) -> None:
    page.goto(path)
    assert page.get_by_role("heading", level=1).inner_text() == name
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("banner").count() == 1
    links = page.get_by_role("navigation").get_by_role("link")
    assert links.all_inner_texts() == [name for _, name in PAGES]
    assert page.locator("nav [aria-current=page]").inner_text() == name


@pytest.mark.parametrize("path", ["/nowhere/<b>", "/runs/nobody/report", "/runs/compare"])
def test_what_is_not_there_is_said_in_the_frame_with_ways_back(page: Page, path: str) -> None:
    answer = page.request.get(path)
    assert answer.status == 404
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    page.set_content(answer.text())
    links = page.get_by_role("navigation").get_by_role("link")
    assert links.all_inner_texts() == [name for _, name in PAGES]
    assert page.get_by_role("main").get_by_role("link").count() == len(PAGES)
    assert page.locator("b").count() == 0


def test_the_first_tab_stop_skips_to_the_content(page: Page) -> None:
    page.goto("/live")
    page.get_by_role("heading", level=1).wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_colours_follow_the_system_until_one_is_chosen_and_the_choice_is_remembered(
    page: Page,
) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/live")
    page.locator("body.body--dark").wait_for()
    button = page.get_by_role("button", name="Theme")
    button.click()
    page.locator("body.body--light").wait_for()
    page.wait_for_function("document.cookie.includes('=light')")  # sent after the colours
    page.goto("/runs")
    page.get_by_role("button", name="Theme: light").wait_for()
    assert page.locator("body.body--dark").count() == 0
