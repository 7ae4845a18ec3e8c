"""Steady state in closed form.

Closed loop: so many users C, each asking again as soon as it is answered (what benchmarks do). By
Little's law the sequences in a decode step N satisfy N = min(C, slots) G / (R + G), counted in
steps: G of an output, R until its prompt is read. A request meets what C - 1 users leave, and no
prompt of its own while it decodes (Reiser and Lavenberg 1980).

Open loop: requests arrive at random at a rate. The number of decoding sequences is that of a queue
whose every server works at a speed that depends on how many are busy: with tau(n) the mean step at
n sequences, pi(n) = product of rate (G-1) tau(i)/i (the machine-repair form of Kleinrock 1975),
with a geometric tail beyond the slots. What prompts do beside n sequences is the chain of
``backlog``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thermoflop.base.record import record, replace
from thermoflop.cost.serving.backlog import Prompts, waiting
from thermoflop.cost.serving.lengths import Lengths
from thermoflop.cost.serving.mixing import Mixing, between
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.times import StepTimes, step_table

GRID = 9  # numbers of sequences that a chain of prompts is solved for
# Rounds of the closed loop's fixed point; its map contracts, and 40 halve 1 to 1e-12.
ROUNDS = 80
# Beyond these the closed form and the event loop part: tests/cost/serving/campaign_steady.py.
TRUSTED_LOAD, TRUSTED_SHARE, TRUSTED_OUTPUT = 0.9, 0.85, 20
ROUGH_LOAD = 0.75  # beyond, a tenth of its first tokens are off by more than a fifth
# Of an output's time that its own prompt is read for, where requests come at a rate.
TRUSTED_READ = 0.3


@record
class Steady:
    """The steady state of one replica; arrays where there are several.

    ``sequences`` decode at once, ``token_s`` apart come a sequence's tokens, ``first_s`` after a
    request comes its first, ``queue_s`` of that before its prompt is begun, ``requests_s`` are
    answered in a second. ``prompt_share`` of the time goes to prompts; ``load`` is the rate over
    the highest that can be kept up; ``slot_s`` of the queue is for a slot.
    """

    sequences: Any
    token_s: Any
    first_s: Any
    queue_s: Any
    requests_s: Any
    prompt_share: Any
    load: Any
    slot_s: Any = 0.0


def closed_loop(mixing: Mixing, lengths: Lengths, users: Any, slots: Any, policy: Policy) -> Steady:
    """Users in flight: ``mixing`` is tabled by sequences, in rising order, from 1 on."""
    if policy.name == "static":
        return _static(mixing, lengths, users, slots)
    users, beside = np.asarray(users, float), policy.name != "passes"
    most = np.minimum(users, slots)
    sequences = most
    for _ in range(ROUNDS):
        seen = at_sequences(mixing, lengths, sequences, beside)
        wanted = most * sequences / seen.users
        if beside:
            wanted = np.minimum(wanted, read_for(mixing, sequences, seen.steps))
        sequences = 0.5 * (sequences + np.maximum(wanted, np.minimum(users, 1e-3)))
    seen = at_sequences(mixing, lengths, sequences, beside)
    late = users / seen.rate - seen.steps * seen.step_s - seen.first_s
    queue = np.where(late > 1e-6 * seen.first_s, late, 0.0)
    load = np.where(users > slots, 1.0, seen.rate / capacity(mixing, lengths, slots, policy))
    return Steady(
        seen.rate * seen.steps * seen.step_s, seen.step_s, seen.first_s + queue,
        seen.wait_s + queue, seen.rate, seen.share, load, queue,
    )  # fmt: skip


def _static(mixing: Mixing, lengths: Lengths, users: Any, slots: Any) -> Steady:
    """Batches of all users that fit: their prompts are read at once, then all are generated."""
    users, steps = np.asarray(users, float), lengths.generate - 1
    batch = np.minimum(users, slots)
    at = between(mixing, batch)
    read = at.mean(lambda each: each.lone) + (batch - 1) * at.mean(lambda each: each.more)
    cycle = read + steps * at.decode
    rate = batch / cycle
    queue = np.maximum(users / rate - cycle, 0.0)
    most = np.asarray(slots, float)
    full = between(mixing, most)
    longest = full.mean(lambda each: each.lone + (most - 1) * each.more) + steps * full.decode
    decoding = batch * steps * at.decode / cycle
    return Steady(
        decoding, at.decode, read + queue, queue, rate, read / cycle, rate * longest / most, queue
    )


@record
class Seen:
    """What a user sees of a server: mean seconds of a step and to the first token, ``wait_s`` of
    that for others' prompts, ``rate`` of requests, ``share`` of the time that goes to prompts,
    ``users`` in flight; an output has so many ``steps``."""

    steps: float
    step_s: Any
    first_s: Any
    wait_s: Any
    rate: Any
    share: Any
    users: Any


def at_sequences(mixing: Mixing, lengths: Lengths, sequences: Any, beside: bool) -> Seen:
    """What users see where so many sequences are in a decode step on the average.

    A client's request comes as a step ends, and waits for none. What it meets is what a client
    less would leave (Reiser and Lavenberg 1980). Prompts ``beside`` decoding are a queue that is
    served a step's room at a time: counted in steps, whatever those last, its wait is Pollaczek's
    and Khinchine's. Apart from decoding they meet only those that ended with the same step.
    """
    steps, at = lengths.generate - 1, between(mixing, sequences)
    prompts, users = sequences / steps, sequences
    short, _, more = at.short()
    own = at.mean(lambda each: each.lone + (np.ceil(each.fill) if beside else 0.0) * at.decode)
    others = prompts * np.maximum(1 - 1 / users, 0.0)
    if beside:
        chunks = at.mean(lambda each: np.ceil(each.fill))
        for _ in range(3):
            waits, wait_s = _behind(at, lengths, others)
            users = sequences * (1 + (chunks + waits) / steps)
            others = prompts * np.maximum(1 - 1 / users, 0.0)
        wait = others * short * more + wait_s
    else:
        wait = others * _together(at, others)
    step = at.step_s(others)
    rate, share = users / (own + wait + steps * step), 1 - at.decode / at.step_s(prompts)
    return Seen(steps, step, own + wait, wait, rate, share, users)


def _behind(at: Mixing, lengths: Lengths, others: Any) -> tuple[Any, Any]:
    """Steps, and seconds, that a request waits for the prompts before it.

    Those that take less than a step wait only where several fill one. Equal outputs keep their
    distance once they have it: nobody waits for long.
    """
    free = np.maximum(1 - others * at.mean(lambda each: each.fill), 1e-3)
    spread = max(lengths.generate_square - lengths.generate**2, 0.0)

    def weight(each: Any) -> Any:
        spare = np.maximum(1 - each.fill, 0.0) / each.fill
        return each.fill * np.exp(-2 * free * spare)

    chance = others / (2 * free) * spread / (spread + at.mean(lambda each: each.fill) ** 2)
    waits = chance * at.mean(lambda each: weight(each) * each.fill)
    return waits, chance * at.mean(lambda each: weight(each) * (each.lone + each.fill * at.decode))


def _together(at: Mixing, others: Any) -> Any:
    """Seconds that each of the prompts adds which are read together with the own one."""
    passes = np.maximum((1 + others) * at.mean(lambda each: each.fill), 1.0)

    def each_s(each: Any) -> Any:
        part = each.fill
        full = np.where(each.long, each.lone, each.more)
        return (
            full * (1 + np.where(part < 1, (1 - part) / np.maximum(passes - part, 1e-9), 0.0)) / 2
        )

    return at.mean(each_s)


def read_for(mixing: Mixing, sequences: Any, steps: float) -> Any:
    """How many sequences prompts are read for in time, as far as a step's room goes."""

    fill = between(mixing, sequences).mean(lambda each: each.fill)
    return steps / fill


