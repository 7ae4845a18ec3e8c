"""Loads of one replica and pools of several, on a made-up device, each beside its arithmetic."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from kit.made_up import DEVICE, KEY_WIDTH, LAYERS, LINK, decoder, rates
from thermoflop.base.record import replace
from thermoflop.cost.inference.room import room_of
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.plan.choice import (
    Found,
    Pools,
    Question,
    _limit,
    _refined,
    at_load,
    best_load,
    cheaper_in_stages,
    cost,
    nearest,
    replicated,
)
from thermoflop.cost.plan.disaggregated import (
    _busy,
    _decoding,
    _paired,
    _per_device,
    pooled,
    read_s,
    transfer_s,
)
from thermoflop.cost.plan.outcome import (
    Context,
    _at_random,
    _joules,
    _pools,
    _slots,
    choice_of,
    frontier_of,
)
from thermoflop.cost.plan.unit import Loads, Unit, grid, largest_batch, up_to
from thermoflop.cost.roofline.bound import sums_of
from thermoflop.cost.serving.lengths import lengths_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.steady import capacity, open_loop
from thermoflop.cost.serving.targets import Targets
from thermoflop.cost.serving.times import StepTimes
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.steps import decode_step, prefill_step

PROMPT, OUTPUT = 1000, 101
# Steps of 21 kernels of 1 ms each, and a prompt's own 3 ms: nothing else takes time.
STEP_S, PROMPT_S = 21e-3, 3e-3
FREE = {"matmul": 1e12, "attention": 1e12, "weights": 1e12, "cache": 1e12, "activations": 1e12,
        "link": 1e12}  # fmt: skip
SLOW = replace(DEVICE, peaks={"bf16": 1e24}, bandwidth_bytes_s=1e24,
               node_devices=2, network_bytes_s=10e9)  # fmt: skip
ANY = Targets()


def unit_of(tp=1, pp=1, dp=1, slots=16, budget=4000, prefix=0.0, name="mixed", **changes):
    model = decoder(num_key_value_heads=4, **changes)
    profile = rates(**FREE, kernel_gap_s=1e-3, prompt_s=PROMPT_S)
    room = room_of(model, SLOW, None, None, None, None, None)
    setting = Setting(model, SLOW, Layout(tp, pp, dp), room.precision, profile)
    lengths = lengths_of(PROMPT, OUTPUT)
    held = largest_batch(room, setting.share, lengths, grid())
    return Unit(setting, held, lengths, Policy(name, budget, slots, ""), prefix, grid())


@pytest.fixture(scope="module")
def unit():
    return unit_of()


def test_the_numbers_of_sequences_that_are_tried_go_to_4096():
    tried = grid()
    assert (tried[0], tried[-1]) == (1, 4096)
    assert 25 < len(tried) <= 40
    assert (np.diff(tried) > 0).all()


def test_a_unit_has_slots_in_each_of_its_groups(unit):
    assert (unit.devices, unit.groups, unit.slots) == (1, 1, 16)
    two = unit_of(pp=2)
    assert (two.devices, two.groups, two.slots) == (2, 2, 8)
    assert unit_of(dp=2).groups == 2
    loads = unit.loads()
    # a request has a slot while it is read, too: 16 users, of whom 100 of 101 steps decode
    assert loads.users[-1] == 16
    assert loads.sequences[-1] == pytest.approx(16 * 100 / 101, rel=0.02)
    assert loads.users[0] == pytest.approx(1.01, rel=1e-3)
    assert loads.rate[0] == pytest.approx(1.01 / (101 * STEP_S + PROMPT_S), rel=0.02)


def test_loads_end_at_so_many_users():
    known = np.array([1.0, 2.0, 4.0])
    loads = Loads(known, 0.01 * known, 0.1 * known, 10 * known, 2 * known, known / 8)
    cut = up_to(loads, 6.0)
    assert cut.users.tolist() == [2, 4, 6]
    assert cut.sequences.tolist() == [1, 2, 3]
    assert cut.rate.tolist() == [10, 20, 30]
    assert cut.share.tolist() == [1 / 8, 2 / 8, 3 / 8]
    assert cut.token_s.tolist() == pytest.approx([0.01, 0.02, 0.03])
    assert up_to(loads, 8.0) is loads
    assert up_to(loads, 4.0).users.tolist() == [2, 4]


def test_a_replica_reads_a_prompt_in_chunks_of_its_budget(unit):
    """One step of 21 ms and the prompt's own 3; four of a budget of 250."""
    assert read_s(unit) == pytest.approx(STEP_S + PROMPT_S)
    assert read_s(unit_of(budget=250)) == pytest.approx(4 * STEP_S + PROMPT_S)
    # 0.6 of it is cached: 400 tokens are 1.6 chunks of 250
    assert read_s(unit_of(budget=250, prefix=0.6)) == pytest.approx(1.6 * STEP_S + PROMPT_S)


