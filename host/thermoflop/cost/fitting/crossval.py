"""Held-out predictions: every row is predicted by a fit that has not seen its group.

For each engine the model is held out: all rows of one shape at a time, whatever they call it and in
whatever format. An engine with one model has its devices held out; an engine with one of both, the
engine itself, so that only the pooled profile of all other engines speaks for it. The centre of
every fit is pooled over *other* engines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from thermoflop.base.number import Array, Flags, Indices, Words
from thermoflop.base.progress import tracked
from thermoflop.base.record import record, replace
from thermoflop.cost.catalogue.profile import Profile, Spread
from thermoflop.cost.catalogue.seen import group_names
from thermoflop.cost.catalogue.trainers import widened_for_kind
from thermoflop.cost.engines.generation import age_of
from thermoflop.cost.fitting.design_matrix import DesignMatrix
from thermoflop.cost.fitting.regression import START, Regression, fit, fits_without, start
from thermoflop.cost.fitting.rows import engine_name, matrix_of
from thermoflop.cost.published.row import Row
from thermoflop.cost.roofline.formula import PARAMETERS, TIED
from thermoflop.cost.roofline.span import Span

# The groups whose offsets all engines share; of trainers, which have a device or two each, also the
# device's and the trainer's own: without them, what is common to all would be what the trainer with
# most rows does on its device. (Of engines for inference this was tried, and made prompts worse.)
POOLED = ("family:", "kind:")
OF_TRAINERS = (*POOLED, "device:", "label:")
# What is known of an engine that the others do otherwise. SGLang reads the cache, and the prompt,
# with kernels made for it (FlashInfer, FlashAttention 3), which those of that time that were
# measured do at 0.8 of the bandwidth and, for long prompts on an H20, 0.7 of the peak (decode and
# prompt attention in data/kernel_rates.json), where older engines are at 0.35 and 0.54. A product
# of Hopper's tensor cores has 64 rows at least (``wgmma.m64`` of the PTX ISA): so many queries pad
# a tile in decoding. Its rows, of three models on one device, do not tell these apart.
BESIDES = {"sglang@0.4": {"cache": 0.8, "attention": 0.7, "q_half": 64.0}}
# Rooflines on the way to the sharp one for all trainers together (``together.POWERS``). Straight to
# it, the fit without Megatron-Bridge ends where that trainer is expected to take half as long again
# as it does.
ROUNDED = (2.0, 6.0, 20.0)
# Engines that tell nothing of others: MLX is Apple's own, and runs on its devices alone.
APART = ("mlx",)
# How far an engine may leave the pooled value, as a fraction of the prior's own width.
SPREAD = 0.7


class Measured:
    """Rows with their matrix, engines and groups; fits are made of subsets of them.

    ``tied``: experts run at the rates of other matrices, as where an engine's rows are few; None:
    so they do but in training, whose trainers share what experts take.
    """

    def __init__(self, rows: Sequence[Row], *, tied: bool | None = None) -> None:
        tied = {row.phase for row in rows} != {"iteration"} if tied is None else tied
        self.measured, self.is_tied = list(rows), tied
        self.matrix = matrix_of(rows).tied() if tied else matrix_of(rows)
        self.seconds: Array = np.array([row.measured_s for row in rows])
        self.engine = np.array([engine_name(row.question) for row in rows], dtype=object)
        self.model = np.array([str(row.question.model.params) for row in rows])
        self.device = np.array([row.question.device.name for row in rows])
        self.phase = np.array([row.phase for row in rows])
        self.groups = [groups_of(row) for row in rows]
        self._pooled: dict[str, Regression] = {}

    def rows(self, engine: str) -> Indices:
        """The rows of one engine."""
        return np.flatnonzero(self.engine == engine)

    def pooled(self, without: str = "") -> Regression:
        """One fit to all engines but one; an engine weighs by the root of its rows. Steps that wait
        for the host after each product are one engine's, and tell nothing of the others'."""
        if without not in self._pooled:
            left_out = np.isin(self.engine, (without, *APART)) | self.matrix.rows_waited
            rows = np.flatnonzero(~left_out)
            counts = {
                name: int((self.engine[rows] == name).sum()) for name in set(self.engine[rows])
            }
            weights = np.array([counts[name] ** -0.5 for name in self.engine[rows]])
            training = set(self.phase) == {"iteration"}
            shared = OF_TRAINERS if training else POOLED
            families = [
                tuple(name for name in self.groups[row] if name.startswith(shared)) for row in rows
            ]
            self._pooled[without] = fit(
                self.matrix.pick(rows),
                self.seconds[rows],
                families,
                start(),
                weights=weights / weights.mean(),
                powers=ROUNDED if training else (),
            )
        return self._pooled[without]

    def fitted(self, engine: str, rows: Indices) -> Regression:
        """The fit of an engine to some of its rows, around what the others do."""
        return fit(*self._problem_of(engine, rows))

    def fitted_without(
        self, regression: Regression, engine: str, rows: Indices, parts: Sequence[Indices]
    ) -> list[Regression]:
        """What the fit to ``rows`` becomes without each of some parts of them."""
        places = [np.searchsorted(rows, part) for part in parts]
        return fits_without(regression, *self._problem_of(engine, rows), places)

    def _problem_of(
        self, engine: str, rows: Indices
    ) -> tuple[DesignMatrix, Array, list[tuple[str, ...]], Array, float]:
        centre = np.array(self.pooled(engine).log_params)
        besides = BESIDES.get(engine, {})
        known = start({**START, **{name: (value, 1.0) for name, value in besides.items()}})
        centre = np.where([name in besides for name in PARAMETERS], known, centre)
        groups = [self.groups[row] for row in rows]
        return self.matrix.pick(rows), self.seconds[rows], groups, centre, SPREAD

    def predicted(self, regression: Regression, rows: Indices) -> Array:
        """Seconds that a fit expects of some rows, never below their bound."""
        logs = regression.logs([self.groups[row] for row in rows])
        return np.maximum(self.matrix.pick(rows).seconds(logs)[0], self.matrix.bound_s[rows])


def groups_of(row: Row) -> tuple[str, ...]:
    """What may move the rates of an engine: see ``profiles.group_names``."""
    question = row.question
    kind, age = (
        getattr(question, "kind", ""),
        age_of(question.engine, getattr(question, "date", "")),
    )
    return group_names(question.device, question.precision, question.engine, kind, age)


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
    """What a profile without its group expects of every row, and the number of that group."""

    spans: tuple[Span, ...]
    group: Indices

    @property
    def seconds(self) -> Array:
        """Seconds expected of every row."""
        return np.array([span.expected_s for span in self.spans])


@record
class Residuals:
    """Held-out residuals of the rows that a fit has seen: of which group and phase each is.

    ``unseen``: they are those of trainers, each left out, for one that no fit has seen.
    """

    logs: Array
    group: Indices
    phase: Words
    unseen: bool = False


def hold_out(measured: Measured, by: str = "model") -> HeldOut:
    """Every row predicted without its group; the spread from the other groups alone.

    The prediction is the product's own, under a profile made of the fit. Nested: the residuals
    behind a group's interval are those of the other groups, each predicted without both, to first
    order (see ``fits_without``). An engine with one group is predicted by all others, and its
    interval is what those show when each of them is left out.
    """
    spans: dict[int, Span] = {}
    group = np.zeros(len(measured.measured), dtype=np.int64)
    number = 0
    parts = [(engine, folds_of(measured, engine, by)) for engine in sorted(set(measured.engine))]
    for engine, folds in tracked(parts, "holding out", lambda each: each[0]):
        for fold in tracked(folds, f"holding out models of {engine}"):
            profile = _profile_without(measured, engine, fold, folds)
            for row in fold:
                spans[int(row)] = measured.measured[row].predicted(profile)
            group[fold] = number
            number += 1
    return HeldOut(tuple(spans[row] for row in range(len(spans))), group)


def _profile_without(
    measured: Measured, engine: str, fold: Indices, folds: list[Indices]
) -> Profile:
    """The profile of an engine from the rows that are not in a fold."""
    rest = np.setdiff1d(measured.rows(engine), fold)
    if len(rest):
        regression = measured.fitted(engine, rest)
        others = [other for other in folds if other is not fold]
        residuals = _rest_left_out(measured, regression, engine, others)
    else:
        regression = measured.pooled(engine)
        residuals = _others_left_out(measured, engine)
    intervals = {
        str(phase): _interval(measured, residuals, engine, str(phase))
        for phase in {*measured.phase, "all"}
    }
    log_params = fitted_points(measured, regression)
    profile = Profile(
        engine, log_params, regression.group_offsets, intervals, intervals, len(rest), 0, (), ()
    )
    unusual = getattr(measured.measured[fold[0]].question, "kind", "")
    return widened_for_kind(profile) if unusual and not len(rest) else profile


def fitted_points(measured: Measured, regression: Regression) -> dict[str, float]:
    """What was fitted, by parameter: rates that are tied to others are not."""
    points = zip(PARAMETERS, regression.log_params, strict=True)
    return {name: point for name, point in points if not (measured.is_tied and name in TIED)}


def _interval(measured: Measured, residuals: Residuals, engine: str, phase: str) -> Spread:
    """The interval of a phase; from all other engines where an engine has too few rows."""
    ends = ends_of(residuals, phase) or ends_of(_others_left_out(measured, engine), phase)
    low, high = ends or UNKNOWN
    return Spread(float(np.exp(low)), float(np.exp(high)), len(residuals.logs))


def _rest_left_out(
    measured: Measured, regression: Regression, engine: str, folds: list[Indices]
) -> Residuals:
    """Residuals of the groups of a fit, each by that fit without it."""
    rows = np.sort(np.concatenate(folds))
    fits = measured.fitted_without(regression, engine, rows, folds)
    return _residuals(measured, list(zip(fits, folds, strict=True)))


def _residuals(measured: Measured, pairs: list[tuple[Regression, Indices]]) -> Residuals:
    """log(measured / predicted) of groups of rows, each by its own fit."""
    logs = [
        np.log(measured.seconds[rows] / measured.predicted(regression, rows))
        for regression, rows in pairs
    ]
    rows = np.concatenate([rows for _, rows in pairs])
    group = np.repeat(np.arange(len(pairs)), [len(rows) for _, rows in pairs])
    return Residuals(np.concatenate(logs), group, measured.phase[rows])


def _others_left_out(measured: Measured, engine: str) -> Residuals:
    """Residuals of all other engines, each predicted by all engines but itself."""
    names = sorted(set(measured.engine) - {engine, *APART})
    left = _residuals(measured, [(measured.pooled(name), measured.rows(name)) for name in names])
    if set(measured.phase) != {"iteration"}:
        return left
    return replace(left, group=trainers_of(np.array(names)[left.group]), unseen=True)


def trainers_of(engines: Iterable[str]) -> Indices:
    """The number of each row's trainer, whose kinds of models are one."""
    names = [name.partition("/")[0] for name in engines]
    return np.unique(names, return_inverse=True)[1]


