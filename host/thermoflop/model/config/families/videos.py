"""What sees a clip of frames at once, and what compares images with texts beside CLIP. Defaults and
structure are those of the classes of transformers 5.24.

A clip stands in the place of an image, its patches those of all its frames.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config.architectures import class_name, label_count
from thermoflop.model.config.blocks import classifier, kept_layers, layer_norm
from thermoflop.model.config.families import bert_others, seers  # noqa: F401 - parents are there
from thermoflop.model.config.families.seers import size
from thermoflop.model.config.family import Key, at_least_zero, family, mapping, sizes, spaced, use
from thermoflop.model.config.keys import is_count, is_factor
from thermoflop.model.config.tower import sides

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config

_NOTE = "an image is a clip of num_frames frames"
_CLIP = {
    **sizes(hidden=768, inner=3072, layers=12, heads=12, channels=3),
    "image_size": size(224),
}


def _patches(config: Config, frames: int, patch: tuple[int, int]) -> tuple[int, int]:
    """Rows of patches in all groups of so many frames, and columns."""
    return _of_clip(
        config["num_frames"] // frames, sides(config["image_size"], "image_size"), patch
    )


def _of_clip(groups: int, image: tuple[int, int], patch: tuple[int, int]) -> tuple[int, int]:
    """Rows of patches in so many groups of frames, and columns."""
    rows, columns = image[0] // patch[0], image[1] // patch[1]
    if min(groups, rows, columns) < 1:
        raise InputError("a patch is larger than the clip")
    return groups * rows, columns


def _classifies(config: Config) -> bool:
    return class_name(config, "Model").endswith("ForVideoClassification")


def _labels(config: Config) -> tuple[Placed, ...]:
    hidden = config["hidden_size"]
    return (Placed(classifier("classifier", hidden, label_count(config)), "sequence"),)


def _mean_and_labels(config: Config) -> tuple[Placed, ...]:
    """VideoMAE: a norm of the mean where that is taken, labels, and what rebuilds patches."""
    name, hidden = class_name(config, "Model"), config["hidden_size"]
    if name.endswith("ForPreTraining"):
        return _rebuilding(config)
    if not _classifies(config):
        return ()
    norm = (Placed(layer_norm("fc_norm", hidden), "sequence"),)
    return (*(norm if config["use_mean_pooling"] else ()), *_labels(config))


def _rebuilding(config: Config) -> tuple[Placed, ...]:
    """As numbers that are kept: a narrower encoder between two maps, and what is hidden."""
    narrow, inner = config["decoder_hidden_size"], config["decoder_intermediate_size"]
    height, width = sides(config["patch_size"], "patch_size")
    pixels = height * width * config["num_channels"] * config["tubelet_size"]
    biased, layers = 3 if config["qv_bias"] else 1, config["decoder_num_hidden_layers"]
    ends = config["hidden_size"] * narrow + 3 * narrow + (narrow + 1) * pixels
    count = kept_layers(narrow, inner, layers, biased_maps=biased) + ends
    return (Placed(Vector("pre-training decoder", "other", count), "none"),)


family(
    "videomae",
    reader="alone",
    keys={
        **_CLIP,
        "patch_size": size(16),
        "num_frames": 16,
        "tubelet_size": 2,
        "hidden_act": "gelu",
        "qv_bias": True,
        "use_mean_pooling": True,
        "decoder_hidden_size": 384,
        "decoder_num_hidden_layers": 4,
        "decoder_intermediate_size": 1536,
    },
    traits={
        "frames": use("tubelet_size"),
        "overlapping": lambda config: _patches(
            config, config["tubelet_size"], sides(config["patch_size"], "patch_size")
        ),
        "q_bias": use("qv_bias"),
        "k_bias": False,
        "v_bias": use("qv_bias"),
        "positions": 0,
        "post_norm": lambda config: not config["use_mean_pooling"],
        "tail": _mean_and_labels,
        "classes": ("bare", "videos", "pre-training"),
        "note": _NOTE,
    },
    aliases={"qkv_bias": "qv_bias"},
    ignored=("decoder_num_attention_heads", "norm_pix_loss", "tie_word_embeddings"),
)


def _tubelet(config: Config) -> tuple[int, int, int]:
    """Frames, height and width of a patch."""
    found = config["tubelet_size"]
    if not isinstance(found, list | tuple) or len(found) != 3 or not all(map(is_count, found)):
        raise InputError(f"tubelet_size is {quote_value(found)}: expected three whole numbers")
    frames, height, width = found
    return frames, height, width


def _pooled(config: Config) -> tuple[Placed, ...]:
    """A dense layer on the class token, or labels."""
    if _classifies(config):
        return _labels(config)
    width = config["pooler_output_size"] or config["hidden_size"]
    return (Placed(classifier("pooler", config["hidden_size"], width, "pooler"), "sequence"),)


family(
    "vivit",
    reader="alone",
    keys={
        **_CLIP,
        "num_frames": 32,
        "tubelet_size": Key("any", (2, 16, 16)),
        "hidden_act": "gelu_fast",
        "qkv_bias": True,
        "pooler_output_size": None,
    },
    traits={
        "frames": lambda config: _tubelet(config)[0],
        "patch": lambda config: list(_tubelet(config)[1:]),
        "overlapping": lambda config: _patches(config, _tubelet(config)[0], _tubelet(config)[1:]),
        "class_tokens": 1,
        "post_norm": True,
        "tail": _pooled,
        "classes": ("bare", "videos"),
        "note": _NOTE,
    },
    ignored=("tie_word_embeddings",),
)


def _inner(width: int, ratio: object, key: str) -> int:
    """Neurons of an MLP that is so many times as wide."""
    if not is_factor(ratio):
        raise InputError(f"{key} is {quote_value(ratio)} where a number above 0 is expected")
    return int(width * ratio)


def _predictor(config: Config) -> tuple[Placed, ...]:
    """What predicts hidden patches, as numbers that are kept: who asks for features skips it."""
    wide, narrow = config["hidden_size"], config["pred_hidden_size"]
    inner = _inner(narrow, config["pred_mlp_ratio"], "pred_mlp_ratio")
    biased, layers = 4 if config["qkv_bias"] else 1, config["pred_num_hidden_layers"]
    ends = (wide + 1) * narrow + config["pred_num_mask_tokens"] * narrow
    ends += 2 * narrow + (narrow + 1) * wide
    count = kept_layers(narrow, inner, layers, biased_maps=biased) + ends
    return (Placed(Vector("predictor", "other", count), "none"),)


family(
    "vjepa2",
    reader="alone",
    keys={
        **sizes(hidden=1024, layers=24, heads=16),
        "in_chans": 3,
        "crop_size": 256,
        "patch_size": size(16),
        "frames_per_clip": 64,
        "tubelet_size": 2,
        "mlp_ratio": Key("any", 4.0),
        "hidden_act": "gelu",
        "qkv_bias": True,
        "pred_hidden_size": 384,
        "pred_num_hidden_layers": 12,
        "pred_num_mask_tokens": 10,
        "pred_mlp_ratio": Key("any", 4.0),
    },
    traits={
        "channels": use("in_chans"),
        "image": use("crop_size"),
        "frames": use("tubelet_size"),
        "overlapping": lambda config: _of_clip(
            config["frames_per_clip"] // config["tubelet_size"],
            sides(config["crop_size"], "crop_size"),
            sides(config["patch_size"], "patch_size"),
        ),
        "inner": lambda config: _inner(config["hidden_size"], config["mlp_ratio"], "mlp_ratio"),
        "positions": 0,
        "rotary": True,
        "post_norm": True,
        "tail": _predictor,
        "classes": ("bare",),
        "note": "an image is a clip of frames_per_clip frames; what predicts hidden patches is"
        " counted and does no work",
    },
    ignored=spaced(
        "image_size num_pooler_layers pred_num_attention_heads pred_zero_init_mask_tokens"
        " drop_path_rate"
    ),
)
family(
    "tipsv2_vision_model",
    "dinov2_with_registers",
    keys={
        "image_size": size(448),
        "patch_size": size(14),
        "num_register_tokens": at_least_zero(1),
    },
    traits={"classes": ("image half",), "class": "VisionModel"},
)
family(
    "tipsv2",
    reader="alone.tips",
    keys={"text_config": mapping(), "vision_config": mapping()},
    ignored=("temperature_init_value",),
)
