"""Texts of wrappers of 2025 and 2026. Defaults: the classes of transformers 5."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.parts import Linear, Norm, Vector
from thermoflop.model.config.families import (  # noqa: F401 - parents are there
    expert_kin,
    mixtures,
    qwen_towers,
)
from thermoflop.model.config.families.own_parts import output_gate
from thermoflop.model.config.families.patterns import by_place, sparse_from
from thermoflop.model.config.family import Key, at_least_zero, family, maybe, names, sizes, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config
family(
    "cosmos3_edge_text",
    "llama",
    keys={
        **sizes(vocab=131072, hidden=2048, inner=9216, layers=28, heads=16, kv_heads=maybe(8)),
        "head_dim": maybe(128),
        "hidden_act": "relu2",
    },
    traits={"gated": False},
)


def _ernie_widths(config: Config) -> tuple[int, int]:
    """Inner widths of the experts for words and of those for images."""
    widths = config["moe_intermediate_size"] or (1536, 512)
    if len(widths) != 2 or min(widths) < 1:
        raise InputError(
            f"moe_intermediate_size is {quote_value(widths)} where two widths are expected"
        )
    return widths[0], widths[1]


_UPS = ("gate", "up")
_ernie_sparse, _muse_sparse = sparse_from(1), sparse_from(0)


def _ernie_shapes(config: Config) -> list[dict[str, Any]]:
    """Experts for images stand beside those for words, and work on tokens of images alone."""
    hidden, count = config["hidden_size"], config["moe_num_experts"]
    group, inner = "experts", _ernie_widths(config)[1]
    ups = (Linear(f"image {name}", group, group, hidden, inner, False, count) for name in _UPS)
    beside = (
        Linear("image router", "router", "router", hidden, count, unquantized=True),
        Vector("image router bias", "router", count, bias=True),
        *ups,
        Linear("image down", group, group, inner, hidden, False, count),
    )  # fmt: skip
    return [{"kept": beside} if sparse else {} for sparse in _ernie_sparse(config)]


family(
    "ernie4_5_vl_moe_text",
    "ernie4_5_moe",
    keys={
        "moe_intermediate_size": Key("indices", (1536, 512), nullable=True),
        "mlp_layer_types": names(),
    },
    traits={
        "head_bias": False,
        "sparse": _ernie_sparse,
        "shapes": _ernie_shapes,
        "expert_inner": lambda config: _ernie_widths(config)[0],
        "shared_inner": lambda config: config["moe_num_shared_experts"] * _ernie_widths(config)[0],
    },
    drop=("moe_layer_start_index", "moe_layer_end_index", "moe_layer_interval"),
)
family(
    "molmo2_text",
    "llama",
    keys={
        **sizes(vocab=151936, inner=12288, layers=36, kv_heads=8, head_dim=128),
        "additional_vocab_size": at_least_zero(128),
        "qk_norm_type": "qwen3",
    },
    traits={
        "o_bias": False,
        "embed_rows": lambda config: config["vocab_size"] + config["additional_vocab_size"],
        "qk_norm": lambda config: "full" if config["qk_norm_type"] == "olmo" else "head",
    },
    drop=("mlp_bias",),
    aliases={"qkv_bias": "attention_bias"},
    ignored=("norm_after",),
)


family(
    "muse_glimmer_text",
    "llama",
    keys={
        **sizes(
            vocab=202048, hidden=6656, inner=19968, layers=52, heads=32, kv_heads=2, head_dim=128
        ),
        "sliding_window": maybe(2048),
        "layer_types": names(),
        "hidden_activation": "silu",
    },
    traits={
        "layer_norms": 4,
        "qk_norm": "l2",
        "attention_extras": output_gate,
        # the last layer and every fourth before it see all
        "kinds": by_place(
            lambda config, at: "sliding" if (config["num_hidden_layers"] - 1 - at) % 4 else "full"
        ),
    },
    drop=("mlp_bias", "hidden_act"),
    ignored=("qk_scale_factor", "output_multiplier"),
)


family(
    "qwen3_omni_moe_text",
    "qwen3_moe",
    keys=sizes(vocab=3584, inner=18944, layers=28, heads=28),
    traits={
        "head_dim": mixtures.cut_head_dim,
    },
    ignored=("use_sliding_window", "sliding_window"),
)
family(
    "muse_spark_text",
    "muse_glimmer_text",
    keys={
        **sizes(hidden=8192, inner=16384, layers=62, heads=128, kv_heads=16, head_dim=64),
        "hidden_act": "silu",
        "moe_intermediate_size": 4096,
        "num_local_experts": 256,
        "num_experts_per_tok": 8,
        "moe_hidden_size": 4096,
        "mlp_layer_types": names(),
    },
    traits={
        "norm_names": ("attention_norm", "mlp_norm", "post_mlp_norm"),
        "expert_latent": use("moe_hidden_size"),
        "kept": lambda config: (Vector("residual gates", "other", 2 * config["hidden_size"]),),
        "shapes": lambda config: _muse_shapes(config),
        "sparse": _muse_sparse,
    },
    drop=("hidden_activation",),
    ignored=("residual_gate_temperature",),
)


def _muse_shapes(config: Config) -> list[dict[str, Any]]:
    """Norms before and after the experts, in the latent, beside the gates of the residuals."""
    width = config["moe_hidden_size"]
    gates = Vector("residual gates", "other", 2 * config["hidden_size"])
    norms = (Norm("pre_expert_norm", width), Norm("post_expert_norm", width))
    return [{"kept": (gates, *norms)} if sparse else {} for sparse in _muse_sparse(config)]
