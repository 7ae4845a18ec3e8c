"""Measured rows as flat arrays: every operator of every row, so that a fit costs one pass of numpy.

Each line of the matrix is an operator of a step of a row; its columns are the ``TERMS`` of the time
formula at the data sheet's rates. The share of a row's time that depends on a parameter is also the
derivative of its logarithm, so the Jacobian costs nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np

from thermoflop.base.number import Array, Flags, Indices
from thermoflop.cost.roofline.formula import COMPUTE, EXPERTS, GAP, MEMORY, PARAMETERS, TERMS, TIED
from thermoflop.cost.roofline.rates import Rates
from thermoflop.cost.work.work import Work

_AT = {name: place for place, name in enumerate(PARAMETERS)}
_PLACES = [_AT[term.parameter] for term in TERMS]
_DIVIDES = np.array([term.divides for term in TERMS])
_SIDES = {
    side: np.array([column for column, term in enumerate(TERMS) if term.side == side])
    for side in (COMPUTE, MEMORY, GAP)
}
# The terms that hold for a kind of work, with their places; all others are 0.
_OF_KIND = {
    kind: [(column, term) for column, term in enumerate(TERMS) if kind in term.kinds]
    for kind in {kind for term in TERMS for kind in term.kinds}
}
# A cost that runs at the rate of an efficiency: its column, and that of the efficiency's parameter.
_OVER = [(column, _AT[term.over]) for column, term in enumerate(TERMS) if term.over is not None]
# The columns of experts alone, and those of other matrices that stand for the same quantity.
_TIED = [
    (column, other)
    for column, term in enumerate(TERMS)
    for other, alike in enumerate(TERMS)
    if term.kinds == EXPERTS
    and alike.kinds != EXPERTS
    and alike.quantity == term.quantity
    and alike.parameter == TIED.get(term.parameter, term.parameter)
]
# The logarithm of a time falls with that of an efficiency and rises with that of a cost.
SIGNS = np.ones(len(PARAMETERS))
SIGNS[[place for place, divides in zip(_PLACES, _DIVIDES, strict=True) if divides]] = -1.0


class DesignMatrix:
    """Seconds at the data sheet's rates, one line for each operator of each step of each row.

    ``columns`` holds a term in each row and a line in each column: sums go over terms. ``owner`` is
    the step of a line, rising, ``step_row`` the row of a step, ``hosted`` how many launches the
    host pays for in it, ``waited`` whether it waits after each of them. Lines that are ``behind``
    run beside the others of their step, of which the longer counts. ``power`` rounds what is the
    longer of two times (``shares_of``).
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.power: float | None = None
        self.bound_s: Array = np.zeros(rows)
        self.steps: Array = np.zeros(rows)
        self.sequence_steps: Array = np.zeros(rows)
        self.prompts: Array = np.zeros(rows)
        self._lines: list[list[float]] = []
        self._owner: list[int] = []
        self._step_row: list[int] = []
        self._hosted: list[float] = []
        self._behind: list[bool] = []
        self._waited: list[bool] = []
        self.owner: Indices = np.zeros(0, np.int64)
        self.step_row: Indices = np.zeros(0, np.int64)
        self.hosted: Array = np.zeros(0)
        self.waited: Flags = np.zeros(0, np.bool_)
        self.behind: Flags = np.zeros(0, np.bool_)
        self.columns: Array = np.zeros((len(TERMS), 0))

    def add(
        self, row: int, weight: float, works: Sequence[Work], rates: Rates, host: float,
        behind: Sequence[tuple[Work, float]] = (),
    ) -> None:  # fmt: skip
        """The operators of one step, run ``weight`` times; ``host``: launches that each costs.

        ``rates`` are those of the data sheet: their efficiencies are what is to be fitted. What
        runs ``behind`` them costs the share of each that does not hide, or all of it where that is
        longer (``training.work.Phase``).
        """
        step, launched = len(self._step_row), 0.0
        exposed = [(work, 1 - hidden, False) for work, hidden in behind]
        for work, share, hides in (
            *((work, 1.0, False) for work in works), *exposed,
            *((work, 1.0, True) for work, _ in behind),
        ):  # fmt: skip
            count = weight * work.times * share
            line = [0.0] * len(TERMS)
            for column, term in _OF_KIND.get(work.rated, ()):
                line[column] = count * term.at_data_sheet(work, rates)
            self._lines.append(line)
            self._owner.append(step)
            self._behind.append(hides)
            launched += count * (work.launches - work.followers)
        self._step_row.append(row)
        self._hosted.append(launched * host)
        self._waited.append(rates.waits)

    def close(self) -> DesignMatrix:
        """Turn the lines into arrays."""
        lines = np.array(self._lines, dtype=float).reshape(-1, len(TERMS))
        self.columns = np.ascontiguousarray(lines.T)
        self.owner = np.array(self._owner, dtype=np.int64)
        self.step_row = np.array(self._step_row, dtype=np.int64)
        self.hosted = np.array(self._hosted)
        self.waited = np.array(self._waited, dtype=np.bool_)
        self.behind = np.array(self._behind, dtype=np.bool_)
        self._lines, self._owner, self._step_row, self._hosted = [], [], [], []
        return self

    def tied(self) -> DesignMatrix:
        """With the rates of experts as those of other matrices (``formula.TIED``)."""
        for apart, into in _TIED:
            self.columns[into] += self.columns[apart]
            self.columns[apart] = 0.0
        return self

    @property
    def rows_waited(self) -> Flags:
        """Which rows have steps whose host waits for the device after each product."""
        return np.isin(np.arange(self.rows), self.step_row[self.waited])

    def rounded(self, power: float | None) -> DesignMatrix:
        """The same lines under a roofline that is rounded, or for None the sharp one."""
        same = copy(self)
        same.power = power
        return same

    def pick(self, rows: Indices) -> DesignMatrix:
        """The terms of some rows alone, renumbered in that order."""
        chosen = DesignMatrix(len(rows))
        place = np.full(self.rows, -1)
        place[rows] = np.arange(len(rows))
        steps = np.flatnonzero(place[self.step_row] >= 0)
        number = np.full(len(self.step_row), -1)
        number[steps] = np.arange(len(steps))
        keep = number[self.owner] >= 0
        chosen.owner, chosen.columns = number[self.owner[keep]], self.columns[:, keep]
        chosen.behind = self.behind[keep]
        chosen.step_row, chosen.hosted = place[self.step_row[steps]], self.hosted[steps]
        chosen.waited = self.waited[steps]
        chosen.bound_s, chosen.steps = self.bound_s[rows], self.steps[rows]
        chosen.sequence_steps, chosen.prompts = self.sequence_steps[rows], self.prompts[rows]
        return chosen

    def _by_step(self, parts: Array, steps: int) -> Array:
        """Seconds of each step by term: its operators, or what runs behind them where longer."""
        if not self.behind.any():
            return self._summed(parts, steps)
        one = self._summed(parts * ~self.behind, steps)
        other = self._summed(parts * self.behind, steps)
        counts, behind = shares_of(one.sum(axis=0), other.sum(axis=0), self.power)
        return one * counts + other * behind

    def _summed(self, parts: Array, steps: int) -> Array:
        """The lines of each step added up; a step may have none."""
        by_step = np.zeros((len(parts), steps))
        if len(self.owner):
            begins = np.flatnonzero(np.diff(self.owner, prepend=-1))
            by_step[:, self.owner[begins]] = np.add.reduceat(parts, begins, axis=1)
        return by_step

    def seconds(self, logs: Array) -> tuple[Array, Array]:
        """Seconds of every row, and how much of them each parameter stands for.

        ``logs`` holds the logarithms of ``PARAMETERS``, one line for each row. Returns times of
        shape (rows,) and d(log time)/d(log parameter) of shape (rows, parameters).
        """
        values = np.exp(logs)
        factors = values[:, _PLACES]
        factors = np.where(_DIVIDES, 1 / factors, factors)
        for column, efficiency in _OVER:
            factors[:, column] /= values[:, efficiency]
        parts = np.ascontiguousarray(factors.T).take(self.step_row[self.owner], axis=1)
        parts *= self.columns
        moving, computing = (parts[_SIDES[side]].sum(axis=0) for side in (MEMORY, COMPUTE))
        longer = shares_of(moving, computing, self.power)
        for side, counts in zip((MEMORY, COMPUTE), longer, strict=True):
            for column in _SIDES[side]:
                parts[column] *= counts
        steps = len(self.step_row)
        by_step = self._by_step(parts, steps)
        host = self.hosted * values[self.step_row, _AT["launch_overhead_s"]]
        counts, waits = shares_of(by_step.sum(axis=0), host, self.power)
        counts, waits = np.maximum(counts, self.waited), np.maximum(waits, self.waited)
        by_step *= counts
        by_row = [np.bincount(self.step_row, part, self.rows) for part in by_step]
        shares = np.zeros((self.rows, len(PARAMETERS)))
        for place, part in zip(_PLACES, by_row, strict=True):
            shares[:, place] += part
        shares[:, _AT["launch_overhead_s"]] = np.bincount(self.step_row, host * waits, self.rows)
        counted = (("step_s", self.steps), ("sequence_s", self.sequence_steps),
                   ("prompt_s", self.prompts))  # fmt: skip
        for name, count in counted:
            shares[:, _AT[name]] = count * values[:, _AT[name]]
        total = shares.sum(axis=1)
        for column, efficiency in _OVER:
            shares[:, efficiency] += by_row[column]
        return total, SIGNS * shares / np.maximum(total, 1e-12)[:, None]


def shares_of(one: Array, other: Array, power: float | None) -> tuple[Array, Array]:
    """What each of two times is multiplied by where the longer one counts: 1 or 0.

    With a ``power`` p the longer one is rounded to (one^p + other^p)^(1/p), which has a slope where
    both are as long: then each is multiplied so that it stands for the share that the rounded one
    moves with it.
    """
    longer = other > one
    if power is None:
        return (~longer).astype(float), longer.astype(float)
    ratio = np.minimum(one, other) / np.maximum(np.maximum(one, other), 1e-300)
    most = (1 + ratio**power) ** (1 / power - 1)
    least = most * ratio ** (power - 1)
    return np.where(longer, least, most), np.where(longer, most, least)
