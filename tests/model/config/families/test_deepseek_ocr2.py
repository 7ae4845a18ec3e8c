"""DeepSeek-OCR-2, whose eyes end in layers of a decoder on learned queries."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model
from thermoflop.model.media import with_media

OCR: dict[str, Any] = {
    "model_type": "deepseek_ocr2",
    "text_config": {
        "vocab_size": 129280, "hidden_size": 1280, "intermediate_size": 6848,
        "num_hidden_layers": 12, "num_attention_heads": 10, "num_key_value_heads": 10,
        "moe_intermediate_size": 896, "n_routed_experts": 64, "num_experts_per_tok": 6,
        "mlp_layer_types": ["dense", *["sparse"] * 11],
    },
    "vision_config": {
        "encoder_config": {
            "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
            "num_attention_heads": 14, "num_key_value_heads": 2,
        },
    },
}  # fmt: skip


def test_as_many_queries_as_patches_are_left_read_an_image() -> None:
    model = read_model(OCR)
    assert model.params == 3_389_119_360
    first, second = (stack for stack in model.description.stacks if stack.role == "image")
    assert (first.patches, first.pooled) == (64 * 64, 256)
    assert (second.positions, second.pooled) == (2 * 256, 256)


@pytest.mark.parametrize(
    ("size", "tiles", "works_as"), [("1x700x768", 0, 1), ("1x1024x768", 6, 8), ("1x800x800", 4, 6)]
)
def test_a_large_image_is_cut_into_tiles_of_144_tokens(
    size: str, tiles: int, works_as: int
) -> None:
    """And shown whole in 256 tokens behind a mark; 64 x 64 patches work as two tiles of 48 x 48."""
    model = read_model(OCR)
    description, media = with_media(model.description, model.name, size)
    assert media.tokens == 144 * tiles + 256 + 1
    eyes = description.stack("image")
    assert eyes is not None
    assert (eyes.tiles, eyes.pooled) == (works_as, 144 if tiles else 256)


def test_a_reader_of_another_width_than_what_it_reads_is_refused() -> None:
    wrong = {"sam_config": {"downsample_channels": [512, 1024]}, **OCR["vision_config"]}
    with pytest.raises(InputError, match="downsample_channels"):
        read_model({**OCR, "vision_config": wrong})


def test_heads_that_do_not_divide_are_refused() -> None:
    wrong = {**OCR["vision_config"]["encoder_config"], "num_key_value_heads": 3}
    with pytest.raises(InputError, match="key-value heads"):
        read_model({**OCR, "vision_config": {"encoder_config": wrong}})
