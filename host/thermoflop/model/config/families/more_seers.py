"""More models that see, alone. Defaults and structure are those of the classes of transformers
5.24."""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear, Part, Probe, Vector
from thermoflop.model.config import decoder
from thermoflop.model.config.architectures import class_name, label_count
from thermoflop.model.config.blocks import classifier, kept_layers, layer_norm
from thermoflop.model.config.families import (  # noqa: F401 - parents are there
    encoders,
    towers,
    vision,
)
from thermoflop.model.config.families.seers import size
from thermoflop.model.config.family import Key, at_least_zero, family, mapping, sizes, spaced, use
from thermoflop.model.config.keys import is_factor
from thermoflop.model.config.tower import ratio_of, sides

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config

_OUTPUTS = spaced("out_features out_indices stage_names drop_path_rate tie_word_embeddings")


def _rows_and_columns(config: Config) -> tuple[int, int]:
    """Patches of an image of the size in the file."""
    image, patch = (sides(config[key], key) for key in ("image_size", "patch_size"))
    return image[0] // patch[0], image[1] // patch[1]


def _biases(config: Config) -> int:
    """Biases of relative positions: a head's for each distance of two patches, and three more for
    the class token."""
    rows, columns = _rows_and_columns(config)
    count: int = ((2 * rows - 1) * (2 * columns - 1) + 3) * config["num_attention_heads"]
    return count


def _of_layers(config: Config) -> tuple[Part, ...]:
    """BEiT's table of each layer."""
    own = config["use_relative_position_bias"]
    return (Vector("relative_position_bias", "rel_pos_bias", _biases(config)),) if own else ()


def _of_all(config: Config) -> tuple[Placed, ...]:
    """The table that all layers share."""
    if not config["use_shared_relative_position_bias"]:
        return ()
    return (Placed(Vector("relative_position_bias", "rel_pos_bias", _biases(config)), "none"),)


family(
    "beit",
    reader="alone",
    keys={
        **sizes(hidden=768, inner=3072, layers=12, heads=12, channels=3),
        "image_size": size(224),
        "patch_size": size(16),
        "hidden_act": "gelu",
        "use_mask_token": False,
        "use_absolute_position_embeddings": False,
        "use_relative_position_bias": False,
        "use_shared_relative_position_bias": False,
        "layer_scale_init_value": Key("any", 0.1),
        "use_mean_pooling": True,
    },
    traits={
        "k_bias": False,
        "class_tokens": 1,
        "mask_token": use("use_mask_token"),
        "positions": lambda config: "grid" if config["use_absolute_position_embeddings"] else 0,
        "scales": lambda config: 2 if is_factor(config["layer_scale_init_value"]) else 0,
        "kept": _of_layers,
        "tail": _of_all,
        "post_norm": True,  # behind the layers, or on the mean of what they give
        "classes": ("bare", "image"),
    },
    ignored=(
        *_OUTPUTS,
        *spaced(
            "vocab_size pool_scales use_auxiliary_head auxiliary_channels"
            " auxiliary_num_convs auxiliary_concat_input semantic_loss_ignore_index add_fpn"
            " reshape_hidden_states segmentation_indices"
        ),
    ),
)


def _is_normed(config: Config) -> bool:
    """Whether the states have a norm: a bare model that takes their mean leaves it out."""
    return not (config["use_mean_pooling"] and class_name(config, "Model").endswith("Model"))


family("data2vec-vision", "beit", traits={"post_norm": _is_normed})


def _multiple(config: Config) -> int:
    return int(config["hidden_size"] * ratio_of(config))


family(
    "pixio",
    reader="alone",
    keys={
        **sizes(hidden=1280, layers=32, heads=16, channels=3),
        "image_size": size(256),
        "patch_size": size(16),
        "hidden_act": "gelu",
        "mlp_ratio": Key("any", 4),
        "qkv_bias": True,
        "n_cls_tokens": at_least_zero(8),
    },
    traits={
        "inner": _multiple,
        "class_tokens": use("n_cls_tokens"),
        "post_norm": True,
        "classes": ("bare",),
    },
    ignored=(*_OUTPUTS, "apply_layernorm", "reshape_hidden_states"),
)
family(
    "mlcd_vision_model",
    reader="alone",
    keys={
        **sizes(hidden=1664, inner=8192, layers=48, heads=16, channels=3),
        "image_size": size(336),
        "patch_size": size(14),
        "hidden_act": "gelu",
    },
    traits={
        "patch_bias": False,
        "class_tokens": 1,
        "pre_norm": True,
        "post_norm": True,
        "positions": 0,
        "rotary": True,
        "tail": lambda config: _class_angles(config),
        "classes": ("image half",),
        "class": "VisionModel",
    },
    ignored=spaced("num_key_value_groups tie_word_embeddings projection_dim vocab_size"),
)


def _class_angles(config: Config) -> tuple[Placed, ...]:
    """Angles of the class token, which stands at no place."""
    count = decoder.head_width(config["hidden_size"], config["num_attention_heads"]) // 2
    return (Placed(Vector("class_pos_emb", "embed_pos", count), "none"),)


def _attentive(config: Config) -> tuple[Placed, ...]:
    """AIMv2's head: a learned query attends to every patch."""
    if not config["use_head"]:
        return ()
    hidden, heads, group = config["hidden_size"], config["num_attention_heads"], "pooling_head"
    maps = [
        Placed(Linear(f"probe {name}", group, group, hidden, hidden, bias=config["qkv_bias"]))
        for name in ("k_proj", "v_proj")
    ]
    probe = Probe("probe", group, heads, decoder.head_width(hidden, heads))
    last = Linear("probe o_proj", group, group, hidden, hidden, bias=True)
    return (*maps, Placed(probe, "sequence"), Placed(last, "sequence"))