# The share of times on either side of an 80 % interval, and the normal quantile there.
TAIL, NORMAL = 0.1, 1.2815515655446004


def student(groups: float) -> float:
    """How much wider than normal the interval of a new group is that ``groups`` others give.

    Student's quantile at 90 % over the normal one (Abramowitz and Stegun 26.7.5). The middle of the
    interval is the expectation, not a mean of the groups: each of them tells of the width.
    """
    z, free = NORMAL, max(groups, 1)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    quantile = z + sum(term / free**power for power, term in enumerate(terms, 1))
    return float(quantile / z)


def weighted_quantile(values: Array, weights: Array, share: float) -> float:
    """Where a share of the weight of some values lies below."""
    order = np.argsort(values)
    sorted_weights = weights[order]
    reached = (np.cumsum(sorted_weights) - sorted_weights / 2) / np.sum(weights)
    return float(np.interp(share, reached, values[order]))


def quantiles(logs: Array, group: Indices) -> tuple[float, float]:
    """The ends of the interval of log(measured / predicted) for a new group, around 0.

    As much lies above as below: few groups, each of which errs as one, do not tell two ends apart.
    A group weighs as the root of its rows: where each weighs the same, models of one row speak for
    the spread of a model on many devices. Few groups widen it. Of rows that were predicted without
    their model 82 % lie within; where each end was found by itself, and a mean of the groups taken
    off, 84 % did in intervals that were wider by 6 % at the median, and an engine of three models
    had one of a factor 4.7.
    """
    names, which, counts = np.unique(group, return_inverse=True, return_counts=True)
    weights: Array = (
        counts[which].astype(float) ** -0.5
    )  # in a group together: the root of its rows
    half = weighted_quantile(np.abs(logs), weights, 1 - 2 * TAIL) * student(len(names))
    return -half, half


