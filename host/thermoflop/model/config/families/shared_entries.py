"""DeepSeek-V4.1: entries and choices that layers share, and tables of hashed n-grams.

Not in transformers 5.24: keys and structure are those of vLLM 0.33 and SGLang 0.5.23, sizes those
of mlx-lm's deepseek_v41.py where a file leaves one out.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import HASH_TABLES, Linear, Norm, Table
from thermoflop.model.architecture.sparse import CompressedAttention, Compressor, Indexer
from thermoflop.model.config.families import sparse  # noqa: F401 - deepseek_v4 is defined there
from thermoflop.model.config.families.patterns import layer_indices
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.families.towers import tower
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    indices,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.projectors import linear, pooled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.model.architecture.description import Stack
    from thermoflop.model.architecture.mixers import Mixer
    from thermoflop.model.config.keys import Config


def _ratios(config: Config) -> Sequence[int]:
    """Tokens of an entry in each layer, 0 where it meets its window alone."""
    layers, ratios = config["num_hidden_layers"], config["compress_ratios"] or ()
    if any(ratio < 0 for ratio in ratios):
        raise InputError("compress_ratios holds a number below 0")
    return [*ratios[:layers], *[0] * (layers - len(ratios))]


def _kinds(config: Config) -> Sequence[str]:
    """What a layer does: it makes entries or takes those of a layer before, and it chooses among
    them (after a source of candidates, among those) or meets what a layer before chose."""
    makes, chooses = (
        set(layer_indices(config, key)) for key in ("kv_source_layer_ids", "index_source_layer_ids")
    )
    source, kinds = config["candidate_source_layer_id"], []
    made = chosen = False
    for layer, ratio in enumerate(_ratios(config)):
        made, chosen = made or layer in makes, chosen or layer in chooses
        if not ratio:
            kinds.append("window")
            continue
        if not (made and chosen):
            raise InputError(f"no layer before layer {layer} makes the entries that it meets")
        after = type(source) is int and 0 <= source < layer
        words = ["makes"] * (layer in makes)
        words += [f"chooses{' candidates' * after}"] * (layer in chooses)
        kinds.append(" ".join([str(ratio), *words]))
    return kinds


def _mixers(config: Config) -> dict[str, tuple[Mixer, str]]:
    return {kind: _mixer(config, kind) for kind in dict.fromkeys(_kinds(config))}


def _mixer(config: Config, kind: str) -> tuple[Mixer, str]:
    """The attention of one kind of layer, and its name."""
    hidden, heads, dim, q_rank, groups = (
        config[key]
        for key in ("hidden_size", "num_attention_heads", "head_dim", "q_lora_rank", "o_groups")
    )
    if heads * dim % groups:
        raise InputError(f"{heads} heads of {dim} do not divide into {groups} o_groups")
    rotary = config["qk_rope_head_dim"] or dim // 8
    compressor = indexer = top_k = candidates = None
    if kind != "window":
        ratio, top_k = int(kind.split()[0]), config["index_topk"]
        compressor = Compressor(hidden, dim, ratio, placed=False, gated=ratio > 1)
    if "chooses" in kind:
        small, makes = config["index_head_dim"], "makes" in kind
        indexer = Indexer(
            hidden, config["index_n_heads"], small, config["index_topk"], min(rotary, small),
            q_rank, norm="rms", latent=dim, borrows=not makes,
        )  # fmt: skip
    if "candidates" in kind and config["candidate_topk_blocks"]:
        candidates = config["candidate_topk_blocks"] * config["candidate_block_size"]
    mixer = CompressedAttention(
        hidden, heads, dim, q_rank, groups, config["o_lora_rank"], config["sliding_window"], rotary,
        compressor, indexer, head_norms=False, shares=kind != "window" and "makes" not in kind,
        top_k=top_k, candidates=candidates,
    )  # fmt: skip
    if kind == "window":
        return mixer, "sliding attention"
    whose = "own" if "makes" in kind else "shared"
    choice = ", choosing" * ("chooses" in kind) + " of candidates" * ("candidates" in kind)
    return mixer, f"attention to {whose} entries of {kind.split()[0]}{choice}"


def _shapes(config: Config) -> list[dict[str, Any]]:
    """The layers that look up n-grams."""
    layers, rows = layer_indices(config, "engram_layer_ids"), config["engram_num_embeddings"] or ()
    if len(rows) != len(layers) or any(count < 1 for count in rows):
        raise InputError(
            f"engram_num_embeddings names {len(rows)} tables for {len(layers)} engram_layer_ids"
        )
    shapes: list[dict[str, Any]] = [{} for _ in range(config["num_hidden_layers"])]
    hidden, count, dim = (config[key] for key in ("hidden_size", "hc_mult", "engram_head_dim"))
    found = (config["engram_max_ngram_size"] - 1) * config["engram_n_heads"]
    for layer, size in zip(layers, rows, strict=True):
        width = found * dim
        norms = (
            Placed(Norm(f"engram_{name}_norm", hidden, vectors=count, copies=count))
            for name in ("query", "key")
        )
        keys = Linear("engram_wkv", "ngram", "ngram", width, (count + 1) * hidden)
        table = Placed(Table("engram_embed", HASH_TABLES, size, dim), times=found)
        shapes[layer] = {"others": (table, Placed(keys), *norms)}
    return shapes


def _no_modules(_config: Config) -> None:
    raise UnknownModel("modules of DeepSeek-V4.1 that predict further (DSpark) are not described")


family(
    "deepseek_v41_text",
    "deepseek_v4",
    keys={
        **sizes(hidden=5120, layers=40),
        "q_lora_rank": 1280,
        "moe_intermediate_size": 2304,
        "n_routed_experts": 384,
        "index_n_heads": 32,
        "kv_source_layer_ids": indices(),
        "index_source_layer_ids": indices(),
        "candidate_source_layer_id": anything(-1),
        "candidate_topk_blocks": at_least_zero(2048),
        "candidate_block_size": 8,
        "engram_layer_ids": indices(),
        "engram_num_embeddings": indices(),
        "engram_max_ngram_size": 4,
        "engram_n_heads": 8,
        "engram_head_dim": 256,
    },
    traits={
        "kinds": _kinds,
        "ahead": _no_modules,
        "mixers": _mixers,
        "shapes": _shapes,
        "collapse": (),  # the last weights of a layer are those of the state behind it
    },
    drop=spaced("layer_types compress_rates compress_rate_csa compress_rate_hca"),
    ignored=spaced(
        "engram_vocab_size engram_compressed_vocab_size gate_temp"
        " dspark_block_size dspark_markov_rank dspark_n_routed_experts dspark_num_experts_per_tok"
        " dspark_target_layer_ids"
    ),
)
tower(
    "deepseek_v41_vision",
    keys={
        **sizes(hidden=1024, inner=2816, layers=32, heads=16, patch=14),
        "downsample_ratio": 3,
        "max_image_tokens": 1024,
        "min_pixels": 295936,
        "hidden_act": "silu",
    },
    traits={
        "channels": 3,
        "image": None,
        # cells of 3 x 3 patches, so many at most
        "rule": lambda config: (
            "smart",
            config["min_pixels"],
            config["max_image_tokens"] * (config["patch_size"] * config["downsample_ratio"]) ** 2,
        ),
        "merge": use("downsample_ratio"),
        "norm": "rms",
        "gated": True,
        "up_bias": False,
        "positions": 0,
        "post_norm": True,
    },
    ignored=("max_wh_ratio",),
)


def _aligner(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Patches of a cell side by side through two matrices."""
    seen = stack.hidden * tower["downsample_ratio"] ** 2
    two = linear("aligner w1", seen, hidden), linear("aligner w2", hidden, hidden)
    return replace(stack, tail=(*stack.tail, *pooled(*two)))


wrapper(
    "deepseek_v41",
    text_of("deepseek_v41_text", fixed=True, flat=True),
    eyes_of("deepseek_v41_vision", fixed=True, optional=True),
    _aligner,
    like="deepseek_v41_text",
)
