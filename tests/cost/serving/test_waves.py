"""Users who begin all at once, with outputs that are alike, of whose tokens prompts take less."""

from __future__ import annotations

import numpy as np
import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.serving.lengths import in_steps, lengths_of
from thermoflop.cost.serving.loop import Requests, run_loop
from thermoflop.cost.serving.mixing import Mixing, Stream, mixing_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.result import serving_text
from thermoflop.cost.serving.times import step_table
from thermoflop.cost.serving.waves import keep_together, wave_token_s

PASSES = Policy("passes", 8192, 64, "")


def wave(users: float, fill: float, lone: float, more: float) -> float:
    """Decode steps of 10 ms and outputs of 101 tokens; what a prompt adds to a pass."""
    known = np.arange(1.0, 65)
    at = np.ones(64)
    mixing = Mixing(known, 0.01 * at, (Stream(1.0, lone * at, more * at, fill * at),))
    return wave_token_s(mixing, lengths_of(1000.0, 101.0), users)


def test_half_of_the_others_prompts_are_behind_the_own_one():
    """5 prompts of 0.5 s each: the first waits for 4, the last for none, 1 s on the average, which
    is 10 ms of each of 100 steps; one that takes two passes is read as long as it takes."""
    assert wave(5, 1.0, 0.5, 0.5) == pytest.approx(0.01 + 0.01)
    assert wave(5, 2.0, 0.5, 0.5) == pytest.approx(0.01 + 0.01)


def test_prompts_that_share_a_pass_have_their_first_token_together():
    """8 prompts in passes of 4, of 0.1 + 3 x 0.1 s: half of them wait for 0.4 s, the others for
    none. All 4 of one pass wait for none at all."""
    assert wave(8, 0.25, 0.1, 0.1) == pytest.approx(0.01 + 0.2 / 100)
    assert wave(4, 0.25, 0.1, 0.1) == pytest.approx(0.01)


# Prompts and outputs of so many tokens, slots, users
LOADS = [(8192, 1024, 8, 40), (500, 200, 32, 32), (300, 50, 64, 64), (3000, 300, 16, 20)]


@pytest.mark.parametrize(("prompt", "output", "slots", "users"), LOADS)
def test_a_scheduler_that_starts_all_users_at_once_says_the_same(
    campaign, prompt, output, slots, users
):
    """The event loop, ten requests a user, whose first outputs are not cut short."""
    steps, lengths = campaign.Roofline(0.01, 300.0, 0.0, 0.0), lengths_of(prompt, output)
    policy, count = replace(PASSES, slots=slots), 10 * users
    requests = Requests([0.0] * users, [prompt] * count, [0] * count, [output] * count)
    table = step_table(steps, lengths, policy, slots)
    timings = run_loop(table, requests, slots, policy.budget, passes=True)
    each = (np.array(timings.last_s) - np.array(timings.first_s)) / (output - 1)
    mixing = mixing_of(steps, lengths, policy, np.arange(1.0, slots + 1))
    assert wave_token_s(mixing, lengths, min(slots, users)) == pytest.approx(each.mean(), rel=0.02)


def test_only_outputs_that_are_alike_after_prompts_of_their_own_passes_end_together():
    alike = lengths_of(1000.0, 101.0)
    assert keep_together(alike, PASSES)
    assert not keep_together(alike, replace(PASSES, name="mixed"))
    assert not keep_together(lengths_of(1000.0, 101.0, "uniform"), PASSES)
    assert not keep_together(in_steps(alike, 2.0), PASSES)
    assert not keep_together(lengths_of(1000.0, 1.0), PASSES)


def test_a_benchmark_of_several_users_at_once_has_tokens_of_its_own():
    """Prompts that take a fifth of the time or so are behind in half of it."""
    asked = {"prompt": 4096, "generate": 512, "profile": "sglang"}
    served = tf.serving("llama-3-8b", "h100", users=32, **asked)
    token, staggered = served.benchmark_token_s[1], served.token_s[1]
    assert token == pytest.approx(staggered * (1 - served.prompt_share / 2), rel=0.05)
    assert served.benchmark_token_s[2] / token == pytest.approx(served.token_s[2] / staggered)
    for others in ({"users": 1}, {"rate": 1}, {"users": 32, "lengths": "uniform"}):
        assert tf.serving("llama-3-8b", "h100", **others, **asked).benchmark_token_s is None


def test_the_report_says_them_below_those_of_users_met_in_the_midst():
    served = tf.serving("llama-3-8b", "h100", users=32, profile="sglang")
    made = replace(served, token_s=(0.02, 0.03, 0.04), benchmark_token_s=(0.01, 0.02, 0.03))
    said = [" ".join(line.split()) for line in serving_text(made).splitlines()]
    at = next(number for number, line in enumerate(said) if line.startswith("a user's tokens"))
    ends = "(10.0 ms to 30.0 ms), where all start, and so end, at once"
    assert said[at + 1] == f"in a benchmark 20.0 ms {ends}"
