"""A step of a full server: what is shared between those who decode and the prompts of others."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.engine import find_engine
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.steady import (
    WAITING,
    InFlight,
    alone_s,
    client_s,
    steady_s,
    steady_steps,
    waiting_parts,
)
from thermoflop.cost.work.mixed import Mixed
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.steps import decode_step, prefill_step


def setting_of(engine: str, tp: int = 1) -> Setting:
    return Setting(
        tf.load_model("llama-3-8b"), find_device("h100"), Layout(tp), choose_precision("bf16"),
        find_profile(engine),
    )  # fmt: skip


def test_a_mixed_step_reads_each_matrix_once_and_computes_for_both():
    setting = setting_of("vllm", tp=2)
    decode, chunk = decode_step(1000, 8), prefill_step(512, 1)
    both = setting.works(Mixed(decode, chunk))
    alone = setting.works(decode), setting.works(chunk)

    def total(works, name):
        return sum(work.times * getattr(work, name) for work in works if work.kind != "network")

    assert total(both, "flops") == pytest.approx(sum(total(works, "flops") for works in alone))
    matrices = [[work for work in works if work.kind == "contraction"] for works in (both, *alone)]
    assert total(matrices[0], "weight_bytes") == total(matrices[1], "weight_bytes")
    attention = [work for work in both if work.kind == "attention"]
    assert len(attention) == 2 * len([work for work in alone[0] if work.kind == "attention"])


@pytest.mark.parametrize(
    ("sequences", "prompt", "generate", "share", "chunk"),
    [
        (10, 1000, 100, 0.1, (1, 1000, 0)),  # one step in ten carries a prompt
        (400, 1000, 100, 4000 / 4000, (4, 1000, 0)),  # four prompts in every step
        (192, 20000, 1920, 2000 / 8000, (1, 8000, 6000)),  # a chunk from the middle of one
    ],
)
def test_prompts_come_whole_as_far_as_the_budget_of_a_step_goes(
    sequences, prompt, generate, share, chunk
):
    alone, carrying = steady_steps(find_engine("vllm"), InFlight(sequences, prompt, generate, 1000))
    assert carrying[0] == pytest.approx(share)
    assert alone[0] == pytest.approx(1 - share)
    read = carrying[1].chunk
    assert (read.batch, read.new, read.cached) == pytest.approx(chunk)


def test_passes_stand_between_the_steps():
    setting = setting_of("sglang")
    bound, expected = steady_s(setting, InFlight(64, 2000, 500, 2250))
    works = setting.works(prefill_step(2000, 1))
    passes = setting.rates.step_s(works, 1, recorded=True) + setting.rates.efficiency.prompt_s
    assert expected == pytest.approx(setting.step_s(decode_step(2250, 64)) + 64 / 500 * passes)
    assert bound < expected


def test_a_prompt_that_the_server_holds_back_waits_for_so_many_mean_steps():
    setting, load = setting_of("tensorrt-llm"), (16, 1000, 500, 1250)
    (bound, at_once), (same, later) = (
        client_s(setting, InFlight(*load, held=held)) for held in (0, 20)
    )
    assert bound == same
    # of 16 requests in flight 15 are others', whose steps it waits for
    assert later - at_once == pytest.approx(20 * 15 / 16 * steady_s(setting, InFlight(*load))[1])


@pytest.mark.parametrize(
    ("prompt", "read", "cached", "times"), [(1000, 1000, 0, 1.0), (20000, 8000, 6000, 2.5)]
)
def test_a_client_waits_for_parts_that_the_steps_give(prompt, read, cached, times):
    """192 clients leave room for 8,000 tokens in a step: a longer prompt takes several, for which
    the middle one stands."""
    setting = setting_of("vllm")
    decode = decode_step(1000, 192)
    alone = setting.step_s(decode)
    both = setting.step_s(Mixed(decode, prefill_step(read, 1, cached)))
    carrying = alone + times * (both - alone)
    # all clients' prompts are read in steps that are full
    full = setting.step_s(Mixed(decode, prefill_step(read, 8000 / read, cached)))
    burst = (full - alone) * 192 * prompt / 8000
    (fixed, tokens, *others), own = waiting_parts(setting, InFlight(192, prompt, 1920, 1000))
    mean = steady_s(setting, InFlight(192, prompt, 1920, 1000))[1]
    assert (fixed, tokens) == (1.0, prompt)
    # of 192 requests one is met alone
    assert others == pytest.approx([each * 191 / 192 for each in (carrying, mean, burst)])
    assert own == pytest.approx(alone_s(setting, prompt) / 192)
    apart = setting_of("sglang")  # prompts are read in passes of their own
    step = apart.step_s(decode_step(1000, 8))
    reading = apart.step_s(prefill_step(500, 1, 100))
    parts, _ = waiting_parts(apart, InFlight(8, 500, 100, 1000, 100))
    assert parts[2] == pytest.approx((step + reading) * 7 / 8)
    # eight prompts of 500 tokens are one pass, of twenty 16.384 are, 8,192 tokens
    together = apart.step_s(prefill_step(500, 8, 100))
    assert parts[4] == pytest.approx(together * 7 / 8)
    many, _ = waiting_parts(apart, InFlight(20, 500, 100, 1000, 100))
    full = apart.step_s(prefill_step(500, 8192 / 500, 100))
    assert many[4] == pytest.approx(full * 20 * 500 / 8192 * 19 / 20)
    numbers = replace(
        setting.profile, waiting=dict(zip(WAITING, (1.0, 2.0, 3.0, 5.0, 7.0), strict=True))
    )
    numbered = Setting(setting.model, setting.device, Layout(), setting.precision, numbers)
    _, seconds = client_s(numbered, InFlight(192, prompt, 1920, 1000, held=11))
    weighed = 3 * carrying + 5 * mean + 7 * burst + 11 * mean
    assert seconds == pytest.approx(1 + 2 * prompt + weighed * 191 / 192 + own)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_a_client_that_is_alone_waits_for_its_own_prompt_and_its_way(engine):
    """It meets nobody's steps: what is fixed, what each token brings, and the first token."""
    found = tf.estimate("llama-3-8b", "h100", profile=engine, prompt=6000)
    waiting = found.setting.profile.waiting
    on_the_way = waiting["request_s"] + waiting["token_s"] * 6000
    assert found.client_first_token.expected_s == pytest.approx(
        on_the_way + found.first_token.expected_s
    )


