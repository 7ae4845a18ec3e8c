"""Fitting rates to measured rows: few parameters, each pulled toward what is known without them.

The logarithm of every parameter of an engine has a normal prior around the pooled value over all
other engines; corrections for a family of formats, a device, or the number of devices have priors
around zero. The fit is the mode of the posterior (ridge regression, iterated: Gauss-Newton with
Huber weights), so that a group with two rows moves little and one with fifty moves as it must.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from thermoflop.base.record import record
from thermoflop.cost.catalogue.profile import HIGHEST
from thermoflop.cost.roofline.formula import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermoflop.base.number import Array, Indices
    from thermoflop.cost.fitting.design_matrix import DesignMatrix

    Unknowns = list[tuple[str | None, int]]

    class Seconds(Protocol):
        """What is fitted: see ``DesignMatrix.seconds``."""

        def seconds(self, logs: Array) -> tuple[Array, Array]: ...


# Where parameters start and how far they are likely to be from it, as a factor's logarithm.
# Efficiencies from published kernels: GEMM 0.5-0.9, FlashAttention 0.2-0.7, streams 0.6-0.92.
# A tile holds 16, 64 or 128 queries (FlashInfer's FA2DetermineCtaTileQ), in decoding 16 or 64; from
# a start of 8 reading the cache hides them, and a fit never sees them. The cache of an A100
# gives its 108 cores 5,120 bytes a cycle (NVIDIA A100 Tensor Core GPU Architecture, 2020).
START = {
    "matmul": (0.55, 0.5),
    "attention": (0.25, 0.8),
    "weights": (0.70, 0.4),
    "cache": (0.50, 0.7),
    "activations": (0.50, 0.7),
    "link": (0.50, 0.7),
    "m_half": (32.0, 0.8),
    "kernel_gap_s": (5e-6, 1.2),
    "step_s": (3e-4, 1.5),
    "sequence_s": (1e-5, 1.5),
    "collective_s": (1.2e-5, 1.0),
    "weight_bytes_per_core_cycle": (47.0, 1.4),
    "launch_overhead_s": (5e-6, 0.6),
    "prompt_s": (2e-3, 1.5),
    "q_half": (32.0, 1.0),
    "tile_penalty": (0.2, 0.8),
    "expert_matmul": (0.4, 0.5),
    "expert_weights": (0.70, 0.4),
}
# Rows of transformers 4.51.3 in AWQ ran under other software than the rest of their page, without
# FlashAttention (qwen.readthedocs.io, speed benchmark of Qwen3), and meet the cache another way.
# Corrections: the parameters that a group may move, and how far it is likely to. AutoAWQ's own
# benchmark times a first pass: 64 tokens take 55 to 60 ms with 1 to 7 billion parameters.
KERNEL = {"matmul": 0.4, "weights": 0.2, "cache": 0.5, "launch_overhead_s": 0.4}
LABEL = {"cache": 0.6, "weights": 0.3, "matmul": 0.3, "launch_overhead_s": 0.4}
OFFSETS = {
    "family": {"matmul": 0.5, "weights": 0.4, "weight_bytes_per_core_cycle": 0.5,
               "kernel_gap_s": 0.4, "m_half": 0.5, "launch_overhead_s": 0.4},
    "device": {"matmul": 0.4, "weights": 0.4, "kernel_gap_s": 0.3, "step_s": 0.4,
               "attention": 0.3, "launch_overhead_s": 0.4},
    "label:Ollama (2025-2026)": {"step_s": 0.4},
    "label": LABEL,
    "label:AutoAWQ 0.1.6 GEMM": {**LABEL, "prompt_s": 4.0},
    "label:AutoAWQ 0.1.6 GEMV": {**LABEL, "prompt_s": 4.0},
    "kernel": KERNEL,
    "kernel:HF transformers 4.51.3/awq": {**KERNEL, "cache": 1.0},
    "kind": {"matmul": 0.3, "activations": 1.0, "attention": 0.3, "link": 0.4,
             "expert_matmul": 0.5},
    "age": {"cache": 0.3, "kernel_gap_s": 0.3},
    "age:since 2025-08": {"cache": 0.3, "kernel_gap_s": 0.3, "attention": 0.2, "q_half": 0.2},
    # llama.cpp launches each kernel of a step on Apple's GPUs, where NVIDIA's run a recorded graph
    "maker:Apple": {"kernel_gap_s": 0.4},
}  # fmt: skip
# llama.cpp since its attention is one kernel was measured at short contexts alone: it reads the
# cache at 0.8 of the bandwidth, as the kernels of decode attention that were measured do
# (data/kernel_rates.json), where scores that are written out are read with it at 0.38.
# Kernels were fused since then, of sums, norms, gates and rotations (its pulls 15631, 15715 and
# 16715: a token takes 1 to 14 % less by each), so launches cost fewer of them.
# Of the peak that half-precision sums have, its attention reaches 0.27 of long prompts: an 8B in
# Q4_0 on an RTX 3090 reads 512 tokens at 32,768 at 1,448 to 1,698 tokens/s by 512 and by 256 at
# once (pull 17505), of which 110 ms are its products and passes: 8.87 TFLOP in 244 and 192 ms,
# 0.26 and 0.33 of 142 TFLOP/s. In decoding, which reads the cache, it has as much less padding.
# What Ollama took between steps: 237 and 216 tokens/s of a 4090, where llama-bench made 335
# (github.com/geerlingguy/ai-benchmarks, its pull request 11 and issue 43), so 1.2 to 1.6 ms, and
# the steps of llama.cpp 30 us.
MEANS = {
    "age:since 2025-08": {"cache": 2.0, "kernel_gap_s": -0.5, "attention": -2.4, "q_half": -1.0},
    "label:Ollama (2025-2026)": {"step_s": 3.8},
}
# No efficiency passes these. 1/e = 1/limit + u, and it is log u that has a normal prior.
LIMITS = np.array([HIGHEST.get(name, np.inf) for name in PARAMETERS])
HUBER = 1.5
NOISE = 0.1
MOST_STEPS = 200
# Share of the posterior that a step must gain: at 3e-4 what a fit says depended on its start.
CONVERGED = 1e-6
MOST_ROUNDED = 15  # steps on each roofline that is rounded


@record
class Regression:
    """Fitted points: ``log_params`` of ``PARAMETERS``, ``group_offsets`` by group and parameter."""

    log_params: tuple[float, ...]
    group_offsets: dict[str, dict[str, float]]

    def logs(self, groups: Sequence[tuple[str, ...]]) -> Array:
        """The logarithms of the parameters for rows that belong to these groups."""
        result = np.tile(np.array(self.log_params), (len(groups), 1))
        for row, names in enumerate(groups):
            for name in names:
                for parameter, offset in self.group_offsets.get(name, {}).items():
                    result[row, PARAMETERS.index(parameter)] += offset
        return logs_of(result)[0]


def logs_of(points: Array, limits: Array = LIMITS) -> tuple[Array, Array]:
    """Logarithms of the parameters from fitted points, and d(logarithm)/d(point).

    The first parameters have ``limits``.
    """
    logs, slopes = points.copy(), np.ones_like(points)
    count = len(limits)
    excess = np.exp(-points[..., :count])
    logs[..., :count] = -np.log(1 / limits + excess)
    slopes[..., :count] = excess / (1 / limits + excess)
    return logs, slopes


def points_of(values: Array, limits: Array = LIMITS) -> Array:
    """The fitted points of parameters."""
    points: Array = np.log(values)
    count = len(limits)
    points[:count] = -np.log(1 / values[:count] - 1 / limits)
    return points


def start(known: Mapping[str, tuple[float, float]] = START) -> Array:
    """The fitted points of ``START``."""
    return points_of(np.array([known[name][0] for name in PARAMETERS]))


def fit(
    matrix: DesignMatrix,
    measured_s: Array,
    groups: Sequence[tuple[str, ...]],
    centre: Array,
    spread: float = 1.0,
    weights: Array | None = None,
    offsets: Mapping[str, Mapping[str, float]] = OFFSETS,
    means: Mapping[str, Mapping[str, float]] = MEANS,
    known: Mapping[str, tuple[float, float]] = START,
    powers: Sequence[float] = (),
) -> Regression:
    """The most likely parameters. ``spread`` scales how far the base may leave ``centre``;
    ``offsets`` are the groups, or kinds of them, that may move parameters, and how far; ``means``
    what is known of a group before, 0 where nothing is; ``known`` as in ``START``; ``powers`` of
    rounded rooflines (``design_matrix.shares_of``) lead to the sharp one."""
    unknowns, problem = _posed(
        matrix, measured_s, groups, centre, spread, weights, offsets, means, known
    )
    point = problem.prior.copy()
    for power in (*powers, None):
        problem.matrix = matrix.rounded(power)
        point = solve(problem, point, MOST_STEPS if power is None else MOST_ROUNDED)
    return _fit_at(unknowns, point)


def fits_without(
    regression: Regression,
    matrix: DesignMatrix,
    measured_s: Array,
    groups: Sequence[tuple[str, ...]],
    centre: Array,
    spread: float,
    parts: Sequence[Indices],
) -> list[Regression]:
    """What ``regression``, the fit to all rows, becomes without each of some parts of the rows.

    One Gauss-Newton step from the fit, with the part's rows taken out of the normal equations: to
    first order what a fit without them gives (infinitesimal jackknife, Giordano et al. 2019).
    """
    unknowns, problem = _posed(matrix, measured_s, groups, centre, spread, None)
    point = _point_of(regression, unknowns)
    _, jacobian, residual = problem.at(point)
    normal, pull = jacobian.T @ jacobian, jacobian.T @ residual
    left = []
    for part in parts:
        without = jacobian[part]
        step = np.linalg.solve(normal - without.T @ without, pull - without.T @ residual[part])
        left.append(_fit_at(unknowns, point + np.clip(step, -1.0, 1.0)))
    return left


def _posed(
    matrix: DesignMatrix,
    measured_s: Array,
    groups: Sequence[tuple[str, ...]],
    centre: Array,
    spread: float,
    weights: Array | None,
    offsets: Mapping[str, Mapping[str, float]] = OFFSETS,
    means: Mapping[str, Mapping[str, float]] = MEANS,
    known: Mapping[str, tuple[float, float]] = START,
) -> tuple[Unknowns, Problem]:
    """The unknowns, whose parameter each is, and the posterior over them."""
    names = sorted({name for row in groups for name in row})
    unknowns: Unknowns = [(None, index) for index in range(len(PARAMETERS))]
    widths = [known[name][1] * spread for name in PARAMETERS]
    prior = list(centre)
    for name in names:
        moved = offsets.get(name) or offsets.get(name.partition(":")[0]) or {}
        for parameter, width in moved.items():
            unknowns.append((name, PARAMETERS.index(parameter)))
            widths.append(width)
            prior.append(means.get(name, {}).get(parameter, 0.0))
    member = _membership(unknowns, groups)
    columns = np.array([column for _, column in unknowns])
    logs, reach = np.log(measured_s), np.array(widths)
    return unknowns, Problem(matrix, logs, member, columns, np.array(prior), reach, weights)


def _fit_at(unknowns: Unknowns, point: Array) -> Regression:
    offsets: dict[str, dict[str, float]] = {}
    for (owner, column), value in zip(unknowns, point, strict=True):
        if owner is not None:
            offsets.setdefault(owner, {})[PARAMETERS[column]] = float(value)
    return Regression(tuple(float(value) for value in point[: len(PARAMETERS)]), offsets)


def _membership(unknowns: Unknowns, groups: Sequence[tuple[str, ...]]) -> Array:
    """1 where an unknown applies to a row."""
    member = np.ones((len(groups), len(unknowns)))
    for column, (owner, _) in enumerate(unknowns):
        if owner is not None:
            member[:, column] = [owner in row for row in groups]
    return member


def _point_of(regression: Regression, unknowns: Unknowns) -> Array:
    """The unknowns of a fit in this unknowns."""
    values = [
        regression.log_params[column]
        if owner is None
        else regression.group_offsets[owner][PARAMETERS[column]]
        for owner, column in unknowns
    ]
    return np.array(values)


class Problem:
    """A posterior: rows, who belongs to what, and priors.

    ``matrix`` gives the seconds of all rows and their slopes; ``columns`` is the parameter that
    each unknown moves; ``limits`` are those of the first parameters.
    """

    def __init__(
        self,
        matrix: Seconds,
        target: Array,
        member: Array,
        columns: Indices,
        prior: Array,
        widths: Array,
        weights: Array | None = None,
        limits: Array = LIMITS,
        noise: float = NOISE,
    ) -> None:
        self.limits, self.noise = limits, noise
        self.matrix, self.target, self.member, self.columns = matrix, target, member, columns
        self.prior, self.widths = prior, widths
        self.weights = np.ones(len(target)) if weights is None else np.sqrt(weights)
        self.scatter = np.zeros((len(columns), int(columns.max()) + 1))
        self.scatter[np.arange(len(columns)), columns] = 1.0

    def points(self, point: Array) -> Array:
        """The parameters of each row, from the unknowns."""
        points: Array = (self.member * point) @ self.scatter
        return points

    def at(self, point: Array) -> tuple[float, Array, Array]:
        """Twice the negative log posterior, its whitened Jacobian and residuals."""
        logs, bends = logs_of(self.points(point), self.limits)
        seconds, slopes = self.matrix.seconds(logs)
        residual = (self.target - np.log(seconds)) / self.noise
        size = np.abs(residual)
        huber = np.sqrt(np.where(size <= HUBER, 1.0, HUBER / np.maximum(size, HUBER)))
        huber = huber * self.weights
        scale = (huber / self.noise)[:, None]
        data = (slopes * bends)[:, self.columns] * self.member * scale
        jacobian = np.vstack([data, np.diag(1 / self.widths)])
        pulled = (self.prior - point) / self.widths
        cost = float(np.sum(self.weights**2 * _huber_cost(size)) + np.sum(pulled**2))
        return cost, jacobian, np.concatenate([residual * huber, pulled])


def _huber_cost(size: Array) -> Array:
    """Squares near the middle, straight lines outside (Huber 1964)."""
    return np.where(size <= HUBER, size**2, 2 * HUBER * size - HUBER**2)


def solve(problem: Problem, point: Array, most: int = MOST_STEPS) -> Array:
    """Damped Gauss-Newton on the posterior, in at ``most`` so many steps."""
    damping = 1e-3
    value, jacobian, residual = problem.at(point)
    for _ in range(most):
        normal = jacobian.T @ jacobian
        damped = normal + damping * np.diag(np.diag(normal))
        step = np.linalg.solve(damped, jacobian.T @ residual)
        trial = point + np.clip(step, -1.0, 1.0)
        tried = problem.at(trial)
        if tried[0] < value:
            gained = value - tried[0]
            point, (value, jacobian, residual), damping = trial, tried, damping / 3
            if gained < CONVERGED * value:
                break
        else:
            damping *= 4
            if damping > 1e5:
                break
    return point