def capacity(mixing: Mixing, lengths: Lengths, slots: Any, policy: Policy) -> Any:
    """The highest rate of requests that can be kept up: all slots in use, prompts at that rate.

    Where prompts crowd decoding out before the slots are full, the best number of sequences.
    """
    beside = policy.name != "passes"
    # fewer than one decode where the only slot is read into for a part of the time
    known = np.array([0.25, 0.5, 0.7, 0.85, *np.asarray(mixing.sequences, float)])
    if beside:
        most = known
        for _ in range(5):  # fewer sequences leave more room
            known = np.minimum(most, read_for(mixing, known, lengths.generate - 1))
    seen = at_sequences(mixing, lengths, known, beside)
    best = np.maximum.accumulate(seen.rate)
    return np.interp(slots, np.maximum.accumulate(seen.users), best)


def open_loop(
    mixing: Mixing, times: StepTimes, lengths: Lengths, rate: float, slots: int, policy: Policy,
    prefix: float = 0.0,
) -> Steady | None:  # fmt: skip
    """Requests that arrive at a rate, of whose prompts a share ``prefix`` is cached; ``mixing`` is
    made of the same ``times``. None where requests pile up."""
    most = float(capacity(mixing, lengths, slots, policy))
    if rate >= most:
        return None
    grid = np.unique([0, *np.rint(np.geomspace(1, slots, GRID)), slots - 1, slots]).astype(int)
    table = step_table(times, lengths, policy, grid[1:])
    steps, prompts = lengths.generate - 1, Prompts(table, lengths, rate, prefix)
    states = [
        waiting(table, place, prompts, policy, int(count), lengths.context)
        for place, count in enumerate(grid[:-1])
    ]
    # while all slots are taken no prompt is read
    decode = float(np.interp(slots, mixing.sequences, mixing.decode))
    states.append(replace(states[-1], token_s=decode, excess_s=0.0, share=0.0))
    n = np.arange(slots + 1)

    def at(values: list[float]) -> Any:
        return np.interp(n, grid, values)

    step = at([decode, *(each.token_s + each.excess_s / steps for each in states[1:])])
    # a slot is taken while its prompt is read, too
    own = at([each.first_s - each.queue_s for each in states])
    taken, _ = _occupied(step[1:] + own[1:] / steps, rate * steps, rate / most)
    caches = table.slope[-1] * lengths.context / decode  # share of a full step
    slot = _slot_wait(taken[-1], rate / most, slots, lengths, caches) / rate
    shares, tail = _occupied(step[1:], rate * steps, rate / most)
    # where requests wait for a slot, a server is as full as that many users keep it
    full = closed_loop(mixing, lengths, slots, slots, policy)
    many, each_s = float(full.sequences), float(full.token_s)
    made = float(shares[1:] @ (n[1:] / step[1:])) + tail * many / each_s
    token = (float(shares @ n) + tail * many) / made
    # and whoever waits is read as soon as another ends: prompts take what they take of that server
    work = float(shares @ at([each.share for each in states])) + tail * float(full.prompt_share)
    shares[-1] += tail
    queue = float(shares @ at([each.queue_s for each in states])) + slot
    first = float(shares @ at([each.first_s for each in states])) + slot
    return Steady(rate * steps * token, token, first, queue, rate, work, rate / most)


