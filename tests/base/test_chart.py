"""Axes, lines and bands of the charts: where values lie, what is labelled, what a reader sees."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from thermoflop.base.chart import (
    Axis,
    bands,
    decades,
    decimals,
    document,
    legend,
    line,
    nice_step,
    text,
    time_unit,
)

PIXELS = Axis(0.0, 100.0, 0.0, 100.0)  # a value is its own place


def test_a_decade_of_a_logarithmic_axis_is_as_wide_as_the_next() -> None:
    """0.1 to 100 are three decades over 300 pixels; 1 lies after the first of them."""
    axis = decades([0.3, 70.0], 50.0, 350.0)
    assert (axis.low, axis.high) == pytest.approx((0.1, 100.0))
    assert [axis(value) for value in (0.1, 1, 10, 100)] == pytest.approx([50, 150, 250, 350])
    assert [label for _, label in axis.ticks()] == ["0.1", "1.00", "10.0", "100"]


def test_equal_values_still_have_an_axis() -> None:
    axis = decades([10.0, 10.0], 0.0, 1.0)
    assert axis.high == pytest.approx(10 * axis.low)


def test_what_is_beyond_an_axis_lies_at_its_end() -> None:
    axis = Axis(20.0, 30.0, 400.0, 100.0)
    assert [axis(value) for value in (-5, 20, 25, 30, 99)] == [400, 400, 250, 100, 100]


@pytest.mark.parametrize(
    ("span", "most", "step"), [(10, 10, 1), (10, 6, 2), (0.7, 6, 0.2), (13, 6, 2.5), (95, 6, 20)]
)
def test_ticks_are_round_numbers(span: float, most: int, step: float) -> None:
    """1, 2, 2.5 or 5 times a power of ten."""
    assert nice_step(span, most) == pytest.approx(step)


def test_labels_of_an_axis_tell_their_steps_apart() -> None:
    """A step of 2.5 needs a digit more than one of 2: 12.5 is not printed as 12."""
    assert [decimals(step) for step in (0.25, 0.5, 1, 2.5, 5, 10, 25)] == [2, 1, 0, 1, 0, 0, 0]
    labels = [label for _, label in Axis(10.0, 23.0, 0.0, 1.0).ticks()]
    assert labels == ["10.0", "12.5", "15.0", "17.5", "20.0", "22.5"]


@pytest.mark.parametrize(
    ("end_s", "unit"),
    [(60, "seconds"), (600, "minutes"), (40_000, "hours"), (1_000_000, "days")],
)
def test_the_time_axis_speaks_in_a_fitting_unit(end_s: float, unit: str) -> None:
    """Nobody counts hours in seconds."""
    assert time_unit(end_s)[0] == unit


def test_a_time_axis_that_starts_before_zero_has_its_zero_labelled() -> None:
    """Eleven minutes from one before zero: a tick each two minutes, at even minutes."""
    unit, ticks = Axis(-60.0, 600.0, 0.0, 1.0).time_ticks()
    assert unit == "minutes"
    assert ticks == [(120.0 * n, str(2 * n)) for n in range(6)]


def test_a_line_keeps_what_a_column_of_pixels_shows() -> None:
    """Of a thousand points in one column: the first, the lowest, the highest, the last."""
    points = [(10 + n / 1001, 50.0 + n % 7) for n in range(1000)]
    points[300], points[600] = (points[300][0], 90.0), (points[600][0], 5.0)
    (drawn,) = line([(0.0, 50.0), *points, (20.0, 50.0)], PIXELS, PIXELS, "red")
    heights = [float(y) for y in re.findall(r",([0-9.]+)", drawn)]
    assert heights == [50.0, 50.0, 90.0, 5.0, 50.0 + 999 % 7, 50.0]


def test_a_line_breaks_where_there_is_no_value_and_a_lone_point_is_a_dot() -> None:
    parts = line([(0, 1), (9, 2), (10, None), (20, 3), (21, None)], PIXELS, PIXELS, "red")
    assert [part.split()[0] for part in parts] == ["<path", "<circle"]


def test_bands_that_touch_are_one_and_short_ones_can_be_seen() -> None:
    """Two that overlap, one of no length at all, which is drawn two pixels wide."""
    drawn = bands([(0, 10), (5, 8), (20, 20)], PIXELS, 0, 7, 'fill="red"', least_px=2)
    assert re.findall(r"M([0-9.]+) 0h([0-9.]+)", drawn) == [("0.0", "10.0"), ("20.0", "2.0")]
    assert bands([], PIXELS, 0, 7, "") == ""


def test_words_cannot_leave_their_element_or_break_the_file() -> None:
    """Markup is text, and a control character, which XML forbids, is a question mark."""
    words = "</text><script>\x00&"
    root = ElementTree.fromstring(document(9, 9, words, [text(0, 0, words)]))  # noqa: S314
    assert [each.text for each in root if each.text] == ["</text><script>?&"] * 2


def test_a_legend_at_the_right_ends_before_its_edge() -> None:
    """The last name starts so far to the left that it has room."""
    parts = legend([("prefill", 'fill="red"'), ("decode", 'fill="red"')], 500, 20, anchor="end")
    starts = [float(x) for x in re.findall(r'<text x="([0-9.]+)"', "".join(parts))]
    assert starts == sorted(starts)
    assert starts[-1] + 6 * len("decode") < 500
