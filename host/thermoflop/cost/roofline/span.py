"""A time with its bound, its expectation and the interval of the expectation."""

from __future__ import annotations

from thermoflop.base.number import Number, maximum
from thermoflop.base.record import fields_of, record


@record
class Span:
    """A time in seconds; arrays where the sizes of an estimate were.

    Attributes:
        bound_s: no run of these sizes is faster: every operator at the peak of the data sheet.
        expected_s: the expectation, never below the bound.
        low_s: lower end of the interval that holds 80 % of measured runs.
        high_s: upper end of that interval.

    Example:
        >>> import thermoflop as tf
        >>> span = tf.estimate("gpt2", "a100", prompt=512).per_token
        >>> span.bound_s <= span.low_s <= span.expected_s <= span.high_s
        True
    """

    bound_s: Number
    expected_s: Number
    low_s: Number
    high_s: Number


def span_of(bound: Number, expected: Number, low: float, high: float) -> Span:
    """A span with the ends of its interval as multiples of the expectation: neither passes the
    bound, nor does the expectation."""
    sure = maximum(expected, bound)
    return Span(bound, sure, maximum(sure * low, bound), maximum(sure * high, bound))


def not_before(span: Span, other: Span) -> Span:
    """The span, no part of it below that of another."""
    mine, others = fields_of(span).values(), fields_of(other).values()
    return Span(*(maximum(own, least) for own, least in zip(mine, others, strict=True)))
