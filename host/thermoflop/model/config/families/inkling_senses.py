"""Inkling and Inkling 2 with their eyes, and the ears of the first.

Defaults are those of transformers 5.24, but for the first's folds, of which every published file
says how many there are.
"""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.config.families import inkling  # noqa: F401 - the texts are defined there
from thermoflop.model.config.families.sections import ears_of, eyes_of, text_of, wrapper
from thermoflop.model.config.families.towers import tower
from thermoflop.model.config.family import Key, mapping, sizes, spaced, use
from thermoflop.model.config.folded import folded_stack, levels_stack
from thermoflop.model.config.projectors import linear, pooled
from thermoflop.model.config.tower import ratio_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.architecture.description import Stack
    from thermoflop.model.config.keys import Config

tower(
    "inkling_vision",
    keys={
        "patch_size": 40,
        "temporal_patch_size": 2,
        "num_channels": 3,
        "num_hidden_layers": 4,
        "text_hidden_size": 6144,
    },
    traits={"stack": folded_stack},
    aliases={"n_layers": "num_hidden_layers", "n_channels": "num_channels"},
    ignored=spaced(
        "hidden_size num_attention_heads vision_encoder_type use_vision_norm decoder_dmodel"
    ),
)
tower(
    "inkling_audio",
    keys={"n_mel_bins": 80, "mel_vocab_size": 256, "text_hidden_size": 6144},
    traits={"stack": levels_stack},
    aliases={
        "num_codebooks": "n_mel_bins",
        "codebook_size": "mel_vocab_size",
        "hidden_size": "text_hidden_size",
    },
    ignored=spaced("audio_mode bias dmel_max_value dmel_min_value use_audio_norm decoder_dmodel"),
)


def _eyes(_config: Config, inner: Config, _stack: Stack, hidden: int) -> Stack:
    return folded_stack(inner, hidden)


def _ears(_config: Config, inner: Config, _stack: Stack, hidden: int) -> Stack:
    return levels_stack(inner, hidden)


def _ahead(config: Config) -> dict[str, Any]:
    """The layers that predict further ahead, which a section of their own describes."""
    said = config["mtp_config"] or {}
    return {"mtp_local_layer_ids": said.get("local_layer_ids")}


wrapper(
    "inkling_mm_model",
    text_of("inkling_text", fixed=True),
    eyes_of("inkling_vision", fixed=True),
    _eyes,
    ears=(ears_of("inkling_audio", fixed=True), _ears),
    tied="none",
    keys={"mtp_config": mapping()},
    traits={"shared": _ahead},
)


def _merger(config: Config) -> tuple[Placed, ...]:
    """Neighbouring patches side by side through two matrices."""
    seen = config["hidden_size"] * config["spatial_merge_size"] ** 2
    inner, out, bias = (
        config[key] for key in ("projection_hidden_dim", "text_hidden_size", "projector_bias")
    )
    return pooled(linear("linear_1", seen, inner, bias), linear("linear_2", inner, out, bias))


def _inner(config: Config) -> int:
    return config["intermediate_size"] or int(config["hidden_size"] * ratio_of(config))


tower(
    "inkling2_vision",
    keys={
        **sizes(hidden=1024, layers=23, heads=16, patch=20),
        "intermediate_size": None,
        "mlp_ratio": Key("any", 4.0),
        "num_channels": 3,
        "spatial_merge_size": 2,
        "posemb_grid_size": 32,
        "projection_hidden_dim": 4096,
        "projector_bias": False,
        "text_hidden_size": 4608,
        "hidden_act": "gelu",
    },
    traits={
        "image": None,
        "rule": ("longest", 1 << 16),  # it keeps its size, padded to whole tokens
        "merge": use("spatial_merge_size"),
        "inner": _inner,
        "patch_bias": False,
        "positions": lambda config: config["posemb_grid_size"] ** 2,
        "class_tokens": 1,
        "mask_token": True,  # the class token's position is kept beside the table
        "pre_norm": True,
        "scales": 2,
        "tail": _merger,
    },
    aliases={"native_patch_size": "patch_size", "adapter_merge_size": "spatial_merge_size"},
    ignored=("layer_scale_init_value",),
)
wrapper(
    "inkling2",
    text_of("inkling2_text", fixed=True),
    eyes_of("inkling2_vision", fixed=True),
    tied="none",
)
