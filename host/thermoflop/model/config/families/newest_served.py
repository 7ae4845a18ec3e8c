"""Decoders of autumn 2026 whose code lies beside their weights, as vLLM, SGLang and mlx-lm have it.

None is in transformers 5.24: a file has to state its sizes, as all published ones do, but where a
class has defaults (IQuest-Q1 in SGLang, PLaMo 3 and Xing, which is DeepSeek-V3's, in mlx).
"""

from __future__ import annotations

from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.parts import Linear, Part, Vector
from thermoflop.model.config.families import latent_kin, mixtures  # noqa: F401 - parents are there
from thermoflop.model.config.families.own_parts import output_gate
from thermoflop.model.config.families.patterns import every, layer_indices
from thermoflop.model.config.families.sparse import mixed_streams
from thermoflop.model.config.family import (
    Key,
    anything,
    at_least_zero,
    family,
    indices,
    maybe,
    maybe_zero,
    names,
    required,
    sizes,
    spaced,
    use,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.config.keys import Config

_SIZES: dict[str, Key] = dict.fromkeys(
    spaced("vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads"),
    required(),
)
family("telechat3", "llama", keys=_SIZES)
# the name that the code beside Youtu-LLM's weights has
family("youtu_llm", "youtu")


# JD's JoyAI-LLM-Flash, which mlx-lm runs as DeepSeek-V3; the layer that predicts further is dense
family("joyai_llm_flash", "deepseek_v3", traits={"ahead": [[("full", False, {})]]})


# XingChen-AGI's Xing 4.0: DeepSeek-V3 on several residual streams, of which the mean is read last
family(
    "xing4_0",
    "deepseek_v3",
    keys={"hc_mult": 4, "hc_sinkhorn_iters": at_least_zero(20)},
    # the module that predicts further has one stream
    traits={"streams": mixed_streams, "ahead": [[("full", True, {"streams": None})]]},
    ignored=("mhc_h_res_clamp_min", "mhc_h_res_clamp_max"),
)


def _loops(config: Config) -> Sequence[int]:
    """All layers run so many times, each time with keys of their own; a weight of the loss for each
    time but the last says as much."""
    weights = config["loop_loss_weights"] or ()
    if not isinstance(weights, list | tuple):
        raise InputError("loop_loss_weights is no list")
    times = len(weights) + 1 if weights else config["num_loops"]
    return [times] * config["num_hidden_layers"]


family(
    "nanbeige",
    "llama",
    keys={**_SIZES, "num_loops": 1, "loop_loss_weights": anything()},
    traits={"loops": _loops},
    aliases={"kv_channels": "head_dim"},
    ignored=("skip_loop_final_norm",),
)

# Ouro (arXiv 2510.25741): all layers run so many times, with keys of their own, and what says when
# to stop; four norms a layer
family(
    "ouro",
    "llama",
    keys={**_SIZES, "head_dim": None, "total_ut_steps": 4, "layer_types": names()},
    traits={
        "layer_norms": 4,
        "loops": lambda config: [config["total_ut_steps"]] * config["num_hidden_layers"],
        "extras": lambda config: (
            Linear("early_exit_gate", "other", "other", config["hidden_size"], 1, bias=True),
        ),
        "note": "every loop is counted, as where early_exit_threshold is 1",
    },
    ignored=("early_exit_threshold", "early_exit_step", "sliding_window", "max_window_layers"),
)


def _spark_gate(config: Config, heads: int, _kv_heads: int, _dim: int) -> tuple[Part, ...]:
    """A gate for each head."""
    if not config["headwise_attn_output_gate"]:
        return ()
    where = ("g_proj", "attn", "attn_proj", config["hidden_size"], heads)
    return (Linear(*where, config["attention_bias"]),)


family(
    "spark2_5",
    "llama",
    keys={
        **_SIZES,
        "head_dim": required(),
        "sliding_window": required(),
        "layer_types": names(),
        "hidden_act": "gelu",
        "headwise_attn_output_gate": True,
        "tie_word_embeddings": True,
    },
    traits={"kinds": every(4), "attention_extras": _spark_gate},
    ignored=("gate_attn_act_mode",),
)
family(
    "plamo3",
    "llama",
    keys={
        **sizes(vocab=32000, inner=13312, kv_heads=4, head_dim=128),
        "window_size": 2048,
        "sliding_window": None,
        "sliding_window_pattern": 8,
        "layer_types": names(),
        "tie_word_embeddings": True,
    },
    traits={
        "qk_norm": "head",
        "layer_norms": 4,
        "kinds": every("sliding_window_pattern"),
        "window": lambda config: config["sliding_window"] or config["window_size"],
    },
    drop=("attention_bias", "mlp_bias"),
    ignored=spaced("image_feature_size image_proj_type linear_type interleaved_sliding_window"),
)


def _horizon_gate(config: Config, heads: int, kv_heads: int, dim: int) -> tuple[Part, ...]:
    if config["mova_num_experts"]:
        raise UnknownModel(
            "mova_num_experts above 0 is not described for k2_horizon: a mixture of values"
        )
    gated = config["attention_gate_func"] is not None
    return output_gate(config, heads, kv_heads, dim) if gated else ()


family(
    "k2_horizon",
    "qwen3_moe",
    keys={
        **_SIZES,
        "num_experts": at_least_zero(0),
        "num_experts_per_tok": at_least_zero(0),
        "moe_intermediate_size": None,
        "num_shared_experts": maybe_zero(0),
        "moe_gate_bias": False,
        "query_key_norm": False,
        "attention_gate_func": anything(),
        "mova_num_experts": maybe_zero(0),
        "mova_num_experts_per_tok": maybe_zero(0),
    },
    traits={
        "qk_norm": lambda config: "heads" if config["query_key_norm"] else None,
        "attention_extras": _horizon_gate,
        "router_bias": use("moe_gate_bias"),
    },
    ignored=spaced("layernorm_num_groups router_scaling_factor router_score_func"),
)


def _iquest_kinds(config: Config) -> Sequence[str]:
    """What stands first, a block so many times, and what stands last."""
    layers = config["num_hidden_layers"]
    if not (config["use_hybrid_layers"] and config["use_sliding_window"]):
        return ["full"] * layers
    first, block, last = (
        config[key] or usual
        for key, usual in (
            ("first_layers_types", ["full_attention"]),
            ("hybrid_layers_types_block", ["full_attention", *["sliding_attention"] * 3]),
            ("last_layers_types", ["full_attention"] * 3),
        )
    )
    named = [*first, *block * config["num_hybrid_layers_block"], *last]
    table = {"full_attention": "full", "sliding_attention": "sliding"}
    if len(named) != layers or any(kind not in table for kind in named):
        raise InputError(
            f"the three lists of kinds of iquest_q1 are not full_attention or sliding_attention "
            f"for each of {layers} layers"
        )
    return [table[kind] for kind in named]


def _iquest_sparse(config: Config) -> Sequence[bool]:
    listed = layer_indices(config, "mlp_only_layers")
    dense = (0,) if config["mlp_only_layers"] is None else listed
    return [index not in dense for index in range(config["num_hidden_layers"])]


family(
    "iquest_q1",
    "llama",
    keys={
        **sizes(
            vocab=160000, hidden=3072, inner=1536, layers=88, heads=48, kv_heads=8, head_dim=128
        ),
        "dense_intermediate_size": 12288,
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "mlp_only_layers": indices(),
        "use_hybrid_layers": True,
        "use_sliding_window": True,
        "sliding_window": maybe(4096),
        "first_layers_types": names(),
        "hybrid_layers_types_block": names(),
        "num_hybrid_layers_block": at_least_zero(21),
        "last_layers_types": names(),
        "enable_sink_attention": True,
    },
    traits={
        "qk_norm": "head",
        "inner": use("dense_intermediate_size"),
        "expert_inner": use("intermediate_size"),
        "kinds": _iquest_kinds,
        "sparse": _iquest_sparse,
        # the results of attention have a norm too, and in the first layer those of the feed-forward
        "layer_norms": 3,
        "shapes": lambda config: [{"layer_norms": 4}, *[{}] * (config["num_hidden_layers"] - 1)],
        # a learned key of each key head, whose value is zero
        "attention_extras": lambda config, _heads, kv_heads, dim: (
            (Vector("sink_k", "attn", kv_heads * dim),) if config["enable_sink_attention"] else ()
        ),
    },
    ignored=spaced(
        "attention_bias mlp_bias layer_types no_rope_layers first_layer_attn_out_scale"
        " first_layer_ffn_out_scale attn_out_scale ffn_out_scale enable_lm_head_fp32"
        " hybrid_layer_pattern is_hybrid_swa"
    ),
)