def test_a_cache_travels_over_the_lanes_of_the_smaller_side():
    """4 key heads of 64 in 2 layers, keys and values in 2 bytes; links within a machine of two."""
    size = PROMPT * 2 * 2 * LAYERS * 2 * KEY_WIDTH
    one, two, stages = unit_of(), unit_of(tp=2), unit_of(pp=2)
    assert transfer_s(one, one) == pytest.approx(size / LINK)
    assert transfer_s(two, one) == pytest.approx(size / 10e9)  # three devices: two machines
    assert transfer_s(two, two) == pytest.approx(size / (2 * 10e9))
    assert transfer_s(stages, two) == pytest.approx(size / (2 * 10e9))


@pytest.mark.parametrize("seconds", [0.1, 0.4])
@pytest.mark.parametrize("left", [0.02, 0.1])
def test_a_prefill_replica_is_as_busy_as_its_wait_allows(seconds, left):
    """M/G/1 with equal prompts waits s load / (2 (1 - load)); up to 0.8 of the time."""
    own = 0.2
    load = _busy(seconds, own, own + left)
    assert load == pytest.approx(0.8) or (seconds * load / (2 * (1 - load)) == pytest.approx(left))
    assert load <= 0.8
    assert (_busy(seconds, own, own), _busy(seconds, own, own - 0.01)) == (0, 0)
    assert _busy(seconds, own, None) == 0.8
    assert _busy(0.1, 0.2, 9.0) == 0.8


def test_prefill_units_are_tried_by_what_a_device_reads_in_a_group():
    two = unit_of(dp=2)
    assert _per_device((0.3, two)) == pytest.approx(0.3 * 2 / 2)
    assert _per_device((0.3, unit_of(tp=2))) == pytest.approx(0.3 * 2)


def test_a_decoding_replica_takes_all_its_slots_within_the_target(unit):
    assert _decoding(unit, ANY) == (16.0, pytest.approx(STEP_S))
    assert _decoding(unit, Targets(None, STEP_S * 1.001)) == (16.0, pytest.approx(STEP_S))
    assert _decoding(unit, Targets(None, STEP_S * 0.999)) is None


def test_what_a_reader_reads_after_is_what_is_cached_and_half_of_what_it_read_before():
    """0.6 of 1,000 tokens are cached: chunks of 250 of the other 400 begin behind 600 to 750."""
    profile = rates(**{**FREE, "attention": 1e-12}, prompt_s=PROMPT_S)
    made = unit_of(budget=250, prefix=0.6)
    made.setting = Setting(
        made.setting.model, replace(SLOW, peaks={"bf16": 1e20}), Layout(),
        made.setting.precision, profile,
    )  # fmt: skip
    chunk = StepTimes(made.setting).prompts_s(250.0, 675.0, 1.0)
    assert chunk > 1.01 * StepTimes(made.setting).prompts_s(250.0, 75.0, 1.0)
    assert read_s(made) == pytest.approx(chunk * 1.6 + PROMPT_S)


def test_a_decoding_replica_takes_as_many_sequences_as_answer_most():
    """Beyond four a step grows faster than what it gives: 1, 1.33, 2 and 0.9 tokens a second."""
    made = unit_of(slots=8)
    known = np.array([1.0, 2.0, 4.0, 8.0])
    made.mixing = replace(made.mixing, sequences=known, decode=np.array([1.0, 1.5, 2.0, 9.0]))
    assert _decoding(made, ANY) == (4.0, 2.0)
    assert _decoding(made, Targets(None, 1.6)) == (2.0, 1.5)
    assert _decoding(made, Targets(None, 0.9)) is None


