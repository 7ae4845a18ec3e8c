"""Questions as flat arrays: every operator of every row, so that a fit costs one pass of numpy.

The time of a row is a sum over its steps of the larger of what the host takes to launch them and of
``max(compute, memory) + gap`` over their operators, with the same formulas as
``roofline.rates``. The share of a row's time that depends on a parameter is also the
derivative of its logarithm, so the Jacobian costs nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.base.record import record
from thermoflop.cost.roofline.rates import MOVING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from thermoflop.cost.work.work import Work

    Array = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

PARAMETERS = (
    "matmul",
    "attention",
    "weights",
    "cache",
    "activations",
    "link",
    "pad_rows",
    "launch_s",
    "step_s",
    "sequence_s",
    "collective_s",
    "stream",
    "host_s",
    "prompt_s",
    "pad_queries",
    "uneven",
)
_AT = {name: place for place, name in enumerate(PARAMETERS)}
# Efficiencies divide a time, the rest multiplies one.
SIGNS = np.array([-1.0] * 6 + [1.0] * 5 + [-1.0] + [1.0] * 4)
# What an operator adds to, each by one parameter; padding is divided by an efficiency as well.
_COMPUTING = ("matmul", "pad_rows", "attention", "pad_queries", "uneven")
_MOVING = ("weights", "cache", "activations", "link", "stream")
_GAPS = ("launch_s", "collective_s")
_COLUMNS = _COMPUTING + _MOVING + _GAPS
_PLACES = [_AT[name] for name in _COLUMNS]
_DIVIDING = np.array([SIGNS[place] < 0 for place in _PLACES])


class DesignMatrix:
    """Seconds at the data sheet's rates, one line for each operator of each step of each row.

    ``owner`` is the step of a line, ``step_row`` the row of a step, ``hosted`` how many
    launches the host pays for in it.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.bound_s: Array = np.zeros(rows)
        self.steps: Array = np.zeros(rows)
        self.sequence_steps: Array = np.zeros(rows)
        self.prompts: Array = np.zeros(rows)
        self._lines: list[tuple[float, ...]] = []
        self._owner: list[int] = []
        self._step_row: list[int] = []
        self._hosted: list[float] = []
        self.owner: Indices = np.zeros(0, np.int64)
        self.step_row: Indices = np.zeros(0, np.int64)
        self.hosted: Array = np.zeros(0)
        self.columns: Array = np.zeros((0, len(_COLUMNS)))

    def add(
        self, row: int, weight: float, found: Iterable[Work], speeds: Speeds, host: float
    ) -> None:
        """The operators of one step, run ``weight`` times; ``host``: launches that each costs."""
        step, launched = len(self._step_row), 0.0
        for work in found:
            count = weight * work.times
            self._lines.append(tuple(count * value for value in _line(work, speeds)))
            self._owner.append(step)
            launched += count * work.launches
        self._step_row.append(row)
        self._hosted.append(launched * host)

    def close(self) -> DesignMatrix:
        """Turn the lines into arrays."""
        self.columns = np.array(self._lines, dtype=float).reshape(-1, len(_COLUMNS))
        self.owner = np.array(self._owner, dtype=np.int64)
        self.step_row = np.array(self._step_row, dtype=np.int64)
        self.hosted = np.array(self._hosted)
        self._lines, self._owner, self._step_row, self._hosted = [], [], [], []
        return self

    def pick(self, rows: Indices) -> DesignMatrix:
        """The terms of some rows alone, renumbered in that order."""
        chosen = DesignMatrix(len(rows))
        place = np.full(self.rows, -1)
        place[rows] = np.arange(len(rows))
        steps = np.flatnonzero(place[self.step_row] >= 0)
        number = np.full(len(self.step_row), -1)
        number[steps] = np.arange(len(steps))
        keep = number[self.owner] >= 0
        chosen.owner, chosen.columns = number[self.owner[keep]], self.columns[keep]
        chosen.step_row, chosen.hosted = place[self.step_row[steps]], self.hosted[steps]
        chosen.bound_s, chosen.steps = self.bound_s[rows], self.steps[rows]
        chosen.sequence_steps, chosen.prompts = self.sequence_steps[rows], self.prompts[rows]
        return chosen

    def seconds(self, logs: Array) -> tuple[Array, Array]:
        """Seconds of every row, and how much of them each parameter stands for.

        ``logs`` holds the logarithms of ``PARAMETERS``, one line for each row. Returns times of
        shape (rows,) and d(log time)/d(log parameter) of shape (rows, parameters).
        """
        own = np.exp(logs)
        factors = own[:, _PLACES]
        factors = np.where(_DIVIDING, 1 / factors, factors)
        factors[:, [1, 4]] /= own[:, [_AT["matmul"]]]
        factors[:, 3] /= own[:, _AT["attention"]]
        parts = self.columns * factors[self.step_row][self.owner]
        computing, moving = parts[:, :5].sum(axis=1), parts[:, 5:10].sum(axis=1)
        faster = computing > moving
        parts[:, :5] *= faster[:, None]
        parts[:, 5:10] *= ~faster[:, None]
        steps = len(self.step_row)
        by_step = np.stack([np.bincount(self.owner, part, steps) for part in parts.T], axis=1)
        host = self.hosted * own[self.step_row, _AT["host_s"]]
        waits = host > by_step.sum(axis=1)
        by_step[waits] = 0.0
        by_row = [np.bincount(self.step_row, part, self.rows) for part in by_step.T]
        shares = np.zeros((self.rows, len(PARAMETERS)))
        for place, summed in zip(_PLACES, by_row, strict=True):
            shares[:, place] = summed
        shares[:, _AT["host_s"]] = np.bincount(self.step_row, host * waits, self.rows)
        counted = (("step_s", self.steps), ("sequence_s", self.sequence_steps),
                   ("prompt_s", self.prompts))  # fmt: skip
        for name, count in counted:
            shares[:, _AT[name]] = count * own[:, _AT[name]]
        total = shares.sum(axis=1)
        # Padding is computed at the rate of what it pads: both parameters move it.
        shares[:, _AT["matmul"]] += shares[:, _AT["pad_rows"]] + shares[:, _AT["uneven"]]
        shares[:, _AT["attention"]] += shares[:, _AT["pad_queries"]]
        return total, SIGNS * shares / np.maximum(total, 1e-12)[:, None]


@record
class Speeds:
    """The data sheet's rates that a question's operators are held against."""

    peak: float
    attention: float
    bandwidth: float
    link: float
    core_hz: float


def _line(work: Work, speeds: Speeds) -> tuple[float, ...]:
    """What one occurrence adds to ``_COLUMNS``."""
    if work.kind == "network":
        wire = work.activation_bytes / speeds.link
        return (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, wire, 0.0, 0.0, float(work.flops))
    plain = work.kind == "contraction"
    still = work.kind in MOVING
    return (
        work.flops / speeds.peak if plain else 0.0,
        work.row_flops / speeds.peak if plain else 0.0,
        0.0 if plain or still else work.flops / speeds.attention,
        0.0 if plain or still else work.row_flops / speeds.attention,
        work.uneven * work.flops / speeds.peak if plain else 0.0,
        work.weight_bytes / speeds.bandwidth,
        work.kv_bytes / speeds.bandwidth,
        work.activation_bytes / speeds.bandwidth,
        0.0,
        work.weight_bytes / speeds.core_hz,
        float(work.launches),
        0.0,
    )
