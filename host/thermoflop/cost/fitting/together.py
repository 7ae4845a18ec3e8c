"""Engines of one time fitted together: each of them was measured with a few models only.

The logarithm of a parameter is a base that all engines share and an engine's own deviation from it,
and a few factors that hold for all of them: formats of 16 and 4 bits, versions of before 2026. Each
model is left out under every engine at once; what the fits then miss is pooled over the engines for
the interval, since no engine has models enough to tell its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from thermoflop.base.number import Array, Flags, Indices, Words
from thermoflop.base.progress import tracked
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profile import Profile, Spread
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.catalogue.seen import Seen, architecture_of, kind_of_model
from thermoflop.cost.engines.generation import find_generation, profile_name
from thermoflop.cost.fitting.crossval import TAIL, Measured, weighted_quantile
from thermoflop.cost.fitting.regression import START, Regression, fit, start
from thermoflop.cost.fitting.rows import asked
from thermoflop.cost.fitting.waiting import fitted_waiting
from thermoflop.cost.published.row import Row
from thermoflop.cost.roofline.bound import bound_step_s
from thermoflop.cost.roofline.formula import PARAMETERS
from thermoflop.cost.roofline.span import Span

# How far the base may leave what is known before, and an engine the base, as fractions of the
# prior's own width; a factor 1, and that of versions of before 2026. Chosen where each model, each
# device and the rows after 2026-03 are left out: of widths from 0.35 to 1.0 for the base, 0.02 to
# 0.1 for engines and 0.1 to 0.4 for factors these miss tokens least over the three: by 7.1, 6.7 and
# 10.0 % at the median.
BASE, ENGINE, FACTOR, AGE = 0.5, 0.035, 0.2, 0.3
# Their attention lays the query heads of a group in tiles of 16, of which half are empty. Prompts
# of 2,048 to 8,192 tokens reach 0.45 to 0.67 of products and exponentials on Hopper, as measured
# kernels have it (prompt attention in data/kernel_rates.json); rows of short ones tell little.
KNOWN = {**START, "q_half": (8.0, 0.8), "attention": (0.5, 0.3)}
OFFSETS = {
    "engine": {name: ENGINE * KNOWN[name][1] for name in PARAMETERS},
    "family:16": {"matmul": FACTOR},
    "family:4": dict.fromkeys(("matmul", "weights", "expert_weights"), FACTOR),
    "family:4w": dict.fromkeys(("weights", "expert_weights"), FACTOR),
    # of models in 4 bits whose experts alone are narrow
    "family:4 experts": {"expert_weights": FACTOR},
    "family:4w experts": {"expert_weights": FACTOR},
    "age": dict.fromkeys(("kernel_gap_s", "collective_s", "step_s", "sequence_s"), AGE),
}
# What products in nvfp4 add in measured kernels: compute and weights of ``format:nvfp4`` under
# ``gemm`` in data/kernel_rates.json. No dense model in 4 bits but one was measured in serving.
MEANS = {"family:4": {"matmul": -0.52, "weights": -0.31}}
# Rooflines on the way to the sharp one. Straight from the prior a fit stops at one of many kinks:
# where a model is left out, its posterior was up to 20 above the least that is known (0.1 to 6 by
# powers), and TensorRT-LLM's median 8.0, 7.1 or 7.9 % for a ``BASE`` of 0.45, 0.5 or 0.55 (7.2, 7.1
# and 7.1). Engines that are fitted alone end lower as well, and are missed by more: their rows tell
# less than their rates could.
POWERS = (2.0, 6.0, 20.0)


def is_together(row: Row) -> bool:
    """Whether a row belongs to a generation that is fitted with others of its time."""
    generation = find_generation(row.question.engine, getattr(row.question, "date", ""))
    return generation is not None and generation.together


class Together:
    """Rows of several engines of one time, and the profiles that fits of them give."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)
        self.measured = Measured([row for row in rows if row.phase != "client"], tied=False)
        self.is_wait = np.array([row.phase == "client" for row in rows], dtype=bool)
        self.place = np.cumsum(~self.is_wait) - 1
        names, groups = self.measured.engine, self.measured.groups
        self.groups = [(f"engine:{name}", *each) for name, each in zip(names, groups, strict=True)]
        self.at_load = np.array([asked(row).mixes_prefill for row in self.measured.measured])
        self.engines = sorted(set(names))
        self.models = np.array([str(row.question.model.params) for row in rows])
        self.devices = np.array([row.question.device.name for row in rows])

    def regression(self, places: Indices) -> Regression:
        """The fit to some of the rows that timed steps; an engine's model weighs by n^-1/4."""
        measured = self.measured
        counts = Counter((measured.engine[place], measured.model[place]) for place in places)
        weights = np.array(
            [counts[measured.engine[place], measured.model[place]] ** -0.25 for place in places]
        )
        groups = [self.groups[place] for place in places]
        return fit(
            measured.matrix.pick(places), measured.seconds[places], groups, start(KNOWN), BASE,
            weights=weights / weights.mean(), offsets=OFFSETS, means=MEANS, known=KNOWN,
            powers=POWERS,
        )  # fmt: skip

    def seconds(self, regression: Regression, places: Indices) -> Array:
        """Seconds that a fit expects of rows that timed steps, never below their bound."""
        logs = regression.logs([self.groups[place] for place in places])
        matrix = self.measured.matrix
        return np.maximum(matrix.pick(places).seconds(logs)[0], matrix.bound_s[places])

    def profiles(
        self, regression: Regression, places: Indices, waits: Sequence[Row]
    ) -> dict[str, Profile]:
        """The profile of each engine from a fit to some of the rows, with no interval yet."""
        offsets = regression.group_offsets
        shared = {name: each for name, each in offsets.items() if not name.startswith("engine:")}
        base = dict(zip(PARAMETERS, regression.log_params, strict=True))
        made = {}
        for engine in self.engines:
            own = offsets.get(f"engine:{engine}", {})
            points = {name: base[name] + own.get(name, 0.0) for name in PARAMETERS}
            rows = [self.measured.measured[place] for place in places]
            made[engine] = Profile(
                engine, points, shared, {}, {}, len(rows), len({row.model_name for row in rows}),
                tuple(sorted({row.question.device.name for row in rows})), (), seen=seen_of(rows),
            )  # fmt: skip
        return fitted_waiting(made, waits)

    def fitted(self, rows: Flags) -> tuple[Regression, dict[str, Profile]]:
        """The fit to the rows that are marked, and its profiles.

        Rows of no stated load are judged, but not fitted to.
        """
        chosen = rows[~self.is_wait] & self.at_load
        places = np.flatnonzero(chosen)
        regression = self.regression(places)
        waits = [self.rows[place] for place in np.flatnonzero(rows & self.is_wait)]
        return regression, self.profiles(regression, places, waits)

    def expected(self, fitted: tuple[Regression, dict[str, Profile]], judged: Indices) -> Array:
        """Seconds that a fit expects of some rows, never below their bound.

        Steps through the design matrix, which holds the terms that an estimate adds up.
        """
        regression, profiles = fitted
        seconds = np.zeros(len(judged))
        steps = ~self.is_wait[judged]
        seconds[steps] = self.seconds(regression, self.place[judged[steps]])
        for number in np.flatnonzero(~steps):
            row = self.rows[judged[number]]
            profile = replace(profiles[name_of(row)], intervals={"all": Spread(1.0, 1.0, 0)})
            seconds[number] = float(row.predicted(profile).expected_s)
        return seconds

    def left_out(
        self, part: Flags | None = None, by: Words | None = None
    ) -> tuple[LeftOut, list[Profile]]:
        """Every row without its model, or what it is ``by``: what is missed, and the profile that
        the row was not in.

        ``part``: only these rows are fitted to and predicted; those of others stay at 1 s.
        """
        part = np.full(len(self.rows), True) if part is None else part
        by = self.models if by is None else by
        seconds = np.ones(len(self.rows))
        profiles: dict[int, Profile] = {}
        for name in tracked(sorted(set(by[part])), "leaving out a model or device"):
            fitted = self.fitted(part & (by != name))
            judged = np.flatnonzero(part & (by == name))
            seconds[judged] = self.expected(fitted, judged)
            profiles |= {int(place): fitted[1][name_of(self.rows[place])] for place in judged}
        chosen = np.flatnonzero(part)
        return LeftOut([self.rows[place] for place in chosen], seconds[chosen]), [
            profiles[int(place)] for place in chosen
        ]

    @cached_property
    def by_model(self) -> tuple[LeftOut, list[Profile]]:
        """All rows, each without its model."""
        return self.left_out()

    def elsewhere(self) -> list[Span]:
        """Every row predicted without its device, in the order of the rows: a model that was seen
        on other devices. The interval is what models show when they are left out, wider for a
        device that none of the rows had."""
        left, profiles = self.left_out(by=self.devices)
        intervals = {name: self.by_model[0].intervals(name) for name in self.engines}
        rows = zip(self.rows, profiles, left.seconds, self.bounds(), strict=True)
        return [
            spanned(row, replace(each, intervals=intervals[name_of(row)]), float(seconds), bound)
            for row, each, seconds, bound in rows
        ]

    def spans(self) -> list[Span]:
        """Every row predicted without its model, in the order of the rows.

        The interval of a model comes from what the others show when they are left out.
        """
        left, profiles = self.by_model
        pairs = set(zip(map(name_of, self.rows), self.models, strict=True))
        intervals = {pair: left.intervals(*pair) for pair in pairs}
        return [
            spanned(
                row,
                replace(profile, intervals=intervals[name_of(row), model]),
                float(seconds),
                bound,
            )
            for row, profile, model, seconds, bound in zip(
                self.rows, profiles, self.models, left.seconds, self.bounds(), strict=True
            )
        ]

    def bounds(self) -> list[float]:
        """The bound of every row."""
        bound_s = self.measured.matrix.bound_s
        return [
            first_bound_s(row) if wait else float(bound_s[place])
            for row, wait, place in zip(self.rows, self.is_wait, self.place, strict=True)
        ]


