"""From units to choices: the highest load within the targets, and how many replicas it takes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from thermoflop.base.record import record, replace
from thermoflop.cost.hardware.precision import format_name
from thermoflop.cost.plan.launch import is_own, published_in
from thermoflop.cost.plan.unit import Loads, Unit
from thermoflop.cost.serving.targets import Targets
from thermoflop.model.model import Model

REFINED = 33  # points between two of the grid
# What stages have to be worth before they come before a layout without, which answers sooner and
# whose devices fail one by one: tokens of a model left out are off by 7 to 11 % at the median, by
# engine (``thermoflop validate times``), so that less says nothing.
STAGES_COST = 0.1
LEAST_SAVED, LEAST_SHOWN = 0.0005, 0.005  # less is printed as 0.0 %, and as 0 %


@record
class Question:
    """What is asked: targets, and ``users`` or a ``rate`` in all, or neither; on at most so many
    devices, at dollars an hour by device."""

    targets: Targets
    users: int | None
    rate: float | None
    most: int
    prices: dict[str, float]


@record
class Pools:
    """``prefill_replicas`` of the prefill unit feed ``decode_replicas`` of the decode unit;
    ``prompt_s`` reads a prompt, ``transfer_s`` sends its cache."""

    prefill: Unit
    prefill_replicas: int
    decode_replicas: int
    prompt_s: float
    transfer_s: float
    devices: int


@record
class Found:
    """A unit at a load, ``replicas`` times, of the ``allowed`` users a group that keep the targets;
    of its time ``prompt_share`` goes to prompts."""

    unit: Unit
    replicas: int
    sequences: float
    token_s: float
    first_s: float
    rate: float
    users: float
    prompt_share: float
    limit: str
    allowed: float
    pools: Pools | None = None

    @property
    def devices(self) -> int:
        """Devices of all replicas."""
        return self.replicas * (self.unit.devices if self.pools is None else self.pools.devices)

    @property
    def per_device(self) -> float:
        """Output tokens a second and device."""
        return self.rate * self.unit.lengths.tokens / self.devices


def best_load(unit: Unit, targets: Targets) -> Found | None:
    """The highest load of a unit within the targets; None where one sequence misses them."""
    loads = unit.loads()
    index = _last_within(loads, targets)
    if index is None:
        return None
    fine = _refined(unit, loads, index)
    at = _last_within(fine, targets)
    assert at is not None  # noqa: S101 - the first of them is the point before
    count = float(fine.sequences[at])
    is_full = count >= loads.sequences[-1]
    users = min(float(fine.users[at]), float(unit.slots * unit.groups))
    return Found(
        unit, 1, count, float(fine.token_s[at]), float(fine.first_s[at]), float(fine.rate[at]),
        users, float(fine.share[at]), _limit(unit, targets, fine, at, is_full),
        users / unit.groups,
    )  # fmt: skip


def _last_within(loads: Loads, targets: Targets) -> int | None:
    """The place of the load with the highest rate that keeps both targets."""
    within = loads.token_s <= (targets.token_s or np.inf)
    within &= loads.first_s <= (targets.first_s or np.inf)
    if not within.any():
        return None
    return int(np.argmax(np.where(within, loads.rate, -1.0)))


def _refined(unit: Unit, loads: Loads, index: int) -> Loads:
    """Loads from one of the table to the next."""
    known = loads.sequences
    first, last = known[index], known[min(index + 1, len(known) - 1)]
    points = np.append(np.rint(np.linspace(first, last, REFINED)), last)
    return unit.loads(np.unique(np.clip(points, first, last)))


def _limit(unit: Unit, targets: Targets, loads: Loads, at: int, is_full: bool) -> str:
    """What keeps it from a higher load: see ``serving.result.LIMITS``."""
    if is_full:
        layout = unit.layout
        return "memory" if unit.largest_batch // layout.pp <= unit.slots else "batch"
    after = min(at + 1, len(loads.rate) - 1)
    token, first = loads.token_s[after], loads.first_s[after]
    if targets.token_s is not None and token > targets.token_s:
        return "target"
    if targets.first_s is not None and first > targets.first_s:
        return "first"
    return "prompts"


def replicated(found: Found, question: Question) -> Found | None:
    """As many replicas as the users or the rate need, or as there is room for; None where they are
    too many devices."""
    from math import ceil

    count = question.most // found.devices
    if question.users is not None:
        count = ceil(question.users / found.users)
    elif question.rate is not None:
        count = ceil(question.rate / found.rate)
    if count < 1 or found.devices * count > question.most:
        return None
    if question.users is None and question.rate is None:
        rate, users = found.rate * count, found.users * count
        return replace(found, replicas=count, rate=rate, users=users)
    return at_load(found, question, count)


def at_load(found: Found, question: Question, count: int) -> Found:
    """So many replicas under the load that is asked for, which may be less than they can bear."""
    if found.pools is not None:
        return replace(found, replicas=count, rate=found.rate * count, users=found.users * count)
    loads = found.unit.loads()
    asked = question.users if question.users is not None else question.rate
    axis = loads.users if question.users is not None else loads.rate
    each = (asked or 0.0) / count

    def at(values: Any) -> float:
        return float(np.interp(each, np.maximum.accumulate(axis), values))

    rate = at(loads.rate) * count if question.rate is None else question.rate
    idle = each < 0.99 * (found.users if question.users is not None else found.rate)
    limit = ("users" if question.users is not None else "rate") if idle else found.limit
    return replace(
        found, replicas=count, sequences=at(loads.sequences), token_s=at(loads.token_s),
        first_s=at(loads.first_s), rate=rate, users=at(loads.users) * count,
        prompt_share=at(loads.share), limit=limit,
    )  # fmt: skip


def spent(found: Found, question: Question) -> float:
    """What a choice costs: dollars where prices are known, else devices; for a given load in all,
    else for each token."""
    price = question.prices.get(found.unit.setting.device.name, 1.0)
    if question.users is not None or question.rate is not None:
        return price * found.devices
    return price / found.per_device


def cost(found: Found, question: Question, stages: float = STAGES_COST) -> float:
    """What choices are ordered by, low first: what they cost, and a little more with ``stages``;
    under a given load, of as many devices those with the faster tokens first."""
    more = 1 + stages * (found.unit.layout.pp > 1)
    if question.users is not None or question.rate is not None:
        more *= 1 + 1e-3 * found.token_s
    return more * spent(found, question)


def cheaper_in_stages(found: list[Found], question: Question) -> str:
    """A sentence where a layout with stages costs less than the best, which has none; else ""."""
    if not found:
        return ""
    best = min(found, key=lambda each: cost(each, question))
    least = min(found, key=lambda each: spent(each, question))
    saved = 1 - spent(least, question) / spent(best, question)
    if best.unit.layout.pp > 1 or least.unit.layout.pp == 1 or saved < LEAST_SAVED:
        return ""
    name = f"{least.replicas} x {least.unit.layout.label} of {least.unit.setting.device.name}"
    return (
        f"{name} would cost {saved:.1%} less: stages come first only where they are worth "
        f"{STAGES_COST:.0%}"
    )


def stages_behind(shown: list[Found], question: Question) -> str:
    """A sentence where one of those shown stands behind another for its stages alone; else ""."""
    for before, after in pairwise(shown):
        costs = [[cost(each, question, more) for each in (before, after)]
                 for more in (0.0, STAGES_COST)]  # fmt: skip
        if costs[0][0] > costs[0][1] and costs[1][0] <= costs[1][1]:
            return f"rows with stages (pp) stand as if they cost {STAGES_COST:.0%} more"
    return ""


def own_first(
    found: list[Found], model: Model, question: Question
) -> tuple[list[Found], list[Found]]:
    """Of choices in the order of their costs those in formats that the engine makes of the model's
    own weights, and the others."""
    own, others = list[Found](), list[Found]()
    for each in sorted(found, key=lambda each: cost(each, question)):
        setting = each.unit.setting
        is_made = is_own(model, setting.precision.name, setting.profile.engine.name)
        (own if is_made else others).append(each)
    return own, others


def cheaper_in_others(
    own: list[Found], others: list[Found], question: Question, model: Model
) -> str:
    """A sentence where weights in another format would cost less than the best, or as much with
    faster tokens; else ""."""
    if not own or not others or cost(others[0], question) >= cost(own[0], question):
        return ""
    best, other = own[0], others[0]
    saved = 1 - spent(other, question) / spent(best, question)
    would, less = f"would cost {saved:.0%} less", saved
    if saved < LEAST_SHOWN:
        less = 1 - other.token_s / best.token_s
        would = f"would take {less:.0%} less time a token"
    device, name = other.unit.setting.device.name, format_name(other.unit.setting.precision)
    known = published_in(model, name)
    whose = (
        f"; its weights are published: plan {known}" if known
        else f", with weights that have to be found or made: --dtype {name}"
    )  # fmt: skip
    return f"{name} on {other.devices} x {device} {would}{whose}" if less >= LEAST_SHOWN else ""


def nearest(units: list[Unit], targets: Targets) -> tuple[Unit, Loads] | None:
    """Of units that all miss the targets, the one whose single sequence misses them least."""

    def missed(entry: tuple[Unit, Loads]) -> float:
        _, loads = entry
        pairs = (loads.token_s, targets.token_s), (loads.first_s, targets.first_s)
        return max(1.0, *(float(times[0]) / (most or float("inf")) for times, most in pairs))

    return min(((unit, unit.loads()) for unit in units), key=missed, default=None)
