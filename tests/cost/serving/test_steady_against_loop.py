"""The closed form against the event loop: a little of what campaign_steady.py does at length."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from thermoflop.cost.serving.lengths import lengths_of
from thermoflop.cost.serving.mixing import mixing_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.steady import capacity, closed_loop, open_loop

PATH = Path(__file__).with_name("campaign_steady.py")


@pytest.fixture(scope="module")
def campaign():
    """The campaign as a module."""
    spec = importlib.util.spec_from_file_location("campaign_steady", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_closed_form_and_event_loop_agree_on_random_settings(campaign):
    """Bounds are those of the campaign, wider by the noise of so few requests."""
    random, tokens, firsts, rates = np.random.default_rng(11), [], [], []
    for number in range(6):
        setting = campaign.draw_setting(random)
        rows, users = campaign.compare(setting, 3000, number, loads=(0.5, 0.7))
        tokens += [row[2] for row in rows if row[1]]
        firsts += [row[3] for row in rows if row[1]]
        rates.append(users[1])
    assert len(tokens) >= 10, "most settings are within what the closed form knows"
    assert np.median(np.abs(tokens)) < 0.02
    assert np.median(np.abs(firsts)) < 0.08
    assert np.median(np.abs(rates)) < 0.03


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


def test_no_steady_state_beyond_capacity(roofline):
    lengths, policy = lengths_of(500.0, 200.0), Policy("mixed", 8192, 128, "")
    mixing = mixing_of(roofline, lengths, policy, np.arange(1.0, 129))
    most = float(capacity(mixing, lengths, 128, policy))
    assert open_loop(mixing, roofline, lengths, 1.01 * most, 128, policy) is None
    state = open_loop(mixing, roofline, lengths, 0.5 * most, 128, policy)
    assert state.load == pytest.approx(0.5)
    # Little: sequences in flight = rate x time in flight
    assert state.sequences == pytest.approx(0.5 * most * 199 * state.token_s)