def test_a_choice_has_the_intervals_of_its_phases_and_its_dollars(unit):
    """Tokens 20 ms apart, between which a quarter goes to prompts, and the first after 0.1 s; three
    replicas of one device, of 8 users each, at 2 dollars an hour."""
    found = found_of(unit, replicas=3)
    price = SimpleNamespace(dollars=2.0, date="", source="")
    question = Question(ANY, None, None, 9, {SLOW.name: 2.0})
    made = choice_of(found, Context(unit.setting.model, {SLOW.name: price}, question, "asked"))
    token, first = unit.setting.spread("token"), unit.setting.spread("prefill")
    assert (token.low, token.high) != (first.low, first.high)
    low, high = token.low**0.75 * first.low**0.25, token.high**0.75 * first.high**0.25
    assert made.token_s == pytest.approx((0.02 * low, 0.02, 0.02 * high))
    assert made.first_s == pytest.approx((0.1 * first.low, 0.1, 0.1 * first.high))
    assert (made.devices, made.replicas, made.users, made.requests_per_s) == (3, 3, 3 * 8.0, 2.0)
    assert made.tokens_per_s == 2.0 * OUTPUT
    each = 2.0 * OUTPUT / 3
    assert made.per_device == pytest.approx((each / high, each, each / low))
    assert made.dollars_per_million == pytest.approx(3 * 2.0 / 3600 / (2.0 * OUTPUT) * 1e6)
    free = choice_of(found, Context(unit.setting.model, {}, question, "asked"))
    assert free.dollars_per_million is None


@pytest.mark.parametrize("first_s", [None, 0.05])
def test_the_frontier_is_every_load_that_no_other_beats_in_both_speeds(first_s):
    units = [unit_of(tp=2, slots=6), unit_of(budget=300, slots=24), unit_of(pp=2, slots=10)]
    asked = Question(Targets(first_s, None), None, None, 8, {})
    loads = [
        (1 / token, rate * OUTPUT / unit.devices, users, unit, share)
        for unit in units
        for at in (unit.loads(),)
        for token, first, rate, users, share in zip(
            at.token_s, at.first_s, at.rate, at.users, at.share, strict=True
        )
        if first_s is None or first <= first_s
    ]
    best = [each for each in loads if not any(
        (other[0] >= each[0] and other[1] > each[1]) or (other[0] > each[0] and other[1] >= each[1])
        for other in loads)]  # fmt: skip
    found = frontier_of(units, asked)
    assert [(each.tokens_per_s_user, each.tokens_per_s_device) for each in found] == sorted(
        {(speed, rate) for speed, rate, *_ in best}
    )
    assert len(found) > 3
    for point in found:
        owners = [each for each in best if each[:2] == (
            point.tokens_per_s_user, point.tokens_per_s_device)]  # fmt: skip
        assert point.users in [each[2] for each in owners]
        assert point.label in [f"bf16 {each[3].layout.label}" for each in owners]
        spreads = [each[3].setting.stream_spread(each[4]) for each in owners]
        assert point.interval in [(1 / each.high, 1 / each.low) for each in spreads]
        assert point.device == SLOW.name


def test_pools_are_said_with_what_a_prompt_and_its_cache_take(unit):
    pools = Pools(unit_of(tp=2), 3, 4, 0.1234, 0.0056, 10)
    assert _pools(found_of(unit, pools=pools)) == (
        "3 x prefill on tp=2, 4 x decode on one device; a prompt takes 123 ms, its cache 5.6 ms"
    )
    assert _pools(found_of(unit)) == ""


def test_the_energy_of_a_choice_is_that_of_its_steps_and_prompts():
    """Four sequences a step of 20 ms, two requests a second: their FLOPs and bytes in a second, by
    the formula of the power; two replicas of two devices share the load."""
    unit = unit_of(tp=2)
    found, setting = found_of(unit, replicas=2), unit.setting
    step = sums_of(setting.least_works(decode_step(PROMPT + OUTPUT / 2, 4.0)))
    prompt = sums_of(setting.least_works(prefill_step(PROMPT, 1.0, 0.0)))
    flops = step.flops / 0.02 + prompt.flops
    moved = (step.weight_bytes + step.kv_bytes) / 0.02 + prompt.kv_bytes
    slow = replace(setting.device, power_w=400.0, bandwidth_bytes_s=1e12)
    unit.setting.device = slow
    unit.setting.limits = replace(setting.limits, peak_flops_s=1e13)
    watts = 400 * (0.516 + 1.514 * flops / 1e13 + 0.272 * moved / 1e12)
    assert watts < 400
    joules = _joules(replace(found, unit=unit))
    assert joules == pytest.approx(2 * watts / (1.0 * OUTPUT))
    assert _joules(replace(found, unit=unit, pools=Pools(unit, 1, 1, 0.1, 0.1, 2))) is None


