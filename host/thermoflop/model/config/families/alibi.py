"""Decoders of the years in which positions were linear biases: BLOOM, Falcon, MPT.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.config.families.classic import ALL_BIASES, LAYER_NORM, four_times
from thermoflop.model.config.family import called, family, mapping, sizes, use
from thermoflop.model.config.keys import Config

family(
    "bloom",
    keys={
        **sizes(vocab=250880, hidden=64),
        "n_layer": 2,
        "n_head": 8,
        "tie_word_embeddings": True,
    },
    traits={
        **LAYER_NORM,
        **ALL_BIASES,
        "inner": lambda config: 4 * config["hidden_size"],
        "gated": False,
        "activation": "gelu",
        "embed_norm": True,
        "rotary": False,
    },
    aliases={**called(layers="n_layer", heads="n_head"), "n_embed": "hidden_size"},
)


def _falcon_kv_heads(config: Config) -> int | None:
    """The new architecture groups heads; the old one has one key head, or all of them."""
    if config["new_decoder_architecture"]:
        heads: int | None = config["num_kv_heads"]
        return heads
    return 1 if config["multi_query"] else None


def _falcon_norms(config: Config) -> int:
    """Two norms, unless attention and MLP run side by side from the same one."""
    if not config["parallel_attn"]:
        return 2
    default = 2 if config["new_decoder_architecture"] else 1
    count: int = config["num_ln_in_parallel_attn"] or default
    if count > 2:
        raise InputError(f"num_ln_in_parallel_attn is {count} where 1 or 2 is expected")
    return count


family(
    "falcon",
    keys={
        **sizes(vocab=65024, hidden=4544, layers=32, heads=71),
        "num_kv_heads": None,
        "num_ln_in_parallel_attn": None,
        "ffn_hidden_size": None,
        "alibi": False,
        "bias": False,
        "multi_query": True,
        "new_decoder_architecture": False,
        "parallel_attn": True,
        "activation": "gelu",
        "tie_word_embeddings": True,
    },
    traits={
        **LAYER_NORM,
        "kv_heads": _falcon_kv_heads,
        "inner": four_times("ffn_hidden_size", "hidden_size"),
        "layer_norms": _falcon_norms,
        "gated": False,
        "activation": use("activation"),
        "q_bias": use("bias"),
        "o_bias": use("bias"),
        "up_bias": use("bias"),
        "rotary": lambda config: not config["alibi"],
    },
    aliases={"n_layer": "num_hidden_layers", "n_head": "num_attention_heads"},
)


def _mpt_attention(config: Config) -> None:
    """MPT options that the class ignores and a checkpoint might use are refused by name."""
    options = config["attn_config"] or {}
    heads = config["n_heads"]
    changed = {
        "qk_ln": options.get("qk_ln") not in (None, False),
        "kv_n_heads": options.get("kv_n_heads") not in (None, heads),
        "attn_type": options.get("attn_type") not in (None, "multihead_attention"),
        "sliding_window_size": options.get("sliding_window_size") not in (None, -1),
    }
    for name, is_changed in changed.items():
        if is_changed:
            raise UnknownModel(
                f"attn_config.{name} = {quote_value(options[name])} is not understood for mpt"
            )


def _mpt_inner(config: Config) -> int:
    _mpt_attention(config)
    if config["expansion_ratio"] != 4:
        raise UnknownModel(
            f"expansion_ratio = {config['expansion_ratio']} is not understood for mpt: the class "
            "makes 4 of it"
        )
    inner: int = 4 * config["d_model"]
    return inner


family(
    "mpt",
    keys={
        "vocab_size": 50368,
        "d_model": 2048,
        "n_heads": 16,
        "n_layers": 24,
        "expansion_ratio": 4,
        "no_bias": True,
        "attn_config": mapping(),
        "tie_word_embeddings": True,
    },
    traits={
        "norm": "layer",
        "inner": _mpt_inner,
        "activation": "gelu",
        "gated": False,
        "rotary": False,
    },
    aliases=called(hidden="d_model", heads="n_heads", layers="n_layers"),
    ignored=("learned_pos_emb", "norm_type", "embedding_fraction", "fc_type"),
)
