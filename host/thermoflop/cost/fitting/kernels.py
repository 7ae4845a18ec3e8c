"""Fitting the rates of kernels: robust, in logarithms, with moves that are pulled toward none.

``python -m thermoflop.cost.fitting.kernels`` writes ``data/kernel_rates.json`` from the carried
rows. The posterior and its solver are those of ``fitting.regression``; here are the forms, with
slopes by differences, and the priors of groups.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from thermoflop.base.number import Array
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import catalogue
from thermoflop.cost.fitting.regression import Problem, points_of, solve
from thermoflop.cost.kernels.form import Form
from thermoflop.cost.kernels.rates import KernelRates
from thermoflop.cost.kernels.rows import Kernels, carried_kernels

# How far, as a logarithm, a parameter of a group is likely from that of all kernels.
REACH = {
    "engine": 0.25, "family": 0.3, "format": 0.3, "cell": 0.2, "architecture": 0.25, "kind": 0.2,
}  # fmt: skip
LEAST_ROWS = 4  # of a group that may move
NOISE = 0.15
STEP = 1e-4
# How far a user's device, and a format on it, are likely from the shipped rates, and the noise of
# what is measured there: with these 20 kernels bring most on an architecture that is left out
# (0.3, 0.2 and 0.2 leave decode attention at 10 % instead of 9, prompts at 12 instead of 8).
OWN_REACH, OWN_NOISE = {"device": 0.5, "format": 0.3}, 0.15
LEAST_KEPT = 0.02  # moves smaller than this are not written


class FormMatrix:
    """Kernels of one class as what ``Problem`` fits: seconds and slopes by differences."""

    def __init__(self, kernels: Kernels) -> None:
        self.form, self.sizes = kernels.form, kernels.sizes
        self.names = list(kernels.form.parameters)

    def seconds(self, logs: Array) -> tuple[Array, Array]:
        """Seconds of every kernel, and d(log time)/d(log parameter)."""
        values = np.exp(logs)
        rates = {name: values[:, place] for place, name in enumerate(self.names)}
        seconds = np.asarray(self.form.seconds(self.sizes, rates), dtype=float)
        slopes = np.empty_like(logs)
        for place, name in enumerate(self.names):
            moved = {**rates, name: rates[name] * np.exp(STEP)}
            ahead = np.asarray(self.form.seconds(self.sizes, moved))
            slopes[:, place] = np.log(ahead / seconds) / STEP
        return seconds, slopes


def limits_of(form: Form) -> Array:
    """The limits of the first parameters of a form."""
    return np.array([each.limit for each in form.parameters.values() if each.limit is not None])


def posed(kernels: Kernels) -> tuple[Problem, list[str]]:
    """The posterior over the points of a form, then of each group's moves, and these groups."""
    form, count = kernels.form, len(kernels.form.parameters)
    chosen, member = _membership(kernels.groups())
    columns = np.tile(np.arange(count), len(chosen) + 1)
    starts = np.array([each.start for each in form.parameters.values()])
    prior = np.concatenate([points_of(starts, limits_of(form)), np.zeros(count * len(chosen))])
    widths = np.concatenate(
        [
            np.array([each.width for each in form.parameters.values()]),
            *(np.full(count, REACH[name.partition(":")[0]]) for name in chosen),
        ]
    )
    problem = Problem(
        FormMatrix(kernels), np.log(kernels.measured_s), np.repeat(member, count, axis=1), columns,
        prior, widths, limits=limits_of(form), noise=NOISE,
    )  # fmt: skip
    return problem, chosen


def fit_kernels(kernels: Kernels) -> KernelRates:
    """The rates of one class."""
    problem, chosen = posed(kernels)
    form, names = kernels.form, list(kernels.form.parameters)
    point = solve(problem, problem.prior.copy()).reshape(-1, len(names))
    offsets = {
        name: dict(zip(names, map(float, line), strict=True))
        for name, line in zip(chosen, point[1:], strict=True)
    }
    return KernelRates(form, dict(zip(names, map(float, point[0]), strict=True)), offsets)