class LeftOut:
    """What is missed where a model is left out: log(measured / expected) of each row."""

    def __init__(self, rows: Sequence[Row], seconds: Array) -> None:
        self.seconds = seconds
        self.logs: Array = np.log(np.array([row.measured_s for row in rows]) / seconds)
        self.models = np.array([str(row.question.model.params) for row in rows])
        self.engines = np.array([name_of(row) for row in rows])
        self.client = np.array([row.phase == "client" for row in rows])

    def intervals(self, engine: str, without: str = "") -> dict[str, Spread]:
        """The intervals of an engine by phase, from all models but one."""
        others = self.models != without
        steps, waits = others & ~self.client, others & self.client
        phases = {"all": steps, "client": waits if waits.any() else steps}
        made = {name: self._ends(chosen, engine) for name, chosen in phases.items()}
        return {**made, "prefill": replace(made["all"].wider(("prefill",)), rows=0)}

    def _ends(self, chosen: Flags, engine: str) -> Spread:
        """The interval of an engine from what all of them missed.

        A row weighs as in the fit, by the -1/4th power of the rows of its engine and model; those
        of the engine itself more by as many times as it has models to tell of it: one that has
        none is like the others. What clients wait for is too short of models for two ends of their
        own: as much lies above as below.
        """
        logs, engines = self.logs[chosen], self.engines[chosen]
        groups = np.char.add(engines, self.models[chosen])
        names, which, counts = np.unique(groups, return_inverse=True, return_counts=True)
        own = engines == engine
        more = np.where(own, 1.0 + len(set(groups[own])), 1.0)
        weights: Array = more * counts[which].astype(float) ** -0.25
        if self.client[chosen].all():
            half = weighted_quantile(np.abs(logs), weights, 1 - 2 * TAIL)
            low, high = -half, half
        else:
            low, high = (weighted_quantile(logs, weights, share) for share in (TAIL, 1 - TAIL))
        grown = np.sqrt(1 + 1 / len(names))  # the new model's own
        ends = np.exp([min(low * grown, 0.0), max(high * grown, 0.0)])
        return Spread(round(float(ends[0]), 4), round(float(ends[1]), 4), len(logs))


