"""The lines behind bounds, intervals, rates, activations, energy and what fits, by hand."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import (
    BANDWIDTH,
    DEVICE,
    HEAD_MATRIX,
    KEY_WIDTH,
    LAYERS,
    MATRICES,
    PEAK,
    WIDTH,
    decoder,
    rates,
)
from thermoflop.base.record import replace
from thermoflop.base.units import scaled, seconds
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.reports.estimate import explain_step
from thermoflop.cost.why.number import operator_rows, why_number
from thermoflop.cost.why.steps import parts_shown
from thermoflop.cost.why.table import steps_of, why_text
from thermoflop.errors import UsageError

BATCH, PROMPT, GENERATE = 4, 100, 5
# A chip keeps 1 MB, and the links are fast enough to play no part.
CHIP = replace(DEVICE, cache_bytes=1e6)
FLOPS_A_TOKEN = 2 * (LAYERS * MATRICES + HEAD_MATRIX)
NORM_WEIGHTS = (2 * LAYERS + 1) * WIDTH
TOKEN_BYTES = 2 * 2 * LAYERS * KEY_WIDTH


@pytest.fixture(scope="module")
def estimate() -> tf.Estimate:
    return tf.estimate(
        decoder(), CHIP, batch=BATCH, prompt=PROMPT, generate=GENERATE, profile=rates(matmul=0.5)
    )


def test_the_bound_of_a_token_reads_the_weights_once_and_the_whole_cache(estimate):
    """101.5 tokens are cached in the middle: what a token reads of them, and writes of its own."""
    why = why_number(estimate, "token.bound")
    held = PROMPT + (GENERATE - 2) / 2
    attention = BATCH * LAYERS * 4 * WIDTH * (held + 1)
    flops = BATCH * FLOPS_A_TOKEN + attention
    weights = 2 * (LAYERS * MATRICES + HEAD_MATRIX + NORM_WEIGHTS + BATCH * WIDTH)
    cache = BATCH * TOKEN_BYTES * (held + 2)
    assert why.formula[1] == (
        f"compute = {scaled(flops, 'FLOP')} / 100 TFLOP/s = {seconds(flops / PEAK)}"
    )
    moved = (weights + cache - 1e6) / BANDWIDTH
    assert why.formula[2] == (
        f"memory = ({scaled(weights + cache, 'B')} - 1.00 MB on chip) / 1.00 TB/s"
        f" = {seconds(moved)}"
    )
    assert why.formula[3].startswith("network = 0 B / 100 GB/s = ")
    assert why.binds == "memory"


def test_the_bound_of_a_prompt_counts_pairs_under_the_mask(estimate):
    why = why_number(estimate, "first.bound")
    pairs = PROMPT * (PROMPT + 1) // 2
    tokens = BATCH * PROMPT
    flops = 2 * LAYERS * MATRICES * tokens + 2 * HEAD_MATRIX * BATCH
    flops += BATCH * LAYERS * 4 * WIDTH * pairs
    assert why.formula[1].startswith(f"compute = {scaled(flops, 'FLOP')} / ")


def test_the_bound_of_a_prompt_counts_what_is_new_of_it():
    """Of 100 tokens 40 are cached: 60 are computed, each with those before it and
    itself."""
    cached, new = 40, 60
    found = tf.estimate(
        decoder(), CHIP, batch=BATCH, prompt=PROMPT, prefix=cached, generate=GENERATE,
        profile=rates(matmul=0.5),
    )  # fmt: skip
    pairs = new * cached + new * (new + 1) // 2
    flops = BATCH * (2 * LAYERS * MATRICES * new + 2 * HEAD_MATRIX + LAYERS * 4 * WIDTH * pairs)
    why = why_number(found, "first.bound")
    assert why.formula[1] == (
        f"compute = {scaled(flops, 'FLOP')} / 100 TFLOP/s = {seconds(flops / PEAK)}"
    )


def test_all_is_the_first_token_and_the_later_ones(estimate):
    for key, of in (("total.bound", "bound_s"), ("total.expected", "expected_s")):
        first, each = getattr(estimate.first_token, of), getattr(estimate.per_token, of)
        whole = first + (GENERATE - 1) * each
        assert getattr(estimate.total, of) == pytest.approx(whole, rel=1e-9)
        filled = f"  = {seconds(first)} + {GENERATE - 1} x {seconds(each)} = {seconds(whole)}"
        assert why_number(estimate, key).formula[1] == filled


def test_an_interval_is_multiples_of_the_expectation(estimate):
    why = why_number(estimate, "first.interval")
    spread = estimate.setting.spread("prefill")
    time = estimate.first_token.expected_s
    assert why.formula[0] == (
        f"low = {spread.low:.2f} x expected = {spread.low:.2f} x {seconds(time)}"
        f" = {seconds(spread.low * time)}"
    )
    assert why.formula[1] == (
        f"high = {spread.high:.2f} x expected = {spread.high:.2f} x {seconds(time)}"
        f" = {seconds(spread.high * time)}"
    )
    assert f"80 % of {spread.rows:,} published rows" in why.notes[0]


def test_rates_are_tokens_over_times(estimate):
    first, each = estimate.first_token.expected_s, estimate.per_token.expected_s
    whole = estimate.total.expected_s
    assert why_number(estimate, "rate.prefill").formula[1] == f"  = 4 x 100 / {seconds(first)}"
    assert why_number(estimate, "rate.decode").formula[1] == f"  = 4 / {seconds(each)}"
    for which, rate in (("prefill", 4 * 100 / first), ("decode", 4 / each), ("all", 20 / whole)):
        why = why_number(estimate, f"rate.{which}")
        assert why.value == f"{float(f'{rate:.3g}'):,.0f} tokens/s"  # as the table says it
        assert why.formula[2] == f"  = {why.value}"
    assert why_number(estimate, "rate.all").formula[1] == f"  = 4 x 5 / {seconds(whole)}"
    two = tf.estimate(decoder(), CHIP, prompt=PROMPT, generate=2)
    assert why_number(two, "rate.all").formula[1].startswith("  = 1 x 2 / ")
    one = tf.estimate(decoder(), CHIP, prompt=PROMPT, generate=1)
    with pytest.raises(UsageError, match="fewer than two tokens"):
        why_number(one, "rate.all")
    assert why_number(one, "first.bound").value == seconds(one.first_token.bound_s)
    for key in ("token.bound", "total.expected"):
        with pytest.raises(UsageError):
            why_number(one, key)


def test_activations_are_of_the_tokens_in_flight(estimate):
    assert (
        why_number(estimate, "memory.activations").formula[1].endswith("with 400 tokens in flight")
    )
    long = tf.estimate(decoder(), CHIP, batch=4, prompt=5000, generate=2, profile=rates())
    assert "with 8,192 tokens" in why_number(long, "memory.activations").formula[1]
    halves = tf.estimate(decoder(), CHIP, dp=2, batch=4, prompt=100, generate=2, profile=rates())
    assert "with 200 tokens" in why_number(halves, "memory.activations").formula[1]


def test_energy_of_a_token_is_that_of_the_run_over_all_that_are_generated(estimate):
    energy = estimate.energy
    why = why_number(estimate, "energy.token")
    assert why.formula[2] == "a token = energy / (batch x generated tokens)"
    assert " / 20 = " in why.formula[3]
    assert why.formula[1].startswith("  = 1 x ")
    nothing = tf.estimate(decoder(), CHIP, batch=4, prompt=100, generate=0, profile=rates())
    assert " / 4 = " in why_number(nothing, "energy.token").formula[3]
    assert energy.per_token_j == pytest.approx(energy.energy_j / 20)


def test_what_fits_says_under_which_rule(estimate):
    room = tf.fit(decoder(), CHIP, batch=BATCH, prompt=PROMPT, generate=GENERATE)
    for key, value in (
        ("fit.batch", f"{room.largest_batch:,}"),
        ("fit.context", f"{room.longest_context:,} tokens"),
        ("fit.devices", "1 (one device)"),
    ):
        why = why_number(estimate, key, room)
        assert why.value == value
        assert "reserve <= 10.0 GB on the fullest device" in why.formula[1]


@pytest.mark.parametrize(
    ("positions", "asked", "tokens"), [(4096, None, 1024), (50, None, 48), (50, 7, 7)]
)
def test_a_step_is_explained_for_as_many_tokens_as_the_model_has_room_for(positions, asked, tokens):
    """1,024 of the prompt where there is room, and two that are generated. The gate's product of
    both layers says how many."""
    text = explain_step(decoder(max_position_embeddings=positions), "h100", 1, asked)
    prompt = text.partition("reading the prompt")[2].partition("host and scheduler")[0]
    (gate,) = [line for line in prompt.splitlines() if line.startswith("gate_proj")]
    assert scaled(LAYERS * 2 * tokens * WIDTH * 512, "").strip() in gate


def test_the_text_of_the_reasons_holds_every_step(estimate):
    text = why_text(estimate)
    assert "lm_head" in text
    assert "attention" in text


def test_stages_are_noted_where_there_are_two(estimate):
    two = tf.estimate(decoder(), CHIP, pp=2, batch=2, prompt=100, generate=5, profile=rates())
    assert "2 pipeline stages work on different sequences at once" in (
        why_number(two, "token.bound").notes
    )
    assert not any("stages" in note for note in why_number(estimate, "token.bound").notes)


def test_the_table_of_a_step_has_its_longest_operators_and_what_is_left(estimate):
    """Thirteen kinds of operators, of which the longest are shown; times of all add up."""
    part = parts_shown(estimate)["decode"]
    rows, binds = operator_rows(part, estimate.setting)
    timed = sorted(
        ((float(estimate.setting.rates.operator_s(work)), work) for work in part.works),
        key=lambda each: -each[0],
    )  # fmt: skip
    shown = [row for row in rows if row[0] not in ("host and scheduler",) and row[1]]
    names = [row[0].removesuffix(", 0 kernels") for row in shown]
    assert names == [work.name for _, work in timed[: len(shown)]]
    for row, (time, work) in zip(shown, timed, strict=False):
        assert row[1] == f"{work.times:g}"
        assert row[2] == (scaled(work.times * work.flops, "FLOP") if work.flops else "")
        assert row[3:5] == (scaled(work.times * work.bytes, "B"), seconds(time))
    rest = sum(time for time, _ in timed[len(shown) :])
    if rest > 0:
        assert rows[-2][:1] + rows[-2][4:5] == (
            f"{len(timed) - len(shown)} smaller ones", seconds(rest),
        )  # fmt: skip
    assert rows[-1] == ("host and scheduler", "", "", "", seconds(part.overhead_s), "host")
    assert binds == "memory"
    # twice the operators, each once again: fourteen are shown
    twice = replace(part, works=part.works * 2)
    rows, _ = operator_rows(twice, estimate.setting)
    assert len(twice.works) > 17
    assert len([row for row in rows if row[1]]) == 14
    assert rows[14][0] == f"{len(twice.works) - 14} smaller ones"
    left = sorted(2 * [time for time, _ in timed])[:-14]
    assert rows[14][4] == seconds(sum(left))
    waits = tf.estimate(decoder(), CHIP, batch=1, prompt=9, generate=2, profile=rates(step_s=1.0))
    assert operator_rows(parts_shown(waits)["decode"], waits.setting)[1] == "host"


def test_the_whole_runs_interval_is_its_phases_ends_added_up(estimate):
    first, each, whole = estimate.first_token, estimate.per_token, estimate.total
    why = why_number(estimate, "total.interval")
    assert why.value == f"{seconds(whole.low_s)} .. {seconds(whole.high_s)}"
    for end in ("low_s", "high_s"):
        parts = getattr(first, end) + (GENERATE - 1) * getattr(each, end)
        assert getattr(whole, end) == pytest.approx(parts)
    token = why_number(estimate, "token.expected")
    mean = f"{seconds(each.expected_s)} is the mean of {GENERATE - 1} steps over the growing"
    assert token.notes[0].startswith(mean)


def test_a_prompt_in_chunks_is_the_middle_one_as_often_as_there_are_and_what_is_left():
    """1000 tokens: three of 300, and 100."""
    found = tf.estimate(decoder(), DEVICE, prompt=1000, chunk=300, generate=3)
    chunk, last, decoding = steps_of(found)
    assert chunk.startswith("3.00 x ")
    assert " x " not in last
    assert decoding == "one token after 1,000.5"
    whole = steps_of(tf.estimate(decoder(), DEVICE, prompt=1000, generate=1))
    assert [" x " in title for title in whole] == [False]


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
@pytest.mark.parametrize("launch_s", [1e-9, 1e-2])
def test_a_part_takes_its_operators_and_what_the_host_is_slower_unless_recorded(engine, launch_s):
    """A decode step of an engine that records it waits for no launch; a prompt's does."""
    known = find_profile(engine)
    profile = replace(known, fixed={**rates(step_s=2e-3, sequence_s=1e-3).fixed,
                                    "launch_overhead_s": launch_s})  # fmt: skip
    found = tf.estimate(decoder(), DEVICE, batch=2, prompt=8, generate=3, profile=profile)
    setting, parts = found.setting, parts_shown(found)
    assert setting.rates.graphs == (engine == "vllm")
    for phase, part in parts.items():
        recorded = phase == "decode" and engine == "vllm"
        device = part.operators_s(setting)
        host = setting.rates.host_s(part.works)
        assert (host > device) == (launch_s > 1e-6)
        busy = device if recorded else max(device, host)
        assert device + part.overhead_s == pytest.approx(busy + 2e-3 + 2 * 1e-3)
