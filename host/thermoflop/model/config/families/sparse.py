"""Decoders whose attention meets chosen blocks of keys or compressed entries.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.compressed import CompressedAttention, Streams
from thermoflop.model.architecture.parts import Linear, Vector
from thermoflop.model.architecture.sparse import Compressor, Indexer
from thermoflop.model.config.families import mixtures  # noqa: F401 - mixtral is defined there
from thermoflop.model.config.families.patterns import words
from thermoflop.model.config.family import at_least_zero, family, indices, mapping, names, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.config.keys import Config

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
    if type(ratio) is not int or not 0 < ratio <= 10**6:
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


def _v4_collapse(config: Config) -> tuple[Linear, Vector]:
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
        "vocab_size": 129280,
        "hidden_size": 4096,
        "moe_intermediate_size": 2048,
        "num_hidden_layers": 43,
        "num_attention_heads": 64,
        "head_dim": 512,
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
        "mixers": lambda config: {
            kind: (_v4_attention(config, kind), _V4_NAMES[kind]) for kind in _V4_NAMES
        },
        "inner": use("moe_intermediate_size"),
        "experts": use("n_routed_experts"),
        "top_k": use("num_experts_per_tok"),
        "shared_inner": use("moe_intermediate_size"),
        "shared_bias": use("mlp_bias"),
        "streams": lambda config: Streams(
            config["hidden_size"], config["hc_mult"], config["hc_sinkhorn_iters"]
        ),
        "collapse": _v4_collapse,
    },
    aliases={
        "intermediate_size": "moe_intermediate_size",
        "num_local_experts": "n_routed_experts",
    },
    # the class has one KV head, one shared expert and no biases in attention, whatever is said;
    # the first layers choose experts by a table of tokens, which is no parameter
    ignored=(
        "num_key_value_heads",
        "n_shared_experts",
        "attention_bias",
        "num_hash_layers",
        "mlp_layer_types",
        "compress_rope_theta",
        "expert_dtype",
    ),
)
# the name that SGLang's conversion of DeepSeek-V4 has, with the same keys
family("deepseek_ref", "deepseek_v4")
