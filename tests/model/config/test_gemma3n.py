"""Gemma 3n beside transformers 5.24 and timm 1.0.31 on torch's meta device."""

from __future__ import annotations

import pytest
from thermoflop import load_model
from thermoflop.errors import UnknownModel

GEMMA_3N_E4B = {"model_type": "gemma3n"}


def test_the_whole_model_of_class_defaults_has_as_many_parameters_as_its_class() -> None:
    assert load_model(GEMMA_3N_E4B).params == 7_818_517_072


def test_the_tower_that_sees_is_that_of_timm() -> None:
    model = load_model(GEMMA_3N_E4B)
    stack = model.description.stack("image")
    assert sum(placed.part.parameters for placed in stack.front) == 294_126_912
    project = 2 * 256 * 2048 * 2048
    seen = model.prefill(300, images=1).flops - model.prefill(300).flops
    assert seen == 871_482_949_632 + project


def test_a_clip_of_sound_takes_188_tokens_and_the_flops_of_its_class() -> None:
    """The class fills the last block of 12 positions up where relative positions are scored."""
    model = load_model(GEMMA_3N_E4B)
    heard = model.prefill(300, audio="30s").flops - model.prefill(300).flops
    project, filled = 2 * 188 * 1536 * 2048, 12 * 2 * 6 * 13 * 1536
    assert heard - project == 983_672_856_576 - filled
    assert model.description.stack("audio").tokens == 188


@pytest.mark.parametrize(
    "section",
    [
        {"vision_config": {"architecture": "resnet50"}},
        {"vision_config": {"do_pooling": True}},
        {"vision_config": {"model_args": {"depth": 3}}},
        {"audio_config": {"sscp_conv_stride_size": [[2, 2], [1, 2]]}},
    ],
)
def test_another_tower_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(UnknownModel):
        load_model({**GEMMA_3N_E4B, **section})
