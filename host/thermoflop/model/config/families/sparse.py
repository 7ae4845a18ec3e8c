"""Decoders whose attention meets chosen blocks of keys or compressed entries.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.parts import Linear, Vector
from thermoflop.model.architecture.sparse import CompressedAttention, Compressor, Indexer, Streams
from thermoflop.model.config.families import mixtures  # noqa: F401 - mixtral is defined there
from thermoflop.model.config.families.patterns import sparse_from, words
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    indices,
    mapping,
    names,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


SLIDING, SPARSE, HEAVY = (
    "sliding_attention",
    "compressed_sparse_attention",
    "heavily_compressed_attention",
)
_OF_RATIO = {0: SLIDING, 4: SPARSE, 128: HEAVY}


def _v4_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or the ratios of older files, or heavily and sparsely in turn."""
    layers, ratios = config["num_hidden_layers"], config["compress_ratios"]
    if config["layer_types"] is not None:
        return words(config, "layer_types", (SLIDING, SPARSE, HEAVY))
    if ratios is None:
        turns = [SPARSE if index % 2 else HEAVY for index in range(max(layers - 2, 0))]
        return [HEAVY] * min(layers, 2) + turns
    wrong = next((ratio for ratio in ratios if ratio not in _OF_RATIO), None)
    if wrong is not None or len(ratios) < layers:
        found = f"holds {wrong}" if wrong is not None else f"names {len(ratios)} layers"
        raise InputError(f"compress_ratios {found} where 0, 4 or 128 is expected for each layer")
    return [_OF_RATIO[ratio] for ratio in ratios[:layers]]


def _v4_ratio(config: Config, kind: str, key: str, default: int) -> int:
    """Tokens of one entry: in ``compress_rates`` by kind of layer, or under a key of its own."""
    rates = config["compress_rates"] or {}
    ratio = config[key] if config[key] is not None else rates.get(kind, default)
    if not is_count(ratio):
        raise InputError(f"a compression of {quote_value(ratio)} tokens makes no sense")
    return ratio


def _v4_attention(config: Config, kind: str) -> CompressedAttention:
    """The attention of one kind of layer."""
    hidden, heads, dim = (config[key] for key in ("hidden_size", "num_attention_heads", "head_dim"))
    groups = config["o_groups"]
    if heads * dim % groups:
        raise InputError(f"{heads} heads of {dim} do not divide into {groups} o_groups")
    rotary = config["qk_rope_head_dim"] or dim // 8
    compressor = indexer = None
    if kind == HEAVY:
        compressor = Compressor(hidden, dim, _v4_ratio(config, HEAVY, "compress_rate_hca", 128))
    elif kind == SPARSE:
        ratio = _v4_ratio(config, SPARSE, "compress_rate_csa", 4)
        compressor = Compressor(hidden, dim, ratio, 2)
        count, small = config["index_n_heads"], config["index_head_dim"]
        keys = Compressor(hidden, small, ratio, 2, "indexer", "indexer_proj")
        top_k, q_rank = config["index_topk"], config["q_lora_rank"]
        turned = min(rotary, small)
        indexer = Indexer(hidden, count, small, top_k, turned, q_rank, compressor=keys)
    return CompressedAttention(
        hidden,
        heads,
        dim,
        config["q_lora_rank"],
        groups,
        config["o_lora_rank"],
        config["sliding_window"],
        rotary,
        compressor,
        indexer,
    )


def mixed_streams(config: Config) -> Streams:
    """Residual streams that are mixed before and after each block."""
    return Streams(config["hidden_size"], config["hc_mult"], config["hc_sinkhorn_iters"])


def collapsed_streams(config: Config) -> tuple[Linear, Vector]:
    """The weights by which the streams become one state, with their bias and scale."""
    count, group = config["hc_mult"], "streams"
    width = count * config["hidden_size"]
    return (
        Linear("read streams", group, group, width, count, unquantized=True),
        Vector("stream base, scale", group, count + 1, bias=True),
    )


_V4_NAMES = {
    SLIDING: "sliding attention",
    SPARSE: "attention to chosen entries",
    HEAVY: "attention to compressed entries",
}
family(
    "deepseek_v4",
    keys={
        **sizes(vocab=129280, hidden=4096, layers=43, heads=64, head_dim=512),
        "moe_intermediate_size": 2048,
        "q_lora_rank": 1024,
        "qk_rope_head_dim": None,
        "n_routed_experts": 256,
        "num_experts_per_tok": 6,
        "layer_types": names(),
        "compress_ratios": indices(),
        "compress_rates": mapping(),
        "compress_rate_csa": None,
        "compress_rate_hca": None,
        "sliding_window": 128,
        "o_groups": 8,
        "o_lora_rank": 1024,
        "index_n_heads": 64,
        "index_head_dim": 128,
        "index_topk": 512,
        "hc_mult": 4,
        "hc_sinkhorn_iters": at_least_zero(20),
        "hidden_act": "silu",
        "mlp_bias": False,
        "tie_word_embeddings": False,
    },
    traits={
        "kinds": _v4_kinds,
        "ahead": [[(SLIDING, True, {})]],  # a ratio of 0, and two projections side by side
        "mixers": lambda config: {
            kind: (_v4_attention(config, kind), _V4_NAMES[kind]) for kind in _V4_NAMES
        },
        "shared_inner": use("moe_intermediate_size"),
        "streams": mixed_streams,
        "collapse": collapsed_streams,
    },
    aliases={
        "intermediate_size": "moe_intermediate_size",
        "num_local_experts": "n_routed_experts",
    },
    # the class has one KV head, one shared expert and no biases in attention, whatever is said;
    # the first layers choose experts by a table of tokens, which is no parameter
    ignored=spaced(
        "num_key_value_heads n_shared_experts attention_bias num_hash_layers mlp_layer_types"
    ),
)
# the name that SGLang's conversion of DeepSeek-V4 has, with the same keys
family("deepseek_ref", "deepseek_v4")


