"""What a calibration measures: shapes over a grid, for each class of operator.

None of the shapes is a model's: round sizes, in two aspects where a matrix has one. Models that a
profile is used for, and those that it is tested on, lie between the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermoflop.base.record import replace
from thermoflop.cost.work.work import Work, work_of
from thermoflop.model.architecture.feedforward import ACTIVATION_OPERATIONS
from thermoflop.model.operators.kinds import Attend, Lookup, MatMul, Pass

if TYPE_CHECKING:
    from thermoflop.bench.backend import Backend
    from thermoflop.cost.hardware.precision import Precision

_WHERE = ("calibration", "calibration", 1)


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a table: where it stands, and the shapes whose mean it is.

    ``loops`` is how many of what the table counts one call does; what a call costs besides is the
    class's ``fixed`` part.
    """

    key: str
    rows: float
    size: float
    works: tuple[Work, ...]
    loops: int = 1


@dataclass(frozen=True, slots=True)
class Grid:
    """The nodes of every table, and the largest call that is still measured."""

    rows: tuple[int, ...]
    sizes: tuple[int, ...]
    tokens: tuple[int, ...]
    keys: tuple[int, ...]
    elements: tuple[int, ...]
    most_flops: float
    most_elements: float


CPU = Grid(
    rows=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048),
    sizes=(1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 25),
    tokens=(1, 8, 64, 512, 2048),
    keys=(32, 128, 512, 2048),
    elements=(512, 4096, 32768, 1 << 18, 1 << 21, 1 << 23),
    most_flops=5e9,
    most_elements=8.4e6,
)
QUICK = Grid(
    rows=(1, 2, 8, 32, 128, 512),
    sizes=(1 << 18, 1 << 20, 1 << 22, 1 << 24),
    tokens=(1, 32, 512),
    keys=(64, 256, 1024),
    elements=(1024, 32768, 1 << 20, 1 << 22),
    most_flops=2.5e9,
    most_elements=3e6,
)
GPU = Grid(
    rows=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 32768),
    sizes=(1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28),
    tokens=(1, 8, 64, 512, 4096, 32768),
    keys=(64, 512, 2048, 8192),
    elements=(4096, 1 << 15, 1 << 18, 1 << 21, 1 << 24, 1 << 27),
    most_flops=1e13,
    most_elements=3e8,
)
_GATED = ("silu", "gelu")  # activations that models also use with a gate


def nodes(grid: Grid, backend: Backend, precision: Precision, quick: bool) -> Iterator[Node]:
    """Every node that is measured."""
    yield from _products(grid, precision, quick)
    if backend.kernels == "attention":
        yield from _attention(grid, precision)
    else:
        yield from _scores(grid, precision)
        yield from _softmax(grid, precision)
    yield from _rows_of_columns(grid, precision, quick)
    yield from _elements(grid, precision)
    yield from _experts(grid, precision)


