"""What a million tokens of an estimate cost at a price of a device hour."""

from __future__ import annotations

from thermoflop.base.sheet import Figure, figure
from thermoflop.base.units import digits
from thermoflop.cost.inference.result import Estimate


def million_cost(estimate: Estimate, price: float) -> Figure:
    """The price of a million generated tokens (of an encoder, of tokens read), prompt included."""
    tokens = estimate.batch * (estimate.generate or estimate.prompt)
    hourly = price * estimate.plan.devices / 3600
    total = estimate.total
    bound, expected, low, high = (
        1e6 * hourly * float(seconds) / tokens
        for seconds in (total.bound_s, total.expected_s, total.low_s, total.high_s)
    )
    why = "total.expected" if estimate.generate > 1 else "first.expected"
    return figure("cost", "cost", expected, "", digits(expected), why=why, ends=(bound, low, high))


def price_text(estimate: Estimate, price: float) -> str:
    """The same as a line."""
    cost = million_cost(estimate, price)
    between = f"{digits(cost.low or 0)} .. {digits(cost.high or 0)}"
    what = "generated tokens, prompts included" if estimate.generate else "tokens"
    return f"at {price:g} a device hour: {cost.text} ({between}) a million {what}"
