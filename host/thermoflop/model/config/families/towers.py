"""Towers that see, as parts of other models. Defaults are those of the classes of transformers 5.

A tower that ends in a merger of its own (Qwen's and GLM's) has it in ``tail``; what a wrapper puts
behind a tower is its projector.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.config.family import Key, anything, family, indices, sizes, spaced, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from thermoflop.model.config.keys import Config

# Keys of towers that change no count: what published files hold beside those of the class.
SPARE = spaced(
    "tie_word_embeddings projection_dim vocab_size image_mean image_std in_chans"
    " spatial_patch_size tokens_per_second max_image_size size use_base_siglip attention_bias_"
    " position_embedding_type vision_segment_max_frames img_token_compression_config"
    " default_output_length"
)


def tower(
    name: str,
    *,
    keys: Mapping[str, Any],
    traits: Mapping[str, Any] | None = None,
    aliases: Mapping[str, str] | None = None,
    ignored: tuple[str, ...] = (),
) -> None:
    """Register a tower that is a part of other models."""
    ignored = (*(key for key in SPARE if key not in keys), *ignored)
    family(name, reader="tower", keys=keys, traits=traits, aliases=aliases, ignored=ignored)


VIT = {
    **sizes(hidden=768, inner=3072, layers=12, heads=12, channels=3, image=224, patch=16),
    "hidden_act": "gelu",
}


# no biases, gated, RMS norms: as language models are built
BARE = {"q_bias": False, "o_bias": False, "up_bias": False, "gated": True, "norm": "rms"}

tower(
    "pixtral",
    keys={**VIT, **sizes(hidden=1024, inner=4096, layers=24, heads=16, image=1024)},
    traits={
        **BARE,
        "image": None,
        "rule": lambda config: ("longest", config["image_size"]),
        "patch_bias": False,
        "pre_norm": True,
        "positions": 0,
    },
    ignored=("head_dim",),
)
family(
    "siglip2_vision_model",
    reader="alone",
    keys={
        **VIT,
        "num_patches": 256,
        "hidden_act": "gelu_pytorch_tanh",
        "vision_use_head": True,
    },
    traits={
        "image": lambda config: config["patch_size"] * _root(config, "num_patches"),
        "positions": use("num_patches"),
        "post_norm": True,
        "pooling": use("vision_use_head"),
        "classes": ("image half",),
        "class": "VisionModel",
    },
    drop=("image_size",),
    ignored=(*SPARE, "image_size"),
)


def _root(config: Config, key: str) -> int:
    """The side of a square of so many patches."""
    return int(config[key] ** 0.5)


tower(
    "idefics3_vision",
    keys={**VIT, **sizes(hidden=1152, heads=16, patch=32), "hidden_act": "gelu_pytorch_tanh"},
    traits={"post_norm": True},
)
family("smolvlm_vision", "idefics3_vision")
tower(
    "internvl_vision",
    keys={
        **VIT,
        **sizes(hidden=1024, inner=4096, layers=24, heads=16, image=anything(), patch=anything()),
        "attention_bias": False,
        "use_qk_norm": False,
        "use_mask_token": False,
        "use_absolute_position_embeddings": True,
        "use_mean_pooling": True,
        "norm_type": "layer_norm",
    },
    traits={
        "image": lambda config: config["image_size"] or 448,
        "patch": lambda config: config["patch_size"] or 14,
        "q_bias": use("attention_bias"),
        "qk_norm": lambda config: "full" if config["use_qk_norm"] else None,
        "qk_norm_kind": "rms",
        "class_tokens": 1,
        "mask_token": use("use_mask_token"),
        "positions": lambda config: "grid" if config["use_absolute_position_embeddings"] else 0,
        "post_norm": lambda config: not config["use_mean_pooling"],
        "norm": lambda config: _norm_kind(config),
        "scales": 2,
    },
    ignored=("layer_scale_init_value",),
)


def _norm_kind(config: Config) -> str:
    """InternVL names its norms."""
    kinds = {"layer_norm": "layer", "rms_norm": "rms"}
    if config["norm_type"] not in kinds:
        raise InputError(f"norm_type is {quote_value(config['norm_type'])}: expected layer_norm")
    return kinds[config["norm_type"]]


tower(
    "llama4_vision_model",
    keys={
        **VIT,
        **sizes(inner=5632, layers=34, heads=16, image=448, patch=14),
        "vision_output_dim": 7680,
        "pixel_shuffle_ratio": Key("any", 0.5),
        "projector_input_dim": 4096,
        "projector_output_dim": 4096,
    },
    traits={"patch_bias": False, "class_tokens": 1, "pre_norm": True, "post_norm": True},
    ignored=("multi_modal_projector_bias",),
)


tower(
    "kimi_k25_vision",
    keys={
        **sizes(hidden=1152, inner=4304, layers=27, heads=16, patch=14),
        "pos_emb_height": 64,
        "pos_emb_width": 64,
        "merge_kernel_size": indices(),
        "hidden_act": "gelu_pytorch_tanh",
    },
    traits={
        "channels": 3,
        "rule": ("padded", 16384, 512),
        "positions": lambda config: config["pos_emb_height"] * config["pos_emb_width"],
        "position_group": "patch_embed",
        "post_norm": True,
    },
    aliases={
        "vt_hidden_size": "hidden_size",
        "vt_intermediate_size": "intermediate_size",
        "vt_num_hidden_layers": "num_hidden_layers",
        "vt_num_attention_heads": "num_attention_heads",
        "init_pos_emb_height": "pos_emb_height",
        "init_pos_emb_width": "pos_emb_width",
    },
    ignored=spaced(
        "pos_emb_time merge_type mm_hidden_size mm_projector_type pos_emb_type text_hidden_size"
        " video_attn_type"
    ),
)
tower(
    "minimax_m3_vl_vision",
    keys={
        **VIT,
        **sizes(hidden=1280, inner=5120, layers=32, heads=16, image=2016, patch=14),
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
    },
    traits={
        "image": None,
        "rule": ("smart", 3136, 451584),
        "patch_bias": False,
        "pre_norm": True,
        "positions": 0,
    },
)
tower(
    "gemma4_vision",
    keys={
        **sizes(hidden=768, inner=3072, layers=16, heads=12, kv_heads=12, head_dim=64, patch=16),
        "pooling_kernel_size": 3,
        "position_embedding_size": 10240,
        "hidden_activation": "gelu_pytorch_tanh",
    },
    traits={
        **BARE,
        "channels": 3,
        "rule": lambda config: ("budget", 280 * config["pooling_kernel_size"] ** 2),
        "merge": use("pooling_kernel_size"),
        "layer_norms": 4,
        "qk_norm": "head",
        "patch_bias": False,
        # one table for rows and one for columns, which the records count with the patches
        "positions": lambda config: 2 * config["position_embedding_size"],
        "position_group": "patch_embed",
    },
    ignored=(
        "attention_bias",
        "global_head_dim",
        "image_seq_length",  # of the processor, and what it makes of a video
        "standardize",
        "use_clipped_linears",
        "video_seq_length",
    ),
)
tower(
    "paddleocr_vl_vision",
    keys={
        **VIT,
        **sizes(hidden=1152, inner=4304, layers=27, heads=16, image=384, patch=14),
        "spatial_merge_size": 2,
        "hidden_act": "gelu_pytorch_tanh",
    },
    traits={
        "image": None,
        "rule": ("smart", 147384, 2822400),
        "positions": lambda config: (config["image_size"] // config["patch_size"]) ** 2,
        "post_norm": True,
    },
)
tower(
    "video_llama_3_vision",
    keys={**VIT, "hidden_act": "gelu_pytorch_tanh"},
    traits={"image": None, "rule": ("smart", 3136, 3211264), "positions": 0, "post_norm": True},
)
