"""Wrappers whose code lies beside their weights: InternVL, MiniCPM-V and Phi-3 Vision.

Each is read from the ``modeling_*.py`` of its repository; totals of published weights stand in
tests/model/config/families/test_beside_weights.py.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Layer, Placed, Run, Stack
from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config import connectors, projectors
from thermoflop.model.config.blocks import biased_attention, layer_norm
from thermoflop.model.config.families import dense, towers, vision  # noqa: F401 - parents
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.families.wrappers import CLIP
from thermoflop.model.config.family import Key, Section, family, mapping, spaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

family(
    "intern_vit_6b",
    "internvl_vision",
    keys={"qkv_bias": False, "qk_normalization": True, "norm_type": "rms_norm"},
    traits={
        "qk_norm": lambda config: "full" if config["qk_normalization"] else None,
        "positions": "grid",
        "post_norm": False,
    },
    drop=spaced(
        "attention_bias use_qk_norm use_mask_token use_absolute_position_embeddings"
        " use_mean_pooling"
    ),
    # its mixture of experts is of code that was never published with weights: use_moe is false
    ignored=spaced(
        "drop_path_rate capacity_factor eval_capacity_factor laux_allreduce moe_coeff_ratio"
        " moe_intermediate_size moe_output_scale noisy_gate_policy num_experts num_routed_experts"
        " num_shared_experts shared_expert_intermediate_size use_residual use_rts"
        " use_weighted_residual"
    ),
)
wrapper(
    "internvl_chat",
    Section("llm_config", "qwen2", fixed=False),
    eyes_of("intern_vit_6b", fixed=True),
    projectors.shuffled,
    tied="text",
    keys={"downsample_ratio": Key("any", 0.5)},
    traits={
        "grid": {"rule": "shape", "limits": (12,)},
        "whole": ("InternVLChatModel",),
    },
    ignored=spaced(
        "dynamic_image_size force_image_size image_fold max_dynamic_patch min_dynamic_patch"
        " pad2square select_layer system_message template use_backbone_lora use_llm_lora"
    ),
)

# what a MiniCPM-V of each version reads on with
_MINICPM_TEXTS = {2.5: "llama", 2.6: "qwen2", 4.0: "llama", 4.5: "qwen3"}
_MINICPM_KEYS: dict[str, Any] = {
    "version": Key("any", 2.6),
    "query_num": 64,
    "drop_vision_last_layer": False,
}
_MINICPM_SPARE = spaced(
    "batch_vision_input image_size patch_size slice_config slice_mode use_image_id"
    " vision_batch_size batch_3d_resampler temporal_model"
)


def _minicpm_text(config: Config) -> dict[str, Any]:
    """The family of the text, and the wrapper's own keys taken out of what lies beside them."""
    version = config["version"]
    name = _MINICPM_TEXTS.get(version) if type(version) in (int, float) else None
    if name is None or config["drop_vision_last_layer"]:
        raise InputError(
            f"version is {quote_value(version)}, with drop_vision_last_layer "
            f"{config['drop_vision_last_layer']}: expected one of "
            f"{', '.join(map(str, _MINICPM_TEXTS))}, and false"
        )
    return {**dict.fromkeys((*_MINICPM_KEYS, *_MINICPM_SPARE)), "model_type": name}


def _minicpm_queries(
    config: Config, _tower: Config, stack: Stack, hidden: int
) -> tuple[Stack, Stack]:
    """One matrix to the width of the text, and queries that attend once to the patches."""
    attention = biased_attention(hidden, max(1, hidden // 128), cross=True)
    layer = Layer("resampler", hidden, (layer_norm("queries_norm", hidden),), cross=attention)
    keys = (
        projectors.linear("kv_proj", stack.hidden, hidden, False),
        layer_norm("kv_norm", hidden),
    )
    seeing = replace(stack, tail=(*stack.tail, *(Placed(part) for part in keys)))
    after = (layer_norm("post_norm", hidden), projectors.linear("proj", hidden, hidden, False))
    tail = tuple(Placed(part) for part in after)
    return connectors.queries_behind(seeing, (Run(layer, 1),), config["query_num"], *tail)


wrapper(
    "minicpmv",
    text_of("qwen2", flat=True),
    eyes_of("siglip_vision_model", {"vision_use_head": False}, merged=True, fixed=True),
    _minicpm_queries,
    tied="text",
    like="qwen3",
    keys=_MINICPM_KEYS,
    traits={
        "shared": _minicpm_text,
        "whole": ("MiniCPMV",),
        "grid": {"rule": "slices"},
    },
    ignored=_MINICPM_SPARE,
)


def _phi_eyes(_config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Neighbouring patches side by side through two matrices, and learned separators."""
    seen = 4 * stack.hidden
    separators = Placed(Vector("separators", "other", 2 * seen), "none")
    return projectors.ending(stack, *projectors.two_layers(seen, hidden), separators, merge=2)


def _phi_text(_config: Config) -> dict[str, Any]:
    return {"embd_layer": None, "img_processor": None}


wrapper(
    "phi3_v",
    text_of("phi3", flat=True),
    eyes_of("clip_vision_model", CLIP),
    _phi_eyes,
    tied="text",
    like="phi3",
    keys={"embd_layer": mapping(), "img_processor": mapping()},
    traits={
        "shared": _phi_text,
        "grid": {"rule": "shape", "limits": (16,)},
    },
)
# the name in the first files published
family("lfm2-vl", "lfm2_vl", ignored=("max_num_patches",))
family("interns1", "internvl", traits={"tied": "text"})  # of transformers 4, of the same parts