def test_pools_are_the_best_whole_numbers_of_both_kinds(unit):
    """16 sequences of 100 steps answer 7.62 requests a second, a reader at 0.8 reads 33.3: four
    or five decoders for each."""
    question = Question(ANY, None, None, 6, {})
    found = _paired(unit, (16.0, STEP_S), unit, STEP_S + PROMPT_S, question)
    answers, reads = 16 / (100 * STEP_S), 0.8 / (STEP_S + PROMPT_S)
    best = max(
        ((min(d * answers, r * reads) / (d + r), d, r) for d in range(1, 6)
         for r in range(1, 6) if d + r <= 6),
    )  # fmt: skip
    assert (found.pools.decode_replicas, found.pools.prefill_replicas) == best[1:]
    rate = best[0] * sum(best[1:])
    assert found.rate == pytest.approx(rate)
    assert found.devices == sum(best[1:])
    assert found.per_device == pytest.approx(rate * OUTPUT / sum(best[1:]))
    assert found.prompt_share == 0  # what decodes reads none
    read, sent = STEP_S + PROMPT_S, transfer_s(unit, unit)
    load = rate / best[2] * read
    assert found.first_s == pytest.approx(load * read / (2 * (1 - load)) + read + sent + STEP_S / 2)
    assert found.users == pytest.approx(rate * (found.first_s + OUTPUT * STEP_S))
    assert (found.limit, found.token_s) == ("memory", STEP_S)
    assert _paired(unit, (9.0, STEP_S), unit, read, question).limit == "target"
    assert _paired(unit, (16.0, STEP_S), unit, read, replace(question, most=1)) is None
    late = Question(Targets(read, None), None, None, 6, {})
    assert _paired(unit, (16.0, STEP_S), unit, read, late) is None
    # with one that reads in half the time a device, that one is taken
    half = unit_of(budget=500)
    (both,) = pooled([unit], question)
    assert both.pools.prefill is unit
    assert {each.pools.prefill for each in pooled([unit, half], question)} == {unit}
    assert pooled([unit], Question(Targets(read, None), None, None, 6, {})) == []


@pytest.mark.parametrize(("seconds", "most"), [(0.2, 5), (0.2, 7), (0.5, 7), (0.03, 9)])
def test_readers_are_as_many_as_pay_off(unit, seconds, most):
    """16 sequences of 100 steps answer 7.6 requests a second, a reader 0.8 / seconds."""
    question = Question(ANY, None, None, most, {})
    found = _paired(unit, (16.0, STEP_S), unit, seconds, question)
    answers, reads = 16 / (100 * STEP_S), 0.8 / seconds
    best = max(
        min(d * answers, r * reads) / (d + r)
        for d in range(1, most) for r in range(1, most) if d + r <= most
    )  # fmt: skip
    assert found.rate / found.devices == pytest.approx(best)


def test_readers_that_may_not_wait_are_as_busy_as_the_target_allows(unit):
    """M/G/1 at a tenth of the time waits s x 0.1 / 1.8; one reader feeds one decoder."""
    read, sent = STEP_S + PROMPT_S, transfer_s(unit, unit)
    within = read + sent + STEP_S / 2 + read * 0.1 / 1.8
    question = Question(Targets(within, None), None, None, 2, {})
    found = _paired(unit, (16.0, STEP_S), unit, read, question)
    assert found.rate == pytest.approx(0.1 / read)
    assert found.first_s == pytest.approx(within)
    assert (found.pools.prefill_replicas, found.pools.decode_replicas) == (1, 1)


@pytest.mark.parametrize(
    ("share", "start", "most", "replicas"),
    [(0.5, 1, 9, 1), (0.89, 1, 9, 1), (0.95, 1, 9, 2), (1.7, 1, 9, 2), (1.9, 1, 9, None),
     (0.95, 1, 3, None), (2.8, 3, 20, 4), (3.5, 3, 20, 4), (3.7, 3, 20, None), (3.2, 4, 20, 4),
     (5.2, 4, 20, 6), (5.5, 4, 20, None)],
)  # fmt: skip
def test_requests_at_random_have_replicas_that_are_loaded_to_nine_tenths(
    share, start, most, replicas
):
    """In the load that one replica of two devices bears; up to half as many again are tried."""
    two = unit_of(tp=2, slots=4)
    table, times = two.mixing, StepTimes(two.setting)
    bears = float(capacity(table, two.lengths, two.slots, two.policy))
    rate = share * bears
    found = _at_random(found_of(two, replicas=start), Question(ANY, None, rate, most, {}))
    assert (found and found.replicas) == replicas
    if replicas:
        state = open_loop(table, times, two.lengths, rate / replicas, 4, two.policy)
        assert found.token_s == pytest.approx(float(state.token_s))
        assert found.first_s == pytest.approx(float(state.first_s))
        assert found.sequences == pytest.approx(float(state.sequences))
        assert found.rate == rate
        answer_s = found.first_s + (OUTPUT - 1) * found.token_s
        assert found.users == pytest.approx(rate * answer_s)


