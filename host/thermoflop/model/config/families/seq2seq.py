"""Encoder-decoders. Defaults are those of the classes of transformers 5."""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Table
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.family import (
    Key,
    at_least_zero,
    called,
    family,
    maybe,
    maybe_zero,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config

# a step of a layer that no model has as many layers as
LARGEST_COUNT = 10**9
_HALVES = ("causal", "encoder", "decoder")


def _sides(
    encoder: int = 12, inner: int = 4096, heads: int = 16, decoder: int = 0
) -> dict[str, int]:
    """Layers, width and heads of both sides; as many layers in both unless said."""
    layers = {"encoder_layers": encoder, "decoder_layers": decoder or encoder}
    widths = {f"{side}_ffn_dim": inner for side in ("encoder", "decoder")}
    return {**layers, **widths, **{f"{s}_attention_heads": heads for s in ("encoder", "decoder")}}


family(
    "bart",
    reader="seq2seq",
    keys={
        **_sides(),
        "vocab_size": 50265,
        "d_model": 1024,
        "max_position_embeddings": 1024,
        "activation_function": "gelu",
        "tie_word_embeddings": True,
    },
    traits={"position_offset": 2, "embed_norm": True, "final_norm": False, "labels": 3},
    aliases={"hidden_size": "d_model", "num_attention_heads": "encoder_attention_heads"},
    overriding={"num_hidden_layers": "encoder_layers"},
    ignored=spaced(
        "normalize_before normalize_embedding add_bias_logits add_final_layer_norm"
        " force_bos_token_to_be_generated"
    ),
)
family("mbart", "bart", traits={"final_norm": True, "labels": 2})
family(
    "whisper",
    reader="seq2seq.whisper",
    keys={
        "vocab_size": 51865,
        "num_mel_bins": 80,
        "encoder_layers": 4,
        "encoder_attention_heads": 6,
        "decoder_layers": 4,
        "decoder_attention_heads": 6,
        "encoder_ffn_dim": 1536,
        "decoder_ffn_dim": 1536,
        "d_model": 384,
        "max_source_positions": 1500,
        "max_target_positions": 448,
        "activation_function": "gelu",
        "tie_word_embeddings": True,
    },
    aliases={"hidden_size": "d_model", "num_attention_heads": "encoder_attention_heads"},
    overriding={"num_hidden_layers": "encoder_layers"},
    ignored=("classifier_proj_size", "use_weighted_layer_sum"),
)
family(
    "t5",
    reader="seq2seq.t5",
    keys={
        "vocab_size": 32128,
        "d_model": 512,
        "d_kv": 64,
        "d_ff": 2048,
        "num_layers": 6,
        "num_decoder_layers": None,
        "num_heads": 8,
        "relative_attention_num_buckets": 32,
        "feed_forward_proj": "relu",
        "is_gated_act": Key("flag", None, nullable=True),
        "tie_word_embeddings": True,
    },
    aliases=called(hidden="d_model", heads="num_heads", layers="num_layers", head_dim="d_kv"),
    # how numbers become tokens, and back (Chronos)
    ignored=("dense_act_fn", "chronos_config"),
)
family(
    "mt5",
    "t5",
    keys={
        "vocab_size": 250112,
        "d_ff": 1024,
        "num_layers": 8,
        "num_heads": 6,
        "feed_forward_proj": "gated-gelu",
    },
    traits={"tied": True},  # MT5Config forces it: published files say false, and are tied
    ignored=("tie_word_embeddings",),
)
family(
    "umt5",
    "mt5",
    keys={"num_decoder_layers": maybe(8)},
    traits={"every_layer": True},
    ignored=("scalable_attention",),
)


def _summarizes(config: Config) -> bool:
    """LongT5 with summaries of blocks: a second bias, and a norm in each layer of the encoder."""
    kind = config["encoder_attention_type"]
    if kind not in ("local", "transient-global"):
        raise InputError(
            f"encoder_attention_type is {kind[:40]!r}: expected local or transient-global"
        )
    return bool(kind == "transient-global")


# local attention and its summaries are counted in full, as every attention is
family(
    "longt5",
    "t5",
    keys={"encoder_attention_type": "local"},
    traits={
        "note": "its local attention is counted in full",
        "tied": True,
        "summaries": _summarizes,
    },
    ignored=("tie_word_embeddings", "local_radius", "global_block_size"),
)


def _switch_mixtures(config: Config) -> tuple[tuple[int, int, int], ...]:
    """Every so many layers one is a mixture, from the second on; with one in one, all are."""
    sides = []
    for side, layers in (("encoder", "num_layers"), ("decoder", "num_decoder_layers")):
        count = config[layers] or config["num_layers"]
        sparse = config[f"num_sparse_{side}_layers"]
        stated = config[f"{side}_sparse_step"]  # as transformers 5 writes it, and reads it first
        step = stated if stated is not None else count // sparse if sparse else count
        several = len(range(1, count, step)) if step > 1 else count * step
        sides.append((several, config["num_experts"], 1))
    return tuple(sides)


family(
    "switch_transformers",
    "t5",
    keys={
        "d_model": 768,
        "num_layers": 12,
        "num_decoder_layers": maybe(12),
        "num_heads": 12,
        "num_sparse_encoder_layers": at_least_zero(3),
        "num_sparse_decoder_layers": at_least_zero(3),
        "num_experts": 8,
        "router_bias": False,
        "encoder_sparse_step": maybe_zero(None),
        "decoder_sparse_step": maybe_zero(None),
    },
    traits={
        "mixtures": _switch_mixtures,
        "router_bias": use("router_bias"),
        "tables_tied": use("tie_word_embeddings"),
        "half_keeps_tokens": True,
        "classes": ("generation", "bare", "encoder"),
    },
    ignored=(
        *("expert_capacity", "router_ignore_padding_tokens", "add_router_probs"),
        *("feed_forward_proj", "is_gated_act"),
        # one expert a token, by a mask over tokens: the class has no other router
        *("num_selected_experts", "router_type"),
    ),
)
family(
    "plbart",
    "bart",
    keys={"vocab_size": 50005, "d_model": 768, **_sides(6, 3072, 12)},
    traits={"labels": 2, "classes": ("generation", "bare", "sequence", *_HALVES)},
)
family(
    "mvp",
    "bart",
    keys={"vocab_size": 50267},
    traits={"labels": 2},
    ignored=("prompt_length", "prompt_mid_dim"),
)
family(
    "blenderbot-small",
    "bart",
    keys={"d_model": 512, "max_position_embeddings": 512, **_sides(8, 2048)},
    traits={"position_offset": 0, "classes": ("generation", "bare", *_HALVES)},
)
family(
    "blenderbot",
    "blenderbot-small",
    keys={
        "vocab_size": 8008,
        "d_model": 2560,
        "max_position_embeddings": 128,
        **_sides(2, 10240, 32, 24),
    },
    traits={"embed_norm": False, "final_norm": True},
)
family(
    "pegasus",
    "blenderbot",
    keys={
        "vocab_size": 50265,
        "d_model": 1024,
        "max_position_embeddings": 1024,
        **_sides(),
    },
)
family(
    "m2m_100",
    "pegasus",
    keys={"vocab_size": 128112, "activation_function": "relu"},
    traits={"positions": (0, 0), "classes": ("generation", "bare", "encoder", "decoder")},
)
family(
    "nllb-moe",
    "m2m_100",
    keys={
        "num_experts": 128,
        "encoder_sparse_step": at_least_zero(4),
        "decoder_sparse_step": at_least_zero(4),
        "router_bias": False,
    },
    traits={
        "mixtures": lambda config: tuple(
            (
                config[f"{side}_layers"] // (config[f"{side}_sparse_step"] or LARGEST_COUNT),
                config["num_experts"],
                2,
            )
            for side in ("encoder", "decoder")
        ),
        "router_bias": use("router_bias"),
    },
    ignored=spaced(
        "expert_capacity second_expert_policy router_ignore_padding_tokens"
        " normalize_router_prob_before_dropping batch_prioritized_routing"
        " moe_eval_capacity_token_fraction"
    ),
)


def _marian_tables(config: Config) -> bool:
    """One table for both languages; two of different sizes are not described."""
    if not config["share_encoder_decoder_embeddings"]:
        raise InputError("marian with a vocabulary of its own for each language is not understood")
    return bool(config["tie_word_embeddings"])


family(
    "marian",
    "pegasus",
    keys={
        "vocab_size": 58101,
        "decoder_vocab_size": None,
        "share_encoder_decoder_embeddings": True,
    },
    traits={"final_norm": False, "tables_tied": _marian_tables},
)
family(
    "bigbird_pegasus",
    "bart",
    keys={
        "vocab_size": 96103,
        "max_position_embeddings": 4096,
        "use_bias": False,
        **_sides(16),
    },
    traits={
        "note": "its block-sparse attention is counted in full, as short sequences run it",
        "bias": lambda config: (config["use_bias"], config["use_bias"]),
        "position_offset": 0,
        "labels": 2,
        "causal_tied": False,
    },
    # a sequence of up to (5 + 2 random blocks) blocks is attended in full, as counted here
    ignored=("attention_type", "block_size", "num_random_blocks"),
)
family(
    "led",
    "bart",
    keys={"max_encoder_position_embeddings": 16384, "max_decoder_position_embeddings": 1024},
    drop=("max_position_embeddings",),
    traits={
        "note": "its local attention is counted in full",
        "positions": lambda config: (
            config["max_encoder_position_embeddings"],
            config["max_decoder_position_embeddings"],
        ),
        "position_offset": 0,
        "labels": 2,
        "watches": True,
        "classes": ("generation", "bare", "question", "encoder", "decoder"),
    },
    # the window narrows what is attended, not what is counted: every query meets every key
    ignored=("attention_window",),
)


def _own_tables(config: Config) -> bool:
    """A table for each language, or one for both, which then have one vocabulary."""
    tied = config["tie_word_embeddings"]
    if tied and config["src_vocab_size"] != config["tgt_vocab_size"]:
        raise InputError("fsmt with tie_word_embeddings needs one size of both vocabularies")
    return bool(tied)


family(
    "fsmt",
    "bart",
    keys={
        "src_vocab_size": 42024,
        "tgt_vocab_size": 42024,
        "pad_token_id": at_least_zero(1),
        "activation_function": "relu",
        "tie_word_embeddings": False,
    },
    drop=("vocab_size",),
    aliases={"vocab_size": "tgt_vocab_size"},
    traits={
        "source_vocab": use("src_vocab_size"),
        "tables_tied": _own_tables,
        # positions start behind the padding's number
        "position_offset": lambda config: config["pad_token_id"] + 1,
        "embed_norm": False,
        "classes": ("generation",),
    },
    ignored=("langs", "decoder"),
)
family(
    "pegasus_x",
    "pegasus",
    keys={
        "vocab_size": 96103,
        "max_position_embeddings": 16384,
        "num_global_tokens": 32,
        **_sides(16),
    },
    traits={
        "note": "its local attention is counted in full, without its global tokens",
        "bias": (False, False),
        "positions": (0, 0),
        "carried": lambda config: (layer_norm("global_norm", config["d_model"]),),
        "extras": lambda config: (
            Placed(
                Table("embed_global", "embed_pos", config["num_global_tokens"], config["d_model"]),
                "none",
            ),
        ),
        "classes": ("generation", "bare"),
    },
    ignored=("block_size", "stagger_local_blocks", "separate_layernorm_for_global"),
)
