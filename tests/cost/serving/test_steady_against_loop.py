"""The closed form of serving where a user, a queue or a capacity says what it must be."""

from __future__ import annotations

import numpy as np
import pytest
from thermoflop.cost.serving.lengths import Lengths, lengths_of
from thermoflop.cost.serving.mixing import Mixing, Stream, mixing_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.steady import (
    at_sequences,
    capacity,
    closed_loop,
    open_loop,
)


@pytest.fixture(scope="module")
def roofline(campaign):
    """Weights take 10 ms, 300 tokens as long to compute; a cache of nothing."""
    return campaign.Roofline(0.01, 300.0, 0.0, 0.0)


def test_one_user_waits_for_the_own_prompt_and_the_own_steps(roofline):
    """A step is 10.5 ms; a prompt of 3,000 tokens computes 100 ms, and 1 in 101 is read."""
    lengths, policy = lengths_of(3000.0, 101.0), Policy("mixed", 8192, 64, "")
    mixing = mixing_of(roofline, lengths, policy, np.arange(1.0, 65))
    one = closed_loop(mixing, lengths, 1, 64, policy)
    assert float(one.token_s) == pytest.approx(0.0105, rel=0.1)
    assert 0.1 < float(one.first_s) < 0.12
    answer = float(one.first_s) + 100 * float(one.token_s)
    assert float(one.requests_s) == pytest.approx(1 / answer, rel=0.02)


def test_more_users_mean_more_throughput_and_slower_tokens(roofline):
    lengths, policy = lengths_of(500.0, 200.0), Policy("mixed", 8192, 128, "")
    mixing = mixing_of(roofline, lengths, policy, np.arange(1.0, 129))
    users = np.array([1, 2, 4, 8, 16, 32, 64, 128, 200, 400])
    state = closed_loop(mixing, lengths, users, 128, policy)
    assert (np.diff(state.requests_s) > -1e-9).all()
    assert (np.diff(state.token_s) > -1e-9).all()
    # beyond the slots, users only wait: answers in flight are the slots' (Little's law)
    answered = state.requests_s[-1] * (state.first_s[-1] + 199 * state.token_s[-1])
    assert answered == pytest.approx(400, rel=0.02)


def test_no_number_of_users_gets_more_than_the_capacity(roofline):
    """A budget of 20 tokens reads 4,000 in as many steps as an output of 256 takes: one sequence
    and a fifth are kept fed, between two that are tabled."""
    lengths, policy = lengths_of(4000.0, 256.0), Policy("mixed", 20, 8, "")
    mixing = mixing_of(roofline, lengths, policy, np.arange(1.0, 9))
    state = closed_loop(mixing, lengths, np.arange(1, 9), 8, policy)
    assert (state.requests_s <= 1.001 * capacity(mixing, lengths, 8, policy)).all()


def test_no_steady_state_beyond_capacity(roofline):
    lengths, policy = lengths_of(500.0, 200.0), Policy("mixed", 8192, 128, "")
    mixing = mixing_of(roofline, lengths, policy, np.arange(1.0, 129))
    most = float(capacity(mixing, lengths, 128, policy))
    assert open_loop(mixing, roofline, lengths, 1.01 * most, 128, policy) is None
    state = open_loop(mixing, roofline, lengths, 0.5 * most, 128, policy)
    assert state.load == pytest.approx(0.5)
    # Little: sequences in flight = rate x time in flight
    assert state.sequences == pytest.approx(0.5 * most * 199 * state.token_s)


def seen(fill, lone, more, sequences, beside, square=101.0**2):
    """Decode steps of 10 ms and outputs of 101 tokens; prompts of one length."""
    known = np.arange(1.0, 202)
    at = np.ones(201)
    mixing = Mixing(known, 0.01 * at, (Stream(1.0, lone * at, more * at, fill * at),))
    lengths = Lengths(1000.0, 101.0, square, ((1.0, 1000.0),))
    return at_sequences(mixing, lengths, np.array(float(sequences)), beside)


def test_prompts_read_apart_meet_those_that_ended_with_the_same_step():
    """Of 5 users the 4 others end in a step of 100; half of them are before it."""
    few = seen(2.0, 0.5, 0.5, 5, beside=False)
    assert float(few.step_s) == pytest.approx(0.01 + 0.04 * 0.5)
    assert float(few.first_s) == pytest.approx(0.5 + 0.04 * 0.5 / 2)
    assert float(few.wait_s) == pytest.approx(0.04 * 0.5 / 2)
    assert float(few.rate) == pytest.approx(5 / (0.51 + 100 * 0.03))


@pytest.mark.parametrize(("fill", "part"), [(0.1, 1.0), (0.8, 0.625)])
def test_short_prompts_are_read_in_one_pass_as_far_as_it_goes(fill, part):
    """Of 101 users one other ends in each step: two prompts of 0.8 passes fill 1.6, and the first
    waits for a full one: 0.8 of a pass and (1.6 - 0.8) 0.625 make the mean of 1 and 1.6."""
    many = seen(fill, 0.05, 0.03, 101, beside=False)
    assert float(many.first_s) == pytest.approx(0.05 + part * 0.03)


def test_equal_outputs_keep_their_distance_and_wait_for_nobody():
    """2.5 steps' room is read in 3 steps."""
    assert float(seen(2.5, 0.4, 0.4, 10, beside=True).first_s) == pytest.approx(0.4 + 3 * 0.01)


@pytest.mark.parametrize("fill", [2.5, 0.5])
def test_unequal_outputs_make_prompts_wait_as_in_pollaczeks_queue_of_a_client_less(fill):
    """In steps: load x service / (2 (1 - load)), each unit of service a step and its prompt's part;
    what takes half a step waits as often as a queue's work exceeds the other half."""
    wait, others, square = 0.0, 0.0, 2 * 101.0**2
    for _ in range(50):
        users = 10 * (1 + (np.ceil(fill) + wait) / 100)
        others = 10 / 100 * (1 - 1 / users)
        load = others * fill
        wait = load * fill / (2 * (1 - load)) * 101**2 / (101**2 + fill**2)
        if fill < 1:
            wait *= np.exp(-2 * (1 - load) * (1 - fill) / fill)
    found = seen(fill, 0.4, 0.3, 10, beside=True, square=square)
    beside = others * 0.3 if fill < 1 else 0.0
    own = 0.4 + np.ceil(fill) * 0.01
    assert float(found.users) == pytest.approx(users, rel=1e-4)
    assert float(found.first_s) == pytest.approx(
        own + beside + wait / fill * (0.4 + fill * 0.01), rel=1e-3
    )
