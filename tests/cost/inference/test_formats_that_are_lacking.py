"""Formats that a device does not compute in, and what engines make of them there."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import UsageError

MODEL = "llama-3.1-8b"


def made(gpu: str, dtype: str, profile: str = "vllm", **how: Any) -> tf.Estimate:
    return tf.estimate(MODEL, gpu, dtype=dtype, profile=profile, **how)


def test_fp8_asked_of_ampere_takes_as_long_as_weights_published_so() -> None:
    asked, published = made("a100", "fp8"), made("a100", "fp8-tensor")
    assert asked.first_token.expected_s == pytest.approx(published.first_token.expected_s, rel=1e-3)
    assert asked.per_token.expected_s == pytest.approx(published.per_token.expected_s, rel=1e-3)
    assert asked.memory.weight_bytes == pytest.approx(published.memory.weight_bytes, rel=1e-3)


def test_narrow_weights_of_a_device_that_lacks_them_meet_inputs_of_16_bits() -> None:
    found = made("4090", "nvfp4", "sglang").precision
    assert (found.compute, found.family, found.weight_bits) == ("bf16", "4w", 4.5)
    assert made("h100", "fp8").precision.compute == "fp8"


@pytest.mark.parametrize("profile", ["tensorrt-llm", "transformers"])
def test_engines_without_such_kernels_refuse_a_format_that_the_device_lacks(profile: str) -> None:
    with pytest.raises(UsageError, match="does not compute in fp8"):
        made("a100", "fp8", profile)


@pytest.mark.parametrize("gpu", ["v100", "mi210"])
def test_marlin_is_for_ampere_and_later(gpu: str) -> None:
    with pytest.raises(UsageError, match="does not compute in fp8"):
        made(gpu, "fp8")


def test_a_format_that_stands_for_another_is_said_once() -> None:
    said = "bf16 on V100-SXM2-32GB is counted as fp16"
    assert str(made("v100", "bf16")).count(said) == 1
    assert str(tf.fit(MODEL, "v100", dtype="bf16")).count(said) == 1
    assert said not in str(made("v100", "fp16"))
    assert said not in str(tf.estimate(MODEL, "v100"))


def test_server_and_plan_say_that_products_are_wider_than_weights() -> None:
    said = "A100-SXM-80GB does not compute in fp8: vllm reads weights in it"
    assert said in str(tf.serving(MODEL, "a100", users=4, dtype="fp8", profile="vllm"))
    planned = tf.plan(MODEL, ["a100"], dtypes=["fp8"], max_devices=1, top=1)
    assert said in " ".join(planned.notes)
    usual = tf.plan(MODEL, ["v100"], max_devices=1, top=1)
    assert "does not compute" not in " ".join(usual.notes)


@pytest.mark.parametrize(("gpu", "compute"), [("3090", "bf16"), ("t4", "bf16"), ("mi355x", "bf16")])
def test_llama_cpp_multiplies_nvfp4_in_wider_formats_on_every_device(gpu, compute) -> None:
    """As it does a model that is published so; bf16 of a T4 runs at its peak of fp16, and the last
    has units for OCP's 4 bits alone."""
    found = made(gpu, "nvfp4", "llama.cpp")
    assert (found.precision.compute, found.precision.family) == (compute, "4w")
    assert "llama.cpp reads weights in it, and multiplies in 8 or 16 bits" in str(found)
    assert made(gpu, "mxfp4", "llama.cpp").precision.family == "4w"


