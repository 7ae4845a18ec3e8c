"""Bits an element of what a quantization_config says, scales and zero points included, by what each
method's own code stores."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf

HIDDEN, INNER, TOKENS, LAYERS = 512, 1024, 1000, 2
CONFIG = {
    "model_type": "llama", "vocab_size": TOKENS, "hidden_size": HIDDEN, "intermediate_size": INNER,
    "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 4,
    "tie_word_embeddings": False,
}  # fmt: skip
ELEMENTS = LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER)
WIDE = 2 * TOKENS * HIDDEN + (2 * LAYERS + 1) * HIDDEN  # table, head and norms
# scales of whole matrices, seven a layer, and of each row that comes out of them
TENSORS, ROWS = LAYERS * 7, LAYERS * (4 * HIDDEN + 2 * INNER + HIDDEN)
OF_TENSORS = 64 * TENSORS / ELEMENTS  # fp32, of the weight and of its input
OF_ROWS = 32 * ROWS / ELEMENTS  # fp32


def bits_of(**block: Any) -> float:
    """Bits an element of the layers' matrices; all else is in 16 bits."""
    held = tf.fit({**CONFIG, "quantization_config": block}, "h100").memory.weight_bytes
    return float((held - 2 * WIDE) * 8 / ELEMENTS)


@pytest.mark.parametrize(
    ("method", "bits"),
    [
        ("awq", 4 + (16 + 4) / 128),  # AutoAWQ: an fp16 scale and a zero of 4 bits for 128
        ("auto-round", 4 + (16 + 4) / 128),
        ("marlin", 4 + 16 / 128),  # symmetric: no zeros
        ("hqq", 4 + 32 / 64),  # fp16 scale and zero for 64
        ("sinq", 4 + 32 / 64),
        ("metal", 4 + 32 / 64),  # a scale and a bias, as MLX
        ("higgs", 4 + 16 / 256),
        ("spqr", 3 + 10 / 16),  # 3-bit scale and zero of their own scales for 16 (Dettmers 2023)
    ],
)
def test_a_method_that_says_no_more_has_its_own_bits_and_groups(method: str, bits: float) -> None:
    assert bits_of(quant_method=method) == pytest.approx(bits)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group", [32, 64, 128])
def test_gptq_has_a_scale_and_a_zero_for_each_group(bits: int, group: int) -> None:
    found = bits_of(quant_method="gptq", bits=bits, group_size=group)
    assert found == pytest.approx(bits + (16 + bits) / group)


@pytest.mark.parametrize(
    ("algorithm", "bits"),
    [
        ("NVFP4", 4 + 8 / 16 + OF_TENSORS),  # an e4m3 scale for 16
        ("NVFP4_AWQ", 4 + 8 / 16 + OF_TENSORS),
        ("W4A16_NVFP4", 4 + 8 / 16 + OF_TENSORS),
        ("W4A8_NVFP4_FP8", 4 + 8 / 16 + OF_TENSORS),
        ("FP8", 8 + OF_TENSORS),
        ("INT8", 8 + OF_TENSORS),
        ("FP8_PER_CHANNEL_PER_TOKEN", 8 + OF_ROWS),
        ("FP8_PB_WO", 8 + 32 / 128**2),  # an fp32 scale for a block of 128 x 128
        ("FP8_BLOCK_SCALES", 8 + 32 / 128**2),
        ("MXFP8", 8 + 8 / 32),  # OCP: an e8m0 scale for 32
        ("MXFP4", 4 + 8 / 32),
        ("W4A16_MXFP4", 4 + 8 / 32),
        ("W4A8_MXFP4_FP8", 4 + 8 / 32),
        ("W4A16_AWQ", 4 + 16 / 128),  # symmetric in ModelOpt
        ("W4A8_AWQ", 4 + 16 / 128),
        ("W4A16", 4 + OF_ROWS),
        ("W8A16", 8 + OF_ROWS),
        ("W8A8_SQ_PER_CHANNEL", 8 + OF_ROWS),
    ],
)
def test_an_algorithm_of_modelopt_has_the_scales_of_its_kind(algorithm: str, bits: float) -> None:
    found = bits_of(quant_method="modelopt", quant_algo=algorithm, exclude_modules=["lm_head"])
    assert found == pytest.approx(bits)
