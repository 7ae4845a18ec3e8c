"""How far a figure of one run is from that of another, and whether that is more than noise.

Readings that follow each other are no independent observations, so an interval from their number
would be far too narrow. Two kinds of spread are honest:

- **repetitions**: both runs did it several times. Each repetition gives one value, and Welch's
  interval (1947) holds for means of unlike spread and number.
- **blocks**: of one stretch each, cut into equal blocks (batch means: Schmeiser 1982, "Batch size
  effects in the analysis of simulation output", Operations Research 30, 556-568). The blocks of
  both runs lie at the same time since the start, so what both have in common, such as warming up,
  cancels. Where one warms further than the other, their difference follows the first-order course
  ``a + b * exp(-t / tau)`` (as in ``thermal``): that is no noise, and is taken off. Correlation
  that is left reduces the number of blocks (Bartlett 1946); of too few there is no interval. Of
  fewer than 16 blocks no course is taken off, which widens the interval where there is one, the
  correlation is that of both runs together, and of each run at most half as many degrees of freedom
  as blocks count: so few hardly show their correlation.
  A block is a sum over a sum (tokens over seconds, joules over tokens), and its part in the spread
  that of the ratio estimator (Cochran 1977, "Sampling Techniques", 6.3).

What is read in whole steps, as a GPU's degrees, is not known better than that: rounding adds a
variance of a twelfth of the step's square (JCGM 100:2008, "GUM", F.2.2.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, variance
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import attributes
from thermoflop.runs.analysis.compare import t_95

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column

_FITTED = 3  # a, b and tau
_FEW = 16  # blocks: of fewer nothing but the mean is taken off
# tau of the course, in lengths of the stretch: shorter is over at once, longer a straight line
_TAUS = (0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.8, 1.1, 1.5, 2.0)
_NORMAL_95 = 1.96
REPETITIONS, BLOCKS = "repetitions", "blocks"


@dataclass(frozen=True, slots=True)
class Difference:
    """``value`` is the second run's figure less the first one's.

    ``error`` is its 95 % half-width, from ``how``: repetitions or blocks, by Student's t of so many
    ``degrees`` of freedom; where that is not known it is None, and ``why`` says so.
    """

    value: float
    error: float | None
    how: str
    why: str = ""
    degrees: int | None = None

    @property
    def is_real(self) -> bool | None:
        """Whether it is more than noise; None where the noise is not known."""
        return None if self.error is None else abs(self.value) > self.error

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        return attributes(self, "value", "error", "how", "why", "is_real", "degrees")


def between_repetitions(a: Sequence[float], b: Sequence[float], step: float = 0.0) -> Difference:
    """Welch's interval of two means; ``step`` is what the values are rounded to, 0 if to nothing.

    Example:
        >>> between_repetitions([10.0, 11.0, 12.0], [20.0, 21.0, 22.0]).value
        10.0
    """
    value = fmean(b) - fmean(a)
    if min(len(a), len(b)) < 2:
        return Difference(value, None, REPETITIONS, "one value a run: record with -n 5")
    parts = [variance(each) / len(each) for each in (a, b)]
    total = sum(parts)
    degrees = 1.0
    if total > 0:
        degrees = total**2 / sum(
            part**2 / (len(each) - 1) for part, each in zip(parts, (a, b), strict=True)
        )
    whole = max(1, math.floor(degrees + 1e-9))
    half = t_95(whole) * math.sqrt(total)
    return Difference(value, _with_rounding(half, step), REPETITIONS, degrees=whole)


def between_blocks(
    a: tuple[Column, Column], b: tuple[Column, Column], step: float = 0.0
) -> Difference:
    """The interval of ``sum / sum`` of two runs from their blocks: numerators and denominators.

    The blocks of ``a`` and ``b`` are in order of time, as many in both.
    """
    import numpy as np

    ratios = [float(np.sum(over) / np.sum(under)) for over, under in (a, b)]
    parts = [
        (over - ratio * under) * len(under) / np.sum(under)
        for ratio, (over, under) in zip(ratios, (a, b), strict=True)
    ]
    value, apart, n = ratios[1] - ratios[0], parts[1] - parts[0], len(parts[0])
    if n < _FEW:
        # what both runs have in common, their difference has not; else each has a spread of its own
        noise = parts if float(apart @ apart) > sum(float(p @ p) for p in parts) / 2 else [apart]
        free = min(independent(noise) - 1, n / 2)
    else:
        noise = [_off_course(apart)]
        free = min(n, independent(noise, _FITTED)) - _FITTED
    degrees = int(free * len(noise)) if free > 0 else 0
    if degrees < 1:
        return Difference(value, None, BLOCKS, "it changed all along: see the curves")
    half = t_95(degrees) * math.sqrt(sum(float(p @ p) for p in noise) / n / free)
    return Difference(value, _with_rounding(half, step), BLOCKS, degrees=degrees)


def _off_course(values: Column) -> Column:
    """What is left of values in order of time without the course that fits them best."""
    left = [values - course @ (course.T @ values) for course in _courses(len(values))]
    return min(left, key=lambda residual: float(residual @ residual))


@cache
def _courses(n: int) -> list[Column]:
    """For each tau, an orthonormal base of the courses through ``n`` blocks."""
    import numpy as np

    t = (np.arange(n) + 0.5) / n
    return [np.linalg.qr(np.column_stack([t**0, np.exp(-t / tau)]))[0] for tau in _TAUS]


def independent(residuals: Sequence[Column], fitted: int = 1) -> float:
    """How many independent values carry what each of these series carries, as first-order
    autoregressions alike.

    By Bartlett (1946), with the coefficient r freed of the bias that taking off ``fitted`` columns
    brings: of a mean (1 + 3r) / n (Kendall 1954), of a line (2 + 4r) / n (Orcutt and Winokur 1969),
    and as much more of each further one.
    """
    n, square = len(residuals[0]), sum(float(each @ each) for each in residuals)
    if square <= 0:
        return float(n)
    first = sum(float(each[1:] @ each[:-1]) for each in residuals) / square
    first = min(0.999, max(0.0, first + (fitted + (fitted + 2) * first) / n))
    return n * (1 - first) / (1 + first)


def _with_rounding(half: float, step: float) -> float:
    return math.hypot(half, _NORMAL_95 * step * math.sqrt(2 / 12))
