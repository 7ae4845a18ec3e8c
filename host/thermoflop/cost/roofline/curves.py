"""Measured times by class and size of operator: what a calibrated profile knows of a machine.

A ``Table`` holds seconds over a grid of two sizes and is read between its nodes along straight
lines in the logarithms of both, which keeps a constant rate constant. Beyond its largest node an
operator runs at that node's rate; below its smallest it takes as long as that one. ``shape_of``
says which table an operator belongs to, and how large it is there; the benchmark builds its kernels
for the same classes, so that what is measured is what is looked up.
"""

from __future__ import annotations

from bisect import bisect_right
from math import exp, log
from typing import TYPE_CHECKING

from thermoflop.base.number import Number, kind_of, maximum
from thermoflop.base.record import record
from thermoflop.model.operators.kinds import Attend, Lookup, MatMul, Pass

if TYPE_CHECKING:
    from thermoflop.cost.work.work import Work

_WEIGHTED_NORM = 4  # operations an element of a root-mean-square norm; a layer norm has more


@record
class Shape:
    """``loops`` times ``rows`` x ``inner`` x ``columns``, of the class ``key``.

    ``matmul``: rows times a weight matrix. ``scores``, ``values``, ``attention``: for each key
    head, the queries that share it (``rows``) against ``columns`` cached positions of ``inner``
    dimensions. ``softmax``, ``norm``, ``gather``: rows of columns. Element-wise classes: one row.
    """

    key: str
    loops: Number
    rows: Number
    inner: Number
    columns: Number

    @property
    def size(self) -> Number:
        """The second coordinate of the table: elements of one operand."""
        return self.inner * self.columns


def shape_of(work: Work) -> Shape | None:
    """The class and the size of an operator; None for what no table is kept of."""
    operator = work.operator
    if isinstance(operator, MatMul):
        loops = operator.batch * operator.sets
        return Shape("matmul", loops, operator.m / operator.sets, operator.k, operator.n)
    if isinstance(operator, Attend):
        return _attending(work.name, operator)
    if isinstance(operator, Lookup):
        return Shape("gather", 1, operator.m, 1, operator.n)
    if isinstance(operator, Pass):
        return _passing(operator)
    return None


def _attending(name: str, operator: Attend) -> Shape:
    several = kind_of(operator.queries) == "numpy" or operator.queries > 1
    if name == "softmax":
        rows = operator.heads * operator.sequences * operator.queries
        return Shape("masked softmax" if several else "softmax", 1, rows, 1, operator.keys)
    loops, group = operator.sequences * operator.kv_heads, operator.heads / operator.kv_heads
    rows = operator.queries * group
    if name == "attention" and several:
        # a prompt: queries meet as many keys, and all heads are worked on at once
        return Shape("causal attention", 1, operator.queries, loops * group, operator.dim)
    if name == "attention":
        return Shape("attention", 1, rows, loops * operator.dim, operator.keys)
    return Shape(name, loops, rows, operator.dim, operator.keys)


def _passing(operator: Pass) -> Shape:
    elements = operator.m * operator.n
    if operator.kind == "normalization":
        key = "layer norm" if operator.operations > _WEIGHTED_NORM else "rms norm"
        return Shape(key, 1, operator.m, 1, operator.n)
    if operator.name == "residual":
        return Shape("residual", operator.operations, 1, 1, elements)
    if operator.name.startswith("add "):
        return Shape("residual", 1, 1, 1, elements)
    if operator.name in ("routing softmax", "combine experts"):
        return Shape(operator.name, 1, operator.m, 1, operator.n)
    return Shape(operator.name, 1, 1, 1, elements)


class Table:
    """Seconds over ``rows`` x ``sizes``; both grow. Read it with ``at``."""

    def __init__(
        self,
        rows: tuple[float, ...],
        sizes: tuple[float, ...],
        seconds: tuple[tuple[float, ...], ...],
    ) -> None:
        """ValueError for a grid that is none."""
        if not rows or not sizes or [len(line) for line in seconds] != [len(sizes)] * len(rows):
            raise ValueError("the seconds of a table do not match its nodes")
        for nodes in (rows, sizes):
            if not all(low < high for low, high in zip((0.0, *nodes), nodes, strict=False)):
                raise ValueError("the nodes of a table must grow from above 0")
        if not all(0 < value < 1e6 for line in seconds for value in line):
            raise ValueError("the seconds of a table must lie between 0 and 1e6")
        self.rows, self.sizes, self.seconds = rows, sizes, seconds
        self._x = [log(value) for value in rows]
        self._y = [log(value) for value in sizes]
        self._z = [[log(value) for value in line] for line in seconds]

    def at(self, rows: Number, size: Number) -> Number:
        """Seconds at a size; arrays give arrays."""
        if kind_of(rows) == "numpy" or kind_of(size) == "numpy":
            import numpy as np

            return np.vectorize(self._one, otypes=[float])(rows, size)
        return self._one(rows, size)

    def _one(self, rows: float, size: float) -> float:
        first, across, beyond_x = _between(self._x, log(max(rows, 1e-9)))
        second, along, beyond_y = _between(self._y, log(max(size, 1e-9)))
        z = self._z
        low = z[first][second] + along * (z[first][_next(second, self._y)] - z[first][second])
        above = z[_next(first, self._x)]
        high = above[second] + along * (above[_next(second, self._y)] - above[second])
        return exp(low + across * (high - low) + beyond_x + beyond_y)


def _next(index: int, nodes: list[float]) -> int:
    return min(index + 1, len(nodes) - 1)


def _between(nodes: list[float], value: float) -> tuple[int, float, float]:
    """The node below, how far on to the next, and how far beyond the last."""
    if value >= nodes[-1]:
        return len(nodes) - 1, 0.0, value - nodes[-1]
    if value <= nodes[0]:
        return 0, 0.0, 0.0
    index = bisect_right(nodes, value) - 1
    return index, (value - nodes[index]) / (nodes[index + 1] - nodes[index]), 0.0


@record
class Curves:
    """The tables of a machine, and what an operator without one is worth.

    ``fixed`` is what a call of a class costs besides its loops. ``launch_s`` is taken off every
    time (the model adds it for each launch); ``scale`` multiplies them: what operators cost more in
    a whole decoder than alone.
    """

    tables: dict[str, Table]
    fixed: dict[str, float]
    launch_s: float
    scale: float
    activation_bytes_s: float

    def seconds(self, work: Work) -> Number:
        """Seconds of one occurrence, without its launch."""
        shape = shape_of(work)
        table = self.tables.get(shape.key) if shape is not None else None
        if shape is None or table is None:
            return self.scale * work.bytes / self.activation_bytes_s
        took_s = self.fixed.get(shape.key, 0.0) + shape.loops * table.at(shape.rows, shape.size)
        return self.scale * maximum(took_s - self.launch_s, 1e-9)
