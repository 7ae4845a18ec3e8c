"""Parts of the wrappers of the years before 2025. Defaults: the classes of transformers 5."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Norm, Vector
from thermoflop.model.config.blocks import biased_attention, classifier, layer_norm
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import (  # noqa: F401 - parents are defined there
    by_vendor,
    classic,
    dense,
    towers,
    vision,
)
from thermoflop.model.config.families.encoders import BERT
from thermoflop.model.config.families.patterns import layers_alone
from thermoflop.model.config.families.towers import VIT, tower
from thermoflop.model.config.family import at_least_zero, called, family, sizes, spaced, use

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
        **sizes(vocab=30522, hidden=768, inner=3072, layers=6, heads=12),
        "hidden_act": "gelu",
        "max_position_embeddings": 1024,
    },
    traits={
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
    tower(
        f"{_name}_vision_model",
        keys={
            **VIT,
            **sizes(hidden=1408, inner=6144, layers=39, heads=16, patch=14),
            "qkv_bias": True,
        },
        traits={
            "channels": 3,
            "class_tokens": 1,
            "post_norm": True,
        },
    )
    tower(
        f"{_name}_qformer",
        keys={
            **BERT,
            "cross_attention_frequency": 2,
            "use_qformer_text_input": _name != "blip_2",
        },
        ignored=("encoder_hidden_size", "position_embedding_type"),
    )

family("idefics2_vision", "idefics3_vision", keys=sizes(hidden=768, heads=12))
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


def _inner_norm(_config: Config, heads: int, _kv_heads: int, dim: int) -> tuple[Any, ...]:
    """A norm on the heads' results."""
    return (layer_norm("inner_attn_norm", heads * dim),)


# Kosmos: Magneto's decoder with norms inside its blocks, and a table of sines
family(
    "kosmos_2_5_text_model",
    keys={
        "vocab_size": 108481,
        "embed_dim": 1536,
        "layers": 24,
        "ffn_dim": 6144,
        "attention_heads": 16,
        "activation_function": "gelu",
        "tie_word_embeddings": True,
    },
    traits={
        "inner": use("ffn_dim"),
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
    aliases=called(hidden="embed_dim", layers="layers", heads="attention_heads"),
)


family(
    "kosmos_2_text_model",
    "kosmos_2_5_text_model",
    keys={
        "vocab_size": 65037,
        "embed_dim": 2048,
        "ffn_dim": 8192,
        "attention_heads": 32,
        "add_cross_attention": False,
    },
    traits={"layers": layers_alone("layers"), "extras": (), "attention_extras": _inner_norm},
)
family(
    "kosmos_2_vision_model",
    "clip_vision_model",
    reader="tower",
    keys=sizes(hidden=1024, inner=4096, layers=24, heads=16, patch=14),
)
tower(
    "kosmos_2_5_vision_model",
    keys={
        **sizes(hidden=1536, inner=3968, head_dim=64, layers=18, heads=24),
        "patch_embed_hidden_size": 768,
        "dense_act_fn": "gelu_new",
        "max_num_patches": 4096,
    },
    traits={
        **towers.BARE,
        "activation": use("dense_act_fn"),
        "channels": use("patch_embed_hidden_size"),
        "patch": 1,
        "image": 64,
        "positions": lambda config: 2 * config["max_num_patches"],
        "post_norm": True,
    },
)
# BLIP: BERT as a decoder, whose layers attend to the image as well
family(
    "blip_text_model",
    "git_text",
    keys={
        **sizes(vocab=30524, layers=12, heads=8),
        "max_position_embeddings": 512,
        "encoder_hidden_size": 768,
        "tie_word_embeddings": True,
        "is_decoder": True,
    },
    traits={
        "cross": lambda config: biased_attention(
            config["hidden_size"],
            config["num_attention_heads"],
            cross=True,
            source=config["encoder_hidden_size"],
        ),
        "layer_norms": 3,
        "head_parts": lambda config: (
            classifier("transform", *(config["hidden_size"],) * 2, "head_transform"),
            layer_norm("head_norm", config["hidden_size"]),
        ),
    },
    ignored=("projection_dim",),
)
tower(
    "blip_vision_model",
    keys={**VIT, "image_size": 384},
    traits={"channels": 3, "class_tokens": 1, "post_norm": True},
)


# IDEFICS: Llama with layers of its own between, which attend to the image
def _between(config: Config) -> list[str]:
    """Before every ``cross_layer_interval``-th layer one that attends to the image."""
    layers, every = config["num_hidden_layers"], config["cross_layer_interval"]
    kinds = []
    for at in range(layers):
        kinds += ["cross"] if at % every == 0 and at // every < layers // every else []
        kinds.append("full")
    return kinds


def _looking(config: Config) -> dict[str, tuple[Attention, str]]:
    """Attention to the image with a gate on each branch."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    dim = head_width(hidden, heads)
    alpha = {"float": 1, "vector": hidden}.get(config["alpha_type"])
    if alpha is None:
        raise InputError(f"alpha_type is {quote_value(config['alpha_type'])}: float or vector")
    norms = [Norm(name, dim, vectors=heads) for name in ("q_norm", "k_norm")]
    q_norm, k_norm = norms if config["qk_layer_norms"] else (None, None)
    gates = (Vector("gates", "other", 2 * alpha),)
    source = config["vision_width"]
    look = Attention(
        hidden, heads, heads, dim, q_norm=q_norm, k_norm=k_norm, cross=True, extras=gates,
        source=source,
    )  # fmt: skip
    return {"cross": (look, "attention to images")}


family(
    "idefics_text",
    "llama",
    keys={
        "cross_layer_interval": 1,
        "qk_layer_norms": False,
        "alpha_type": "float",
        "additional_vocab_size": at_least_zero(0),
        "vision_width": 768,
    },
    traits={
        "kinds": _between,
        "layers": lambda config: len(_between(config)),
        "mixers": _looking,
        "embed_rows": lambda config: config["vocab_size"] + config["additional_vocab_size"],
    },
    drop=("num_key_value_heads", "head_dim", "attention_bias", "mlp_bias"),
    ignored=spaced(
        "alpha_initializer alphas_initializer_range use_resampler perceiver_config freeze_lm_head"
        " freeze_text_layers freeze_text_module_exceptions freeze_vision_layers"
        " freeze_vision_module_exceptions"
    ),
)
family(
    "idefics_vision",
    "clip_vision_model",
    reader="tower",
    keys={
        "embed_dim": 768,
        **sizes(inner=5120, layers=32, heads=16, patch=14),
        "hidden_act": "gelu",
    },
    drop=("hidden_size",),
    aliases={"hidden_size": "embed_dim"},
)
family(
    "idefics_perciever",  # as the class spells it
    reader="tower",
    keys={
        "use_resampler": False,
        "resampler_n_latents": 64,
        "resampler_depth": 6,
        "resampler_n_heads": 16,
        "resampler_head_dim": 96,
        "qk_layer_norms_perceiver": False,
    },
)
