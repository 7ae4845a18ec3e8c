"""``tf.serving``: what many users of one server see, in steady state."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from thermoflop.base.record import replace
from thermoflop.base.units import digits
from thermoflop.cost.catalogue.cards import pooled, unlike
from thermoflop.cost.catalogue.profile import Profile, Spread
from thermoflop.cost.engines.at_once import (
    check_on_device,
    lowered,
    tokens_apart,
    tokens_asked,
)
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.inference.arguments import as_model, checked_whole, validate_arguments, written
from thermoflop.cost.inference.held_to import (
    as_run,
    check_cards,
    check_layout,
    meant_format,
    rates_on,
)
from thermoflop.cost.inference.room import Room, room_of
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.started import would_hold
from thermoflop.cost.inference.steady import InFlight, client_s, lone_client_s
from thermoflop.cost.serving.asked import (
    OUTPUT,
    checked_share,
    checked_target,
    count_asked,
    generating,
    load_asked,
)
from thermoflop.cost.serving.bounds import bounds_of, held_to
from thermoflop.cost.serving.drafting import drafted_tokens, drafting_of, held_beside, notes_on
from thermoflop.cost.serving.lengths import lengths_of, lengths_of_trace
from thermoflop.cost.serving.policy import check_rate, policy_of
from thermoflop.cost.serving.replica import Replica, joules_of, load_of, spreads_of
from thermoflop.cost.serving.result import Serving
from thermoflop.cost.serving.simulation import LEAST, MOST, Arrivals
from thermoflop.cost.serving.simulation import simulate as run_simulation
from thermoflop.cost.serving.steady import Steady, capacity, limits_of_trust
from thermoflop.cost.serving.targets import Targets, limit_beyond, most_users, most_within
from thermoflop.cost.serving.waves import keep_together, wave_token_s
from thermoflop.cost.work.share import check_degrees, choose_layout
from thermoflop.errors import InputError, UsageError
from thermoflop.model.model import Model

# Requests a second of one server from which on its processor may be what limits: with prompts of
# 128 tokens and outputs of 4, four H100 answered 54 (vLLM) and 217 (SGLang), H200 161, one H100 30
# (docs.gpustack.ai, performance-lab); no source says what a request costs it.
BUSY_REQUESTS_S = 50.0
FULL_SHARE = 0.98  # of the highest rate: there more users would only wait longer


def serving(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    *,
    users: int | None = None,
    rate: float | None = None,
    prompt: int | str | None = None,
    generate: int | str | None = None,
    lengths: str = "fixed",
    trace: str | None = None,
    prefix_hit: float | None = 0.0,
    devices: int | None = None,
    tp: int | None = None,
    pp: int = 1,
    dp: int = 1,
    ep: int = 1,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    profile: str | Profile | None = None,
    engine_options: dict[str, Any] | None = None,
    budget: int | None = None,
    slots: int | None = None,
    ttft_s: float | None = None,
    tpot_s: float | None = None,
    draft: str | Model | None = None,
    draft_tokens: int | None = None,
    acceptance: float = 0.7,
    simulate: int = 0,
    burstiness: float = 1.0,
    seed: int = 1,
) -> Serving:
    """What users of a server with continuous batching see, in steady state, in closed form.

    With ``users`` each of them asks again as soon as it is answered; with ``rate`` requests arrive
    at random. Where neither is given, as many users as meet the targets, or one. Sources: Agrawal
    et al. 2023 (chunked prefill), Little 1961, Kleinrock 1975 (queues); held against an event loop
    by ``tests/cost/serving/campaign_steady.py``.

    Args:
        model: a ``Model``, or what ``load_model`` takes: a path, a dictionary or a name.
        hardware: a ``Device``, or what ``find_device`` takes: a name such as ``h100``, or the path
            of a TOML file; or several: ``2x4090``, or cards that are not alike,
            ``rtx-3090 + rtx-4090``: as in ``estimate``.
        users: users of all replicas together. None: see above.
        rate: requests a second to all replicas together. None: see above.
        prompt: mean tokens of a prompt; ``32k`` is 32,768. None: 1024, or as many as the model has
            room for.
        generate: mean tokens of an output, of which the prompt gives the first. None: 256.
        lengths: how they spread: ``fixed`` (default), ``uniform`` (0.8 to 1.2 of the mean) or
            ``lognormal`` (as chats do, 0.8 in the logarithm).
        trace: a file of recorded requests that says lengths, arrivals and, unless given, the rate:
            a CSV, JSON lines or a JSON list with the columns of published traces (Azure's,
            Mooncake's, BurstGPT's, Vidur's), or others that say arrival, prompt and output tokens,
            such as ``arrival_s``, ``prompt`` and ``generate``. None: none.
        prefix_hit: share of each prompt that the cache holds already, 0.0 (default) to below
            1.0. None: 0.0, and the bounds allow any.
        devices: how many devices. None: the product of the degrees below.
        tp: tensor-parallel degree, which splits heads and MLPs. None: what ``devices`` leaves over.
        pp: pipeline stages, which split the layers; 1 by default.
        dp: replicas, 1 by default, which share the load; with ``ep`` beyond ``tp`` they share the
            experts too (attention under data parallelism).
        ep: expert-parallel degree, 1 by default.
        dtype: number format of weights and arithmetic, as in ``estimate``. None: bf16, or fp32
            where the device does no other.
        kv_dtype: number format of the cache. None: as published, else as the activations.
        profile: whose efficiency and policy: an engine's name, as in ``estimate``. None: all
            engines pooled, prompts mixed in as vLLM does; ``llama.cpp`` for GGUF formats, on an
            Apple GPU, or where no other server runs (Pascal).
        engine_options: options of that engine which decide on memory and on how much runs at once,
            by its own names, as in ``fit``. None: its defaults.
        budget: tokens that a step runs at most. None: as the engine does.
        slots: sequences that a replica runs at most. None: as the engine does.
        ttft_s: target of the time to first token in seconds. None: any.
        tpot_s: target of the time between tokens in seconds. None: any.
        draft: what drafts tokens: a model that ``load_model`` takes, ``mtp``, or ``ngram`` (a
            lookup in the text before, which costs nothing here). None: as with a lookup.
        draft_tokens: tokens drafted for each step. None: 4 with a draft, else 0.
        acceptance: probability that a drafted token is accepted where those before it are, 0.7 by
            default.
        simulate: requests to run through an event loop besides, 10 to 10,000,000; 0 by default.
        burstiness: shape of the gaps between simulated arrivals: 1.0 (default) is Poisson, below 1
            they come in bursts.
        seed: of simulated arrivals and lengths, 1 by default.

    Returns:
        The server's steady state, with what the closed form does not know of it.

    Raises:
        UsageError: for a value that makes no sense, naming it, or a model of which not one
            sequence fits.
        InputError: for a device that is not known, or a file that is not what it should be.
        UnknownModel: an InputError, for a model that is not known.

    Example:
        >>> import thermoflop as tf
        >>> one, many = (tf.serving("llama-3-8b", "h100", users=n) for n in (1, 64))
        >>> many.tokens_per_s > 10 * one.tokens_per_s, many.token_s > one.token_s
        (True, True)
    """
    load = load_asked(users, rate, burstiness, trace)
    known = generating(as_model(model), written("generate", generate))
    check_degrees(devices=devices, tp=tp, pp=pp, dp=dp, ep=ep)
    cards = unlike(hardware)
    hardware, devices, tp, pp = pooled(
        hardware, devices, tp, pp, profile, dp=dp, dtype=meant_format(known, dtype)
    )
    if getattr(prompt, "ndim", 0):
        checked_whole("prompt", prompt, 1)
    known, device, workload = validate_arguments(
        known, hardware, 1, prompt, generate, output=OUTPUT
    )
    shape = lengths_of(workload.prompt, workload.generate, lengths)
    if load.trace is not None:
        if prompt is not None or generate is not None:
            raise UsageError("a trace says its own lengths: expected no prompt or generate besides")
        shape = lengths_of_trace(load.trace)
        if shape.generate <= 1:
            raise InputError(f"{trace} generates one token a request: expected more")
    prefix = 0.0 if prefix_hit is None else checked_share("prefix_hit", prefix_hit)
    known = as_run(known, device, profile, dtype)
    check_cards(profile, cards)
    drafted = drafted_tokens(draft, draft_tokens)
    room = room_of(known, device, dtype, kv_dtype, None, profile, engine_options).drafting(drafted)
    precision, chosen = room.precision, rates_on(known, device, profile, dtype)
    layout = choose_layout(devices, tp, pp, dp, ep, node_size=device.network.node_size)
    check_layout(profile, layout, device, known, dtype)
    budget, where = count_asked("budget", budget, 16, 2**20), ""
    if budget is None:
        budget, where = tokens_apart(room.engine, tokens_asked(room.engine, engine_options), layout)
    slots = count_asked("slots", slots, 1, 2**20)
    known, drafting = drafting_of(known, draft, drafted, device, precision, chosen, layout)
    setting = Setting(
        known, device, layout, precision, chosen, room.checkpoint, asked=profile, cards=cards,
        share=room.share(layout, known, held_beside(drafting)),
    )  # fmt: skip
    one = load_of(shape)
    check_on_device(room.engine, setting.share)
    if room.engine is not None:
        room.engine.check(one)
    room = room.with_slots(slots, setting.share)
    limit = room.limit(setting.share, one)
    policy = policy_of(chosen.engine, device, budget, slots or limit[0])
    policy = replace(policy, why=policy.why + where)
    replica = Replica(
        setting, room, shape, policy, prefix=prefix, drafted=drafted,
        acceptance=acceptance, drafting=drafting,
    )  # fmt: skip
    if replica.largest_batch < layout.pp:
        raise UsageError(
            f"{known.name} in {precision.name} does not fit {layout.devices} x {device.name} "
            f"({layout.label}) with {f'{drafting.model.name} and ' if drafting else ''}"
            f"one request of {shape.prompt:.0f} + {shape.tokens:.0f} tokens: "
            "`thermoflop fit` says what would"
        )
    targets = Targets(checked_target("ttft_s", ttft_s), checked_target("tpot_s", tpot_s))
    checked_whole("seed", seed, 0, 2**32)
    within = None
    if users is None and load.rate is None and targets.met(0, 0):
        within = most_users(replica, targets)
        load = replace(load, users=int(within) or 1)
    simulation = None
    if simulate:
        both = (targets.first_s, targets.token_s)
        count = checked_whole("simulate", simulate, LEAST, MOST)
        simulation = run_simulation(replica, shape, load, count, seed, both)
    served = served_by(replica, load, targets, simulation)
    served = served if cards else _added_up(served, replica, room)
    if fewer := lowered(room.engine, slots, limit):
        served = replace(served, notes=(*served.notes, fewer))
    served = held_to(served, bounds_of(replica, served.users, prefix_hit))
    served = replace(served, engine_options=engine_options or None)
    if within is None:
        return served
    beyond = limit_beyond(replica, targets, within) or served.limit
    return replace(served, most_within=within, limit=beyond)


def _added_up(served: Serving, replica: Replica, room: Room) -> Serving:
    """A result with a note where no engine is named and those that serve would hold fewer than
    decode or come at once."""
    asked = max(served.sequences, served.users or 0) / served.plan.dp
    one, held = load_of(replica.lengths), replica.largest_batch
    fewer = would_hold(room, replica.setting.share, one, held, asked)
    return replace(served, notes=(*served.notes, fewer)) if fewer else served


def served_by(
    replica: Replica, load: Arrivals, targets: Targets, simulation: Any = None
) -> Serving:
    """The result for a replica under a load."""
    setting, shape, shares = replica.setting, replica.lengths, replica.shares
    most = shares * float(capacity(replica.mixing(), shape, replica.group_slots, replica.policy))
    steady, saturated = _steady(replica, load)
    rate = load.rate if load.users is None and load.rate else shares * float(steady.requests_s)
    token_s, first_s = float(steady.token_s) / shape.step_tokens, float(steady.first_s)
    none = float("inf")  # most of those who come are never answered
    met = targets.met(*((none, none) if saturated else (first_s, token_s)))
    dp = setting.plan.dp
    benchmark_s = _benchmark_s(replica, load, steady)
    stream, prompt, spread = spreads_of(setting, shape, replica.prefix, steady, benchmark_s)
    unknown = busy(min(rate, most) / dp)
    random = load.users is None and not saturated  # a full server's times are those of users
    answering = replace(steady, requests_s=most / shares) if saturated else steady
    return Serving(
        setting.model.name, setting.device, setting.plan, setting.precision, setting.profile.name,
        replica.policy.why, replica.policy.budget, shape.prompt, shape.tokens, replica.prefix,
        load.users, rate, saturated, shares * float(steady.sequences), dp * replica.largest_batch,
        dp * replica.slots, _ends(token_s, stream), _ends(first_s, prompt), float(steady.queue_s),
        benchmark_s, float(steady.prompt_share), most,
        _answered(load, rate * shape.tokens, most * shape.tokens, stream), rate / most,
        _limit(replica, targets, load, steady, saturated, full=rate > FULL_SHARE * most),
        met,
        joules_of(setting, shape, replica.prefix, shares, answering),
        (*limits_of_trust(steady, shape, at_rate=random, simulated=simulation is not None),
         *unknown),
        simulation, None if met is not False else most_within(replica, load, targets),
        setting.profile.provenance(setting.device, setting.precision, setting.model)
        + _drafts(shape.step_tokens),
        tuple(_beyond_engines(replica)),
        None if benchmark_s is None else (benchmark_s * spread.low, benchmark_s * spread.high),
        replica.limited_by, benchmark_token_s=_wave_s(replica, load, stream),
    )  # fmt: skip


def _drafts(tokens: float) -> str:
    """What provenance says besides where a check gives more than one token."""
    said = (
        f"; {digits(tokens)} tokens a check of drafts, and no fitted run drafts: interval widened"
    )
    return said if tokens > 1 else ""


def busy(rate: float) -> list[str]:
    """A sentence where one server answers so many requests a second that they may cost it more
    than their tokens."""
    if rate <= BUSY_REQUESTS_S:
        return []
    often = f"at {digits(rate)} requests/s of one server, tokenizing, HTTP and scheduling"
    return [f"{often} may be what limits: what a request costs the processor is not counted"]


def _beyond_engines(replica: Replica) -> list[str]:
    """A sentence each where a trace holds requests that an engine would refuse, and where what
    drafts has another vocabulary, or memory that is not counted."""
    model, longest = replica.setting.model, replica.lengths.longest
    drafting, said = replica.steps.drafting, []
    if drafting is not None:
        said += notes_on(drafting.setting.model, replica.setting)
    if model.max_positions is not None and longest > model.max_positions:
        most = f"{model.max_positions:,} positions of {model.name}"
        said.append(
            f"requests of up to {longest:,.0f} tokens pass the {most}: an engine refuses those"
        )
    return [each for each in said if each]


def _benchmark_s(replica: Replica, load: Arrivals, steady: Steady) -> float | None:
    """The first token of a benchmark that starts all its users at once and asks ten times each, as
    ``estimate`` has it of requests in flight; waiting for a slot comes on top. None where a rate is
    given."""
    if load.users is None or replica.policy.name == "static":
        return None
    setting, lengths = replica.setting, replica.lengths
    new = lengths.prompt * (1 - replica.prefix)
    cached = lengths.prompt - new
    clients = max(1.0, min(load.users / replica.shares, replica.group_slots))
    alone = float(lone_client_s(setting, new, cached))
    if clients == 1.0:  # whose way is not assumed where none was timed
        return alone + float(steady.slot_s)
    in_flight = InFlight(clients, new, lengths.generate, lengths.context, cached)
    _, among = client_s(setting, in_flight)
    return max(float(among), alone) + float(steady.slot_s)


def _wave_s(replica: Replica, load: Arrivals, spread: Spread) -> tuple[float, float, float] | None:
    """Seconds between a user's tokens in a benchmark whose users begin and end together; None where
    they do not, or one is alone."""
    clients = min((load.users or 0) / replica.shares, replica.group_slots)
    if clients <= 1 or not keep_together(replica.lengths, replica.policy):
        return None
    return _ends(wave_token_s(replica.mixing(), replica.lengths, clients), spread)


def _steady(replica: Replica, load: Arrivals) -> tuple[Steady, bool]:
    """The steady state, and whether requests pile up: then that of as many users as slots."""
    if load.users is not None:
        return replica.with_users(load.users), False
    check_rate(replica.policy)
    steady = replica.at_rate(float(load.rate or 0))
    if steady is not None:
        return steady, False
    return replica.with_users(replica.group_slots * replica.shares), True


def _ends(value: float, spread: Spread) -> tuple[float, float, float]:
    """Low end, expectation and high end."""
    return value * spread.low, value, value * spread.high


def _answered(load: Arrivals, rate: float, most: float, spread: Spread) -> tuple[float, float]:
    """Low and high end of what is answered in a second, of ``most`` at most: users who wait for
    their answers ask as fast as these come, others at their rate as long as the server can."""
    if load.users is not None:
        return rate / spread.high, rate / spread.low
    return min(rate, most / spread.high), min(rate, most / spread.low)


def _limit(
    replica: Replica, targets: Targets, load: Arrivals, steady: Steady, saturated: bool, *,
    full: bool = False,
) -> str:  # fmt: skip
    """What keeps the server from answering more, the first that is hit: see ``LIMITS``."""
    shape, mixing = replica.lengths, replica.mixing()
    known = np.asarray(mixing.sequences, float)
    steps = shape.generate - 1
    step = mixing.step_s(known / steps)
    rates = known / (steps * step)
    slow = step[-1] / shape.step_tokens > (targets.token_s or np.inf)
    if slow and float(steady.token_s) / shape.step_tokens > (targets.token_s or 0.0):
        return "target"
    if load.users is None:
        free = not saturated
    else:  # beyond the best number of sequences prompts crowd decoding out
        free = load.users < replica.slots * replica.setting.plan.dp
        if free and full:
            return "full"
        free = free and float(steady.sequences) < 0.99 * float(known[int(np.argmax(rates))])
    if free:
        return "rate" if load.users is None else "users"
    if slow:
        return "target"
    if float(rates.max()) > 1.001 * float(rates[-1]):
        return "prompts"
    return "memory" if replica.largest_batch <= replica.most else "batch"
