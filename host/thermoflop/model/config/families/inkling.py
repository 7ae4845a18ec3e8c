"""Inkling: short convolutions over keys, values and what each block adds; scores of distances.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Vector
from thermoflop.model.config.families import dense  # noqa: F401 - llama is defined there
from thermoflop.model.config.families.patterns import by_words, layer_indices, sparse_from
from thermoflop.model.config.family import at_least_zero, family, indices, names, sizes, spaced, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.model.config.keys import Config

_HEADS = ("num_attention_heads", "num_key_value_heads", "head_dim")


def _second_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or five in six layers slide."""
    usual = ["sliding" if (i + 1) % 6 else "full" for i in range(config["num_hidden_layers"])]
    return by_words(config, {"hybrid": "full", "hybrid_sliding": "sliding"}) or usual


def _kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or the layers that ``local_layer_ids`` names slide, or five in six."""
    if config["layer_types"] is not None or config["local_layer_ids"] is None:
        return _second_kinds(config)
    local = set(layer_indices(config, "local_layer_ids"))
    return ["sliding" if i in local else "full" for i in range(config["num_hidden_layers"])]


_sparse = sparse_from("dense_mlp_idx")


def _widths(config: Config) -> tuple[int, int]:
    """Of a dense MLP and of an expert: published files name them the other way round."""
    dense_width, width = config["dense_intermediate_size"], config["intermediate_size"]
    if dense_width is not None:
        return dense_width, width
    return width, config["moe_intermediate_size"]


def _short(name: str, width: int, taps: int) -> Placed:
    """A convolution over each channel and the last ``taps`` tokens."""
    return Placed(Convolution(name, "short_conv", "short_conv", 1, width, taps), "convolved")


def _shapes(config: Config) -> list[dict[str, Any]]:
    """Heads of the two kinds of layers, and what stands beside attention and feed-forward."""
    both = zip(_kinds(config), _sparse(config), strict=True)
    return [_shape(config, kind, mixture) for kind, mixture in both]


def _shape(config: Config, kind: str, mixture: bool) -> dict[str, Any]:
    hidden, rank, taps = (config[key] for key in ("hidden_size", "d_rel", "conv_kernel_size"))
    slides = kind == "sliding"
    heads, kv_heads, dim = (config[f"swa_{key}" if slides else key] for key in _HEADS)
    met = config["sliding_window_size" if slides else "rel_extent"]
    others = [
        *(_short(name, kv_heads * dim, taps) for name in ("k_sconv", "v_sconv")),
        *(_short(name, hidden, taps) for name in ("attn_sconv", "mlp_sconv")),
        Placed(Linear("r_proj", "attn", "attn_proj", hidden, heads * rank)),
        # one map of a head's elements to a score for each distance, for all heads
        Placed(Linear("rel_logits", "rel_pos_bias", "attn_score", rank, met), "token", heads),
    ]
    if mixture:  # shared experts are weighed beside those that are chosen
        count = config["n_shared_experts"]
        gate = Linear("shared router", "router", "router", hidden, count, unquantized=True)
        others.append(Placed(gate))
    return {"heads": heads, "kv_heads": kv_heads, "head_dim": dim, "others": tuple(others)}


def _ahead(config: Config) -> list[list[tuple[str, bool, dict[str, Any]]]]:
    """A dense layer each; those that mtp_local_layer_ids names slide, the others see everything."""
    local = config["mtp_local_layer_ids"] or ()
    kinds = ["sliding" if index in local else "full" for index in range(max(local, default=0) + 2)]
    return [[(kind, False, _shape(config, kind, False))] for kind in kinds]


def _token_taps(config: Config, kv_heads: int, dim: int) -> list[Placed]:
    """Convolutions whose taps are fixed numbers and what a map of the token adds for each head."""
    hidden, taps = config["hidden_size"], config["conv_kernel_size"]
    parts: list[Placed] = []
    for name in ("k_sconv", "v_sconv"):
        parts.append(_short(name, kv_heads * dim, taps))
        made = Linear(f"{name} weights", "short_conv", "short_conv", hidden, kv_heads * taps)
        parts.append(Placed(made))
    return parts


def _second_shapes(config: Config) -> list[dict[str, Any]]:
    """Of Inkling 2: layers that see everything make taps of the token, and norm what queries, keys
    and values are made of each by itself; queries choose among the sums of blocks before."""
    hidden, rank, taps = (config[key] for key in ("hidden_size", "d_rel", "conv_kernel_size"))
    shapes = []
    for index, kind in enumerate(_second_kinds(config)):
        slides = kind == "sliding"
        heads, kv_heads, dim = (config[f"swa_{key}" if slides else key] for key in _HEADS)
        met = config["sliding_window_size" if slides else "rel_extent"]
        others = [_short(name, hidden, taps) for name in ("attn_sconv", "mlp_sconv")]
        if slides:
            others += (_short(name, kv_heads * dim, taps) for name in ("k_sconv", "v_sconv"))
        else:
            others += _token_taps(config, kv_heads, dim)
            others += (Placed(Norm(name, hidden)) for name in ("k_input_norm", "v_input_norm"))
        others += (
            Placed(Linear("r_proj", "attn", "attn_proj", hidden, heads * rank)),
            Placed(Linear("rel_logits", "rel_pos_bias", "attn_score", rank, met), "token", heads),
            Placed(Linear("sink_proj", "attn", "attn_proj", hidden, heads)),
        )
        asked = 1 + (0 if index == 0 else 1 if slides else 3)
        kept = (
            Vector("r scale", "attn", heads * rank),
            Vector("block queries", "other", asked * hidden),
        )
        own = {"heads": heads, "kv_heads": kv_heads, "head_dim": dim}
        shapes.append({**own, "others": tuple(others), "kept": kept})
    return shapes


def _gated(config: Config, heads: int, _kv_heads: int, dim: int) -> tuple[Linear, Vector]:
    hidden, width = config["hidden_size"], heads * dim
    gate = Linear("gate_proj", "attn", "attn_proj", hidden, width)
    return gate, Vector("q scale", "attn", width)


def _shared(config: Config) -> int:
    return int(config["n_shared_experts"]) * _widths(config)[1]


family(
    "inkling_text",
    "llama",
    keys={
        **sizes(
            vocab=201024, hidden=6144, inner=24576, layers=66, heads=64, kv_heads=8, head_dim=128
        ),
        "dense_intermediate_size": None,
        "moe_intermediate_size": 3072,
        "swa_num_attention_heads": 64,
        "swa_num_key_value_heads": 16,
        "swa_head_dim": 128,
        "sliding_window_size": 512,
        "d_rel": 16,
        "rel_extent": 1024,
        "conv_kernel_size": 4,
        "local_layer_ids": indices(),
        "layer_types": names(),
        "mtp_local_layer_ids": indices(),
        "mlp_layer_types": names(),
        "dense_mlp_idx": at_least_zero(0),
        "n_routed_experts": 256,
        "num_experts_per_tok": 6,
        "n_shared_experts": 2,
    },
    traits={
        "kinds": _kinds,
        "shapes": _shapes,
        "sparse": _sparse,
        "rotary": False,
        "qk_norm": "head",
        "embed_norm": True,
        "kept": (Vector("global_scale", "other", 1),),
        "inner": lambda config: _widths(config)[0],
        "expert_inner": lambda config: _widths(config)[1],
        "shared_inner": _shared,
        "ahead": _ahead,
        "ahead_norm": False,
        "tied": False,  # the class ties nothing
    },
    aliases={
        "sliding_window": "sliding_window_size",
        "num_local_experts": "n_routed_experts",
        "sconv_kernel_size": "conv_kernel_size",
    },
    drop=("attention_bias", "mlp_bias"),
    ignored=spaced(
        "tie_word_embeddings unpadded_vocab_size route_scale logits_mup_width_multiplier"
        " log_scaling_alpha log_scaling_n_floor mtp_hidden_states_first"
        " use_embed_norm use_sconv use_gate_bias gate_activation norm_after_topk use_global_scale"
        " shared_expert_sink chain_hidden_post_norm rms_norm_eps_moe_gate number_of_conv_states"
    ),
)

family(
    "inkling2_text",
    "inkling_text",
    keys={
        **sizes(vocab=201024, hidden=4608, layers=48, heads=48, kv_heads=8, head_dim=128),
        "unpadded_vocab_size": 200058,
        "moe_intermediate_size": 2304,
        "swa_num_attention_heads": 48,
        "swa_num_key_value_heads": 8,
        "sliding_window_size": 1024,
        "n_routed_experts": 384,
        "num_experts_per_tok": 8,
    },
    traits={
        "vocab": use("unpadded_vocab_size"),
        "embed_rows": use("vocab_size"),
        "kinds": _second_kinds,
        "shapes": _second_shapes,
        "sparse": None,
        "qk_norm": "l2",
        "v_norm": True,
        "attention_extras": _gated,
        "kept": (),
        "extras": lambda config: (Vector("last block query", "other", config["hidden_size"]),),
        "inner": use("moe_intermediate_size"),
        "expert_inner": use("moe_intermediate_size"),
        "shared_inner": 0,
        "note": "the work of choosing among blocks of layers before is not listed",
        "ahead": None,
    },
    aliases={"intermediate_size": "moe_intermediate_size"},
    drop=spaced(
        "intermediate_size dense_intermediate_size mlp_layer_types dense_mlp_idx n_shared_experts"
        " local_layer_ids mtp_local_layer_ids"
    ),
    ignored=spaced("qk_l2_clip_threshold rel_l2_clip_threshold n_layers_per_attn_res_block"),
)
