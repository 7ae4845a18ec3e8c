"""A format that a name says means what checkpoints in it have, where those leave parts wide."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.inference.published_formats import published_formats

GIB = 2**30


@pytest.mark.parametrize(("mtp", "loaded_gib"), [(False, 70.47), (True, 75.17)])
def test_nvfp4_of_gated_delta_rules_is_as_large_as_the_checkpoint_that_vllm_loaded(mtp, loaded_gib):
    """vLLM 0.19: "Model loading took 70.47 GiB", and 75.17 with its drafts, which share tables;
    all matrices in 4 bits would be 66."""
    model = tf.load_model("qwen3.5-122b-a10b", mtp=mtp)
    fitted = tf.fit(model, "jetson thor", dtype="nvfp4")
    assert fitted.memory.weight_bytes / GIB == pytest.approx(loaded_gib, rel=0.011)


def test_what_no_checkpoint_narrows_of_gated_delta_rules_stays_wide():
    model = tf.load_model("qwen3.5-122b-a10b", mtp=True)
    found = published_formats(model, "nvfp4")
    for group, matrix, role in (
        ("linear_attn", "in_proj_qkvz", "decoder"), ("attn", "q_proj", "image"),
        ("experts", "expert up", "mtp"),
    ):  # fmt: skip
        assert found.format_of(group, matrix, 0, role) is None
    for group, matrix in (("attn", "q_proj"), ("experts", "expert up")):
        assert found.format_of(group, matrix, 3).name == "nvfp4"


def test_a_publication_of_the_catalogue_is_what_a_format_means_first():
    model = tf.load_model("qwen3.5-397b-a17b")
    own = tf.load_model("qwen3.5-397b-a17b-nvfp4").quantization
    assert published_formats(model, "nvfp4") == own


@pytest.mark.parametrize(("name", "dtype"), [("llama-3-8b", "nvfp4"), ("qwen3.5-27b", "fp8")])
def test_other_models_and_formats_have_one_width_for_all(name, dtype):
    assert published_formats(tf.load_model(name), dtype) is None


@pytest.mark.parametrize(
    ("model", "form"),
    [("qwen3.5-27b", "nvfp4-delta"), ("qwen3.5-397b-a17b", "nvfp4 as published")],
)
def test_only_what_was_published_is_said_to_be(model, form):
    assert tf.fit(model, "b200", devices=4, dtype="nvfp4").precision.label == form
