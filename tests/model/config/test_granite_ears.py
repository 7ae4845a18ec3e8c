"""Granite Speech beside its class in transformers 5.24: parameters, and FLOPs of sound.

The numbers are those of GraniteSpeechForConditionalGeneration on the meta device, and of its
``get_audio_features`` counted by torch's FlopCounterMode; two mel frames of 10 ms are a position.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop import load_model
from thermoflop.errors import InputError
from thermoflop.model.media import with_media
from thermoflop.model.operators.build import build_operators
from thermoflop.model.operators.step import Step

TEXT = {"model_type": "granite", "hidden_size": 64, "intermediate_size": 96, "vocab_size": 100,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 4}  # fmt: skip
HEARS = {"hidden_dim": 48, "num_layers": 3, "num_heads": 4, "input_dim": 20, "output_dim": 7,
         "context_size": 20, "max_pos_emb": 30, "conv_kernel_size": 5}  # fmt: skip
ASKS = {"model_type": "blip_2_qformer", "hidden_size": 32, "num_hidden_layers": 3,
        "num_attention_heads": 4, "intermediate_size": 40, "encoder_hidden_size": 48}  # fmt: skip
GRANITE: dict[str, Any] = {"model_type": "granite_speech", "text_config": TEXT,
                           "encoder_config": HEARS, "projector_config": ASKS}  # fmt: skip


PARAMS = 264_659


def test_granite_speech_has_the_parameters_of_its_class() -> None:
    assert load_model(GRANITE).params == PARAMS
    plus = {**GRANITE, "model_type": "granite_speech_plus"}
    wide = {**ASKS, "encoder_hidden_size": 96}
    both = {**plus, "projector_config": wide, "encoder_config": {**HEARS, "cat_hidden_layers": [1]}}
    # layers 0 and 2 of three attend, and their keys and values then read 96 elements
    assert load_model(both).params == PARAMS + 2 * 2 * 48 * 32
    assert load_model({"model_type": "granite_speech"}).params == 6_990_441_514


@pytest.mark.parametrize(
    ("seconds", "windows", "flops"),
    [
        (30, 100, 606_713_472),  # 1,500 positions: 75 whole blocks of 20, 100 windows of 15
        (10, 34, 202_475_136),  # 500: the last window holds five
        (3.3, 11, 67_648_128),  # 165: the last block holds five, and is filled up
    ],
)
def test_a_clip_costs_what_the_class_multiplies(seconds: float, windows: int, flops: int) -> None:
    hearing, media = with_media(load_model(GRANITE).description, "granite", audio=seconds)
    operators = build_operators(hearing, Step(batch=1, new=media.tokens, audio=1))
    heard = [each for each in operators if each.part.startswith("audio")]
    assert media.tokens == 3 * windows
    assert 2 * sum(each.multiplications for each in heard) == flops


@pytest.mark.parametrize(
    "change", [{"downsample_rate": 16}, {"encoder_config": {**HEARS, "context_size": 31}}]
)
def test_sizes_that_the_class_refuses_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected no more"):
        load_model({**GRANITE, **change})
