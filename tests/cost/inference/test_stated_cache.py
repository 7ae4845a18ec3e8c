"""The cache that a checkpoint states is counted where the engine keeps it so, and is said as it is
counted."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.engines.engine import find_engine
from thermoflop.cost.inference.stated_cache import formats_said, stated_cache
from thermoflop.model.architecture.quantization import Quantization

MODEL = "gemma-4-31b-it-nvfp4"  # modelopt, kv_cache_quant_algo FP8
H100 = "h100"


@pytest.mark.parametrize(
    ("method", "cache", "label", "kept"),
    [
        # vLLM reads modelopt's from pull request 29980 on, compressed-tensors' from 30141, both of
        # December 2025 and in 0.13, and maps fp8 alone
        ("modelopt", "fp8", "vllm", "fp8"), ("modelopt", "fp8", "vllm 0.13", "fp8"),
        ("modelopt", "fp8", "vllm 0.12", None), ("modelopt", "fp8", "vllm@0.11", None),
        ("modelopt_fp4", "fp8", "vllm", "fp8"), ("modelopt", "nvfp4", "vllm", None),
        ("compressed-tensors", "fp8", "vllm", "fp8"), ("quark", "fp8", "vllm", None),
        # SGLang reads kv_cache_quant_algo alone
        ("modelopt", "fp8", "sglang", "fp8"), ("compressed-tensors", "fp8", "sglang", None),
        # TensorRT-LLM: "Using checkpoint KV quantization"
        ("modelopt", "nvfp4", "tensorrt-llm", "nvfp4"), ("modelopt", None, "vllm", None),
        ("modelopt", "fp8", "transformers", None), ("modelopt", "fp8", None, "fp8"),
    ],
)  # fmt: skip
def test_engines_keep_the_cache_of_a_checkpoint_as_their_sources_read_it(
    method, cache, label, kept
):
    quantization = Quantization(method, None, kv_cache=cache)
    engine = None if label is None else find_engine(label)
    assert stated_cache(quantization, engine, label) == kept


@pytest.mark.parametrize(("profile", "bytes_each"), [(None, 1), ("vllm", 1), ("vllm@0.11", 2)])
def test_fit_estimate_and_serving_count_the_same_cache(profile, bytes_each):
    fitted = tf.fit(MODEL, H100, profile=profile)
    estimated = tf.estimate(MODEL, H100, profile=profile)
    served = tf.serving(MODEL, H100, users=1, profile=profile)
    for each in (fitted, estimated, served):
        assert each.precision.kv_bytes == bytes_each
    assert ("cache in 8 bits" in str(served)) == (bytes_each == 1)
    said = "keys and values in fp8;" if bytes_each == 1 else "stated in fp8, kept in 16 bits"
    assert said in " ".join(str(fitted).split())
    assert said in " ".join(str(estimated).split())


def test_a_version_that_an_option_names_decides_as_one_in_the_profile():
    old = tf.fit(MODEL, H100, profile="vllm", engine_options={"version": "0.12"})
    new = tf.fit(MODEL, H100, profile="vllm 0.12", engine_options={"version": "0.13"})
    assert (old.precision.kv_bytes, new.precision.kv_bytes) == (2, 1)


def test_a_plan_starts_the_engine_with_the_cache_that_it_counts():
    found = tf.plan(MODEL, H100, users=1, profile="vllm", max_devices=1)
    assert "--kv-cache-dtype fp8" in " ".join(str(found).split())


def test_the_same_bytes_hold_twice_the_tokens_where_the_cache_is_kept_in_fp8():
    stated, wide = (tf.fit(MODEL, H100, profile="vllm", kv_dtype=name) for name in (None, "bf16"))
    assert stated.budget.cache_tokens == pytest.approx(2 * wide.budget.cache_tokens, rel=0.001)


def test_a_cache_asked_for_in_the_stated_format_is_said_as_stated():
    model = tf.load_model(MODEL)
    precision = tf.fit(MODEL, H100, kv_dtype="bf16").precision
    wide = formats_said(model.quantization, model.description, precision)
    same = formats_said(model.quantization, model.description, replace(precision, kv_bytes=1.0))
    assert wide.endswith(
        "keys and values stated in fp8, kept in 16 bits (--kv-dtype fp8 asks for them)"
    )
    assert same == model.quantization.line(model.description)


@pytest.mark.parametrize(("profile", "bytes_each"), [("vllm", 1), ("vllm@0.11", 2)])
def test_a_room_in_another_format_keeps_the_cache_as_its_engine_does(profile, bytes_each):
    room = tf.fit(MODEL, H100, dtype="bf16", profile=profile).room[0]
    assert room.precision.kv_bytes == 2
    assert room.in_format("nvfp4", None).precision.kv_bytes == bytes_each


@pytest.mark.parametrize(
    ("model", "gpu", "profile", "asked", "bytes_each"),
    [
        # srt/arg_groups/overrides.py of SGLang: fp8_e4m3 of chosen keys on Blackwell, else bfloat16
        ("glm-5", "b200", "sglang", None, 1), ("glm-5", "gb300", "sglang", None, 1),
        ("glm-5", "h200", "sglang", None, 2), ("glm-5", "b200", "sglang", "bf16", 2),
        ("glm-5", "b200", "vllm", None, 2), ("glm-5", "b200", None, None, 2),
        ("deepseek-v3", "b200", "sglang", None, 2),
    ],
)  # fmt: skip
def test_sglang_keeps_chosen_keys_in_8_bits_on_blackwell_unless_asked(
    model, gpu, profile, asked, bytes_each
):
    for dtype in ("fp8", None):
        fitted = tf.fit(model, gpu, tp=8, profile=profile, dtype=dtype, kv_dtype=asked)
        assert fitted.precision.kv_bytes == bytes_each
