"""The closed form against the event loop: a little of what campaign_steady.py does at length."""

from __future__ import annotations

import numpy as np
from thermoflop.cost.serving.lengths import lengths_of
from thermoflop.cost.serving.mixing import mixing_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.steady import (
    closed_loop,
    limits_of_trust,
)


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


def test_few_users_with_long_prompts_see_what_the_event_loop_sees(campaign):
    """Prompts of up to 16 steps' room, 1 to 8 users; an open queue would have them wait for ever
    where few users ask again only when they are answered."""
    random, off = np.random.default_rng(3), []
    for number, (name, users) in enumerate((n, u) for n in ("mixed", "passes") for u in (1, 3, 8)):
        policy = Policy(name, int(random.integers(1024, 4096)), 8, "")
        prompt, generate = policy.budget * random.uniform(0.5, 16), random.uniform(60, 400)
        lengths = lengths_of(prompt, generate, "uniform" if number % 2 else "lognormal")
        steps = campaign.Roofline(0.01, 300.0, 0.0, 0.0)
        mixing = mixing_of(steps, lengths, policy, np.arange(1.0, 9))
        found = closed_loop(mixing, lengths, users, 8, policy)
        assert not limits_of_trust(found, lengths) or float(found.prompt_share) > 0.5
        setting, table = (
            (steps, lengths, policy, users),
            campaign.step_table(steps, lengths, policy, 8),
        )
        off += campaign.closed(setting, mixing, table, 2000, number)[1:]
    assert np.median(np.abs(off)) < 0.02
    assert np.max(np.abs(off)) < 0.2
