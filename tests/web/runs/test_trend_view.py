"""The picture of a figure over runs."""

from __future__ import annotations

import re

import pytest
from thermoflop.runs.analysis.trend import Point
from thermoflop.web.runs.trend_view import picture


def test_a_figure_that_is_never_negative_has_no_axis_below_nothing() -> None:
    """Few runs that differ much have a band that reaches below 0: it ends there."""
    points = [Point(each) for each in (165.0, 462.0, 417.0, 368.0)] + [Point(321.0, -900, 1600)]
    drawn = picture(points, ["run"] * 5, "all tokens/s")
    assert min(float(each) for each in re.findall(r'text-anchor="end">([-0-9.]+)<', drawn)) == 0
    (height,) = re.findall(r'class="band".* height="(.*?)"', drawn)
    cold = picture([Point(-5.0), Point(3.0)], ["run"] * 2, "peak °C")
    assert float(height) > 0
    assert '">-5<' in cold or '">-4<' in cold


def test_a_figure_below_nothing_keeps_room_under_its_lowest_point() -> None:
    """Of 180 pixels from 24 down to 204, a margin of 8 % of the spread on both sides."""
    drawn = picture([Point(-5.0), Point(3.0), Point(-20.0)], ["run"] * 3, "peak °C")
    (curve,) = re.findall(r'class="curve board" points="(.*?)"', drawn)
    lowest = max(float(pair.split(",")[1]) for pair in curve.split())
    assert lowest == pytest.approx(204 - 180 * 0.08 / 1.16, abs=0.1)
