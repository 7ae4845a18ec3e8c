"""Mixtures of experts whose layers attend to a window and to everything in turn.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.model.config.families import llama_kin  # noqa: F401 - parents are there
from thermoflop.model.config.families.patterns import (
    by_place,
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
    sizes,
    spaced,
    use,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.config.keys import Config

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
        "kinds": every(4, first=0),
    },
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
    traits={"sparse": sparse_by_mlp_types},
    ignored=("first_last_k_dense_replace", "is_moe_layer", "moe_router_load_balancing_type"),
)


def _flint_kind(config: Config, at: int) -> str:
    """The first two layers, the last one and every fourth attend to everything."""
    whole = at < 2 or at % 4 == 1 or at == config["num_hidden_layers"] - 1
    return "full" if whole else "sliding"


def _flint_sparse(config: Config) -> Sequence[bool]:
    """Every ``decoder_sparse_step``-th layer but those in ``mlp_only_layers``, the first two."""
    dense = (
        (0, 1) if config["mlp_only_layers"] is None else layer_indices(config, "mlp_only_layers")
    )
    step, layers = config["decoder_sparse_step"], config["num_hidden_layers"]
    return [index not in dense and (index + 1) % step == 0 for index in range(layers)]


family(
    "flint",
    "llama",
    keys={
        **sizes(vocab=150144, hidden=2048, inner=6144, layers=49, kv_heads=4, head_dim=128),
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
        "qk_norm": "head",
        "sinks": True,
        "kinds": by_place(_flint_kind),
        "sparse": _flint_sparse,
    },
    drop=("mlp_bias",),
)
family(
    "kolibri1",
    "llama",
    keys={
        **sizes(vocab=128000, hidden=2560, layers=50, heads=48, kv_heads=4, head_dim=128),
        "sliding_window": maybe(513),
        "layer_types": names(),
        "num_experts": 384,
        "num_experts_per_tok": 6,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
    },
    traits={"qk_norm": "head", "layer_norms": 4, "kinds": every(5)},
    ignored=("intermediate_size", "attention_bias", "mlp_bias"),
    aliases={"num_local_experts": "num_experts"},
)
family(
    "mellum",
    "llama",
    keys={
        **sizes(vocab=98304, hidden=2304, inner=7168, layers=28, kv_heads=4, head_dim=128),
        "sliding_window": maybe(1024),
        "layer_types": names(),
        "mlp_layer_types": names(),
        "num_experts": 64,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 896,
    },
    traits={
        "qk_norm": "head",
        "kinds": every(1),
        "sparse": lambda config: sparse_by_mlp_types(config) if config["mlp_layer_types"] else None,
    },
    drop=("mlp_bias",),
    ignored=spaced(
        "decoder_sparse_step max_window_layers mlp_only_layers mtp_layer_types"
        " mtp_mlp_layer_types use_sliding_window"
    ),
    aliases={"num_local_experts": "num_experts"},
)


def _cohere_kinds(config: Config) -> Sequence[str]:
    """Two patterns: one of the dense first layers, one of the rest."""
    first, layers = config["first_k_dense_replace"], config["num_hidden_layers"]
    early, late = config["prefix_dense_sliding_window_pattern"], config["sliding_window_pattern"]
    steps = [(index + 1) % early for index in range(min(first, layers))]
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
        "expert_inner": use("intermediate_size"),
        "inner": lambda config: (
            config["prefix_dense_intermediate_size"] or config["intermediate_size"]
        ),
        "norm": lambda config: "layer" if config.raw.get("rms_norm_eps") is None else "rms",
        "kinds": _cohere_kinds,
        "sparse": sparse_by_mlp_types,
    },
    ignored=("expert_selection_fn", "shared_expert_combination_strategy"),
)
