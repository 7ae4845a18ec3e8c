"""What a simulation asks of its loop and makes of it, on a few requests by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from thermoflop.cost.serving.asked import load_asked
from thermoflop.cost.serving.lengths import in_steps, lengths_of
from thermoflop.cost.serving.loop import Requests, Timings
from thermoflop.cost.serving.replica import load_of
from thermoflop.cost.serving.simulation import (
    Arrivals,
    _groups,
    _Part,
    _part,
    _quantiles,
    _repeated,
    _requests,
    _summary,
    cut_short,
)
from thermoflop.cost.serving.steady import Steady
from thermoflop.cost.serving.targets import Targets, limit_beyond, most_users, most_within
from thermoflop.cost.serving.trace import Trace, read_trace
from thermoflop.errors import InputError, UsageError


def replica(prefix=0.0, step_tokens=1.0, shares=1):
    lengths = in_steps(lengths_of(100, 41), step_tokens)
    return SimpleNamespace(lengths=lengths, prefix=prefix, shares=shares)


@pytest.mark.parametrize(
    ("users", "shares", "groups"),
    [(None, 4, [(4, None)]), (8, 4, [(4, 2)]), (9, 4, [(1, 3), (3, 2)]), (3, 4, [(3, 1)])],
)
def test_users_are_shared_out_whole(users, shares, groups):
    assert _groups(users, shares) == groups


def test_requests_have_their_lengths_and_what_is_cached_of_them():
    lengths = lengths_of(100, 41)
    found = _requests(replica(0.25), lengths, Arrivals(users=3), 5, 1, 3)
    assert (found.prompts, found.cached) == ([75] * 5, [25] * 5)
    assert found.arrivals_s == [0.0] * 3
    assert found.outputs[3:] == [41, 41]
    assert all(1 <= each <= 41 for each in found.outputs[:3])
    # two tokens a step: the first, and 40 in 20 steps
    fewer = _requests(replica(step_tokens=2.0), lengths, Arrivals(rate=1.0), 3, 1, None)
    assert (fewer.outputs, fewer.step_tokens) == ([21] * 3, 2.0)


def test_arrivals_at_random_come_at_the_rate_of_a_group():
    """8 a second over 4 groups; gamma's variance is the square of the mean over its shape."""
    lengths = lengths_of(100, 41)
    for shape in (1.0, 0.25):
        made = _requests(replica(shares=4), lengths, Arrivals(8.0, None, shape), 40_000, 3, None)
        gaps = np.diff(made.arrivals_s)
        assert gaps.mean() == pytest.approx(0.5, rel=0.05)
        assert gaps.var() == pytest.approx(0.25 / shape, rel=0.1)
    kinds = [Arrivals(users=1), Arrivals(1.0), Arrivals(1.0, None, 0.5),
             Arrivals(1.0, trace=Trace([0.0, 1.0], [1, 1], [2, 2])),
             Arrivals(1.0, trace=Trace([], [1], [2]))]  # fmt: skip
    assert [each.kind for each in kinds] == ["users", "poisson", "bursty", "trace", "poisson"]


def test_every_seed_from_zero_on_draws_another_run():
    lengths = lengths_of(100, 41, "lognormal")
    runs = [_requests(replica(), lengths, Arrivals(1.0), 50, seed, None) for seed in (0, 1, 0)]
    assert runs[0] == runs[2]
    for name in ("arrivals_s", "prompts", "outputs"):
        assert getattr(runs[0], name) != getattr(runs[1], name)
    cuts = [cut_short([100] * 50, seed) for seed in (0, 1, 0)]
    assert cuts[0] == cuts[2] != cuts[1]


def test_a_run_is_drawn_again_by_its_seed_and_the_two_after():
    """Lengths by the seed, gaps by the next, what is left of first outputs by the one after that:
    three streams, none of which repeats another."""
    random = [np.random.default_rng(7 + more) for more in range(3)]
    made = _requests(replica(), lengths_of(100, 41), Arrivals(4.0, None, 0.5), 20, 7, None)
    gaps = random[1].gamma(0.5, 1 / (0.5 * 4.0), 20)
    assert made.arrivals_s == pytest.approx(np.cumsum(gaps))
    left = random[2].uniform(0, 1, 5)
    assert cut_short([100] * 5, 7) == [max(1, round(100 * share)) for share in left]


def test_first_outputs_are_cut_evenly():
    cut = cut_short([100] * 2000, 5)
    assert min(cut) >= 1
    assert max(cut) <= 100
    assert np.mean(cut) == pytest.approx(50, rel=0.05)


