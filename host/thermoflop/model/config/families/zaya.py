"""ZAYA: queries and keys pass short convolutions, a router with maps of its own, scaled residuals.

Defaults and structure are those of the class of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Convolution, Vector
from thermoflop.model.config.families import dense, qwen_towers  # noqa: F401 - parents
from thermoflop.model.config.families.patterns import by_words
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.family import family, names, only, sizes, spaced, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.model.config.keys import Config


def _layers(config: Config) -> int:
    """Zyphra's first files count attention and experts of a layer apart, and both halves of an
    expert's first map (``ffn_hidden_size``); that of the one with eyes counts whole layers."""
    layers: int = config["num_hidden_layers"]
    return layers // 2 if config["ffn_hidden_size"] and "vision_lora" not in config else layers


def _expert_inner(config: Config) -> int:
    inner: int = config["moe_intermediate_size"]
    return config["ffn_hidden_size"] // 2 if config["ffn_hidden_size"] else inner


def _adapters(config: Config) -> tuple[Vector, ...]:
    """Two narrow matrices beside each of a layer that works on images: queries, keys, both halves
    of the values and the output, and both maps of each expert."""
    if not config.get("vision_lora"):
        return ()
    hidden, dim, inner = config["hidden_size"], config["head_dim"], _expert_inner(config)
    queries, keys = (config[key] * dim for key in ("num_attention_heads", "num_key_value_heads"))
    around = (queries, keys, keys // 2, keys // 2, queries)
    attention = config["vision_lora_rank_attn"] * sum(hidden + each for each in around)
    expert = config["vision_lora_rank_mlp"] * ((hidden + 2 * inner) + (inner + hidden))
    return (Vector("adapters", "adapters", attention + config["num_experts"] * expert),)


def _kinds(config: Config) -> Sequence[str]:
    table = {"hybrid": "full", "hybrid_sliding": "sliding"}
    kinds = by_words(config, table) or ["full"] * _layers(config)
    if "sliding" in kinds and config["sliding_window"] is None:
        raise InputError("layer_types names hybrid_sliding, and there is no sliding_window")
    return kinds


def _shapes(config: Config) -> list[dict[str, Any]]:
    """Two convolutions over queries and keys, by channel and by head; scales and biases of both
    branches, and from the second layer on a scale of what the router before has left."""
    dim, heads = config["head_dim"], config["num_attention_heads"] + config["num_key_value_heads"]
    where, width = ("short_conv", "short_conv"), heads * config["head_dim"]
    others = (
        Placed(Convolution("by channel", *where, 1, width, config["cca_time0"], True)),
        Placed(Convolution("by head", *where, dim, width, config["cca_time1"], True)),
    )
    scales = Vector("residual scales", "other", 8 * config["hidden_size"])
    router = Vector("router states scale", "router", config["router_hidden_size"])
    kept = (scales, *_adapters(config))
    return [
        {"others": others, "kept": (*kept, router) if index else kept}
        for index in range(_layers(config))
    ]


family(
    "zaya",
    "llama",
    keys={
        **sizes(vocab=262272, hidden=2048, layers=40, heads=8, kv_heads=2, head_dim=128),
        "moe_intermediate_size": 2048,
        "num_experts": 16,
        "num_experts_per_tok": 1,
        "router_hidden_size": 256,
        "cca_time0": 2,
        "cca_time1": 2,
        "sliding_window": None,
        "layer_types": names(),
        "lm_head_bias": False,
        "tie_word_embeddings": True,
        "ffn_hidden_size": None,
        **dict.fromkeys(
            spaced("cca gated_linear_unit scale_residual_merge zaya_use_eda zaya_use_mod"),
            only(True),
        ),
        "add_bias_linear": only(False),
        "normalization": only("RMSNorm"),
    },
    traits={
        "layers": _layers,
        "expert_inner": _expert_inner,
        "kinds": _kinds,
        "shapes": _shapes,
        "qk_norm": "l2",
        "attention_extras": lambda _config, _heads, kv_heads, _dim: (
            Vector("key temperature", "attn", kv_heads),
        ),
        "extras": lambda config: (Vector("input scale, bias", "other", 2 * config["hidden_size"]),),
        "router_width": use("router_hidden_size"),
        "idle_experts": 1,
        "head_bias": use("lm_head_bias"),
        "note": "a token may choose to pass its experts by: each is counted with one",
    },
    drop=("intermediate_size", "mlp_bias"),
    aliases={
        "zaya_mlp_expansion": "router_hidden_size",
        "moe_router_topk": "num_experts_per_tok",
        "num_query_groups": "num_key_value_heads",
        "cca_num_q_heads": "num_attention_heads",
        "kv_channels": "head_dim",
    },
    ignored=spaced(
        "zaya_high_prec apply_rope_fusion bias_activation_fusion clamp_temp"
        " activation_func_fp8_input_store"
    ),
)
family(
    "zaya1_vl_text",
    "zaya",
    keys={"vision_lora": True, "vision_lora_rank_attn": 8, "vision_lora_rank_mlp": 32},
)
family(
    "zaya1_vl_vision",
    "qwen2_5_vl_vision",
    keys={"hidden_size": 1280, "temporal_patch_size": 1, "out_hidden_size": 2048},
)
wrapper(
    "zaya1_vl",
    text_of("zaya1_vl_text", fixed=True, flat=True),
    eyes_of("zaya1_vl_vision", fixed=True),
    tie=True,
    like="zaya1_vl_text",
    traits={
        "extras": lambda _config, _hidden: (),  # the text has its own
        "note": "its adapters for images are kept, and what they work is not counted",
    },
)
