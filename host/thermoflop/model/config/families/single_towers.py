"""Towers of Gemma 3n (MobileNetV5 sees, a Conformer hears) and Hy 4, as in transformers 5.24."""

from __future__ import annotations

from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.description import Placed, Stack
from thermoflop.model.architecture.parts import Convolution, Norm, Vector
from thermoflop.model.config.families.towers import tower
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    indices,
    mapping,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.hearing import gemma_stack
from thermoflop.model.config.keys import Config
from thermoflop.model.config.mobilenet import NAME, mobilenet_stack
from thermoflop.model.config.projectors import linear, pooled

tower(
    "gemma3n_vision",
    keys={
        "architecture": NAME,
        "do_pooling": False,
        "model_args": mapping(),
        **sizes(hidden=2048, vocab=128),
    },
    traits={"stack": mobilenet_stack},
    ignored=("vocab_offset", "label_names", "num_classes", "pretrained_cfg"),
)


def _ears(config: Config) -> Stack:
    """The Conformer behind two convolutions of 3 x 3 taps with a step of two."""
    for key, size in (("sscp_conv_kernel_size", 3), ("sscp_conv_stride_size", 2)):
        pairs, stated = [[size, size]] * 2, config[key]
        if stated not in (None, pairs, [tuple(pair) for pair in pairs]):
            raise UnknownModel(f"{key} other than {pairs} is not described for gemma3n_audio")
    return gemma_stack(config)


tower(
    "gemma3n_audio",
    keys={
        **sizes(hidden=1536, vocab=128, layers=12, heads=8),
        "input_feat_size": 128,
        "subsampling_conv_channels": indices(),
        "sscp_conv_kernel_size": anything(),
        "sscp_conv_stride_size": anything(),
        "conv_kernel_size": 5,
        "reduction_factor": 4,
        "attention_chunk_size": 12,
        "attention_context_left": 13,
        "attention_context_right": at_least_zero(0),
    },
    traits={"stack": _ears},
    aliases={
        "sscp_conv_channel_size": "subsampling_conv_channels",
        **{
            f"conf_{key}": key
            for key in spaced(
                "num_hidden_layers num_attention_heads conv_kernel_size reduction_factor"
                " attention_chunk_size attention_context_left attention_context_right"
            )
        },
    },
    ignored=("vocab_offset", "gradient_clipping", "conf_residual_weight"),
)


def _hy_merger(config: Config) -> tuple[Placed, ...]:
    """A norm, a convolution that keeps all elements, a map; rows end in a learned one."""
    hidden, out, side = (config[key] for key in ("hidden_size", "out_hidden_size", _MERGE))
    seen, role = hidden * side**2, "projector"
    merge = Convolution("proj_conv", role, role, hidden, seen, side**2, bias=True)
    newline = Placed(Vector("image_newline", "other", out), "none")
    norm = Placed(Norm("before_rms", hidden), "patch")
    return (norm, *pooled(merge, linear("proj_out", seen, out)), newline)


_MERGE = "spatial_merge_size"
tower(
    "hy_v4_vl_vision",
    keys={
        **sizes(hidden=1536, inner=6144, heads=16, channels=3, layers=40, patch=16),
        "out_hidden_size": 6144,
        _MERGE: 2,
        "max_image_size": 2048,
        "hidden_act": "gelu",
    },
    traits={
        "rule": ("smart", 512 * 512, 2048 * 2048),
        "merge": use(_MERGE),
        # and one more row than patches
        "positions": lambda config: (config["max_image_size"] // config["patch_size"]) ** 2 + 1,
        "tail": _hy_merger,
    },
    aliases={"attention_heads": "num_attention_heads"},
    ignored=("interpolate_mode", "num_key_value_heads"),
)
