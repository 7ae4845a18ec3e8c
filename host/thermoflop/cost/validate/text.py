"""The report of ``thermoflop validate times`` for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.units import seconds, shortened, table
from thermoflop.cost.validate.times import by, summary

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.validate.times import Compared, TimesReport

_HEAD = ["", "n", "with", "beaten", "median", "latency", "p90", "bias", "in 80 %"]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _row(name: str, found: dict[str, Any]) -> list[str]:
    return [
        shortened(name, 35),
        str(found["compared"]),
        str(found["with_expectation"]),
        str(found["bound_violations"]),
        _percent(found["median_abs_error"]),
        _percent(found["median_abs_error_latency"]),
        _percent(found["p90_abs_error"]),
        _percent(found["median_bias"]),
        _percent(found["coverage_80"]),
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
        found = by(report.compared, key)
        rows.append([""] * len(_HEAD))
        rows += [_row(name, each) for name, each in found.items()]
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
    reasons: dict[str, int] = {}
    for _, reason in report.skipped:
        reasons[reason] = reasons.get(reason, 0) + 1
    return "\n".join(f"skipped {count}: {reason}" for reason, count in sorted(reasons.items()))
