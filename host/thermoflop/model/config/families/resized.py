"""Encoders whose layers run on fewer positions than the text has: Funnel and Perceiver.

Defaults are those of the classes of transformers 5.24; their readers say what is built.
"""

from __future__ import annotations

from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.mixers import Relative
from thermoflop.model.architecture.parts import Linear, Part, Vector
from thermoflop.model.config.family import at_least_zero, family, indices, spaced, use
from thermoflop.model.config.keys import Config
from thermoflop.model.config.pooled import block_sizes


def _relative(config: Config) -> Relative:
    """Queries meet relative positions, which are projected once for all sequences."""
    if config["attention_type"] != "relative_shift":
        raise UnknownModel("attention_type is not relative_shift: factorized is not described")
    width = config["n_head"] * config["d_head"]
    hidden = config["d_model"]
    return Relative(hidden, width, None, keys=True, queries=False, key_bias=False, once=True)


def _biases(_config: Config, heads: int, _kv_heads: int, dim: int) -> tuple[Part, ...]:
    """Biases of queries that meet content, positions and segments."""
    return (Vector("r_w, r_r, r_s bias", "attn", 3 * heads * dim),)


def _segments(config: Config) -> tuple[Placed, ...]:
    """Every query meets the same segment and the other one."""
    width = config["n_head"] * config["d_head"]
    return (Placed(Linear("seg_embed", "attn", "attn_score", width, 2)),)


family(
    "funnel",
    reader="pooled",
    keys={
        "vocab_size": 30522,
        "block_sizes": indices(),
        "block_repeats": indices(),
        "num_decoder_layers": at_least_zero(2),
        "d_model": 768,
        "n_head": 12,
        "d_head": 64,
        "d_inner": 3072,
        "hidden_act": "gelu_new",
        "attention_type": "relative_shift",
        "separate_cls": True,
        "truncate_seq": True,
        "pool_q_only": True,
        "tie_word_embeddings": True,
    },
    traits={
        "hidden": use("d_model"),
        "layers": lambda config: sum(size for size, _ in block_sizes(config)),
        "heads": use("n_head"),
        "kv_heads": None,
        "head_dim": use("d_head"),
        "inner": use("d_inner"),
        "q_bias": False,
        "k_bias": True,
        "v_bias": True,
        "positions": 0,
        "types": 0,
        "relative": _relative,
        "attention_extras": _biases,
        "others": _segments,
        "transform": False,
        "pooler": (),
        "classifier": "dense",
        "discriminates": True,
        "classes": ("masked", "pre-training", "sequence", "token", "question", "choice", "bare"),
    },
    aliases={"hidden_size": "d_model", "num_attention_heads": "n_head"},
    # the last three are those of published files, and no class reads them
    ignored=("pooling_type", "rel_attn_type", "base", "type_vocab_size"),
)
family(
    "perceiver",
    reader="latents",
    keys={
        "vocab_size": 262,
        "max_position_embeddings": 2048,
        "num_latents": 256,
        "d_latents": 1280,
        "d_model": 768,
        "num_blocks": 1,
        "num_self_attends_per_block": 26,
        "num_self_attention_heads": 8,
        "num_cross_attention_heads": 8,
        "qk_channels": None,
        "v_channels": None,
        "cross_attention_shape_for_attention": "kv",
        "self_attention_widening_factor": 1,
        "cross_attention_widening_factor": 1,
        "hidden_act": "gelu",
    },
    traits={"note": "a text is answered at every position that its table has"},
    # of what sees, hears and answers otherwise
    ignored=spaced(
        "use_query_residual image_size train_size num_frames output_shape audio_samples_per_frame"
        " samples_per_patch output_num_channels _label_trainable_num_channels tie_word_embeddings"
    ),
)
