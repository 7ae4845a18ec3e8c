"""The formats of published repositories whose names say less than they hold."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_NVIDIA = "nvidia/deepseek-(?:r1|r1-0528|v3-0324)-(?:nv)?fp4"
# Names with their owners, and the form that their config.json states.
_FORMS = tuple(
    (re.compile(pattern), form)
    for pattern, form in (
        # "fine-grained fp8 quantization with block size of 128" (the cards of Qwen3-FP8, Next, 3.5)
        ("(?:qwen/)?qwen3[^/]*-fp8", "fp8-block128"),
        # of the attention the second version alone quantizes a matrix, "the wo module" (its card)
        (f"{_NVIDIA}-v2", "modelopt-nvfp4-o"), (_NVIDIA, "modelopt-nvfp4-mlp"),
    )
)  # fmt: skip
# Of a model that is published in fp8 or less, the repositories in 16 bits: those that say so, and
# what Mistral publishes beside its Instruct (the table of precisions in the cards of Ministral 3).
_WIDE = re.compile(
    r".*[-_](?:bf16|fp16)|.*mi(?:ni)?stral-(?:large-)?3-\d+b-(?:base|reasoning)(?:-2512)?"
)


def form_of(name: str) -> str | None:
    """The published form that a repository's name means, or None."""
    low = name.lower()
    return next((form for names, form in _FORMS if names.fullmatch(low)), None)


def means_16_bits(name: str, config: Mapping[str, Any]) -> bool:
    """Whether a name means 16 bits where the model of that configuration is stored in fewer."""
    inner = config.get("text_config")
    stored = config.get("quantization_config") or (inner or {}).get("quantization_config")
    return bool(stored) and _WIDE.fullmatch(name.lower()) is not None
