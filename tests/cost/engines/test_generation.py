"""Which profile speaks for a label: by its version, else by a date, else the newest."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.generation import profile_name


@pytest.mark.parametrize(
    ("label", "date", "name"),
    [
        ("vllm", "", "vllm"),
        ("vLLM 0.19.0 (InferenceX)", "2026-04-17", "vllm"),
        ("vllm@0.6", "", "vllm@0.11"),
        ("vllm-0.6", "", "vllm@0.11"),
        ("vLLM 0.6.3", "", "vllm@0.11"),
        ("vLLM (InferenceX)", "2025-10-29", "vllm"),  # no version: by its date
        ("vLLM (2023-11)", "", "vllm@0.11"),
        ("vLLM (ML.ENERGY v3, 2026-02 data)", "", "vllm@0.11"),  # published later than it ran
        ("SGLang nightly-dev-20260402-d7256eb6 (InferenceX)", "2026-04-08", "sglang"),
        ("SGLang 0.4.6.post1", "", "sglang@0.4"),
        ("TensorRT-LLM v0.6.1", "", "tensorrt-llm@0.17"),
        ("NVIDIA NIM 1.8.0 (TensorRT-LLM)", "", "tensorrt-llm@0.17"),
        ("TensorRT-LLM 1.0.0rc3 (NVIDIA gap analysis)", "", "tensorrt-llm"),
        ("llama.cpp llama-bench (May 2024)", "", "llama.cpp"),
        ("FlexGen", "", "FlexGen"),
    ],
)
def test_a_label_has_one_profile(label, date, name):
    assert profile_name(label, date) == name


def spread_of(model, gpu, **options):
    span = tf.estimate(model, gpu, batch=16, prompt=1000, generate=1000, **options).per_token
    return span.high_s / span.low_s


def test_what_was_never_seen_widens_the_interval_and_is_said():
    """Each of device, format, kind of model and version by itself, against one that was seen."""
    seen = spread_of("llama-3.1-8b", "h200", dtype="fp8", profile="vllm")
    for model, gpu, options, said in (
        ("llama-3.1-8b", "gb200", {"dtype": "fp8"}, "none of them on GB200"),
        ("llama-3.1-8b", "a100", {"dtype": "bf16"}, "nor any ampere"),
        ("llama-3.1-8b", "h200", {"dtype": "int8-wo"}, "none of them in int8-wo"),
        ("mamba-2.8b", "h200", {"dtype": "bf16"}, "a model of its kind (dense with recurrent"),
        ("llama-3.1-8b", "h200", {"dtype": "fp8", "profile": "vllm@0.99"}, "version vllm@0.99"),
    ):
        options = {"profile": "vllm", **options}
        provenance = tf.estimate(model, gpu, prompt=1000, generate=1000, **options).provenance
        assert said in " ".join(provenance.split())
        assert spread_of(model, gpu, **options) > 1.02 * seen


def test_a_version_inside_a_generation_is_not_new():
    assert find_profile("vllm@0.15").unseen(find_profile and tf.find_device("h200")) == ()
