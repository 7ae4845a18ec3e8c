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
    """How the rows of queries, keys and values are divided."""

    sequences: int
    new: int
    heads: int
    kv_heads: int
    dim: int

    @property
    def group(self) -> int:
        """Query heads that share a key head."""
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
        """A numpy array as one of this backend's, in its format."""

    def get(self, array: Any) -> Any:
        """An array as a numpy array of float64."""

    def ids(self, array: Any) -> Any:
        """A numpy array of indices."""

    def normal(self, *shape: int) -> Any:
        """Random numbers of standard deviation 1."""

    def weights(self, *shape: int) -> Any:
        """A random matrix of this many inputs and outputs, stored as ``matmul`` likes it."""

    def put_weights(self, array: Any) -> Any:
        """A numpy matrix (inputs, outputs), stored likewise."""

    def zeros(self, *shape: int) -> Any:
        """Zeros."""

    def flat(self, elements: int) -> Any:
        """Many random numbers, to cut operands from."""

    def matmul(self, rows: Any, weights: Any, bias: Any = None) -> Any:
        """Rows times weights, plus bias."""

    def norm(self, kind: str, rows: Any, gain: Any, shift: Any) -> Any:
        """``layer`` or ``rms``; gain and shift may be None."""

    def activate(self, kind: str, rows: Any, up: Any = None) -> Any:
        """An activation, times ``up`` where it is gated."""

    def add(self, rows: Any, more: Any) -> Any:
        """The sum of two arrays."""

    def add_into(self, rows: Any, more: Any) -> Any:
        """The sum, written over the first of them."""

    def rotate(self, rows: Any, table: Any, heads: int, dim: int) -> Any:
        """Rotary embedding of the first dimensions of each head; see ``rotation``."""

    def rotation(self, positions: int, dims: int) -> Any:
        """The cosines and sines of ``positions`` positions."""

    def rotation_at(self, table: Any, at: int, heads: Heads) -> Any:
        """Those of the new tokens."""

    def lookup(self, table: Any, ids: Any) -> Any:
        """Rows of a table."""

    def attention(self, q: Any, k: Any, v: Any, cache: tuple[Any, Any], at: int, h: Heads) -> Any:
        """Keep the new keys and values at ``at``, then attend: rows of (heads * dim)."""

    def route(self, logits: Any, top: int) -> tuple[Any, Any]:
        """Softmax, and weights and indices of the ``top`` experts of each row."""

    def chosen(self, experts: Any, expert: int) -> tuple[Any, Any]:
        """Rows that go to an expert, and which of their choices it is."""

    def counts(self, experts: Any, many: int) -> list[int]:
        """How many rows go to each expert."""

    def take(self, rows: Any, at: Any) -> Any:
        """Some of the rows."""

    def add_at(self, target: Any, at: Any, rows: Any, by: Any) -> None:
        """Add rows times weights to some rows of the target."""

    def last(self, rows: Any, sequences: int, new: int) -> Any:
        """The last row of each sequence."""

    def timed(
        self, call: Callable[[], Any], runs: int, before: Callable[[], Any] | None = None
    ) -> list[float]:
        """Seconds of each of ``runs`` calls, the device's work included.

        On a CPU ``before`` runs before each, untimed: it puts the caches into the state in which a
        decoder finds them.
        """

    def memory_bytes(self) -> float:
        """Memory that weights may take."""

    def cache_bytes(self) -> float:
        """The last cache of a GPU; 0 where the system has to be asked."""

    def gpu(self) -> str:
        """The name of the GPU; empty on a CPU."""


def timed_calls(
    call: Callable[[], Any], runs: int, before: Callable[[], Any] | None = None
) -> list[float]:
    """Seconds of each of ``runs`` calls by the processor's clock; ``before`` runs untimed."""
    seconds = []
    for _ in range(runs):
        if before is not None:
            before()
        start_s = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start_s)
    return seconds


def times(
    backend: Backend,
    call: Callable[[], Any],
    before: Callable[[], Any] | None = None,
    least_s: float = LEAST_S,
    least_runs: int = LEAST_RUNS,
) -> list[float]:
    """Seconds of repeated calls, after two that warm up."""
    once = max(min(backend.timed(call, 2)), 1e-7)
    runs = int(min(MOST_RUNS, max(least_runs, least_s / once)))
    if before is not None:
        runs = min(runs, MOST_RUNS // 4)
    return backend.timed(call, runs, before)


def rotating(calls: Sequence[Callable[[], Any]]) -> Callable[[], Any]:
    """One call that runs the next of several each time."""
    if len(calls) == 1:
        return calls[0]
    turn = 0

    def call() -> Any:
        nonlocal turn
        turn = (turn + 1) % len(calls)
        return calls[turn]()

    return call
