"""Models that see. Defaults are those of the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.config.family import Key, anything, family, mapping, sizes, spaced, use

_TOWER = sizes(hidden=768, inner=3072, layers=12, heads=12, channels=3, image=224)
family(
    "vit",
    reader="alone.vision",
    keys={
        **_TOWER,
        "patch_size": 16,
        "hidden_act": "gelu",
        "qkv_bias": True,
        "pooler_output_size": None,
    },
    traits={"class_tokens": 1},
    ignored=("tie_word_embeddings",),
)
family("deit", "vit", traits={"class_tokens": 2})
family(
    "clip_text_model",
    reader="alone.clip_text",
    keys={
        **sizes(vocab=49408, hidden=512, inner=2048, layers=12, heads=8),
        "max_position_embeddings": 77,
        "hidden_act": "quick_gelu",
        "projection_dim": 512,
    },
    ignored=("tie_word_embeddings",),
)
family(
    "clip_vision_model",
    reader="alone.clip_vision",
    keys={**_TOWER, "patch_size": 32, "hidden_act": "quick_gelu", "projection_dim": 512},
    traits={"patch_bias": False, "class_tokens": 1, "pre_norm": True, "post_norm": True},
    ignored=("tie_word_embeddings", "vocab_size"),
)
family(
    "siglip_vision_model",
    reader="alone",
    keys={**_TOWER, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "vision_use_head": True},
    traits={
        "post_norm": True,
        "pooling": use("vision_use_head"),
        "classes": ("image half",),
        "class": "VisionModel",
    },
    ignored=("tie_word_embeddings", "projection_dim", "vocab_size"),
)
family(
    "clip",
    reader="alone.clip",
    keys={"projection_dim": 512, "text_config": mapping(), "vision_config": mapping()},
    ignored=("text_config_dict", "vision_config_dict", "tie_word_embeddings"),
)
family(
    "swin",
    reader="swin",
    keys={
        **sizes(image=anything(224), patch=anything(4), channels=3),
        "embed_dim": 96,
        "depths": Key("indices", (2, 2, 6, 2)),
        "num_heads": Key("indices", (3, 6, 12, 24)),
        "window_size": 7,
        "mlp_ratio": anything(4.0),
        "qkv_bias": True,
        "hidden_act": "gelu",
        "use_absolute_embeddings": False,
        "encoder_stride": 32,
    },
    aliases={"num_attention_heads": "num_heads"},
    # the class makes them of depths and embed_dim; path_norm is of the original code
    ignored=spaced(
        "num_layers num_hidden_layers hidden_size drop_path_rate path_norm out_features"
        " out_indices stage_names"
    ),
)
family("swinv2", "swin", ignored=("pretrained_window_sizes",))