def _products(grid: Grid, precision: Precision, quick: bool) -> Iterator[Node]:
    for size in grid.sizes:
        side = round(size**0.5)
        shapes = [(side, size // side)] if quick else [(side // 2, 0), (side * 2, 0)]
        for rows in grid.rows:
            if 2.0 * rows * size > grid.most_flops:
                continue
            works = tuple(
                work_of(MatMul("product", *_WHERE, rows, k, n or size // k), precision)
                for k, n in shapes
            )
            yield Node("matmul", rows, size, works)


def _attend(sequences: int, heads: int, kv: int, queries: int, keys: int, dim: int) -> Attend:
    pairs = queries * keys
    return Attend("scores", *_WHERE, sequences, heads, kv, queries, keys, dim, pairs, fused=False)


HEADS, DIM = 12, 64


def _scores(grid: Grid, precision: Precision) -> Iterator[Node]:
    """Scores and values of 12 key heads of 64 dimensions; few rows are queries that share keys."""
    for keys in grid.keys:
        for rows in (1, 2, 4, 8, 32, 128, 512, 2048):
            queries = 1 if rows <= 8 else min(rows, keys)
            if HEADS * rows * keys > grid.most_elements:
                continue
            scores = _attend(1, HEADS * rows // queries, HEADS, queries, keys, DIM)
            values = replace(scores, name="values", values=True)
            for operator in (scores, values):
                work = work_of(operator, precision)
                yield Node(operator.name, rows, DIM * keys, (work,), HEADS)


def fixed_works(precision: Precision) -> dict[str, Work]:
    """The smallest call of the classes that loop: what a call costs besides its loops."""
    scores = _attend(1, 1, 1, 1, 8, 16)
    return {
        "scores": work_of(scores, precision),
        "values": work_of(replace(scores, name="values", values=True), precision),
    }


def _softmax(grid: Grid, precision: Precision) -> Iterator[Node]:
    for keys in grid.keys:
        for rows in (4, 16, 64, 512):
            yield _softmax_node("softmax", _attend(1, rows, rows, 1, keys, DIM), precision)
        for rows in (64, 512, 4096, 16384, 65536):
            queries = min(max(2, rows // 8), keys)
            if rows * keys <= grid.most_elements:
                heads = rows // queries
                masked = _attend(1, heads, heads, queries, keys, DIM)
                yield _softmax_node("masked softmax", masked, precision)


def _softmax_node(key: str, scores: Attend, precision: Precision) -> Node:
    work = replace(work_of(scores, precision), name="softmax", kind="normalization")
    rows = scores.heads * scores.sequences * scores.queries
    return Node(key, rows, scores.keys, (work,))


def _attention(grid: Grid, precision: Precision) -> Iterator[Node]:
    """One kernel: a token against the cache, and whole prompts."""
    for group in (1, 4, 8):
        for size in (1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 25, 1 << 28):
            keys = max(8, min(512, size // 1024))
            scores = _attend(max(1, size // (1024 * keys)), 8 * group, 8, 1, keys, 128)
            if size <= 2 * grid.most_elements:
                yield _joined("attention", group, size, scores, precision)
    for queries in (16, 64, 256, 1024, 4096):
        for width in (1024, 4096, 32768, 262144):
            heads = min(32, width // 128)
            scores = _attend(width // (heads * 128), heads, heads // 4, queries, queries, 128)
            flops = 2.0 * width * queries * queries
            if flops <= grid.most_flops and queries * width <= grid.most_elements:
                yield _joined("causal attention", queries, width, scores, precision)


def _joined(key: str, rows: int, size: int, scores: Attend, precision: Precision) -> Node:
    return Node(key, rows, size, (replace(work_of(scores, precision), name="attention"),))


def _rows_of_columns(grid: Grid, precision: Precision, quick: bool) -> Iterator[Node]:
    for width in (1024,) if quick else (256, 1024, 4096):
        for tokens in grid.tokens:
            if tokens * width > grid.most_elements:
                continue
            for key, operations in (("layer norm", 7), ("rms norm", 4)):
                norm = Pass(
                    "norm", *_WHERE, tokens, width, operations, kind="normalization",
                    weights=width,
                )  # fmt: skip
                yield Node(key, tokens, width, (work_of(norm, precision),))
            table = Lookup("table", *_WHERE, tokens, width)
            yield Node("gather", tokens, width, (work_of(table, precision),))


def _elements(grid: Grid, precision: Precision) -> Iterator[Node]:
    for elements in grid.elements:
        width = min(1024, elements)
        rows = elements // width
        for name in ACTIVATION_OPERATIONS:
            for gated in (False, True) if name in _GATED else (False,):
                key = f"{name} x up" if gated else name
                yield _element_node(Pass(key, *_WHERE, rows, width, 8, inputs=1 + gated), precision)
        yield _element_node(Pass("residual", *_WHERE, rows, width, 1, inputs=2), precision)
        yield _element_node(Pass("rotary", *_WHERE, rows, width, 3), precision)


def _element_node(operator: Pass, precision: Precision) -> Node:
    return Node(operator.name, 1, float(operator.m * operator.n), (work_of(operator, precision),))


def _experts(grid: Grid, precision: Precision) -> Iterator[Node]:
    for tokens in grid.tokens:
        routing = Pass("routing softmax", *_WHERE, tokens, 8, 5)
        yield Node("routing softmax", tokens, 8, (work_of(routing, precision),))
        for width in (512, 4096):
            if 2 * tokens * width <= grid.most_elements:
                combine = Pass("combine experts", *_WHERE, 2 * tokens, width, 2)
                yield Node("combine experts", 2 * tokens, width, (work_of(combine, precision),))
