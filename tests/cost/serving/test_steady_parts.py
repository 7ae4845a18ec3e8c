"""The parts of the closed form, each beside what it says in words, and the laws that hold for all:
Little's, and what is left where there is next to no load."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from thermoflop.cost.serving.backlog import Prompts
from thermoflop.cost.serving.lengths import Lengths, lengths_of
from thermoflop.cost.serving.mixing import Mixing, Stream, mixing_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.steady import (
    _behind,
    _together,
    at_sequences,
    capacity,
    closed_loop,
    open_loop,
    read_for,
)
from thermoflop.cost.serving.times import StepTable, step_table

GENERATE = 41.0


class Steps:
    """10 ms and 0.5 for each sequence; a token of a prompt takes 50 us, a prompt 1 ms besides."""

    prompt_s = 1e-3

    def decode_s(self, sequences, context):
        return 10e-3 + 0.5e-3 * sequences + 0.0 * context

    def prompts_s(self, tokens, cached, prompts=1.0):
        return 50e-6 * tokens * prompts + 0.0 * cached

    def mixed_s(self, sequences, context, tokens, cached, prompts=1.0):
        return self.decode_s(sequences, context) + self.prompts_s(tokens, cached, prompts)


class Bent(Steps):
    """Steps that grow with the square of the context."""

    def decode_s(self, sequences, context):
        return 0.0 * sequences + context**2


def test_a_step_is_taken_straight_from_a_prompt_to_what_is_met_beyond_it():
    """Between the prompt's p and its p + E[n^2]/E[n]: the chord of a parabola, of slope p + q
    through -p q."""
    lengths = Lengths(100.0, 40.0, 40.0 * 50, ((1.0, 100.0),))
    table = step_table(Bent(), lengths, Policy("mixed", 64, 4, ""), 3)
    assert table.slope == pytest.approx([0.0] + 3 * [100 + 150])
    assert table.base == pytest.approx([0.0] + 3 * [-100 * 150])


def mixing(name, lengths, budget=256, slots=16):
    policy = Policy(name, budget, slots, "")
    return mixing_of(Steps(), lengths, policy, np.arange(1.0, slots + 1)), policy


def one_stream(fill, lone=0.3, more=0.2):
    one = np.float64(1.0)
    return Mixing(one, 0.01 * one, (Stream(1.0, lone * one, more * one, fill * one),))


@pytest.mark.parametrize(
    ("fill", "others", "share"),
    [
        (0.5, 0.0, 1.0), (0.5, 1.0, 1.0),  # all in one pass: each delays the own one whole
        (0.5, 5.0, (1 + 0.5 / 2.5) / 2),  # three passes: those behind in the own one, half before
        (0.25, 1e9, 0.5),
    ],
)  # fmt: skip
def test_prompts_that_are_read_together_delay_each_other_by_half_or_whole(fill, others, share):
    assert float(_together(one_stream(fill), others)) == pytest.approx(0.2 * share, rel=1e-6)


def test_prompts_of_several_steps_delay_each_other_by_half_of_what_they_take():
    assert float(_together(one_stream(3.0), 2.0)) == pytest.approx(0.3 / 2)


@pytest.mark.parametrize("fill", [0.5, 1.0])
@pytest.mark.parametrize("others", [0.1, 0.6])
def test_a_request_waits_for_steps_by_pollaczek_and_khinchine(fill, others):
    """Services of ``fill`` steps: rate E[s^2] / 2 (1 - rate s), as far as several fill a step; by
    the share of outputs' variance in all of it, since equal ones keep their distance."""
    spread = 40.0**2
    lengths = Lengths(100.0, 40.0, 40.0**2 + spread, ((1.0, 100.0),))
    free = 1 - others * fill
    fills = np.exp(-2 * free * (1 - fill) / fill)
    waits, seconds = _behind(one_stream(fill), lengths, others)
    expected = others * fill**2 * fills / (2 * free) * spread / (spread + fill**2)
    assert float(waits) == pytest.approx(expected)
    each = 0.3 + fill * 0.01  # its own cost, and the decoding of its steps
    assert float(seconds) == pytest.approx(expected / fill * each)
    equal = Lengths(100.0, 40.0, 1600.0, ((1.0, 100.0),))
    assert [float(each) for each in _behind(one_stream(fill), equal, others)] == [0, 0]


def test_prompts_are_read_for_as_many_sequences_as_their_steps_leave_room_for():
    """Prompts of 250 tokens beside 6 sequences fill a room of 250; 40 steps read 40."""
    known, _ = mixing("mixed", Lengths(250.0, GENERATE, GENERATE**2, ((1.0, 250.0),)))
    assert float(read_for(known, np.array([6.0]), 40.0)[0]) == pytest.approx(40.0)


