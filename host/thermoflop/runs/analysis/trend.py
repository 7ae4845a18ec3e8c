"""One figure of runs over time, and where it moved beyond its spread.

A run is held against those before it, since the last move: it is beyond their spread when it lies
outside the interval in which the next value of as many normal ones lies with 99 %, which is
``mean ± t * s * sqrt(1 + 1 / n)`` (Hahn and Meeker 1991, "Statistical Intervals", 4.7). Where the
run after it is back inside, it stands alone and nothing moved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

LEAST_BEFORE = 4  # runs: with fewer the interval is wider than any move
_MOST_BEFORE = 30
_LEAST_SPREAD = 1e-3  # of the mean: figures are shown with three digits
# two-sided 99 % points of Student's t for 1 to 30 degrees of freedom
_T_99 = (63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055,
         3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797,
         2.787, 2.779, 2.771, 2.763, 2.756, 2.750)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """A run's value; ``low`` to ``high`` is where it was expected, None of the first few.

    ``mark`` is "moved" where the figure moved, "alone" of one run that stands apart, else "".
    """

    value: float
    low: float | None = None
    high: float | None = None
    mark: str = ""


def trend(values: Sequence[float], step: float = 0.0) -> list[Point]:
    """The values in order of time, each with what the ones before it let expect.

    Args:
        values: one of each run, in order of time.
        step: what they are rounded to: a spread of less cannot be told (GUM F.2.2.1).

    Example:
        >>> [point.mark for point in trend([10.0, 10.1, 9.9, 10.0, 12.0, 12.1])]
        ['', '', '', '', 'moved', '']
    """
    points: list[Point] = []
    before: list[float] = []
    for n, value in enumerate(values):
        expected = _expected(before, step)
        if expected is None or expected[0] <= value <= expected[1]:
            points.append(Point(value, *(expected or ())))
            before.append(value)
            continue
        low, high = expected
        comes_back = n + 1 < len(values) and low <= values[n + 1] <= high
        points.append(Point(value, low, high, "alone" if comes_back else "moved"))
        if not comes_back:
            before = [value]
    return points


def _expected(before: Sequence[float], step: float) -> tuple[float, float] | None:
    known = before[-_MOST_BEFORE:]
    if len(known) < LEAST_BEFORE:
        return None
    mean = fmean(known)
    spread = max(stdev(known), step / math.sqrt(12), _LEAST_SPREAD * abs(mean))
    half = _T_99[len(known) - 2] * spread * math.sqrt(1 + 1 / len(known))
    return mean - half, mean + half
