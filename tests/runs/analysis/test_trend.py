"""Figures over time: what is beyond the spread is marked, and what is not is left alone."""

from __future__ import annotations

import math

import pytest
from thermoflop.runs.analysis.trend import trend

STEADY = [10.0, 12.0, 10.0, 12.0]


def test_the_next_run_is_expected_where_99_of_100_lie() -> None:
    """Mean 11, variance 4/3 of 4 values; t of 3 degrees of freedom, two-sided 99 %, is 5.841."""
    point = trend([*STEADY, 11.0])[-1]
    half = 5.841 * math.sqrt(4 / 3) * math.sqrt(1 + 1 / 4)
    assert (point.low, point.high) == pytest.approx((11 - half, 11 + half))
    assert point.mark == ""


def test_a_move_is_marked_once_and_what_follows_is_held_against_it() -> None:
    marks = [point.mark for point in trend([*STEADY, 30.0, 31.0, 30.0, 31.0, 30.0, 11.0])]
    assert marks == ["", "", "", "", "moved", "", "", "", "", "moved"]


def test_one_run_that_stands_apart_moves_nothing() -> None:
    points = trend([*STEADY, 30.0, 11.0, 12.0])
    assert [point.mark for point in points] == ["", "", "", "", "alone", "", ""]


def test_whole_degrees_that_were_all_the_same_do_not_make_a_move_of_the_next() -> None:
    """65 four times: a degree more is rounding (step / sqrt(12) times 5.841 times sqrt(5 / 4))."""
    assert [point.mark for point in trend([65.0] * 4 + [66.0], step=1.0)] == [""] * 5
    assert trend([65.0] * 4 + [68.0], step=1.0)[-1].mark == "moved"
