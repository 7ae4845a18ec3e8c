"""Who would meet a target: so many users or requests do, and one more does not."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.serving.simulation import Simulation

SIMULATION = Simulation(
    1800, 7, "poisson", (0.1, 0.2, 0.3), 0.15, (0.021, 0.022, 0.023), 0.0215, 3.5, 0.875, 3.0625,
    4321,
)  # fmt: skip


@pytest.mark.parametrize("asked", [{"tpot_s": 0.02, "slots": 99}, {"ttft_s": 1.0}])
def test_a_missed_target_says_how_many_users_would_meet_it(asked):
    """So many do, and one more does not; a target that nobody meets says so."""
    served = tf.serving("llama-3-8b", "h100", users=450, **asked)
    most = served.most_within
    assert served.meets is False
    assert f"MISSED: up to {most:,.0f} users would meet them" in str(served)
    both = [tf.serving("llama-3-8b", "h100", users=n, **asked) for n in (most, most + 1)]
    assert [each.meets for each in both] == [True, False]
    assert both[0].most_within is None
    assert "not even one user meets them" in str(tf.serving("gpt2", "h100", users=9, tpot_s=1e-9))


def test_a_missed_target_of_a_rate_says_the_rate_that_would_meet_it():
    asked = {"tpot_s": 0.03, "slots": 32}
    most = tf.serving("llama-3-8b", "rtx-4090", rate=3, **asked).most_within
    rates = (0.99 * most, 1.01 * most)  # a part in 2,048 of 3 is less than a hundredth of it
    met = [tf.serving("llama-3-8b", "rtx-4090", rate=each, **asked).meets for each in rates]
    assert met == [True, False]


@pytest.mark.parametrize(("tpot_s", "full"), [(0.03, False), (9.0, True)])
def test_targets_without_a_load_ask_how_many_users_meet_them(tpot_s: float, full: bool) -> None:
    """One more than these misses them, or has no slot; where nobody meets them it says so."""
    asked = {"profile": "vllm", "dtype": "bf16", "tpot_s": tpot_s}
    served = tf.serving("llama-3.1-8b", "rtx-4090", **asked)
    assert served.users == served.most_within
    assert served.users > 1
    assert (served.users == served.most_sequences) is full
    more = tf.serving("llama-3.1-8b", "rtx-4090", users=served.users + 1, **asked)
    assert full or more.meets is False
    assert f"targets: met by up to {served.users} users" in str(served)
    assert ("more would wait for a slot" in str(served)) is full
    assert served.limit == ("memory" if full else "target")
    missed = tf.serving("gpt2", "h100", tpot_s=1e-9)
    assert (missed.users, missed.most_within, missed.meets) == (1, 0, False)


def test_a_first_token_that_more_users_would_delay_is_the_limit() -> None:
    asked = {"profile": "vllm", "dtype": "bf16", "ttft_s": 0.145}
    served = tf.serving("llama-3.1-8b", "rtx-4090", **asked)
    assert (served.limit, served.meets) == ("first", True)
    assert tf.serving("llama-3.1-8b", "rtx-4090", users=served.users + 1, **asked).meets is False


def test_a_server_that_is_overloaded_meets_no_target():
    """Tokens of a full server come soon enough, for those whom it ever answers."""
    asked = {"profile": "vllm", "slots": 8, "prompt": 100, "generate": 200}
    full = tf.serving("llama-3-8b", "h100", rate=1000, **asked)
    assert full.saturated
    loose = 2 * full.token_s[1]
    served = tf.serving("llama-3-8b", "h100", rate=1000, tpot_s=loose, **asked)
    assert served.meets is False
    assert 0 < served.most_within < served.most_requests_per_s
    assert tf.serving("llama-3-8b", "h100", rate=served.most_within, tpot_s=loose, **asked).meets
