"""Towers and texts of wrappers of 2025 and 2026. Defaults: the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.architecture.recurrences import ShortConvolution
from thermoflop.model.config.families import (  # noqa: F401 - parents are there
    expert_kin,
    mixtures,
    qwen_towers,
)
from thermoflop.model.config.families.patterns import by_place
from thermoflop.model.config.families.seers import multiple_of_hidden
from thermoflop.model.config.families.towers import BARE, VIT, tower
from thermoflop.model.config.family import Key, at_least_zero, family, names, sizes, spaced, use
from thermoflop.model.config.hearing import samples_alone, staged_stack, strided_stack
from thermoflop.model.config.keys import Config
from thermoflop.model.config.tower import patches_alone, ratio_of


def times_ratio(config: Config) -> int:
    """Neurons: ``mlp_ratio`` times the hidden size, cut to a whole number as classes do."""
    return max(1, int(config["hidden_size"] * ratio_of(config)))


family("qianfan_ocr_vision", "internvl_vision", keys={"attention_bias": True})
tower(
    "ovis2_vision",
    keys={
        **VIT,
        **sizes(hidden=1024, inner=2816, layers=24, heads=8, patch=14, vocab=16384),
        "qkv_bias": False,
        "mlp_bias": False,
        "hidden_act": "silu",
        "hidden_stride": 1,
        "num_visual_indicator_tokens": at_least_zero(5),
    },
    traits={
        **BARE,
        "q_bias": use("qkv_bias"),
        "o_bias": use("qkv_bias"),
        "up_bias": use("mlp_bias"),
        "pre_norm": True,
        "post_norm": True,
    },
    ignored=("tokenize_function",),
)
tower(
    "janus_vision_model",
    keys={
        **{key: value for key, value in VIT.items() if key != "intermediate_size"},
        **sizes(hidden=1024, layers=24, heads=16, image=384),
        "mlp_ratio": Key("any", 4.0),
        "attention_bias": True,
        "projection_dim": 2048,
        "use_qk_norm": False,
        "depth": 2,
    },
    traits={
        "inner": times_ratio,
        "q_bias": use("attention_bias"),
        "qk_norm": lambda config: "full" if config["use_qk_norm"] else None,
        "qk_norm_bias": True,
        "post_norm": True,
    },
)
tower(
    "janus_vqgan",
    keys={
        "embed_dim": 8,
        "num_embeddings": 16384,
        "double_latent": False,
        "latent_channels": 256,
        "in_channels": 3,
        "base_channels": 128,
        "channel_multiplier": Key("indices", (1, 1, 2, 2, 4)),
        "num_res_blocks": 2,
        "out_channels": 3,
        "projection_dim": 2048,
        "num_hidden_layers": 2,
        "image_token_embed_dim": 2048,
    },
    ignored=("num_patches",),
)
tower(
    "cosmos3_edge_vision",
    keys={
        **{key: value for key, value in VIT.items() if key != "image_size"},
        **sizes(hidden=1152, inner=4304, layers=27, heads=16),
        "num_patches": 256,
        "spatial_merge_size": 2,
        "hidden_act": "gelu_pytorch_tanh",
    },
    traits={"rule": ("smart", 65536, 16777216), "positions": use("num_patches"), "post_norm": True},
)
for _name in ("minicpmv4_6_vision", "minicpm_ocr_vision", "minicpmv4_7_vision"):
    tower(
        _name,
        keys={
            **VIT,
            "hidden_act": "gelu_pytorch_tanh",
            "insert_layer_id": Key("any", 6),  # the wrapper's own decides
            "window_kernel_size": Key("indices", (2, 2)),
        },
        # the table holds an image of its own size; images keep theirs, and meet no other piece
        traits={"post_norm": True, "windowed": use("num_hidden_layers")},
    )


tower(
    "lfm3_vl_vision",
    keys={
        **sizes(hidden=1024, inner=2560, patch=16, layers=14, heads=16, kv_heads=8),
        "in_channels": 3,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "layer_types": names(),
        "conv_kernel_size": 3,
    },
    traits={
        **BARE,
        "activation": "silu",
        "channels": use("in_channels"),
        "patch_bias": False,
        "rule": ("smart", 65536, 16777216),
        "positions": 0,
        "qk_norm": "head",
        "norm_bias": False,
        "kinds": by_place(lambda _, at: "conv" if at < 2 or at % 2 else "full"),
        "mixers": lambda config: {
            "conv": (
                ShortConvolution(config["hidden_size"], config["conv_kernel_size"] ** 2),
                "convolution",
            )
        },
        "post_norm": True,
    },
)
family(
    "ernie4_5_vl_moe_vision",
    "qwen2_vl_vision",
    keys={**sizes(hidden=1280, inner=5120), "temporal_merge_size": 2},
    traits={
        "inner": use("intermediate_size"),
        "post_norm": True,
        "tail": None,
        "merge": 1,
    },
    drop=("embed_dim", "mlp_ratio", "temporal_patch_size"),
)
tower(
    "molmo2_vision",
    keys={
        **VIT,
        **sizes(hidden=1152, inner=4304, layers=25, heads=16, kv_heads=16, patch=14),
        "head_dim": 72,
        "image_size": Key("indices", (378, 378), nullable=True),
        "num_position_embeddings": None,
        "attention_bias": True,
        "hidden_act": "gelu_pytorch_tanh",
    },
    traits={
        "image": lambda config: config["image_size"] or (378, 378),
        "q_bias": use("attention_bias"),
        "o_bias": use("attention_bias"),
        "positions": lambda config: config["num_position_embeddings"] or "grid",
    },
)
family(
    "molmo2_adapter",
    reader="tower",
    keys={
        "vision_feature_layer": Key("indices", (24, 18), nullable=True),
        **sizes(hidden=1152, heads=16, kv_heads=16, head_dim=72, inner=18944),
        "attention_bias": True,
        "text_hidden_size": 3584,
        "mlp_bias": False,
    },
)


def _windowed(config: Config) -> int:
    """Layers that attend within windows; every fourth one and the last one see all."""
    kinds, layers = config["layer_types"], config["num_hidden_layers"]
    if kinds is None:
        return sum((at + 1) % 4 != 0 and at != layers - 1 for at in range(layers))
    return sum(kind == "window_attention" for kind in kinds[:layers])


for _name in ("muse_glimmer", "muse_spark"):
    tower(
        f"{_name}_vision",
        keys={
            **sizes(hidden=1536, inner=8960, layers=50, heads=16, patch=14),
            "patch_temporal": 2,
            "merge_size": 2,
            "pos_emb_height": 32,
            "pos_emb_width": 32,
            "layer_types": names(),
            "hidden_act": "gelu",
        },
        traits={
            "channels": 3,
            "frames": use("patch_temporal"),
            "patch_bias": False,
            "rule": ("smart", 65536, 16777216),
            "positions": lambda config: config["pos_emb_height"] * config["pos_emb_width"],
            "window": lambda config: config["pos_emb_height"] * config["patch_size"],
            "windowed": _windowed,
            "pre_norm": True,
            "post_norm": True,
        },
    )


tower(
    "radio",
    keys={
        **{key: value for key, value in VIT.items() if key != "intermediate_size"},
        **sizes(hidden=1280, layers=32, heads=16),
        "mlp_ratio": Key("any", 4.0),
        "use_swiglu_ffn": False,
        "qkv_bias": True,
        "max_img_size": 2048,
        "num_cls_tokens": 3,
        "num_registers": at_least_zero(7),
        "video_temporal_patch_size": None,
    },
    traits={
        "inner": multiple_of_hidden,
        "gated": use("use_swiglu_ffn"),
        "patch_bias": False,
        "class_tokens": lambda config: config["num_cls_tokens"] + config["num_registers"],
        "positions": lambda config: (config["max_img_size"] // config["patch_size"]) ** 2,
        "scales": 2,
        "tail": lambda config: moving_patches(config, config["hidden_size"]),
    },
    ignored=spaced("patch_dim video_patch_dim summary_idxs layerscale_value norm_mean norm_std"),
)


def moving_patches(config: Config, hidden: int) -> tuple[Placed, ...]:
    """Patches of several frames have a matrix of their own."""
    frames = config["video_temporal_patch_size"]
    if frames in (None, 1):
        return ()
    seen = frames * config["num_channels"] * config["patch_size"] ** 2
    role = "patch_embed"
    return (Placed(Linear("video_patch_projection", role, role, seen, hidden), "none"),)


tower(
    "qwen3_omni_moe_audio_encoder",
    keys={
        "num_mel_bins": 128,
        "encoder_layers": 32,
        "encoder_attention_heads": 20,
        "encoder_ffn_dim": 5120,
        "d_model": 1280,
        "activation_function": "gelu",
        "n_window_infer": 800,
        "output_dim": 3584,
        "downsample_hidden_size": 480,
    },
    traits={"stack": strided_stack},
    aliases={"hidden_size": "d_model", "num_hidden_layers": "encoder_layers"},
    ignored=("max_source_positions", "n_window", "conv_chunksize"),
)
tower(
    "gemma4_unified_vision",
    keys={
        "patch_size": 16,
        "pooling_kernel_size": 3,
        "mm_embed_dim": 3840,
        "mm_posemb_size": 1120,
        "output_proj_dims": 3840,
    },
    traits={"stack": patches_alone},
    ignored=("model_patch_size", "num_soft_tokens"),
)
tower(
    "gemma4_unified_audio",
    keys={"audio_embed_dim": 640},
    traits={"stack": samples_alone},
    aliases={"hidden_size": "audio_embed_dim", "output_proj_dims": "audio_embed_dim"},
    ignored=("audio_samples_per_token",),
)


tower(
    "muse_spark_audio",
    keys={
        "patch_sizes": Key("indices", (16, 6, 5, 4)),
        "hidden_sizes": Key("indices", (256, 512, 1024, 2048)),
        "depths": Key("indices", (2, 2, 2, 2)),
        "mlp_ratio": Key("any", 4.0),
        "conv_kernel_size": 7,
        "hidden_act": "gelu",
        "out_hidden_size": 8192,
    },
    traits={"stack": staged_stack},
    ignored=("num_hidden_layers",),
)
