"""How an engine's footprint and pool become a budget and a memory: every field by arithmetic."""

from __future__ import annotations

import pytest
from kit.made_up import DEVICE
from thermoflop.base.record import replace
from thermoflop.cost.engines import budget as budgets
from thermoflop.cost.engines.budget import SPREAD, Budget, EngineMemory
from thermoflop.cost.engines.footprint import Footprint, Load
from thermoflop.cost.engines.pools import Layout

# GB: 9 of 10 may be used, of which weights take 3, work 0.7 + 0.2 + 0.1; 5 are left.
FOOTPRINT = Footprint(9e9, 3e9, 0.7e9, 0.2e9, 0.1e9, 77, 512, 0.4e9, {"b": 2}, 0.05e9)
# 1 MB for 16 tokens of each of two groups; a sequence takes seven such blocks.
LAYOUT = Layout(1e6, 16, 2.0, 7.0)
LOAD = Load(4, 30, 50)


@pytest.fixture
def divided(monkeypatch):
    def made(engine, **options):
        key = "llama.cpp" if engine == "ollama" else engine
        monkeypatch.setitem(budgets.FOOTPRINTS, key, lambda *_: FOOTPRINT)
        monkeypatch.setitem(budgets.LAYOUTS, key, lambda *given: LAYOUT if given[3] == 512 else 0)
        return EngineMemory(engine, {"a": 1, "b": None, **options}, DEVICE)

    return made


@pytest.mark.parametrize(
    ("engine", "of_device"),
    [("vllm", 0.0015), ("sglang", 0.006), ("tensorrt-llm", 0.01), ("llama.cpp", 0), ("ollama", 0)],
)
def test_a_budget_is_what_is_left_of_what_may_be_used(divided, engine, of_device):
    """Its ends: work as wrong as was seen, and 0.4 % of the weights and so much of the device."""
    low, high = SPREAD[engine]
    slack = 0.004 * 3e9 + of_device * 10e9
    found = divided(engine).budget(None, LOAD)
    assert found == Budget(
        engine, {"a": 1, "b": 2}, 9e9, 3e9, 0.7e9, 0.2e9, 0.1e9, pytest.approx(5e9),
        pytest.approx(5e9 - (high - 1) * 1e9 - slack), pytest.approx(5e9 + (1 - low) * 1e9 + slack),
        2500 * 16, 16, 50, pytest.approx(5e9 / 7e6), 77, 0.4e9,
    )  # fmt: skip


def test_less_than_nothing_is_never_left_for_the_cache(divided, monkeypatch):
    full = replace(FOOTPRINT, weight_bytes=8.2e9)
    memory = divided("tensorrt-llm")
    monkeypatch.setitem(budgets.FOOTPRINTS, "tensorrt-llm", lambda *_: full)
    found = memory.budget(None, LOAD)
    assert (found.cache_bytes, found.cache_low_bytes, found.cache_tokens) == (0, 0, 0)
    assert found.cache_high_bytes > 0


@pytest.mark.parametrize(
    ("options", "sequences"), [({}, 4), ({"parallel": 6}, 6), ({"parallel": 2}, 4)]
)
def test_a_memory_has_slots_or_sequences_and_what_may_not_be_used_in_reserve(
    divided, options, sequences
):
    """A reserve of the 1 GB that may not be used, and 0.2 and 0.1 besides."""
    found = divided("sglang", **options).memory(None, LOAD)
    assert found.kv_bytes == sequences * 7e6
    assert (found.weight_bytes, found.activation_bytes) == (3e9, 0.7e9)
    assert found.reserve_bytes == pytest.approx(1.3e9)
    assert found.spread_bytes == pytest.approx(1e9)
    assert (found.capacity_bytes, found.spread) == (10e9, SPREAD["sglang"])
    words = ", ".join(f"{name}={value}" for name, value in {"a": 1, "b": 2, **options}.items())
    assert found.assumed == f"sglang: {words}"


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"ctx_size": 100, "parallel": 3}, 33), ({"ctx_size": 100, "parallel": 0}, 25),
        ({"max_model_len": 49}, 49), ({"ctx_size": 0, "max_model_len": None}, None),
    ],
)  # fmt: skip
def test_a_sequence_is_as_long_as_its_part_of_a_context_or_the_limit(options, most):
    assert EngineMemory("llama.cpp", options, DEVICE).longest(LOAD) == most
