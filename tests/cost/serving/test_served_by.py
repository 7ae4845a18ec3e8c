"""Every figure of a server beside the steady state of one of its groups, on a made-up device."""

from __future__ import annotations

from copy import copy
from types import SimpleNamespace

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder, rates
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.catalogue.seen import widened
from thermoflop.cost.inference.room import room_of
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.steady import WAITING, InFlight, alone_s, client_s
from thermoflop.cost.memory import parameters_held
from thermoflop.cost.roofline.bound import sums_of
from thermoflop.cost.serving import drafting
from thermoflop.cost.serving.drafting import drafting_of, held_beside
from thermoflop.cost.serving.lengths import lengths_of
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.replica import Replica, joules_of
from thermoflop.cost.serving.serving import _limit, served_by
from thermoflop.cost.serving.simulation import Arrivals
from thermoflop.cost.serving.steady import capacity
from thermoflop.cost.serving.targets import Targets
from thermoflop.cost.serving.times import StepTimes
from thermoflop.cost.work.mixed import Mixed
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.errors import UsageError
from thermoflop.model.load import load_model

PROMPT, OUTPUT, PREFIX = 600, 51, 0.25
RATES = rates(matmul=0.05, weights=0.05, cache=0.05, activations=0.1, step_s=1e-3, prompt_s=4e-3)


def replica_of(engine="vllm", slots=64, budget=2048, name="mixed", drafted=0, layout=None):
    model = decoder(num_key_value_heads=4)
    profile = replace(find_profile(None), name=engine, fixed=RATES.fixed)
    room = room_of(model, DEVICE, None, None, None, None, None)
    layout = layout or Layout(1, 2, 2)
    setting = Setting(model, DEVICE, layout, room.precision, profile)
    policy = Policy(name, budget, slots, "why")
    return Replica(setting, room, lengths_of(PROMPT, OUTPUT), policy, prefix=PREFIX,
                   drafted=drafted, acceptance=1.0)  # fmt: skip


@pytest.mark.parametrize("drafted", [0, 3])
def test_every_figure_is_that_of_a_group_times_the_groups(drafted):
    """Two replicas of two stages: four groups, which share sixteen users; a token comes 1 + 3 times
    a step where three are drafted and all are right."""
    replica = replica_of(drafted=drafted)
    group, per_step = replica.with_users(16), 1 + drafted
    found = served_by(replica, Arrivals(users=16), Targets(None, 1.0))
    assert (replica.shares, replica.group_slots, replica.checked) == (4, 32, per_step)
    assert replica.lengths.generate == 1 + 50 / per_step
    each = float(group.token_s) / per_step
    token, first = (replica.setting.spread(name) for name in ("token", "prefill"))
    assert (token.low, token.high) != (first.low, first.high)
    of_prompts = float(group.prompt_share)
    assert 0 < of_prompts < 1
    low = token.low ** (1 - of_prompts) * first.low**of_prompts
    high = token.high ** (1 - of_prompts) * first.high**of_prompts
    if drafted:  # which no fitted run does
        low, high = widened(low, high, ("drafts",))
    assert found.token_s == pytest.approx((each * low, each, each * high))
    answered = found.rate * OUTPUT
    assert found.tokens_per_s_interval == pytest.approx((answered / high, answered / low))
    soon = float(group.first_s)
    assert found.first_s == pytest.approx((soon * first.low, soon, soon * first.high))
    assert found.rate == pytest.approx(4 * float(group.requests_s))
    assert found.sequences == pytest.approx(4 * float(group.sequences))
    assert found.largest_batch == 2 * replica.largest_batch
    assert found.most_sequences == 2 * 64
    assert (found.queue_s, found.prompt_share) == (
        pytest.approx(float(group.queue_s)), pytest.approx(float(group.prompt_share)),
    )  # fmt: skip
    most = 4 * float(capacity(replica.mixing(), replica.lengths, 32, replica.policy))
    assert found.most_requests_per_s == pytest.approx(most)
    assert found.load == pytest.approx(found.rate / most)
    assert (found.prompt, found.generate, found.prefix_hit) == (PROMPT, OUTPUT, PREFIX)
    assert (found.users, found.saturated, found.meets, found.limit) == (16, False, True, "users")
    assert found.tokens_per_s == pytest.approx(found.rate * OUTPUT)
    assert found.tokens_per_s_device == pytest.approx(found.rate * OUTPUT / 4)
    # Little: sixteen users are so many answers a second times what each takes
    answer_s = soon + each * (OUTPUT - 1)
    assert found.rate * answer_s == pytest.approx(16, rel=1e-4)


