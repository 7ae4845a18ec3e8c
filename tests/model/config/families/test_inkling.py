"""Inkling and Inkling 2, held to published sizes and to the classes of transformers 5.24."""

from __future__ import annotations

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model

FULL = [5, 11, 17, 23, 29, 35, 41]
SMALL = {
    "architectures": ["InklingForConditionalGeneration"],
    "model_type": "inkling_mm_model",
    "text_config": {
        "hidden_size": 4096,
        "num_hidden_layers": 42,
        "vocab_size": 201024,
        "unpadded_vocab_size": 200058,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "d_rel": 16,
        "rel_extent": 1024,
        "use_embed_norm": True,
        "local_layer_ids": [index for index in range(42) if index not in FULL],
        "dense_mlp_idx": 2,
        "use_sconv": True,
        "sconv_kernel_size": 4,
        "swa_head_dim": 128,
        "swa_num_attention_heads": 32,
        "swa_num_key_value_heads": 8,
        "sliding_window_size": 512,
        "n_routed_experts": 256,
        "num_experts_per_tok": 6,
        "n_shared_experts": 2,
        "shared_expert_sink": True,
        "dense_intermediate_size": 16384,
        "intermediate_size": 2048,
        "use_gate_bias": True,
        "gate_activation": "sigmoid",
        "norm_after_topk": True,
        "use_global_scale": True,
    },
    "vision_config": {"vision_encoder_type": "hmlp", "patch_size": 40, "n_layers": 4},
    "audio_config": {"n_mel_bins": 80, "mel_vocab_size": 16, "audio_mode": "dmel"},
    "mtp_config": {"num_nextn_predict_layers": 8, "local_layer_ids": [0, 1, 2, 4, 5, 6]},
}


def test_inkling_small_is_as_large_as_its_index_says() -> None:
    """In bfloat16, but for 40 biases and scales of routers in 32 bits, which the index holds."""
    held = read_model(SMALL, mtp=True).params
    assert 2 * held + 40 * (4 * 256 + 2) == 531_912_898_740
    assert read_model(SMALL).params == held - 2_231_912_456


def test_inkling_says_that_layers_ahead_are_not_counted() -> None:
    assert any("further ahead are not counted" in note for note in read_model(SMALL).notes)


def test_a_patch_of_inkling_is_folded_by_four_matrices() -> None:
    eyes = read_model(SMALL).description.stack("image")
    assert eyes is not None
    sizes = [getattr(each.part, "inputs", None) for each in eyes.tail]
    assert [size for size in sizes if size] == [75, 512, 5120, 9600]
    assert [each.times for each in eyes.tail][::2] == [128, 32, 2, 1]


def test_more_folds_than_a_patch_has_factors_are_refused() -> None:
    with pytest.raises(InputError, match="more than a patch"):
        read_model({**SMALL, "vision_config": {"n_layers": 24}})


def test_inkling_2_is_as_large_as_its_class() -> None:
    text = {"model_type": "inkling2_text", "architectures": ["Inkling2ForCausalLM"]}
    assert read_model(text).params == 593_718_478_848
    both = {"model_type": "inkling2", "architectures": ["Inkling2ForConditionalGeneration"]}
    assert read_model(both).params == 594_046_172_160
    unlisted = "the work of choosing among blocks of layers before is not listed"
    assert unlisted in read_model(text).notes
    assert unlisted in read_model(both).notes


def test_small_layers_of_inkling_2() -> None:
    small = {
        "model_type": "inkling2_text", "vocab_size": 110, "unpadded_vocab_size": 101,
        "hidden_size": 32, "num_hidden_layers": 8, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "swa_num_attention_heads": 6,
        "swa_num_key_value_heads": 3, "swa_head_dim": 8, "sliding_window_size": 5, "d_rel": 4,
        "rel_extent": 7, "moe_intermediate_size": 24, "n_routed_experts": 6,
        "num_experts_per_tok": 2,
    }  # fmt: skip
    assert read_model(small).params == 179_312
    one = {**small, "num_hidden_layers": 1, "layer_types": ["hybrid"]}
    assert read_model(one).params == 26_732
