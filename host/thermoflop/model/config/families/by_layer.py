"""Decoders whose layers have heads, keys, sinks and widths of their own: MiMo, Step, OpenELM.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``), or of
the code that comes with the weights (OpenELM).
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.config.families import dense  # noqa: F401 - llama is defined there
from thermoflop.model.config.families.patterns import by_words, sparse_by_mlp_types, sparse_from
from thermoflop.model.config.family import (
    anything,
    family,
    indices,
    mapping,
    names,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config, is_factor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def of_sliding(kinds: Sequence[str], **traits: Any) -> list[dict[str, Any]]:
    """What sliding layers have otherwise, for each layer."""
    return [traits if kind == "sliding" else {} for kind in kinds]


_FULL_OR_SLIDING = {"full_attention": "full", "sliding_attention": "sliding"}


def _mimo_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or full attention in layer 0 and then in every sixth."""
    return by_words(config, _FULL_OR_SLIDING) or [
        "sliding" if index and (index + 1) % 6 else "full"
        for index in range(config["num_hidden_layers"])
    ]


family(
    "mimo_v2_flash",
    "llama",
    keys={
        **sizes(vocab=152576, inner=16384, layers=48, heads=64, kv_heads=4, head_dim=192),
        "v_head_dim": 128,
        "sliding_window": 129,
        "sliding_window_size": None,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 256,
        "num_experts_per_tok": 8,
        "layer_types": names(),
        "mlp_layer_types": names(),
    },
    traits={
        "kinds": _mimo_kinds,
        # the reference attends that many tokens before the query, and the query
        "window": lambda config: (
            config["sliding_window"]
            if config["sliding_window_size"] is None
            else config["sliding_window_size"] + 1
        ),
        "shapes": lambda config: of_sliding(
            _mimo_kinds(config), kv_heads=2 * config["num_key_value_heads"], sinks=True
        ),
        "value_dim": use("v_head_dim"),
        "o_bias": False,
        "sparse": sparse_by_mlp_types,
        # modules that predict further slide, and are dense
        "ahead": lambda config: [
            [("sliding", False, {"kv_heads": 2 * config["num_key_value_heads"], "sinks": True})]
        ],
    },
    drop=("mlp_bias",),
    aliases={"num_local_experts": "n_routed_experts"},
    # the class derives sliding layers' heads, and which they are, from the keys above
    ignored=spaced(
        "add_swa_attention_sink_bias attention_chunk_size attention_value_scale"
        " hybrid_layer_pattern moe_layer_freq n_shared_experts swa_head_dim"
        " swa_num_attention_heads swa_num_key_value_heads swa_v_head_dim"
    ),
)
# MiMo-7B is Qwen2's decoder with a layer that predicts further ahead (its report, section 2.2)
family("mimo", "qwen2", ignored=("attention_bias", "use_mrope"))


def _step_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or full attention everywhere; entries beyond the last layer are MTP's."""
    return by_words(config, _FULL_OR_SLIDING) or ["full"] * config["num_hidden_layers"]


def listed_layers(config: Config) -> set[int] | None:
    """The layers in ``moe_layers_enum``: a list of numbers, or a word of them between commas."""
    listed = config["moe_layers_enum"]
    if listed is None:
        return None
    items = listed.split(",") if isinstance(listed, str) else listed
    try:
        return {int(item) for item in items if str(item).strip()}
    except (TypeError, ValueError):
        raise InputError(f"moe_layers_enum is {quote_value(listed)}, no list of layers") from None


def _step_sparse(config: Config) -> Sequence[bool]:
    """By word, or the layers in ``moe_layers_enum``, or all but the first three."""
    chosen = listed_layers(config)
    if config["mlp_layer_types"] is not None or chosen is None:
        return sparse_from(3)(config)
    return [index in chosen for index in range(config["num_hidden_layers"])]


def step_sliding(config: Config) -> dict[str, int]:
    """Sliding layers may have a head count of their own."""
    heads, other = config["num_sliding_attention_heads"], config["attention_other_setting"] or {}
    if heads is None:
        heads = other.get("num_attention_heads", config["num_attention_heads"])
    if type(heads) is not int or heads < 1:
        raise InputError(f"num_attention_heads is {quote_value(heads)} in attention_other_setting")
    return {"heads": heads}


