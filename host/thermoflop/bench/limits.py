"""The best that this machine shows: multiplying, and moving at each size of working set.

Bounds are made of these: the fastest single call of several kinds and sizes, plus ``HEADROOM``,
since a short search does not find the fastest moment that a machine ever has. A working set
between two measured ones is taken to move as fast as the smaller, so a bound is never too high.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thermoflop.base.record import record, replace
from thermoflop.bench.kernels import Pool
from thermoflop.cost.catalogue.machine import Level
from thermoflop.cost.hardware.device import Device, device_from
from thermoflop.marks import mark

if TYPE_CHECKING:
    from thermoflop.bench.backend import Backend
    from thermoflop.cost.work.work import Work

HEADROOM = 1.1
PEAK_S = 0.25  # of looking for the best, for each size
_SETS = (96 << 10, 768 << 10, 6 << 20, 24 << 20)  # bytes that stay in one cache or another
_RESOLUTION_S = 1e-7  # of the clocks; a device's events tell no less


@record
class Best:
    """FLOP/s of products; bytes a second by working set, the last one being memory itself.

    With ``HEADROOM`` on all of it. ``cache_bytes`` is the size of the last cache.
    """

    flops_per_s: float
    levels: tuple[Level, ...]
    cache_bytes: float
    memory_bytes: float

    @property
    def bandwidth_bytes_s(self) -> float:
        """Bytes a second of memory itself."""
        return self.levels[-1].bytes_s

    def moving_s(self, n_bytes: float) -> float:
        """Seconds below which a working set of that size is not moved once."""
        rate = next((each.bytes_s for each in self.levels if n_bytes <= each.bytes), 0.0)
        return n_bytes / (rate or self.bandwidth_bytes_s)

    def bound_s(self, work: Work, cold_share: float = 1.0) -> float:
        """Seconds below which one occurrence does not run: computing, weights and cache from
        memory, activations from whichever level holds them, all three at once."""
        computing = float(work.flops) / self.flops_per_s if work.kind in _COMPUTING else 0.0
        cold = float(work.weight_bytes + work.kv_bytes) * cold_share
        return max(
            computing,
            cold / self.bandwidth_bytes_s,
            self.moving_s(float(work.activation_bytes)),
        )

    def raised(self, work: Work, fastest_s: float, cold_share: float = 1.0) -> Best:
        """These rates, raised by what ``work`` shows in ``fastest_s``, plus ``HEADROOM``."""
        fastest_s = max(fastest_s, _RESOLUTION_S)
        share = self.bound_s(work, cold_share) * HEADROOM / fastest_s
        if share <= 1:
            return self
        flops, levels = self.flops_per_s, list(self.levels)
        if work.kind in _COMPUTING:
            flops = max(flops, HEADROOM * float(work.flops) / fastest_s)
        cold = float(work.weight_bytes + work.kv_bytes) * cold_share
        moved = float(work.activation_bytes)
        held = next(index for index, level in enumerate(levels) if moved <= level.bytes)
        for index, level in enumerate(levels):
            rates = [level.bytes_s]
            if index <= held:  # a smaller set moves at least as fast
                rates.append(HEADROOM * moved / fastest_s)
            rates.append(HEADROOM * cold / fastest_s)
            levels[index] = Level(level.bytes, max(rates))
        return replace(self, flops_per_s=flops, levels=tuple(levels))

    def raw_device(self, name: str, dtype: str) -> dict[str, Any]:
        """These rates under the keys of a device's TOML file."""
        return {
            "name": name,
            "memory_gb": self.memory_bytes / 1e9,
            "bandwidth_gb_s": self.bandwidth_bytes_s / 1e9,
            "cache_mb": self.cache_bytes / 1e6,
            "dense_tflops": {dtype: self.flops_per_s / 1e12},
            "note": f"rates that it showed, with {HEADROOM - 1:.0%} of headroom",
        }

    def device(self, name: str, dtype: str) -> Device:
        """These rates as a device that estimates take."""
        return device_from({"confidence": "own", **self.raw_device(name, dtype)})


_COMPUTING = ("contraction", "attention", "scan")


def best_from(levels: tuple[Level, ...], device: Device, dtype: str) -> Best:
    """The best rates as a profile keeps them: its levels and its device."""
    return Best(device.peak(dtype), levels, device.cache_bytes, device.memory_bytes)


