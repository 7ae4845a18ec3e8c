"""Held-out predictions: every row is predicted by a fit that has not seen its group.

For each engine the model is held out: all rows of one shape at a time, whatever they call it and in
whatever format. An engine with one model has its devices held out; an engine with one of both, the
engine itself, so that only the pooled profile of all other engines speaks for it. The centre of
every fit is pooled over *other* engines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.cost.engines import find_engine
from thermoflop.cost.fitting import Fit, fit, start
from thermoflop.cost.terms import terms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from thermoflop.cost.terms import Array, Asked, Terms

    Indices = npt.NDArray[np.int64]

# How far an engine may leave the pooled value, as a fraction of the prior's own width.
SPREAD = 0.7


class Measured:
    """Questions with their terms, engines and groups; fits are made of subsets of them."""

    def __init__(self, questions: Sequence[Asked], terms: Terms | None = None) -> None:
        self.questions = list(questions)
        self.terms = terms_of(questions) if terms is None else terms  # type: ignore[arg-type]
        self.seconds: Array = np.array([question.measured_s for question in questions])
        self.engine = np.array([engine_name(question) for question in questions])
        self.model = np.array([str(question.model.params) for question in questions])
        self.device = np.array([question.device.name for question in questions])
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

    def fitted(self, engine: str, rows: Indices, warm: Fit | None = None) -> Fit:
        """The fit of an engine to some of its rows, around what the others do."""
        centre = np.array(self.pooled(engine).base)
        groups = [self.groups[row] for row in rows]
        return fit(self.terms.pick(rows), self.seconds[rows], groups, centre, SPREAD, warm=warm)

    def predicted(self, found: Fit, rows: Indices) -> Array:
        """Seconds that a fit expects of some rows, never below their bound."""
        logs = found.logs([self.groups[row] for row in rows])
        return np.maximum(self.terms.pick(rows).seconds(logs)[0], self.terms.bound_s[rows])


def engine_name(question: Asked) -> str:
    """The engine of a question; an unknown one is called by its label."""
    name = find_engine(question.engine).name
    return question.engine if name == "default" else name


def groups_of(question: Asked) -> tuple[str, str, str]:
    """What may move the rates of an engine: the family of formats, the device, the version."""
    family, device = question.precision.family, question.device.name
    return f"family:{family}", f"device:{device}", f"label:{question.engine}"


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


def hold_out(measured: Measured, by: str = "model") -> tuple[Array, Indices]:
    """Seconds expected of every row by a fit without its group, and the number of that group."""
    seconds = np.zeros(len(measured.questions))
    group = np.zeros(len(measured.questions), dtype=np.int64)
    number = 0
    for engine in sorted(set(measured.engine)):
        rows = measured.rows(engine)
        folds = folds_of(measured, engine, by)
        full = measured.fitted(engine, rows) if len(folds) > 1 else None
        for fold in folds:
            rest = np.setdiff1d(rows, fold)
            alone = len(rest) == 0
            found = measured.pooled(engine) if alone else measured.fitted(engine, rest, warm=full)
            seconds[fold] = measured.predicted(found, fold)
            group[fold] = number
            number += 1
    return seconds, group


# Rows of a group err together, so that the tails of a new group are longer than those of rows seen
# so far: the 80 % interval is taken at 5 and 95 % of the held-out residuals of other groups.
TAIL = 0.05


def quantiles(logs: Array, weights: Array | None = None) -> tuple[float, float]:
    """The ends of the interval of log(measured / predicted), stretched for few rows, around 0."""
    if weights is None:
        low, high = np.quantile(logs, [TAIL, 1 - TAIL])
    else:
        order = np.argsort(logs)
        reached = np.cumsum(weights[order]) / np.sum(weights)
        low, high = np.interp([TAIL, 1 - TAIL], reached, logs[order])
    stretch = 1 + 2 / (len(logs) + 1)
    middle = (low + high) / 2
    low, high = middle + (low - middle) * stretch, middle + (high - middle) * stretch
    return float(min(low, 0.0)), float(max(high, 0.0))


def intervals(measured: Measured, seconds: Array, group: Indices) -> tuple[Array, Array]:
    """Ends of the 80 % interval of every row, from held-out residuals of *other* groups.

    Of the same engine and phase where there are ten rows, else of the engine, else of all.
    """
    residual = np.log(measured.seconds / seconds)
    phase = np.array([question.phase for question in measured.questions])
    low, high = np.zeros(len(seconds)), np.zeros(len(seconds))
    for number in range(int(group.max()) + 1 if len(group) else 0):
        rows = np.flatnonzero(group == number)
        engine = measured.engine[rows[0]]
        others = group != number
        for name in set(phase[rows]):
            chosen = rows[phase[rows] == name]
            for pool in (
                others & (measured.engine == engine) & (phase == name),
                others & (measured.engine == engine),
                others & (phase == name) & _alone(measured, group),
                others,
            ):
                if pool.sum() >= 10:
                    break
            ends = quantiles(residual[pool])
            low[chosen], high[chosen] = ends
    return np.exp(low) * seconds, np.exp(high) * seconds


def _alone(measured: Measured, group: Indices) -> npt.NDArray[np.bool_]:
    """Rows of engines that were predicted without any row of their own."""
    whole = {
        engine for engine in set(measured.engine) if len(set(group[measured.engine == engine])) == 1
    }
    return np.array([engine in whole for engine in measured.engine])