def _occupied(step: Any, offered: float, load: float) -> tuple[Any, float]:
    """How often 0, 1, ... sequences decode where ``offered`` is the rate of their steps, and how
    often more would: a geometric tail, since then all go at the highest rate."""
    logs = np.cumsum(np.log(offered * step / np.arange(1, len(step) + 1)))
    weights = np.exp(np.append(0.0, logs) - max(0.0, float(logs.max())))
    beyond = weights[-1] * load / (1 - load)
    total = weights.sum() + beyond
    return weights / total, float(beyond / total)


def _slot_wait(
    at_most: float, load: float, slots: int, lengths: Lengths, caches: float = 0.0
) -> float:
    """How many requests wait for a slot: the mean of the geometric tail for exponential outputs,
    less of it for equal ones (Cosmetatos 1975), in between as in Kimura 1986. ``caches`` is the
    share of a full step that reads them."""
    exponential = at_most * load / (1 - load) ** 2
    crowd = (1 - load) * (slots - 1) * ((4 + 5 * slots) ** 0.5 - 2) / (16 * load * slots)
    equal = exponential / 2 * (1 + crowd)
    spread = _spread(lengths, caches)
    if spread >= 1:
        return float(exponential * (1 + spread) / 2)
    between_ = 2 * spread / max(exponential, 1e-300) + (1 - spread) / max(equal, 1e-300)
    return float((1 + spread) / between_)


def _spread(lengths: Lengths, caches: float) -> float:
    """The squared coefficient of variation of what an output takes of a full server: its steps G,
    and that all others' steps are longer while its context is. With R the sum of its contexts and
    r their mean it is the variance of G / E[G] + caches (R - r G) / (r E[G]): the asymptotic
    variance of renewals and of their rewards (Smith 1955)."""
    mean = lengths.generate
    square = lengths.generate_square / mean**2
    cube, fourth = lengths.higher
    own = caches * lengths.step_tokens * mean / (2 * lengths.context)
    longer = fourth - 2 * square * cube + square**3
    return max(square - 1 + 2 * own * (cube - square**2) + own**2 * longer, 0.0)


def limits_of_trust(
    steady: Steady, lengths: Lengths, *, at_rate: bool = False, simulated: bool = False
) -> list[str]:
    """What the closed form does not know of a state, as sentences; none where it holds. Users who
    wait for their answers wait for slots as Little's law says, those who come ``at_rate`` do not.
    ``simulated``: an event loop says it.
    """
    how = ", as simulated below" if simulated else ": simulate it (--simulate)"
    beyond, load = [], float(steady.load)
    if at_rate and load > ROUGH_LOAD:
        doubt = "decides" if load > TRUSTED_LOAD else "leaves a quarter of doubt on"
        waiting_ = f"at {load:.0%} of the highest rate, waiting for a slot {doubt}"
        beyond.append(f"{waiting_} the time to first token{how}")
    if float(steady.prompt_share) > TRUSTED_SHARE:
        beyond.append(
            f"prompts take more than {TRUSTED_SHARE:.0%} of the time: token times vary more than "
            "stated"
        )
    read = float(steady.first_s - (steady.queue_s if at_rate else steady.slot_s))
    if read > (TRUSTED_READ if at_rate else 1.0) * (lengths.generate - 1) * float(steady.token_s):
        beyond.append(
            "prompts are read for so long beside what outputs take that how they meet decides both "
            f"times{how}"
        )
    if lengths.generate < TRUSTED_OUTPUT:
        beyond.append("outputs are so short that tokens follow their own prompts' burst")
    return beyond
