"""What runs a decoder: numpy always, torch where it is installed.

A backend is a set of functions on arrays, one for each class of operator, and a clock. Rows are
tokens: ``(sequences * new, width)``, tokens of one sequence together. The cache of a layer is
``(sequences, kv_heads, capacity, dim)``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

LEAST_S = 0.05  # of measuring one call: several time slices of a scheduler
LEAST_RUNS, MOST_RUNS = 5, 200  # a median needs some, and gains little from more


@dataclass(frozen=True, slots=True)
class Heads:
    """How rows of queries, keys and values divide into sequences, tokens and heads."""

    sequences: int
    new: int
    heads: int
    kv_heads: int
    dim: int

    @property
    def group(self) -> int:
        """How many query heads share a key head: 1 is MHA, ``heads`` is MQA."""
        return self.heads // self.kv_heads


class Backend(Protocol):
    """The operators of a decoder, as ``NumpyBackend`` and ``TorchBackend`` have them."""

    name: str
    device: str
    dtype: str
    kernels: str  # as in ``thermoflop.cost.engines.engine.Engine``
    element_bytes: int  # of one number

    def describe(self) -> dict[str, str]:
        """Names and versions of the libraries, and of the device."""

    def put(self, array: Any) -> Any:
        """A numpy array as an array of this backend, in its number format."""

    def get(self, array: Any) -> Any:
        """An array of this backend as a numpy array of float64."""

    def ids(self, array: Any) -> Any:
        """A numpy array of indices as an array of this backend."""

    def normal(self, *shape: int) -> Any:
        """Random numbers of a normal distribution, standard deviation 1."""

    def weights(self, *shape: int) -> Any:
        """A random matrix (..., inputs, outputs), stored in the layout that ``matmul`` takes."""

    def put_weights(self, array: Any) -> Any:
        """A numpy matrix (..., inputs, outputs), stored in the layout that ``matmul`` takes."""

    def zeros(self, *shape: int) -> Any:
        """An array of zeros of this shape."""

    def flat(self, elements: int) -> Any:
        """One long array of random numbers, to cut operands from."""

    def matmul(self, rows: Any, weights: Any, bias: Any = None) -> Any:
        """Rows (m, inputs) times weights, plus a bias (outputs,) or None."""

    def norm(self, kind: str, rows: Any, gain: Any, shift: Any) -> Any:
        """Each row normalized: ``layer`` or ``rms``; gain and shift (width,) may be None."""

    def activate(self, kind: str, rows: Any, up: Any = None) -> Any:
        """The activation ``kind`` of rows, times ``up`` where the feed-forward is gated."""

    def add(self, rows: Any, more: Any) -> Any:
        """The sum of two arrays."""
        return rows + more

    def add_into(self, rows: Any, more: Any) -> Any:
        """The sum, written over the first of them."""

    def rotate(self, rows: Any, table: Any, heads: int, dim: int) -> Any:
        """Rotary embedding of the first dimensions of each head, with a ``rotation_at``."""

    def rotation(self, positions: int, dims: int) -> Any:
        """Cosines and sines for ``positions`` positions of ``dims`` rotated dimensions."""

    def rotation_at(self, table: Any, at: int, heads: Heads) -> Any:
        """The part of a ``rotation`` that new tokens at position ``at`` take."""
        cos, sin = (part[at : at + heads.new][None, :, None, :] for part in table)
        return heads, cos, sin

    def lookup(self, table: Any, ids: Any) -> Any:
        """The rows of an embedding table at ``ids``."""
        return table[ids]

    def attention(self, q: Any, k: Any, v: Any, cache: tuple[Any, Any], at: int, h: Heads) -> Any:
        """Write new keys and values into the cache at ``at``, then attend: (m, heads * dim)."""

    def route(self, logits: Any, top: int) -> tuple[Any, Any]:
        """Softmax of the router's logits: weights and indices of each row's ``top`` experts."""

    def chosen(self, experts: Any, expert: int) -> tuple[Any, Any]:
        """Indices of the rows routed to an expert, and which of their choices it is."""

    def counts(self, experts: Any, many: int) -> list[int]:
        """How many rows are routed to each of ``many`` experts."""

    def take(self, rows: Any, at: Any) -> Any:
        """The rows at the indices ``at``."""
        return rows[at]

    def add_at(self, target: Any, at: Any, rows: Any, by: Any) -> None:
        """Add rows, each times its weight in ``by``, to the rows of target at ``at``."""

    def last(self, rows: Any, sequences: int, new: int) -> Any:
        """The row of each sequence's last new token, (sequences, width)."""
        return rows.reshape(sequences, new, -1)[:, -1]

    def timed(
        self, call: Callable[[], Any], runs: int, before: Callable[[], Any] | None = None
    ) -> list[float]:
        """Seconds of each of ``runs`` calls, the device's work included.

        On a CPU ``before`` runs before each, untimed: it puts the caches into the state in which a
        decoder finds them.
        """
        seconds = []
        for _ in range(runs):
            if before is not None:
                before()
            start_s = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start_s)
        return seconds

    def memory_bytes(self) -> float:
        """Free memory of the device, in bytes."""

    def cache_bytes(self) -> float:
        """The size of a GPU's last cache, in bytes; 0 on a CPU."""
        return 0.0

    def gpu(self) -> str:
        """The name of the GPU; empty on a CPU."""
        return ""


def times(
    backend: Backend,
    call: Callable[[], Any],
    before: Callable[[], Any] | None = None,
    least_s: float = LEAST_S,
) -> list[float]:
    """Seconds of repeated calls, after two that warm up."""
    once = max(min(backend.timed(call, 2)), 1e-7)
    runs = int(min(MOST_RUNS, max(LEAST_RUNS, least_s / once)))
    if before is not None:
        runs = min(runs, MOST_RUNS // 4)
    return backend.timed(call, runs, before)


def rotating(calls: Sequence[Callable[[], Any]]) -> Callable[[], Any]:
    """One call that runs the next of several calls each time, so that no operand stays cached."""
    if len(calls) == 1:
        return calls[0]
    turn = 0

    def call() -> Any:
        nonlocal turn
        turn = (turn + 1) % len(calls)
        return calls[turn]()

    return call