def test_joules_of_a_token_are_what_a_group_computes_and_moves_for_it():
    """450 of 600 tokens are read behind the 150 that are cached; the watts of four devices over
    the tokens of four groups."""
    replica = replica_of()
    group = replica.with_users(16)
    found = served_by(replica, Arrivals(users=16), Targets())
    works = replica.setting.least_works
    step = sums_of(works(decode_step(PROMPT + OUTPUT / 2, float(group.sequences))))
    prompt = sums_of(works(prefill_step(450, 1, 150)))
    rate, every = float(group.requests_s), 1 / float(group.token_s)
    flops = step.flops * every + prompt.flops * rate
    moved = (step.weight_bytes + step.kv_bytes) * every + prompt.kv_bytes * rate
    watts = DEVICE.power_w * (0.516 + 1.514 * flops / 100e12 + 0.272 * moved / 1e12)
    assert 0.518 * DEVICE.power_w < watts < DEVICE.power_w
    assert found.joules_per_token == pytest.approx(watts * 4 / (4 * rate * OUTPUT))
    assert found.meets is None


@pytest.mark.parametrize("engine", ["vllm", "sglang", "gpt-fast"])
def test_a_benchmarks_first_token_is_that_of_requests_in_flight_and_the_wait_for_a_slot(engine):
    """Sixteen users a group of eight slots: eight are in flight, the others wait. 450 of 600 tokens
    are read."""
    replica = replica_of(engine, slots=16)
    group = replica.with_users(64)
    _, among = client_s(replica.setting, InFlight(8, 450, OUTPUT, replica.lengths.context, 150))
    found = served_by(replica, Arrivals(users=64), Targets())
    waits = found.benchmark_first_s - float(among)
    assert waits == pytest.approx(float(group.slot_s))
    assert waits > 0
    assert served_by(replica, Arrivals(0.1), Targets()).benchmark_first_s is None


@pytest.mark.parametrize("weight", [0.0, 10.0])
def test_a_single_user_of_a_group_waits_for_the_way_and_the_prompt_alone(weight):
    """450 of 600 tokens are read; of six users on four groups a half is met by another, who waits
    no less than one who is alone, though steps of others weigh nothing."""
    replica = replica_of()
    way = {**dict.fromkeys(WAITING, weight), "request_s": 0.25, "token_s": 1e-3}
    replica.setting.profile = replace(replica.setting.profile, waiting=way)
    alone = 0.25 + 0.45 + float(alone_s(replica.setting, 450, 150))
    one, half, two = (
        served_by(replica, Arrivals(users=users), Targets()).benchmark_first_s
        for users in (4, 6, 8)
    )
    assert one == pytest.approx(alone)
    assert (one < half < two) if weight else (one == half == two)


def test_a_draft_is_a_small_model_whose_heads_are_split_as_those_of_the_large_one():
    large, small = decoder(num_hidden_layers=8), decoder()
    profile, precision = find_profile(None), replica_of().setting.precision
    known = large, small, 3, DEVICE, precision, profile, Layout(2)
    checks, drafts = drafting_of(*known)
    assert (checks, drafts.model, drafts.plan) == (large, small, Layout(2))
    assert (drafts.device, drafts.precision) == (DEVICE, precision)
    assert drafting_of(large, None, 3, *known[3:]) == (large, None)
    assert drafting_of(large, None, 64, *known[3:]) == (large, None)
    with pytest.raises(UsageError, match="expected at least 1"):
        drafting_of(large, small, 0, *known[3:])


def test_at_a_rate_each_group_has_its_part_and_beyond_the_most_all_slots_are_taken():
    replica = replica_of(slots=16)
    most = served_by(replica, Arrivals(users=1), Targets()).most_requests_per_s
    half = served_by(replica, Arrivals(most / 2), Targets(9.0, 9.0))
    group = replica.at_rate(most / 2)
    assert (half.rate, half.load) == (most / 2, pytest.approx(0.5))
    assert half.sequences == pytest.approx(4 * float(group.sequences))
    assert (half.limit, half.saturated, half.meets) == ("rate", False, True)
    over = served_by(replica, Arrivals(2 * most), Targets(9.0, 9.0))
    full = replica.with_users(4 * 8)
    assert (over.saturated, over.meets) == (True, False)
    assert over.token_s[1] == pytest.approx(float(full.token_s))
    assert over.tokens_per_s == pytest.approx(most * OUTPUT)


