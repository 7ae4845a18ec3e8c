"""A time with its bound, its expectation and the interval of the expectation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record

if TYPE_CHECKING:
    from thermoflop.base.number import Number


@record
class Span:
    """A time in seconds: the bound that no run beats, the expectation, and its 80 % interval."""

    bound_s: Number
    expected_s: Number
    low_s: Number
    high_s: Number
