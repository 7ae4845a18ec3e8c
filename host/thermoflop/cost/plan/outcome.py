"""What is printed of a choice, and the frontier of all configurations."""

from __future__ import annotations

from math import ceil, floor, inf, sqrt
from typing import Any

import numpy as np

from thermoflop.base.record import record, replace
from thermoflop.cost.catalogue.profile import Spread
from thermoflop.cost.hardware.precision import format_name
from thermoflop.cost.inference.room import largest
from thermoflop.cost.plan.choice import Found, Question, at_load
from thermoflop.cost.plan.launch import launch
from thermoflop.cost.plan.prices import Price
from thermoflop.cost.plan.result import Choice, Point
from thermoflop.cost.plan.unit import Unit
from thermoflop.cost.serving.replica import joules_of, spreads_of
from thermoflop.cost.serving.steady import TRUSTED_LOAD, Steady, closed_loop, open_loop
from thermoflop.cost.serving.times import StepTimes
from thermoflop.model.model import Model

MORE = 1.5  # times the replicas of the mean load that are tried for requests at random


@record
class Context:
    """The model, prices, the question, and the question as a sentence; a sentence for each device
    that is left out; options of the engine that its command has too; whether formats were named."""

    model: Model
    prices: dict[str, Price]
    question: Question
    asked: str
    left_out: tuple[str, ...] = ()
    engine_options: dict[str, Any] | None = None
    named: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Where prices are from, and what is left out."""
        dated = [
            f"{name} ${price.dollars:g} an hour"
            + (f" ({', '.join(filter(None, (price.date, price.source)))})" if price.date else "")
            for name, price in self.prices.items()
        ]
        return (f"prices: {'; '.join(dated)}", *self.left_out) if dated else self.left_out


def settled(found: Found, question: Question) -> Found | None:
    """What is shown and ordered: with the replicas that requests at random need, else in the state
    of those users who have a slot; None where the former are more devices than there are."""
    if found.pools is not None:
        return found
    if question.rate is not None:
        return _at_random(found, question)
    return in_flight(found, question, _users(found, question, _slots(found, question)))


def choice_of(found: Found, context: Context) -> Choice:
    """A choice that is settled, with its interval, cost and command."""
    question = context.question
    slots = _slots(found, question)
    unit, setting = found.unit, found.unit.setting
    price = context.prices.get(setting.device.name)
    tokens_per_s = found.rate * unit.lengths.tokens
    dollars = None if price is None else price.dollars * found.devices / 3600 / tokens_per_s * 1e6
    joules = _joules(found)
    stream, first, _ = spreads_of(setting, unit.lengths, unit.prefix, _steady(found))
    return Choice(
        setting.model.name, setting.device.name, format_name(setting.precision), found.devices,
        found.replicas, unit.layout, _pools(found), _users(found, question, slots), found.rate,
        (found.token_s * stream.low, found.token_s, found.token_s * stream.high),
        (found.first_s * first.low, found.first_s, found.first_s * first.high),
        tokens_per_s, _rates(found.per_device, stream), found.limit, dollars,
        None if joules is None else joules * 1e6,
        _launch(found, context, slots),
    )  # fmt: skip


def _rates(rate: float, spread: Spread) -> tuple[float, float, float]:
    """Tokens/s where they come as late and as soon as the interval says, at the same load: a target
    cuts nothing off."""
    return rate / spread.high, rate, rate / spread.low


def _slots(found: Found, question: Question) -> int:
    """Sequences that a copy of attention is started for: of a load that is asked for as many as it
    brings, of requests at random with three deviations of their number (Poisson) and one more; at
    most those that keep the targets, whole ones. A prompt that is read has a slot, too."""
    copies, asked = found.replicas * found.unit.layout.dp, inf
    if found.pools is None and question.users is not None:
        asked = ceil(question.users / copies - 1e-6)
    elif found.pools is None and question.rate is not None:
        mean = found.users / copies
        asked = ceil(mean + 3 * sqrt(mean) + 1 - 1e-6)
    return int(max(1, min(asked, floor(found.allowed * found.unit.layout.pp + 1e-6))))


def _users(found: Found, question: Question, slots: int) -> float:
    """Users at once: where no load is asked for, the whole ones that have a slot."""
    if found.pools is not None or question.users is not None or question.rate is not None:
        return found.users
    return float(found.replicas * found.unit.layout.dp * slots)


def _launch(found: Found, context: Context, slots: int) -> str:
    """The command of a replica; of pools one of each, prefill first, a line each."""
    model, given = context.model, context.engine_options
    decode = launch(found.unit, model, slots, given)
    if found.pools is None:
        return decode
    prefill = launch(found.pools.prefill, model, found.pools.prefill.groups, given)
    return "\n".join(filter(None, (prefill, decode)))


def _pools(found: Found) -> str:
    """Prefill and decode pools as a phrase."""
    pools = found.pools
    if pools is None:
        return ""
    prefill = f"{pools.prefill_replicas} x prefill on {pools.prefill.layout.label}"
    decode = f"{pools.decode_replicas} x decode on {found.unit.layout.label}"
    times = (
        f"a prompt takes {pools.prompt_s * 1e3:.3g} ms, its cache {pools.transfer_s * 1e3:.3g} ms"
    )
    return f"{prefill}, {decode}; {times}"


def _at_random(found: Found, question: Question) -> Found | None:
    """Enough replicas for requests that arrive at random rather than evenly."""
    unit, rate = found.unit, question.rate or 0.0
    times = StepTimes(unit.setting)
    most = max(found.replicas + 1, int(found.replicas * MORE))
    for count in range(found.replicas, most + 1):
        if count * unit.devices > question.most:
            return None
        each = rate / (count * unit.groups)
        state = open_loop(
            unit.mixing, times, unit.lengths, each, unit.slots, unit.policy, unit.prefix
        )
        if state is None or float(state.load) > TRUSTED_LOAD:  # beyond, queues decide
            continue
        if question.targets.met(float(state.first_s), float(state.token_s)) is False:
            continue
        token, first = float(state.token_s), float(state.first_s)
        users = rate * (first + (unit.lengths.generate - 1) * token)  # Little's law
        return replace(
            at_load(found, question, count), sequences=float(state.sequences), token_s=token,
            first_s=first, rate=rate, users=users,
        )  # fmt: skip
    return None


def in_flight(found: Found, question: Question, users: float) -> Found | None:
    """The state of users who were asked for, or of one in each group, as ``serving`` has it where
    that keeps the targets: tables hold no fewer than one that decodes in each group. They know no
    engine that reads a batch as a whole: of that it is the state of as many users as keep them;
    None where not one does."""
    unit, asked = found.unit, question.users or users
    groups, apart = found.replicas * unit.groups, unit.policy.name == "static"
    if question.users is None and asked > groups and not apart:
        return found

    def state(each: float) -> Steady:
        return closed_loop(unit.mixing, unit.lengths, each, unit.slots, unit.policy)

    def keeps(each: float) -> bool:
        seen = state(each)
        return question.targets.met(float(seen.first_s), float(seen.token_s)) is not False

    if apart and question.users is None:
        each = largest(keeps, unit.slots)
        found, asked = replace(found, allowed=float(each)), each * groups
    if not asked or not keeps(asked / groups):
        return None if apart else found
    seen = state(asked / groups)
    return replace(
        found, sequences=float(seen.sequences), token_s=float(seen.token_s),
        first_s=float(seen.first_s), rate=float(seen.requests_s) * groups, users=asked,
        prompt_share=float(seen.prompt_share),
    )  # fmt: skip


def _joules(found: Found) -> float | None:
    """Joules of all devices for a token."""
    unit = found.unit
    if found.pools is not None:
        return None
    steady = _steady(found)
    return joules_of(unit.setting, unit.lengths, unit.prefix, unit.groups, steady)


def _steady(found: Found) -> Steady:
    """The state of a group. How full it is has no say in what is computed and moved."""
    rate = found.rate / (found.replicas * found.unit.groups)
    token_s, first_s, share = found.token_s, found.first_s, found.prompt_share
    return Steady(found.sequences, token_s, first_s, 0.0, rate, share, 0.0)


def frontier_of(units: list[Unit], question: Question) -> tuple[Point, ...]:
    """Loads that no other one beats in both speeds, by device, slow tokens first."""
    points = []
    for name in dict.fromkeys(unit.setting.device.name for unit in units):
        here = [unit for unit in units if unit.setting.device.name == name]
        found = []
        for number, unit in enumerate(here):
            loads = unit.loads()
            within = loads.first_s <= (question.targets.first_s or np.inf)
            per_device = loads.rate * unit.lengths.tokens / unit.devices
            each = (
                1 / loads.token_s,
                per_device,
                loads.users,
                loads.share,
                np.full(len(within), number),
            )
            found.append([values[within] for values in each])
        speed, rate, count, share, owner = map(np.concatenate, zip(*found, strict=True))
        order = np.lexsort((-rate, -speed))
        best = -1.0
        front = []
        for at in order:  # from the fastest tokens on
            if rate[at] > best:
                best = float(rate[at])
                unit = here[int(owner[at])]
                label = f"{format_name(unit.setting.precision)} {unit.layout.label}"
                spread = unit.setting.stream_spread(float(share[at]))
                ends = (1 / spread.high, 1 / spread.low)
                front.append(Point(name, label, float(speed[at]), best, float(count[at]), ends))
        points += front[::-1]
    return tuple(points)
