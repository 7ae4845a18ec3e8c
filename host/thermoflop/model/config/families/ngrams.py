"""Decoders that look up hashed n-grams of tokens in large tables: Qwen4-Exp (Qwen 3.8 Flash), and
LongCat, whose experts include some that compute nothing.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import HASH_TABLES, Convolution, Linear, Norm, Table
from thermoflop.model.architecture.sparse import Indexer, Streams
from thermoflop.model.config.families import latent, linear  # noqa: F401 - parents are there
from thermoflop.model.config.families.patterns import by_words, every, stated
from thermoflop.model.config.family import (
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
from thermoflop.model.config.primes import primes_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.model.architecture.mixers import LatentAttention, Mixer
    from thermoflop.model.architecture.parts import Part
    from thermoflop.model.config.keys import Config

_MOST_HEADS = 10_000  # of n-grams; published are 16
_KINDS = {"full_attention": "full", "indexed_attention": "full", "linear_attention": "linear"}


def _kinds(config: Config) -> Sequence[str]:
    """Linear attention, and attention to chosen blocks at the end of each group of layers."""
    return by_words(config, _KINDS) or every("full_attention_interval", others="linear")(config)


def _indexer(config: Config) -> Indexer:
    """Its keys are means of a few tokens' each, and all heads choose together."""
    keys = ("n_heads", "kv_heads", "head_dim", "budget", "compress_ratio")
    heads, kv_heads, dim, budget, ratio = (stated(f"indexer_{key}")(config) for key in keys)
    if kv_heads != 1 or budget % ratio:
        raise InputError(
            f"indexer_kv_heads {kv_heads}, indexer_budget {budget} and indexer_compress_ratio "
            f"{ratio}: the class wants one head of keys, and whole blocks"
        )
    hidden, rotary = config["hidden_size"], min(config["head_dim"] // 4, dim)
    return Indexer(
        hidden, heads, dim, budget // ratio, rotary,
        weighted=False, block=ratio, norm="rms", q_norm=True, pooled=True,
    )  # fmt: skip


def _streams(config: Config, writes: bool = True) -> Streams:
    hidden, count, rank = (config[key] for key in ("hidden_size", "hc_count", "hc_lowrank"))
    return Streams(hidden, count, mixing=False, rank=rank, writes=writes)


def _collapse(config: Config) -> tuple[Part, ...]:
    return _streams(config, writes=False).parts("streams")


def _shapes(config: Config) -> list[dict[str, Any]]:
    """The layers that look up n-grams, which are numbered from 1."""
    numbered = sorted({*(config["ple_layer_ids"] or ())})
    kinds = _kinds(config)
    wrong = next(
        (n for n in numbered if not (0 < n <= len(kinds) and kinds[n - 1] == "linear")), None
    )
    if wrong is not None:
        raise InputError(f"ple_layer_ids names layer {wrong}, which is none of linear attention")
    shapes: list[dict[str, Any]] = [{} for _ in kinds]
    for index, number in enumerate(numbered):
        shapes[number - 1] = {"others": _lookups(config, index)}
    return shapes


def _lookups(config: Config, index: int) -> tuple[Placed, ...]:
    """A table in which each head has a prime number of rows of its own, keys and a value of what
    is found, and a short convolution over all streams."""
    hidden, count = config["hidden_size"], config["hc_count"]
    width, heads = config["ple_embed_dim"] or hidden, config["heads_per_ngram"]
    heads *= config["ngram_size"] - 1
    if not 0 < heads * (index + 1) <= _MOST_HEADS or width % heads:
        raise InputError(
            f"a ple_embed_dim of {width} does not divide into {heads} heads of n-grams"
        )
    primes = primes_from(config["ngram_vocab_size_base"], heads * (index + 1))[heads * index :]
    whole = config["make_ngram_vocab_size_divisible_by"]
    rows = -(-sum(primes) // whole) * whole
    where = ("ngram", "ngram")
    return (
        Placed(Table("ngram_embedding", HASH_TABLES, rows, width // heads), times=heads),
        Placed(Linear("ngram_keys", *where, width, count * hidden)),
        Placed(Linear("ngram_value", *where, width, hidden)),
        *(
            Placed(Norm(f"ngram_{name}_norm", hidden, vectors=count, copies=count))
            for name in ("key", "query", "conv")
        ),
        Placed(
            Convolution("ngram_conv", *where, 1, count * hidden, config["ple_conv_kernel_size"])
        ),
    )


family(
    "qwen4_exp_text",
    "qwen3_5_moe_text",
    keys={
        **sizes(hidden=2048, kv_heads=maybe(2)),
        "num_experts": 512,
        "num_experts_per_tok": 10,
        "hc_count": 4,
        "hc_lowrank": 320,
        "ple_layer_ids": indices(),
        "ple_embed_dim": None,
        "ple_conv_kernel_size": 4,
        "ngram_size": 3,
        "heads_per_ngram": 8,
        "ngram_vocab_size_base": 20_000_000,
        "make_ngram_vocab_size_divisible_by": 128,
        "layer_types": names(),
        **dict.fromkeys(
            spaced(
                "indexer_n_heads indexer_kv_heads indexer_head_dim indexer_budget"
                " indexer_compress_ratio"
            )
        ),
    },
    traits={
        "kinds": _kinds,
        "indexer": _indexer,
        "output_gate": True,
        "streams": _streams,
        "collapse": _collapse,
        "shapes": _shapes,
        "layer_norms": 0,
        "final_norm": False,
    },
    ignored=spaced(
        "output_gate_type split_ngram_parts attn_output_gate number_of_conv_states"
        " index_share_for_mtp_iteration"
    ),
)
# the name that it had before
family("qwen3_8_flash_next_text", "qwen4_exp_text")


def _pairs(config: Config) -> int:
    """Layers of two attentions each, which ``num_hidden_layers`` counts."""
    attentions = config["num_hidden_layers"]
    if config.given("num_layers") or attentions is None:
        return int(config["num_layers"])
    return int(attentions) // 2


def _real_experts(config: Config) -> int:
    """Of the experts that a token chooses those that compute, on average: LongCat-Flash keeps it so
    (arXiv 2509.01322, section 2.1: 8 of 12 on average)."""
    real, idle = int(config["n_routed_experts"]), _idle_experts(config)
    return -(-int(config["moe_topk"]) * real // (real + idle))


def _idle_experts(config: Config) -> int:
    return config["zero_expert_num"] or 0


def _longcat_said(config: Config) -> str:
    chosen, real = config["moe_topk"], _real_experts(config)
    return (
        f"a token chooses {chosen} experts, of which {real} compute on average and {chosen - real} "
        "do nothing"
        if chosen != real
        else ""
    )


# two attentions and two feed-forwards in each of its layers, a mixture beside the first of them
family(
    "longcat_flash",
    "deepseek_v3",
    keys={
        **sizes(vocab=131072, hidden=6144, heads=64),
        "num_layers": 28,
        "num_hidden_layers": None,
        "ffn_hidden_size": 12288,
        "q_lora_rank": maybe(1536),
        "moe_topk": 12,
        "n_routed_experts": 512,
        "zero_expert_num": maybe_zero(256),
        "expert_ffn_hidden_size": 2048,
        "router_bias": False,
    },
    traits={
        "layers": lambda config: 2 * _pairs(config),
        "inner": use("ffn_hidden_size"),
        "sparse": lambda config: [True, False] * _pairs(config),
        "beside_mlp": True,
        "expert_inner": use("expert_ffn_hidden_size"),
        "top_k": _real_experts,
        "idle_experts": _idle_experts,
        "router_bias": use("router_bias"),
        "whole": ("LongcatCausalLM",),  # as its makers' files call it
        "note": _longcat_said,
    },
    drop=spaced(
        "intermediate_size moe_intermediate_size num_experts_per_tok"
        " first_k_dense_replace moe_layer_freq n_shared_experts"
    ),
    aliases={
        "num_experts_per_tok": "moe_topk",
        "intermediate_size": "ffn_hidden_size",
        "moe_intermediate_size": "expert_ffn_hidden_size",
    },
    ignored=spaced("attention_method zero_expert_type mla_scale_q_lora mla_scale_kv_lora"),
)


def _ngram_tables(config: Config) -> tuple[Placed, ...]:
    """A few tables for each length of n-grams, each with a map to the hidden state."""
    hidden, heads = (
        config["hidden_size"],
        config["emb_split_num"] * (config["emb_neighbor_num"] - 1),
    )
    if not 0 < heads <= _MOST_HEADS or hidden < heads:
        raise InputError(f"a hidden_size of {hidden} does not divide into {heads} heads of n-grams")
    base, width = config["ngram_vocab_size_ratio"] * config["vocab_size"], hidden // heads
    placed: list[Placed] = []
    for index in range(heads):
        rows = base + 2 * index + 1
        placed.append(Placed(Table(f"ngram_embedding_{index}", HASH_TABLES, rows, width)))
        placed.append(Placed(Linear("ngram_proj", "ngram", "ngram", width, hidden)))
    return tuple(placed)


family(
    "longcat_flash_ngram",
    "longcat_flash",
    keys={"ngram_vocab_size_ratio": 78, "emb_neighbor_num": 4, "emb_split_num": 4},
    traits={"front": _ngram_tables},
)


def _lsa_kinds(config: Config) -> Sequence[str]:
    """Of so many attentions in a row the first chooses keys for all (``cli_factor``)."""
    attentions, shared = 2 * _pairs(config), config["cli_factor"]
    if config["attention_method"] == "MLA":
        return ["dense"] * attentions
    return ["shared" if index % shared else "full" for index in range(attentions)]


def _lsa_mixers(config: Config) -> dict[str, tuple[Mixer, str]]:
    dense: dict[str, tuple[Mixer, str]] = {
        "dense": (latent.latent_attention(config), "latent attention")
    }
    if config["attention_method"] == "MLA":
        return dense
    return {**dense, **latent.choosing(_lsa)(config)}


def _lsa(config: Config) -> LatentAttention:
    """Its indexer may have another norm on its keys."""
    whole, kind = latent.indexed(config), config["index_k_norm_type"]
    if whole.indexer is None or kind not in ("rms", "layer"):
        raise InputError(f"index_k_norm_type is {quote_value(kind)}: expected rms or layer")
    return replace(whole, indexer=replace(whole.indexer, norm=kind))


# LongCat 2: its published files name a class and no type; keys and parts as in unsloth's and
# mlx-vlm's classes of it
family(
    "longcat_flash_sparse",
    "longcat_flash_ngram",
    keys={
        **sizes(hidden=3072, heads=32),
        "num_layers": 14,
        "ffn_hidden_size": 6144,
        "expert_ffn_hidden_size": 1024,
        "n_routed_experts": 256,
        "ngram_vocab_size_ratio": maybe_zero(0),
        "attention_method": "LSA",
        "cli_factor": 1,
        "index_n_heads": required(),
        "index_head_dim": 128,
        "index_topk": required(),
        "index_k_norm_type": "rms",
    },
    traits={
        "kinds": _lsa_kinds,
        "mla": None,
        "mixers": _lsa_mixers,
        "front": lambda config: _ngram_tables(config) if config["ngram_vocab_size_ratio"] else (),
    },
    aliases={
        "oe_vocab_size_ratio": "ngram_vocab_size_ratio",
        "oe_neighbor_num": "emb_neighbor_num",
        "oe_split_num": "emb_split_num",
    },
    ignored=spaced("index_init_tokens index_local_tokens mtp_num_layers use_mla"),
)
