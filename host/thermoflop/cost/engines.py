"""Engines: what a published label belongs to, and the habits of each that change the work.

Rates are fitted for an engine; the label (a version, a kernel) may move them a little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.model.record import record

if TYPE_CHECKING:
    from thermoflop.cost.hardware import Device


@record
class Engine:
    """``splits`` is how it uses several devices unless told: ``heads`` or ``layers``.

    ``chunk`` prompt tokens are read at once (None: all of them). ``half_accumulate``: products of
    half-precision numbers are summed in half precision where the device is faster at that.
    ``kernels``: ``fused``, ``eager`` (every operator alone, all pairs of the mask computed), or
    ``attention`` (eager but for one attention kernel).
    """

    name: str
    prefixes: tuple[str, ...]
    splits: str = "layers"
    chunk: int | None = None
    half_accumulate: bool = False
    kernels: str = "fused"


ENGINES = (
    Engine("fastertransformer-encoder", ("fastertransformer 5.x tensorflow",
           "fastertransformer 5.x pytorch"), "heads"),
    Engine("fastertransformer", ("fastertransformer", "triton/fastertransformer"), "heads"),
    Engine("tensorrt-llm", ("tensorrt-llm", "tensorrt", "nvidia nim"), "heads"),
    Engine("vllm", ("vllm",), "heads"),
    Engine("sglang", ("sglang",), "heads"),
    Engine("transformers", ("transformers", "hf transformers", "huggingface", "hf accelerate",
           "accelerate", "autogptq")),
    Engine("llama.cpp", ("llama.cpp", "ollama"), chunk=512, half_accumulate=True),
    Engine("exllama", ("exllama",)),
    Engine("autoawq", ("autoawq",)),
    Engine("tinychat", ("tinychat",)),
    Engine("mlc", ("mlc",), "heads"),
    Engine("gpt-fast", ("gpt-fast",), "heads"),
    Engine("deepspeed", ("deepspeed", "ds-"), "heads"),
    Engine("litgpt", ("litgpt",)),
    Engine("jax", ("jax", "pope"), "heads"),
)  # fmt: skip
DEFAULT = Engine("default", (), "heads")


def find_engine(label: str) -> Engine:
    """The engine that a label names, or ``DEFAULT`` for one that is not known."""
    low = label.strip().lower()
    for engine in ENGINES:
        if low.startswith(engine.prefixes):
            return engine
    return DEFAULT


def peak_of(engine: Engine, device: Device, compute: str) -> float:
    """FLOP/s that an engine's products are measured against on a device."""
    peak = device.peak(compute)
    if engine.half_accumulate and compute == "fp16" and device.half_accumulate_flops_s:
        return device.half_accumulate_flops_s
    return peak


# Formats in which products are computed while attention stays in 16 bits.
NARROW = ("fp8", "int8", "fp4")


def attention_peak_of(engine: Engine, device: Device, compute: str) -> float:
    """FLOP/s that attention is measured against: that of 16 bits where products are narrower."""
    if compute not in NARROW:
        return peak_of(engine, device, compute)
    return device.peaks.get("bf16") or device.peaks.get("fp16") or device.peak(compute)