@pytest.mark.parametrize(
    ("slots", "budget", "users", "targets", "limit"),
    [
        (8, 2048, 7, Targets(), "users"), (8, 2048, 100, Targets(), "batch"),
        (10**9, 2**20, 10**8, Targets(), "memory"),
        (64, 80, 10_000, Targets(), "prompts"),
        (64, 2048, 1, Targets(None, 0.0001), "target"),
        (64, 2048, 10_000, Targets(None, 0.0001), "target"),
        (64, 2048, 1, Targets(9.0, 9.0), "users"),
    ],
)  # fmt: skip
def test_what_limits_a_server_is_the_first_that_is_hit(slots, budget, users, targets, limit):
    replica = replica_of(slots=slots, budget=budget, layout=Layout())
    assert served_by(replica, Arrivals(users=users), targets).limit == limit


@pytest.mark.parametrize(
    ("steps_s", "limit"),
    [([1.0, 1.1, 1.2, 1.3], "batch"), ([1.0, 1.1, 1.2, 1.7], "prompts"),
     ([1.0, 1.5, 1.9, 4.1], "prompts")],
)  # fmt: skip
def test_prompts_limit_a_server_whose_best_rate_is_of_fewer_sequences(steps_s, limit):
    """One to four sequences of 40 steps bring a fortieth of a prompt each a step."""
    known = np.arange(1.0, 5.0)
    asked = []

    def step_s(prompts):
        asked.append(prompts.tolist())
        return np.array(steps_s)

    replica = SimpleNamespace(
        lengths=lengths_of(100.0, 41.0), slots=4, largest_batch=9, most=4,
        mixing=lambda: SimpleNamespace(sequences=known, step_s=step_s),
        setting=SimpleNamespace(plan=SimpleNamespace(dp=1)),
    )  # fmt: skip
    state = SimpleNamespace(sequences=4.0, token_s=steps_s[-1])
    assert _limit(replica, Targets(), Arrivals(users=9), state, False) == limit
    assert asked == [[0.025, 0.05, 0.075, 0.1]]
    best = float(known[np.argmax(known / steps_s)])
    for sequences, free in ((0.98 * best, True), (0.995 * best, False)):
        made = SimpleNamespace(sequences=sequences, token_s=1.0)
        found = _limit(replica, Targets(), Arrivals(users=3), made, False)
        assert (found == "users") is free
    within = Targets(None, steps_s[-1] * 0.99)
    assert _limit(replica, within, Arrivals(users=9), state, False) == "target"
    assert _limit(replica, within, Arrivals(9.0), state, False) == "target"
    assert _limit(replica, Targets(), Arrivals(9.0), state, False) == "rate"
    assert _limit(replica, Targets(), Arrivals(9.0), state, True) == limit
    for tokens in (1.0, 2.0):  # two tokens of a step come half as far apart
        replica.lengths = replace(replica.lengths, step_tokens=tokens)
        for share, expected in ((0.99, "target"), (1.01, limit)):
            apart = Targets(None, share * steps_s[-1] / tokens)
            assert _limit(replica, apart, Arrivals(users=9), state, False) == expected


def test_a_group_has_a_table_of_at_most_48_numbers_of_sequences():
    known = replica_of(slots=1000, layout=Layout()).mixing().sequences
    assert len(known) <= 48
    assert (known[0], known[-1]) == (1, 1000)
    assert (np.diff(known) >= 1).all()
    few = replica_of(slots=48, layout=Layout()).mixing().sequences
    assert few.tolist() == list(range(1, 49))


def test_a_step_that_checks_drafted_tokens_has_their_drafts_before_it():
    """Three drafts, each a step of the small model, then a step of the large one on four tokens."""
    large, small = replica_of(layout=Layout()).setting, replica_of(layout=Layout()).setting
    times = StepTimes(large, 4, StepTimes(small))
    check = replace(decode_step(500.0, 8.0), new=4)
    drafts = 3 * small.step_s(decode_step(500.0, 8.0))
    assert times.decode_s(8.0, 500.0) == pytest.approx(large.step_s(check) + drafts)
    both = Mixed(check, prefill_step(200.0, 2.0, 50.0))
    found = times.mixed_s(8.0, 500.0, 200.0, 50.0, 2.0)
    assert found == pytest.approx(large.step_s(both) + drafts)
    alone = large.step_s(prefill_step(200.0, 2.0, 50.0))
    assert times.prompts_s(200.0, 50.0, 2.0) == pytest.approx(alone)
    one = large.step_s(prefill_step(200.0, 1.0, 50.0))
    assert StepTimes(large).prompts_s(200.0, 50.0, 1.0) == pytest.approx(one)
    beside = large.step_s(Mixed(decode_step(500.0, 8.0), prefill_step(200.0, 1.0, 50.0)))
    assert StepTimes(large).mixed_s(8.0, 500.0, 200.0, 50.0, 1.0) == pytest.approx(beside)
    assert StepTimes(large).decode_s(8.0, 500.0) == large.step_s(decode_step(500.0, 8.0))
    assert times.prompt_s == 4e-3


