"""Conformers with a decoder behind them, as classes of transformers 5.24.0 build them."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import load_model

# a decoder of four layers: two attentions of four maps with biases, two matrices, three norms;
# words, the norm of their sum with positions that are computed, and the last one
WIDE = 1024
LAYER = 8 * (WIDE + 1) * WIDE + 2 * WIDE * 4096 + 4096 + WIDE + 3 * 2 * WIDE
DECODER = 4 * LAYER + 16384 * WIDE + 2 * 2 * WIDE

# totals of the parameters of CohereAsrForConditionalGeneration and CanaryForConditionalGeneration
EARS = {"model_type": "parakeet_encoder", "num_hidden_layers": 1}
BUILT: list[tuple[dict[str, Any], int]] = [
    ({"model_type": "cohere_asr"}, 2_065_647_872),
    (
        {"model_type": "cohere_asr", "num_hidden_layers": 5, "head_dim": 256, "hidden_size": 512,
         "num_attention_heads": 16, "encoder_config": EARS},
        167_757_312,
    ),
    (
        {"model_type": "cohere_asr", "num_hidden_layers": 4, "encoder_config": {
            **EARS, "num_hidden_layers": 5, "subsampling_conv_channels": 257,
            "num_attention_heads": 16, "attention_bias": False}, "tie_word_embeddings": True},
        288_530_466,
    ),
    ({"model_type": "canary"}, 962_155_520),
    (
        {"model_type": "canary", "encoder_config": {**EARS, "subsampling_factor": 7},
         "decoder_config": {"model_type": "canary_decoder", "num_hidden_layers": 4}},
        114_507_008,
    ),
    (
        {"model_type": "canary", "encoder_config": {**EARS, "num_hidden_layers": 2},
         "decoder_config": {"model_type": "canary_decoder", "num_hidden_layers": 3,
                            "intermediate_size": 8192, "attention_bias": False,
                            "max_position_embeddings": 1023, "head_dim": 64}},
        132_935_680,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("config", "params"), BUILT)
def test_parameters_are_those_of_the_classes(config: dict[str, Any], params: int) -> None:
    assert load_model(config).params == params


def test_the_decoder_attends_to_itself_and_to_what_was_heard() -> None:
    config = {"model_type": "canary", "decoder_config": {"num_hidden_layers": 4}}
    more = {"model_type": "canary", "decoder_config": {"num_hidden_layers": 5}}
    assert load_model(more).params - load_model(config).params == LAYER
    ears = load_model({"model_type": "parakeet_encoder", "num_hidden_layers": 32,
                       "num_mel_bins": 128})  # fmt: skip
    # the head is the table of words, and has a bias
    assert load_model(config).params - ears.params == DECODER + 16384


def test_key_heads_of_an_encoder_are_those_of_its_file() -> None:
    """``ParakeetEncoderConfig(num_key_value_heads=4)`` keeps the 4."""
    ears = load_model(EARS).params
    assert ears - load_model({**EARS, "num_key_value_heads": 4}).params == 2 * 1025 * 512
    assert ears == load_model({**EARS, "num_key_value_heads": 8}).params
    with pytest.raises(InputError, match="8 query heads do not divide into 9"):
        load_model({**EARS, "num_key_value_heads": 9})


def test_a_decoder_of_another_width_cannot_read_canarys_ears() -> None:
    with pytest.raises(InputError, match="1024 wide, and the decoder that reads it 512"):
        load_model({"model_type": "canary", "decoder_config": {"hidden_size": 512}})
