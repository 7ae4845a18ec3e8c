"""Attention with sinks where vLLM has no fast kernel that knows them."""

from __future__ import annotations

import pytest
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.sinks import SLOWER, as_tiled, has_sinks
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.model.load import load_model


def setting(model, gpu, profile):
    found, device = load_model(model), find_device(gpu)
    return Setting(found, device, Layout(), choose_precision("bf16"), find_profile(profile))


def attention_flops(found, step):
    works = found.works(step)
    return sum(work.times * work.flops for work in works if work.kind == "attention")


def slower(model, gpu, profile, step):
    """How many times the FLOPs of the model are computed."""
    found = setting(model, gpu, profile)
    plain = [work for work in found.plain_works(step) if work.kind == "attention"]
    return attention_flops(found, step) / sum(work.times * work.flops for work in plain)


@pytest.mark.parametrize(
    ("gpu", "profile", "times"),
    [("a100-80gb", "vllm", SLOWER), ("a100-80gb", "vllm@0.11", SLOWER), ("l40s", "vllm", SLOWER),
     ("rtx-pro-6000", "vllm", SLOWER), ("h100", "vllm", 1), ("b200", "vllm", 1),
     ("a100-80gb", "sglang", 1)],
)  # fmt: skip
def test_prompts_are_read_by_a_slower_kernel_where_no_other_knows_sinks(gpu, profile, times):
    assert slower("gpt-oss-20b", gpu, profile, prefill_step(4096, 1)) == pytest.approx(times)


def test_decoding_and_models_without_sinks_are_left_alone():
    assert slower("gpt-oss-20b", "a100-80gb", "vllm", decode_step(4096, 1)) == pytest.approx(1)
    assert slower("llama-3-8b", "a100-80gb", "vllm", prefill_step(4096, 1)) == pytest.approx(1)
    assert has_sinks(load_model("gpt-oss-120b").description)
    assert not has_sinks(load_model("llama-3-8b").description)


def test_products_are_left_alone():
    found = setting("gpt-oss-20b", "a100-80gb", "vllm")
    works = [work for work in found.works(prefill_step(64, 1)) if work.kind != "attention"]
    assert as_tiled(works, found.device) == works