@pytest.mark.parametrize("name", ["mixed", "passes"])
@pytest.mark.parametrize("shape", ["fixed", "lognormal"])
@pytest.mark.parametrize("users", [1, 2, 7, 16, 50])
def test_users_are_the_answers_of_a_second_times_what_one_takes(name, shape, users):
    """Little's law, whatever prompts do; and sequences are tokens a second times their time."""
    lengths = lengths_of(200.0, GENERATE, shape)
    known, policy = mixing(name, lengths)
    found = closed_loop(known, lengths, users, 16, policy)
    steps = GENERATE - 1
    answer_s = float(found.first_s + steps * found.token_s)
    assert float(found.requests_s) * answer_s == pytest.approx(users, rel=1e-3)
    assert float(found.sequences) == pytest.approx(
        float(found.requests_s * steps * found.token_s), rel=1e-6
    )
    assert float(found.queue_s) >= float(found.slot_s) >= 0
    assert (float(found.slot_s) > 0.01) == (users > 16)
    assert 0 < float(found.prompt_share) < 1


@pytest.mark.parametrize("name", ["mixed", "passes"])
def test_one_user_alone_waits_for_nobody(name):
    """A prompt of 200 tokens: 10 ms and 1 for it, beside a step of one sequence where mixed; then
    40 steps of 10.5 ms."""
    lengths = lengths_of(200.0, GENERATE)
    known, policy = mixing(name, lengths)
    found = closed_loop(known, lengths, 1, 16, policy)
    decode = 10.5e-3
    first = 11e-3 + (decode if name == "mixed" else 0.0)
    assert float(found.token_s) == pytest.approx(decode, rel=1e-6)
    assert float(found.first_s) == pytest.approx(first, rel=1e-6)
    assert float(found.requests_s) == pytest.approx(1 / (first + 40 * decode), rel=1e-6)


@pytest.mark.parametrize("name", ["mixed", "passes"])
@pytest.mark.parametrize("slots", [1, 5, 16])
def test_the_highest_rate_is_the_best_of_all_loads_that_have_slots(name, slots):
    lengths = lengths_of(200.0, GENERATE)
    known, policy = mixing(name, lengths)
    tried = np.linspace(0.05, 16, 4000)
    if name == "mixed":
        tried = tried[tried <= read_for(known, tried, GENERATE - 1)]
    seen = at_sequences(known, lengths, tried, name == "mixed")
    best = float(seen.rate[seen.users <= slots].max())
    assert float(capacity(known, lengths, slots, policy)) == pytest.approx(best, rel=0.02)


@pytest.mark.parametrize("name", ["mixed", "passes"])
@pytest.mark.parametrize(("chunks", "steps"), [(30, 10), (10, 10), (3, 7), (3, 17), (1, 63)])
def test_the_only_slot_is_read_into_and_then_decodes_with_nobody_else(name, chunks, steps):
    """So it decodes for steps / (steps + chunks) of the time where a chunk runs beside a step."""
    room = 256 if name == "passes" else 255  # of a step that the sequence itself is in
    lengths = lengths_of(float(chunks * room), steps + 1.0)
    known, policy = mixing(name, lengths)
    decode = 10.5e-3
    prompt = 50e-6 * chunks * room + 1e-3 + (chunks * decode if name == "mixed" else 0.0)
    found = float(capacity(known, lengths, 1, policy))
    assert found == pytest.approx(1 / (prompt + steps * decode), rel=1e-3)


def test_prompts_may_crowd_decoding_out_before_the_slots_are_full():
    """2,000 tokens beside 16 sequences fill 8.3 steps: 40 steps of an output read for no five."""
    lengths = lengths_of(2000.0, GENERATE)
    known, policy = mixing("mixed", lengths)
    few, many = (float(capacity(known, lengths, slots, policy)) for slots in (8, 16))
    assert many == pytest.approx(few, rel=1e-6)
    full = closed_loop(known, lengths, 16, 16, policy)
    assert float(full.sequences) < 5.2


