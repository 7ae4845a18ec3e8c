"""The picture of a figure over runs."""

from __future__ import annotations

import re

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
