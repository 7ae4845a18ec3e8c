"""What engines print when they start, and what allocators report, against the answers of ``fit``.

A row's kind says which line it is: ``engine_cache_gib`` and ``engine_cache_tokens`` (the pool, and
tokens in it), ``engine_besides_gib`` (what a device holds besides weights and cache),
``engine_laid_out_mib``, ``engine_buffer_mib`` and ``engine_host_mib`` (llama.cpp's cache, compute
buffer, and what its device leaves to the host).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thermoflop.base.record import record
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.engines.budget import SPREAD, Budget, engine_memory
from thermoflop.cost.engines.footprint import MIB, Load
from thermoflop.cost.inference.capacity import fit
from thermoflop.cost.inference.what_fits import Fit
from thermoflop.cost.published.row import Skipped
from thermoflop.cost.work.share import Share
from thermoflop.errors import ThermoflopError

# Engines by what rows call them; the last ones report what torch's allocator held at most.
ENGINES = {
    "vLLM": "vllm", "SGLang": "sglang", "llama.cpp": "llama.cpp",
    "TensorRT-LLM": "tensorrt-llm", "HF transformers": "transformers", "AutoAWQ": "autoawq",
}  # fmt: skip
ALLOCATED = ("transformers", "autoawq")


@record
class Predicted:
    """A prediction with the ends of its 80 % interval; None where it has none."""

    value: float
    low: float | None
    high: float | None


def engine_of(row: dict[str, Any]) -> str | None:
    """The engine of a row as ``fit`` names it, None for one that it does not know in detail."""
    label = str(row.get("engine"))
    return next((name for start, name in ENGINES.items() if label.startswith(start)), None)


def _fit(row: dict[str, Any]) -> Fit:
    from thermoflop.model.load import load_model

    context = int(row["context_len"])
    try:
        return fit(
            load_model(row["model"]), row["gpu_key"], tp=row.get("tp") or 1, pp=row.get("pp") or 1,
            prompt=context - 1, generate=1, dtype=row["precision"],
            kv_dtype=row.get("kv_precision"), profile=engine_of(row),
            engine_options=row.get("options"),
        )  # fmt: skip
    except ThermoflopError as error:
        raise Skipped(str(error)[:80]) from error


def started(row: dict[str, Any]) -> Predicted:
    """What ``fit`` says of a line that an engine printed. Skipped where it cannot be asked."""
    try:
        found = _fit(row)
    except (KeyError, TypeError, ValueError) as error:
        raise Skipped(f"a row of an engine that lacks {error!s:.40}") from error
    if found.budget is None:
        raise Skipped("an engine that fit does not know in detail")
    return LINES[str(row["kind"])][1](found, found.budget)


def _besides(_found: Fit, budget: Budget) -> Predicted:
    value = budget.activation_bytes + budget.overhead_bytes
    spread = (budget.cache_high_bytes - budget.cache_bytes,
              budget.cache_bytes - budget.cache_low_bytes)  # fmt: skip
    return Predicted(value, value - spread[0], value + spread[1])


def _tokens(_found: Fit, budget: Budget) -> Predicted:
    each = budget.cache_tokens / budget.cache_bytes if budget.cache_bytes else 0.0
    ends = budget.cache_low_bytes * each, budget.cache_high_bytes * each
    return Predicted(float(budget.cache_tokens), *ends)


def _pool(_found: Fit, budget: Budget) -> Predicted:
    return Predicted(budget.cache_bytes, budget.cache_low_bytes, budget.cache_high_bytes)


def _within(value: float, share: float) -> Predicted:
    return Predicted(value, (1 - share) * value, (1 + share) * value)


# The unit of each kind of line, and what predicts it.
LINES: dict[str, tuple[float, Callable[[Fit, Budget], Predicted]]] = {
    "engine_besides_gib": (1024 * MIB, _besides),
    "engine_cache_gib": (1024 * MIB, _pool),
    "engine_cache_tokens": (1.0, _tokens),
    "engine_laid_out_mib": (MIB, lambda found, _: _within(float(found.memory.kv_bytes), 0.0)),
    "engine_buffer_mib": (MIB, lambda _, budget: _within(budget.activation_bytes, 0.1)),
    "engine_host_mib": (MIB, lambda _, budget: _within(budget.host_bytes, 0.005)),
}


def allocated(row: dict[str, Any], share: Share, load: Load, engine: str) -> Predicted:
    """What torch's allocators of all devices held at most: weights and cache once, the work of a
    forward pass on every device."""
    device = find_device(str(row.get("gpu_key") or "a100"))
    memory = engine_memory(engine, device, None)[0].memory(share, load)
    work = int(row.get("gpu_count") or 1) * float(memory.activation_bytes)
    kept = float(memory.weight_bytes + memory.kv_bytes)
    low, high = SPREAD[engine]
    # what is read off a file's name is known to a few percent where it is quantized
    return Predicted(kept + work, kept * 0.98 + low * work, kept * 1.02 + high * work)
