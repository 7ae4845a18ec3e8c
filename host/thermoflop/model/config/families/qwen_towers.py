"""Towers of Qwen and GLM, which end in a merger. Defaults: the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.parts import Convolution, Norm, Part
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families.towers import BARE, tower
from thermoflop.model.config.family import Key, family, sizes, use
from thermoflop.model.config.keys import Config
from thermoflop.model.config.projectors import linear, pooled


def merger(
    config: Config, norm: Norm, name: str = "merger", out: int | None = None, bias: bool = True
) -> tuple[Placed, ...]:
    """A norm, and neighbouring patches side by side through two matrices."""
    seen = (config.get("embed_dim") or config["hidden_size"]) * config["spatial_merge_size"] ** 2
    out = out or config.get("out_hidden_size") or config["hidden_size"]
    first, last = linear(f"{name} fc1", seen, seen, bias), linear(f"{name} fc2", seen, out, bias)
    rows = "patch" if norm.width < seen else "pooled"
    return (Placed(norm, rows), *pooled(first, last))


_QWEN = {
    "channels": use("in_channels"),
    "image": None,
    # as the preprocessor_config.json of Qwen2.5-VL says: 56 x 56 to 12845056 pixels
    "rule": ("smart", 3136, 12845056),
    "merge": use("spatial_merge_size"),
    "patch_bias": False,
    "positions": 0,
}
_QWEN_KEYS = {
    "depth": 32,
    **sizes(hidden=3584, patch=14),
    "num_heads": 16,
    "in_channels": 3,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
_QWEN_NAMES = {"num_attention_heads": "num_heads", "num_hidden_layers": "depth"}
tower(
    "qwen2_vl_vision",
    keys={**_QWEN_KEYS, "embed_dim": 1280, "mlp_ratio": 4, "hidden_act": "quick_gelu"},
    traits={
        **_QWEN,
        "hidden": use("embed_dim"),
        "inner": lambda config: config["embed_dim"] * config["mlp_ratio"],
        "tail": lambda config: merger(config, layer_norm("merger_norm", config["embed_dim"])),
    },
    aliases=_QWEN_NAMES,
)


def _windowed_layers(config: Config) -> int:
    """Layers that are not among those that attend to everything."""
    full = {index for index in config["fullatt_block_indexes"] if 0 <= index < config["depth"]}
    return int(config["depth"]) - len(full)


tower(
    "qwen2_5_vl_vision",
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
        "tail": lambda config: merger(config, Norm("merger_norm", config["hidden_size"])),
    },
    aliases=_QWEN_NAMES,
)
family(
    "exaone4_5_vision",
    "qwen2_5_vl_vision",
    keys={"num_key_value_heads": 8},
)


def _mergers(config: Config) -> tuple[Placed, ...]:
    """Qwen 3: one merger at the end, and one for each layer whose states go deep into the text."""
    hidden = config["hidden_size"]
    merged = hidden * config["spatial_merge_size"] ** 2
    deep = merger(config, layer_norm("deepstack_norm", merged), "deepstack")
    last = merger(config, layer_norm("merger_norm", hidden))
    return (*last, *(deep * len(config["deepstack_visual_indexes"] or ())))


tower(
    "qwen3_vl_vision",
    keys={
        **_QWEN_KEYS,
        "depth": 27,
        **sizes(hidden=1152, patch=16, inner=4304),
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
)
# the same without states that go deep
family(
    "qwen3_5_vision",
    "qwen3_vl_vision",
    traits={
        "tail": lambda config: merger(config, layer_norm("merger_norm", config["hidden_size"]))
    },
    ignored=("deepstack_visual_indexes",),
)


def _glm_merger(config: Config) -> tuple[Placed, ...]:
    """GLM-4V: a norm, a strided convolution, a matrix, a norm and a gated MLP."""
    hidden, out = config["hidden_size"], config["out_hidden_size"]
    ocr = config.family.name == "glm_ocr_vision"
    inner = out * config["in_channels"] if ocr else config["intermediate_size"]
    inner = config.get("projection_intermediate_size", inner)
    where = ("downsample", "patch_embed", "patch_embed")
    taps = config["spatial_merge_size"] ** 2
    convolution = Convolution(*where, hidden, out, taps, bias=True)
    mlp = Mlp(out, inner, True, group="projector")
    norm = layer_norm("post_projection_norm", out)
    last: tuple[Part, ...] = (convolution, linear("proj", out, out, False), norm, *mlp.linears())
    return (Placed(Norm("post_norm", hidden)), *pooled(*last))


tower(
    "glm4v_vision",
    keys={
        **_QWEN_KEYS,
        "depth": 24,
        **sizes(hidden=1536, inner=13696, image=336),
        "num_heads": 12,
        "out_hidden_size": 4096,
        "attention_bias": False,
        "hidden_act": "silu",
    },
    traits={
        **_QWEN,
        **BARE,
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
)
family("glm4v_moe_vision", "glm4v_vision")
family(
    "glm_ocr_vision",
    "glm4v_vision",
    keys={
        **sizes(hidden=1024, inner=4096),
        "num_heads": 16,
        "out_hidden_size": 1536,
        "attention_bias": True,
    },
    traits={
        "o_bias": use("attention_bias"),
        "up_bias": use("attention_bias"),
        "inner": use("intermediate_size"),
        "qk_norm": "head",
        "pre_norm": False,
        "positions": 0,
    },
)
family(
    "glm5_next_vision",
    "glm_ocr_vision",
    keys={"projection_intermediate_size": 10240},
)
family("qwen2_5_omni_vision_encoder", "qwen2_5_vl_vision")
# its table of positions is there whatever the published key says
family("qwen3_omni_moe_vision_encoder", "qwen3_vl_vision", ignored=("apply_vit_abs_pos_embed",))
