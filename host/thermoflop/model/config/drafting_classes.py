"""Which classes draft for another model, and the files that `speculators` writes of them.

Their model_type is that of a layer (llama, qwen3), so the class alone says it: counted as that
family they would have its table, head and widths. Classes as vLLM and SGLang register them.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CLASSES = {
    "LlamaForCausalLMEagle3": "eagle3",
    "Eagle3LlamaForCausalLM": "eagle3",
    "Eagle3MiniMaxM2ForCausalLM": "eagle3",
    "Eagle3Qwen2_5vlForCausalLM": "eagle3",
    "Eagle3Qwen3vlForCausalLM": "eagle3",
    "PeagleLlamaForCausalLM": "eagle3",
    "PEagleDraftModel": "eagle3",
    "Eagle3Qwen3ForCausalLM": "eagle3_qwen3",
    "PeagleQwen3ForCausalLM": "eagle3_qwen3",
    "Eagle3DeepseekV2ForCausalLM": "eagle3_deepseek",
    "Eagle3DeepseekV3ForCausalLM": "eagle3_deepseek",
    "DFlashDraftModel": "dflash",
    "DFlash2DraftModel": "dflash2",
    "Qwen3DSparkModel": "dspark",
}
_WITHIN = ("DFlash", "DSpark", "LiLiCorr", "XPress", "LMEagle", "LMNextN", "LMMedusa")
_ENDS = ("DraftModel", "MTP", "MTPModel", "Speculator", "Eagle3Model")
_BEGINS = ("Eagle", "PEagle", "Peagle", "eagle")
_SPECULATORS = {
    ("eagle3", "llama"): "Eagle3LlamaForCausalLM",
    ("eagle3", "qwen3"): "Eagle3Qwen3ForCausalLM",
    ("peagle", "llama"): "PeagleLlamaForCausalLM",
    ("peagle", "qwen3"): "PeagleQwen3ForCausalLM",
    ("dflash", "qwen3"): "DFlashDraftModel",
    ("dflash2", "qwen3"): "DFlash2DraftModel",
    ("dspark", "qwen3"): "Qwen3DSparkModel",
}
_ABOUT = ("transformer_layer_config", "auto_map")


def drafting_family(raw: Mapping[str, Any]) -> str | None:
    """The family of a class that drafts; None for any other class. UnknownModel for one that drafts
    and is not described."""
    named = raw.get("architectures")
    name = named[0] if isinstance(named, list) and named else named
    if not isinstance(name, str) or name in CLASSES:
        return CLASSES.get(name) if isinstance(name, str) else None
    eagle = name.startswith(_BEGINS) and name.endswith("ForCausalLM")
    if not (eagle or name.endswith(_ENDS) or any(word in name for word in _WITHIN)):
        return None
    known = ", ".join(CLASSES)
    raise UnknownModel(f"{name[:60]} drafts for another model, and is not described: {known} are")


def of_speculators(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """A file of `speculators` as the class reads it that vLLM builds of it (its
    ``configs/speculators``); any other file as it is."""
    kind, layer = raw.get("speculators_model_type"), raw.get("transformer_layer_config")
    if kind is None:
        return raw
    if not isinstance(layer, dict):
        raise InputError(
            "transformer_layer_config is missing: a speculators file describes a layer"
        )
    of = layer.get("model_type", "llama" if "eagle" in str(kind) else "qwen3")
    name = _SPECULATORS.get((str(kind), str(of)))
    if name is None:
        raise UnknownModel(
            f"speculators_model_type {quote_value(kind)} of {quote_value(of)} layers is not "
            f"described: {', '.join(' of '.join(each) for each in _SPECULATORS)} are"
        )
    own = {key: value for key, value in raw.items()
           if key not in _ABOUT and not key.startswith("speculators_")}  # fmt: skip
    return {**layer, **own, "model_type": of, "architectures": [name]}
