"""The reasons behind numbers: derived formulas equal counts, tables add up to what they explain."""

from __future__ import annotations

import pytest
import thermoflop as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.machine import raw_profile
from thermoflop.cost.catalogue.machine import machine_profile_from
from thermoflop.cost.catalogue.profiles import custom_profile, find_profile, profile_of
from thermoflop.cost.inference.room import largest
from thermoflop.cost.mqa_page.kernels import (
    CATALOGUE_NAMES,
    OCCURS,
    formula_lines,
    page_formulas,
    page_kernels,
)
from thermoflop.cost.mqa_page.page import Page
from thermoflop.cost.why.number import why_number
from thermoflop.cost.why.steps import parts_shown
from thermoflop.cost.why.table import steps_of
from thermoflop.cost.work.steps import decode_step
from thermoflop.errors import UsageError

CASES = [
    ("llama-3-70b", {"tp": 4, "batch": 8}),
    ("mixtral-8x7b", {"profile": "llama.cpp", "batch": 4, "prompt": 2000}),
    ("deepseek-v3", {"tp": 8, "ep": 8, "batch": 16, "dtype": "fp8"}),
    ("gemma-3-27b", {"batch": 3, "prompt": 3000, "dtype": "int4", "kv_dtype": "fp8"}),
    ("jamba-v0.1", {"batch": 2}),
    ("bert-large-uncased", {"batch": 2, "prompt": 128, "generate": 0}),
    ("llama-3-8b", {"pp": 4, "batch": 8}),
]


def asked(name, options):
    options = dict(options)
    profile = find_profile(options.pop("profile", None))
    model = tf.load_model(name)
    found = tf.estimate(model, "h100", profile=profile, **options)
    return found, found.setting, tf.fit(model, "h100", **options)


@pytest.mark.parametrize("key", ["first.bound", "token.bound"])
@pytest.mark.parametrize("engine", ["transformers", "llama.cpp", "vllm"])
def test_the_reason_of_a_bound_comes_to_the_bound_whatever_an_engine_adds(engine, key):
    options = {"profile": engine, "batch": 4, "dtype": "int4", "prompt": 1024, "generate": 2}
    found, _, _ = asked("llama-3-8b", options)
    why = why_number(found, key)
    (line,) = [line for line in why.formula if line.startswith(why.binds)]
    assert line.endswith(f" = {why.value}")


SEEN = ("qwen2.5-vl-7b", {"profile": "llama.cpp", "prompt": 1024, "images": "2x1024x768"})


@pytest.mark.parametrize(("name", "options"), [*CASES, SEEN])
def test_the_steps_that_are_shown_add_up_to_the_estimate(name, options):
    found, setting, _ = asked(name, options)
    parts = parts_shown(found)

    def total(part):
        return part.factor * (part.operators_s(setting) + part.overhead_s)

    prompt_s = sum(total(part) for phase, part in parts.items() if phase != "decode")
    assert prompt_s == pytest.approx(found.first_token.expected_s, rel=1e-6)
    if found.generate > 1:
        assert total(parts["decode"]) == pytest.approx(found.per_token.expected_s, rel=0.02)


@pytest.mark.parametrize("engine", ["transformers", "llama.cpp", "vllm", "sglang", None])
@pytest.mark.parametrize("batch", [1, 8])
def test_the_middle_step_is_its_operators_and_what_it_waits_for(engine, batch):
    """Also where a host launches each kernel by itself, which small models wait for."""
    found, setting, _ = asked("gpt2", {"prompt": 100, "generate": 22, "batch": batch,
                                       "profile": engine})  # fmt: skip
    part = parts_shown(found)["decode"]
    step_s = setting.step_s(decode_step(100 + 21 / 2, batch))
    assert part.cached == pytest.approx(100 + 21 / 2, abs=1)
    assert part.operators_s(setting) + part.overhead_s == pytest.approx(step_s, rel=1e-3)
    assert part.overhead_s >= setting.rates.overhead_s(batch)


@pytest.mark.parametrize(
    "reading", [{}, {"chunk": 512}, {"prefix": 1024, "chunk": 512}, {"chunk": 600}, {"chunk": 5000}]
)
def test_the_tables_of_the_operators_add_up_to_the_estimate(reading):
    """Also of a prompt that is read in chunks, or that is cached in part."""
    options = {"prompt": 4096, "profile": "vllm", **reading}
    found = tf.estimate("llama-3-8b", "h100", **options)
    total_s = 0.0
    for part, (reasons, overhead_s) in zip(
        parts_shown(found).values(), steps_of(found).values(), strict=True
    ):
        if part.phase != "decode":
            total_s += part.factor * (sum(reason.time_s for reason in reasons) + overhead_s)
    assert total_s == pytest.approx(found.first_token.expected_s, rel=1e-6)


