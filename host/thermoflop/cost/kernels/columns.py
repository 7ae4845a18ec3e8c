"""From the columns of a table of measured kernels to the sizes that the forms read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thermoflop.base.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thermoflop.base.number import Array

    Columns = Mapping[str, Any]


@record
class Format:
    """Bytes of a weight, scales included, and of what it is multiplied with; the units of a device
    that may multiply it, the first that it has; whether activations are quantized on the way."""

    weight_bytes: float
    activation_bytes: float
    units: tuple[str, ...]
    quantizes: bool = False


# fp8_block: a scale of 32 bits for 128 x 128 weights; nvfp4: one of 8 bits for 16, mxfp4 for 32
# (OCP MX v1.0); int4: one of 16 bits for 128.
FORMATS = {
    "bfloat16": Format(2.0, 2.0, ("bf16", "fp16")),
    "fp8": Format(1.0, 1.0, ("fp8", "bf16"), quantizes=True),
    "fp8_block": Format(1.0 + 4 / 128**2, 1.0, ("fp8", "bf16"), quantizes=True),
    "nvfp4": Format(0.5625, 0.5625, ("fp4", "fp8", "bf16"), quantizes=True),
    "sq": Format(1.0, 1.0, ("int8", "bf16"), quantizes=True),
    "int8_wo": Format(1.0, 2.0, ("bf16", "fp16")),
    "int4_wo": Format(0.515625, 2.0, ("bf16", "fp16")),
    "w4a16_mxfp4": Format(0.53125, 2.0, ("bf16", "fp16")),
    "w4a8_mxfp4_mxfp8": Format(0.53125, 1.03125, ("fp8", "bf16"), quantizes=True),
    "float32": Format(4.0, 4.0, ("fp32",)),
    "half": Format(2.0, 2.0, ("fp16", "bf16")),
    "int8": Format(1.0, 1.0, ("int8", "bf16")),
}
# DeepSeek-V2, section 2.1: 512 latent numbers and 64 of the position are kept of each; in a prompt
# a head has 192 dimensions of keys and 128 of values.
LATENT, POSITION, PROMPT_KEYS, PROMPT_VALUES = 512.0, 64.0, 192.0, 128.0


def sizes_of(table: str, numbers: Columns, words: Columns) -> dict[str, Array]:
    """The sizes of every row of one table."""
    return _READERS[table](numbers, words)


def _of_format(words: Columns, field: str, column: str = "dtype") -> Array:
    return np.array([float(getattr(FORMATS[name], field)) for name in words[column]])


def _gemm(numbers: Columns, words: Columns) -> dict[str, Array]:
    weight = _of_format(words, "weight_bytes")
    return {
        **{name: numbers[name] for name in ("m", "n", "k")},
        "weight_bytes": weight,
        "activation_bytes": _of_format(words, "activation_bytes"),
        "quantizes": _of_format(words, "quantizes"),
        "read_bytes": numbers["n"] * numbers["k"] * weight,
    }


def _attention(numbers: Columns, words: Columns) -> dict[str, Array]:
    cache = _of_format(words, "weight_bytes", "kv_dtype")
    dim, kv_heads = numbers["head_dim"], numbers["kv_heads"]
    positions = numbers["batch"] * numbers["context"]
    named = {name: numbers[name] for name in ("batch", "new", "context", "heads", "kv_heads")}
    read = 2 * positions * kv_heads * dim * cache
    # a prompt's keys are made on the chip that reads them: nothing there says what it streams
    prompts = {"read_bytes": read} if numbers["new"].max() == 1 else {}
    return {**named, **prompts, "dim": dim, "out_dim": dim, "cache_bytes": cache}


def _latent_prompt(numbers: Columns, _: Columns) -> dict[str, Array]:
    named = {name: numbers[name] for name in ("batch", "new", "heads")}
    count = len(numbers["us"])
    return {
        **named,
        "kv_heads": numbers["heads"],
        "dim": np.full(count, PROMPT_KEYS),
        "out_dim": np.full(count, PROMPT_VALUES),
        "cache_bytes": np.full(count, 2.0),
    }


def _latent_decode(numbers: Columns, words: Columns) -> dict[str, Array]:
    named = {name: numbers[name] for name in ("batch", "context", "heads")}
    cache = _of_format(words, "weight_bytes", "kv_dtype")
    width, count = LATENT + POSITION, len(cache)
    return {
        **named,
        "dim": np.full(count, width),
        "out_dim": np.full(count, LATENT),
        "cache_bytes": cache,
        "read_bytes": numbers["batch"] * numbers["context"] * width * cache,
    }


def _experts(numbers: Columns, words: Columns) -> dict[str, Array]:
    named = {name: numbers[name] for name in ("tokens", "hidden", "topk", "experts", "tp", "ep")}
    plain = np.char.find(words["kernel"], "nongated") >= 0
    return {
        **named,
        "inner": numbers["inter"],
        "matrices": np.where(plain, 2.0, 3.0),
        "skewed": (words["distribution"] != "balanced").astype(float),
        "weight_bytes": _of_format(words, "weight_bytes"),
    }


def _collective(passes: float) -> Callable[[Columns, Columns], dict[str, Array]]:
    def read(numbers: Columns, words: Columns) -> dict[str, Array]:
        message = numbers["elements"] * _of_format(words, "weight_bytes")
        every = np.full(len(message), passes)
        return {"devices": numbers["gpus"], "message_bytes": message, "passes": every}

    return read


_READERS = {
    "gemm": _gemm,
    "attention_decode": _attention,
    "attention_context": _attention,
    "mla_decode": _latent_decode,
    "mla_context": _latent_prompt,
    "moe": _experts,
    "all_reduce": _collective(2.0),
    "nccl_all_reduce": _collective(2.0),
    "nccl_all_gather": _collective(1.0),
    "nccl_reduce_scatter": _collective(1.0),
    "nccl_alltoall": _collective(1.0),
}
