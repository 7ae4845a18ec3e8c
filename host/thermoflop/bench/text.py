"""A benchmark for people: a line an operator, a line a step, and what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.paper import kept
from thermoflop.base.units import scaled, seconds, table
from thermoflop.bench.measure import OperatorRow, StepRow

if TYPE_CHECKING:
    from thermoflop.bench.limits import Best
    from thermoflop.bench.suite import BenchResult

_HEADS = ("operator", "x", "bound", "expected", "measured", "against")
_WIDTHS = (21, 5, 11, 11, 11, 9)


def best_text(best: Best | None) -> str:
    """The rates that bounds are made of."""
    if best is None:
        return ""
    near = best.levels[0]
    return (
        f"bounds: {scaled(best.flops_per_s, 'FLOP/s')}, memory "
        f"{scaled(best.bandwidth_bytes_s, 'B/s')}, nearest cache {scaled(near.bytes_s, 'B/s')}"
    )


class Lines:
    """Text of rows as they come: a heading before each phase."""

    def __init__(self) -> None:
        """No row yet."""
        self._phase = ""

    def of(self, row: OperatorRow | StepRow | str) -> str:
        """The text of one row, after a heading where its phase begins."""
        if isinstance(row, str):
            self._phase = ""
            return f"\n{row}"
        if isinstance(row, StepRow):
            self._phase = ""
            return _step(row)
        text = _operator(row)
        if row.phase != self._phase:
            self._phase = row.phase
            text = f" {row.phase}, one operator at a time\n{_cells(*_HEADS)}\n{text}"
        return text


def _operator(row: OperatorRow) -> str:
    times, bound = f"{row.times:.4g}", _time(row.bound_s)
    if row.measured_s is None:
        return _cells(row.name, times, bound, "", "not run", "")
    measured, against = _time(row.measured_s), _against(row.error)
    return _cells(row.name, times, bound, _time(row.expected_s), measured, against)


def _cells(name: str, *figures: str) -> str:
    """A line of the table, which is printed before its widest cell is known."""
    cells = (f"  {name:<19.19}", *figures)
    stay = kept(_HEADS, _WIDTHS, 0, ("x", "bound"))
    return "".join(f"{cells[place]:>{_WIDTHS[place]}}" for place in stay).rstrip()


def _step(row: StepRow) -> str:
    interval = _interval(row, " to ")
    within = f" ({interval})" if interval else ""
    expected = "" if row.expected_s is None else f", expected {seconds(row.expected_s)}{within}"
    verdict = "" if row.is_inside is None else ", inside" if row.is_inside else ", OUTSIDE"
    where = "prompt" if row.phase == "prefill" else "token after"
    return (
        f" whole decoder, {where} {row.context}: bound {seconds(row.bound_s)}{expected}\n"
        f"   measured {seconds(row.measured_s)}{verdict}, "
        f"{row.tokens / row.measured_s:,.1f} tokens/s"
    )


def _interval(row: StepRow, to: str) -> str:
    if row.low_s is None or row.high_s is None:
        return ""
    return f"{seconds(row.low_s)}{to}{seconds(row.high_s)}"


def _time(value: float | None) -> str:
    return "-" if value is None else seconds(value)


def _against(error: float | None) -> str:
    return "-" if error is None else f"{100 * error:+.1f} %"


def steps_table(result: BenchResult) -> str:
    """All steps in one table."""
    rows = [["model", "batch", "step", "layers", "bound", "expected", "80 % interval", "measured",
             "against", ""]]  # fmt: skip
    for row in result.steps:
        rows.append([
            row.model, str(row.batch), f"{row.phase} {row.context}",
            str(row.layers) if row.layers == row.all_layers else f"{row.layers}/{row.all_layers}",
            seconds(row.bound_s), _time(row.expected_s),
            _interval(row, " .. ") or "-", seconds(row.measured_s), _against(row.error),
            {True: "in", False: "out", None: ""}[row.is_inside],
        ])  # fmt: skip
    return table(rows, gap=" ", least=("layers", "bound", "80 % interval", ""))


def summary_text(result: BenchResult) -> str:
    """All steps in one table, the median error, and what beat its bound."""
    lines = []
    if result.steps:
        lines += ["", steps_table(result)]
    ran = [row for row in result.operators if row.measured_s is not None]
    middle = result.median_operator_error
    if middle is not None:
        lines.append(f"\noperators: {len(ran)} measured, median error {100 * middle:.1f} %")
    elif ran:
        lines.append(f"\noperators: {len(ran)} measured; 'thermoflop calibrate' gives expectations")
    inside, intervals = result.inside
    if intervals:
        lines.append(f"whole decoders: {inside} of {intervals} steps inside their 80 % interval")
    beaten = result.faster_than_bound
    lines.append(
        f"faster than the bound: {', '.join(beaten)}"
        if beaten
        else f"faster than the bound: none of {len(ran) + len(result.steps)}"
    )
    return "\n".join(lines)
