"""``thermoflop validate plan``: the layout that a plan puts first, against what was measured.

Published rows of one model, device, engine, format and lengths are grouped; a layout's rows at
several numbers of users are a curve, tokens/s a device against tokens/s a user. At a given speed
the measured best of the layouts is known, by interpolation, and each predicted curve (of the same
numbers of users, by rates that were fitted without the model) names one of them. What that one
gives less than the best is its regret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thermoflop.base.record import plain, record
from thermoflop.cost.fitting.profiles import carried_rows
from thermoflop.cost.fitting.rows import engine_name
from thermoflop.cost.inference.question import Question
from thermoflop.cost.published.files import read_rows
from thermoflop.cost.published.row import Row, rows_of
from thermoflop.cost.published.serving import serving_row
from thermoflop.cost.roofline.span import Span
from thermoflop.cost.validate.compared import Compared
from thermoflop.cost.validate.times import held_out, identity, profile_of

LAYOUTS = 3  # that a group has at least
SPEEDS = 5  # at which the layouts of a group are compared
POINTS = 2  # of a layout at least: a curve
NEAR = 0.05  # a choice within so much of the best is as good
SAME = 0.005  # rows that differ by less are one measurement, published twice
CHOOSERS = ("expected", "bound", "fewest devices", "most devices")


@record
class Chosen:
    """One choice: a group of an engine at a speed, and for each chooser what it gives less than the
    best."""

    group: str
    engine: str
    tokens_per_s_user: float
    layouts: int
    best: str
    chosen: str
    regrets: tuple[float, ...]
    error: float


@record
class PlanReport:
    """All choices, and the rows that they are made of."""

    rows: int
    groups: int
    choices: tuple[Chosen, ...]

    def text(self, *, each: bool = False) -> str:
        """The choosers side by side; with ``each`` every choice."""
        if not self.choices:
            return f"{self.rows} rows, but no group of {LAYOUTS} measured layouts among them"
        count, rows = len(self.choices), f"{self.rows} rows"
        lines = [
            f"{count} choices between measured layouts of {self.groups} groups ({rows}),",
            "by tokens/s a device at a given tokens/s a user",
            "",
            f"{'chosen by':<16}{'the best':>10}{'within 5 %':>12}{'mean regret':>13}{'p90':>8}",
        ]
        for number, name in enumerate(CHOOSERS):
            lines.append(_line(name, [choice.regrets[number] for choice in self.choices]))
        for engine in sorted({choice.engine for choice in self.choices}):
            lost = [choice.regrets[0] for choice in self.choices if choice.engine == engine]
            lines.append(_line(f"  {engine}", lost) + f"  (expected; {len(lost)} choices)")
        errors = np.abs([choice.error for choice in self.choices])
        median, most = np.quantile(errors, (0.5, 0.9))
        off = f"off by {median:.0%} at the median, {most:.0%} at p90"
        lines += ["", f"tokens/s a device at that speed: {off}"]
        if each:
            lines += [
                f"{choice.group} at {choice.tokens_per_s_user:.0f}: {choice.chosen} for "
                f"{choice.best}, regret {choice.regrets[0]:.1%}"
                for choice in self.choices
            ]
        return "\n".join(lines)

    def json_text(self) -> str:
        """Every choice as JSON."""
        import json

        return json.dumps({"choosers": CHOOSERS, **plain(self)})


def _line(name: str, regrets: list[float]) -> str:
    """How often a chooser finds the best, and what it loses."""
    lost = np.array(regrets)
    return (
        f"{name:<16}{(lost <= 0).mean():>10.0%}{(lost <= NEAR).mean():>12.0%}"
        f"{lost.mean():>13.1%}{np.quantile(lost, 0.9):>8.1%}"
    )


def validate_plan(files: Sequence[str] = ()) -> PlanReport:
    """The carried rows, or those of files; each by rates that were fitted without its model where
    it is one of the carried ones, else by the shipped profile of its engine."""
    raw = [raw for path in files for raw in read_rows(path)] if files else carried_rows()
    rows = _once([row for row in rows_of(raw, serving_row)[0] if _is_serving(row)])
    held = held_out(serving_row, rows)
    groups: dict[str, list[tuple[Row, Span | Compared]]] = {}
    for row in rows:
        span = held.get(identity(row)) or row.predicted(profile_of(row))
        groups.setdefault(_group(row), []).append((row, span))
    choices: list[Chosen] = []
    used = 0
    for name, members in groups.items():
        found = _choices(name, members)
        choices += found
        used += bool(found)
    return PlanReport(len(rows), used, tuple(choices))


def _is_serving(row: Row) -> bool:
    """A step of a full server."""
    question = row.question
    return row.expected and isinstance(question, Question) and question.mixes_prefill


def _group(row: Row) -> str:
    """What layouts are compared within."""
    question = row.question
    assert isinstance(question, Question)  # noqa: S101 - chosen by ``_is_serving``
    sizes = f"{question.workload.prompt}+{question.workload.generate}"
    where = f"{question.device.name} {engine_name(question)}"
    return f"{row.model_name} {where} {question.precision.name} {sizes}"


def _once(rows: list[Row]) -> list[Row]:
    """Rows without those that repeat another one's time under nominal lengths."""
    kept: list[Row] = []
    times: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        question = row.question
        key = (
            engine_name(question), question.device.name, row.model_name, question.plan,
            question.precision.name,
        )  # fmt: skip
        seen = times.setdefault(key, [])
        if all(abs(row.measured_s / other - 1) > SAME for other in seen):
            kept.append(row)
            seen.append(row.measured_s)
    return kept


