"""The lines behind memory, energy and rates, on a made-up model and device, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import thermoflop as tf
from kit.made_up import (
    DEVICE,
    HEAD_MATRIX,
    KEY_WIDTH,
    LAYERS,
    MATRICES,
    MIXTURE,
    NORMS,
    WIDTH,
    decoder,
    rates,
)
from thermoflop.base.record import replace
from thermoflop.base.units import digits, gigabytes, scaled
from thermoflop.cost.reports import saturation as saturation_module
from thermoflop.cost.reports.saturation import saturation, saturation_text
from thermoflop.cost.why.memory import _stored_notes
from thermoflop.cost.why.number import why_number
from thermoflop.cost.why.operator import derived
from thermoflop.cost.why.steps import parts_shown
from thermoflop.cost.why.table import conventions_said, formula_text

BATCH, PROMPT, GENERATE = 4, 100, 5
PARAMS = 2 * HEAD_MATRIX + LAYERS * (MATRICES + NORMS) + WIDTH


@pytest.fixture(scope="module")
def estimate() -> tf.Estimate:
    slow = rates(
        matmul=0.5, attention=0.25, weights=0.8, cache=0.4, activations=0.2, link=0.6, m_half=32,
        kernel_gap_s=5e-6, step_s=1e-3, sequence_s=2e-5, collective_s=7e-6, prompt_s=4e-3,
        launch_overhead_s=3e-6, weight_bytes_per_core_cycle=30,
    )  # fmt: skip
    return tf.estimate(
        decoder(), DEVICE, batch=BATCH, prompt=PROMPT, generate=GENERATE, profile=slow
    )


def test_the_cache_is_its_elements_times_sequences_and_bytes(estimate):
    token = LAYERS * 2 * KEY_WIDTH
    held = token * (PROMPT + GENERATE)
    why = why_number(estimate, "memory.cache")
    assert why.formula[1] == f"  = ({held:,} x 2 B + 0 x 4 B) x {BATCH}"
    assert why.formula[2].startswith(f"  = {held * BATCH * 2:,} B")
    assert why_number(estimate, "model.kv").formula[1] == f"  = {token} x 2 B = {2 * token:,} B"


def test_the_cache_of_a_stage_is_its_share_of_the_layers_and_of_a_replica_its_sequences():
    two = tf.estimate(decoder(), DEVICE, batch=8, prompt=100, generate=5, pp=2, dp=4)
    held = LAYERS * 2 * KEY_WIDTH * 105
    lines = why_number(two, "memory.cache").formula
    assert lines[0].endswith(" x sequences x share of the fullest stage")
    assert lines[1] == f"  = ({held:,} x 2 B + 0 x 4 B) x 2 x 0.5"
    assert lines[2].startswith(f"  = {held * 2:,} B = ")
    notes = why_number(two, "memory.weights").notes
    assert notes[-1] == "the fullest pipeline stage; the table is all stages together"
    replicas = tf.estimate(decoder(), DEVICE, batch=4, prompt=100, generate=5, dp=2)
    assert "stage" not in " ".join(why_number(replicas, "memory.weights").notes)


def test_the_weights_are_the_parameters_in_two_bytes(estimate):
    rows = why_number(estimate, "memory.weights").rows
    assert sum(int(count.replace(",", "")) for _, count, _ in rows) == PARAMS
    assert all(size == scaled(2.0 * int(count.replace(",", "")), "B") for _, count, size in rows)
    assert why_number(estimate, "model.params").value == f"{PARAMS:,}"
    assert estimate.memory.weight_bytes == 2 * PARAMS


def test_memory_is_the_sum_of_its_parts_with_the_reserve(estimate):
    memory = estimate.memory
    assert memory.reserve_bytes == pytest.approx(0.7e9 + 0.02 * 10e9)
    reserve = why_number(estimate, "memory.reserve")
    assert reserve.formula[1] == "  = 0.7 GB + 0.02 x 10.0 GB = 0.9 GB"
    parts = memory.weight_bytes + memory.kv_bytes + memory.activation_bytes + 0.9e9
    assert memory.total_bytes == pytest.approx(parts)
    together = why_number(estimate, "memory.total")
    assert together.formula[1].endswith(f" + 0.9 GB = {parts / 1e9:.3f} GB")
    assert together.formula[2] == f"{parts / 1e9:.3f} GB <= 10.0 GB: it fits"


def test_energy_is_power_times_time_and_rise_power_times_resistance(estimate):
    energy = estimate.energy
    seconds = estimate.total.expected_s
    assert energy.energy_j == pytest.approx(energy.power_w * seconds)
    assert why_number(estimate, "energy.run").value == f"{energy.power_w * seconds:.2f} J"
    each = energy.power_w * seconds / (BATCH * GENERATE)
    assert why_number(estimate, "energy.token").value == f"{each:.3f} J"
    assert why_number(estimate, "energy.rise").value == f"{energy.power_w * 0.1:.1f} °C"
    assert why_number(estimate, "energy.power").value == f"{energy.power_w:.0f} W"


def test_the_formula_has_every_rate_in_its_own_place(estimate):
    text = formula_text(estimate.setting)
    for line in (
        "compute = (FLOP + 32 rows of padding) / (100 TFLOP/s x e), e = 0.50 in products, 0.25 in",
        "memory  = bytes / (1.00 TB/s x e), e = 0.80 for weights, 0.40 cache, 0.20 activations",
        "gap     = 5.00 µs; a step 1.00 ms, a sequence 20.0 µs, a prompt 4.00 ms; ridge 62.5",
        "launching costs the host 3.00 µs a kernel of a prompt; decode steps run as graphs",
    ):  # ridge: 100e12 x 0.5 / (1e12 x 0.8)
        assert line in text
    assert "network" not in text
    own = rates(link=0.6, collective_s=7e-6)
    two = tf.estimate(decoder(), DEVICE, prompt=100, generate=5, devices=2, profile=own)
    network = "network = bytes / (100 GB/s x 0.60) + 7.00 µs for each step of a collective"
    assert network in formula_text(two.setting)


def test_what_is_counted_names_the_conventions_of_what_the_model_has(estimate):
    assert conventions_said(estimate) == (
        "attention: causal in the prompt, fused: scores stay on the chip; "
        "logits: at the last position"
    )
    for name, more in (
        ("deepseek-v2-lite", ["latent attention", "weights of experts"]),
        ("mixtral-8x7b", ["weights of experts"]),
    ):
        said = conventions_said(tf.estimate(name, "h100"))
        assert [part.partition(": ")[0] for part in said.split("; ")] == [
            "attention", "logits", *more
        ]  # fmt: skip


def test_the_formula_of_an_engine_with_kernels_for_vectors_pads_few_rows_one_by_one(estimate):
    """A ninth of the padding each: where the time of vectors reaches that of the padded product."""
    setting = tf.estimate("llama-3-8b", "rtx4090", profile="llama.cpp").setting
    ninth = setting.rates.efficiency.m_half / 9
    assert f"\n            {ninth:.1f} for each of up to 8 rows\n" in formula_text(setting)
    assert "for each of up to" not in formula_text(estimate.setting)


def test_the_formula_names_the_peak_of_attention_where_products_have_another(estimate):
    narrow = replace(DEVICE, peaks={"bf16": 100e12, "fp8": 200e12})
    text = formula_text(tf.estimate(decoder(), narrow, prompt=9, dtype="fp8").setting)
    assert "rows of padding) / (200 TFLOP/s x e)" in text
    assert "\n            (100 TFLOP/s x e) in attention\n" in text
    assert "x e) in attention" not in formula_text(estimate.setting)


def test_saturation_says_what_binds_at_each_batch_and_where_computing_begins_to():
    slower = replace(DEVICE, peaks={"bf16": 10e12})

    def at(batch: int) -> tf.Estimate:
        return tf.estimate(decoder(), slower, batch=batch, prompt=10, generate=3, profile=rates())

    rows = saturation(at)
    assert [row.batch for row in rows] == [2**power for power in range(12)]
    for row in (rows[0], rows[3]):
        one = at(row.batch)
        assert row.per_token_s == one.per_token.expected_s
        assert (row.memory_bytes, row.fits) == (one.memory.total_bytes, True)
    turn = next(row.batch for row in rows if row.binds == "compute")
    assert all(row.binds == "memory" for row in rows if row.batch < turn)
    assert saturation_text(rows).endswith(f"computing binds from batch {turn} on")
    assert [row.tokens_per_s for row in rows] == [at(b.batch).decode_tokens_per_s for b in rows]
    slow = saturation(lambda batch: tf.estimate(
        decoder(), DEVICE, batch=batch, prompt=10, generate=3, profile=rates(step_s=1.0)
    ))  # fmt: skip
    assert saturation_text(slow).endswith("computing binds at none of these batches")


def test_batches_go_on_to_the_second_that_does_not_fit():
    """2 GB, of which 0.74 are the reserve: tokens of 1,024 bytes, 20,000 of each sequence."""
    small = replace(DEVICE, memory_bytes=2e9)
    rows = saturation(lambda batch: tf.estimate(
        decoder(), small, batch=batch, prompt=20_000, generate=3, profile=rates()
    ))  # fmt: skip
    fitting = [row.fits for row in rows]
    assert fitting == sorted(fitting, reverse=True)
    assert (fitting.count(False), fitting.count(True)) == (2, len(rows) - 2)
    assert 2 < len(rows) < 12
    threes = saturation(lambda batch: tf.estimate(
        decoder(), DEVICE, batch=batch, dp=4, prompt=10, generate=3, profile=rates()
    ), 4)  # fmt: skip
    assert [row.batch for row in threes] == [2**power for power in range(2, 12)]


def test_what_binds_a_batch_takes_most_of_the_step_in_all(monkeypatch):
    """Two operators of one second each move bytes, one of a second and a half computes; whatever
    the step takes besides is its own. Of a prompt and a token the token counts."""
    times = (("memory", 1.0), ("compute", 1.5), ("memory", 1.0))
    reasons = [SimpleNamespace(binds=binds, time_s=time_s) for binds, time_s in times]
    for overhead, binds in ((0.1, "memory"), (1.9, "memory"), (2.1, "step")):
        steps = {"prompt": ([SimpleNamespace(binds="compute", time_s=99.0)], 0.0),
                 "token": (reasons, overhead)}  # fmt: skip
        monkeypatch.setattr(saturation_module, "steps_of", lambda _, steps=steps: steps)
        assert saturation_module._binding(None) == binds


def test_weights_beside_quantized_ones_are_of_16_bits():
    rows = why_number(tf.estimate("gpt-oss-20b", "h100"), "memory.weights").rows
    kept = {row[0]: row[-1] for row in rows}
    assert kept["embed_tokens"] == "16 bits"
    assert kept["experts"].startswith("mxfp4")


@pytest.mark.parametrize(("count", "more"), [(8, ""), (9, " and 1 more"), (20, " and 12 more")])
def test_eight_of_what_a_checkpoint_leaves_wide_are_named(count, more):
    names = tuple(f"part{number}" for number in range(count))
    quantization = SimpleNamespace(method="gptq", wide=names)
    scales, wide = _stored_notes(SimpleNamespace(quantization=quantization))
    assert scales == "quantized by gptq, scales and zero points included"
    assert wide == f"left wide by name: {', '.join(names[:8])}{more}"
    plain = SimpleNamespace(quantization=SimpleNamespace(method="gptq", wide=()))
    assert _stored_notes(plain) == [scales]
    assert _stored_notes(None) == []


def test_an_operator_is_derived_in_the_letters_that_it_has(estimate):
    """A product of 4 sequences: its sizes, and no others; a collective has bytes alone."""
    part = parts_shown(estimate)["decode"]
    place = next(n for n, work in enumerate(part.works) if work.name == "up_proj")
    lines, letters = derived(estimate.setting, part, place)
    work = part.works[place]
    assert lines[1].endswith(f" = {work.flops:,.0f}")
    assert [line.split(" = ")[0] for line in lines[::2]] == [
        "FLOP", "bytes of weights", "bytes of activations",
    ]  # fmt: skip
    named = {letter.split(" = ")[0]: letter.split(" = ")[1].split(":")[0] for letter in letters}
    assert named["b"] == "4"
    assert {"256", "512"} <= set(named.values())
    assert "t" not in named
    assert "one device" not in " ".join(letters)
    two = tf.estimate(decoder(), DEVICE, tp=2, batch=4, prompt=100, generate=5)
    _, halves = derived(two.setting, parts_shown(two)["decode"], place)
    assert halves[0] == "sizes are those of one device"
    sparse = decoder(**{**MIXTURE, "num_local_experts": 4})
    spread = tf.estimate(sparse, DEVICE, tp=1, dp=2, ep=2, batch=4, prompt=100, generate=5)
    shown = parts_shown(spread)["decode"]
    place = next(n for n, work in enumerate(shown.works) if work.kind == "contraction")
    assert derived(spread.setting, shown, place)[1][0] == "sizes are those of one device"
    sent = part.works[place].__class__(
        "all-reduce", "n", "n", "network", 1, 1.0, 0.0, 0.0, 0.0, 1234.0
    )
    assert derived(estimate.setting, replace(part, works=(sent,)), 0) == (
        ("bytes sent = 1,234",), (),
    )  # fmt: skip


def test_every_figure_of_memory_and_energy_stands_where_it_belongs(estimate):
    memory, energy = estimate.memory, estimate.energy
    parts = (memory.weight_bytes, memory.kv_bytes, memory.activation_bytes, memory.reserve_bytes)
    together = why_number(estimate, "memory.total")
    sizes = [gigabytes(part) for part in parts]
    assert len(set(sizes)) == 4
    assert together.formula[1] == f"  = {' + '.join(sizes)} = {gigabytes(memory.total_bytes)}"
    assert [why_number(estimate, f"memory.{name}").value for name in (
        "weights", "cache", "activations", "reserve")] == sizes  # fmt: skip
    small = replace(DEVICE, memory_bytes=0.5e9)
    crowded = tf.estimate(decoder(), small, batch=BATCH, prompt=PROMPT, generate=GENERATE)
    missing = crowded.memory.total_bytes - 0.5e9
    assert why_number(crowded, "memory.total").formula[2] == (
        f"{gigabytes(crowded.memory.total_bytes)} > 0.5 GB: {gigabytes(missing)} missing"
    )
    power = why_number(estimate, "energy.power")
    ends = f"{digits(energy.power_low_w)} .. {digits(energy.power_high_w)} W"
    assert power.notes[0] == f"80 % interval {ends}"
    assert power.formula[1] == f"  = {digits(energy.power_w)} W"
    run = why_number(estimate, "energy.run")
    between = f"{digits(energy.energy_low_j)} .. {digits(energy.energy_high_j)} J"
    assert run.notes[0] == f"80 % interval of the run {between}"
    each = why_number(estimate, "energy.token")
    whole = f"{digits(energy.energy_j)} J"
    assert each.formula[3] == (f"  = {whole} / {BATCH * GENERATE} = {digits(energy.per_token_j)} J")
    rise = why_number(estimate, "energy.rise").formula[1]
    assert rise == f"  = {digits(energy.power_w)} W x 0.1 °C/W = {digits(energy.rise_c)} °C"
    params = why_number(estimate, "model.params")
    assert params.formula[1] == f"  = {PARAMS:,}"
    assert sum(int(count.replace(",", "")) for _, count in params.rows) == PARAMS
    active = decoder().active_params
    assert params.notes[0] == f"{active:,} of them are active on a token"


def test_an_encoder_reads_all_of_its_batch_at_once():
    notes = [
        why_number(tf.estimate(model, DEVICE, batch=2, prompt=20, generate=tokens, dtype="bf16"),
                   "memory.activations").notes[0]
        for model, tokens in (("bert-base", 0), (decoder(), 5))
    ]  # fmt: skip
    assert notes == ["an encoder reads all of its batch at once",
                     "serving engines read at most 8,192 prompt tokens at once"]  # fmt: skip
