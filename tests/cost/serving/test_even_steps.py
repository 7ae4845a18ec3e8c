"""Where every step takes alike and prompts cost next to nothing, a server is a queue of books."""

from __future__ import annotations

import math

import numpy as np
import pytest
from thermoflop.cost.serving.lengths import Lengths, in_steps, lengths_of
from thermoflop.cost.serving.mixing import Mixing, Stream, between, mixing_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.steady import (
    Steady,
    _occupied,
    capacity,
    closed_loop,
    limits_of_trust,
    open_loop,
)
from thermoflop.cost.serving.times import step_table

STEP_S = 0.01
OUTPUT = 51.0  # the first token with the prompt, 50 steps


class Even:
    """Decode steps of 10 ms; ``grows`` for each sequence, ``cached`` for each token of its cache;
    tokens of prompts take ``token_s`` each, pairs ``pair_s``, prompts ``prompt_s``."""

    def __init__(self, token_s=1e-12, grows=0.0, cached=0.0, pair_s=0.0, prompt_s=0.0):
        self.token_s, self.grows, self.cached = token_s, grows, cached
        self.pair_s, self.prompt_s = pair_s, prompt_s

    def decode_s(self, sequences, context):
        return STEP_S + self.grows * sequences + self.cached * sequences * context

    def prompts_s(self, tokens, cached, prompts=1.0):
        pairs = tokens * (cached + tokens / 2)
        return prompts * (self.token_s * tokens + self.pair_s * pairs)

    def mixed_s(self, sequences, context, tokens, cached, prompts=1.0):
        return self.decode_s(sequences, context) + self.prompts_s(tokens, cached, prompts)


def exponential(prompt=4.0, generate=OUTPUT):
    """Outputs whose mean square is twice the square of their mean."""
    return Lengths(prompt, generate, 2 * generate**2, ((1.0, prompt),))


def erlang_s(slots: int, rate: float, service_s: float) -> float:
    """Erlang's C: the mean wait for one of ``slots`` servers."""
    offered = rate * service_s
    terms = [offered**n / math.factorial(n) for n in range(slots + 1)]
    full = terms[-1] / (1 - offered / slots)
    return full / (sum(terms[:-1]) + full) * service_s / (slots - offered)


def opened(rate, slots, steps=None, lengths=None, policy=None):
    steps, lengths = steps or Even(), lengths or exponential()
    policy = policy or Policy("mixed", 1024, slots, "")
    mixing = mixing_of(steps, lengths, policy, np.arange(1.0, slots + 1))
    return open_loop(mixing, steps, lengths, rate, slots, policy)


@pytest.mark.parametrize(("slots", "load"), [(2, 0.85), (4, 0.9), (12, 0.95)])
def test_requests_at_a_rate_wait_for_slots_as_erlang_says(slots, load):
    """A request has a slot for a step of its prompt and 50 of its tokens; it waits for half a step
    until one begins."""
    service = OUTPUT * STEP_S
    rate = load * slots / service
    found = opened(rate, slots)
    assert found.load == pytest.approx(load, rel=1e-6)
    assert found.token_s == pytest.approx(STEP_S, rel=1e-6)
    assert found.sequences == pytest.approx(rate * 50 * STEP_S, rel=1e-6)
    wait = erlang_s(slots, rate, service)
    assert found.first_s == pytest.approx(1.5 * STEP_S + wait, rel=2e-3)
    assert found.queue_s == pytest.approx(0.5 * STEP_S + wait, rel=2e-3)
    assert found.requests_s == rate
    assert found.prompt_share == pytest.approx(0, abs=1e-6)


def test_thousands_of_slots_are_counted_without_overflow():
    """M/M/c of 3,000 servers: 2,500 of them are busy, hardly ever all."""
    shares, tail = _occupied(np.ones(3000), 2500.0, 2500 / 3000)
    assert shares.sum() + tail == pytest.approx(1)
    assert float(shares @ np.arange(3001)) == pytest.approx(2500, rel=1e-3)
    few, beyond = _occupied(np.ones(1), 0.5, 0.5)  # M/M/1: a half, a quarter, and a quarter more
    assert (few.tolist(), beyond) == (pytest.approx([0.5, 0.25]), pytest.approx(0.25))


def test_a_rate_that_slots_cannot_keep_up_has_no_steady_state():
    most = 4 / (OUTPUT * STEP_S)
    assert opened(0.999 * most, 4) is not None
    assert opened(1.001 * most, 4) is None


