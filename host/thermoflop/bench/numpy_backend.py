"""The numpy backend: every operator by itself, in float32 (or float64, as the reference)."""

from __future__ import annotations

from math import prod
from typing import Any

from thermoflop.bench.backend import Backend, Heads
from thermoflop.errors import UsageError

_BLOCK = 1 << 22  # random numbers that large arrays repeat


class NumpyBackend(Backend):
    """See ``thermoflop.bench.backend.Backend``; matrices are (inputs, outputs)."""

    name = "numpy"
    device = "cpu"
    kernels = "eager"

    def __init__(self, dtype: str = "fp32", seed: int = 0) -> None:
        """UsageError for a format that numpy does not multiply at speed."""
        import numpy as np

        formats: dict[str, Any] = {"fp32": np.float32, "fp64": np.float64}
        if dtype not in formats:
            raise UsageError(f"numpy computes in fp32, not in {dtype!r:.40}: say --backend torch")
        self.dtype, self._format = dtype, formats[dtype]
        self.element_bytes = np.dtype(self._format).itemsize
        self._rng = np.random.default_rng(seed)
        self._np = np
        self._block: Any = None
        _keep_memory()

    def describe(self) -> dict[str, str]:
        """The versions of numpy and its BLAS."""
        config: Any = self._np.show_config(mode="dicts")
        blas = config.get("Build Dependencies", {}).get("blas", {})
        versions = {"numpy": self._np.__version__}
        if blas.get("name"):
            versions[str(blas["name"])] = str(blas.get("version", ""))
        return versions

    def put(self, array: Any) -> Any:
        return self._np.asarray(array, dtype=self._format)

    def get(self, array: Any) -> Any:
        return self._np.asarray(array, dtype=self._np.float64)

    def ids(self, array: Any) -> Any:
        return self._np.asarray(array)

    def normal(self, *shape: int) -> Any:
        return self._rng.standard_normal(shape, dtype=self._format)

    def weights(self, *shape: int) -> Any:
        return (self.flat(prod(shape)) * self._format(shape[-2] ** -0.5)).reshape(shape)

    def put_weights(self, array: Any) -> Any:
        return self._np.ascontiguousarray(self.put(array))

    def zeros(self, *shape: int) -> Any:
        array = self._np.empty(shape, dtype=self._format)
        array.fill(0)  # touched now, not in the first step
        return array

    def flat(self, elements: int) -> Any:
        if self._block is None:
            self._block = self.normal(_BLOCK)
        numbers = self._np.empty(elements, dtype=self._format)
        for start in range(0, elements, _BLOCK):
            part = numbers[start : start + _BLOCK]
            part[:] = self._block[: part.size]
        return numbers

    def matmul(self, rows: Any, weights: Any, bias: Any = None) -> Any:
        product = rows @ weights
        if bias is not None:
            product += bias
        return product

    def norm(self, kind: str, rows: Any, gain: Any, shift: Any) -> Any:
        np = self._np
        normal = rows - rows.mean(axis=-1, keepdims=True) if kind == "layer" else rows.copy()
        scale = np.einsum("ij,ij->i", normal, normal)[:, None]
        scale /= rows.shape[-1]
        scale += self._format(1e-5)
        normal /= np.sqrt(scale, out=scale)
        if gain is not None:
            normal *= gain
        if shift is not None:
            normal += shift
        return normal

    def activate(self, kind: str, rows: Any, up: Any = None) -> Any:
        np = self._np
        if kind in ("relu", "relu2"):
            activated = np.maximum(rows, 0)
            if kind == "relu2":
                activated *= activated
        else:
            activated = self._sigmoid_of(self._inner(kind, rows))
            activated *= rows
        if up is not None:
            activated *= up
        return activated

    def _inner(self, kind: str, rows: Any) -> Any:
        """What silu and the gelus take the sigmoid of, in fresh memory."""
        if kind == "silu":
            return rows.copy()
        if kind == "quick_gelu":
            return rows * self._format(1.702)
        # 2 sqrt(2/pi) (x + 0.044715 x^3): gelu's tanh form is x times the sigmoid of it.
        # Hendrycks and Gimpel 2016, with tanh(u) = 2 sigmoid(2u) - 1.
        inner = rows * rows
        inner *= self._format(0.044715)
        inner += 1
        inner *= rows
        inner *= self._format(1.5957691216057308)
        return inner

    def _sigmoid_of(self, fresh: Any) -> Any:
        """1 / (1 + exp(-x)), in place."""
        np = self._np
        np.negative(fresh, out=fresh)
        np.exp(fresh, out=fresh)
        fresh += 1
        return np.reciprocal(fresh, out=fresh)

    def add_into(self, rows: Any, more: Any) -> Any:
        return self._np.add(rows, more, out=rows)

    def rotation(self, positions: int, dims: int) -> Any:
        np = self._np
        rates = 10000.0 ** (-np.arange(0, dims, 2) / dims)
        angles = np.arange(positions)[:, None] * rates
        return self.put(np.cos(angles)), self.put(np.sin(angles))

    def rotate(self, rows: Any, table: Any, heads: int, dim: int) -> Any:
        where, cos, sin = table
        x = rows.reshape(where.sequences, where.new, heads, dim)
        half = cos.shape[-1]
        left, right = x[..., :half], x[..., half : 2 * half]
        rotated = self._np.empty_like(x)
        rotated[..., :half] = left * cos - right * sin
        rotated[..., half : 2 * half] = right * cos + left * sin
        rotated[..., 2 * half :] = x[..., 2 * half :]
        return rotated.reshape(rows.shape)

    def attention(self, q: Any, k: Any, v: Any, cache: tuple[Any, Any], at: int, h: Heads) -> Any:
        scores = self.scores(q, k, cache[0], at, h)
        return self.values(self.softmax(scores, at, h), v, cache[1], at, h)

    def _keep(self, fresh: Any, cache: Any, at: int, h: Heads) -> Any:
        laid = fresh.reshape(h.sequences, h.new, h.kv_heads, h.dim).swapaxes(1, 2)
        cache[:, :, at : at + h.new] = laid
        return cache[:, :, : at + h.new]

    def scores(self, q: Any, k: Any, cache: Any, at: int, h: Heads) -> Any:
        """Cache the keys; queries times keys, (sequences, kv_heads, group * new, keys)."""
        keys = self._keep(k, cache, at, h)
        split = q.reshape(h.sequences, h.new, h.kv_heads, h.group, h.dim).transpose(0, 2, 3, 1, 4)
        rows = split.reshape(h.sequences, h.kv_heads, h.group * h.new, h.dim)
        return rows @ keys.swapaxes(-1, -2)

    def softmax(self, scores: Any, at: int, h: Heads) -> Any:
        """Softmax of scaled scores, causal, in place."""
        np = self._np
        scores *= self._format(h.dim**-0.5)
        if h.new > 1:
            keys = scores.shape[-1]
            ahead = np.arange(keys)[None, :] > np.arange(at, at + h.new)[:, None]
            mask = np.where(ahead, self._format(-1e30), self._format(0))
            grid = scores.reshape(h.sequences, h.kv_heads, h.group, h.new, keys)
            grid += mask
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return scores

    def values(self, weights: Any, v: Any, cache: Any, at: int, h: Heads) -> Any:
        """Cache the values; weights times values, (sequences * new, heads * dim)."""
        mixed = weights @ self._keep(v, cache, at, h)
        grid = mixed.reshape(h.sequences, h.kv_heads, h.group, h.new, h.dim)
        return grid.transpose(0, 3, 1, 2, 4).reshape(h.sequences * h.new, h.heads * h.dim)

    def route(self, logits: Any, top: int) -> tuple[Any, Any]:
        np = self._np
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        experts = np.argpartition(-weights, top - 1, axis=-1)[:, :top]
        kept = np.take_along_axis(weights, experts, axis=-1)
        return kept / kept.sum(axis=-1, keepdims=True), experts

    def counts(self, experts: Any, many: int) -> list[int]:
        counts: list[int] = self._np.bincount(experts.reshape(-1), minlength=many).tolist()
        return counts

    def chosen(self, experts: Any, expert: int) -> tuple[Any, Any]:
        rows, slots = self._np.nonzero(experts == expert)
        return rows, slots

    def add_at(self, target: Any, at: Any, rows: Any, by: Any) -> None:
        target[at] += rows * by[:, None]

    def memory_bytes(self) -> float:
        return free_memory_bytes()


def _keep_memory() -> None:
    """Keep freed memory instead of handing it back, as torch's allocators do.

    Otherwise every large result is faulted in again page by page, and how often depends on what was
    freed before. glibc alone can be told (mallopt(3)); elsewhere nothing is changed.
    """
    import ctypes

    trim_threshold, mmap_threshold = -1, -3
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 1 << 30)


def free_memory_bytes() -> float:
    """Memory that a process may still take, where the system says so; else 4 GB."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("MemAvailable:"):
                    return float(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 4e9
