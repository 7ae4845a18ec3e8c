"""``thermoflop validate kernels``: measured kernels against rates that were fitted without them.

Each class of the carried rows in four ways: in sample; each device left out; each architecture left
out; and that with 5 or 20 kernels of the device and engine measured, judged on their others. Rows
of files are predicted by the rates that the package carries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from thermoflop.base.number import Array
from thermoflop.base.progress import tracked
from thermoflop.base.record import record
from thermoflop.base.units import seconds, table
from thermoflop.cost.catalogue.devices import catalogue
from thermoflop.cost.fitting.kernel_file import read_kernels
from thermoflop.cost.fitting.kernels import calibrated, first_to_measure, fit_kernels, predicted_s
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.cost.kernels.rates import KernelRates, kernel_rates
from thermoflop.cost.kernels.rows import Kernels, carried_kernels

OWN_COUNTS = (5, 20)
SHIPPED = "carried rates"
PARTS = 5  # of a file's kernels, each predicted by the others
# Rows that no sheet explains, by device, class and microseconds.
NAMED = {
    ("A100-SXM-80GB", "decode attention", 439.296): "1.07 GB of cache read at 2.44 TB/s, 1.2 times "
    "the sheet's: a wrong row",
}
EXPLAINED = """absolute error: median, 90 %; median signed error. Left out: rates fitted without
the device, or without its architecture; + n: and n of its own kernels measured, judged
on the others of that device and engine"""
OF_FILES = """absolute error: median, 90 %; median signed error. By the rates that the package
carries, and by those moved by four fifths of a device's and engine's kernels, on the rest"""
HEAD = ["", "how", "rows", "median", "p90", "bias"]


@record
class Judged:
    """Errors (predicted over measured - 1) of a class in one of the ways, by device."""

    kernels: str
    how: str
    device: str
    errors: Array


@record
class KernelsReport:
    """All errors, rows left out by rule and class, and rows that beat their bound, with reasons."""

    judged: tuple[Judged, ...]
    left_out: dict[str, dict[str, int]]
    beaten: tuple[str, ...]

    @property
    def unexplained(self) -> bool:
        """Whether a row beats its bound for no reason that is known."""
        return any("unexplained" in line for line in self.beaten)

    def lines(self, *, each: bool = False) -> list[dict[str, Any]]:
        """Class and way with count, median and p90 of the absolute error, and bias."""
        keys: dict[tuple[str, str, str], list[Array]] = {}
        for one in self.judged:
            keys.setdefault((one.kernels, one.how, ""), []).append(one.errors)
            if each:
                keys.setdefault((one.kernels, one.how, one.device), []).append(one.errors)
        return [
            {"kernels": name, "how": how, "device": device, **_figures(np.concatenate(errors))}
            for (name, how, device), errors in keys.items()
        ]

    def json_text(self) -> str:
        """One JSON object."""
        import json

        shown = {"lines": self.lines(each=True), "left_out": self.left_out, "beaten": self.beaten}
        return json.dumps(shown, ensure_ascii=False, indent=1)

    def text(self, *, each: bool = False) -> str:
        """Tables by class; with ``each``, a line for every device."""
        rows, last = [HEAD], ""
        for line in self.lines(each=each):
            if line["kernels"] != last and last:
                rows.append([""] * len(HEAD))
            label = FORMS[line["kernels"]].label if line["kernels"] != last else ""
            last = line["kernels"]
            figures = [f"{100 * line[key]:.1f} %" for key in ("median", "p90", "bias")]
            how = f"  {line['device']}" if line["device"] else line["how"]
            rows.append([label, how, str(line["rows"]), *figures])
        blocks = [
            table(rows, left=2),
            OF_FILES if self.judged and self.judged[0].how == SHIPPED else EXPLAINED,
        ]
        for name, reasons in self.left_out.items():
            counts = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
            blocks.append(f"not judged in {FORMS[name].label}: {counts}")
        blocks += self.beaten or ("no bound is beaten",)
        return "\n\n".join(blocks[:2]) + "\n\n" + "\n".join(blocks[2:])


def _figures(errors: Array) -> dict[str, Any]:
    size = np.abs(errors)
    return {
        "rows": len(errors),
        "median": round(float(np.median(size)), 4),
        "p90": round(float(np.quantile(size, 0.9)), 4),
        "bias": round(float(np.median(errors)), 4),
    }


def validate_kernels(files: Sequence[str] = ()) -> KernelsReport:
    """The carried rows, each way; or those of files by the rates that the package carries."""
    judged: list[Judged] = []
    if files:
        tables = [kernels for path in files for kernels in read_kernels(path).tables.values()]
        for kernels in tables:
            rates = kernel_rates()[kernels.form.name]
            judged += _by_device(kernels, rates, SHIPPED)
            judged += _with_the_others(kernels, rates)
    else:
        tables = list(carried_kernels(catalogue()).values())
        for kernels in tracked(tables, "fitting", lambda each: each.form.name):
            judged += _every_way(kernels)
    left_out: dict[str, dict[str, int]] = {}
    for kernels in tables:
        for reason, count in kernels.left_out.items():
            counts = left_out.setdefault(kernels.form.name, {})
            counts[reason] = counts.get(reason, 0) + count
    beaten = [line for kernels in tables for line in _beaten(kernels)]
    return KernelsReport(tuple(judged), left_out, tuple(beaten))


def _every_way(kernels: Kernels) -> Iterator[Judged]:
    """One class in sample, and with each device and each architecture left out."""
    yield from _by_device(kernels, fit_kernels(kernels), "in sample")
    for by in tracked(("device", "architecture"), "leaving out a"):
        own: dict[int, list[Judged]] = {count: [] for count in OWN_COUNTS}
        for name in sorted(set(kernels.labels[by])):
            out = kernels.labels[by] == name
            rates, rest = fit_kernels(kernels.pick(~out)), kernels.pick(out)
            yield from _by_device(rest, rates, f"{by} left out")
            for count in OWN_COUNTS:
                own[count] += _with_own(rest, rates, count, f"{by} left out")
        for judged in own.values():
            yield from judged


def _by_device(kernels: Kernels, rates: KernelRates, how: str) -> Iterator[Judged]:
    if not len(kernels):
        return
    errors = predicted_s(rates, kernels) / kernels.measured_s - 1
    for device in sorted(set(kernels.labels["device"])):
        rows = kernels.labels["device"] == device
        yield Judged(kernels.form.name, how, str(device), errors[rows])


def _with_own(kernels: Kernels, rates: KernelRates, count: int, how: str) -> Iterator[Judged]:
    """Rates moved by ``count`` kernels of each device and engine, on the others of these two."""
    for device, _, mine in _pairs(kernels):
        if len(mine) < 2 * count:
            continue
        chosen = np.array(first_to_measure(rates, mine, count))
        others = mine.pick(np.setdiff1d(np.arange(len(mine)), chosen))
        moved = calibrated(rates, mine.pick(chosen))
        errors = predicted_s(moved, others) / others.measured_s - 1
        yield Judged(kernels.form.name, f"{how} + {count}", device, errors)


def _with_the_others(kernels: Kernels, rates: KernelRates) -> Iterator[Judged]:
    """Rates moved by a file's own kernels of a device and engine, each by four fifths of them."""
    for device, _, mine in _pairs(kernels):
        if len(mine) < PARTS:
            continue
        order = np.argsort(mine.measured_s, kind="stable")
        errors = np.zeros(len(mine))
        for part in range(PARTS):
            out, rest = order[part::PARTS], np.setdiff1d(order, order[part::PARTS])
            moved, others = calibrated(rates, mine.pick(rest)), mine.pick(out)
            errors[out] = predicted_s(moved, others) / others.measured_s - 1
        yield Judged(kernels.form.name, "moved by its others", device, errors)


def _pairs(kernels: Kernels) -> Iterator[tuple[str, str, Kernels]]:
    """The kernels of each device and engine."""
    labels = kernels.labels
    for device, engine in sorted(set(zip(labels["device"], labels["engine"], strict=True))):
        mine = (labels["device"] == device) & (labels["engine"] == engine)
        yield str(device), str(engine), kernels.pick(mine)


def _beaten(kernels: Kernels) -> list[str]:
    """Rows that are faster than the sheet allows, each with its reason."""
    bound_s = np.asarray(kernels.form.bound_s(kernels.sizes), dtype=float)
    lines = []
    for row in np.flatnonzero(bound_s > kernels.measured_s):
        took_s = float(kernels.measured_s[row])
        device, name = str(kernels.labels["device"][row]), kernels.form.name
        reason = NAMED.get((device, name, round(1e6 * took_s, 3)), "unexplained")
        lines.append(
            f"beats the bound: {name} of {kernels.labels['engine'][row]} on {device}: "
            f"{seconds(took_s)} against {seconds(float(bound_s[row]))}; {reason}"
        )
    return lines
