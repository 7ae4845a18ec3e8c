"""The format that a model's name says is the one its weights are counted in."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.model.config.named_format import named_format


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("llama3.1:8b-instruct-q4_K_M", "q4_k_m"),
        ("unsloth/Qwen3-32B-GGUF:UD-Q2_K_XL", "q2_k"),
        ("bartowski/gemma-2-9b-it-IQ4_XS", "iq4_xs"),
        ("llama-3-8b-q4_K", "q4_k_m"),
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "awq-int4-g128"),
        ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int8", "gptq-int8-g128"),
        ("mlx-community/Qwen3-8B-4bit", "mlx-int4-g64"),
        ("unsloth/llama-3-8b-bnb-4bit", "bnb-nf4-dq"),
        ("RedHatAI/Llama-3.3-70B-Instruct-quantized.w4a16", "w4a16-g128"),
        ("RedHatAI/Qwen3-235B-A22B-Instruct-2507-FP8-dynamic", "fp8-dynamic"),
        ("nvidia/DeepSeek-R1-NVFP4", "nvfp4"),
        ("llama-3-8b-q9_x", None),
        ("meta-llama/Llama-3.1-8B-Instruct", None),
    ],
)
def test_the_word_and_what_it_means(name: str, meant: str | None) -> None:
    assert named_format(name) == meant


@pytest.mark.parametrize(
    ("name", "stated_gb"),
    [
        # sizes of the cards and files that test_published_sizes and memory.json name
        ("llama-3.3-70b-instruct-awq", 39.8),
        ("TheBloke/Llama-2-13B-chat-GPTQ", 7.26),
        ("llama-3-70b:q4_K_M", 39.6 * 2**30 / 1e9),
    ],
)
def test_weights_are_counted_in_it(name: str, stated_gb: float) -> None:
    capacity = tf.fit(name, "h100")
    assert capacity.memory.weight_bytes / 1e9 == pytest.approx(stated_gb, rel=0.012)
    assert tf.fit(name, "h100", dtype="bf16").precision.label == "bf16"
    assert any("the name says" in note for note in tf.load_model(name).notes)


def test_a_device_without_the_format_reads_it_and_computes_in_16_bits() -> None:
    precision = tf.fit("llama-3.1-70b-instruct-fp8", "a100", devices=8).precision
    assert (precision.compute, precision.family) == ("bf16", "8w")


def test_an_own_entry_of_the_catalogue_says_it_by_itself() -> None:
    for name in ("qwen3-32b-fp8", "llama-3.1-8b"):
        assert tf.load_model(name).named_format is None
