"""Predicted against measured, row by row, and what a set of rows comes to: the tables of
``thermoflop validate times``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thermoflop.base.record import record
from thermoflop.base.units import shortened, table
from thermoflop.cost.data import read_data

if TYPE_CHECKING:
    from thermoflop.base.number import Array

# Fewer rows say nothing of an engine.
LEAST = 20
DRAWS = 500
# The engines of README's table.
SHOWN = ("vllm", "sglang", "tensorrt-llm", "llama.cpp", "mlx")
WHAT = {
    "token": "each token", "client": "first token, client", "prefill": "prefill", "total": "run",
    "iteration": "iteration",
}  # fmt: skip


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


def accuracy(compared: Sequence[Compared]) -> dict[str, dict[str, Any]]:
    """By profile and what was timed: rows, errors, coverage and width of the interval."""
    groups: dict[str, list[Compared]] = {}
    for each in compared:
        if each.has_expectation:
            groups.setdefault(f"{each.profile}: {WHAT[each.phase]}", []).append(each)
    return {name: figures(rows) for name, rows in sorted(groups.items()) if len(rows) >= LEAST}


def figures(rows: Sequence[Compared]) -> dict[str, Any]:
    """Median and 90 % of the absolute error, coverage and width of the 80 % interval."""
    errors = np.array([abs(each.error) for each in rows])
    return {
        "rows": len(rows),
        "median_abs_error": round(float(np.median(errors)), 4),
        "p90_abs_error": round(float(np.quantile(errors, 0.9)), 4),
        "coverage_80": round(float(np.mean([each.inside for each in rows])), 4),
        "width_median": round(float(np.median([each.high_s / each.low_s for each in rows])), 3),
        "bound_violations": sum(each.violates for each in rows),
    }


def trainers(compared: Sequence[Compared]) -> dict[str, dict[str, Any]]:
    """What a trainer that no fit has seen gets: all of them, and those with rows enough."""
    return {"all": figures(compared), **accuracy(compared)} if compared else {}


def beside_before(compared: Sequence[Compared]) -> str:
    """Rows that were read before there were generations, beside what fits of then said of them,
    each model left out as well: as it was on 2026-11-22, and on 2026-11-28 with prompts in chunks
    fitted as they are estimated (``errors_before``: by label and row, both signed errors); and how
    far chance alone could explain that the median has changed since."""
    head = ["", "rows", "median", "p90", "in 80 %", "11-22", "p90", "11-28", "p90", "change"]
    lines = [head]
    for label, (rows, then) in before(compared).items():
        now = np.array([abs(each.error) for each in rows])
        low, high = change(now, then[:, 1], [each.model for each in rows])
        shown = [*_middle(now), percent(float(np.mean([each.inside for each in rows])))]
        shown += [*_middle(then[:, 0]), *_middle(then[:, 1]), f"{low:+.1%} .. {high:+.1%}"]
        lines.append([shortened(label, 34), str(len(rows)), *shown])
    title = (
        "engines of before 2025-10: now, by the fits of then, and by how much the median has "
        "changed\nsince 11-28 where models are drawn anew (90 % of draws)"
    )
    return f"{title}\n{table(lines)}"


def before(compared: Sequence[Compared]) -> dict[str, tuple[list[Compared], Array]]:
    """The rows of ``beside_before`` by label, each with its two absolute errors of then."""
    found = {}
    for label, then in read_data("errors_before").items():
        rows = [each for each in compared if each.row_id in then and each.has_expectation]
        if rows:
            found[label] = rows, np.abs([then[each.row_id] for each in rows])
    return found


def change(now: Array, then: Array, models: Sequence[str]) -> tuple[float, float]:
    """The 5th and 95th percentile of the median of ``now`` less that of ``then``, rows of the same
    things, where as many models as there are are drawn again and again: a change whose two ends
    have one sign is none of chance.

    Example:
        >>> change(np.array([0.1, 0.2]), np.array([0.3, 0.4]), ["a", "b"])
        (-0.2, -0.2)
    """
    draw = np.random.default_rng(0)
    names, of = np.unique([model.lower() for model in models], return_inverse=True)
    rows_of = [np.flatnonzero(of == place) for place in range(len(names))]
    changes = []
    for _ in range(DRAWS):
        rows = np.concatenate(
            [rows_of[each] for each in draw.integers(len(names), size=len(names))]
        )
        changes.append(np.median(now[rows]) - np.median(then[rows]))
    low, high = np.quantile(changes, (0.05, 0.95)).round(4)
    return float(low), float(high)


def _middle(errors: Array) -> list[str]:
    return [percent(float(np.median(errors))), percent(float(np.quantile(errors, 0.9)))]


def accuracy_text(title: str, groups: dict[str, dict[str, Any]]) -> str:
    """One table."""
    head = ["", "rows", "median", "p90", "in 80 %", "width", "beaten"]
    lines = [
        [
            shortened(name, 40), str(each["rows"]), percent(each["median_abs_error"]),
            percent(each["p90_abs_error"]), percent(each["coverage_80"]),
            f"x {each['width_median']:.2f}", str(each["bound_violations"]),
        ]
        for name, each in groups.items()
    ]  # fmt: skip
    return f"{title}\n{table([head, *lines], least=('width', 'p90'))}"


def percent(value: float | None) -> str:
    """A share as people read it; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def readme_table(
    left_out: dict[str, dict[str, Any]],
    later: dict[str, dict[str, Any]],
    elsewhere: dict[str, dict[str, Any]],
) -> str:
    """README's table: what a model or a device that no fit has seen gets of engines of today, of
    each token and of the first one at a client."""
    parts = ("each token", "after the fit", "on a device left out", "first token, client",
             "after the fit", "on a device left out")  # fmt: skip
    lines = [f"| engine | {' | '.join(parts)} |", "|---" * (len(parts) + 1) + "|"]
    for engine in SHOWN:
        cells = []
        for what in (WHAT["token"], WHAT["client"]):
            found = [group.get(f"{engine}: {what}") for group in (left_out, later, elsewhere)]
            cells += [_whole(each) for each in found]
        lines.append(f"| {engine} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _whole(each: dict[str, Any] | None) -> str:
    if each is None:
        return ""
    return (
        f"{each['median_abs_error']:.0%}, {each['p90_abs_error']:.0%} ({each['coverage_80']:.0%})"
    )