def test_requests_at_random_keep_each_target_by_its_own_time():
    """Tokens come 21 ms apart, and the first after 30 at least."""
    two = unit_of(tp=2, slots=4)
    found = found_of(two, replicas=1)
    for targets, kept in ((Targets(9.0, 0.025), True), (Targets(0.025, 9.0), False),
                          (Targets(9.0, 0.02), False), (Targets(0.2, 9.0), True)):  # fmt: skip
        made = _at_random(found, Question(targets, None, 0.5, 9, {}))
        assert (made is not None) is kept
        assert made is None or 0.02 < made.token_s < 0.025 < made.first_s < 0.2


def test_the_best_load_is_the_last_within_both_targets(unit):
    found = best_load(unit, ANY)
    assert (found.replicas, found.users, found.allowed) == (1, 16, 16)
    assert found.limit == "batch"
    assert found.rate == pytest.approx(16 / (101 * STEP_S + PROMPT_S), rel=0.04)
    assert found.per_device == pytest.approx(found.rate * OUTPUT)
    loads = unit.loads()
    assert found.prompt_share == pytest.approx(loads.share[-1], rel=1e-3)
    between = float(loads.token_s[2] + loads.token_s[3]) / 2
    slower = best_load(unit, Targets(None, between))
    assert slower.token_s <= between
    assert slower.limit == "target"
    assert loads.sequences[2] <= slower.sequences < loads.sequences[3] + 1
    assert best_load(unit, Targets(None, STEP_S / 2)) is None
    sooner = best_load(unit, Targets(float(loads.first_s[3]), None))
    assert sooner.first_s <= float(loads.first_s[3])
    assert sooner.limit in ("first", "batch")


@pytest.mark.parametrize(
    ("targets", "limit"),
    [(ANY, "prompts"), (Targets(9.0, 0.05), "prompts"), (Targets(0.15, 0.05), "first"),
     (Targets(0.15, 0.015), "target"), (Targets(None, 0.015), "target"),
     (Targets(0.2, 0.02), "prompts")],
)  # fmt: skip
def test_what_limits_a_load_is_what_the_next_one_would_miss(unit, targets, limit):
    two = np.array([1.0, 2.0])
    loads = Loads(two, 0.01 * two, 0.1 * two, two, two, two)
    assert _limit(unit, targets, loads, 0, False) == limit
    assert _limit(unit, targets, loads, 1, False) == limit
    for held, slots, full in ((16, 16, "memory"), (15, 16, "memory"), (40, 16, "batch")):
        made = SimpleNamespace(layout=Layout(1, 2), largest_batch=2 * held, slots=slots)
        assert _limit(made, targets, loads, 1, True) == full


def found_of(unit, **changes):
    plain = Found(unit, 1, 4.0, 0.02, 0.1, 2.0, 8.0, 0.25, "batch", 8.0)
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("users", "rate", "most", "replicas"),
    [(8, None, 9, 1), (9, None, 9, 2), (16, None, 9, 2), (None, 2.0, 9, 1), (None, 2.1, 9, 2),
     (None, None, 9, 9), (80, None, 9, None), (72, None, 9, 9), (None, None, 0, None)],
)  # fmt: skip
def test_replicas_are_as_few_as_bear_the_load(unit, users, rate, most, replicas):
    made = replicated(found_of(unit), Question(ANY, users, rate, most, {}))
    assert (made and made.replicas) == replicas
    if replicas and users is None and rate is None:
        assert (made.rate, made.users) == (18, 72)


