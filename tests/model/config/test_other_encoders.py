"""FLOPs of encoders with parts of their own, as torch's FlopCounterMode counts their classes.

Two sequences of 64 tokens through the defaults of transformers 5.24.0 on the meta device of torch
2.13.0; a class that does not run there is added up by hand.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.load import read_model

COUNTED = [
    ("mobilebert", "MobileBertForMaskedLM", 9_352_511_488),
    ("fnet", "FNetForMaskedLM", 21_091_319_808),
    ("ultrabert", "UltrabertForMaskedLM", 1_697_317_388_288),
    ("bert-generation", "BertGenerationDecoder", 91_315_765_248),
    ("tipsv2_text_model", "Tipsv2TextModel", 22_045_261_824),
    # a BERT, whose windows are as long as these sequences
    ("longformer", "LongformerForMaskedLM", 28_197_126_144),
]


@pytest.mark.parametrize(("name", "cls", "flops"), COUNTED, ids=[row[0] for row in COUNTED])
def test_as_many_flops_as_torch_dispatches(name: str, cls: str, flops: int) -> None:
    model = read_model({"model_type": name, "architectures": [cls]})
    assert model.encode(64, batch=2).flops == flops


def test_one_language_runs_however_many_adapters_there_are() -> None:
    one = read_model({"model_type": "xmod", "languages": ["en_XX"]})
    three = read_model({"model_type": "xmod", "languages": ["en_XX", "de_DE", "fr_XX"]})
    adapter = 768 * 384 + 384 + 384 * 768 + 768
    assert three.params - one.params == 12 * 2 * adapter
    assert three.encode(64).flops == one.encode(64).flops
    plain = read_model({"model_type": "roberta", "vocab_size": 30522})
    assert one.encode(64).flops - plain.encode(64).flops == 12 * 64 * 2 * 2 * 768 * 384


def test_nystroem_convolves_the_values_of_each_head() -> None:
    """65 taps over 768 elements, one kernel for each of 12 heads."""
    plain = read_model({"model_type": "nystromformer", "conv_kernel_size": None})
    model = read_model({"model_type": "nystromformer"})
    assert model.params - plain.params == 12 * 12 * 65
    assert model.encode(8).flops - plain.encode(8).flops == 12 * 8 * 2 * 65 * 768


def test_options_that_are_not_described_are_refused() -> None:
    with pytest.raises(InputError, match="share one"):
        read_model({"model_type": "mobilebert", "use_bottleneck": False})
    with pytest.raises(UnknownModel, match="summary_use_proj = False"):
        read_model({"model_type": "electra", "summary_use_proj": False,
                    "architectures": ["ElectraForMultipleChoice"]})  # fmt: skip


def test_a_mobilebert_without_an_activation_of_its_classifier_has_no_pooler() -> None:
    """As built in transformers 5.24.0; the pooler is a matrix of 512 x 512 and its bias."""
    for name, pooled in (("Model", 1), ("ForSequenceClassification", 1), ("ForMaskedLM", 0)):
        config = {"model_type": "mobilebert", "architectures": [f"MobileBert{name}"]}
        active, plain = (
            read_model({**config, "classifier_activation": each}).params for each in (True, False)
        )
        assert active - plain == pooled * (512 * 512 + 512)


SIDE = {"model_type": "t5_gemma_module", "vocab_size": 90, "hidden_size": 32,
        "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 64}  # fmt: skip


def test_t5gemma_meets_an_encoder_of_another_width() -> None:
    """As its class has and torch dispatches it (transformers 5.24.0), eager, 20 and 7 tokens."""
    decoder = {**SIDE, "hidden_size": 48, "num_hidden_layers": 3}
    model = read_model({"model_type": "t5gemma", "encoder": SIDE, "decoder": decoder})
    assert model.params == 70_608
    assert model.prefill(7, batch=2, encoder=20).flops == 3_171_200
    assert model.encode(20, batch=2).flops == 1_433_600


def test_wavlm_weighs_relative_positions_by_a_gate_for_each_head() -> None:
    """As torch dispatches two clips of 4000 samples through the class, eager."""
    config = {"model_type": "wavlm", "hidden_size": 32, "num_hidden_layers": 2,
              "num_attention_heads": 4, "intermediate_size": 64, "conv_dim": [16] * 7,
              "architectures": ["WavLMModel"]}  # fmt: skip
    model = read_model(config)
    assert model.encode(4000, batch=2).flops == 4_212_096
    plain = read_model({**config, "model_type": "wav2vec2", "architectures": ["Wav2Vec2Model"]})
    assert model.params - plain.params == 320 * 4 + 2 * (8 * 8 + 8 + 4)


@pytest.mark.parametrize(
    ("keys", "longest"),
    [
        ({"model_type": "bert"}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 8194}, 8192),
        ({"model_type": "camembert", "max_position_embeddings": 514, "pad_token_id": 0}, 513),
    ],
)
def test_robertas_positions_begin_behind_that_of_the_padding(
    keys: dict[str, Any], longest: int
) -> None:
    """As their published cards say: 512 tokens of 514 rows, BGE-M3 8192 of 8194."""
    assert read_model(keys).max_positions == longest
