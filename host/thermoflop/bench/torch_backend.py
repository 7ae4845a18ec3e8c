"""The torch backend: eager operators and scaled_dot_product_attention, on a CPU or a CUDA device.

torch is imported here and nowhere else, and only when this backend is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from thermoflop.bench.backend import Backend, Heads
from thermoflop.errors import MissingExtra, UsageError

_FORMATS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_LEAST_VERSION = (2, 5)  # grouped queries in scaled_dot_product_attention


def open_torch(device: str, dtype: str) -> TorchBackend:
    """The backend. MissingExtra without torch; UsageError for a device or format it lacks."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(f"the torch backend needs torch, which is not here: {error}") from error
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < _LEAST_VERSION:
        raise MissingExtra(f"torch {torch.__version__} is too old: expected 2.5 or later")
    if dtype not in _FORMATS:
        raise UsageError(f"the torch backend runs {', '.join(_FORMATS)}, not {dtype!r:.40}")
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise UsageError(f"device {device!r:.40} is not one of cpu, cuda and cuda:N")
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise UsageError("this torch finds no CUDA device: say --device cpu")
        index = device.partition(":")[2] or "0"
        if not index.isdecimal() or int(index) >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            raise UsageError(f"device {device!r:.40} is not one of the {count} CUDA devices")
    return TorchBackend(torch, device, dtype)


