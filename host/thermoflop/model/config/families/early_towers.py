"""Parts of the wrappers of the years before 2025. Defaults: the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families import (  # noqa: F401 - parents are defined there
    by_vendor,
    classic,
    dense,
    towers,
    vision,
)
from thermoflop.model.config.families.towers import SPARE, VIT
from thermoflop.model.config.family import family, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

# the text's keys as they were published, beside those of the patches
family("fuyu_text", "persimmon", ignored=("image_size", "patch_size", "num_channels"))

# GIT: BERT's layers as a decoder, which reads the image's states before the words
family(
    "git_text",
    "llama",
    keys={
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "max_position_embeddings": 1024,
    },
    traits={
        "kv_heads": None,
        "head_dim": None,
        "gated": False,
        "norm": "layer",
        "norm_bias": True,
        "q_bias": True,
        "o_bias": True,
        "up_bias": True,
        "rotary": False,
        "positions": use("max_position_embeddings"),
        "embed_norm": True,
        "final_norm": False,
        "head_bias": True,
    },
    drop=("num_key_value_heads", "head_dim", "attention_bias", "mlp_bias"),
    ignored=("num_image_with_embedding",),
)
family("git_vision_model", "clip_vision_model", reader="tower", keys={"patch_size": 16})

for _name in ("blip_2", "instructblip", "instructblipvideo"):
    family(
        f"{_name}_vision_model",
        reader="tower",
        keys={
            **VIT,
            "hidden_size": 1408,
            "intermediate_size": 6144,
            "num_hidden_layers": 39,
            "num_attention_heads": 16,
            "patch_size": 14,
            "qkv_bias": True,
        },
        traits={
            "q_bias": use("qkv_bias"),
            "o_bias": True,
            "channels": 3,
            "class_tokens": 1,
            "post_norm": True,
        },
        ignored=SPARE,
    )
    family(
        f"{_name}_qformer",
        reader="tower",
        keys={
            "vocab_size": 30522,
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "hidden_act": "gelu",
            "max_position_embeddings": 512,
            "cross_attention_frequency": 2,
            "use_qformer_text_input": _name != "blip_2",
        },
        ignored=(*SPARE, "encoder_hidden_size", "position_embedding_type"),
    )

family("idefics2_vision", "idefics3_vision", keys={"hidden_size": 768, "num_attention_heads": 12})
family(
    "idefics2_perceiver",
    reader="tower",
    keys={
        "hidden_act": "silu",
        "resampler_n_latents": 64,
        "resampler_depth": 3,
        "resampler_n_heads": 16,
        "resampler_head_dim": 96,
        "num_key_value_heads": 4,
    },
    ignored=("hidden_size",),
)

# Kosmos: Magneto's decoder with norms inside its blocks, and a table of sines
_KOSMOS = {
    "vocab_size": 65037,
    "embed_dim": 2048,
    "layers": 24,
    "ffn_dim": 8192,
    "attention_heads": 32,
    "activation_function": "gelu",
    "tie_word_embeddings": True,
}


def _inner_norm(_config: Config, heads: int, _kv_heads: int, dim: int) -> tuple[Any, ...]:
    """A norm on the heads' results."""
    return (layer_norm("inner_attn_norm", heads * dim),)


family(
    "kosmos_2_5_text_model",
    keys={
        **_KOSMOS,
        "vocab_size": 108481,
        "embed_dim": 1536,
        "ffn_dim": 6144,
        "attention_heads": 16,
    },
    traits={
        "hidden": use("embed_dim"),
        "layers": use("layers"),
        "heads": use("attention_heads"),
        "kv_heads": None,
        "head_dim": None,
        "inner": use("ffn_dim"),
        "activation": use("activation_function"),
        "gated": False,
        "norm": "layer",
        "norm_bias": True,
        "q_bias": True,
        "o_bias": True,
        "up_bias": True,
        "rotary": False,
        "mlp_extras": lambda config: (layer_norm("ffn_norm", config["ffn_dim"]),),
        "extras": lambda config: (Vector("segments", "embed_type", 2 * config["embed_dim"]),),
    },
    aliases={
        "hidden_size": "embed_dim",
        "num_hidden_layers": "layers",
        "num_attention_heads": "attention_heads",
    },
)
family(
    "kosmos_2_text_model",
    "kosmos_2_5_text_model",
    keys={**_KOSMOS, "add_cross_attention": False},
    traits={"extras": (), "attention_extras": _inner_norm},
)
family("kosmos_2_vision_model", "clip_vision_model", reader="tower", keys={
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "patch_size": 14,
})  # fmt: skip
family(
    "kosmos_2_5_vision_model",
    reader="tower",
    keys={
        "hidden_size": 1536,
        "patch_embed_hidden_size": 768,
        "intermediate_size": 3968,
        "head_dim": 64,
        "num_hidden_layers": 18,
        "num_attention_heads": 24,
        "dense_act_fn": "gelu_new",
        "max_num_patches": 4096,
    },
    traits={
        **towers.BARE,
        "activation": use("dense_act_fn"),
        "head_dim": use("head_dim"),
        "channels": use("patch_embed_hidden_size"),
        "patch": 1,
        "image": 64,
        "positions": lambda config: 2 * config["max_num_patches"],
        "post_norm": True,
    },
    ignored=SPARE,
)