def test_a_measured_time_is_not_explained_by_the_data_sheet():
    """An operator of a calibrated profile says that its time was looked up."""
    profile = profile_of(machine_profile_from(raw_profile(), "mine"))
    found = tf.estimate("gpt2", profile.machine.device, dtype="fp32", profile=profile, prompt=64)
    lines = why_number(found, "op.prefill.1").formula
    assert any("measured time" in line for line in lines)
    assert not any("peak" in line for line in lines)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_table_of_the_weights_adds_up(name, options):
    found, setting, _ = asked(name, options)
    why = why_number(found, "memory.weights")
    count = sum(float(row[1].replace(",", "")) for row in why.rows)
    if found.plan.devices == 1 and found.plan.ep == 1:
        assert count == setting.model.params
    assert why.formula[-1].endswith(why.value)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_key_has_its_reasons(name, options):
    found, _, room = asked(name, options)
    spans = ("first", "token", "total") if found.generate > 1 else ("first",)
    keys = [f"{span}.{what}" for span in spans for what in ("bound", "expected", "interval")]
    keys += ["rate.prefill", *(f"memory.{part}" for part in (
        "weights", "cache", "activations", "reserve", "total"))]  # fmt: skip
    keys += ["model.params", "model.kv", "energy.power", "energy.run", "energy.token"]
    keys += ["fit.batch", "fit.context", "fit.devices", "op.prefill.0"]
    for key in keys:
        why = why_number(found, key, room)
        assert why.title, key
        assert why.value, key
        assert why.formula, key
        assert all(len(row) == len(why.columns) for row in why.rows), key
    for key in ("nothing", "fit.nothing", "op.decode.x", "token", "rate.none"):
        with pytest.raises(UsageError):
            why_number(found, key, room)


def loop_ms(page, attention):
    """The page's own loop, one context after the other."""
    total = 0.0
    for tokens in range(page.start, page.end):
        total += page.layer_ms(attention, tokens) * page.layers
    return total


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 100), st.integers(1, 64), st.integers(1, 40), st.integers(1, 500),
    st.integers(1, 300), st.floats(0.01, 1), st.floats(0, 0.1), st.sampled_from(["mha", "mqa"]),
)  # fmt: skip
def test_the_page_summed_at_once_has_the_digits_of_its_loop(
    batch, heads, head_width, start, steps, efficiency, floor_ms, attention
):
    page = Page(
        batch=batch, heads=heads, width=heads * head_width, start=start, end=start + steps,
        efficiency=efficiency, floor_ms=floor_ms,
    )  # fmt: skip
    assert page.total_ms(attention) == loop_ms(page, attention)


@pytest.mark.parametrize("attention", ["mha", "mqa"])
def test_the_formulas_of_the_page_come_to_its_counts(attention):
    page = Page(batch=7, heads=12, width=960)
    sizes = {"b": 7, "h": 12, "d": 960, "k": 80, "n": 333}
    counts = page.kernels(attention, 333)
    for key, expressions in page_formulas(attention).items():
        filled = tuple(
            int(each.subs({letter: sizes[str(letter)] for letter in each.free_symbols}))
            for each in expressions
        )
        assert filled == counts[key]
    lines = formula_lines(page, attention, "att1", 333)
    assert lines[0] == "FLOP = 2bdn"
    assert lines[1].endswith(f"{counts['att1'][0]:,}")


def test_the_kernels_of_the_page_add_up_to_its_layer():
    page = Page()
    for attention in ("mha", "mqa"):
        found = page_kernels(page, attention, 1024)
        together = sum(each.times * each.time_ms for each in found)
        assert together == pytest.approx(page.layer_ms(attention, 1024), rel=1e-12)
        assert {each.key for each in found} == set(OCCURS)
        for each in found:
            busy = max(each.compute_ms, each.memory_ms)
            assert each.time_ms == pytest.approx(busy + each.overhead_ms, rel=1e-12)


def test_the_devices_of_the_page_are_in_the_catalogue_with_the_same_rates():
    from thermoflop.cost.catalogue.devices import find_device
    from thermoflop.cost.mqa_page.page import DEVICES

    for name, (peak, bandwidth) in DEVICES.items():
        device = find_device(CATALOGUE_NAMES[name])
        assert (device.peak("fp16"), device.bandwidth_bytes_s) == (peak, bandwidth)


def test_rates_of_ones_own_replace_the_fitted_ones():
    found = tf.estimate("llama-3.2-1b", "h100", profile=custom_profile(0.5, 1e-5))
    slower = tf.estimate("llama-3.2-1b", "h100", profile=custom_profile(0.5, 5e-5))
    assert slower.per_token.expected_s > 3 * found.per_token.expected_s
    assert "10 µs and efficiency 0.5 are your own" in found.provenance
    for efficiency, launch_s in ((0, 0), (1.1, 0), (float("nan"), 0), (0.5, -1), (0.5, 2)):
        with pytest.raises(UsageError):
            custom_profile(efficiency, launch_s)


@given(st.integers(0, 3000), st.integers(1, 2000))
def test_the_largest_that_holds_is_found_up_to_and_with_the_most(limit, most):
    assert largest(lambda value: value <= limit, most) == min(limit, most)