def _choices(name: str, members: list[tuple[Row, Span | Compared]]) -> list[Chosen]:
    """The choices of a group, at speeds over the range that two layouts at least share."""
    curves, engine = _curves(members), engine_name(members[0][0].question)
    if len(curves) < LAYOUTS:
        return []
    slow = sorted(curve[0][0][0] for curve in curves.values())
    fast = sorted(curve[0][0][-1] for curve in curves.values())
    low, high = slow[1], fast[-2]
    if not low < high:
        return []
    found = []
    for speed in np.linspace(low, high, SPEEDS):
        able = [
            plan for plan, curve in curves.items() if curve[0][0][0] <= speed <= curve[0][0][-1]
        ]
        if len(able) > 1:
            found.append(_chosen((name, engine), float(speed), {p: curves[p] for p in able}))
    return found


def _curves(members: list[tuple[Row, Span | Compared]]) -> dict[Any, list[tuple[Any, Any]]]:
    """By layout the measured, expected and bound curve: logarithms of both speeds, slow first."""
    layouts: dict[Any, list[tuple[float, float, float, float]]] = {}
    for row, span in members:
        question = row.question
        assert isinstance(question, Question)  # noqa: S101 - chosen by ``_is_serving``
        times = row.measured_s, float(span.expected_s), float(span.bound_s)
        layouts.setdefault(question.plan, []).append((float(question.workload.batch), *times))
    curves = {}
    for plan, points in layouts.items():
        if len(points) < POINTS:
            continue
        columns = np.array(points).T
        each = columns[0] / max(plan.devices, plan.ep)
        curves[plan] = [_curve(-np.log(t), np.log(each / t)) for t in columns[1:]]
    return curves


def _curve(speed: Any, rate: Any) -> tuple[Any, Any]:
    order = np.argsort(speed)
    return speed[order], rate[order]


def _chosen(
    name: tuple[str, str], speed: float, curves: dict[Any, list[tuple[Any, Any]]]
) -> Chosen:
    """What each chooser takes at a speed, and what that costs."""
    plans = list(curves)
    measured, expected, bound = (
        np.array([_at(speed, *curves[plan][number]) for plan in plans]) for number in range(3)
    )
    devices = np.array([max(plan.devices, plan.ep) for plan in plans])
    taken = [int(np.argmax(by)) for by in (expected, bound, -devices, devices)]
    best = int(np.argmax(measured))
    regrets = tuple(float(1 - np.exp(measured[at] - measured[best])) for at in taken)
    error = float(np.exp(expected[best] - measured[best]) - 1)
    return Chosen(
        *name, float(np.exp(speed)), len(plans), plans[best].label, plans[taken[0]].label, regrets,
        error,
    )  # fmt: skip


def _at(speed: float, speeds: Any, rates: Any) -> float:
    """The rate at a speed; beyond the ends as steep as between the last two points."""
    if speeds[0] <= speed <= speeds[-1] or len(speeds) < POINTS:
        return float(np.interp(speed, speeds, rates))
    one, two = (0, 1) if speed < speeds[0] else (-1, -2)
    gap = speeds[one] - speeds[two]
    slope = (rates[one] - rates[two]) / gap if gap else 0.0
    return float(rates[one] + slope * (speed - speeds[one]))
