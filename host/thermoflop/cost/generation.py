"""The time of a whole generation in closed form.

Generating runs one step per token while the context grows. Between the lengths at which windows
fill, both the computing and the moving time of every operator are affine in the step's number j;
their larger one is ``moving + max(d, 0)`` with d = computing - moving affine too, and the sum of
the positive part of an affine sequence is an arithmetic series from or to the step where it
changes its sign. So the cost of the sum does not grow with the number of tokens, and it equals the
loop over steps to rounding. Everything works element by element on numpy arrays.
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

from thermoflop.cost.rates import compute_s, memory_s, step_overhead_s
from thermoflop.model.algebra import kind_of, maximum, minimum
from thermoflop.model.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thermoflop.cost.rates import Rates
    from thermoflop.cost.work import Work
    from thermoflop.model.algebra import Number

    Works = Callable[[Number], Sequence[Work]]


@record
class Line:
    """An affine sequence of ``count`` values from ``first`` to ``last``."""

    first: Number
    last: Number
    count: Number

    def total(self) -> Number:
        """The sum: an arithmetic series."""
        return (self.first + self.last) * self.count / 2


def positive_sum(first: Number, last: Number, count: Number) -> Number:
    """The sum of max(d, 0) over ``count`` values d that go evenly from ``first`` to ``last``."""
    if "numpy" in (kind_of(first), kind_of(last), kind_of(count)):
        return _positive_sums(first, last, count)
    if count <= 0 or (first <= 0 and last <= 0):
        return 0.0
    if first >= 0 and last >= 0:
        return (first + last) * count / 2
    slope = (last - first) / (count - 1)
    if first < 0:
        start = min(count - 1, ceil(-first / slope))
        return (max(0.0, first + slope * start) + last) * (count - start) / 2
    end = max(0, min(count - 1, floor(-first / slope)))
    return (first + max(0.0, first + slope * end)) * (end + 1) / 2


def _positive_sums(first: Number, last: Number, count: Number) -> Number:
    """The same for arrays: a falling sequence is a rising one read backwards."""
    import numpy as np

    low, high = np.minimum(first, last), np.maximum(first, last)
    gaps = np.maximum(count - 1, 1)
    slope = (high - low) / gaps
    crossing = low < 0
    steps = np.ceil(-low / np.where(slope > 0, slope, 1.0))
    start = np.where(crossing, np.clip(steps, 0, gaps), 0.0)
    from_value = np.maximum(low + slope * start, 0.0)
    terms = np.maximum(count - start, 0)
    return np.where(high > 0, (from_value + high) * terms / 2, 0.0)


def segments(start: Number, steps: Number, ends: tuple[int, ...]) -> list[tuple[Number, Number]]:
    """First cached length and number of steps of each piece between the window ``ends``."""
    pieces = []
    position, stop = start, start + steps
    for end in ends:
        border = minimum(maximum(position, end), stop)
        pieces.append((position, border - position))
        position = border
    pieces.append((position, stop - position))
    if kind_of(steps) == "numpy" or kind_of(start) == "numpy":
        return pieces
    return [(first, count) for first, count in pieces if count > 0]


def decode_s(
    works_at: Works,
    start: Number,
    steps: Number,
    sequences: Number,
    rates: Rates,
    ends: tuple[int, ...],
) -> Number:
    """Seconds of ``steps`` decode steps, the first of them after ``start`` cached tokens.

    ``works_at(cached)`` gives the operators of one step; ``ends`` are the lengths at which windows
    are full.
    """
    total: Number = 0.0
    for first, count in segments(start, steps, ends):
        last = maximum(first + count - 1, first)
        for low, high in zip(works_at(first), works_at(last), strict=True):
            total = total + _operator_sum(low, high, count, rates)
    return total + steps * step_overhead_s(sequences, rates)


def _operator_sum(low: Work, high: Work, count: Number, rates: Rates) -> Number:
    """One operator over a piece in which its counts go evenly from ``low`` to ``high``."""
    moving = Line(memory_s(low, rates), memory_s(high, rates), count)
    first = compute_s(low, rates) - moving.first
    last = compute_s(high, rates) - moving.last
    launches = low.launches * rates.efficiency.launch_s * count
    return low.times * (moving.total() + positive_sum(first, last, count) + launches)


def loop_decode_s(
    works_at: Works, start: int, steps: int, sequences: Number, rates: Rates
) -> float:
    """The same as a loop over steps: what the closed form is tested against."""
    from thermoflop.cost.rates import operator_s

    total = 0.0
    for step in range(steps):
        total += sum(operator_s(work, rates) for work in works_at(start + step))
        total += step_overhead_s(sequences, rates)
    return total
