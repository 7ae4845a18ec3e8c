"""Towers that see, as whole models. Defaults are those of the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.config.families import towers, vision  # noqa: F401 - parents are there
from thermoflop.model.config.family import Key, at_least_zero, family, mapping, sizes, spaced, use
from thermoflop.model.config.tower import ratio_of, sides

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config


def size(pixels: int) -> Key:
    """A number of pixels, or height and width."""
    return Key("any", pixels)


_SHAPE: dict[str, Any] = {
    **sizes(hidden=768, layers=12, heads=12, channels=3, image=size(224), patch=size(16)),
    "hidden_act": "gelu",
}
_OUTPUTS = spaced(
    "apply_layernorm reshape_hidden_states out_features out_indices stage_names layerscale_value"
    " drop_path_rate tie_word_embeddings"
)
_SEEN = ("bare", "image")


def multiple_of_hidden(config: Config) -> int:
    """Width of the MLP: a multiple of the hidden size, of a gated one two thirds, in eights."""
    inner = int(config["hidden_size"] * ratio_of(config))
    return (int(inner * 2 / 3) + 7) // 8 * 8 if config["use_swiglu_ffn"] else inner


def _places(config: Config) -> int:
    """Positions of patches and of the class token; register tokens have none."""
    (height, width), patch = sides(config["image_size"], "image_size"), config["patch_size"]
    rows, columns = sides(patch, "patch_size")
    return (height // rows) * (width // columns) + 1


family(
    "dinov2",
    reader="alone",
    keys={
        **_SHAPE,
        "patch_size": size(14),
        "mlp_ratio": Key("any", 4),
        "qkv_bias": True,
        "use_swiglu_ffn": False,
        "use_mask_token": True,
    },
    traits={
        "inner": multiple_of_hidden,
        "gated": use("use_swiglu_ffn"),
        "class_tokens": 1,
        "scales": 2,
        "post_norm": True,
        "hides": use("use_mask_token"),
        "classes": _SEEN,
        "classifier_states": 2,
    },
    ignored=_OUTPUTS,
)
family(
    "dinov2_with_registers",
    "dinov2",
    keys={"patch_size": size(16), "num_register_tokens": at_least_zero(4)},
    drop=("use_mask_token",),
    traits={
        "class_tokens": lambda config: 1 + config["num_register_tokens"],
        "positions": _places,
        "hides": True,
    },
)
family(
    "dinov3_vit",
    reader="alone",
    keys={
        **_SHAPE,
        **sizes(hidden=384, inner=1536, heads=6),
        "query_bias": True,
        "key_bias": False,
        "value_bias": True,
        "proj_bias": True,
        "mlp_bias": True,
        "use_gated_mlp": False,
        "num_register_tokens": at_least_zero(0),
    },
    traits={
        "gated": use("use_gated_mlp"),
        "q_bias": use("query_bias"),
        "k_bias": use("key_bias"),
        "v_bias": use("value_bias"),
        "o_bias": use("proj_bias"),
        "up_bias": use("mlp_bias"),
        "class_tokens": lambda config: 1 + config["num_register_tokens"],
        "positions": 0,
        "rotary": True,
        "scales": 2,
        "post_norm": True,
        "hides": True,
    },
    ignored=(*_OUTPUTS, "pos_embed_shift", "pos_embed_jitter", "pos_embed_rescale"),
)
family(
    "vit_msn",
    reader="alone",
    keys={**_SHAPE, "intermediate_size": 3072, "qkv_bias": True},
    traits={
        "class_tokens": 1,
        "post_norm": True,
        "classes": _SEEN,
    },
    ignored=_OUTPUTS,
)
family("ijepa", "vit_msn", traits={"class_tokens": 0}, ignored=("pooler_output_size",))
family(
    "siglip_text_model",
    reader="alone.siglip_text",
    keys={
        **sizes(vocab=32000, hidden=768, inner=3072, layers=12, heads=12),
        "max_position_embeddings": 64,
        "hidden_act": "gelu_pytorch_tanh",
        "projection_size": None,
    },
    ignored=("tie_word_embeddings",),
)
family("siglip2_text_model", "siglip_text_model")
family(
    "siglip",
    reader="alone.siglip",
    keys={"text_config": mapping(), "vision_config": mapping()},
    ignored=("text_config_dict", "vision_config_dict", "tie_word_embeddings"),
)
family("siglip2", "siglip")