def test_a_trace_repeats_end_to_end_with_its_mean_gap_between():
    """0, 1 and 3 s: the next round begins a mean gap of 1.5 s after the last."""
    trace = Trace([0.0, 1.0, 3.0], [1, 2, 3], [4, 5, 6])
    assert _repeated(trace, 5, None, 1) == pytest.approx([0, 1, 3, 4.5, 5.5])
    # three in 4.5 s are 2/3 a second: twice that rate in half of the time; a half share in twice
    assert _repeated(trace, 5, 4 / 3, 1) == pytest.approx([0, 0.5, 1.5, 2.25, 2.75])
    assert _repeated(trace, 3, None, 2) == pytest.approx([0, 2, 6])
    found = _requests(replica(), lengths_of(2, 5), Arrivals(None, trace=trace), 4, 1, None)
    assert (found.prompts, found.outputs) == ([1, 2, 3, 1], [4, 5, 6, 4])


def test_the_first_tenth_is_left_out_or_as_many_as_there_are_users():
    """Twenty requests, one a second, 2 s to the first token and 10 steps of 0.1 s."""
    arrivals = [float(n) for n in range(20)]
    timings = Timings(arrivals, [at + 2 for at in arrivals], [at + 3 for at in arrivals], 77, 9.0)
    requests = Requests(arrivals, [5] * 20, [0] * 20, [11] * 20, 2.0)
    part = _part(timings, requests, 3, 0)
    assert len(part.first_s) == 18
    assert part.first_s == pytest.approx([2.0] * 18)
    assert part.decoding_s == pytest.approx([1.0] * 18)
    assert part.tokens == pytest.approx([20.0] * 18)
    assert (part.rate, part.steps) == (pytest.approx(3.0), 77)
    assert len(_part(timings, requests, 1, 7).first_s) == 13
    assert len(_part(timings, requests, 1, 19).first_s) == 10  # half of them are kept


def test_a_summary_joins_its_parts():
    """Tokens 0.1 and 0.2 s apart, twice as many of the first; a target of 0.15 s and 2 s."""
    one = _Part(np.array([1.0, 3.0]), np.array([1.0, 1.0]), np.array([10.0, 10.0]), 2.0, 5)
    two = _Part(np.array([2.0, 1.0]), np.array([2.0, 0.0]), np.array([10.0, 0.0]), 3.0, 7)
    found = _summary([one, two], 40, Arrivals(1.0), 9, (2.0, 0.15))
    assert (found.requests, found.seed, found.arrivals, found.steps) == (40, 9, "poisson", 12)
    assert found.first_mean_s == pytest.approx(7 / 4)
    assert found.token_mean_s == pytest.approx(4 / 30)
    assert found.first_s == pytest.approx(_quantiles(np.array([1.0, 3.0, 2.0, 1.0])))
    assert found.token_s == pytest.approx(_quantiles(np.array([0.1, 0.1, 0.2])))
    assert (found.requests_per_s, found.within) == (5.0, 0.5)
    assert found.goodput == 2.5
    plain = _summary([one, two], 40, Arrivals(1.0), 9, (None, None))
    assert (plain.within, plain.goodput) == (None, None)
    assert _summary([one, two], 40, Arrivals(1.0), 9, (2.0, None)).within == 0.75
    assert _quantiles(np.arange(101.0)) == (50, 90, 99)


def test_targets_are_met_up_to_and_with_their_seconds():
    both = Targets(1.0, 0.02)
    assert [both.met(*each) for each in ((1.0, 0.02), (1.1, 0.02), (1.0, 0.03))] == [
        True, False, False,
    ]  # fmt: skip
    assert Targets().met(9, 9) is None
    assert Targets(1.0).met(1.0, 9.0) is True
    assert Targets(None, 0.02).met(9.0, 0.03) is False


class Grows:
    """A token takes 1 ms for each user, a first token 10; at a rate the same for each of it; two
    tokens come with a step."""

    slots, lengths = 40, SimpleNamespace(step_tokens=2.0)
    setting = SimpleNamespace(plan=SimpleNamespace(dp=2))

    def with_users(self, users):
        return Steady(users, 0.002 * users, 0.01 * users, 0, 1, 0, 0.5)

    def at_rate(self, rate):
        return None if rate >= 64 else self.with_users(rate)


@pytest.mark.parametrize(
    ("targets", "most", "limit"),
    [(Targets(None, 0.0305), 30, "target"), (Targets(0.205, None), 20, "first"),
     (Targets(0.205, 0.0305), 20, "first"), (Targets(9.0, None), 80, None),
     (Targets(0.001, None), 0, None)],
)  # fmt: skip
def test_the_most_users_are_found_and_what_one_more_would_miss(targets, most, limit):
    """Of 40 slots in each of two replicas."""
    assert most_users(Grows(), targets) == most
    assert limit_beyond(Grows(), targets, most) == limit