@pytest.mark.parametrize("load", [0.4, 0.8])
def test_sequences_that_slow_each_other_are_as_many_as_a_birth_and_death_chain_has(load):
    """A step of n sequences takes 10 ms and 2 for each; beyond the slots it goes on as when full.
    The token is time that sequences spend over steps that they take: E[n] / E[n / step]."""
    steps, slots = Even(grows=2e-3), 6
    most = slots / (OUTPUT * (STEP_S + 2e-3 * slots))
    rate = load * most
    found = opened(rate, slots, steps)
    states = 400
    up = rate * 50  # steps that are asked for in a second
    each = np.array([STEP_S + 2e-3 * min(n, slots) for n in range(states)])
    weights = np.ones(states)
    for n in range(1, states):
        weights[n] = weights[n - 1] * up * each[n] / min(n, slots)
    shares = weights / weights.sum()
    busy = np.minimum(np.arange(states), slots)
    token = (shares @ busy) / (shares @ (busy / each))
    assert found.token_s == pytest.approx(token, rel=0.02)
    assert found.load == pytest.approx(load, rel=0.01)


@pytest.mark.parametrize(("users", "slots"), [(1, 8), (5, 8), (8, 8), (20, 8)])
def test_users_share_steps_and_those_beyond_the_slots_wait(users, slots):
    """Little: users over what an answer takes; a slot is taken for 51 steps."""
    lengths, policy = exponential(), Policy("mixed", 1024, slots, "")
    mixing = mixing_of(Even(), lengths, policy, np.arange(1.0, slots + 1))
    found = closed_loop(mixing, lengths, users, slots, policy)
    served = min(users, slots)
    assert float(found.requests_s) == pytest.approx(served / (OUTPUT * STEP_S), rel=1e-4)
    assert float(found.sequences) == pytest.approx(served * 50 / 51, rel=1e-4)
    waits = users / float(found.requests_s) - OUTPUT * STEP_S
    assert float(found.queue_s) == pytest.approx(waits, abs=1e-5)
    assert float(found.slot_s) == pytest.approx(waits, abs=1e-5)
    assert float(found.first_s) == pytest.approx(STEP_S + waits, abs=1e-5)
    assert float(found.load) == pytest.approx(served / slots if users <= slots else 1.0, rel=1e-3)
    assert float(capacity(mixing, lengths, slots, policy)) == pytest.approx(
        slots / (OUTPUT * STEP_S), rel=1e-4
    )


def test_a_batch_is_read_and_then_generated_to_its_end():
    """Prompts of 4 ms; the second and third of a batch add 4 ms each, and nobody else comes in."""
    steps, lengths = Even(token_s=1e-3), exponential()
    policy = Policy("static", 1024, 4, "")
    mixing = mixing_of(steps, lengths, policy, np.arange(1.0, 5))
    found = closed_loop(mixing, lengths, 3, 4, policy)
    cycle = 3 * 4e-3 + 50 * STEP_S
    assert float(found.requests_s) == pytest.approx(3 / cycle)
    assert float(found.first_s) == pytest.approx(12e-3)
    assert float(found.sequences) == pytest.approx(3 * 50 * STEP_S / cycle)
    assert float(found.prompt_share) == pytest.approx(12e-3 / cycle)
    assert float(found.load) == pytest.approx(3 / cycle * (16e-3 + 50 * STEP_S) / 4)
    later = closed_loop(mixing, lengths, 10, 4, policy)
    full = 16e-3 + 50 * STEP_S
    assert float(later.queue_s) == pytest.approx(10 * full / 4 - full)
    assert float(later.first_s) == pytest.approx(16e-3 + 10 * full / 4 - full)


def test_a_table_of_steps_holds_what_they_take():
    """Its columns are 256 parts of the budget; pairs within a prompt are kept apart."""
    steps = Even(token_s=2e-5, grows=1e-3, cached=1e-6, pair_s=3e-9, prompt_s=7e-4)
    lengths = lengths_of(100.0, 40.0)
    table = step_table(steps, lengths, Policy("mixed", 512, 8, ""), 3)
    assert table.base == pytest.approx([0.0, 11e-3, 12e-3, 13e-3])
    assert table.slope == pytest.approx([0.0, 1e-6, 2e-6, 3e-6])
    assert (table.spacing, table.prompt_s) == (2.0, 7e-4)
    # one prompt of 512 has 512^2 / 2 pairs, two of 256 half of them
    assert table.square == pytest.approx(3e-9)
    for row in table.rows:
        assert len(row) == 257
        assert (row[0], row[256]) == pytest.approx((0.0, 512 * 2e-5))
        assert row[100] == pytest.approx(200 * 2e-5, rel=1e-6)
    assert len(table.rows) == 4
    apart = step_table(steps, lengths, Policy("passes", 512, 8, ""), 3)
    assert len(apart.rows) == 1