@pytest.mark.parametrize("clients", [4, 512])
@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_a_longer_prompt_is_never_answered_sooner(engine, clients):
    """Short prompts leave a step at its floor, where more tokens take no longer: with the cost of
    a whole step for each, their burst would fall as the step beside it grows."""
    waits = [
        tf.estimate(
            "gpt-oss-120b", "b200", profile=engine, batch=clients, prompt=prompt
        ).client_first_token.expected_s
        for prompt in (16, 64, 128, 256, 384, 512, 1024)
    ]
    assert waits == sorted(waits)


def test_prompts_that_are_held_back_are_read_with_those_that_come_meanwhile():
    """64 sequences of 640 tokens: a tenth of a prompt comes a step, two in 20 steps. The first
    waits for those: three prompts of 1,000 tokens in one step of thirty."""
    alone, carrying = steady_steps(find_engine("vllm"), InFlight(64, 1000, 640, 1300, held=20))
    assert (alone[0], carrying[0]) == (pytest.approx(29 / 30), pytest.approx(1 / 30))
    chunk = carrying[1].chunk
    assert (chunk.batch, chunk.new) == (pytest.approx(3), 1000)
    at_once = steady_steps(find_engine("vllm"), InFlight(64, 1000, 640, 1300))[1]
    assert (at_once[0], at_once[1].chunk.batch) == (pytest.approx(1 / 10), 1)
