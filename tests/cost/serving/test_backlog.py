"""The chain of waiting prompts against queues that are solved in books."""

from __future__ import annotations

import numpy as np
import pytest
from thermoflop.cost.serving.backlog import Prompts, waiting
from thermoflop.cost.serving.lengths import Lengths, lengths_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.steady import _slot_wait
from thermoflop.cost.serving.times import StepTable

BUDGET, COLUMNS, DECODE = 1024, 256, 0.01


def table(token_s, square=0.0):
    """A decode step takes 10 ms beside one sequence; each prompt token adds as much."""
    row = [token_s * BUDGET / COLUMNS * column for column in range(COLUMNS + 1)]
    return StepTable([0.0, DECODE], [0.0, 0.0], [row, row], BUDGET / COLUMNS, square, 0.0)


def state(name, rate, prompt=1024.0, token_s=1e-4, sequences=1, lengths=None, square=0.0):
    """Prompts of one length at a rate, beside one sequence or none."""
    policy, made = Policy(name, BUDGET, 64, ""), table(token_s, square)
    prompts = Prompts(made, lengths or lengths_of(prompt, 100.0), rate, 0.0)
    return waiting(made, sequences, prompts, policy, sequences, prompt)


def simulated(name, rate, sizes, sequences, steps, cost_s):
    """The rule itself, step by step: means of the time between tokens and to a first one, the share
    of the time that prompts take, and by how much twenty steps after an own prompt are longer."""
    random = np.random.default_rng(7)
    room = BUDGET if name == "passes" else max(1, BUDGET - sequences)
    now, coming, queue, firsts = 0.0, random.exponential(1 / rate), [], []
    busy_s, decoded, begun = 0.0, [], []
    for _ in range(steps):
        if not queue and not sequences:
            now = max(now, coming)
        while coming <= now:
            queue.append([coming, int(random.choice(sizes))])
            coming += random.exponential(1 / rate)
        left, done = room, []
        for each in queue:
            took = min(left, each[1])
            each[1] -= took
            left -= took
            done += [each[0]] if not each[1] else []
            if not left:
                break
        del queue[: len(done)]
        read = room - left
        decodes = bool(sequences) and not (name == "passes" and read)
        lasts = read * cost_s + (DECODE if decodes else 0.0)
        now += lasts
        busy_s += lasts - (DECODE if decodes else 0.0)
        decoded += [now] if decodes else []
        begun += [(now, len(decoded))] * len(done)
        firsts += [now - arrival for arrival in done]
    token = now / max(len(decoded), 1)
    later = [decoded[at + 19] - since for since, at in begun if at + 19 < len(decoded)]
    excess = float(np.mean(later)) - 20 * token if later else 0.0
    return token, float(np.mean(firsts)), busy_s / now, excess


@pytest.mark.parametrize("name", ["mixed", "passes"])
@pytest.mark.parametrize(
    ("sizes", "busy", "sequences"),
    [((256,), 0.5, 1), ((2600,), 0.4, 1), ((200, 1800), 0.5, 1), ((256,), 0.5, 0),
     ((2600,), 0.4, 0)],
)  # fmt: skip
def test_a_chain_has_the_times_of_its_rule_gone_through_step_by_step(name, sizes, busy, sequences):
    """Thousands of steps with arrivals at random; prompts take a quarter of a step to three."""
    mean, cost = float(np.mean(sizes)), 1e-4
    rate = busy / (mean * cost + (DECODE * mean / BUDGET if name == "mixed" else 0.0))
    lengths = Lengths(mean, 100.0, 1e4, tuple((1 / len(sizes), float(each)) for each in sizes))
    found = state(name, rate, mean, cost, sequences, lengths)
    steps = 24_000 if sequences else 5000
    token, first, share, excess = simulated(name, rate, sizes, sequences, steps, cost)
    assert found.share == pytest.approx(share, rel=0.05)
    assert found.first_s == pytest.approx(first, rel=0.08)
    if sequences:
        assert found.token_s == pytest.approx(token, rel=0.05)
        assert found.excess_s == pytest.approx(excess, abs=0.06)
    # alone it is read in full steps and one of what is left, beside decoding where mixed
    steps = np.ceil(np.array(sizes) / (BUDGET - sequences)) if name == "mixed" else 0.0
    own = mean * cost + sequences * DECODE * float(np.mean(steps))
    assert found.queue_s == pytest.approx(found.first_s - own, rel=0.03)


