"""Fitting rates to measured rows: few parameters, each pulled toward what is known without them.

The logarithm of every parameter of an engine has a normal prior around the pooled value over all
other engines; corrections for a family of formats, a device, or the number of devices have priors
around zero. The fit is the mode of the posterior (ridge regression, iterated: Gauss-Newton with
Huber weights), so that a group with two rows moves little and one with fifty moves as it must.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.cost.terms import PARAMETERS
from thermoflop.model.record import record

if TYPE_CHECKING:
    import numpy.typing as npt

    from thermoflop.cost.terms import Array, Terms

# Where parameters start and how far they are likely to be from it, as a factor's logarithm.
# Efficiencies from published kernels: GEMM 0.5-0.9, FlashAttention 0.2-0.7, streams 0.6-0.92.
START = {
    "matmul": (0.55, 0.5),
    "attention": (0.25, 0.8),
    "weights": (0.70, 0.4),
    "cache": (0.50, 0.7),
    "activations": (0.50, 0.7),
    "link": (0.50, 0.7),
    "pad_rows": (32.0, 0.8),
    "launch_s": (5e-6, 1.2),
    "step_s": (3e-4, 1.5),
    "sequence_s": (1e-5, 1.5),
    "collective_s": (1.2e-5, 1.0),
    "stream": (50.0, 0.7),
}
# Corrections: the parameters that a group may move, and how far it is likely to.
MOVES = {
    "family": {"matmul": 0.5, "weights": 0.4, "stream": 0.5, "launch_s": 0.4, "pad_rows": 0.5},
    "device": {"matmul": 0.4, "weights": 0.4, "launch_s": 0.3, "step_s": 0.4, "attention": 0.3},
    "label": {
        "matmul": 0.4, "weights": 0.3, "launch_s": 0.5, "step_s": 0.7, "attention": 0.3,
        "sequence_s": 0.5, "activations": 0.4, "cache": 0.4,
    },
    "pair": {"matmul": 0.4, "weights": 0.3, "pad_rows": 0.3},
}  # fmt: skip
# No efficiency passes these. 1/e = 1/limit + u, and it is log u that has a normal prior.
LIMITS = np.array([0.95, 0.9, 0.96, 0.96, 0.96, 0.95])
HUBER = 1.5
NOISE = 0.1


@record
class Fit:
    """Fitted logarithms: ``base`` for ``PARAMETERS``, ``moves`` by group and parameter."""

    base: tuple[float, ...]
    moves: dict[str, dict[str, float]]

    def logs(self, groups: list[tuple[str, ...]]) -> Array:
        """The logarithms of the parameters for rows that belong to these groups."""
        result = np.tile(np.array(self.base), (len(groups), 1))
        for row, names in enumerate(groups):
            for name in names:
                for parameter, move in self.moves.get(name, {}).items():
                    result[row, PARAMETERS.index(parameter)] += move
        return logs_of(result)[0]


def logs_of(points: Array) -> tuple[Array, Array]:
    """Logarithms of the parameters from fitted points, and d(logarithm)/d(point)."""
    logs, slopes = points.copy(), np.ones_like(points)
    count = len(LIMITS)
    excess = np.exp(-points[..., :count])
    logs[..., :count] = -np.log(1 / LIMITS + excess)
    slopes[..., :count] = excess / (1 / LIMITS + excess)
    return logs, slopes


def start() -> Array:
    """The fitted points of ``START``."""
    values = np.array([START[name][0] for name in PARAMETERS])
    points = np.log(values)
    count = len(LIMITS)
    points[:count] = -np.log(1 / values[:count] - 1 / LIMITS)
    return points


def fit(
    terms: Terms,
    measured_s: Array,
    groups: list[tuple[str, ...]],
    centre: Array,
    spread: float = 1.0,
    weights: Array | None = None,
) -> Fit:
    """The most likely parameters. ``spread`` scales how far the base may leave ``centre``."""
    names = sorted({name for row in groups for name in row})
    layout = [(None, index) for index in range(len(PARAMETERS))]
    widths = [START[name][1] * spread for name in PARAMETERS]
    for name in names:
        for parameter, width in MOVES[name.partition(":")[0]].items():
            layout.append((name, PARAMETERS.index(parameter)))  # type: ignore[arg-type]
            widths.append(width)
    member = _membership(layout, groups)
    columns = np.array([column for _, column in layout])
    prior = np.concatenate([centre, np.zeros(len(layout) - len(PARAMETERS))])
    solved = _solve(terms, np.log(measured_s), member, columns, prior, np.array(widths), weights)
    moves_by: dict[str, dict[str, float]] = {name: {} for name in names}
    for (owner, column), value in zip(layout, solved, strict=True):
        if owner is not None:
            moves_by[owner][PARAMETERS[column]] = float(value)
    return Fit(tuple(float(value) for value in solved[: len(PARAMETERS)]), moves_by)


def _membership(layout: list[tuple[None, int]], groups: list[tuple[str, ...]]) -> Array:
    """1 where an unknown applies to a row."""
    member = np.ones((len(groups), len(layout)))
    for column, (owner, _) in enumerate(layout):
        if owner is not None:
            member[:, column] = [owner in row for row in groups]
    return member


def _solve(
    terms: Terms,
    target: Array,
    member: Array,
    columns: npt.NDArray[np.int64],
    prior: Array,
    widths: Array,
    weights: Array | None,
) -> Array:
    """Damped Gauss-Newton on the log posterior."""
    scatter = np.zeros((len(columns), len(PARAMETERS)))
    scatter[np.arange(len(columns)), columns] = 1.0
    point, damping = prior.copy(), 1e-3
    value, jacobian, residual = _posterior(
        terms, target, member, columns, scatter, point, prior, widths, weights)
    for _ in range(60):
        normal = jacobian.T @ jacobian
        step = np.linalg.solve(
            normal + damping * np.diag(np.diag(normal)), jacobian.T @ residual)
        trial = point + np.clip(step, -1.0, 1.0)
        found = _posterior(terms, target, member, columns, scatter, trial, prior, widths, weights)
        if found[0] < value:
            done = value - found[0] < 1e-6 * value
            point, (value, jacobian, residual), damping = trial, found, damping / 3
            if done:
                break
        else:
            damping *= 4
            if damping > 1e6:
                break
    return point


def _posterior(
    terms: Terms,
    target: Array,
    member: Array,
    columns: npt.NDArray[np.int64],
    scatter: Array,
    point: Array,
    prior: Array,
    widths: Array,
    weights: Array | None,
) -> tuple[float, Array, Array]:
    """Half the negative log posterior, its whitened Jacobian and residuals (data, then prior)."""
    logs, bends = logs_of((member * point) @ scatter)
    seconds, slopes = terms.seconds(logs)
    slopes = slopes * bends
    residual = (target - np.log(seconds)) / NOISE
    size = np.abs(residual)
    huber = np.sqrt(np.where(size <= HUBER, 1.0, HUBER / np.maximum(size, HUBER)))
    if weights is not None:
        huber = huber * np.sqrt(weights)
    scale = (huber / NOISE)[:, None]
    jacobian = np.vstack([slopes[:, columns] * member * scale, np.diag(1 / widths)])
    residuals = np.concatenate([residual * huber, (prior - point) / widths])
    cost = float(np.sum(residuals**2))
    return cost, jacobian, residuals