class Beside(Even):
    """Prompts take a tenth longer for each sequence that decodes beside them."""

    def mixed_s(self, sequences, context, tokens, cached, prompts=1.0):
        pairs = self.pair_s * tokens * (cached + tokens / 2)
        each = self.token_s * tokens * (1 + sequences / 10)
        return self.decode_s(sequences, context) + prompts * (each + pairs)


@pytest.mark.parametrize("most", [1, 2, 14, 60])
def test_a_row_of_a_table_is_that_of_its_number_of_sequences(most):
    """What grows evenly with the sequences is read between those that were computed."""
    steps = Beside(token_s=2e-5, grows=1e-3, cached=1e-6, pair_s=3e-9)
    lengths = lengths_of(100.0, 40.0)
    table = step_table(steps, lengths, Policy("mixed", 512, most, ""), most)
    assert len(table.rows) == most + 1
    for count, row in enumerate(table.rows):
        assert row[0] == 0
        assert row[128] == pytest.approx(256 * 2e-5 * (1 + count / 10), rel=1e-6)
        assert row[256] == pytest.approx(512 * 2e-5 * (1 + count / 10), rel=1e-6)
    some = step_table(steps, lengths, Policy("mixed", 512, most, ""), np.array([1, most]))
    assert some.rows[-1] == pytest.approx(table.rows[-1])
    assert (some.base[-1], some.slope[-1]) == pytest.approx((table.base[-1], table.slope[-1]))


def test_a_budget_of_few_tokens_has_its_columns_all_the_same():
    for budget in (16, 700, 3000):
        steps = Even(token_s=2e-5, pair_s=3e-9)
        table = step_table(steps, lengths_of(9.0, 40.0), Policy("passes", budget, 8, ""), 2)
        assert table.spacing == budget / 256
        (row,) = table.rows
        assert row[256] == pytest.approx(budget * 2e-5, rel=1e-6)
        # below eight tokens it is a line between nothing and what one token takes
        assert row[128] == pytest.approx(budget / 2 * 2e-5, rel=1e-3)
        assert table.square == pytest.approx(3e-9)


BENDS = (1, 8, 32, 64, 96, 128, 192, 256, 320, 384, 512, 768)


class Bends(Even):
    """A chunk takes longer from each of these numbers of tokens on."""

    def prompts_s(self, tokens, cached, prompts=1.0):
        each = sum(np.maximum(np.asarray(tokens, float) - bend, 0.0) for bend in BENDS)
        return prompts * 1e-6 * each

    def mixed_s(self, sequences, context, tokens, cached, prompts=1.0):
        return self.decode_s(sequences, context) + self.prompts_s(tokens, cached, prompts)


@pytest.mark.parametrize("budget", [256, 1024])
def test_a_table_has_the_times_of_chunks_where_they_bend(budget):
    """Up to 768 tokens, where kernels change their shapes; beyond it grows evenly here."""
    table = step_table(Bends(), lengths_of(9.0, 40.0), Policy("mixed", budget, 2, ""), 2)
    tokens = budget / 256 * np.arange(257)
    bent = sum(np.maximum(tokens - bend, 0.0) for bend in BENDS)
    plain = table.rows[0] + np.array(table.square) * tokens**2 / 2
    assert table.square == pytest.approx(
        max(0.0, 1e-6 * sum(max(budget - b, 0) - 2 * max(budget / 2 - b, 0) for b in BENDS))
        / (budget**2 / 4)
    )
    at = [int(bend * 256 / budget) for bend in BENDS if bend * 256 % budget == 0 and bend <= budget]
    assert len(at) > 6
    assert plain[at] == pytest.approx(1e-6 * bent[at], rel=1e-9)
    assert table.rows[2] == pytest.approx(table.rows[0])


def test_streams_are_prompts_alone_and_beside_another_in_chunks_of_the_room():
    """A room of 100 tokens beside 24 sequences; prompts of 50 and 250 tokens, half of each."""
    steps = Even(token_s=1e-5, pair_s=1e-8, prompt_s=3e-4)
    lengths = Lengths(150.0, 40.0, 1600.0, ((0.5, 50.0), (0.5, 250.0)))
    found = mixing_of(steps, lengths, Policy("mixed", 124, 24, ""), np.array([24.0]))
    short, long = found.streams
    assert (float(short.fill[0]), float(long.fill[0])) == (0.5, 2.5)
    assert float(short.lone[0]) == pytest.approx(50e-5 + 1250e-8 + 3e-4)
    # the middle chunk begins behind 75 tokens
    assert float(long.lone[0]) == pytest.approx(2.5 * (100e-5 + 100 * (75 + 50) * 1e-8) + 3e-4)
    cached = mixing_of(steps, lengths, Policy("mixed", 124, 24, ""), np.array([24.0]), 0.6)
    assert float(cached.streams[0].fill[0]) == pytest.approx(0.2)
    assert float(cached.streams[0].lone[0]) == pytest.approx(20e-5 + 20 * (30 + 10) * 1e-8 + 3e-4)
    full = mixing_of(steps, lengths, Policy("mixed", 24, 24, ""), np.array([24.0, 30.0]))
    assert full.streams[0].fill.tolist() == [50, 50], "a step has room for a token at least"
    grown = mixing_of(steps, lengths, Policy("mixed", 124, 24, ""), np.array([24.0]), growth=3.0)
    assert float(grown.streams[0].fill[0]) == pytest.approx(50 / 52)
    apart = mixing_of(steps, lengths, Policy("passes", 100, 24, ""), np.array([24.0]))
    assert float(apart.streams[1].fill[0]) == 2.5
    assert float(found.decode[0]) == pytest.approx(STEP_S)


