"""Moonshine as its class of transformers 5.24.0 builds it and torch multiplies it (eager).

9000 samples leave 139, 45 and 22 positions behind the convolutions; two clips, 7 tokens each.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError, UsageError
from thermoflop.model.load import read_model

SMALL = {"vocab_size": 61, "hidden_size": 24, "intermediate_size": 40,
         "encoder_num_hidden_layers": 2, "decoder_num_hidden_layers": 1,
         "encoder_num_attention_heads": 2, "decoder_num_attention_heads": 4}  # fmt: skip
FILLED = {**SMALL, "encoder_num_hidden_layers": 1, "decoder_num_hidden_layers": 2,
          "encoder_num_attention_heads": 4, "attention_bias": True,
          "pad_head_dim_to_multiple_of": 8, "tie_word_embeddings": False}  # fmt: skip
BUILT: list[tuple[dict[str, Any], str, int, int]] = [
    (SMALL, "ForConditionalGeneration", 32_536, 4_738_368),
    (SMALL, "Model", 32_536, 4_697_376),
    (FILLED, "ForConditionalGeneration", 37_688, 4_648_448),
    (FILLED, "Model", 36_224, 4_607_456),
    ({}, "ForConditionalGeneration", 27_092_736, 1_410_832_512),
]


@pytest.mark.parametrize(("keys", "name", "params", "flops"), BUILT)
def test_as_the_class_builds_and_torch_counts(
    keys: dict[str, Any], name: str, params: int, flops: int
) -> None:
    model = read_model({"model_type": "moonshine", "architectures": [f"Moonshine{name}"], **keys})
    assert model.params == params
    assert model.prefill(7, 2, encoder=22).flops == flops


def test_what_the_class_cannot_run_is_refused() -> None:
    with pytest.raises(InputError, match="as many as query heads, 8"):
        read_model({"model_type": "moonshine", "encoder_num_key_value_heads": 4})
    with pytest.raises(UsageError, match="say encoder="):
        read_model({"model_type": "moonshine"}).prefill(7)
