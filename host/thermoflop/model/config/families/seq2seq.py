"""Encoder-decoders. Defaults are those of the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.config.family import family

_SIDES = {
    "encoder_layers": 12,
    "encoder_ffn_dim": 4096,
    "encoder_attention_heads": 16,
    "decoder_layers": 12,
    "decoder_ffn_dim": 4096,
    "decoder_attention_heads": 16,
}
family(
    "bart",
    reader="seq2seq",
    keys={
        **_SIDES,
        "vocab_size": 50265,
        "d_model": 1024,
        "max_position_embeddings": 1024,
        "activation_function": "gelu",
        "tie_word_embeddings": True,
    },
    traits={"position_offset": 2, "embed_norm": True, "final_norm": False, "labels": 3},
    aliases={"hidden_size": "d_model", "num_attention_heads": "encoder_attention_heads"},
    overriding={"num_hidden_layers": "encoder_layers"},
    ignored=(
        "normalize_before",
        "normalize_embedding",
        "add_bias_logits",
        "add_final_layer_norm",
        "num_labels",
        "force_bos_token_to_be_generated",
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
        "tie_word_embeddings": True,
    },
    aliases={
        "hidden_size": "d_model",
        "num_attention_heads": "num_heads",
        "num_hidden_layers": "num_layers",
        "head_dim": "d_kv",
    },
    ignored=("dense_act_fn", "is_gated_act"),
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
)
