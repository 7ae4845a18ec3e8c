"""Decoders whose layers keep matrices by rules of their own: RWKV-7, xLSTM, Jet-Nemotron, PLaMo 2.

Structure: RWKV-7 as transformers' class of the RWKV team and flash-linear-attention build it. Their
defaults differ, so that a file has to state its sizes, as the published ones do. xLSTM is
transformers' class, Jet-Nemotron the code beside NVIDIA's weights, PLaMo 2 that of Preferred
Networks' (and mlx-lm's and vLLM's).
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.linear import GROUP, GatedDelta, GeneralizedDelta, MatrixMemory
from thermoflop.model.architecture.parts import Part, Vector
from thermoflop.model.architecture.recurrences import Mamba2
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import dense  # noqa: F401 - llama is defined there
from thermoflop.model.config.families.classic import LAYER_NORM
from thermoflop.model.config.families.patterns import layer_indices
from thermoflop.model.config.family import (
    anything,
    family,
    indices,
    mapping,
    maybe,
    names,
    only,
    required,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config, is_count, is_factor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from thermoflop.model.architecture.mixers import Mixer


def _times(key: str, factor: Any, size: int) -> int:
    """So many times a size, of which the classes take the whole part."""
    if not is_factor(factor):
        raise InputError(f"{key} is {quote_value(factor)} where a positive number is expected")
    return int(factor * size)


def _goose(config: Config) -> Mapping[str, tuple[Mixer, str]]:
    """Layers of time mixing; the first has values that all others take a share of."""
    hidden, dim = config["hidden_size"], config["head_dim"]
    alike = (None, hidden, [hidden] * config["num_hidden_layers"])
    if config["attn"] is not None or config["value_dim"] not in alike:
        raise UnknownModel(
            "layers of attention (attn) and a value_dim beside hidden_size are not described for "
            "rwkv7"
        )
    ranks = [config[f"{name}_low_rank_dim"] for name in ("decay", "a", "v", "gate")]
    head_width(hidden, hidden // dim or 1)
    later = GeneralizedDelta(hidden, hidden // dim, dim, tuple(ranks))
    ranks[2] = 0
    first = GeneralizedDelta(hidden, hidden // dim, dim, tuple(ranks))
    return {"full": (later, "time mixing"), "first": (first, "time mixing")}


def _goose_inner(config: Config) -> int:
    """As stated, or so many times the hidden state, in multiples of 32."""
    times = _times("hidden_ratio", config["hidden_ratio"], config["hidden_size"])
    stated: int | None = config["intermediate_size"]
    return stated or 32 * -(-times // 32)


def _idle_values(config: Config) -> tuple[Part, ...]:
    """What transformers' class keeps in the first layer as well, and never reads."""
    if config.raw.get("architectures") != ["Rwkv7ForCausalLM"]:
        return ()
    elements = config["hidden_size"] * (2 * config["v_low_rank_dim"] + 1)
    return (Vector("v_lora of the first layer", GROUP, elements),)


family(
    "rwkv7",
    keys={
        **sizes(vocab=required(), hidden=required(), layers=required(), inner=None, head_dim=64),
        **dict.fromkeys(
            spaced("decay_low_rank_dim a_low_rank_dim v_low_rank_dim gate_low_rank_dim"), required()
        ),
        "hidden_ratio": anything(4),
        "value_dim": anything(),
        "attn": anything(),
        "hidden_act": only("sqrelu"),
        "norm_first": True,
        "norm_bias": True,
        "use_deep_embed": only(False),
        "tie_word_embeddings": False,
    },
    traits={
        **LAYER_NORM,
        "norm_bias": use("norm_bias"),
        "embed_norm": use("norm_first"),
        "inner": _goose_inner,
        "activation": "relu2",
        "gated": False,
        "kinds": lambda config: ["first"] + ["full"] * (config["num_hidden_layers"] - 1),
        "mixers": _goose,
        "mlp_extras": lambda config: (Vector("x_k", "mlp", config["hidden_size"]),),
        "extras": _idle_values,
    },
    ignored=spaced(
        "num_heads attn_mode fuse_norm fuse_cross_entropy fuse_linear_cross_entropy use_l2warp"
    ),
)


def _memory(config: Config) -> Mapping[str, tuple[Mixer, str]]:
    """Heads of queries and keys, and of values, by their share of the hidden state."""
    hidden, heads = config["hidden_size"], config["num_heads"]
    dims = (
        head_width(_times(key, config[key], hidden), heads)
        for key in ("qk_dim_factor", "v_dim_factor")
    )
    return {"full": (MatrixMemory(hidden, heads, *dims), "matrix memory")}


