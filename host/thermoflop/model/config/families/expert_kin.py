"""Mixtures of experts of 2024 to 2026, most with shared experts, each a few keys from another.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.config.families import mixtures  # noqa: F401 - parents are there
from thermoflop.model.config.families.by_vendor import exaone4_kinds
from thermoflop.model.config.families.llama_kin import starting
from thermoflop.model.config.families.patterns import (
    every,
    from_layer_types,
    layer_indices,
    sparse_by_mlp_types,
)
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    indices,
    maybe,
    names,
    use,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from thermoflop.model.config.keys import Config

WINDOW = {"window": use("sliding_window")}


def experts(count: str, top_k: str, inner: str, shared: Any = 0) -> dict[str, Any]:
    """The traits of a mixture whose sizes are in these keys."""
    return {
        "experts": use(count),
        "top_k": use(top_k),
        "expert_inner": use(inner),
        "shared_inner": shared,
    }


def times(count: str, inner: str) -> Callable[[Config], int]:
    """So many shared experts side by side are one, so many times as wide."""
    return lambda config: (config[count] or 0) * config[inner]


family(
    "flex_olmo",
    "olmoe",
    keys={
        "vocab_size": 100352,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_experts": 7,
        "num_experts_per_tok": 5,
    },
)
family(
    "granitemoe_swa",
    "granitemoe",
    keys={
        "shared_intermediate_size": at_least_zero(0),
        "sliding_window": maybe(128),
        "layer_types": names(),
    },
    traits={
        "shared_inner": use("shared_intermediate_size"),
        "sinks": True,
        "kinds": starting(4),
        **WINDOW,
    },
    ignored=("layer_rope_theta",),
)
family(
    "aria_text",
    "llama",
    keys={
        "intermediate_size": 4096,
        "moe_num_experts": 8,
        "moe_topk": 2,
        "moe_num_shared_experts": at_least_zero(2),
    },
    traits={
        **experts(
            "moe_num_experts",
            "moe_topk",
            "intermediate_size",
            times("moe_num_shared_experts", "intermediate_size"),
        ),
        "shared_bias": use("mlp_bias"),
    },
)


def _ernie_sparse(config: Config) -> Sequence[bool]:
    """Every ``moe_layer_interval``-th layer from the start to the end index."""
    layers, step = config["num_hidden_layers"], config["moe_layer_interval"]
    first, last = config["moe_layer_start_index"], config["moe_layer_end_index"]
    if type(last) is not int or last < -1:
        raise InputError(f"moe_layer_end_index is {quote_value(last)}, which is no layer's number")
    last = layers - 1 if last == -1 else last
    return [first <= index <= last and (index + 1) % step == 0 for index in range(layers)]


family(
    "ernie4_5_moe",
    "llama",
    keys={
        "vocab_size": 103424,
        "hidden_size": 2560,
        "intermediate_size": 12288,
        "num_hidden_layers": 28,
        "num_attention_heads": 20,
        "num_key_value_heads": maybe(4),
        "tie_word_embeddings": True,
        "use_bias": False,
        "moe_num_experts": 64,
        "moe_k": 6,
        "moe_intermediate_size": 1536,
        "moe_num_shared_experts": at_least_zero(2),
        "moe_layer_start_index": at_least_zero(1),
        "moe_layer_end_index": anything(-1),
        "moe_layer_interval": 1,
    },
    traits={
        "q_bias": use("use_bias"),
        "o_bias": use("use_bias"),
        "up_bias": use("use_bias"),
        "shared_bias": use("use_bias"),
        "head_bias": use("use_bias"),
        # the class keeps the router's correction bias as a parameter
        "router_bias": True,
        "sparse": _ernie_sparse,
        **experts(
            "moe_num_experts",
            "moe_k",
            "moe_intermediate_size",
            times("moe_num_shared_experts", "moe_intermediate_size"),
        ),
    },
    drop=("attention_bias", "mlp_bias"),
    aliases={"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"},
    ignored=("moe_capacity", "moe_gate", "moe_norm_min", "moe_use_aux_free"),
)
family(
    "exaone_moe",
    "exaone4",
    keys={
        "sliding_window_pattern": anything(4),
        "mlp_layer_types": names(),
        "first_k_dense_replace": at_least_zero(1),
        "num_experts": 64,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 1024,
        "num_shared_experts": 1,
    },
    traits={
        "kinds": exaone4_kinds,
        "sparse": sparse_by_mlp_types,
        **experts(
            "num_experts",
            "num_experts_per_tok",
            "moe_intermediate_size",
            times("num_shared_experts", "moe_intermediate_size"),
        ),
    },
)
family(
    "hy_v3",
    "llama",
    keys={
        "vocab_size": 120832,
        "intermediate_size": 13312,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "mlp_layer_types": names(),
        "num_experts": 192,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 1536,
        "num_shared_experts": 1,
    },
    traits={
        "qk_norm": "head",
        "shared_bias": use("mlp_bias"),
        "sparse": sparse_by_mlp_types,
        **experts(
            "num_experts",
            "num_experts_per_tok",
            "moe_intermediate_size",
            times("num_shared_experts", "moe_intermediate_size"),
        ),
    },
    aliases={"num_local_experts": "num_experts"},
    ignored=("enable_moe_fp32_combine",),
)


def _flint_kinds(config: Config) -> Sequence[str]:
    """The first two layers, the last one and every fourth attend to everything."""
    layers = config["num_hidden_layers"]
    return from_layer_types(config, layers) or [
        "full" if index < 2 or index % 4 == 1 or index == layers - 1 else "sliding"
        for index in range(layers)
    ]


def _flint_sparse(config: Config) -> Sequence[bool]:
    """Every ``decoder_sparse_step``-th layer but those in ``mlp_only_layers``, the first two."""
    dense = (
        (0, 1) if config["mlp_only_layers"] is None else layer_indices(config, "mlp_only_layers")
    )
    step, layers = config["decoder_sparse_step"], config["num_hidden_layers"]
    return [index not in dense and (index + 1) % step == 0 for index in range(layers)]


SHARED_EXPERT = experts(
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    use("shared_expert_intermediate_size"),
)
family(
    "flint",
    "llama",
    keys={
        "vocab_size": 150144,
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 49,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "sliding_window": 513,
        "layer_types": names(),
        "decoder_sparse_step": 1,
        "mlp_only_layers": indices(),
        "num_experts": 256,
        "num_experts_per_tok": 6,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 1024,
    },
    traits={
        **SHARED_EXPERT,
        **WINDOW,
        "qk_norm": "head",
        "sinks": True,
        "up_bias": False,
        "kinds": _flint_kinds,
        "sparse": _flint_sparse,
    },
    drop=("mlp_bias",),
)
family(
    "kolibri1",
    "llama",
    keys={
        "vocab_size": 128000,
        "hidden_size": 2560,
        "num_hidden_layers": 50,
        "num_attention_heads": 48,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "sliding_window": maybe(513),
        "layer_types": names(),
        "num_experts": 384,
        "num_experts_per_tok": 6,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
    },
    traits={
        **SHARED_EXPERT,
        **WINDOW,
        "qk_norm": "head",
        "layer_norms": 4,
        "q_bias": False,
        "o_bias": False,
        "up_bias": False,
        "inner": None,
        "kinds": every(5),
    },
    drop=("attention_bias", "mlp_bias", "intermediate_size"),
    ignored=("intermediate_size", "attention_bias", "mlp_bias"),
    aliases={"num_local_experts": "num_experts"},
)
family(
    "mellum",
    "llama",
    keys={
        "vocab_size": 98304,
        "hidden_size": 2304,
        "intermediate_size": 7168,
        "num_hidden_layers": 28,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "sliding_window": maybe(1024),
        "layer_types": names(),
        "mlp_layer_types": names(),
        "num_experts": 64,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 896,
    },
    traits={
        **experts("num_experts", "num_experts_per_tok", "moe_intermediate_size"),
        **WINDOW,
        "qk_norm": "head",
        "up_bias": False,
        "kinds": every(1),
        "sparse": lambda config: config["mlp_layer_types"] and sparse_by_mlp_types(config),
    },
    drop=("mlp_bias",),
    ignored=("mtp_layer_types", "mtp_mlp_layer_types"),
    aliases={"num_local_experts": "num_experts"},
)
family(
    "solar_open",
    "glm4_moe",
    keys={
        "vocab_size": 196608,
        "num_hidden_layers": 48,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "moe_intermediate_size": 1280,
    },
    traits={"qk_norm": None, "sparse": None},
    drop=("use_qk_norm", "first_k_dense_replace", "intermediate_size"),
    ignored=("use_qk_norm", "first_k_dense_replace", "intermediate_size"),
)
family(
    "sarvam_moe",
    "glm4_moe",
    keys={
        "vocab_size": 262144,
        "intermediate_size": 8192,
        "num_hidden_layers": 19,
        "num_attention_heads": 64,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "use_qk_norm": True,
        "num_experts_per_tok": 6,
        "moe_intermediate_size": 1024,
    },
    aliases={"num_shared_experts": "n_shared_experts", "use_qkv_bias": "attention_bias"},
)


def _per_layer(config: Config, key: str, default: int) -> int:
    """One number for all layers; a list of equal ones is the same."""
    given = config[key]
    values = [default] if given is None else given if isinstance(given, list) else [given]
    if not values or any(type(value) is not int or not 0 < value < 10**6 for value in values):
        raise InputError(f"{key} is {quote_value(given)} where a whole number from 1 is expected")
    if len({*values}) > 1:
        raise InputError(f"{key} differs between layers, and its experts are of one number here")
    count: int = values[0]
    return count


family(
    "hunyuan_v1_moe",
    "hunyuan_v1_dense",
    keys={
        "num_experts": 1,
        "moe_topk": anything(),
    },
    traits={
        "experts": use("num_experts"),
        "top_k": lambda config: _per_layer(config, "moe_topk", 1),
        "shared_inner": use("intermediate_size"),
    },
    aliases={"num_local_experts": "num_experts", "num_experts_per_tok": "moe_topk"},
    # the class makes experts and the shared one as wide as intermediate_size
    ignored=("moe_intermediate_size", "num_shared_expert", "use_mixed_mlp_moe", "norm_type"),
)


def _cohere_kinds(config: Config) -> Sequence[str]:
    """Two patterns: one of the dense first layers, one of the rest."""
    first, layers = config["first_k_dense_replace"], config["num_hidden_layers"]
    early, late = config["prefix_dense_sliding_window_pattern"], config["sliding_window_pattern"]
    steps = [(index + 1) % early for index in range(first)]
    steps += [(index + 1) % late for index in range(layers - first)]
    return from_layer_types(config, layers) or ["sliding" if step else "full" for step in steps]


family(
    "cohere2_moe",
    "cohere2",
    keys={
        "head_dim": 128,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "num_shared_experts": at_least_zero(0),
        "first_k_dense_replace": at_least_zero(0),
        "mlp_layer_types": names(),
        "prefix_dense_sliding_window_pattern": 1,
        "prefix_dense_intermediate_size": None,
    },
    traits={
        **experts(
            "num_experts",
            "num_experts_per_tok",
            "intermediate_size",
            times("num_shared_experts", "intermediate_size"),
        ),
        "inner": lambda config: (
            config["prefix_dense_intermediate_size"] or config["intermediate_size"]
        ),
        "norm": lambda config: "layer" if config.raw.get("rms_norm_eps") is None else "rms",
        "kinds": _cohere_kinds,
        "sparse": sparse_by_mlp_types,
    },
    ignored=("expert_selection_fn", "shared_expert_combination_strategy"),
)
