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

from thermoflop.base.number import Number, any_of, ceil_div, kind_of, maximum, minimum, one_where
from thermoflop.base.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thermoflop.cost.roofline.rates import Rates
    from thermoflop.cost.work.work import Work

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

    @property
    def rise(self) -> Number:
        """From one value to the next."""
        return (self.last - self.first) / maximum(self.count - 1, 1)

    def until(self, count: Number) -> Line:
        """The first ``count`` values."""
        return Line(self.first, self.first + self.rise * maximum(count - 1, 0), count)


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


def segments(
    start: Number, steps: Number, ends: tuple[int, ...]
) -> list[tuple[Number, Number, Number]]:
    """First and last cached length of each piece between the window ``ends``, and its steps."""
    pieces = []
    position, stop = start, start + steps
    for end in (*ends, None):
        border = stop if end is None else minimum(maximum(position, end), stop)
        count = border - position
        pieces.append((position, maximum(border - 1, position), count))
        position = border
    if kind_of(steps) == "numpy" or kind_of(start) == "numpy":
        return pieces
    return [piece for piece in pieces if piece[-1] > 0]


@record
class Pace:
    """An operator over ``count`` steps of a generation: seconds computing and moving, and gaps, a
    step."""

    times: Number
    computing: Line
    moving: Line
    gap_s: Number
    count: Number

    def at(self, step: Number) -> tuple[Number, Number]:
        """Seconds of one step, and how fast they grow there."""
        computing = self.computing.first + self.computing.rise * step
        moving = self.moving.first + self.moving.rise * step
        first = one_where(computing > moving)
        rise = first * self.computing.rise + (1 - first) * self.moving.rise
        return self.times * (maximum(computing, moving) + self.gap_s), self.times * rise

    def total(self) -> Number:
        """Seconds of all steps of the piece."""
        above = positive_sum(
            self.computing.first - self.moving.first,
            self.computing.last - self.moving.last,
            self.count,
        )
        return self.times * (self.moving.total() + above + self.gap_s * self.count)

    def until(self, count: Number) -> Pace:
        """The first ``count`` steps of the piece."""
        lines = self.computing.until(count), self.moving.until(count)
        return Pace(self.times, *lines, self.gap_s, count)


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
    for first, last, count in segments(start, steps, ends):
        low, high = works_at(first), works_at(last)
        paces = [  # of an operator whose counts go evenly from ``low`` to ``high``
            Pace(
                one.times, Line(rates.compute_s(one), rates.compute_s(two), count),
                Line(rates.memory_s(one), rates.memory_s(two), count), rates.gap_s(one), count,
            )
            for one, two in zip(low, high, strict=True)
        ]  # fmt: skip
        for pace in paces:
            total = total + pace.total()
        if not rates.graphs and rates.efficiency.launch_overhead_s:
            host = rates.host_s(low)
            total = total + (count * host if rates.waits else _waiting_s(paces, host, count))
    return total + steps * rates.overhead_s(sequences)


def _waiting_s(paces: list[Pace], host: Number, count: Number) -> Number:
    """Seconds that the device waits for the host over a piece: the sum of max(host - device, 0).

    The device's time grows with the context and is convex, so Newton's steps from the last step
    down come, after as many as there are kinks, to the step from which on the device is slower.
    """
    end = maximum(count - 1, 0)
    place, device = end, _device_at(paces, end)
    slower = one_where(device[0] > host)
    for _ in paces:
        over = maximum(device[0] - host, 0.0)
        moved = maximum(place - over / maximum(device[1], 1e-300), 0)
        if not any_of(moved < place):
            break
        place, device = moved, _device_at(paces, moved)
    waited = slower * minimum(ceil_div(place, 1), count) + (1 - slower) * count
    working: Number = 0.0
    for pace in paces:
        working = working + pace.until(waited).total()
    return maximum(waited * host - working, 0.0)


def _device_at(paces: list[Pace], step: Number) -> tuple[Number, Number]:
    """Seconds of a step on the device, and how fast they grow."""
    pairs = [pace.at(step) for pace in paces]
    return sum(seconds for seconds, _ in pairs), sum(rise for _, rise in pairs)
