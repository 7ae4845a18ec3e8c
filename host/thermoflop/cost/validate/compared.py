"""Predicted against measured, row by row, and what a set of rows comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thermoflop.base.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@record
class Compared:
    """One row: seconds measured, of the bound, expected, and of the interval."""

    row_id: str
    engine: str
    device: str
    model: str
    phase: str
    measured_s: float
    bound_s: float
    expected_s: float
    low_s: float
    high_s: float
    has_expectation: bool
    held_out: bool
    reason: str = ""
    profile: str = ""

    @property
    def error(self) -> float:
        """Relative error of the expectation."""
        return self.expected_s / self.measured_s - 1

    @property
    def inside(self) -> bool:
        """Whether the interval holds the measured time."""
        return self.low_s <= self.measured_s <= self.high_s

    @property
    def violates(self) -> bool:
        """Whether the measured time beats the bound."""
        return self.bound_s > self.measured_s


def summary(compared: Sequence[Compared]) -> dict[str, Any]:
    """What one group of rows comes to; null where there is nothing to compare."""
    chosen = [each for each in compared if each.has_expectation]
    errors = np.array([each.error for each in chosen])
    logs = np.log1p(errors) if len(errors) else errors
    latency = np.array([abs(each.error) for each in chosen if each.phase != "prefill"])
    return {
        "compared": len(compared),
        "with_expectation": len(chosen),
        "bound_violations": sum(each.violates for each in compared),
        "median_abs_error": _rounded(np.median(np.abs(errors))) if chosen else None,
        "median_abs_error_latency": _rounded(np.median(latency)) if len(latency) else None,
        "p90_abs_error": _rounded(np.quantile(np.abs(errors), 0.9)) if chosen else None,
        "median_bias": _rounded(np.expm1(np.median(logs))) if chosen else None,
        "coverage_80": _rounded(np.mean([each.inside for each in chosen])) if chosen else None,
    }


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def by(compared: Sequence[Compared], key: Callable[[Compared], str]) -> dict[str, dict[str, Any]]:
    """The summary of every group."""
    names = sorted({key(each) for each in compared})
    return {name: summary([each for each in compared if key(each) == name]) for name in names}
