"""Pairs of an encoder and a decoder of families of their own, and the decoder of TrOCR."""

from __future__ import annotations

from thermoflop.model.config.family import Section, called, family, mapping, sizes

for _name in ("encoder-decoder", "vision-encoder-decoder"):
    family(
        _name,
        reader="pairs.pair",
        keys={"encoder": mapping(), "decoder": mapping()},
        # the pair itself ties nothing; the decoder's own key decides
        ignored=("tie_word_embeddings", "processor_class"),
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
    aliases=called(heads="decoder_attention_heads", hidden="d_model", layers="decoder_layers"),
)
family(
    "pix2struct_text_model",
    reader="pix2struct",
    keys={
        **sizes(vocab=50244, hidden=768),
        "d_kv": 64,
        "d_ff": 2048,
        "num_layers": 12,
        "num_heads": 12,
        "relative_attention_num_buckets": 32,
        "dense_act_fn": "gelu_new",
    },
    aliases={"num_attention_heads": "num_heads", "num_hidden_layers": "num_layers"},
    ignored=("tie_word_embeddings",),
)
family(
    "pix2struct_vision_model",
    reader="pix2struct",
    keys={
        **sizes(hidden=768, layers=12, heads=12),
        "patch_embed_hidden_size": 768,
        "d_ff": 2048,
        "d_kv": 64,
        "dense_act_fn": "gelu_new",
        "seq_len": 4096,
    },
    ignored=("relative_attention_num_buckets",),
)
family(
    "pix2struct",
    reader="pix2struct",
    # the whole decides about the tie, whatever the text says
    keys={"text_config": mapping(), "vision_config": mapping(), "tie_word_embeddings": False},
    traits={
        "sections": tuple(
            Section(f"{name}_config", f"pix2struct_{name}_model") for name in ("text", "vision")
        ),
        "note": "an image is 2,048 patches, as its processor cuts it, or as many as encoder= says",
    },
    ignored=("is_vqa",),
)
