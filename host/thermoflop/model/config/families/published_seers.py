"""Models with eyes whose published files are of other types than transformers' classes of the same
parts: GOT-OCR 2, Step3-VL-10B, MiniMax-VL-01, LocateAnything, Ovis 2.5 and 2.6;
and Moondream 2, whose file says nothing, and whose sizes are those of its classes (moondream/torch
of the repository vikhyat/moondream).

Totals: tests/model/config/families/test_served_2026.py.
"""

from __future__ import annotations

from thermoflop.model.architecture.description import Stack
from thermoflop.model.architecture.parts import Vector
from thermoflop.model.architecture.perceived import tower_on
from thermoflop.model.config import connectors, projectors
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families import (  # noqa: F401 - parents are there
    document_towers,
    other_towers,
    served,
    towers,
    vision,
)
from thermoflop.model.config.families.document_wrappers import GOT
from thermoflop.model.config.families.newer_wrappers import visual_words
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.families.towers import VIT, tower
from thermoflop.model.config.families.wrappers import any_resolution, newline
from thermoflop.model.config.family import FAMILIES, Key, Section, family, only, sizes, spaced, use
from thermoflop.model.config.tower import sides

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

family(
    "got_text",
    "qwen2",
    ignored=spaced(
        "image_token_len im_start_token im_end_token im_patch_token use_im_start_end"
        " freeze_vision_tower vision_select_layer"
    ),
)
wrapper(
    "GOT",
    text_of("got_text", GOT, fixed=True, flat=True, merged=True),
    eyes_of("got_ocr2_vision", fixed=True),
    connectors.upsampled,
    tie=True,
    like="got_text",
)
family(
    "step_robotics_vision",
    "step3p5_vision",
    keys={"use_cls_token": only(False), "output_dim": None},
)
wrapper(
    "step_robotics",
    text_of("qwen3"),
    eyes_of("step_robotics_vision", fixed=True),
    projectors.step,
    tied="text",
    keys={"projector_bias": True, "understand_projector_stride": only(2)},
    ignored=("image_token_len", "patch_token_len", "use_im_start_end", "vision_select_layer"),
)
wrapper(
    "minimax_vl_01",
    text_of("minimax_text_01", fixed=True),
    eyes_of("clip_vision_model"),
    projectors.mlp,
    tied="text",
    keys={"vision_feature_layer": Key("any", -2), "multimodal_projector_bias": True},
    traits={"extras": newline, "grid": any_resolution},
)


def _neighbours(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """LocateAnything: neighbouring patches side by side, a norm, two matrices."""
    height, width = sides(tower["merge_kernel_size"] or 2, "merge_kernel_size")
    seen = stack.hidden * height * width
    both = projectors.two_layers(seen, hidden)
    norm = layer_norm("layer_norm", seen)
    return projectors.ending(stack, norm, *both, left=stack.patches // (height * width))


wrapper(
    "locateanything",
    text_of("qwen2"),
    eyes_of("kimi_k25_vision", fixed=True),
    _neighbours,
    tied="text",
    keys={"mlp_connector_layers": only(2)},
    traits={"note": "a step of one token is counted, where it may write a box of several at once"},
    ignored=("n_future_tokens", "block_size", "causal_attn"),
)

tower(
    "siglip2_navit",
    keys={
        **VIT,
        **sizes(hidden=1152, inner=4304, layers=27, heads=16, image=512),
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_stride": 2,
        "temporal_patch_size": only(1),
        "num_patches": only(-1),
        "preserve_original_pe": only(True),
    },
    traits={"rule": ("smart", 448 * 448, 1792 * 1792), "post_norm": True},
    ignored=("window_size", "use_rope"),
)


def _ovis(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Ovis 2.5: four of the words are marks."""
    return visual_words(tower, stack, hidden, config["visual_vocab_size"], 4)


for _name, _text in (
    ("ovis2_5", "qwen3"),
    ("ovis2_6", "qwen3"),
    ("ovis2_6_moe", "qwen3_moe"),
    ("ovis2_6_next", "qwen3_next"),
):
    wrapper(
        _name,
        Section("llm_config", _text, fixed=False),
        Section("vit_config", "siglip2_navit"),
        _ovis,
        tied="text",
        keys={"visual_vocab_size": 65536},
        # sizes of the text that files repeat outside its section
        ignored=(*(FAMILIES[_text].keys.keys() - {"hidden_act"}), "conversation_formatter_class"),
    )

tower(
    "moondream_vision",
    keys={
        **VIT,
        **sizes(hidden=1152, inner=4304, layers=27, heads=16, image=378, patch=14),
        "hidden_act": "gelu_pytorch_tanh",
    },
    # no patch meets one of another crop
    traits={"rule": ("overlap", 12, 4), "post_norm": True, "windowed": use("num_hidden_layers")},
)


def _moondream(_config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """The image whole and its crops, put together and averaged to as many, patch by patch."""
    first = projectors.linear("fc1", 2 * stack.hidden, 8192)
    seen = projectors.ending(stack, first, projectors.linear("fc2", 8192, hidden))
    return tower_on(seen, 378, 378)


def _regions(_config: Config, hidden: int) -> list[Any]:
    """What reads and writes coordinates and sizes of boxes."""
    return [
        part
        for features, words in ((256, 1024), (512, 2048))
        for part in (
            Vector("fourier_features", "region", features // 2 * (features // 256)),
            projectors.linear("encoder", features, hidden, group="region"),
            projectors.linear("decoder_fc1", hidden, 8192, group="region"),
            projectors.linear("decoder_fc2", 8192, words, group="region"),
        )
    ]


wrapper(
    "moondream1",
    Section("text", "phi"),  # no file has it; the first ones have a text_config, and other parts
    Section("vision", "moondream_vision"),
    _moondream,
    tied="text",
    keys={"config": Key("only", {})},
    traits={
        "extras": _regions,
        "whole": ("HfMoondream",),
        "note": "what points at places in an image is kept, and its work is not counted",
    },
)