@pytest.mark.parametrize("busy", [0.2, 0.5, 0.8])
def test_passes_of_an_idle_server_are_a_queue_of_equal_services(busy):
    """Pollaczek and Khinchine: services s wait busy s / (2 (1 - busy)) for each other."""
    service = 1024 * 1e-4
    found = state("passes", busy / service, sequences=0)
    assert found.first_s == pytest.approx(service * (1 + busy / (2 * (1 - busy))), rel=1e-3)
    assert found.share == pytest.approx(busy, rel=1e-3)


@pytest.mark.parametrize("busy", [0.2, 0.6])
def test_services_that_differ_wait_for_their_squares(busy):
    """Prompts of 256 and 1,792 tokens: E[s^2] = 1.5625 E[s]^2; the own one is read when its turn
    comes, in passes of 1,024 tokens that others fill up."""
    lengths = Lengths(1024.0, 100.0, 1e4, ((0.5, 256.0), (0.5, 1792.0)))
    service = 1024 * 1e-4
    found = state("passes", busy / service, sequences=0, lengths=lengths)
    alone = service * (1 + 1.5625 * busy / (2 * (1 - busy)))
    assert found.first_s == pytest.approx(alone, rel=0.12)
    assert found.first_s > alone, "who is read beside others waits for them"


def test_a_queue_of_prompts_of_many_passes_is_held_whole():
    """Lognormal prompts of 40 passes: own service and rate E[s^2] / (2 (1 - busy)); the longest
    are 15 times the mean."""
    lengths, busy = lengths_of(40 * 1024.0, 100.0, "lognormal"), 0.6
    shares, prompts = np.array(lengths.prompts).T
    service = prompts * 1e-4
    rate = busy / float(shares @ service)
    found = state("passes", rate, sequences=0, lengths=lengths)
    wait = rate * float(shares @ service**2) / (2 * (1 - busy))
    assert found.first_s == pytest.approx(float(shares @ service) + wait, rel=0.05)


def test_decode_steps_are_vacations_of_passes():
    """Vacations v of equal length make services wait v / 2 longer (Levy and Yechiali 1975); a
    token comes with each vacation, which take what services leave of the time."""
    service, busy = 1024 * 1e-4, 0.5
    found = state("passes", busy / service)
    wait = service * busy / (2 * (1 - busy)) + DECODE / 2
    assert found.first_s == pytest.approx(service + wait, rel=1e-3)
    assert found.token_s == pytest.approx(DECODE / (1 - busy), rel=1e-3)
    assert found.queue_s == pytest.approx(wait, rel=1e-2)


def test_a_mixed_step_is_as_long_as_what_came_in_the_one_before():
    """tau = D + rate tau P c, and Var tau = rate (P c)^2 tau / (1 - (rate P c)^2); a request waits
    for half of the step that it meets, tau (1 + Var / tau^2) / 2, then for its own step, with D,
    what it costs and those that came in the met step."""
    rate, cost = 20.0, 64 * 1e-4
    found = state("mixed", rate, prompt=64.0)
    step = DECODE / (1 - rate * cost)
    assert found.token_s == pytest.approx(step, rel=1e-3)
    met = step + rate * cost**2 / (1 - (rate * cost) ** 2)
    assert found.first_s == pytest.approx(met / 2 + DECODE + cost + rate * met * cost, rel=1e-3)


def test_steps_that_follow_on_an_own_prompt_are_longer_in_all():
    """A lone prompt's step is its cost longer, and the next one by what came in that: the sum of a
    geometric series of ratio rate P c, over what a mean step's would have been."""
    rate, cost = 5.0, 64 * 1e-4
    found = state("mixed", rate, prompt=64.0)
    ratio = rate * cost
    assert found.excess_s == pytest.approx(ratio * cost / (1 - ratio), rel=0.1)


