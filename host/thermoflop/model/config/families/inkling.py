"""Inkling: short convolutions over keys, values and what each block adds; scores of distances.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Convolution, Linear, Vector
from thermoflop.model.config.families import dense  # noqa: F401 - llama is defined there
from thermoflop.model.config.families.patterns import layer_indices, sparse_from, words
from thermoflop.model.config.family import at_least_zero, family, indices, names, sizes, spaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.model.config.keys import Config

_HEADS = ("num_attention_heads", "num_key_value_heads", "head_dim")


def _kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or the layers that ``local_layer_ids`` names slide, or five in six."""
    layers = range(config["num_hidden_layers"])
    if config["layer_types"] is not None:
        kinds = words(config, "layer_types", ("hybrid", "hybrid_sliding"))
        return ["sliding" if kind == "hybrid_sliding" else "full" for kind in kinds]
    local = {index for index in layers if (index + 1) % 6}
    if config["local_layer_ids"] is not None:
        local = set(layer_indices(config, "local_layer_ids"))
    return ["sliding" if index in local else "full" for index in layers]


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
    hidden, rank, taps = (config[key] for key in ("hidden_size", "d_rel", "conv_kernel_size"))
    shapes = []
    for kind, mixture in zip(_kinds(config), _sparse(config), strict=True):
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
        shapes.append(
            {"heads": heads, "kv_heads": kv_heads, "head_dim": dim, "others": tuple(others)}
        )
    return shapes


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
        " log_scaling_alpha log_scaling_n_floor mtp_local_layer_ids mtp_hidden_states_first"
        " chain_hidden_post_norm rms_norm_eps_moe_gate number_of_conv_states"
    ),
)
