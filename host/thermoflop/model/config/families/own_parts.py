"""Decoders whose attention or feed-forward has parts that no other family has.

Gates, norms inside a block, learned activations, layers that run several times. Defaults and
structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Linear, Norm, Part, Vector
from thermoflop.model.config.architectures import class_name
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import llama_kin  # noqa: F401 - parents are there
from thermoflop.model.config.families.patterns import (
    all_sliding,
    every,
    sparse_by_mlp_types,
    sparse_from,
)
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    indices,
    maybe,
    maybe_zero,
    names,
    only,
    required,
    sizes,
    spaced,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermoflop.model.architecture.mixers import Mixer
    from thermoflop.model.config.keys import Config


def output_gate(config: Config, heads: int, _kv_heads: int, dim: int) -> tuple[Part, ...]:
    """A gate on every element of every head, from the hidden state."""
    return (Linear("gate_proj", "attn", "attn_proj", config["hidden_size"], heads * dim),)


family(
    "apertus",
    "llama",
    keys={**sizes(vocab=131072, inner=14336), "hidden_act": "xielu"},
    traits={
        "gated": False,
        "qk_norm": "head",
        # two learned numbers in each activation
        "mlp_extras": lambda config: (
            (Vector("xielu", "mlp", 2),) if config["hidden_act"] == "xielu" else ()
        ),
    },
    ignored=("mlp_bias", "post_norm", "qk_norm"),
)
family(
    "bitnet",
    "llama",
    keys={
        **sizes(vocab=128256, hidden=2560, inner=6912, layers=30, heads=20, kv_heads=maybe(5)),
        "hidden_act": "relu2",
    },
    traits={
        "attention_extras": lambda _config, heads, _kv_heads, dim: (
            Norm("attn_sub_norm", heads * dim),
        ),
        "mlp_extras": lambda config: (Norm("ffn_sub_norm", config["intermediate_size"]),),
    },
    drop=("mlp_bias",),
)


def _lambdas(_config: Config, heads: int, kv_heads: int, dim: int) -> tuple[Part, ...]:
    """DiffLlama subtracts the second half of the heads from the first."""
    if kv_heads % 2:
        raise InputError(f"{kv_heads} key-value heads of diffllama do not divide into two halves")
    norm = Norm("groupnorm", 2 * dim, weight=False, vectors=heads // 2)
    return (Vector("lambdas", "attn", 4 * dim), norm)


family(
    "diffllama",
    "llama",
    keys=sizes(hidden=2048, inner=8192, layers=16),
    traits={"attention_extras": _lambdas, "attention_calls": 2},
    drop=("mlp_bias",),
)


def _motif(config: Config) -> Mapping[str, tuple[Mixer, str]]:
    """Half of the heads are subtracted from the others (DiffLlama's way), or each of the
    ``num_noise_heads`` from a group of them (arXiv 2510.06949); a head attends to two values."""
    hidden, heads, kv_heads = (
        config[key] for key in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    noise, dim = config["num_noise_heads"], config["head_dim"] or head_width(hidden, heads)
    kv_heads = heads if kv_heads is None else kv_heads
    subtracted = heads // 2 if noise is None else noise
    left, pairs = heads - subtracted, kv_heads // 2
    if left < 1 or heads % (subtracted or 2) or kv_heads % 2 or subtracted % pairs:
        raise InputError(
            f"{heads} heads of Motif, {subtracted} of them subtracted, do not divide into as many "
            f"groups, each with two of {kv_heads} key-value heads"
        )
    parts = (Vector("lambdas", "attn", 4 * dim), Norm("subln", 2 * dim, vectors=left))
    attention = Attention(
        hidden, heads, kv_heads, dim, rotary=dim, calls=2, extras=parts, joined=2 * left * dim
    )
    return {"full": (attention, "attention")}


def _poly_norm(config: Config) -> tuple[Part, ...]:
    """w1 n(x^3) + w2 n(x^2) + w3 n(x) + b (arXiv 2411.03884): its norms; the rest is as much
    element-wise work as gelu's, eight operations."""
    inner = config["intermediate_size"]
    norms = Norm("poly_norm", inner, "l2", weight=False, vectors=3)
    return Vector("poly_norm", "mlp", 4), norms


# Motif 2.6B and 2 12.7B: the code beside the weights, vLLM's MotifForCausalLM, mlx-motif
for _name in ("Motif", "motif"):
    family(
        _name,
        "llama",
        keys={
            **sizes(vocab=required(), hidden=required(), inner=required(), layers=required()),
            **sizes(heads=required(), head_dim=None),
            "num_noise_heads": None,
            "k_ratio": only(1),
            "hidden_act": only("poly_norm"),
            "use_bias": only(False),
            "use_sliding_window": only(False),
        },
        traits={"mixers": _motif, "mlp_extras": _poly_norm, "activation": "gelu"},
        drop=("mlp_bias",),
        ignored=spaced("attention_bias sliding_window max_window_layers fused_rope expanded"),
    )


def _doge_experts(config: Config) -> int:
    if config["is_moe"]:
        raise UnknownModel("is_moe = true is not described for doge: its experts are table rows")
    return 0


family(
    "doge",
    "llama",
    keys={
        **sizes(vocab=32768, hidden=1024, inner=2048, heads=8),
        "sliding_window": None,
        "is_moe": False,
    },
    traits={
        "qk_norm": "head",
        "experts": _doge_experts,
        "attention_extras": lambda config, _heads, kv_heads, dim: (
            Linear(
                "dt_proj", "attn", "attn_proj", kv_heads * dim, kv_heads, config["attention_bias"]
            ),
            Vector("A", "attn", kv_heads),
        ),
        "mlp_extras": lambda config: (
            Vector("residual weights", "other", 2 * config["hidden_size"]),
        ),
        "kinds": all_sliding,
    },
    ignored=("keep_window_size", "num_experts", "num_experts_per_tok"),
)


def _moshi_alone(config: Config) -> tuple[Part, ...]:
    """The language model alone; with its audio and depth models it is another class."""
    if class_name(config, "MoshiForCausalLM") != "MoshiForCausalLM":
        raise UnknownModel("moshi is counted as MoshiForCausalLM alone, without audio and depth")
    return ()


family(
    "moshi",
    "llama",
    keys={"ffn_dim": 22528, "sliding_window": maybe(3000)},
    traits={
        "inner": lambda config: config["ffn_dim"] // 2,
        "embed_rows": lambda config: config["vocab_size"] + 1,
        "extras": _moshi_alone,
        "kinds": all_sliding,
    },
    drop=("attention_bias", "mlp_bias", "intermediate_size"),
    ignored=("audio_encoder_config", "audio_vocab_size", "depth_decoder_config", "num_codebooks"),
)
family(
    "afmoe",
    "llama",
    keys={
        **sizes(vocab=200192, hidden=2048, inner=6144, heads=16, head_dim=maybe(128)),
        "sliding_window": maybe(1024),
        "layer_types": names(),
        "global_attn_every_n_layers": 4,
        "num_dense_layers": at_least_zero(1),
        "num_experts": 64,
        "num_experts_per_tok": 6,
        "moe_intermediate_size": 1408,
        "num_shared_experts": maybe_zero(2),
    },
    traits={
        "qk_norm": "head",
        "layer_norms": 4,
        "router_bias": True,  # the class keeps the correction bias as a parameter
        "attention_extras": output_gate,
        "kinds": every("global_attn_every_n_layers"),
        "sparse": sparse_from("num_dense_layers"),
    },
    drop=("mlp_bias",),
    ignored=spaced("mup_enabled num_expert_groups num_limited_groups route_norm use_grouped_mm"),
)


def _laguna_gate(config: Config, heads: int, _kv_heads: int, dim: int) -> tuple[Part, ...]:
    """A gate for each head, or for each element of each."""
    outputs = heads if config["gating"] in (True, "per-head") else heads * dim
    return (Linear("g_proj", "attn", "attn_proj", config["hidden_size"], outputs),)


def _laguna_shapes(config: Config) -> Sequence[Mapping[str, int]]:
    """Query heads of each layer."""
    heads: Sequence[int] | None = config["num_attention_heads_per_layer"]
    if heads is not None and (len(heads) != config["num_hidden_layers"] or min(heads) < 1):
        raise InputError(f"num_attention_heads_per_layer of {len(heads)} layers makes no sense")
    return [{"heads": count} for count in heads or ()]


family(
    "laguna",
    "llama",
    keys={
        **sizes(
            vocab=100352, hidden=2048, inner=8192, layers=40, heads=48, kv_heads=8, head_dim=128
        ),
        "sliding_window": 512,
        "layer_types": names(),
        "gating": anything(True),
        "num_attention_heads_per_layer": indices(),
        "mlp_layer_types": names(),
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
    },
    traits={
        "qk_norm": "head",
        "router_bias": True,  # the class keeps the correction bias as a parameter
        "attention_extras": _laguna_gate,
        "shapes": _laguna_shapes,
        "kinds": every(1),
        "sparse": sparse_by_mlp_types,
    },
    drop=("mlp_bias",),
    ignored=spaced("moe_router_score_func moe_routed_scaling_factor swa_rope_parameters"),
)


def _hrm_loops(config: Config) -> Sequence[int]:
    """Each layer of the low module runs in every cycle of both kinds, of the high one in its own"""
    layers = _hrm_layers(config)
    high, low = config["H_cycles"], config["L_cycles"]
    return [high * low] * layers + [high] * layers


def _hrm_layers(config: Config) -> int:
    """Layers of one module; where they are stated, ``num_hidden_layers`` is all executions."""
    layers: int = config["num_layers_per_stack"] or config["num_hidden_layers"]
    return layers


family(
    "hrm_text",
    "llama",
    keys={
        **sizes(vocab=151808, hidden=1536, inner=4096, layers=16, heads=12, head_dim=128),
        "num_layers_per_stack": None,
        "H_cycles": 2,
        "L_cycles": 3,
    },
    traits={
        "layers": lambda config: 2 * _hrm_layers(config),
        "loops": _hrm_loops,
        "norm_weight": False,
        "attention_extras": lambda config, heads, _kv_heads, dim: (
            Linear(
                "gate_proj",
                "attn",
                "attn_proj",
                config["hidden_size"],
                heads * dim,
                config["attention_bias"],
            ),
        ),
        "extras": lambda config: (Vector("z_L_init", "other", config["hidden_size"]),),
    },
    ignored=("num_key_value_heads", "L_bp_cycles", "embedding_scale", "prefix_lm"),
)


def _dory_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, in which published files name the feed-forwards as well."""
    kinds = every(4)(config)
    return kinds[::2] if "mlp" in kinds else kinds


def _dory_loops(config: Config) -> Sequence[int]:
    """The layers in the middle run several times."""
    halved = 2 if "mlp" in (config["layer_types"] or ()) else 1
    layers = config["num_hidden_layers"] // halved
    first, last = config["n_input_layers"] // halved, config["n_output_layers"] // halved
    middle = layers - first - last
    stated = config["n_recurrent_layers"]
    if middle < 0 or (stated is not None and stated // halved != middle):
        raise InputError(f"{first} + {last} layers of dory and those that recur are not {layers}")
    return [1] * first + [config["n_recurrent_loops"]] * middle + [1] * last


def _dory_cache(config: Config) -> tuple[Part, ...]:
    if config["recurrent_kv_cache_mode"] != "per_loop":
        raise UnknownModel("recurrent_kv_cache_mode is not per_loop: what dory keeps is not known")
    return (Vector("logit_scale", "lm_head", config["vocab_size"]),)


family(
    "dory",
    "llama",
    keys={
        **sizes(
            vocab=131072, hidden=2560, inner=7168, layers=36, heads=16, kv_heads=4, head_dim=256
        ),
        "sliding_window": 1024,
        "layer_types": names(),
        "n_input_layers": at_least_zero(8),
        "n_recurrent_layers": maybe_zero(None),
        "n_output_layers": at_least_zero(8),
        "n_recurrent_loops": 2,
        "recurrent_kv_cache_mode": "per_loop",
    },
    traits={
        "layers": lambda config: len(_dory_kinds(config)),
        "kinds": _dory_kinds,
        "loops": _dory_loops,
        "norm": "l2",
        "norm_weight": False,
        "layer_norms": 4,
        "qk_norm": "l2",
        "attention_extras": lambda config, heads, _kv_heads, dim: (
            *output_gate(config, heads, _kv_heads, dim),
            Vector("sqk, s_gate", "attn", 2 * heads * dim),
            Norm("attn_sub_norm", heads * dim, "l2", weight=False),
        ),
        "mlp_extras": lambda config: (
            Vector("suv", "mlp", 2 * config["intermediate_size"]),
            Vector("residual weights", "other", 2 * config["hidden_size"]),
            Norm("ffn_sub_norm", config["intermediate_size"], "l2", weight=False),
        ),
        "extras": _dory_cache,
    },
)
