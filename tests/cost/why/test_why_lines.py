"""The lines behind a time, on a made-up device where each part can be worked out by hand.

Nothing computes or moves: a step is its kernels of 1 ms each, 2 ms for the step and 0.5 ms for each
of 4 sequences; each prompt costs 3 ms besides. A layer has 8 kernels, and there are 3 more.
"""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, LAYERS, decoder, rates
from thermoflop.base.record import replace
from thermoflop.cost.why.number import why_number
from thermoflop.cost.why.steps import parts_shown
from thermoflop.cost.why.table import steps_of

FREE = {"matmul": 1e12, "attention": 1e12, "weights": 1e12, "cache": 1e12, "activations": 1e12}
COSTS = {"kernel_gap_s": 1e-3, "step_s": 2e-3, "sequence_s": 0.5e-3, "prompt_s": 3e-3}
BATCH = 4


@pytest.fixture(scope="module")
def estimate() -> tf.Estimate:
    """A prompt of 100 tokens in chunks of 64: one whole chunk and 36 more; 9 tokens generated."""
    slow = replace(DEVICE, peaks={"bf16": 1e24}, bandwidth_bytes_s=1e24)
    return tf.estimate(
        decoder(), slow, batch=BATCH, prompt=100, generate=9, chunk=64,
        profile=rates(**FREE, **COSTS),
    )  # fmt: skip


def kernels_ms(estimate: tf.Estimate) -> float:
    """Milliseconds of the kernels of a step: all the operators take."""
    works = parts_shown(estimate)["decode"].works
    launched = sum(work.times * work.launches for work in works)
    in_layers = sum(w.times * w.launches for w in works if w.times == LAYERS)
    assert launched - in_layers == 3  # embedding, last norm, head
    return float(launched)


def test_a_token_is_its_kernels_and_what_a_step_costs_besides(estimate):
    busy = kernels_ms(estimate)
    besides = 2 + BATCH * 0.5
    why = why_number(estimate, "token.expected")
    assert why.value == f"{busy + besides:.1f} ms"
    assert why.formula[1] == f"  = {busy:.1f} ms + {besides:.2f} ms = {busy + besides:.1f} ms"
    assert why.rows[-1][-2:] == (f"{besides:.2f} ms", "host")
    assert why.binds == "launch"


def test_a_prompt_in_chunks_is_its_whole_chunks_and_the_rest(estimate):
    busy = kernels_ms(estimate)
    first, rest = busy + 2 + BATCH * 0.5 + 3, busy + 2 + BATCH * 0.5  # the first bears the prompt's
    why = why_number(estimate, "first.expected")
    assert "reading 64 tokens, the middle one of 1 chunks of the prompt" in why.formula[0]
    assert why.formula[1].endswith(f"= {first:.1f} ms")
    assert "reading the last 36 tokens of the prompt" in why.formula[2]
    assert why.formula[3].endswith(f"= {rest:.1f} ms")
    both = f"1 x {first:.1f} ms + 1 x {rest:.1f} ms = {first + rest:.1f} ms"
    assert why.formula[-1] == f"  = {both}"
    assert why.value == f"{first + rest:.1f} ms"


def test_the_whole_run_is_the_first_token_and_the_others(estimate):
    token = kernels_ms(estimate) + 2 + BATCH * 0.5
    first = 2 * token + 3
    why = why_number(estimate, "total.expected")
    assert why.formula[1] == f"  = {first:.1f} ms + 8 x {token:.1f} ms = {first + 8 * token:.0f} ms"


def test_the_tables_of_the_steps_say_what_each_operator_takes(estimate):
    for title, (reasons, overhead_s) in steps_of(estimate).items():
        for reason in reasons:
            launched = reason.times * (reason.launch_s > 0)
            assert reason.time_s == pytest.approx(1e-3 * launched), reason.name
            assert reason.binds == ("launch" if launched else reason.binds)
        besides = 2e-3 + BATCH * 0.5e-3 + (3e-3 if "64 tokens" in title else 0.0)
        assert overhead_s == pytest.approx(besides), title


def test_the_bound_says_which_resource_takes_longest():
    bound = tf.estimate(decoder(), DEVICE, batch=1, prompt=100, generate=2)
    why = why_number(bound, "token.bound")
    assert why.binds == "memory"
    (line,) = [line for line in why.formula if line.startswith("memory")]
    assert line.endswith(f" = {why.value}")
