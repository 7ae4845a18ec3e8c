"""Each operator of a step as a call on operands of its shape, weights and cache coming from memory.

A decoder that is larger than a cache reads its weights, keys and values from memory in every step,
while activations were just written by the operator before. So weights and cache are cut from a
``Pool`` that is walked through and is several times as large as the last cache, and activations
are the same arrays each time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from thermoflop.bench.backend import Backend, Heads, rotating
from thermoflop.cost.roofline.curves import shape_of

if TYPE_CHECKING:
    from thermoflop.cost.work.work import Work
    from thermoflop.model.operators.kinds import Attend

_MOST_TURNS = 1024  # operands of one operator: small ones would take millions to fill the pool


class Pool:
    """A long array of random numbers; ``cut`` gives the next piece, from the start when it ends."""

    def __init__(self, backend: Backend, n_bytes: float) -> None:
        """The pool takes ``n_bytes`` of memory."""
        self.backend = backend
        self.elements = int(n_bytes) // backend.element_bytes
        self._flat = backend.flat(self.elements)
        self._at = 0

    def cut(self, *shape: int) -> Any:
        """The next piece of this shape; one that is larger than the pool gets memory of its own.

        ValueError where that would take half of what is free.
        """
        size = prod(shape)
        if size > self.elements:
            if size * self.backend.element_bytes > self.backend.memory_bytes() / 2:
                raise ValueError("larger than memory allows")
            return self.backend.flat(size).reshape(shape)
        if self._at + size > self.elements:
            self._at = 0
        self._at += size
        return self._flat[self._at - size : self._at].reshape(shape)

    def pass_through(self) -> Callable[[], Any]:
        """A call that streams weights through the caches, as the neighbours of an operator do."""
        backend = self.backend
        width = max(64, min(2048, int((self.elements // 8) ** 0.5)))
        rows = backend.normal(1, width)
        pieces = [self.cut(width, width) for _ in range(min(self.turns(width * width), 16))]
        return rotating([_bound(backend.matmul, rows, piece) for piece in pieces])

    def turns(self, elements: float) -> int:
        """How many pieces of that size the pool holds."""
        return max(1, min(_MOST_TURNS, int(self.elements // max(elements, 1))))


def kernel(work: Work, pool: Pool) -> Callable[[], Any] | None:
    """A call that does one occurrence of ``work``; None for what has no call or no room."""
    shape = shape_of(work)
    if shape is None:
        return None
    try:
        return _made(shape.key, work, pool)
    except (ValueError, MemoryError):
        return None


def _made(key: str, work: Work, pool: Pool) -> Callable[[], Any] | None:
    if key == "matmul":
        return _matmul(work, pool)
    if key in ("scores", "values", "softmax", "masked softmax", "attention", "causal attention"):
        return _attend(key, work.operator, pool)
    return _passing(key, work.operator, pool)


def _matmul(work: Work, pool: Pool) -> Callable[[], Any]:
    operator: Any = work.operator
    backend, k, n = pool.backend, int(operator.k), int(operator.n)
    sets = max(1, round(float(operator.sets))) * int(operator.batch)
    rows = backend.normal(max(1, round(float(operator.m / operator.sets))), k)
    bias = backend.normal(n) if operator.bias else None
    shape = (k, n) if backend.name == "numpy" else (n, k)

    def of(weights: list[Any]) -> Callable[[], Any]:
        if len(weights) == 1:
            return lambda: backend.matmul(rows, weights[0], bias)
        return lambda: [backend.matmul(rows, each, bias) for each in weights]

    turns = pool.turns(sets * k * n)
    return rotating([of([pool.cut(*shape) for _ in range(sets)]) for _ in range(turns)])


def _attend(key: str, operator: Any, pool: Pool) -> Callable[[], Any]:
    """Scores, softmax, values, or all three: after the last new token, in cold caches."""
    scores: Attend = operator
    backend: Any = pool.backend
    h = Heads(
        int(scores.sequences),
        int(scores.queries),
        int(scores.heads),
        int(scores.kv_heads),
        int(scores.dim),
    )
    keys = int(scores.keys)
    at = keys - h.new
    q = backend.normal(h.sequences * h.new, h.heads * h.dim)
    fresh = backend.normal(h.sequences * h.new, h.kv_heads * h.dim)
    grid = (h.sequences, h.kv_heads, h.group * h.new, keys)
    if key.endswith("softmax"):
        scored = backend.normal(*grid)
        return lambda: backend.softmax(scored, at, h)
    shape = (h.sequences, h.kv_heads, keys, h.dim)
    size = prod(shape)
    if key in ("scores", "values"):
        caches = [pool.cut(*shape) for _ in range(pool.turns(size))]
        call, rows = backend.scores, q
        if key == "values":
            call, rows = backend.values, backend.normal(*grid)
        return rotating([_bound(call, rows, fresh, cache, at, h) for cache in caches])
    pairs = [(pool.cut(*shape), pool.cut(*shape)) for _ in range(pool.turns(2 * size))]
    return rotating([_bound(backend.attention, q, fresh, fresh, pair, at, h) for pair in pairs])


def _bound(call: Callable[..., Any], *operands: Any) -> Callable[[], Any]:
    return lambda: call(*operands)


def _passing(key: str, operator: Any, pool: Pool) -> Callable[[], Any] | None:
    """Operators without weights or cache: their rows are the same arrays each time."""
    backend: Any = pool.backend
    m, n = int(operator.m), int(operator.n)
    if key.endswith(" norm"):
        gain = backend.normal(n)
        shift = backend.normal(n) if key == "layer norm" else None
        rows = backend.normal(m, n)
        return lambda: backend.norm(key.removesuffix(" norm"), rows, gain, shift)
    if key == "gather":
        table = pool.cut(min(50_000, pool.elements // n), n)
        many = [backend.ids(ids) for ids in _spread(m, table.shape[0])]
        return rotating([_bound(backend.lookup, table, ids) for ids in many])
    if key == "residual":
        times = int(operator.operations)
        rows, more = backend.normal(m, n), backend.normal(m, n)
        return lambda: [backend.add(rows, more) for _ in range(times)]
    if key == "rotary":
        return _rotary(operator, backend)
    if key == "routing softmax":
        rows = backend.normal(m, n)
        return lambda: backend.route(rows, 2)
    if key == "combine experts":
        return _combine(operator, backend)
    kind, _, up = key.partition(" ")
    rows, other = backend.normal(m, n), backend.normal(m, n) if up else None
    return lambda: backend.activate(kind, rows, other)


def _spread(count: int, most: int) -> Any:
    """Indices for so many look-ups that the rows met in between are in no cache any more."""
    import numpy as np

    turns = max(16, min(16384, 131_072 // count))
    return np.random.default_rng(0).integers(0, most, (turns, count))


def _rotary(operator: Any, backend: Any) -> Callable[[], Any]:
    """Queries and keys of ``m`` tokens, as heads of 64 and 128 dimensions are rotated."""
    m, width = int(operator.m), int(operator.n)
    dim = next((each for each in (128, 64, 32, 16, 8, 4, 2) if width % each == 0), 0)
    if not dim:
        raise ValueError("no whole heads")
    heads = width // dim
    h = Heads(1, m, heads, heads, dim)
    rows = backend.normal(m, width)
    table = backend.rotation_at(backend.rotation(m, dim), 0, h)
    few = max(1, heads // 4)
    if few == heads:
        return lambda: backend.rotate(rows, table, heads, dim)
    keys, queries = backend.normal(m, few * dim), backend.normal(m, (heads - few) * dim)
    return lambda: (
        backend.rotate(queries, table, heads - few, dim),
        backend.rotate(keys, table, few, dim),
    )


def _combine(operator: Any, backend: Any) -> Callable[[], Any]:
    """Take the rows of up to eight experts, and add them back where they came from."""
    import numpy as np

    m, n = int(operator.m), int(operator.n)
    experts = min(8, m)
    rows, target = backend.normal(m, n), backend.zeros(m, n)
    parts = [backend.ids(np.arange(first, m, experts)) for first in range(experts)]
    by = [backend.normal(len(part)) for part in parts]
    worked = [backend.take(rows, part) for part in parts]

    def call() -> None:
        for part, weights, each in zip(parts, by, worked, strict=True):
            backend.take(rows, part)
            backend.add_at(target, part, each, weights)

    return call