def test_attention_within_prompts_counts_by_their_squares():
    """0.1 us a pair: 1024 tokens have 524,288 of them, which add 52 ms."""
    plain, dear = (state("passes", 0.01, sequences=0, square=each) for each in (0.0, 1e-7))
    assert dear.first_s - plain.first_s == pytest.approx(0.0524288, rel=2e-3)


@pytest.mark.parametrize(("slots", "load"), [(1, 0.5), (8, 0.7), (64, 0.9)])
def test_exponential_outputs_wait_as_in_erlangs_queue(slots, load):
    """M/M/c: P(all busy) load / (1 - load) wait; here P(exactly all busy) is given."""
    offered = slots * load
    terms = np.cumprod([1.0, *(offered / n for n in range(1, slots + 1))])
    none = 1 / (terms[:-1].sum() + terms[-1] / (1 - load))
    exactly = terms[-1] * none
    queue = exactly / (1 - load) * load / (1 - load)
    exponential = Lengths(100.0, 100.0, 2e4, ((1.0, 100.0),))
    assert _slot_wait(exactly, load, slots, exponential) == pytest.approx(queue)


def test_equal_outputs_wait_half_as_long_at_one_slot():
    """M/D/1 is half of M/M/1; with more slots and little load it is more than half."""
    equal = lengths_of(100.0, 100.0)
    assert _slot_wait(0.25, 0.5, 1, equal) == pytest.approx(0.25 * 0.5 / 0.25 / 2)
    assert _slot_wait(0.25, 0.5, 60, equal) > 0.6 * 0.25 * 0.5 / 0.25


def test_outputs_that_vary_more_than_exponential_ones_wait_longer():
    """Squared coefficients of variation of 2, 1.2 and 1: (1 + c) / 2 of M/M/c."""
    every = [Lengths(100.0, 100.0, square * 1e4, ((1.0, 100.0),)) for square in (3, 2.2, 2)]
    waits = [_slot_wait(0.25, 0.5, 4, each) for each in every]
    assert waits == pytest.approx([1.5 * 0.5, 1.1 * 0.5, 0.5])


def test_outputs_of_long_contexts_make_all_others_wait():
    """Outputs of 50 tokens and, a third, of 200. Where caches take 0.6 of a step, an output weighs
    G + 0.6 (R - r G) / r over the mean, with R = 50 G + G^2 / 2 the sum of its contexts."""
    values, chances = np.array([50.0, 200.0]), np.array([2 / 3, 1 / 3])
    mean = float(chances @ values)
    square, *higher = (float(chances @ (values / mean) ** power) for power in (2, 3, 4))
    prompts = ((1.0, 50.0),)
    lengths = Lengths(50.0, mean, square * mean**2, prompts, "trace", 0.0, 1.0, tuple(higher))
    rewards = 50 * values + values**2 / 2
    rate = float(chances @ rewards) / mean
    assert rate == pytest.approx(lengths.context)
    weighed = values / mean + 0.6 * (rewards - rate * values) / (rate * mean)
    equal = (1 + 0.5 * 7 * (44**0.5 - 2) / (16 * 0.5 * 8)) / 2

    def kimura(spread):
        return (1 + spread) / (2 * spread + (1 - spread) / equal)

    waits = [_slot_wait(0.1, 0.5, 8, lengths, caches) for caches in (0.6, 0.0)]
    longer = kimura(float(chances @ weighed**2) - 1) / kimura(square - 1)
    assert waits[0] / waits[1] == pytest.approx(longer)


def test_a_lognormals_moments_follow_from_its_mean_square():
    """E[G^k] / E[G]^k = exp(k (k - 1) sigma^2 / 2), sigma 0.8; equal outputs have moments of 1."""
    assert lengths_of(9.0, 9.0, "lognormal").higher == pytest.approx((np.exp(1.92), np.exp(3.84)))
    assert lengths_of(9.0, 9.0).higher == (1, 1)
