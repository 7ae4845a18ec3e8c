"""Pairs of an encoder and a decoder of families of their own, and the decoder of TrOCR."""

from __future__ import annotations

from thermoflop.model.config.family import family, mapping

for _name in ("encoder-decoder", "vision-encoder-decoder"):
    family(
        _name,
        reader="pairs.pair",
        keys={"encoder": mapping(), "decoder": mapping()},
        # the pair itself ties nothing; the decoder's own key decides
        ignored=("tie_word_embeddings", "decoder_start_token_id", "processor_class"),
    )
family(
    "trocr",
    reader="pairs.trocr",
    keys={
        "vocab_size": 50265,
        "d_model": 1024,
        "decoder_layers": 12,
        "decoder_attention_heads": 16,
        "decoder_ffn_dim": 4096,
        "activation_function": "gelu",
        "max_position_embeddings": 512,
        "use_learned_position_embeddings": True,
        "layernorm_embedding": True,
        "cross_attention_hidden_size": None,
        "tie_word_embeddings": True,
    },
    aliases={
        "num_attention_heads": "decoder_attention_heads",
        "hidden_size": "d_model",
        "num_hidden_layers": "decoder_layers",
    },
    ignored=("decoder_layerdrop", "scale_embedding", "activation_dropout", "init_std"),
)