family(
    "aimv2_vision_model",
    reader="alone",
    keys={
        **sizes(hidden=1024, inner=2816, layers=24, heads=8, channels=3),
        "image_size": size(224),
        "patch_size": size(14),
        "hidden_act": "silu",
        "qkv_bias": False,
        "mlp_bias": False,
        "use_head": True,
        "is_native": False,
    },
    traits={
        "gated": True,
        "norm": "rms",
        "o_bias": use("qkv_bias"),
        "up_bias": use("mlp_bias"),
        "pre_norm": True,
        # of images that keep their sizes they are computed
        "positions": lambda config: 0 if config["is_native"] else "grid",
        "post_norm": True,
        "tail": _attentive,
        "classes": ("image half",),
        "class": "VisionModel",
    },
    ignored=spaced("tie_word_embeddings projection_dim"),
)
family(
    "aimv2_text_model",
    keys={
        **sizes(vocab=49408, hidden=768, inner=2048, layers=12, heads=6),
        "max_position_embeddings": 77,
        "hidden_act": "silu",
        "qkv_bias": False,
        "mlp_bias": False,
    },
    traits={
        "q_bias": use("qkv_bias"),
        "o_bias": use("qkv_bias"),
        "kv_heads": None,
        "head_dim": None,
        "tied": False,
        "rotary": False,
        "positions": use("max_position_embeddings"),
        "class": "Model",
    },
    ignored=("tie_word_embeddings",),
)
family(
    "aimv2",
    reader="alone.aimv2",
    keys={"projection_dim": 512, "text_config": mapping(), "vision_config": mapping()},
    ignored=spaced("max_logit_scale tie_word_embeddings"),
)


def _rebuilding(config: Config) -> tuple[Placed, ...]:
    """What rebuilds hidden patches in MAE's pre-training, as numbers that are kept: a narrower
    encoder between two maps, and positions."""
    if not class_name(config, "Model").endswith("ForPreTraining"):
        return ()
    narrow, inner = config["decoder_hidden_size"], config["decoder_intermediate_size"]
    if narrow % config["decoder_num_attention_heads"]:
        raise InputError("decoder_num_attention_heads does not divide decoder_hidden_size")
    rows, columns = _rows_and_columns(config)
    height, width = sides(config["patch_size"], "patch_size")
    pixels = height * width * config["num_channels"]
    biased, layers = 4 if config["qkv_bias"] else 1, config["decoder_num_hidden_layers"]
    ends = (config["hidden_size"] + 1) * narrow + (narrow + 1) * pixels
    # and a token for what is hidden, a norm, and places of patches and class
    ends += 3 * narrow + (rows * columns + 1) * narrow
    count = kept_layers(narrow, inner, layers, biased_maps=biased) + ends
    return (Placed(Vector("pre-training decoder", "other", count), "none"),)


family(
    "vit_mae",
    "vit",
    reader="alone",
    keys={
        "image_size": size(224),
        "patch_size": size(16),
        "decoder_num_attention_heads": 16,
        "decoder_hidden_size": 512,
        "decoder_num_hidden_layers": 8,
        "decoder_intermediate_size": 2048,
    },
    drop=("pooler_output_size",),
    traits={
        "post_norm": True,
        "tail": _rebuilding,
        "classes": ("bare", "pre-training"),
        "note": "what rebuilds hidden patches in pre-training is counted and does no work",
    },
    ignored=("mask_ratio", "norm_pix_loss"),
)
family("metaclip_2_text_model", "clip_text_model")
family("metaclip_2_vision_model", "clip_vision_model")
family("metaclip_2", "clip")
family("chinese_clip_vision_model", "clip_vision_model")
family(
    "chinese_clip_text_model",
    "bert",
    traits={"pooler": ("bare",), "class": "Model", "classes": ("bare",)},
)
family(
    "chinese_clip",
    reader="alone.chinese_clip",
    keys={"projection_dim": 512, "text_config": mapping(), "vision_config": mapping()},
)


def _overlapping(config: Config) -> tuple[int, int]:
    """Patches over frequency and time, a stride from the next one."""
    sizes = ((config["num_mel_bins"], "frequency_stride"), (config["max_length"], "time_stride"))
    patch = config["patch_size"]
    if min(size for size, _ in sizes) < patch:
        raise InputError(f"a patch of {patch} is larger than the spectrogram")
    rows, columns = ((size - patch) // config[stride] + 1 for size, stride in sizes)
    return rows, columns


def _labels(config: Config) -> tuple[Placed, ...]:
    """A norm and a map of the mean of both first tokens, where sounds are told apart."""
    if not class_name(config, "Model").endswith("ForAudioClassification"):
        return ()
    hidden = config["hidden_size"]
    scores = classifier("classifier", hidden, label_count(config))
    return Placed(layer_norm("classifier_norm", hidden), "sequence"), Placed(scores, "sequence")


family(
    "audio-spectrogram-transformer",
    reader="alone",
    keys={
        **sizes(hidden=768, inner=3072, layers=12, heads=12, patch=16),
        "hidden_act": "gelu",
        "qkv_bias": True,
        "frequency_stride": 10,
        "time_stride": 10,
        "max_length": 1024,
        "num_mel_bins": 128,
    },
    traits={
        "channels": 1,
        "image": lambda config: [config["num_mel_bins"], config["max_length"]],
        "overlapping": _overlapping,
        "class_tokens": 2,
        "post_norm": True,
        "tail": _labels,
        "classes": ("bare", "sounds"),
        "note": "an image is a spectrogram of max_length frames",
    },
    ignored=("tie_word_embeddings",),
)
