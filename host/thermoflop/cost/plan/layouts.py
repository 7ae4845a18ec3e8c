"""The layouts of one replica that are tried: tensor, pipeline and expert parallel, attention apart.

Tensor parallel stays within the devices that fast links join. Experts are divided by neurons like
everything else (ep=1), or spread whole over the devices of a replica; where attention is under data
parallelism, ``dp`` groups of ``tp`` devices hold a sequence each and share the experts. Long
prompts are split over ``cp`` devices besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from thermoflop.cost.engines.abilities import no_layout, no_weights
from thermoflop.cost.engines.engine import DEFAULT, Engine, named_engine
from thermoflop.cost.hardware.device import Device, format_in_4_bits
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.weights import has_experts
from thermoflop.errors import UsageError
from thermoflop.model.model import Model

# Tokens of a prompt from which context parallel is tried: below, its parts are small for a device.
LONG = 16_384
GGUF = ("bf16", "q8_0", "q4_k_m")
# As what the 4 bits that a device multiplies are published.
IN_4_BITS = {"mxfp4": "quark-mxfp4", "nvfp4": "nvfp4"}


def check_formats(dtypes: Sequence[str] | None) -> None:
    """UsageError for what is no list of formats."""
    if dtypes is None:
        return
    several = isinstance(dtypes, list | tuple) and len(dtypes) > 0
    if not (several and all(isinstance(each, str) for each in dtypes)):
        raise UsageError(f"dtypes={dtypes!r:.40} makes no sense: expected several formats")


def layouts(
    model: Model, device: Device, most: int, prompt: float = 0.0, engine: Engine = DEFAULT
) -> Iterator[Layout]:
    """Every layout of one replica that an engine has on at most so many devices, for prompts of so
    many tokens; some may not divide the model. A plugin of others has one device."""
    for layout in _layouts(model, device, most, prompt):
        if not no_layout(engine, layout, device):
            yield layout


def _layouts(model: Model, device: Device, most: int, prompt: float) -> Iterator[Layout]:
    """The same of an engine that has all."""
    experts, node = has_experts(model.description), device.network.node_size
    for tp in powers(min(node, most)):
        for pp in powers(most // tp):
            yield Layout(tp, pp, node_size=node)
            if prompt >= LONG:
                for cp in powers(min(most // pp, node) // tp)[1:]:
                    yield Layout(tp, pp, cp=cp, node_size=node)
            if not experts:
                continue
            if tp > 1:
                yield Layout(tp, pp, ep=tp, node_size=node)
            for groups in powers(most // (tp * pp))[1:]:
                yield Layout(tp, pp, groups, ep=tp * groups, node_size=node)


def powers(most: int) -> list[int]:
    """Powers of two up to ``most``."""
    return [2**n for n in range(most.bit_length()) if 2**n <= most]


def formats(model: Model, device: Device, engine: str) -> list[str | None]:
    """Number formats to try, of those that the engine reads: the one that the model's name says; as
    published where that is narrow, else 16 bits and those that the device computes in; 4-bit
    weights where it computes in nothing narrow. llama.cpp and MLX have their own; mxfp4 as
    published is one of them."""
    reads, own = named_engine(engine), model.quantization
    published = None if own is None or own.default is None else own.default.name
    if model.named_format is not None or (published == "mxfp4" and not no_weights(reads, "mxfp4")):
        return [None]
    if engine == "llama.cpp":
        return [*GGUF]
    if own is not None:
        return [None]
    peaks = device.peaks
    usual = ["bf16"] if {"bf16", "fp16"} & set(peaks) else ["fp32"]
    computed = (("fp8", "fp8"), (IN_4_BITS[format_in_4_bits(device)], "fp4"))
    if reads.alone == "MLX":
        return [*usual, "mlx-4bit"]
    narrow = [name for name, unit in computed if unit in peaks and not no_weights(reads, name)]
    return [*usual, *(narrow or (["int4"] if "fp16" in peaks or "bf16" in peaks else []))]