def test_a_model_drafts_with_its_layers_that_predict_further_or_not_at_all(monkeypatch):
    """DeepSeek-V3 checks with its 61 layers, and drafts with the one behind them."""
    asked = 1, DEVICE, replica_of().setting.precision, find_profile(None), Layout()
    with monkeypatch.context() as patched:  # a file of weights may name none and hold none
        patched.setattr(drafting, "load_model", lambda _name, mtp: decoder())
        with pytest.raises(UsageError, match="has no layers that predict further"):
            drafting_of(decoder(), "mtp", *asked)
    checks, drafts = drafting_of(load_model("deepseek-v3"), "mtp", *asked)
    found = [sum(run.times for run in made.description.stacks[0].runs)
             for made in (checks, drafts.model)]  # fmt: skip
    assert found == [61, 1]
    assert drafts.model.name.endswith("'s mtp")


@pytest.mark.parametrize("kind", ["HBM3", "GDDR6X"])
def test_a_server_without_requests_waits_and_steps_for_one_sequence_at_least(kind):
    """A fifth of the time decodes one sequence, and a tenth waits for its first token: at work for
    0.3. Of cards with GDDR that is all; the awake 0.516 of others has as much of it."""
    card = replace(DEVICE, memory_kind=kind)
    replica = replica_of()
    replica.setting.device = card
    steady = replace(replica.with_users(16), sequences=0.2, first_s=0.5, requests_s=0.2)
    step = sums_of(replica.setting.plain_works(decode_step(replica.lengths.context, 1.0)))
    prompt = sums_of(replica.setting.plain_works(prefill_step(450, 1, 150)))
    seconds = 0.2 / float(steady.token_s)
    flops = step.flops * seconds + prompt.flops * 0.2
    moved = (step.weight_bytes + step.kv_bytes) * seconds + prompt.kv_bytes * 0.2
    share = 0.18 + 0.336 * 0.3 + 1.514 * flops / 100e12 + 0.272 * moved / 1e12
    share = 0.18 + 0.8 * 0.3 if kind == "GDDR6X" else share
    found = joules_of(replica.setting, replica.lengths, PREFIX, 4, steady)
    assert found == pytest.approx(DEVICE.power_w * share * 4 / (4 * 0.2 * OUTPUT))


def test_the_first_token_of_a_benchmark_has_the_interval_of_what_clients_wait_for() -> None:
    found = tf.serving("llama-3-8b", "h100", users=16, profile="vllm")
    spread = tf.estimate("llama-3-8b", "h100", profile="vllm").setting.spread("client")
    mean = found.benchmark_first_s
    assert found.benchmark_interval_s == pytest.approx((mean * spread.low, mean * spread.high))
    at_rate = tf.serving("llama-3-8b", "h100", rate=1.0, profile="vllm")
    assert at_rate.benchmark_interval_s is None


def test_what_requests_cost_a_server_is_said_where_there_are_many() -> None:
    """GPUStack's runs of 128 + 4 tokens stayed between 30 and 217 requests/s."""
    asked = {"users": 1000, "prompt": 128, "generate": 4, "dtype": "fp8", "profile": "vllm"}
    many = tf.serving("glm-4.5-air", "h100", tp=4, **asked)
    assert many.rate > 50
    assert sum("tokenizing, HTTP" in each for each in many.unknown) == 1
    few = tf.serving("llama-3-8b", "h100", users=4, profile="vllm")
    assert few.rate < 50
    assert "tokenizing" not in str(few)


def test_users_are_no_limit_where_more_of_them_would_only_wait() -> None:
    """A thousand of 1,024 slots come to 99 % of the requests that can be kept up."""
    asked = {"users": 1000, "prompt": 128, "generate": 4, "dtype": "fp8", "profile": "vllm@0.11"}
    found = tf.serving("glm-4.5-air", "h100", tp=4, **asked)
    assert found.load > 0.98
    assert found.users < found.most_sequences
    assert found.limit == "full"
    assert "limit: steps: more users would only make them longer" in str(found)


