"""Hybrids of attention with state spaces and short convolutions.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.mixers import SideBySide
from thermoflop.model.architecture.parts import Linear, Part
from thermoflop.model.architecture.recurrences import Mamba2, ShortConvolution
from thermoflop.model.config.families import mixtures  # noqa: F401 - granitemoe is defined there
from thermoflop.model.config.families.patterns import (
    at_indices,
    by_place,
    from_layer_types,
    layer_indices,
    sparse_from,
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
from thermoflop.model.config.keys import Config, Traits, is_factor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def _lfm2_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or the layers in ``full_attn_idxs`` attend, all where it is absent."""
    layers = config["num_hidden_layers"]
    if config["layer_types"] is None and config["full_attn_idxs"] is None:
        return ["full"] * layers
    attends = set(layer_indices(config, "full_attn_idxs"))
    return from_layer_types(config, layers) or [
        "full" if index in attends else "conv" for index in range(layers)
    ]


def _short_convolution(config: Config) -> dict[str, Any]:
    mixer = ShortConvolution(config["hidden_size"], config["conv_L_cache"], config["conv_bias"])
    return {"conv": (mixer, "short convolution")}


def _lfm2_inner(config: Config) -> int:
    """Two thirds of the stated width, times a factor, in whole multiples."""
    inner: int = config["intermediate_size"]
    if not config["block_auto_adjust_ff_dim"]:
        return inner
    inner, factor = int(2 * inner / 3), config["block_ffn_dim_multiplier"]
    if factor is None:
        return inner
    if not is_factor(factor):
        raise InputError(
            f"block_ffn_dim_multiplier is {quote_value(factor)} where a positive number is expected"
        )
    multiple: int = config["block_multiple_of"]
    return -(-int(factor * inner) // multiple) * multiple


LFM2_KEYS: dict[str, Any] = {
    **sizes(vocab=65536, kv_heads=maybe(8)),
    "conv_bias": False,
    "conv_L_cache": 3,
    "layer_types": names(),
    "tie_word_embeddings": True,
}
LFM2_TRAITS = {
    "qk_norm": "head",
    "activation": "silu",
    "mixers": _short_convolution,
}
LFM2_PLAIN = ("attention_bias", "mlp_bias")
family(
    "lfm2",
    "llama",
    keys={
        **LFM2_KEYS,
        **sizes(hidden=2560, inner=12288),
        "full_attn_idxs": indices(),
        "block_multiple_of": 256,
        "block_ffn_dim_multiplier": anything(1.0),
        "block_auto_adjust_ff_dim": True,
    },
    traits={**LFM2_TRAITS, "kinds": _lfm2_kinds, "inner": _lfm2_inner},
    drop=("hidden_act",),
    overriding={"block_ff_dim": "intermediate_size", "tie_embedding": "tie_word_embeddings"},
    ignored=(
        *("block_dim", "block_mlp_init_scale", "block_out_init_scale", "block_use_swiglu"),
        *("block_use_xavier_init", "conv_dim", "conv_dim_out", "conv_use_xavier_init"),
        *("num_heads", "use_pos_enc", *LFM2_PLAIN),
    ),
)


def _stated_kinds(config: Config) -> Sequence[str]:
    kinds = from_layer_types(config, config["num_hidden_layers"])
    if kinds is None:
        raise InputError(f"layer_types is missing, and {config.family.name} has no default for it")
    return kinds


family(
    "lfm2_moe",
    "llama",
    keys={
        **LFM2_KEYS,
        **sizes(hidden=2048, inner=7168),
        "num_dense_layers": at_least_zero(2),
        "num_experts": 32,
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 1792,
    },
    traits={
        **LFM2_TRAITS,
        "kinds": _stated_kinds,
        "sparse": sparse_from("num_dense_layers"),
    },
    drop=("hidden_act",),
    overriding={"tie_embedding": "tie_word_embeddings"},
    ignored=(*LFM2_PLAIN, "use_expert_bias"),  # the expert bias is a buffer
)


def _lfm3_gate(config: Config, heads: int, _kv_heads: int, _dim: int) -> tuple[Part, ...]:
    if not config["use_attention_gate"]:
        return ()
    return (Linear("g_proj", "attn", "attn_proj", config["hidden_size"], heads),)


def _attends_or_convolves(_config: Config, at: int) -> str:
    """Every fourth layer attends, every fourth but the first slides, and the others convolve."""
    if at % 4 == 2:
        return "full"
    return "sliding" if at and at % 4 == 0 else "conv"


family(
    "lfm3",
    "llama",
    keys={
        **LFM2_KEYS,
        **sizes(vocab=128000, hidden=2048, inner=7680, layers=24, heads=16, kv_heads=maybe(4)),
        "head_dim": 128,
        "conv_L_cache": 7,
        "sliding_window": maybe(256),
        "use_sandwich_norm": True,
        "use_attention_gate": True,
    },
    traits={
        **LFM2_TRAITS,
        "kinds": by_place(_attends_or_convolves),
        "attention_extras": _lfm3_gate,
        "layer_norms": lambda config: 4 if config["use_sandwich_norm"] else 2,
    },
    drop=("hidden_act",),
    ignored=("mlp_bias",),
)


def _mamba2(config: Config, inner: int | None = None, **changes: Any) -> Mamba2:
    """Heads of the state space, whose channels are ``expand`` times the hidden state, or stated."""
    hidden, heads, dim = (config[key] for key in ("hidden_size", "mamba_n_heads", "mamba_d_head"))
    channels = config["mamba_expand"] * hidden if inner is None else inner
    dim = channels // heads if dim == "auto" else dim
    if type(dim) is not int or heads * dim != channels:
        raise InputError(
            f"mamba_n_heads = {heads} of mamba_d_head = {quote_value(dim)} are not the {channels} "
            "channels of the state space"
        )
    groups, state = config["mamba_n_groups"], config["mamba_d_state"]
    bias, conv_bias = config["mamba_proj_bias"], config["mamba_conv_bias"]
    sizes = (hidden, heads, dim, groups, state, config["mamba_d_conv"])
    return Mamba2(*sizes, bias, conv_bias, **changes)


MAMBA2_KEYS: dict[str, Any] = {
    "mamba_n_heads": 128,
    "mamba_d_head": anything("auto"),
    "mamba_n_groups": 1,
    "mamba_d_state": 256,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
}
BAMBA_KEYS: dict[str, Any] = {
    **MAMBA2_KEYS,
    **sizes(vocab=128000, inner=14336, kv_heads=maybe(8)),
}


family(
    "bamba",
    "llama",
    keys={**BAMBA_KEYS, "attn_layer_indices": indices()},
    traits={"kinds": at_indices("attn_layer_indices", "full", "mamba"), "recurrent": _mamba2},
    ignored=("attn_rotary_emb", "mamba_chunk_size", "layer_types", "layers_block_type"),
)


def _falcon_h1_mixer(config: Config) -> dict[str, Any]:
    """Attention and a state space beside each other in every layer."""
    from thermoflop.model.config.decoder import DEFAULTS, attention_of

    state = _mamba2(
        config,
        config["mamba_d_ssm"],
        out_bias=config["projectors_bias"],
        normed=config["mamba_rms_norm"],
    )
    mixers = (state, attention_of(Traits(config, DEFAULTS)))
    return {"hybrid": (SideBySide(config["hidden_size"], mixers), "state space beside attention")}


family(
    "falcon_h1",
    "llama",
    keys={
        **BAMBA_KEYS,
        "mamba_d_ssm": maybe(1024),
        "mamba_rms_norm": False,
        "projectors_bias": False,
    },
    traits={
        "kinds": lambda config: ["hybrid"] * config["num_hidden_layers"],
        "mixers": _falcon_h1_mixer,
    },
    ignored=spaced(
        "mamba_chunk_size mamba_norm_before_gate mamba_use_mlp mlp_expansion_factor layer_types"
        " layers_block_type mlp_multipliers ssm_multipliers attention_in_multiplier"
        " attention_out_multiplier key_multiplier lm_head_multiplier ssm_in_multiplier"
        " ssm_out_multiplier"
    ),
)


def _granite_kinds(config: Config) -> Sequence[str]:
    kinds = from_layer_types(config, config["num_hidden_layers"])
    if kinds is None:
        return ["mamba"] * config["num_hidden_layers"]
    return ["mamba" if kind in ("linear", "mamba") else "full" for kind in kinds]


family(
    "granitemoehybrid",
    "granitemoe",
    keys={
        **MAMBA2_KEYS,
        "num_local_experts": at_least_zero(8),
        "num_experts_per_tok": at_least_zero(2),
        "shared_intermediate_size": 1024,
        "layer_types": names(),
        "position_embedding_type": anything(),
    },
    traits={
        "kinds": _granite_kinds,
        "recurrent": _mamba2,
        "rotary": lambda config: config["position_embedding_type"] == "rope",
        "shared_inner": use("shared_intermediate_size"),
        # the shared expert is all that there is of a feed-forward where there are no experts
        "mlp_group": "shared_experts",
        "inner": use("shared_intermediate_size"),
        "expert_inner": use("intermediate_size"),
    },
    aliases={"layers_block_type": "layer_types"},
    ignored=("mamba_chunk_size", "normalization_function"),
)


family(
    "zamba",
    reader="zamba.zamba",
    keys={
        **sizes(vocab=32000, hidden=3712, inner=14848, layers=76, heads=16, kv_heads=16),
        "attention_hidden_size": None,
        "attention_head_dim": None,
        "n_mamba_heads": 2,
        "hidden_act": "gelu",
        "attn_layer_period": 6,
        "attn_layer_offset": at_least_zero(4),
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "mamba_expand": 2,
        "mamba_dt_rank": anything("auto"),
        "mamba_conv_bias": True,
        "mamba_proj_bias": False,
        "layers_block_type": names(),
        "tie_word_embeddings": True,
    },
    traits={"head_dim": None, "inner": None, "kv_heads": None},
    aliases={"layer_types": "layers_block_type", "head_dim": "attention_head_dim"},
    ignored=("hidden_mamba_act",),
)
family(
    "zamba2",
    reader="zamba.zamba2",
    keys={
        **sizes(vocab=32000, hidden=2560, inner=None, layers=54, heads=32, kv_heads=None),
        "layers_block_type": names(),
        "mamba_d_state": 64,
        "mamba_d_conv": 4,
        "mamba_expand": 2,
        "mamba_ngroups": 1,
        "mamba_headdim": None,
        "n_mamba_heads": 8,
        "add_bias_linear": False,
        "hidden_act": "gelu",
        "num_mem_blocks": 1,
        "use_shared_attention_adapter": False,
        "adapter_rank": 128,
        "use_mem_rope": False,
        "tie_word_embeddings": True,
    },
    traits={"head_dim": None, "inner": None, "kv_heads": None, "merged": ("gate_up_proj",)},
    aliases={"layer_types": "layers_block_type"},
    ignored=spaced(
        "use_conv_bias use_long_context attention_hidden_size attention_head_dim head_dim"
        " kv_channels num_query_groups lora_rank hybrid_layer_ids use_shared_mlp_adapter"
        " state_size ffn_hidden_size gated_linear_unit mamba_dt_rank"
    ),
)
