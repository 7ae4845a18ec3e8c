"""All rows that were compared, as a table and as JSON."""

from __future__ import annotations

from typing import Any

from thermoflop.base.record import fields_of, record
from thermoflop.base.units import seconds, shortened, table
from thermoflop.cost.published.row import by_reason
from thermoflop.cost.validate.compared import (
    Compared,
    accuracy,
    accuracy_text,
    beside_before,
    by,
    percent,
    summary,
    trainers,
)
from thermoflop.cost.validate.dated import BORDER


@record
class TimesReport:
    """Everything that was compared, and what was not."""

    rows: int
    compared: tuple[Compared, ...]
    skipped: tuple[tuple[str, str], ...]
    later: tuple[Compared, ...] = ()
    elsewhere: tuple[Compared, ...] = ()
    trainers: tuple[Compared, ...] = ()

    def joined(self, other: TimesReport) -> TimesReport:
        """Both together."""
        parts = zip(fields_of(self).values(), fields_of(other).values(), strict=True)
        return TimesReport(*(mine + theirs for mine, theirs in parts))

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
            "model_left_out": accuracy(self.compared),
            "later_than_the_fit": accuracy(self.later),
            "device_left_out": accuracy(self.elsewhere),
            "trainer_left_out": trainers(self.trainers),
            "by_engine": by(self.compared, lambda each: each.engine),
            "by_device": by(self.compared, lambda each: each.device),
            "by_phase": by(self.compared, lambda each: each.phase),
        }
        return json.dumps(shown, ensure_ascii=False, indent=1)

    def text(self, *, each: bool = False) -> str:
        """Tables by engine and device; with ``each``, every row before them."""
        return report_text(self, each=each)


_HEAD = ["", "n", "with", "beaten", "median", "latency", "p90", "bias", "in 80 %"]


def _row(name: str, totals: dict[str, Any]) -> list[str]:
    counts, shares = list(totals.values())[:3], list(totals.values())[3:]  # in the order of _HEAD
    return [shortened(name, 35), *map(str, counts), *map(percent, shares)]


def rows_text(report: TimesReport) -> str:
    """One line a row: what was measured, expected, and whether the interval holds it."""
    rows = [["row", "engine", "model", "device", "", "measured", "expected", "error", "bound", ""]]
    for each in report.compared:
        rows.append(
            [
                each.row_id, shortened(each.engine, 16), shortened(each.model, 14),
                shortened(each.device, 12), each.phase, seconds(each.measured_s),
                seconds(each.expected_s) if each.has_expectation else "-",
                percent(each.error) if each.has_expectation else "-", seconds(each.bound_s),
                "" if each.inside or not each.has_expectation else "out",
            ]
        )  # fmt: skip
    return table(rows, left=5, gap=" ", least=("bound", "device", "engine", "expected", "model"))


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
    blocks.append(table(rows, least=("latency", "bias", "with", "p90")))
    blocks.append(
        "n rows, with an expectation, that beat the bound; absolute error: median, of tokens and\n"
        "totals alone, 90 %; median signed error; share of rows in the 80 % interval"
    )
    blocks.append(accuracy_text("each model left out", accuracy(report.compared)))
    if report.later:
        title = f"fitted to rows before {BORDER}, held against those after"
        blocks += [
            accuracy_text(title, accuracy(report.later)),
            accuracy_text("each device left out, of engines of today", accuracy(report.elsewhere)),
            beside_before(report.compared),
        ]
    if report.trainers:
        blocks.append(accuracy_text("each trainer left out", trainers(report.trainers)))
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