def _membership(rows: Sequence[tuple[str, ...]]) -> tuple[list[str], Array]:
    """The groups with enough rows, and which rows are theirs; the first column is everybody's."""
    names, counts = np.unique([name for groups in rows for name in groups], return_counts=True)
    chosen = [str(name) for name, count in zip(names, counts, strict=True) if count >= LEAST_ROWS]
    member = np.ones((len(rows), len(chosen) + 1))
    for column, name in enumerate(chosen, 1):
        member[:, column] = [name in groups for groups in rows]
    return chosen, member


def predicted_s(rates: KernelRates, kernels: Kernels) -> Array:
    """Seconds of every kernel under rates."""
    lines = {groups: rates.values(groups) for groups in set(kernels.groups())}
    columns = {
        name: np.array([lines[groups][name] for groups in kernels.groups()])
        for name in rates.form.parameters
    }
    return np.asarray(rates.form.seconds(kernels.sizes, columns), dtype=float)


def calibrated(rates: KernelRates, measured: Kernels) -> KernelRates:
    """The rates with what kernels measured on one device, with one engine, add to them.

    The mode of the posterior around the shipped rates: moves of the device and of each format on
    it, whose priors are ``OWN_REACH``, under a noise of ``OWN_NOISE``.
    """
    problem, owners = _own_problem(rates, measured)
    moves = solve(problem, problem.prior.copy()).reshape(len(owners), -1)
    own = {
        owner: dict(zip(rates.form.parameters, map(float, line), strict=True))
        for owner, line in zip(owners, moves, strict=True)
    }
    return replace(rates, own=own)


def first_to_measure(rates: KernelRates, candidates: Kernels, count: int) -> list[int]:
    """Which kernels to measure: of each format, from the shortest to the longest, evenly between.

    Choosing those that are known least instead (the extremes alone) was tried and is worse: what a
    form does not say shows there, and nowhere else.
    """
    expected = predicted_s(rates, candidates)
    formats = candidates.labels["format"]
    names = sorted(set(formats))
    chosen: list[int] = []
    for place, name in enumerate(names):
        rows = np.flatnonzero(formats == name)
        rows = rows[np.argsort(expected[rows], kind="stable")]
        share = min(len(rows), count // len(names) + (place < count % len(names)))
        if share:
            places = np.unique(np.round(np.linspace(0, len(rows) - 1, share)).astype(int))
            chosen += [int(row) for row in rows[places]]
    return chosen


def _own_problem(rates: KernelRates, measured: Kernels) -> tuple[_Moved, list[str]]:
    """The posterior over the moves of a machine, and whose they are."""
    names = list(rates.form.parameters)
    rows = measured.groups()
    formats = sorted({name for groups in rows for name in groups if name.startswith("format:")})
    owners = ["", *formats]
    member = np.array([[not owner or owner in groups for owner in owners] for groups in rows])
    count = len(names)
    reach = [OWN_REACH["device"] if not owner else OWN_REACH["format"] for owner in owners]
    problem = _Moved(
        FormMatrix(measured), np.log(measured.measured_s),
        np.repeat(member.astype(float), count, axis=1), np.tile(np.arange(count), len(owners)),
        np.zeros(count * len(owners)), np.repeat(reach, count), limits=limits_of(rates.form),
        noise=OWN_NOISE,
    )  # fmt: skip
    problem.base = np.array([list(rates.point(groups).values()) for groups in rows])
    return problem, owners


class _Moved(Problem):
    """A posterior over moves from a point of each row's own."""

    base: Array

    def points(self, point: Array) -> Array:
        """The parameters of each row."""
        moved: Array = self.base + super().points(point)
        return moved


def write(path: str) -> None:
    """Fit every class to the carried rows and write the rates."""
    import json

    raw: dict[str, Any] = {}
    for name, kernels in carried_kernels(catalogue()).items():
        rates = fit_kernels(kernels)
        raw[name] = {
            "points": [round(value, 4) for value in rates.points.values()],
            "offsets": {
                group: {
                    str(place): round(value, 3)
                    for place, value in enumerate(moved.values())
                    if abs(value) >= LEAST_KEPT
                }
                for group, moved in rates.offsets.items()
            },
        }
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(json.dumps(raw, separators=(",", ":")).replace('"},"', '"},\n"'))
        file.write("\n")


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    write(sys.argv[1] if sys.argv[1:] else os.path.join(here, "data", "kernel_rates.json"))  # noqa: PTH118
