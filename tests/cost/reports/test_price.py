"""A million tokens cost what the hours of all devices do."""

from __future__ import annotations

import json

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder
from thermoflop.base.units import digits
from thermoflop.cost.reports.estimate import ReportOptions, estimate_report
from thermoflop.errors import UsageError


def test_an_estimate_says_what_a_million_tokens_cost():
    """3.6 an hour and device: 0.002 a second of both, for 4 sequences of 30 tokens."""
    run = {"devices": 2, "batch": 4, "prompt": 50, "generate": 30}
    total = tf.estimate(decoder(), DEVICE, **run).total
    each = {end: 1e6 * 0.002 * getattr(total, f"{end}_s") / 120
            for end in ("expected", "low", "high")}  # fmt: skip
    said = estimate_report(decoder(), DEVICE, run, ReportOptions(price=3.6, as_json=True))[0]
    assert json.loads(said)["price_per_million"] == pytest.approx(each)
    text, _ = estimate_report(decoder(), DEVICE, run, ReportOptions(price=3.6))
    figures = f"{digits(each['expected'])} ({digits(each['low'])} .. {digits(each['high'])})"
    assert f"at 3.6 a device hour: {figures} a million generated tokens, prompts included" in text


def test_a_price_that_is_none_is_refused_and_none_is_said_where_none_is_asked_for():
    with pytest.raises(UsageError, match=r"^price=0"):
        estimate_report(decoder(), DEVICE, {}, ReportOptions(price=0))
    assert "a device hour" not in estimate_report(decoder(), DEVICE, {})[0]
