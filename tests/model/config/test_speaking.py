"""Qwen3-Omni: the thinker's work and the parameters of all, against transformers 5.24's class."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import InputError

# What Qwen3OmniMoeForConditionalGeneration builds on torch's meta device, part by part.
THINKER, TALKER, VOCODER = 31_719_205_488, 3_324_596_480, 216_016_577

TEXT = {"head_dim": 128, "num_experts_per_tok": 2, "shared_expert_intermediate_size": 768}


def speaking(**parts: dict[str, Any]) -> dict[str, Any]:
    """The published shape with a thinker of two layers, and keys of its parts changed."""
    talker = {
        "text_config": {**TEXT, **parts.get("text", {})},
        "code_predictor_config": {"num_code_groups": 16, **parts.get("predictor", {})},
        **parts.get("talker", {}),
    }
    text = {"num_hidden_layers": 2, "num_experts": 4, "num_experts_per_tok": 2}
    return {
        "model_type": "qwen3_omni_moe",
        "thinker_config": {"text_config": text},
        "talker_config": talker,
        "code2wav_config": parts.get("vocoder", {}),
    }


def voice(**parts: dict[str, Any]) -> tuple[int, int]:
    """Parameters of the talker and the vocoder."""
    groups = tf.load_model(speaking(**parts)).params_by_group
    return groups["talker"], groups["code2wav"]


def test_what_is_published_is_counted_whole() -> None:
    model = tf.load_model("qwen3-omni")
    assert model.params == THINKER + TALKER + VOCODER
    assert (model.params_by_group["talker"], model.params_by_group["code2wav"]) == (TALKER, VOCODER)
    # the card's 3B active, its towers of 1.19 billion and its table of words beside them
    assert 3e9 < model.active_params - 1_186_558_576 < 3.5e9
    assert model.max_positions == 65536
    assert any("3,540,613,057 of the parameters are held" in note for note in model.notes)


# the class's numbers for the same keys
SMALLER_TALKER = {
    "text": {
        "hidden_size": 96,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "head_dim": 24,
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "num_experts": 5,
        "shared_expert_intermediate_size": 56,
        "vocab_size": 300,
        "attention_bias": True,
    },
    "talker": {"tie_word_embeddings": True, "thinker_hidden_size": 100},
    "predictor": {
        "hidden_size": 64,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "head_dim": 24,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 300,
        "num_code_groups": 7,
        "attention_bias": True,
    },
}
SMALLER_VOCODER = {
    "codebook_size": 100,
    "hidden_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "attention_bias": True,
    "intermediate_size": 70,
    "num_hidden_layers": 3,
    "num_quantizers": 5,
    "upsample_rates": [3, 5, 2],
    "upsampling_ratios": [2, 3, 2],
    "decoder_dim": 160,
}


@pytest.mark.parametrize(
    ("parts", "counted"),
    [
        ({}, (TALKER, VOCODER)),
        (SMALLER_TALKER, (2_229_024, VOCODER)),
        ({"vocoder": SMALLER_VOCODER}, (TALKER, 908_809)),
    ],
)
def test_what_speaks_has_the_parameters_of_its_classes(
    parts: dict[str, Any], counted: tuple[int, int]
) -> None:
    assert voice(**parts) == counted


def test_without_speech_the_thinker_is_all_there_is() -> None:
    whole = speaking()
    silent = tf.load_model({**whole, "enable_audio_output": False})
    thinker = {"model_type": "qwen3_omni_moe_thinker", **whole["thinker_config"]}
    assert silent.params_by_group == tf.load_model(thinker).params_by_group
    step = tf.load_model(whole).operators(new=3)
    assert step.flops == silent.operators(new=3).flops


@pytest.mark.parametrize(
    "vocoder", [{"upsample_rates": [2] * 12}, {"upsample_rates": [0]}, {"upsampling_ratios": [-1]}]
)
def test_a_vocoder_that_no_class_builds_is_refused(vocoder: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="upsample_rates"):
        tf.load_model(speaking(vocoder=vocoder))


def test_architectures_say_whether_what_speaks_is_built() -> None:
    whole = speaking()
    alone = tf.load_model(
        {**whole, "architectures": ["Qwen3OmniMoeThinkerForConditionalGeneration"]}
    )
    assert "talker" not in alone.params_by_group
    with pytest.raises(InputError, match="not counted alone"):
        tf.load_model({**whole, "architectures": ["Qwen3OmniMoeTalkerForConditionalGeneration"]})
