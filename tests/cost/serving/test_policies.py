"""How engines put prompts into steps, as their own sources say."""

from __future__ import annotations

import pytest
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.engines.engine import DEFAULT, find_engine
from thermoflop.cost.serving.policy import policy_of


@pytest.mark.parametrize(
    ("engine", "gpu", "name", "budget", "slots"),
    [
        # vLLM's EngineArgs.get_batch_defaults: 70 GiB and more, but for the A100
        ("vllm", "h100", "mixed", 8192, 1024),
        ("vllm", "h200", "mixed", 8192, 1024),
        ("vllm", "a100-80gb", "mixed", 2048, 256),
        ("vllm", "rtx-4090", "mixed", 2048, 256),
        ("sglang", "h100", "passes", 8192, 4096),
        ("tensorrt-llm", "h100", "mixed", 8192, 2048),
        ("llama.cpp", "h100", "mixed", 2048, 64),
        ("transformers", "h100", "static", 2**20, 2**20),
    ],
)
def test_an_engine_on_a_device_has_its_defaults(engine, gpu, name, budget, slots):
    found = policy_of(find_engine(engine), find_device(gpu))
    assert (found.name, found.budget, found.slots) == (name, budget, slots)


def test_a_device_of_70_gib_is_large():
    device = replace(find_device("rtx-4090"), memory_bytes=70 * 2**30)
    assert policy_of(find_engine("vllm"), device).slots == 1024
    less = replace(device, memory_bytes=70 * 2**30 - 1)
    assert policy_of(find_engine("vllm"), less).slots == 256


def test_a_small_budget_of_an_engine_stays_and_what_the_user_says_counts():
    engine = replace(find_engine("vllm"), budget=512)
    assert policy_of(engine, find_device("rtx-4090")).budget == 512
    assert policy_of(DEFAULT, find_device("h100")).name == "mixed"
    device = find_device("h100")
    for name in ("vllm", "sglang", "llama.cpp", "transformers"):
        usual, said = (policy_of(find_engine(name), device, *asked) for asked in ((), (100, 7)))
        assert (said.name, said.budget, said.slots) == (usual.name, 100, 7)
    assert "fills 4,096 tokens" in policy_of(find_engine("llama.cpp"), device, 4096).why