class TorchBackend(Backend):
    """See ``thermoflop.bench.backend.Backend``; matrices are (outputs, inputs)."""

    name = "torch"
    kernels = "attention"

    def __init__(self, torch: Any, device: str, dtype: str) -> None:
        """Made by ``open_torch``, which refuses what torch or the device lacks."""
        self._torch, self.device, self.dtype = torch, device, dtype
        self._format = getattr(torch, _FORMATS[dtype])
        self.element_bytes = 4 if dtype == "fp32" else 2
        self._where = torch.device(device)
        self._random = torch.Generator(self._where).manual_seed(0)
        self._cuda = self._where.type == "cuda"
        if self._cuda:
            torch.cuda.set_device(self._where)
            # fp32 means fp32, whatever the environment says
            torch.backends.cuda.matmul.allow_tf32 = False
        torch.set_grad_enabled(False)

    def describe(self) -> dict[str, str]:
        """The versions of torch and CUDA."""
        torch = self._torch
        versions = {"torch": str(torch.__version__)}
        if self._cuda:
            versions["cuda"] = str(torch.version.cuda)
        return versions

    def gpu(self) -> str:
        """The name of the GPU; empty on a CPU."""
        return str(self._torch.cuda.get_device_name(self._where)) if self._cuda else ""

    def put(self, array: Any) -> Any:
        return self._torch.as_tensor(array).to(self._where, self._format)

    def get(self, array: Any) -> Any:
        return array.to("cpu", self._torch.float64).numpy()

    def ids(self, array: Any) -> Any:
        return self._torch.as_tensor(array).to(self._where)

    def normal(self, *shape: int) -> Any:
        options = {"device": self._where, "generator": self._random, "dtype": self._format}
        return self._torch.randn(shape, **options)

    def weights(self, *shape: int) -> Any:
        return self.normal(*shape[:-2], shape[-1], shape[-2]).mul_(shape[-2] ** -0.5)

    def put_weights(self, array: Any) -> Any:
        return self.put(array).transpose(-1, -2).contiguous()

    def zeros(self, *shape: int) -> Any:
        return self._torch.zeros(shape, device=self._where, dtype=self._format)

    def flat(self, elements: int) -> Any:
        return self.normal(elements).mul_(0.02)

    def matmul(self, rows: Any, weights: Any, bias: Any = None) -> Any:
        return self._torch.nn.functional.linear(rows, weights, bias)

    def norm(self, kind: str, rows: Any, gain: Any, shift: Any) -> Any:
        functions = self._torch.nn.functional
        if kind == "layer":
            return functions.layer_norm(rows, rows.shape[-1:], gain, shift, 1e-5)
        return functions.rms_norm(rows, rows.shape[-1:], gain, 1e-5)

    def activate(self, kind: str, rows: Any, up: Any = None) -> Any:
        functions = self._torch.nn.functional
        if kind in ("relu", "relu2"):
            activated = functions.relu(rows)
            activated = activated * activated if kind == "relu2" else activated
        elif kind == "silu":
            activated = functions.silu(rows)
        elif kind == "quick_gelu":
            activated = rows * (1.702 * rows).sigmoid()
        else:
            activated = functions.gelu(rows, approximate="tanh")
        return activated if up is None else activated * up

    def add_into(self, rows: Any, more: Any) -> Any:
        return rows.add_(more)

    def rotation(self, positions: int, dims: int) -> Any:
        torch = self._torch
        rates = 10000.0 ** (-torch.arange(0, dims, 2, dtype=torch.float64) / dims)
        angles = torch.arange(positions, dtype=torch.float64)[:, None] * rates
        return self.put(angles.cos()), self.put(angles.sin())

    def rotate(self, rows: Any, table: Any, heads: int, dim: int) -> Any:
        where, cos, sin = table
        x = rows.view(where.sequences, where.new, heads, dim)
        half = cos.shape[-1]
        left, right, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        parts = [left * cos - right * sin, right * cos + left * sin]
        if rest.shape[-1]:
            parts.append(rest)
        return self._torch.cat(parts, dim=-1).view(rows.shape)

    def attention(self, q: Any, k: Any, v: Any, cache: tuple[Any, Any], at: int, h: Heads) -> Any:
        held = []
        for fresh, kept in ((k, cache[0]), (v, cache[1])):
            kept[:, :, at : at + h.new] = fresh.view(
                h.sequences, h.new, h.kv_heads, h.dim
            ).transpose(1, 2)
            held.append(kept[:, :, : at + h.new])
        rows = q.view(h.sequences, h.new, h.heads, h.dim).transpose(1, 2)
        mask = None
        if h.new > 1 and at:
            ones = self._torch.ones(h.new, at + h.new, dtype=self._torch.bool, device=self._where)
            mask = ones.tril(at)
        mixed = self._torch.nn.functional.scaled_dot_product_attention(
            rows, *held, attn_mask=mask, is_causal=h.new > 1 and mask is None,
            enable_gqa=h.group > 1,
        )  # fmt: skip
        return mixed.transpose(1, 2).reshape(h.sequences * h.new, h.heads * h.dim)

    def route(self, logits: Any, top: int) -> tuple[Any, Any]:
        weights, experts = logits.softmax(-1).topk(top, dim=-1)
        return weights / weights.sum(-1, keepdim=True), experts

    def counts(self, experts: Any, many: int) -> list[int]:
        counts: list[int] = self._torch.bincount(experts.reshape(-1), minlength=many).tolist()
        return counts

    def chosen(self, experts: Any, expert: int) -> tuple[Any, Any]:
        rows, slots = self._torch.nonzero(experts == expert, as_tuple=True)
        return rows, slots

    def add_at(self, target: Any, at: Any, rows: Any, by: Any) -> None:
        target.index_add_(0, at, rows * by[:, None])

    def timed(
        self, call: Callable[[], Any], runs: int, before: Callable[[], Any] | None = None
    ) -> list[float]:
        if self._cuda:
            return self._timed_by_events(call, runs)
        return super().timed(call, runs, before)

    def _timed_by_events(self, call: Callable[[], Any], runs: int) -> list[float]:
        """From event to event on the device's own clock: calls queue up as in a real decoder, so
        that the host's launches count where they are slower than the device."""
        cuda = self._torch.cuda
        events = [cuda.Event(enable_timing=True) for _ in range(runs + 1)]
        cuda.synchronize()
        events[0].record()
        for event in events[1:]:
            call()
            event.record()
        cuda.synchronize()
        return [first.elapsed_time(second) / 1e3 for first, second in pairwise(events)]

    def memory_bytes(self) -> float:
        if self._cuda:
            self._torch.cuda.empty_cache()  # what an earlier decoder held is free again
            return float(self._torch.cuda.mem_get_info(self._where)[0])
        from thermoflop.bench.numpy_backend import free_memory_bytes

        return free_memory_bytes()

    def cache_bytes(self) -> float:
        if not self._cuda:
            return 0.0
        return float(self._torch.cuda.get_device_properties(self._where).L2_cache_size)