def test_a_model_that_drafts_itself_holds_its_table_and_head_once():
    """Of DeepSeek-V3's layer that predicts further all but the table and the head come on top."""
    asked = 1, DEVICE, replica_of().setting.precision, find_profile(None), Layout()
    plain, ahead = load_model("deepseek-v3"), load_model("deepseek-v3", mtp=True)
    _, drafts = drafting_of(plain, "mtp", *asked)
    held = parameters_held(held_beside(drafts))
    assert held == ahead.params_by_group["mtp"]


def test_a_draft_beside_cards_that_are_not_alike_is_said_not_to_be_counted():
    setting = copy(replica_of().setting)
    assert drafting.notes_on(decoder(), setting) == ["", ""]
    setting.cards = (DEVICE, DEVICE)
    assert "not counted" in drafting.notes_on(decoder(), setting)[1]


@pytest.mark.parametrize(("users", "prefix"), [(1, 0.0), (1, 0.75), (8, 0.0)])
def test_no_interval_of_a_server_begins_before_the_bound(users, prefix):
    """SGLang 0.4 was fitted on one device: on another its tokens are known to half of what they
    take, and this card's memory is 64 % used."""
    asked = {"profile": "sglang@0.4", "dtype": "fp16", "prompt": 1024}
    served = tf.serving(
        "qwen3-4b-2507", "RTX 5070 Ti", users=users, generate=129, prefix_hit=prefix, **asked
    )
    run = tf.estimate(
        "qwen3-4b-2507",
        "RTX 5070 Ti",
        batch=users,
        generate=129,
        prefix=int(1024 * prefix),
        **asked,
    )
    one = tf.estimate(
        "qwen3-4b-2507", "RTX 5070 Ti", generate=129, prefix=int(1024 * prefix), **asked
    )
    decoding = run if users == 1 else one
    assert served.token_s[0] >= 0.999 * decoding.per_token.bound_s
    assert served.first_s[0] >= one.first_token.bound_s
    assert served.benchmark_interval_s[0] >= one.first_token.bound_s
    if users == 1:
        assert served.token_s[0] == pytest.approx(run.per_token.bound_s, rel=1e-3)
        low, token, _ = served.token_s
        assert served.tokens_per_s_interval[1] == pytest.approx(served.tokens_per_s * token / low)


def test_what_a_full_server_draws_is_of_the_requests_that_it_answers():
    """Prompts that are read in passes of their own, for two tokens each: users who wait for their
    answers ask for fewer than can be answered, whose energy was that of 1.6 cards."""
    card = tf.find_device("gtx 1660")
    asked = {"tp": 4, "dtype": "q6_k", "prompt": 30_000, "generate": 2, "profile": "deepspeed"}
    served = tf.serving("gemma-4-e4b", card, rate=0.1, **asked)
    assert served.saturated
    assert 0.18 * card.power_w < served.joules_per_token * served.tokens_per_s / 4 <= card.power_w


@pytest.mark.parametrize("users", [1, 6])
@pytest.mark.parametrize("profile", ["vllm", "sglang"])
def test_the_first_token_of_a_benchmark_is_that_of_a_client_of_estimate(profile, users):
    """On a card that no row had a prompt alone is known less well than a client's way."""
    asked = {"prompt": 1024, "generate": 128, "profile": profile}
    served = tf.serving("llama-3-8b", "rtx-3090", users=users, **asked)
    client = tf.estimate("llama-3-8b", "rtx-3090", batch=users, **asked).client_first_token
    assert served.benchmark_first_s == pytest.approx(client.expected_s, rel=1e-4)
    assert served.benchmark_interval_s == pytest.approx((client.low_s, client.high_s), rel=1e-4)
    assert served.benchmark_interval_s[0] >= 0.99 * served.first_s[0] or users > 1


def test_fewer_slots_than_stages_leave_stages_idle():
    """Of 4 stages one has work at a time where one sequence runs: as with one user."""
    asked = {"pp": 4, "dp": 2, "prompt": 500, "generate": 100, "profile": "vllm"}
    crowded = tf.serving("llama-3-8b", "h200", users=50, slots=1, **asked)
    assert crowded.sequences <= crowded.most_sequences == 2
    alone = tf.serving("llama-3-8b", "h200", users=2, **asked)
    assert crowded.tokens_per_s == pytest.approx(alone.tokens_per_s, rel=0.02)
    assert crowded.joules_per_token == pytest.approx(alone.joules_per_token, rel=0.02)