def _step_ahead(config: Config) -> list[list[tuple[str, bool, dict[str, Any]]]]:
    """The entries beyond the last layer: full attention and no mixture, if nothing is said."""
    layers = config["num_hidden_layers"]
    kinds = (config["layer_types"] or [])[layers:] or ["full_attention"]
    sliding = step_sliding(config)
    return [
        [("sliding", False, sliding) if kind == "sliding_attention" else ("full", False, {})]
        for kind in kinds
    ]


family(
    "step3p5",
    "llama",
    keys={
        **sizes(vocab=128815, inner=11264, layers=45, heads=64, kv_heads=8, head_dim=128),
        "sliding_window": None,
        "num_sliding_attention_heads": None,
        "attention_other_setting": mapping(),
        "moe_intermediate_size": 1280,
        "n_routed_experts": 288,
        "num_experts_per_tok": 8,
        "share_expert_dim": 1280,
        "layer_types": names(),
        "mlp_layer_types": names(),
        "moe_layers_enum": anything(),
        # the code beside the weights asks for it; the class of transformers always has it
        "use_head_wise_attn_gate": True,
    },
    traits={
        "kinds": _step_kinds,
        "shapes": lambda config: of_sliding(_step_kinds(config), **step_sliding(config)),
        "ahead": _step_ahead,
        "qk_norm": "head",
        "head_gate": use("use_head_wise_attn_gate"),
        "shared_inner": use("share_expert_dim"),
        "sparse": _step_sparse,
    },
    aliases={
        "num_attention_groups": "num_key_value_heads",
        "moe_num_experts": "n_routed_experts",
        "num_local_experts": "n_routed_experts",
        "num_experts": "n_routed_experts",
        "moe_top_k": "num_experts_per_tok",
        "share_expert_dims": "share_expert_dim",
    },
    ignored=(
        "first_k_dense_replace",
        "n_shared_experts",
        "use_moe_router_bias",
        "moe_router_scaling_factor",
        "swiglu_limits",
        "swiglu_limits_shared",
        "partial_rotary_factors",
        # written in config.json of Step 3.5 and read by none of its classes, or not for a shape
        "att_impl_type",
        "max_position_embedding",
        "moe_every_n_layer",
        "moe_router_activation",
        "need_fp32_gate",
        "norm_expert_weight",
        "use_moe",
        "yarn_only_types",
        "zero_centered",
    ),
)


def _openelm_shapes(config: Config) -> Sequence[Mapping[str, Any]]:
    """Heads and widths by layer, all stated in the published files."""
    layers, hidden = config["num_transformer_layers"], config["model_dim"]
    counts = [config[key] or () for key in ("num_query_heads", "num_kv_heads")]
    mults = config["ffn_multipliers"]
    if not isinstance(mults, list) or any(len(each) != layers for each in (*counts, mults)):
        raise InputError(
            "openelm needs num_query_heads, num_kv_heads and ffn_multipliers, one for each of "
            f"{layers} layers"
        )
    if not all(map(is_factor, mults)):
        raise InputError(f"ffn_multipliers is {quote_value(mults)}: expected positive numbers")
    return [
        {"heads": heads, "kv_heads": kv, "inner": _divisible(mult * hidden, config)}
        for heads, kv, mult in zip(*counts, mults, strict=True)
    ]


def _divisible(width: float, config: Config) -> int:
    """The nearest multiple of the divisor, at most a tenth below (MobileNet's rule)."""
    divisor = config["ffn_dim_divisor"]
    found = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return int(found + divisor if found < 0.9 * width else found)


family(
    "openelm",
    keys={
        **sizes(vocab=32000, head_dim=128),
        "model_dim": 2048,
        "num_transformer_layers": 12,
        "num_query_heads": indices(),
        "num_kv_heads": indices(),
        "ffn_multipliers": anything(),
        "ffn_dim_divisor": 256,
        "ffn_with_glu": True,
        "normalize_qk_projections": False,
        "share_input_output_layers": False,
    },
    traits={
        "hidden": use("model_dim"),
        "layers": use("num_transformer_layers"),
        "shapes": _openelm_shapes,
        "gated": use("ffn_with_glu"),
        "activation": "silu",
        "qk_norm": lambda config: "head" if config["normalize_qk_projections"] else None,
        "tied": use("share_input_output_layers"),
    },
    ignored=spaced(
        "num_gqa_groups qkv_multipliers activation_fn_name normalization_layer_name"
        " tie_word_embeddings"
    ),
)