_M3_NESTED = {
    "index_n_heads": "sparse_num_index_heads",
    "index_head_dim": "sparse_index_dim",
    "index_block_size": "sparse_block_size",
    "index_topk_blocks": "sparse_topk_blocks",
}


def _m3_flags(config: Config, flags: Any, key: str) -> list[bool]:
    """A list of 0 and 1, one a layer."""
    layers = config["num_hidden_layers"]
    if not isinstance(flags, list) or len(flags) < layers or any(f not in (0, 1) for f in flags):
        raise InputError(f"{key} is no 0 or 1 for each of {layers} layers")
    return [bool(flag) for flag in flags[:layers]]


def _m3_indexed(config: Config) -> Sequence[bool]:
    """``layer_types``, or 1 for each layer with an indexer in ``sparse_attention_freq``."""
    nested, layers = config["sparse_attention_config"] or {}, config["num_hidden_layers"]
    if config["layer_types"] is not None:
        kinds = words(config, "layer_types", ("full_attention", "minimax_m3_sparse"))
        return [kind == "minimax_m3_sparse" for kind in kinds]
    key = "sparse_attention_freq"
    return _m3_flags(config, nested[key], key) if key in nested else [False] * layers


def _m3_sparse(config: Config) -> Sequence[bool]:
    """The layers that are mixtures: by word, by flag, or all."""
    if config["mlp_layer_types"] is None and config["moe_layer_freq"] is not None:
        return _m3_flags(config, config["moe_layer_freq"], "moe_layer_freq")
    return sparse_from(0)(config)


def _m3_indexer(config: Config) -> Indexer:
    """Four small heads, each of which chooses blocks of keys for its group of query heads."""
    nested = config["sparse_attention_config"] or {}
    sizes = {key: nested.get(name, config[key]) for key, name in _M3_NESTED.items()}
    wrong = next((key for key, n in sizes.items() if not is_count(n)), None)
    if wrong is not None:
        raise InputError(f"{wrong} is {quote_value(sizes[wrong])} where a count is expected")
    heads, dim, block, blocks = sizes.values()
    hidden, rotary = config["hidden_size"], min(config["rotary_dim"], dim)
    return Indexer(
        hidden, heads, dim, blocks, rotary, weighted=False, block=block, norm="rms", q_norm=True
    )


def _m3_shapes(config: Config) -> list[dict[str, Indexer]]:
    """The layers that have an indexer."""
    indexer = _m3_indexer(config)
    return [{"indexer": indexer} if indexed else {} for indexed in _m3_indexed(config)]


family(
    "minimax_m3_vl_text",
    "mixtral",
    keys={
        **sizes(
            vocab=200064, hidden=6144, inner=3072, layers=60, heads=64, kv_heads=4, head_dim=128
        ),
        "num_local_experts": 128,
        "num_experts_per_tok": 4,
        "dense_intermediate_size": 12288,
        "shared_intermediate_size": 3072,
        "rotary_dim": 64,
        "layer_types": names(),
        "mlp_layer_types": names(),
        "moe_layer_freq": anything(),
        "sparse_attention_config": mapping(),
        "index_n_heads": 4,
        "index_head_dim": 128,
        "index_block_size": 128,
        "index_topk_blocks": 16,
    },
    traits={
        "shapes": _m3_shapes,
        "qk_norm": "head",
        "inner": use("dense_intermediate_size"),
        "expert_inner": use("intermediate_size"),
        "shared_inner": use("shared_intermediate_size"),
        "sparse": _m3_sparse,
    },
    drop=("sliding_window",),
    ignored=(
        "index_local_blocks",  # they are among the blocks that are chosen
        # what published files say again: a shared expert, norms and biases are those above
        *("n_shared_experts", "num_mtp_modules", "qk_norm_type", "use_gemma_norm"),
        *("use_qk_norm", "use_routing_bias"),
    ),
)
# the text model alone, as files of serving tools name it; its norms and biases are those above
family(
    "minimax_m3",
    "minimax_m3_vl_text",
    aliases={"moe_intermediate_size": "intermediate_size"},
    ignored=("first_k_dense_replace",),
)
