"""How an engine's footprint and pool become a budget and a memory: every field by arithmetic."""

from __future__ import annotations

from math import hypot
from types import SimpleNamespace

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
ALONE = SimpleNamespace(beside=None)  # a share of which no more is asked here
LOAD = Load(4, 30, 50)
GIB = 2.0**30


@pytest.mark.parametrize(
    ("name", "version", "gib"),
    [("H100", "0.19", 0.25), ("H200", "0.6", 0.25), ("H100", "0.20", 0.9), ("H100", None, 0.9),
     ("RTX 5090", "0.19", 0.9), ("RTX 5090", "0.31", 0.9), ("H100", "0.32", 1.3),
     ("RTX 5090", "1.0", 1.3)],
)  # fmt: skip
def test_vllms_interval_is_as_wide_as_its_device_and_version_are_unread(name, version, gib):
    """And as if the work of experts may be twice as much."""
    memory = EngineMemory("vllm", {"version": version}, replace(DEVICE, name=name))
    parts = 0.018e9, gib * GIB
    assert memory.doubt(FOOTPRINT) == pytest.approx((hypot(0.05e9, *parts), hypot(0.07e9, *parts)))
    group = memory.doubt(replace(FOOTPRINT, group_bytes=2e9))
    assert group == pytest.approx((hypot(0.05e9, 2e9, *parts), hypot(0.07e9, 2e9, *parts)))
    twice = memory.doubt(replace(FOOTPRINT, doubt_bytes=3e9))
    assert twice == pytest.approx((hypot(0.05e9, *parts), hypot(0.07e9, 3e9, *parts)))


@pytest.mark.parametrize(
    ("version", "said"),
    [("0.32", ("0.32 is taken as 0.31, the newest that was read: wider interval",)), ("0.31.2", ()),
     (None, ()), ("0.6", ())],
)  # fmt: skip
def test_a_version_beyond_all_that_were_read_says_what_stands_in_for_it(divided, version, said):
    assert divided("vllm", version=version).budget(ALONE, LOAD).notes == said


@pytest.fixture
def divided(monkeypatch):
    def made(engine, **options):
        key = "llama.cpp" if engine == "ollama" else engine
        monkeypatch.setitem(budgets.FOOTPRINTS, key, lambda *_: FOOTPRINT)
        monkeypatch.setitem(budgets.LAYOUTS, key, lambda *given: LAYOUT if given[3] == 512 else 0)
        version = {"version": None} if engine == "vllm" else {}
        device = replace(DEVICE, confidence="read")
        return EngineMemory(engine, {"a": 1, "b": None, **version, **options}, device)

    return made


@pytest.mark.parametrize(
    ("engine", "of_device", "of_weights"),
    [("vllm", 0.9 * GIB, 0.018e9), ("sglang", 0.08e9, 0.018e9), ("tensorrt-llm", 0.12e9, 0.018e9),
     ("llama.cpp", 0.35e9, 0.045e9), ("ollama", 0.35e9, 0.045e9)],
)  # fmt: skip
def test_a_budget_is_what_is_left_of_what_may_be_used(divided, engine, of_device, of_weights):
    """Its ends: work as wrong as was seen, 0.6 % of the weights (1.5 % of GGUF's, of which files of
    one name differ) and so much of the device, by their squares."""
    low, high = SPREAD[engine]
    more, less = (hypot(share * 1e9, of_weights, of_device) for share in (high - 1, 1 - low))
    found = divided(engine).budget(ALONE, LOAD)
    options = {"a": 1, "b": 2, **({"version": None} if engine == "vllm" else {})}
    options = {} if engine == "ollama" else options  # which has few, and neither of these
    assert found == Budget(
        engine, options, 9e9, 3e9, 0.7e9, 0.2e9, 0.1e9, pytest.approx(5e9),
        pytest.approx(5e9 - more), pytest.approx(5e9 + less),
        2500 * 16, 16, 50, pytest.approx(5e9 / 7e6), 77, 0.4e9,
    )  # fmt: skip


def test_less_than_nothing_is_never_left_for_the_cache(divided, monkeypatch):
    full = replace(FOOTPRINT, weight_bytes=8.2e9)
    memory = divided("tensorrt-llm")
    monkeypatch.setitem(budgets.FOOTPRINTS, "tensorrt-llm", lambda *_: full)
    found = memory.budget(ALONE, LOAD)
    assert (found.cache_bytes, found.cache_low_bytes, found.cache_tokens) == (0, 0, 0)
    assert found.cache_high_bytes > 0


@pytest.mark.parametrize(
    ("options", "sequences"), [({}, 4), ({"parallel": 6}, 6), ({"parallel": 2}, 4)]
)
def test_a_memory_has_slots_or_sequences_and_what_may_not_be_used_in_reserve(
    divided, options, sequences
):
    """A reserve of the 1 GB that may not be used, and 0.2 and 0.1 besides; the total is as wrong as
    what is left for the cache."""
    found = divided("sglang", **options).memory(ALONE, LOAD)
    assert found.kv_bytes == sequences * 7e6
    assert (found.weight_bytes, found.activation_bytes) == (3e9, 0.7e9)
    assert found.reserve_bytes == pytest.approx(1.3e9)
    doubt = hypot(0.2e9, 0.006 * 3e9, 0.008 * 10e9)
    assert found.total_bytes - found.low_bytes == pytest.approx(doubt)
    assert found.high_bytes - found.total_bytes == pytest.approx(doubt)
    assert found.capacity_bytes == 10e9
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


@pytest.mark.parametrize(
    ("pool", "said"), [(7.5e6, "; 1 sequence of 50 "), (2e7, "; 2 sequences of 50 ")]
)
def test_one_sequence_is_said_as_one(pool, said):
    budget = Budget("vllm", {}, 9e9, 3e9, 0.0, 0.0, 0.0, pool, pool, pool, LAYOUT.tokens(pool), 16,
                    50, LAYOUT.sequences(pool), None)  # fmt: skip
    assert said in " ".join(budgets.budget_text(budget))


def test_a_sequence_takes_what_a_draft_keeps_of_it_too():
    """Seven blocks of 1 MB, and 3.5 MB of the draft's: a pool of 21 MB has room for two, not 3."""
    beside = LAYOUT.with_beside(3.5e6)
    assert beside.sequence_bytes == 10.5e6
    assert (LAYOUT.sequences(21e6), beside.sequences(21e6)) == (3, 2)