@pytest.mark.parametrize("gpu", ["i9-13900k", "epyc 7742", "grace cpu"])
def test_llama_cpp_runs_on_processors_of_which_the_peak_in_fp32_alone_is_known(gpu: str) -> None:
    """A prompt takes as long as its multiplications at that peak, at the least."""
    known = tf.find_device(gpu)
    assert known.peaks.keys() == {"fp32"}
    for dtype, family in (("q4_k_m", "4w"), ("q8_0", "8w"), ("mxfp4", "4w"), ("bf16", "16")):
        found = made(gpu, dtype, "llama.cpp", prompt=512, generate=1)
        assert (found.precision.compute, found.precision.family) == ("fp32", family)
        assert f"no peak of {known.name} is known in" in str(found)
        assert ("integers may be faster" in found.precision.said) == (dtype != "bf16")
        flops = tf.load_model(MODEL).prefill(512, logits="last").flops
        assert found.first_token.bound_s == pytest.approx(flops / known.peaks["fp32"], rel=0.02)
        assert tf.fit(MODEL, gpu, dtype=dtype, profile="llama.cpp").precision.compute == "fp32"
    with pytest.raises(UsageError, match="does not compute in bf16"):
        made(gpu, "bf16", "vllm")


def test_a_refused_format_says_which_engines_count_it() -> None:
    with pytest.raises(UsageError, match="vLLM and SGLang read weights in fp8 there") as caught:
        tf.estimate(MODEL, "a100", dtype="fp8")
    assert str(caught.value).endswith(" (--profile vllm)")
    assert "--" not in caught.value.sentence


def _refused(ask) -> str:
    with pytest.raises(UsageError) as caught:
        ask()
    return caught.value.sentence


PUBLISHED = {"model_type": "gpt2", "quantization_config": {
    "quant_method": "modelopt", "quant_algo": "NVFP4"}}  # fmt: skip


@pytest.mark.parametrize(
    ("gpu", "profile"),
    [("mi355x", "vllm"), ("m4-max", "sglang"), ("h200", "tensorrt-llm"), ("mi210", "vllm")],
)
def test_a_file_is_refused_where_its_format_is_when_asked_for(gpu: str, profile: str) -> None:
    asked = _refused(lambda: tf.estimate("gpt2", gpu, dtype="nvfp4", profile=profile))
    assert "does not compute in nvfp4" in asked
    for ask in (tf.estimate, tf.fit):
        assert _refused(lambda ask=ask: ask(PUBLISHED, gpu, profile=profile)) == asked


@pytest.mark.parametrize(
    ("gpu", "profile", "how"),
    [("mi300x", "vllm", "16 bits (Petit)"), ("h200", "sglang", "16 bits (Marlin)"),
     ("4090", "vllm", "16 bits (Marlin)"), ("m4-max", "llama.cpp", "8 or 16 bits")],
)  # fmt: skip
def test_a_file_is_noted_where_its_format_is_when_asked_for(gpu, profile, how) -> None:
    """SGLang's guide to AMD's devices has nvfp4 on MI250 and MI300X by Petit."""
    asked = tf.estimate("gpt2", gpu, dtype="nvfp4", profile=profile).precision
    published = tf.estimate(PUBLISHED, gpu, profile=profile).precision
    assert asked.said == published.said != ""
    assert asked.said.endswith(f"{profile} reads weights in it, and multiplies in {how}")


def test_petit_multiplies_no_experts() -> None:
    said = _refused(lambda: tf.estimate("mixtral-8x7b", "mi300x", dtype="nvfp4", profile="vllm"))
    assert (
        said == "MI300X does not compute in nvfp4, and vllm has no kernels of experts there that"
        " read it"
    )


def test_a_plan_starts_no_file_on_a_device_whose_engine_does_not_run_it() -> None:
    found = tf.plan(PUBLISHED, ["mi355x", "b200"], users=4, max_devices=1, prompt=64, generate=8)
    assert {choice.device for choice in found.choices} == {"B200-SXM"}
    assert "note: not tried: MI355X does not compute in nvfp4" in " ".join(found.notes)
    asked = {"users": 4, "max_devices": 1, "prompt": 64, "generate": 8}
    with pytest.raises(UsageError, match="its 4 bits are mxfp4"):
        tf.plan(PUBLISHED, ["mi355x"], profile="vllm", **asked)
    others = tf.plan(PUBLISHED, ["mi355x"], **asked)  # the engine was nobody's choice
    assert "nvfp4" not in {choice.dtype for choice in others.choices}
    assert any("other formats are tried" in note for note in others.notes)