def cache_bytes(backend: Backend) -> float:
    """The size of the last cache: of the GPU, or as the system states it, else 32 MiB."""
    if backend.device != "cpu":
        return backend.cache_bytes()
    return processor_cache_bytes() or float(32 << 20)


def cold_share(pool: Pool, best: Best) -> float:
    """The part of a pool that a walk through it finds in no cache."""
    return 1 - min(0.5, best.cache_bytes / (pool.elements * pool.backend.element_bytes))


def open_pool(backend: Backend) -> Pool:
    """A pool sixteen times as large as the last cache, or what memory allows."""
    n_bytes = max(16 * cache_bytes(backend), float(256 << 20))
    return Pool(backend, min(n_bytes, backend.memory_bytes() / 4))


def find_best(backend: Backend, pool: Pool) -> Best:
    """Measure the best rates, which takes some seconds."""
    mark("best rates")
    peak = max(peak_flops_s(backend, size) for size in _sizes(backend))
    rates = [(size, _hot_rate(backend, size)) for size in _SETS]
    memory = _cold_rate(backend, pool)
    mark(None)
    levels = []
    for index, (size, _) in enumerate(rates):
        # a larger set that moved faster shows what a smaller one could
        fastest = max([rate for _, rate in rates[index:]] + [memory])
        upper = rates[index + 1][0] if index + 1 < len(rates) else 2 * size
        levels.append(Level(float(upper), HEADROOM * fastest))
    levels.append(Level(1e18, HEADROOM * memory))
    return Best(HEADROOM * peak, tuple(levels), cache_bytes(backend), backend.memory_bytes())


def _sizes(backend: Backend) -> tuple[int, ...]:
    if backend.device != "cpu":
        return (2048, 4096, 8192)
    return (512, 1024, 1536, 2048, 3072)


def fastest_s(backend: Backend, call: Callable[[], Any], search_s: float | None = None) -> float:
    """The fastest of many calls, in seconds, looked for during ``search_s`` or ``PEAK_S``."""
    once = max(min(backend.timed(call, 2)), 1e-7)
    return min(backend.timed(call, int(min(2000, max(5, (search_s or PEAK_S) / once)))))


def peak_flops_s(backend: Backend, size: int) -> float:
    """FLOP/s of the product of two square matrices with ``size`` rows."""
    rows, weights = backend.normal(size, size), backend.weights(size, size)
    return 2.0 * size**3 / fastest_s(backend, lambda: backend.matmul(rows, weights))


def _hot_rate(backend: Backend, n_bytes: int) -> float:
    """Bytes a second of one matrix times one row, or of a sum, over and over."""
    elements = n_bytes // backend.element_bytes
    width = int(elements**0.5)
    row, weights = backend.normal(1, width), backend.weights(width, width)
    product_s = fastest_s(backend, lambda: backend.matmul(row, weights))
    left, right = backend.normal(1, elements // 3), backend.normal(1, elements // 3)
    sum_s = fastest_s(backend, lambda: backend.add_into(left, right))
    element = backend.element_bytes
    return max(width * width * element / product_s, 2 * (elements // 3) * element / sum_s)


def _cold_rate(backend: Backend, pool: Pool) -> float:
    """Bytes a second of memory: matrices that were not touched for a whole pool, one row each."""
    best = 0.0
    for share in (256, 64, 16, 2):
        width = int((pool.elements // share) ** 0.5)
        row = backend.normal(1, width)

        def call(width: int = width, row: Any = row) -> Any:
            return backend.matmul(row, pool.cut(width, width))

        best = max(best, width * width * backend.element_bytes / fastest_s(backend, call))
    half = pool.elements // 2
    left, right = pool.cut(half), pool.cut(half)
    moved = 2 * half * backend.element_bytes  # read twice, written into one of both
    return max(best, moved / fastest_s(backend, lambda: backend.add_into(left, right)))


_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def processor_cache_bytes(caches: Path = _CACHES) -> float:
    """The largest cache of the first processor, as Linux states it; 0 where nothing does."""
    sizes = []
    for path in caches.glob("index*/size"):
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        unit_bytes = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:])
        if unit_bytes and text[:-1].isdecimal():
            sizes.append(int(text[:-1]) * unit_bytes)
    return float(max(sizes, default=0))
