"""The number format that a model's name says: ``llama-3.1-8b-awq``, ``qwen3-8b:q4_K_M``."""

from __future__ import annotations

import re

from thermoflop.model.config.gguf_model import FILE_TYPES

_GGUF = re.compile(r"[-_.:](?:ud[-_])?((?:i|t)?q\d(?:_[a-z0-9]+)*|mxfp4_moe)$")
# Words of a name, the first that is there, and the format that they mean. The groups and scales are
# those that the method's own tools have by default (AutoAWQ, GPTQModel, bitsandbytes as Unsloth
# publishes it, mlx_lm.convert, llm-compressor).
_WORDS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(words.split()), meant)
    for words, meant in (
        ("gptq int8", "gptq-int8-g128"), ("gptq 8bit", "gptq-int8-g128"),
        ("gptq", "gptq-int4-g128"), ("awq", "awq-int4-g128"), ("hqq", "hqq-int4-g64"),
        ("mlx 8bit", "mlx-int8-g64"), ("mlx 4bit", "mlx-int4-g64"),
        ("bnb 8bit", "bnb-int8"), ("bnb 4bit unsloth", "bnb-nf4-dq"), ("bnb 4bit", "bnb-nf4"),
        ("w4a16", "w4a16-g128"), ("w8a16", "w8a16"), ("w8a8", "w8a8"), ("nvfp4", "nvfp4"),
        ("mxfp4", "mxfp4"), ("mxfp8", "mxfp8"), ("nf4", "nf4"), ("fp8 dynamic", "fp8-dynamic"),
        ("fp8", "fp8"), ("fp4", "nvfp4"), ("int4", "int4"), ("4bit", "int4"), ("int8", "int8-wo"),
        ("8bit", "int8-wo"),
    )
)  # fmt: skip

_MEDIUM = {"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}


def named_format(name: str) -> str | None:
    """The format in a name, or None where it says none."""
    low = name.lower()
    match = _GGUF.search(low)
    if match is not None:
        return _gguf(match[1])
    words = set(re.split(r"[-_ :/]+|(?<=quantized)\.", low))
    if "community" in words and "mlx" in words:
        words.add("mlx")
    return next((meant for needed, meant in _WORDS if needed <= words), None)


def _gguf(word: str) -> str | None:
    """llama.cpp's name of a mix; of Unsloth's larger and smaller ones (q2_k_xl) the plain one."""
    known = {name: name for name in FILE_TYPES.values()} | _MEDIUM
    while word not in known and "_" in word:
        word = word.rpartition("_")[0]
    return known.get(word)
