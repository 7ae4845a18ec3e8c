"""Heads that draft for another model."""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear, Table, Vector
from thermoflop.model.config.families import dense, latent  # noqa: F401 - the parents are there
from thermoflop.model.config.families.patterns import by_place
from thermoflop.model.config.family import (
    anything,
    family,
    mapping,
    maybe_zero,
    names,
    sizes,
    spaced,
)
from thermoflop.model.config.keys import Config, is_count

_STATES = {
    "draft_vocab_size": None,  # None: all of vocab_size
    "target_hidden_size": None,  # None: as hidden_size
    "norm_before_fc": False,
    "fc_norm": False,
}
_EAGLE = {
    **_STATES,
    "num_hidden_layers": 1,
    "num_aux_hidden_states": None,
    "eagle_config": anything(),  # which layers' states it reads
    "eagle_aux_hidden_state_layer_ids": anything(),
}
# they say where a norm runs, which token a mask is, and what of the table a training changes
_ORDER = ("norm_before_residual", "norm_output", "embed_requires_grad", "pard_token")


def markov_head(config: Config) -> tuple[Placed, ...]:
    """DSpark's bias of each choice by the token before it, and its confidence in each."""
    hidden, rank, vocab = config["hidden_size"], config["markov_rank"], config["vocab_size"]
    group, choices = "draft_head", config["draft_vocab_size"] or vocab
    parts: list[Table | Linear] = []
    if rank:
        parts.append(Table("markov_w1", group, vocab, rank))
        parts.append(Linear("markov_w2", group, group, rank, choices, unquantized=True))
    if config["enable_confidence_head"]:
        seen = hidden + (rank if config["confidence_head_with_markov"] else 0)
        parts.append(Linear("confidence", group, group, seen, 1, True, unquantized=True))
    return tuple(map(Placed, parts))


def grouped_convolutions(config: Config) -> tuple[Placed, ...]:
    """DFlash 2's short convolutions on both sides of attention and of the feed-forward, whose taps
    a map of the state corrects; they run on groups of elements."""
    hidden = config["hidden_size"]
    taps, width = (_dflash(config, key) for key in ("conv_kernel_size", "conv_group_size"))
    if hidden % width:
        raise InputError(f"conv_group_size {width} does not divide a hidden size of {hidden}")
    where, outputs = ("draft_conv", "draft_conv"), 2 * taps * (hidden // width)
    return tuple(
        placed
        for name in ("attention_conv", "mlp_conv")
        for placed in (
            Placed(Linear(f"{name} taps", *where, hidden, outputs)),
            Placed(Vector(f"{name} kernel", "draft_conv", 2 * taps * hidden), "none"),
        )
    )


def candidate_selector(config: Config) -> tuple[Placed, ...]:
    """DFlash 2's choice among candidates, by codes of them and of the tokens before."""
    hidden, vocab, rank = (
        config["hidden_size"],
        config["vocab_size"],
        _dflash(config, "selector_rank"),
    )
    group = "draft_head"
    return (
        Placed(Linear("selector", group, group, hidden, rank, unquantized=True)),
        Placed(Table("predecessors", group, vocab, rank)),
        Placed(Table("successors", group, vocab, rank)),
    )


def _dflash(config: Config, key: str) -> int:
    """A count in ``dflash_config``, or beside it (speculators)."""
    value = (config["dflash_config"] or {}).get(key, config.raw.get(key))
    if not is_count(value):
        raise InputError(f"dflash_config needs {key}, a whole number")
    return value


family("eagle3", "llama", reader="eagle", keys=_EAGLE, ignored=_ORDER)
family("eagle3_qwen3", "qwen3", reader="eagle", keys=_EAGLE, ignored=_ORDER)
family("eagle3_deepseek", "deepseek_v3", reader="eagle", keys=_EAGLE, ignored=_ORDER)
family(
    "dflash",
    "qwen3",
    reader="drafters.dflash",
    keys={
        **_STATES,
        "dflash_config": mapping(),
        "has_own_lm_head": False,
        "target_layer_ids": anything(),
        "aux_hidden_state_layer_ids": anything(),
        "eagle_aux_hidden_state_layer_ids": anything(),
    },
    ignored=(
        *_ORDER,
        *spaced("block_size max_anchors num_target_layers sample_from_anchor"),
        "sliding_window_non_causal",
    ),
)
family(
    "dflash2",
    "dflash",
    keys={
        "conv_kernel_size": None,
        "conv_group_size": None,
        "selector_rank": None,
        "selector_top_k": None,
    },
    traits={"others": grouped_convolutions, "tail": candidate_selector},
)
family(
    "dspark",
    "dflash",
    keys={
        "markov_rank": maybe_zero(0),
        "enable_confidence_head": False,
        "confidence_head_with_markov": False,
    },
    traits={"tail": markov_head},
    ignored=("markov_head_type", "dspark_bonus_anchor", "use_aux_hidden_state"),
)
family(
    "muse_glimmer_assistant",
    "dflash",
    keys={
        **sizes(hidden=6656, inner=19968, layers=5, heads=32, kv_heads=8, head_dim=128),
        "sliding_window": 2048,
        "layer_types": names(),
    },
    traits={"vocab": 202048, "kinds": by_place(lambda _config, _at: "sliding"), "class": "Model"},
    drop=spaced(
        "use_sliding_window max_window_layers tie_word_embeddings attention_bias vocab_size"
    ),
)
family(
    "gemma4_assistant",
    reader="drafters.assistant",
    keys={
        "text_config": mapping(),
        "backbone_hidden_size": 1536,
        "use_ordered_embeddings": False,
        "num_centroids": 2048,
        "centroid_intermediate_top_k": 32,
        "tie_word_embeddings": True,
    },
    traits={"text": "gemma4"},
)
family(
    "gemma4_unified_assistant",
    "gemma4_assistant",
    keys={"backbone_hidden_size": 3840},
    traits={"text": "gemma4_unified"},
)
