"""Durations of repeated trials, and two commands against each other; outliers kept and named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

# two-sided 95 % points of Student's t for 1 to 30 degrees of freedom
_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
         2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
         2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip
_OUTLIER = 3.5  # modified z-score of Iglewicz and Hoaglin


@dataclass(frozen=True, slots=True)
class Spread:
    """Some values: all of them, their mean with its 95 % half-width, and which stand apart."""

    values: tuple[float, ...]
    mean: float
    error: float | None
    median: float
    low: float
    high: float
    outliers: tuple[int, ...]


def t_95(degrees: int) -> float:
    """Student's t for a two-sided 95 % interval."""
    return _T_95[degrees - 1] if degrees <= len(_T_95) else 1.96 + 2.4 / degrees


def spread(values: Sequence[float]) -> Spread | None:
    """The figures of some values; None of none."""
    if not values:
        return None
    error = None
    if len(values) > 1:
        error = t_95(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Spread(
        values=tuple(values),
        mean=fmean(values),
        error=error,
        median=median(values),
        low=min(values),
        high=max(values),
        outliers=outliers(values),
    )


def outliers(values: Sequence[float]) -> tuple[int, ...]:
    """Indices of values far from the median, measured in median absolute deviations."""
    if len(values) < 4:
        return ()
    middle = median(values)
    deviation = median(abs(value - middle) for value in values)
    if deviation == 0:
        return ()
    limit = _OUTLIER * deviation / 0.6745
    return tuple(i for i, value in enumerate(values) if abs(value - middle) > limit)


def paired(a: Sequence[float], b: Sequence[float]) -> Spread | None:
    """B over A, pair by pair, less one: +0.02 means that B takes 2 % longer."""
    return spread([y / x - 1 for x, y in zip(a, b, strict=False) if x > 0])
