"""Towers that see, as parts of other models. Defaults are those of the classes of transformers 5.

A tower that ends in a merger of its own (Qwen's and GLM's) has it in ``tail``; what a wrapper puts
behind a tower is its projector.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed, Run, Stack
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.parts import Convolution, Norm, Table, Vector
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.family import Key, anything, family, indices, use
from thermoflop.model.config.hearing import phi_stack, whisper_stack
from thermoflop.model.config.keys import Traits
from thermoflop.model.config.projectors import linear, pooled
from thermoflop.model.config.tower import DEFAULTS as TOWER
from thermoflop.model.config.tower import layer_runs, patch_grid, tower_front

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.architecture.parts import Part
    from thermoflop.model.config.keys import Config

# Keys of towers that change no count: what published files hold beside those of the class.
_SPARE = (
    "tie_word_embeddings",
    "num_labels",
    "projection_dim",
    "projector_hidden_act",
    "num_image_tokens",
    "vocab_size",
    "image_mean",
    "image_std",
    "in_chans",
    "spatial_patch_size",
    "tokens_per_second",
    "output_attentions",
    "max_image_size",
    "size",
    "use_base_siglip",
    "attention_bias_",
    "rope_mode",
    "position_embedding_type",
    "vision_segment_max_frames",
    "img_token_compression_config",
    "default_output_length",
    "return_dict",
)
_VIT = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "gelu",
}


# no biases, gated, RMS norms: as language models are built
_BARE = {"q_bias": False, "o_bias": False, "up_bias": False, "gated": True, "norm": "rms"}

family(
    "pixtral",
    reader="tower",
    keys={
        **_VIT,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 1024,
    },
    traits={
        **_BARE,
        "image": None,
        "rule": lambda config: ("longest", config["image_size"]),
        "patch_bias": False,
        "pre_norm": True,
        "positions": 0,
    },
    ignored=(*_SPARE, "head_dim"),
)
family(
    "siglip2_vision_model",
    reader="alone",
    keys={
        **_VIT,
        "num_patches": 256,
        "hidden_act": "gelu_pytorch_tanh",
        "vision_use_head": True,
    },
    traits={
        "image": lambda config: config["patch_size"] * _root(config, "num_patches"),
        "positions": use("num_patches"),
        "post_norm": True,
        "pooling": use("vision_use_head"),
        "classes": ("image half",),
        "class": "VisionModel",
    },
    drop=("image_size",),
    ignored=(*_SPARE, "image_size"),
)


def _root(config: Config, key: str) -> int:
    """The side of a square of so many patches."""
    return int(config[key] ** 0.5)


family(
    "idefics3_vision",
    reader="tower",
    keys={
        **_VIT,
        "hidden_size": 1152,
        "num_attention_heads": 16,
        "patch_size": 32,
        "hidden_act": "gelu_pytorch_tanh",
    },
    traits={"post_norm": True},
    ignored=_SPARE,
)
family("smolvlm_vision", "idefics3_vision")
family(
    "internvl_vision",
    reader="tower",
    keys={
        **_VIT,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": anything(),
        "patch_size": anything(),
        "attention_bias": False,
        "use_qk_norm": False,
        "use_mask_token": False,
        "use_absolute_position_embeddings": True,
        "use_mean_pooling": True,
        "norm_type": "layer_norm",
    },
    traits={
        "image": lambda config: config["image_size"] or 448,
        "patch": lambda config: config["patch_size"] or 14,
        "q_bias": use("attention_bias"),
        "qk_norm": lambda config: "full" if config["use_qk_norm"] else None,
        "qk_norm_kind": "rms",
        "class_tokens": 1,
        "mask_token": use("use_mask_token"),
        "positions": lambda config: "grid" if config["use_absolute_position_embeddings"] else 0,
        "post_norm": lambda config: not config["use_mean_pooling"],
        "norm": lambda config: _norm_kind(config),
        "scales": 2,
    },
    ignored=(*_SPARE, "layer_scale_init_value"),
)


def _norm_kind(config: Config) -> str:
    """InternVL names its norms."""
    kinds = {"layer_norm": "layer", "rms_norm": "rms"}
    if config["norm_type"] not in kinds:
        raise InputError(f"norm_type is {quote_value(config['norm_type'])}: expected layer_norm")
    return kinds[config["norm_type"]]


family(
    "llama4_vision_model",
    reader="tower",
    keys={
        **_VIT,
        "intermediate_size": 5632,
        "num_hidden_layers": 34,
        "num_attention_heads": 16,
        "image_size": 448,
        "patch_size": 14,
        "vision_output_dim": 7680,
        "pixel_shuffle_ratio": Key("any", 0.5),
        "projector_input_dim": 4096,
        "projector_output_dim": 4096,
    },
    traits={"patch_bias": False, "class_tokens": 1, "pre_norm": True, "post_norm": True},
    ignored=(*_SPARE, "multi_modal_projector_bias", "projector_dropout", "rope_theta"),
)


def _merger(config: Config, norm: Norm, name: str = "merger") -> tuple[Placed, ...]:
    """Qwen: neighbouring patches side by side, through two matrices with biases."""
    seen = (config.get("embed_dim") or config["hidden_size"]) * config["spatial_merge_size"] ** 2
    out = config.get("out_hidden_size") or config["hidden_size"]
    first, last = linear(f"{name} fc1", seen, seen), linear(f"{name} fc2", seen, out)
    rows = "patch" if norm.width < seen else "pooled"
    return (Placed(norm, rows), *pooled(first, last))


_QWEN = {
    "layers": use("depth"),
    "heads": use("num_heads"),
    "channels": use("in_channels"),
    "frames": use("temporal_patch_size"),
    "image": None,
    # as the preprocessor_config.json of Qwen2.5-VL says: 56 x 56 to 12845056 pixels
    "rule": ("smart", 3136, 12845056),
    "merge": use("spatial_merge_size"),
    "patch_bias": False,
    "positions": 0,
}
_QWEN_KEYS = {
    "depth": 32,
    "hidden_size": 3584,
    "num_heads": 16,
    "in_channels": 3,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
_QWEN_NAMES = {"num_attention_heads": "num_heads", "num_hidden_layers": "depth"}
family(
    "qwen2_vl_vision",
    reader="tower",
    keys={**_QWEN_KEYS, "embed_dim": 1280, "mlp_ratio": 4, "hidden_act": "quick_gelu"},
    traits={
        **_QWEN,
        "hidden": use("embed_dim"),
        "inner": lambda config: config["embed_dim"] * config["mlp_ratio"],
        "tail": lambda config: _merger(config, layer_norm("merger_norm", config["embed_dim"])),
    },
    aliases=_QWEN_NAMES,
    ignored=_SPARE,
)


def _windowed_layers(config: Config) -> int:
    """Layers that are not among those that attend to everything."""
    full = {index for index in config["fullatt_block_indexes"] if 0 <= index < config["depth"]}
    return int(config["depth"]) - len(full)


family(
    "qwen2_5_vl_vision",
    reader="tower",
    keys={
        **_QWEN_KEYS,
        "intermediate_size": 3420,
        "out_hidden_size": 3584,
        "hidden_act": "silu",
        "window_size": 112,
        "fullatt_block_indexes": Key("indices", (7, 15, 23, 31)),
    },
    traits={
        **_QWEN,
        "gated": True,
        "norm": "rms",
        "window": use("window_size"),
        "windowed": _windowed_layers,
        "tail": lambda config: _merger(config, Norm("merger_norm", config["hidden_size"])),
    },
    aliases=_QWEN_NAMES,
    ignored=_SPARE,
)
family(
    "exaone4_5_vision",
    "qwen2_5_vl_vision",
    keys={"num_key_value_heads": 8},
    traits={"kv_heads": use("num_key_value_heads")},
)


def _mergers(config: Config) -> tuple[Placed, ...]:
    """Qwen 3: one merger at the end, and one for each layer whose states go deep into the text."""
    hidden = config["hidden_size"]
    merged = hidden * config["spatial_merge_size"] ** 2
    deep = _merger(config, layer_norm("deepstack_norm", merged), "deepstack")
    last = _merger(config, layer_norm("merger_norm", hidden))
    return (*last, *(deep * len(config["deepstack_visual_indexes"] or ())))


family(
    "qwen3_vl_vision",
    reader="tower",
    keys={
        **_QWEN_KEYS,
        "depth": 27,
        "hidden_size": 1152,
        "patch_size": 16,
        "intermediate_size": 4304,
        "out_hidden_size": 3584,
        "hidden_act": "gelu_pytorch_tanh",
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": Key("indices", (8, 16, 24)),
    },
    traits={
        **_QWEN,
        "rule": ("smart", 65536, 16777216),
        "patch_bias": True,
        "positions": use("num_position_embeddings"),
        "tail": _mergers,
    },
    aliases=_QWEN_NAMES,
    ignored=_SPARE,
)
# the same without states that go deep
family(
    "qwen3_5_vision",
    "qwen3_vl_vision",
    drop=("deepstack_visual_indexes",),
    traits={
        "tail": lambda config: _merger(config, layer_norm("merger_norm", config["hidden_size"]))
    },
    ignored=("deepstack_visual_indexes",),
)


def _glm_merger(config: Config) -> tuple[Placed, ...]:
    """GLM-4V: a norm, a strided convolution, a matrix, a norm and a gated MLP."""
    hidden, out, inner = (
        config["hidden_size"],
        config["out_hidden_size"],
        config["intermediate_size"],
    )
    where = ("downsample", "patch_embed", "patch_embed")
    taps = config["spatial_merge_size"] ** 2
    convolution = Convolution(*where, hidden, out, taps, bias=True)
    mlp = Mlp(out, inner, True, group="projector")
    norm = layer_norm("post_projection_norm", out)
    last: tuple[Part, ...] = (convolution, linear("proj", out, out, False), norm, *mlp.linears())
    return (Placed(Norm("post_norm", hidden)), *pooled(*last))


family(
    "glm4v_vision",
    reader="tower",
    keys={
        **_QWEN_KEYS,
        "depth": 24,
        "hidden_size": 1536,
        "num_heads": 12,
        "intermediate_size": 13696,
        "out_hidden_size": 4096,
        "image_size": 336,
        "attention_bias": False,
        "hidden_act": "silu",
    },
    traits={
        **_QWEN,
        **_BARE,
        # an image is two equal frames, so half of what two of them may have
        "rule": ("smart", 6272, 5880000),
        "q_bias": use("attention_bias"),
        "inner": use("out_hidden_size"),
        "patch_bias": True,
        "pre_norm": True,
        "positions": lambda config: (config["image_size"] // config["patch_size"]) ** 2,
        "tail": _glm_merger,
    },
    aliases=_QWEN_NAMES,
    ignored=_SPARE,
)
family("glm4v_moe_vision", "glm4v_vision")
family(
    "kimi_k25_vision",
    reader="tower",
    keys={
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "patch_size": 14,
        "pos_emb_height": 64,
        "pos_emb_width": 64,
        "merge_kernel_size": indices(),
        "hidden_act": "gelu_pytorch_tanh",
    },
    traits={
        "channels": 3,
        "image": None,
        "rule": ("padded", 16384, 512),
        "positions": lambda config: config["pos_emb_height"] * config["pos_emb_width"],
        "position_group": "patch_embed",
        "post_norm": True,
    },
    aliases={
        "vt_hidden_size": "hidden_size",
        "vt_intermediate_size": "intermediate_size",
        "vt_num_hidden_layers": "num_hidden_layers",
        "vt_num_attention_heads": "num_attention_heads",
        "init_pos_emb_height": "pos_emb_height",
        "init_pos_emb_width": "pos_emb_width",
    },
    ignored=(
        *_SPARE,
        "init_pos_emb_time",
        "pos_emb_time",
        "merge_type",
        "mm_hidden_size",
        "mm_projector_type",
        "pos_emb_type",
        "text_hidden_size",
        "video_attn_type",
    ),
)
family(
    "minimax_m3_vl_vision",
    reader="tower",
    keys={
        **_VIT,
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "image_size": 2016,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
    },
    traits={
        "frames": use("temporal_patch_size"),
        "image": None,
        "rule": ("smart", 3136, 451584),
        "patch_bias": False,
        "pre_norm": True,
        "positions": 0,
    },
    ignored=_SPARE,
)
family(
    "gemma4_vision",
    reader="tower",
    keys={
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 16,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
        "head_dim": 64,
        "patch_size": 16,
        "pooling_kernel_size": 3,
        "position_embedding_size": 10240,
        "hidden_activation": "gelu_pytorch_tanh",
    },
    traits={
        **_BARE,
        "channels": 3,
        "image": None,
        "rule": lambda config: ("budget", 280 * config["pooling_kernel_size"] ** 2),
        "merge": use("pooling_kernel_size"),
        "kv_heads": use("num_key_value_heads"),
        "head_dim": use("head_dim"),
        "activation": use("hidden_activation"),
        "layer_norms": 4,
        "qk_norm": "head",
        "patch_bias": False,
        # one table for rows and one for columns, which the records count with the patches
        "positions": lambda config: 2 * config["position_embedding_size"],
        "position_group": "patch_embed",
    },
    ignored=(*_SPARE, "attention_bias", "global_head_dim", "standardize", "use_clipped_linears"),
)


# --- towers that hear, and those that no trait describes
_WHISPER = {
    "num_mel_bins": 128,
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "max_source_positions": 1500,
    "activation_function": "gelu",
}
_HEARD = (*_SPARE, "encoder_layerdrop", "layerdrop", "scale_embedding")
family(
    "qwen2_audio_encoder",
    reader="tower",
    keys=_WHISPER,
    traits={"stack": whisper_stack},
    aliases={"hidden_size": "d_model", "num_hidden_layers": "encoder_layers"},
    ignored=_HEARD,
)
family(
    "voxtral_encoder",
    "qwen2_audio_encoder",
    aliases={
        "num_attention_heads": "encoder_attention_heads",
        "intermediate_size": "encoder_ffn_dim",
    },
    ignored=("head_dim", "num_key_value_heads"),
)
family(
    "phi4_multimodal_audio",
    reader="tower",
    keys={
        "hidden_size": 1024,
        "intermediate_size": 1536,
        "num_blocks": 24,
        "num_attention_heads": 16,
        "ext_pw_out_channel": 1024,
        "depthwise_separable_out_channel": 1024,
        "depthwise_multiplier": 1,
        "kernel_size": 3,
        "input_size": 80,
        "time_reduction": 8,
        "bias_max_distance": 1000,
        "bias_symmetric": False,
        "nemo_conv_channels": 1024,
    },
    traits={"stack": phi_stack},
    ignored=(
        "chunk_size",
        "left_chunk",
        "downsample_rate",
        "feature_layer",
        "nemo_final_size",
        "activation",
        "conv_activation",
        "conv_glu_type",
        "nemo_activation",
    ),
)
family(
    "phi4_multimodal_vision",
    reader="tower",
    keys={
        **_VIT,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 448,
        "patch_size": 14,
        "hidden_act": "gelu_pytorch_tanh",
    },
    traits={"post_norm": True, "pooling": True},
    ignored=(*_SPARE, "crop_size", "feature_layer"),
)


def _mllama_stack(config: Config) -> Stack:
    """Llama 3.2's tower: all tiles of an image together, local layers, then gated global ones."""
    local = Traits(config, {**TOWER, **config.family.traits, "layers": config["num_hidden_layers"]})
    hidden, tiles = config["hidden_size"], config["max_num_tiles"]
    rows, columns = patch_grid(local)
    places, shapes = rows * columns + 1, len(config["supported_aspect_ratios"] or range(8)) + 1
    (run,) = layer_runs(local)
    gates = (Vector("gates", "other", 2),)
    deep = Run(
        replace(run.layer, kind="global attention + MLP", kept=gates), config["num_global_layers"]
    )
    front, *rest = tower_front(local, places - 1)
    tables = (
        Table("tile positions", "embed_tokens", shapes, tiles * places * hidden, 0),
        Table("tile embeddings", "embed_tokens", shapes, 2 * tiles * hidden, 0),
        Vector("gates", "embed_pos", 3),
    )
    kept = tuple(Placed(part, "none") for part in tables)
    # each tile is padded to a multiple of eight positions, and an image to its most tiles
    positions = tiles * -(-places // 8) * 8
    return Stack(
        "image", hidden, (run, deep), (front, *rest, *kept),
        (Placed(layer_norm("post_norm", hidden)),), False,
        positions=positions, patches=tiles * (places - 1), pooled=tiles * places, tokens=1,
    )  # fmt: skip


family(
    "mllama_vision_model",
    reader="tower",
    keys={
        **_VIT,
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_global_layers": 8,
        "num_attention_heads": 16,
        "image_size": 448,
        "patch_size": 14,
        "max_num_tiles": 4,
        "vision_output_dim": 7680,
        "supported_aspect_ratios": anything(),
    },
    traits={
        "stack": _mllama_stack,
        "q_bias": False,
        "o_bias": False,
        "patch_bias": False,
        "class_tokens": 1,
        "pre_norm": True,
    },
    aliases={"attention_heads": "num_attention_heads"},
    ignored=(*_SPARE, "intermediate_layers_indices", "norm_eps"),
)