def _memory_inner(config: Config) -> int:
    """So many times the hidden state, rounded up to whole multiples."""
    key, unit = "ffn_proj_factor", config["ffn_round_up_to_multiple_of"]
    if not is_factor(config[key]):
        return _times(key, config[key], 1)
    inner: int = int((config["hidden_size"] * config[key] + unit - 1) // unit) * unit
    return inner


family(
    "xlstm",
    keys={
        **sizes(vocab=50304, hidden=4096, layers=32),
        "num_heads": 8,
        "qk_dim_factor": anything(0.5),
        "v_dim_factor": anything(1.0),
        "ffn_proj_factor": anything(2.667),
        "ffn_round_up_to_multiple_of": 64,
        **dict.fromkeys(spaced("use_bias add_qk_norm add_post_norm"), only(False)),
        "add_out_norm": True,
        "tie_word_embeddings": False,
    },
    traits={"inner": _memory_inner, "mixers": _memory, "final_norm": use("add_out_norm")},
    aliases={"embedding_dim": "hidden_size", "num_blocks": "num_hidden_layers"},
    ignored=spaced(
        "weight_mode head_dim add_post_blocks_norm norm_reduction_force_float32 eps mode"
        " igate_bias_init_range add_forward_backend_padding forward_backend_name chunkwise_kernel"
        " sequence_kernel step_kernel mlstm_round_up_to_multiple_of return_last_states"
        " max_inference_chunksize force_bos_token_insert"
    ),
)


def _jet_parts(config: Config, kind: str) -> Mapping[str, Any]:
    """What ``efficient_attention_config`` says of a kind of layers."""
    part = (config["efficient_attention_config"] or {}).get(kind)
    if not isinstance(part, dict):
        raise InputError(f"jet_nemotron needs {kind} in efficient_attention_config")
    return part


def _jet(config: Config) -> GatedDelta:
    own = _jet_parts(config, "jet")
    usual = {"num_heads": 6, "head_dim": 256, "conv_size": 4, "dconv_generator_reduction": 8}
    heads, dim, kernel, reduction = (own.get(key, default) for key, default in usual.items())
    for key in usual:
        if not is_count(own.get(key, usual[key])):
            raise InputError(f"{key} is {quote_value(own[key])} where a whole number is expected")
    value_dim = _times("expand_v", own.get("expand_v", 2.0), dim)
    taps = heads * value_dim // reduction
    return GatedDelta(config["hidden_size"], heads, heads, dim, value_dim, kernel, taps)


def _jet_kinds(config: Config) -> Sequence[str]:
    table = {"jet": "linear", "attn": "full", "swa": "sliding"}
    types, layers = config["layer_types"] or (), config["num_hidden_layers"]
    if len(types) != layers or not {*types} <= {*table}:
        raise InputError(f"layer_types of jet_nemotron is no jet, attn or swa for {layers} layers")
    return [table[each] for each in types]


def _jet_window(config: Config) -> int | None:
    if "swa" not in (config["layer_types"] or ()):
        return None
    window = _jet_parts(config, "swa").get("window_size")
    if not is_count(window):
        raise InputError(f"window_size is {quote_value(window)} where a whole number is expected")
    return window


family(
    "jet_nemotron",
    "llama",
    keys={
        **sizes(vocab=151936, hidden=required(), inner=required(), layers=required()),
        **sizes(heads=required(), kv_heads=required()),
        "head_dim": None,
        "layer_types": names(),
        "efficient_attention_config": mapping(),
        "tie_word_embeddings": False,
    },
    traits={
        "q_bias": True,
        "o_bias": False,
        "kinds": _jet_kinds,
        "recurrent": _jet,
        "window": _jet_window,
    },
    drop=("attention_bias", "mlp_bias"),
    ignored=spaced("max_window_layers sliding_window use_sliding_window"),
)


def _plamo_kinds(config: Config) -> Sequence[str]:
    """Attention in the middle of every ``mamba_step`` layers, or in the last; it slides but where
    ``full_attention_idx`` names the layer."""
    layers, step = config["num_hidden_layers"], config["mamba_step"]
    middle, enabled = step // 2, config["mamba_enabled"]
    last = layers - 1 if layers <= middle else None
    whole = layer_indices(config, "full_attention_idx")
    kinds = []
    for index in range(layers):
        attends = index == last if last is not None else index % step == middle
        attention = "full" if index in whole else "sliding"
        kinds.append(attention if attends or not enabled else "mamba")
    return kinds


family(
    "plamo2",
    "llama",
    keys={
        **sizes(vocab=32000, inner=13312, kv_heads=4),
        "hidden_size_per_head": 128,
        "attention_window_size": maybe(2048),
        "full_attention_idx": indices(),
        "mamba_d_state": 64,
        "mamba_d_conv": 4,
        "mamba_num_heads": 64,
        "mamba_step": 2,
        "mamba_enabled": True,
        "tie_word_embeddings": True,
    },
    traits={
        "head_dim": use("hidden_size_per_head"),
        "qk_norm": "heads",
        "layer_norms": 4,
        "kinds": _plamo_kinds,
        "window": use("attention_window_size"),
        "recurrent": lambda config: Mamba2(
            config["hidden_size"],
            config["mamba_num_heads"],
            config["hidden_size_per_head"],
            1,
            config["mamba_d_state"],
            config["mamba_d_conv"],
            conv_bias=False,
            normed=False,
            dt_rank=max(64, config["hidden_size"] // 16),
        ),
    },
    drop=("attention_bias", "mlp_bias"),
    aliases={"sliding_window": "attention_window_size"},
    ignored=spaced(
        "head_dim mamba_chunk_size image_feature_size image_proj_type linear_type"
        " eval_attention_n_bit eval_mlp_n_bit"
    ),
)
