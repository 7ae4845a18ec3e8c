"""The frontier on the estimator page: plan's own points, and a band along both axes."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.plan.result import Point
from thermoflop.web.estimator.charts import frontier_options
from thermoflop.web.estimator.fields import FieldError
from thermoflop.web.estimator.frontier import band_of, frontier
from thermoflop.web.estimator.inputs import DEFAULTS


def test_the_page_shows_the_frontier_that_plan_finds_and_its_own_place() -> None:
    inputs = replace(DEFAULTS, model="gpt2", prompt=512, output=128, users=4)
    data = frontier(inputs)
    found = tf.plan("gpt2", "h100", prompt=512, generate=128, profile=None).frontier
    assert [(x, y) for x, y, _, _ in data["points"]] == [
        (each.tokens_per_s_user, each.tokens_per_s_device) for each in found
    ]
    served = tf.serving("gpt2", "h100", users=4, prompt=512, generate=128)
    assert data["here"] == [1 / served.token_s[1], served.tokens_per_s_device]
    alone = frontier(replace(inputs, users=1))["here"]
    assert alone[1] == pytest.approx(alone[0])  # one GPU, one user
    assert frontier(replace(inputs, users=8))["points"] == data["points"]


def test_the_band_moves_each_point_along_both_speeds() -> None:
    points = (
        Point("d", "a", 10.0, 400.0, 40.0, (0.5, 2.0)),
        Point("d", "b", 100.0, 50.0, 1.0, (0.8, 1.25)),
    )
    assert band_of(points) == [[5.0, 200.0], [80.0, 40.0], [125.0, 62.5], [20.0, 800.0]]


def test_the_interval_of_a_point_is_that_of_a_choice_of_the_same_device() -> None:
    found = tf.plan("gpt2", "h100", prompt=64, generate=64, max_devices=1, dtypes=["bf16"])
    low, expected, high = found.choices[0].per_device
    late, soon = found.frontier[0].interval
    assert (late, soon) == pytest.approx((low / expected, high / expected))


def test_the_axes_hold_the_points_and_their_band() -> None:
    data = {"devices": 8, "points": [[10.0, 400.0, "tp=1", 3.0]], "band": [[5.0, 2000.0]],
            "here": [101.0, 20.0]}  # fmt: skip
    options = frontier_options(data)
    assert (options["xAxis"]["min"], options["xAxis"]["max"]) == (1.0, 1000.0)
    assert (options["yAxis"]["min"], options["yAxis"]["max"]) == (10.0, 10000.0)


def test_what_generates_nothing_has_no_frontier() -> None:
    with pytest.raises(FieldError, match="nothing is generated"):
        frontier(replace(DEFAULTS, model="bert-base", prompt=128))
