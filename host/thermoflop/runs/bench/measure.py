"""Time the operators of a step, mark each as a phase, and set this machine's best rates beside it.

``at_best_s`` is the time at the best rates that this machine showed at the start of the same run
(products of several sizes, a large copy), whichever of the two binds. It is no bound: an operand
that stays in the cache beats the copy, and a machine that others use has bad seconds. How far an
operator is from it says how well its shape suits the machine. The figure is the median of all
repetitions; the fastest and slowest stand beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from thermoflop.marks import mark, note
from thermoflop.runs.bench.kernels import Kernel, kernel

if TYPE_CHECKING:
    from thermoflop.model.operators import Operator
    from thermoflop.model.table import OperatorTable

LEAST_S = 0.05  # of measuring an operator
LEAST_RUNS, MOST_RUNS = 5, 200
PEAK_S = 0.3  # of looking for the best rate, for each size
_PEAK_SIZES = (384, 768, 1536)
_COPY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Peaks:
    """The best rates this machine showed: FLOP/s of a float32 product, bytes/s of a copy."""

    flops_per_s: float
    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Timed:
    """One operator: ``median_s`` of one occurrence; None when it was not run."""

    name: str
    kind: str
    shape: str
    times: int
    flops: float
    n_bytes: float
    at_best_s: float
    median_s: float | None
    low_s: float | None
    high_s: float | None
    runs: int

    @property
    def efficiency(self) -> float | None:
        """The time at the best rates over the measured one; above 1 where a cache helps."""
        return self.at_best_s / self.median_s if self.median_s else None

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        return {**asdict(self), "efficiency": self.efficiency}


def peaks() -> Peaks:
    """Measure the two rates; about two seconds."""
    import numpy as np

    mark("peak rates")
    rng = np.random.default_rng(0)
    best_flops_per_s = 0.0
    for size in _PEAK_SIZES:
        a = rng.standard_normal((size, size), dtype=np.float32)
        best_s = min(times(partial(np.matmul, a, a, np.empty_like(a)), PEAK_S))
        best_flops_per_s = max(best_flops_per_s, 2 * size**3 / best_s)
    source = np.ones(_COPY_BYTES // 4, dtype=np.float32)
    target = np.empty_like(source)
    copy_s = min(times(lambda: np.copyto(target, source), PEAK_S))
    mark(None)
    return Peaks(best_flops_per_s, 2 * source.nbytes / copy_s)


def times(call: Callable[[], Any], least_s: float = LEAST_S) -> list[float]:
    """Seconds of repeated calls, after one that warms up."""
    call()
    found: list[float] = []
    until_s = time.perf_counter() + least_s
    while len(found) < LEAST_RUNS or (time.perf_counter() < until_s and len(found) < MOST_RUNS):
        start_s = time.perf_counter()
        call()
        found.append(time.perf_counter() - start_s)
    return found


def bench(table: OperatorTable, known: Peaks) -> Iterable[Timed]:
    """Every operator of the table in turn."""
    for operator in table:
        yield timed(operator, table, known)


def timed(operator: Operator, table: OperatorTable, known: Peaks) -> Timed:
    """One operator, as a phase of a recording."""
    count = int(operator.times)
    flops = float(operator.flops) / count
    # scores and weights leave the chip here: numpy has no fused attention
    n_bytes = float(table.traffic_of(operator).total) / count
    at_best_s = max(flops / known.flops_per_s, n_bytes / known.bytes_per_s)
    made = kernel(operator)
    found = _measured(made, operator.name, flops, n_bytes, known) if made is not None else []
    return Timed(
        name=operator.name,
        kind=operator.kind,
        shape=operator.shape,
        times=count,
        flops=flops,
        n_bytes=n_bytes,
        at_best_s=at_best_s,
        median_s=median(found) if found else None,
        low_s=min(found, default=None),
        high_s=max(found, default=None),
        runs=len(found),
    )


def _measured(made: Kernel, name: str, flops: float, n_bytes: float, known: Peaks) -> list[float]:
    mark(name, peak_flops_per_s=known.flops_per_s, peak_bytes_per_s=known.bytes_per_s)
    found = times(made.run)
    calls = len(found) + 1
    note(flops=flops * calls, bytes=n_bytes * calls)
    mark(None)
    return found
