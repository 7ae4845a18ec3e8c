"""The answer as HTML: every text is escaped, and a number without a reason cannot be pressed."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from thermoflop.base.explanation import Explanation
from thermoflop.base.record import replace
from thermoflop.base.sheet import Figure, Grid, Row
from thermoflop.web.estimator.answer import Answer
from thermoflop.web.estimator.inputs import DEFAULTS
from thermoflop.web.estimator.markup import (
    button_html,
    explained_html,
    first_html,
    formulas_html,
    grid_html,
    headline_html,
    item_html,
)

BAD = "<img src=x onerror=alert(1)> & \"two\" 'one'"
FIGURE = Figure(BAD, BAD, BAD, 2.0, "s", BAD, BAD, 1.0, 1.5, 4.0)
GRID = Grid("g", BAD, (BAD, "b", "c", "d"), (Row(BAD, (FIGURE,) * 4),), BAD)


class Reader(HTMLParser):
    """The tags, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize(
    "html",
    [
        item_html(BAD),
        button_html(FIGURE),
        headline_html(FIGURE),
        grid_html(GRID),
        formulas_html([(BAD, BAD, BAD)]),
        explained_html(Explanation(BAD, BAD, (BAD,), (BAD, BAD), ((BAD, BAD),), "", (BAD,))),
        first_html(Answer(DEFAULTS, BAD, (FIGURE,), (GRID,), BAD, True)),
    ],
)
def test_no_text_becomes_a_tag_or_an_attribute(html: str) -> None:
    read = Reader(html)
    assert BAD in read.texts
    assert not [tag for tag, found in read.tags if tag == "img" or "onerror" in found]


def test_a_number_opens_its_reason_or_is_disabled() -> None:
    ((tag, found),) = Reader(button_html(FIGURE)).tags
    assert (tag, found["data-why"], "disabled" in found) == ("button", BAD, False)
    ((tag, found),) = Reader(button_html(replace(FIGURE, why=""))).tags
    assert (tag, "data-why" in found, "disabled" in found) == ("button", False, True)


def test_nothing_of_the_first_answer_can_be_pressed() -> None:
    read = Reader(first_html(Answer(DEFAULTS, "a title", (FIGURE,), (GRID,), "Fits.", True)))
    assert not {tag for tag, _ in read.tags} & {"button", "a", "input"}
    assert {"Fits.", "a title"} <= set(read.texts)


def test_a_band_spans_the_interval_on_a_scale_that_ends_above_it() -> None:
    html = headline_html(replace(FIGURE, label="l", text="2 s"))
    left, width = re.findall(r"band-range\" style=\"left: ([\d.]+)%; width: ([\d.]+)%", html)[0]
    # 1.5 to 4 of 1.04 x 4
    assert float(left) == pytest.approx(100 * 1.5 / 4.16, abs=0.05)
    assert float(width) == pytest.approx(100 * 2.5 / 4.16, abs=0.05)
    assert "80 %: 1.50 s to 4.00 s, bound 1.00 s" in html