def test_the_highest_rate_within_targets_is_found_to_a_part_in_two_thousand():
    found = most_within(Grows(), Arrivals(100.0), Targets(None, 0.0305))
    assert found == pytest.approx(30.5, rel=0.002)
    assert found * 2048 / 100 == int(30.5 * 2048 / 100)
    assert most_within(Grows(), Arrivals(100.0), Targets(9.0, None)) == pytest.approx(64, rel=1e-3)
    assert most_within(Grows(), Arrivals(users=10), Targets(None, 0.0305)) == 9


def test_a_request_of_mean_lengths_is_a_load_of_one():
    load = load_of(lengths_of(100.4, 20.6))
    assert (load.sequences, load.prompt, load.context) == (1, 100, 121)


def traced(tmp_path, text):
    path = tmp_path / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return read_trace(str(path))


@pytest.mark.parametrize(
    ("column", "first", "second", "seconds"),
    [
        ("arrival_s", "3", "5.5", 2.5), ("arrival_ms", "3000", "5500", 2.5),
        ("time_us", "1000000", "3000000", 2), ("start_ns", "1000000000", "4000000000", 3),
        ("arrival seconds", "0", "7", 7),
        ("arrival sec", "0", "7", 7),
        # since 1970: ten digits are seconds, thirteen milli-, sixteen micro-, nineteen nanoseconds
        ("timestamp", "1700000000", "1700000004", 4),
        ("timestamp", "1700000000000", "1700000004000", 4),
        ("timestamp", "1700000000000000", "1700000004000000", 4),
        ("timestamp", "1700000000000000000", "1700000004000000000", 4),
        ("timestamp", "99999999999", "100000000000", 1),
    ],
)  # fmt: skip
def test_a_time_of_a_trace_has_the_unit_of_its_name_or_its_digits(
    tmp_path, column, first, second, seconds
):
    found = traced(tmp_path, f"{column},prompt,generate\n{second},7,8\n{first},5,6\n")
    assert found.arrivals_s == pytest.approx([0, seconds])
    assert (found.prompts, found.outputs) == ([5, 7], [6, 8])


def test_a_trace_alone_is_served_at_its_own_rate(tmp_path):
    """Three requests in four seconds are two gaps: one every two seconds."""
    path = tmp_path / "trace.csv"
    path.write_text("arrival,prompt,generate\n0,1,2\n1,1,2\n4,1,2\n", encoding="utf-8")
    alone = load_asked(None, None, 1.0, str(path))
    assert (alone.rate, alone.users, alone.kind) == (0.5, None, "trace")
    assert load_asked(None, 3.0, 1.0, str(path)).rate == 3.0
    users = load_asked(7, None, 1.0, str(path))
    assert (users.rate, users.users) == (None, 7)
    assert (load_asked(None, None, 1.0, None).users, load_asked(None, 2.0, 0.5, None).kind) == (
        1,
        "bursty",
    )
    path.write_text("prompt,generate\n1,2\n1,2\n", encoding="utf-8")
    with pytest.raises(UsageError, match="says no times"):
        load_asked(None, None, 1.0, str(path))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("0,1,2\n1,x,2\n", "request 2 of the trace: prompt='x' is no number of tokens"),
        ("0,1,2\n1,2,1e12\n", "request 2 of the trace: generate='1e12' is no number"),
        ("inf,1,2\n1,2,3\n", "request 1 of the trace: 'inf' is no time"),
        ("0,1,2\n", "holds 1 requests: expected at least 2"),
    ],
)
def test_a_request_that_makes_no_sense_is_numbered(tmp_path, rows, said):
    with pytest.raises(InputError, match=said):
        traced(tmp_path, f"arrival,prompt,generate\n{rows}")


def test_objects_in_a_list_or_in_lines_are_numbered_too(tmp_path):
    one = '{"time": 0, "isl": 3, "osl": 4}'
    for text, said in ((f"[{one}, 7]", "request 2: expected an object"),
                       (f"{one}\n7\n", "request 2: expected an object"),
                       (f"{one}\n\n{{\n", "line 3: no JSON object"),
                       (f"[{one}", "is no JSON list")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            traced(tmp_path, text)
    found = traced(tmp_path, f"[{one}, {one.replace('0', '9', 1)}]")
    assert (found.arrivals_s, found.prompts, found.outputs) == ([0, 9], [3, 3], [4, 4])
