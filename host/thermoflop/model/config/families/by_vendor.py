"""More decoders of Llama's kind, each a few keys away from a family that is written down already.

Defaults and structure are those of the classes of transformers 5.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.config.families import mixtures  # noqa: F401 - parents are there
from thermoflop.model.config.families.classic import ALL_BIASES, LAYER_NORM
from thermoflop.model.config.families.patterns import from_layer_types, sparse_after_first, stated
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    maybe,
    maybe_zero,
    names,
    sizes,
    spaced,
    use,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.config.keys import Config

family("ministral", "mistral", keys={"layer_types": names()})
family(
    "glm",
    "llama",
    keys={
        **sizes(vocab=151552, inner=13696, layers=40, kv_heads=maybe(2), head_dim=maybe(128)),
        "attention_bias": True,
    },
    traits={"o_bias": False, "merged": ("gate_up_proj",)},
    drop=("mlp_bias",),
)
family("glm4", "glm", traits={"layer_norms": 4})


def _helium_head(config: Config) -> int:
    """The class maps a state as wide as the hidden one back."""
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    if heads * config["head_dim"] != hidden:
        raise InputError(
            f"{heads} heads of {config['head_dim']} are not helium's {hidden} channels"
        )
    dim: int = config["head_dim"]
    return dim


family(
    "helium",
    "llama",
    keys=sizes(
        vocab=48000, hidden=2560, inner=7040, layers=24, heads=20, kv_heads=20, head_dim=128
    ),
    traits={"o_bias": False, "head_dim": _helium_head},
)
family(
    "ernie4_5",
    "llama",
    keys={
        **sizes(vocab=103424, hidden=1024, inner=3072, layers=18, heads=16, kv_heads=maybe(2)),
        "head_dim": maybe(128),
        "use_bias": False,
        "tie_word_embeddings": True,
    },
    traits={"q_bias": use("use_bias"), "o_bias": use("use_bias"), "up_bias": use("use_bias")},
    drop=("attention_bias", "mlp_bias"),
)
family(
    "seed_oss",
    "llama",
    keys={
        **sizes(
            vocab=155136, inner=27648, layers=64, heads=80, kv_heads=maybe(8), head_dim=maybe(128)
        ),
        "attention_bias": True,
        "attention_out_bias": False,
    },
    traits={"o_bias": use("attention_out_bias")},
)
family(
    "arcee",
    "llama",
    keys={**sizes(hidden=2560, inner=18432), "hidden_act": "relu2"},
    traits={"gated": False},
)
family(
    "persimmon",
    "llama",
    keys={
        **sizes(vocab=262144, inner=16384, layers=36, heads=64),
        "hidden_act": "relu2",
        "qk_layernorm": True,
    },
    traits={
        **LAYER_NORM,
        **ALL_BIASES,
        "gated": False,
        "qk_norm": lambda config: "head" if config["qk_layernorm"] else None,
        "qk_norm_bias": True,
    },
    drop=("attention_bias", "mlp_bias", "num_key_value_heads", "head_dim"),
)


def exaone4_kinds(config: Config) -> Sequence[str]:
    """Every ``sliding_window_pattern``-th layer attends to everything, without a window all do."""
    layers, period = config["num_hidden_layers"], config["sliding_window_pattern"]
    kinds = from_layer_types(config, layers)
    if kinds is not None:
        return kinds
    if config["sliding_window"] is None:
        return ["full"] * layers
    period = 4 if period is None else period
    if type(period) is not int or period < 1:
        raise InputError("sliding_window_pattern is no number, and layer_types is missing")
    return ["sliding" if (index + 1) % period else "full" for index in range(layers)]


family(
    "exaone4",
    "llama",
    keys={
        **sizes(vocab=102400, inner=16384, kv_heads=32),
        "sliding_window": maybe(4096),
        "sliding_window_pattern": anything(),
        "layer_types": names(),
    },
    traits={"qk_norm": "head", "kinds": exaone4_kinds},
    drop=("attention_bias", "mlp_bias"),
    ignored=("reorder_and_qk_norm",),  # as published; the class always does
)
family(
    "granitemoeshared",
    "granitemoe",
    keys={"shared_intermediate_size": at_least_zero(0)},
    traits={"shared_inner": use("shared_intermediate_size")},
)


family(
    "dots1",
    "qwen3",
    keys={
        **sizes(
            vocab=152064, hidden=4608, inner=10944, layers=62, kv_heads=maybe(32), head_dim=None
        ),
        "max_window_layers": at_least_zero(62),
        "n_routed_experts": None,
        "n_shared_experts": maybe_zero(None),
        "num_experts_per_tok": None,
        "moe_intermediate_size": 1408,
        "first_k_dense_replace": at_least_zero(0),
    },
    traits={
        "sparse": sparse_after_first,
        "experts": stated("n_routed_experts"),
        "top_k": stated("num_experts_per_tok"),
    },
    drop=("use_sliding_window",),
    aliases={"num_local_experts": "n_routed_experts"},
)
family(
    "minimax_m2",
    "mixtral",
    keys={
        **sizes(vocab=200064, hidden=3072, inner=1536, layers=62, heads=48, head_dim=128),
        "num_local_experts": 256,
        "num_experts_per_tok": 8,
    },
    traits={"qk_norm": "full"},
    drop=("sliding_window",),
    ignored=spaced(
        "attn_type_list layernorm_full_attention_beta layernorm_linear_attention_beta"
        " layernorm_mlp_beta mtp_transformer_layers num_mtp_modules qk_norm_type"
        " shared_intermediate_size shared_moe_mode use_mtp use_qk_norm use_routing_bias"
    ),
)
family(
    "biogpt",
    "opt",
    keys={
        **sizes(vocab=42384, hidden=1024, inner=4096, layers=24, heads=16),
        "max_position_embeddings": 1024,
        "hidden_act": "gelu",
    },
    traits={"norm_bias": True, **ALL_BIASES, "final_norm": True},
    drop=spaced(
        "ffn_dim word_embed_proj_dim do_layer_norm_before _remove_final_layer_norm enable_bias"
        " layer_norm_elementwise_affine activation_function"
    ),
)