def unseen_quantiles(logs: Array, group: Indices) -> tuple[float, float]:
    """The ends for a trainer that no fit has seen, from what others show when they are left out.

    Rows of a trainer err together, so that trainers of unlike many rows tell as much as fewer of
    like many (Kish 1965: the square of the sum of weights over the sum of their squares), and the
    new one errs by as much again.
    """
    _, counts = np.unique(group, return_counts=True)
    few = float(np.sum(counts**0.5) ** 2 / np.sum(counts))
    low, high = quantiles(logs, group)
    wider = student(few) / student(len(counts)) * (1 + 1 / few) ** 0.5
    return low * wider, high * wider


# A run is its tokens but for the prompt: what either missed tells of both.
GENERATED = ("token", "total")


def of_phase(phases: Words, phase: str) -> Flags:
    """Which rows tell of a phase."""
    return np.isin(phases, GENERATED if phase in GENERATED else (phase,))


# Below this many rows or groups of a phase, all phases speak for it; below it again, others do.
LEAST_ROWS, LEAST_GROUPS = 10, 2
# Where nothing speaks: a factor of e either way.
UNKNOWN = (-1.0, 1.0)


def ends_of(residuals: Residuals, phase: str) -> tuple[float, float] | None:
    """The interval of a phase from residuals; None where they are too few."""
    for chosen in (of_phase(residuals.phase, phase), np.full(len(residuals.logs), True)):
        group = residuals.group[chosen]
        if chosen.sum() >= LEAST_ROWS and len(set(group)) >= LEAST_GROUPS:
            ends = unseen_quantiles if residuals.unseen else quantiles
            return ends(residuals.logs[chosen], group)
    return None