def test_under_the_load_that_is_asked_for_a_replica_has_its_part(unit):
    full = best_load(unit, ANY)
    half = at_load(full, Question(ANY, 16, None, 9, {}), 2)  # 8 users each, of 16
    loads = unit.loads()
    assert half.users == pytest.approx(16)
    assert half.rate == pytest.approx(2 * np.interp(8, loads.users, loads.rate), rel=0.02)
    assert half.limit == "users"
    share = np.interp(8, loads.users, loads.share)
    assert half.prompt_share == pytest.approx(share) != full.prompt_share
    whole = at_load(full, Question(ANY, 16, None, 9, {}), 1)
    assert whole.limit == full.limit
    slow = at_load(full, Question(ANY, None, full.rate, 9, {}), 2)
    assert slow.rate == pytest.approx(full.rate)
    assert slow.limit == "rate"
    assert slow.users == pytest.approx(full.users, rel=0.05)


def test_choices_are_ordered_by_dollars_and_devices_for_a_load_else_for_a_token(unit):
    found, name = found_of(unit, replicas=3), SLOW.name
    assert cost(found, Question(ANY, 8, None, 9, {})) == pytest.approx(3 * (1 + 1e-3 * 0.02))
    assert cost(found, Question(ANY, None, 1.0, 9, {name: 2.0})) == pytest.approx(6.00012)
    each = 2.0 * OUTPUT / 3
    assert cost(found, Question(ANY, None, None, 9, {name: 2.0})) == pytest.approx(2 / each)
    staged = replace(found, unit=SimpleNamespace(**{**vars(unit), "layout": Layout(1, 2)}))
    for asked in (Question(ANY, 8, None, 9, {}), Question(ANY, None, None, 9, {})):
        assert cost(staged, asked) == pytest.approx(1.1 * cost(found, asked))
    many = [replace(found, replicas=36), replace(staged, replicas=33)]  # 33 x 1.1 = 36.3
    rate = Question(ANY, None, 1.0, 99, {})
    assert min(many, key=lambda each: cost(each, rate)) is many[0]
    assert cheaper_in_stages(many, rate).startswith(f"33 x pp=2 of {name} would cost 8.3% less: ")
    assert cheaper_in_stages(many[:1], rate) == cheaper_in_stages(many[1:], rate) == ""
    pools = Pools(unit, 1, 2, 0.1, 0.1, 5)
    assert found_of(unit, replicas=2, pools=pools).devices == 10
    assert found.devices == 3


def test_the_nearest_misses_its_targets_least(unit):
    slower = unit_of(num_hidden_layers=4)
    owner, loads = nearest([slower, unit], Targets(None, STEP_S / 2))
    assert owner is unit
    assert loads.token_s[0] == pytest.approx(STEP_S, rel=0.01)
    assert nearest([slower, unit], Targets(1e-3, None))[0] is unit
    assert nearest([], ANY) is None


def test_between_two_loads_thirty_two_parts_are_tried():
    """Of the next number of sequences, too; the last one has none behind it."""
    unit, known = SimpleNamespace(loads=list), SimpleNamespace(sequences=np.array([1.0, 321, 385]))
    assert _refined(unit, known, 0) == list(range(1, 322, 10))
    assert _refined(unit, known, 1) == list(range(321, 386, 2))
    assert _refined(unit, known, 2) == [385]


@pytest.mark.parametrize(("share", "replicas"), [(0.8, 1), (1.7, 2)])
def test_requests_at_random_are_shared_by_the_groups_of_each_replica(share, replicas):
    """Two groups bear twice what one does: each has half of a replica's requests."""
    two = unit_of(dp=2, slots=8)
    bears = float(capacity(two.mixing, two.lengths, two.slots, two.policy))
    rate = share * 2 * bears
    found = _at_random(found_of(two, replicas=1), Question(ANY, None, rate, 9, {}))
    state = open_loop(two.mixing, StepTimes(two.setting), two.lengths, rate / (2 * replicas), 8,
                      two.policy)  # fmt: skip
    assert found.replicas == replicas
    assert found.token_s == pytest.approx(float(state.token_s))
    assert found.first_s == pytest.approx(float(state.first_s))


@pytest.mark.parametrize(("users", "slots"), [(60, 10), (61, 11), (6, 1), (900, 40)])
def test_slots_are_those_of_one_copy_of_attention(users, slots):
    """Three replicas of two copies each share the users; no copy has more than keep the targets."""
    found = found_of(unit_of(dp=2), replicas=3, allowed=40.0)
    assert _slots(found, Question(ANY, users, None, 9, {})) == slots
