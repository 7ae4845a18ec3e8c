"""Predicted against measured, row by row, and what a set of rows comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.base.record import record
from thermoflop.base.units import seconds, shortened, table
from thermoflop.cost.published.row import by_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


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


@record
class TimesReport:
    """Everything that was compared, and what was not."""

    rows: int
    compared: tuple[Compared, ...]
    skipped: tuple[tuple[str, str], ...]

    def joined(self, other: TimesReport) -> TimesReport:
        """Both together."""
        return TimesReport(
            self.rows + other.rows, self.compared + other.compared, self.skipped + other.skipped
        )

    @property
    def violations(self) -> list[Compared]:
        """Rows that beat their bound."""
        return [each for each in self.compared if each.violates]

    def json_text(self) -> str:
        """One JSON object."""
        import json

        violating = [
            {"id": each.row_id, "engine": each.engine, "device": each.device, "model": each.model,
             "measured_s": each.measured_s, "bound_s": each.bound_s, "reason": each.reason}
            for each in self.violations
        ]  # fmt: skip
        shown = {
            "rows": self.rows,
            **summary(self.compared),
            "skipped": {"rows": len(self.skipped), "reasons": by_reason(self.skipped)},
            "violations": violating,
            "by_engine": by(self.compared, lambda each: each.engine),
            "by_device": by(self.compared, lambda each: each.device),
            "by_phase": by(self.compared, lambda each: each.phase),
        }
        return json.dumps(shown, ensure_ascii=False, indent=1)

    def text(self, *, each: bool = False) -> str:
        """Tables by engine and device; with ``each``, every row before them."""
        return report_text(self, each=each)


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


_HEAD = ["", "n", "with", "beaten", "median", "latency", "p90", "bias", "in 80 %"]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _row(name: str, totals: dict[str, Any]) -> list[str]:
    return [
        shortened(name, 35),
        str(totals["compared"]),
        str(totals["with_expectation"]),
        str(totals["bound_violations"]),
        _percent(totals["median_abs_error"]),
        _percent(totals["median_abs_error_latency"]),
        _percent(totals["p90_abs_error"]),
        _percent(totals["median_bias"]),
        _percent(totals["coverage_80"]),
    ]


def rows_text(report: TimesReport) -> str:
    """One line a row: what was measured, expected, and whether the interval holds it."""
    rows = [["row", "engine", "model", "device", "", "measured", "expected", "error", "bound", ""]]
    for each in report.compared:
        rows.append(
            [
                each.row_id, shortened(each.engine, 16), shortened(each.model, 14),
                shortened(each.device, 12), each.phase, seconds(each.measured_s),
                seconds(each.expected_s) if each.has_expectation else "-",
                _percent(each.error) if each.has_expectation else "-", seconds(each.bound_s),
                "" if each.inside or not each.has_expectation else "out",
            ]
        )  # fmt: skip
    return table(rows, left=5, gap=" ")


def report_text(report: TimesReport, *, each: bool = False) -> str:
    """All rows, then by phase, engine and device; rows that beat the bound; what is left out."""
    blocks = [
        (
            f"{report.rows} rows, {len(report.compared)} compared, {len(report.skipped)} skipped; "
            "every row is predicted by a fit without it"
        )
    ]
    rows = [_HEAD, _row("all", summary(report.compared))]
    for key in (lambda each: each.phase, lambda each: each.engine, lambda each: each.device):
        groups = by(report.compared, key)
        rows.append([""] * len(_HEAD))
        rows += [_row(name, each) for name, each in groups.items()]
    blocks.append(table(rows))
    blocks.append(
        "n rows, with an expectation, that beat the bound; absolute error: median, of tokens and\n"
        "totals alone, 90 %; median signed error; share of rows in the 80 % interval"
    )
    if each:
        blocks.insert(0, rows_text(report))
    if report.violations:
        blocks.append("\n".join(_violation(row) for row in report.violations))
    blocks.append(_skips(report))
    return "\n\n".join(block for block in blocks if block)


def _violation(each: Compared) -> str:
    return (
        f"beats the bound: {each.row_id} {each.engine}, {each.model} on {each.device}: "
        f"{seconds(each.measured_s)} against {seconds(each.bound_s)}; "
        f"{each.reason or 'unexplained'}"
    )


def _skips(report: TimesReport) -> str:
    reasons = sorted(by_reason(report.skipped).items())
    return "\n".join(f"skipped {count}: {reason}" for reason, count in reasons)
