"""Lengths of requests: their moments, worked out here a second way."""

import math

import numpy as np
import pytest
from thermoflop.cost.serving.lengths import (
    SIGMA,
    draw_lengths,
    in_steps,
    lengths_of,
    lengths_of_trace,
)
from thermoflop.cost.serving.trace import Trace

PROMPTS, OUTPUTS = [10, 30, 20, 40, 50, 60, 70, 80, 90, 100], [1, 2, 3, 4, 5, 6, 7, 8, 9, 15]


def test_a_traces_lengths_are_its_sums():
    trace = Trace(tuple(map(float, range(10))), tuple(PROMPTS), tuple(OUTPUTS))
    lengths = lengths_of_trace(trace)
    mean = sum(OUTPUTS) / 10  # 6
    assert (lengths.prompt, lengths.generate, lengths.step_tokens) == (55.0, mean, 1.0)
    assert lengths.generate_square == sum(each**2 for each in OUTPUTS) / 10
    assert lengths.longest == 100 + 15
    third, fourth = (sum(each**power for each in OUTPUTS) / 10 / mean**power for power in (3, 4))
    assert lengths.higher == pytest.approx((third, fourth))
    # ten sorted prompts in eighths: two of two, then six of one
    parts = [(0.2, 15.0), (0.2, 35.0), *((0.1, prompt) for prompt in (50, 60, 70, 80, 90, 100))]
    assert np.array(lengths.prompts) == pytest.approx(np.array(parts))
    assert lengths.shape == "trace"


def test_a_decoding_sequence_is_met_in_the_share_of_its_length():
    lengths = lengths_of_trace(Trace((0.0, 1.0), (100, 100), (10, 30)))
    # of 40 steps, 10 are in the short output (5 tokens cached at the mean) and 30 in the long (15)
    assert lengths.context == pytest.approx(100 + (10 * 5 + 30 * 15) / 40)
    assert lengths.tokens == 20
    assert lengths.most == 130


def test_steps_that_give_several_tokens_are_fewer_but_for_the_first():
    lengths = in_steps(lengths_of(100, 25, "fixed"), 3.0)
    assert lengths.generate == 1 + 24 / 3
    assert lengths.generate_square == pytest.approx(9**2)
    assert lengths.tokens == 25
    assert lengths.context == pytest.approx(100 + 3 * 9 / 2)


@pytest.mark.parametrize("shape", ["fixed", "uniform", "lognormal"])
def test_the_moments_of_a_shape_are_those_of_what_is_drawn_from_it(shape):
    lengths = lengths_of(4000, 2000, shape)
    assert sum(share for share, _ in lengths.prompts) == pytest.approx(1)
    assert sum(share * prompt for share, prompt in lengths.prompts) == pytest.approx(4000, rel=1e-3)
    prompts, outputs = (np.array(each) for each in draw_lengths(lengths, 40_000, seed=5))
    # of 40,000 lognormal lengths the mean is known to 0.5 %, the mean square to 1.7 %
    assert prompts.mean() == pytest.approx(4000, rel=0.015)
    assert outputs.mean() == pytest.approx(2000, rel=0.015)
    assert (outputs.astype(float) ** 2).mean() == pytest.approx(lengths.generate_square, rel=0.05)
    squares = sum(share * prompt**2 for share, prompt in lengths.prompts)
    assert (prompts.astype(float) ** 2).mean() == pytest.approx(squares, rel=0.05)


def test_a_lognormals_moments_are_those_of_the_books():
    lengths = lengths_of(1000, 500, "lognormal")
    # E[X^n] / E[X]^n = exp(n (n - 1) sigma^2 / 2)
    assert lengths.generate_square / 500**2 == pytest.approx(math.exp(SIGMA**2))
    moments = tuple(math.exp(n * (n - 1) * SIGMA**2 / 2) for n in (3, 4))
    assert lengths.higher == pytest.approx(moments)
    squares = sum(share * prompt**2 for share, prompt in lengths.prompts)
    assert squares == pytest.approx(1000**2 * math.exp(SIGMA**2), rel=0.01)


def test_drawn_lengths_are_whole_and_at_least_one():
    prompts, outputs = draw_lengths(lengths_of(1.2, 1.4, "lognormal"), 500, seed=3)
    assert {type(each) for each in (*prompts, *outputs)} == {int}
    assert min(prompts) == min(outputs) == 1
    fixed, _ = draw_lengths(lengths_of(7.6, 3, "fixed"), 4, seed=0)
    assert fixed == [8, 8, 8, 8]


def test_uniform_lengths_lie_within_a_fifth_of_the_mean():
    prompts, _ = draw_lengths(lengths_of(1000, 10, "uniform"), 4000, seed=1)
    assert min(prompts) == pytest.approx(800, abs=2)
    assert max(prompts) == pytest.approx(1200, abs=2)
    assert all(800 <= prompt <= 1200 for _, prompt in lengths_of(1000, 10, "uniform").prompts)