@pytest.mark.parametrize("name", ["mixed", "passes"])
def test_next_to_no_requests_find_the_server_empty(name):
    """A prompt of 200 tokens alone: 11 ms; then 40 steps of one sequence."""
    lengths = lengths_of(200.0, GENERATE)
    known, policy = mixing(name, lengths)
    found = open_loop(known, Steps(), lengths, 1e-4, 16, policy)
    assert found.first_s == pytest.approx(11e-3, rel=0.02)
    assert found.token_s == pytest.approx(10.5e-3, rel=1e-3)
    assert found.sequences == pytest.approx(1e-4 * 40 * found.token_s)
    assert found.queue_s == pytest.approx(0, abs=1e-4)
    assert found.prompt_share == pytest.approx(1e-4 * 11e-3, rel=0.2)
    most = float(capacity(known, lengths, 16, policy))
    assert (found.load, found.requests_s) == (pytest.approx(1e-4 / most), 1e-4)


@pytest.mark.parametrize("name", ["mixed", "passes"])
@pytest.mark.parametrize("load", [0.3, 0.7])
def test_at_a_rate_more_load_makes_everything_slower_and_littles_law_holds(name, load):
    lengths = lengths_of(200.0, GENERATE, "lognormal")
    known, policy = mixing(name, lengths)
    most = float(capacity(known, lengths, 16, policy))
    found, more = (open_loop(known, Steps(), lengths, at * most, 16, policy)
                   for at in (load, load + 0.1))  # fmt: skip
    assert found.load == pytest.approx(load)
    assert found.sequences == pytest.approx(load * most * (GENERATE - 1) * found.token_s)
    for part in ("token_s", "first_s", "queue_s", "prompt_share", "sequences"):
        assert getattr(more, part) > getattr(found, part) > 0
    assert found.queue_s < found.first_s
    # all prompts together are so much of the time
    assert found.prompt_share == pytest.approx(load * most * 11e-3, rel=0.15)
    assert open_loop(known, Steps(), lengths, most, 16, policy) is None


@pytest.mark.parametrize("name", ["mixed", "passes"])
def test_prompts_take_their_share_of_the_time_while_others_wait_for_a_slot_too(name):
    """A full server reads as many prompts as it answers, whether they waited for a slot or not:
    each takes 10 ms for 200 tokens, and 1 ms besides."""
    lengths = lengths_of(200.0, GENERATE, "lognormal")
    known, policy = mixing(name, lengths)
    most = float(capacity(known, lengths, 16, policy))
    shares = [float(open_loop(known, Steps(), lengths, load * most, 16, policy).prompt_share)
              for load in (0.7, 0.9, 0.97, 0.999)]  # fmt: skip
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(0.999 * most * 11e-3, rel=0.05)


def test_tokens_of_long_prompts_count_as_so_many_more_as_they_take():
    """Beyond half of the table a token takes 3 us, whatever it takes before; pairs within a prompt
    take 2 ns, a prompt 1 ms: of 400 and of 1,200 tokens, a quarter of which are cached."""
    row = [1e-6 * tokens if tokens <= 512 else 3e-6 * tokens - 1024e-6
           for tokens in range(0, 1025, 4)]  # fmt: skip
    table = StepTable([0.0, 0.01], [0.0, 0.0], [row, row], 4.0, 2e-9, 1e-3)
    lengths = Lengths(600.0, 40.0, 1600.0, ((0.75, 400.0), (0.25, 1200.0)))
    found = Prompts(table, lengths, 3.0, 0.25)
    new, means = np.array([300.0, 900.0]), 0.75 * 300 + 0.25 * 900
    # a new token meets those that are cached and half of the new ones
    own = 1e-3 + 2e-9 * new * (np.array([100.0, 300.0]) + new / 2)
    token = float(np.array([0.75, 0.25]) @ own) / means
    assert (found.mean, found.token_s) == (pytest.approx(means), pytest.approx(token))
    assert found.work == pytest.approx(new * (3e-6 + own / new) / (3e-6 + token))
    # units of the chain have the same mean, between two of them is either
    for unit in (7.0, 50.0):
        sizes = found.sizes(unit)
        assert sizes.sum() == pytest.approx(1)
        mean = float(np.array([0.75, 0.25]) @ found.work)
        assert float(sizes @ np.arange(len(sizes))) * unit == pytest.approx(mean)
        assert (sizes > 0).sum() <= 4
    met = float(np.array([0.75, 0.25]) @ found.work**2) / mean
    assert len(found.sizes(50.0)) == 160
    assert len(found.sizes(20.0)) == int(8 * met / 20)
    assert len(found.sizes(5.0)) == 640


def test_a_prompt_that_is_cached_whole_has_a_token_to_read():
    table = SimpleNamespace(rows=[[0.0, 1.0, 2.0]], spacing=1.0, square=0.0, prompt_s=0.0)
    assert Prompts(table, lengths_of(50.0, 9.0), 1.0, 0.999).mean == 1.0