def name_of(row: Row) -> str:
    """The profile that speaks for a row."""
    return profile_name(row.question.engine, getattr(row.question, "date", ""))


def first_bound_s(row: Row) -> float:
    """The bound of a client's first token: its prompt alone, on an idle device."""
    question = asked(row)
    setting = question.setting(replace(find_profile(None), name=name_of(row)))
    load = question.workload
    read = setting.whole_prompt(load.prompt - load.prefix, 1, load.prefix)
    return float(bound_step_s(setting.least_reading(read), setting.limits, 1))


def spanned(
    row: Row, profile: Profile, seconds: float, bound: float, unseen: tuple[str, ...] = ()
) -> Span:
    """A time that was expected of a row, with the interval of a profile, wider by what is known to
    be ``unseen`` besides (``seen.EXTRA``)."""
    question = asked(row)
    spread = profile.interval(
        row.phase, question.device, question.precision, question.model, unseen
    )
    low, high = (max(seconds * end, bound) for end in (spread.low, spread.high))
    return Span(bound, seconds, low, high)


def built_together(rows: Sequence[Row]) -> list[Profile]:
    """The profiles of the generations that are fitted together, each with its intervals."""
    together = Together(rows)
    left, _ = together.by_model
    _, profiles = together.fitted(np.full(len(together.rows), True))
    return [replace(profile, intervals=left.intervals(name)) for name, profile in profiles.items()]


def seen_of(rows: Sequence[Row]) -> Seen:
    """What these rows were measured with."""
    return Seen(
        tuple(sorted({row.question.precision.name for row in rows})),
        tuple(sorted({kind_of_model(row.question.model) for row in rows})),
        tuple(sorted({architecture_of(row.question.device) for row in rows})),
    )
