"""Held-out predictions: every row is predicted by a fit that has not seen its group.

For each engine the model is held out: all rows of one shape at a time, whatever they call it and in
whatever format. An engine with one model has its devices held out; an engine with one of both, the
engine itself, so that only the pooled profile of all other engines speaks for it. The centre of
every fit is pooled over *other* engines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.base.record import record
from thermoflop.cost.catalogue.profiles import group_names
from thermoflop.cost.engines.engine import find_engine
from thermoflop.cost.fitting.questions import terms_of
from thermoflop.cost.fitting.regression import Fit, fit, fits_without, start

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from thermoflop.cost.fitting.questions import Asked
    from thermoflop.cost.fitting.terms import Array, DesignMatrix

    Indices = npt.NDArray[np.int64]

# How far an engine may leave the pooled value, as a fraction of the prior's own width.
SPREAD = 0.7


class Measured:
    """Questions with their terms, engines and groups; fits are made of subsets of them."""

    def __init__(self, questions: Sequence[Asked], terms: DesignMatrix | None = None) -> None:
        self.questions = list(questions)
        self.terms = terms_of(questions) if terms is None else terms  # type: ignore[arg-type]
        self.seconds: Array = np.array([question.measured_s for question in questions])
        self.engine = np.array([engine_name(question) for question in questions])
        self.model = np.array([str(question.model.params) for question in questions])
        self.device = np.array([question.device.name for question in questions])
        self.phase = np.array([question.phase for question in questions])
        self.groups = [groups_of(question) for question in questions]
        self._pooled: dict[str, Fit] = {}

    def rows(self, engine: str) -> Indices:
        """The rows of one engine."""
        return np.flatnonzero(self.engine == engine)

    def pooled(self, without: str = "") -> Fit:
        """One fit to all engines but one; an engine weighs by the root of its rows."""
        if without not in self._pooled:
            rows = np.flatnonzero(self.engine != without)
            counts = {
                name: int((self.engine[rows] == name).sum()) for name in set(self.engine[rows])
            }
            weights = np.array([counts[name] ** -0.5 for name in self.engine[rows]])
            families = [self.groups[row][:1] for row in rows]
            self._pooled[without] = fit(
                self.terms.pick(rows),
                self.seconds[rows],
                families,
                start(),
                weights=weights / weights.mean(),
            )
        return self._pooled[without]

    def fitted(self, engine: str, rows: Indices) -> Fit:
        """The fit of an engine to some of its rows, around what the others do."""
        return fit(*self._asked(engine, rows))

    def fitted_without(
        self, found: Fit, engine: str, rows: Indices, parts: Sequence[Indices]
    ) -> list[Fit]:
        """What the fit to ``rows`` becomes without each of some parts of them."""
        places = [np.searchsorted(rows, part) for part in parts]
        return fits_without(found, *self._asked(engine, rows), places)

    def _asked(
        self, engine: str, rows: Indices
    ) -> tuple[DesignMatrix, Array, list[tuple[str, ...]], Array, float]:
        centre = np.array(self.pooled(engine).base)
        groups = [self.groups[row] for row in rows]
        return self.terms.pick(rows), self.seconds[rows], groups, centre, SPREAD

    def predicted(self, found: Fit, rows: Indices) -> Array:
        """Seconds that a fit expects of some rows, never below their bound."""
        logs = found.logs([self.groups[row] for row in rows])
        return np.maximum(self.terms.pick(rows).seconds(logs)[0], self.terms.bound_s[rows])


def engine_name(question: Asked) -> str:
    """The engine of a question; an unknown one is called by its label."""
    name = find_engine(question.engine).name
    return question.engine if name == "default" else name


def groups_of(question: Asked) -> tuple[str, ...]:
    """What may move the rates of an engine: see ``profiles.group_names``."""
    return group_names(question.device, question.precision, question.engine)


def folds_of(measured: Measured, engine: str, by: str = "model") -> list[Indices]:
    """The rows of an engine, in the groups that are held out together."""
    rows = measured.rows(engine)
    if by == "engine":
        return [rows]
    for key in (measured.model, measured.device) if by == "model" else (measured.device,):
        names = sorted(set(key[rows]))
        if len(names) > 1:
            return [rows[key[rows] == name] for name in names]
    return [rows]


@record
class HeldOut:
    """Seconds expected of every row by a fit without its group, the number of that group, and the
    residuals that the interval of each group is made of."""

    seconds: Array
    group: Indices
    residuals: tuple[Residuals, ...]


@record
class Residuals:
    """Held-out residuals of the rows that a fit has seen: of which group and phase each is."""

    logs: Array
    group: Indices
    phase: npt.NDArray[np.str_]


def hold_out(measured: Measured, by: str = "model") -> HeldOut:
    """Every row predicted without its group; the spread from the other groups alone.

    Nested: the residuals behind a group's interval are those of the other groups, each predicted
    without both, to first order (see ``fits_without``). An engine with one group is predicted by
    all others, and its interval is what those show when each of them is left out.
    """
    seconds = np.zeros(len(measured.questions))
    group = np.zeros(len(measured.questions), dtype=np.int64)
    residuals: list[Residuals] = []
    for engine in sorted(set(measured.engine)):
        folds = folds_of(measured, engine, by)
        for fold in folds:
            rest = np.setdiff1d(measured.rows(engine), fold)
            alone = len(rest) == 0
            found = measured.pooled(engine) if alone else measured.fitted(engine, rest)
            seconds[fold] = measured.predicted(found, fold)
            group[fold] = len(residuals)
            others = [other for other in folds if other is not fold]
            residuals.append(
                _others_left_out(measured, engine)
                if alone
                else _rest_left_out(measured, found, engine, others)
            )
    return HeldOut(seconds, group, tuple(residuals))


def _rest_left_out(measured: Measured, found: Fit, engine: str, folds: list[Indices]) -> Residuals:
    """Residuals of the groups of a fit, each by that fit without it."""
    rows = np.sort(np.concatenate(folds))
    fits = measured.fitted_without(found, engine, rows, folds)
    return _residuals(measured, list(zip(fits, folds, strict=True)))


def _residuals(measured: Measured, pairs: list[tuple[Fit, Indices]]) -> Residuals:
    """log(measured / predicted) of groups of rows, each by its own fit."""
    logs = [
        np.log(measured.seconds[rows] / measured.predicted(found, rows)) for found, rows in pairs
    ]
    rows = np.concatenate([rows for _, rows in pairs])
    group = np.repeat(np.arange(len(pairs)), [len(rows) for _, rows in pairs])
    return Residuals(np.concatenate(logs), group, measured.phase[rows])


def _others_left_out(measured: Measured, engine: str) -> Residuals:
    """Residuals of all other engines, each predicted by all engines but itself."""
    names = [name for name in sorted(set(measured.engine)) if name != engine]
    return _residuals(measured, [(measured.pooled(name), measured.rows(name)) for name in names])


# The share of times on either side of an 80 % interval, and the normal quantile there.
TAIL, NORMAL = 0.1, 1.2815515655446004


def student(groups: int) -> float:
    """How much wider than normal the interval of a new group is that ``groups`` others give.

    Student's quantile at 90 % for groups - 1 degrees of freedom (Abramowitz and Stegun 26.7.5),
    times sqrt(1 + 1/groups) for the new one, over the normal quantile.
    """
    z, free = NORMAL, max(groups - 1, 1)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    found = z + sum(term / free**power for power, term in enumerate(terms, 1))
    return float(found / z * np.sqrt(1 + 1 / max(groups, 1)))


def quantiles(logs: Array, group: Indices) -> tuple[float, float]:
    """The ends of the interval of log(measured / predicted) for a new group, around 0.

    Rows of a group err together, so each group weighs the same, and few groups widen it.
    """
    names, which, counts = np.unique(group, return_inverse=True, return_counts=True)
    order = np.argsort(logs)
    weights = (1 / counts[which])[order]
    reached = (np.cumsum(weights) - weights / 2) / np.sum(weights)
    low, high = np.interp([TAIL, 1 - TAIL], reached, logs[order])
    middle, half = (low + high) / 2, (high - low) / 2 * student(len(names))
    return float(min(middle - half, 0.0)), float(max(middle + half, 0.0))


# Below this many rows or groups of a phase, all phases speak for it; below it again, others do.
LEAST_ROWS, LEAST_GROUPS = 10, 2
# Where nothing speaks: a factor of e either way.
UNKNOWN = (-1.0, 1.0)


def ends_of(residuals: Residuals, phase: str) -> tuple[float, float] | None:
    """The interval of a phase from residuals; None where they are too few."""
    for chosen in (residuals.phase == phase, np.full(len(residuals.logs), True)):
        group = residuals.group[chosen]
        if chosen.sum() >= LEAST_ROWS and len(set(group)) >= LEAST_GROUPS:
            return quantiles(residuals.logs[chosen], group)
    return None


def intervals(measured: Measured, held: HeldOut) -> tuple[Array, Array]:
    """Ends of the 80 % interval of every row, in seconds."""
    low, high = np.zeros(len(held.seconds)), np.zeros(len(held.seconds))
    for number, residuals in enumerate(held.residuals):
        rows = np.flatnonzero(held.group == number)
        for name in set(measured.phase[rows]):
            chosen = rows[measured.phase[rows] == name]
            ends = ends_of(residuals, name) or ends_of(
                _others_left_out(measured, measured.engine[rows[0]]), name
            )
            low[chosen], high[chosen] = ends or UNKNOWN
    return np.exp(low) * held.seconds, np.exp(high) * held.seconds