def test_a_mean_step_has_the_poisson_share_of_lone_prompts():
    """y prompts a step: 1 - e^-y of steps have one, which adds lone; each more adds more."""
    known = np.array([1.0, 3.0])
    at = np.ones(2)
    mixing = Mixing(
        known, 0.01 * known,
        (Stream(0.75, 0.4 * at, 0.3 * at, 0.5 * at), Stream(0.25, 2.0 * at, 1.0 * at, 4.0 * at)),
    )  # fmt: skip
    prompts = 0.2
    together = (1 - math.exp(-0.15)) * 0.1 + 0.15 * 0.3
    assert mixing.added(prompts) == pytest.approx((together + 0.05 * 2.0) * at)
    assert mixing.step_s(prompts) == pytest.approx(together + 0.1 + 0.01 * known)
    share, lone, more = mixing.short()
    assert (share[0], lone[0], more[0]) == pytest.approx((0.75, 0.4, 0.3))
    assert float(between(mixing, np.array([2.0])).decode[0]) == pytest.approx(0.02)


def test_steps_of_several_tokens_are_fewer_and_longer():
    """Outputs of 41 tokens at 2 a step: the first, then 20 steps."""
    found = in_steps(lengths_of(100.0, 41.0), 2.0)
    assert (found.generate, found.tokens) == (21, 41)
    assert found.generate_square == 21**2
    assert found.context == 100 + 2 * 21 / 2
    assert found.most == 141
    uniform = lengths_of(100.0, 40.0, "uniform")
    # a uniform's mean square is 1 + w^2 / 12 of its mean's square, w the width over the mean
    assert uniform.generate_square == pytest.approx(1600 * (1 + 0.4**2 / 12))
    for shape in ("fixed", "uniform", "lognormal"):
        nodes = lengths_of(100.0, 40.0, shape).prompts
        assert sum(share for share, _ in nodes) == pytest.approx(1)
        assert sum(share * prompt for share, prompt in nodes) == pytest.approx(100)
    squares = sum(s * p**2 for s, p in lengths_of(100.0, 40.0, "lognormal").prompts)
    assert squares == pytest.approx(1e4 * math.exp(0.64), rel=1e-3)


STATE = Steady(5.0, 0.01, 0.2, 0.0, 1.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("changes", "generate", "at_rate", "said"),
    [
        ({}, 101, True, ""),
        ({"load": 0.75}, 101, True, ""),
        ({"load": 0.76}, 101, True, "a quarter of doubt"),
        ({"load": 0.9}, 101, True, "a quarter of doubt"),
        ({"load": 0.91}, 101, True, "decides the time"),
        ({"load": 0.91}, 101, False, ""),  # users wait as Little's law says
        ({"prompt_share": 0.85}, 101, True, ""),
        ({"prompt_share": 0.86}, 101, True, "prompts take more than 85%"),
        ({"first_s": 0.1}, 20, False, ""),
        ({"first_s": 0.1}, 19, False, "outputs are so short"),
        # 0.3 of 100 steps of 10 ms at a rate, all of them for users
        ({"first_s": 0.30}, 101, True, ""),
        ({"first_s": 0.31}, 101, True, "prompts are read for so long"),
        ({"first_s": 0.51, "queue_s": 0.2}, 101, True, "prompts are read for so long"),
        ({"first_s": 0.49, "queue_s": 0.2}, 101, True, ""),
        ({"first_s": 1.0}, 101, False, ""),
        ({"first_s": 1.01}, 101, False, "prompts are read for so long"),
        ({"first_s": 1.5, "slot_s": 0.6}, 101, False, ""),
    ],
)
def test_what_the_closed_form_does_not_know_begins_at_these_limits(
    changes, generate, at_rate, said
):
    state = Steady(**{**STATE.__dict__, **changes})
    found = limits_of_trust(state, lengths_of(10.0, generate), at_rate=at_rate)
    assert (said in " ".join(found)) if said else not found
    assert len(found) <= 1
