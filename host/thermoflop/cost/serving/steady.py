"""Steady state in closed form.

Closed loop: so many users, each asking again as soon as it is answered (what benchmarks do). By
Little's law the sequences in flight N and the mean step tau satisfy
N = min(slots, C G tau / (first token + G tau)), tau = step with N/G prompts.

Open loop: requests arrive at random at a rate. The number of decoding sequences is that of a queue
whose every server works at a speed that depends on how many are busy: with tau(n) the mean step at
n sequences, pi(n) = product of rate (G-1) tau(i)/i (the machine-repair form of Kleinrock 1975),
with a geometric tail beyond the slots. What a prompt waits for is the rest of the step in which it
arrives (the inspection paradox), its own step, and those that are read with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.cost.serving.mixing import between

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.serving.lengths import Lengths
    from thermoflop.cost.serving.mixing import Mixing, Stream
    from thermoflop.cost.serving.policy import Policy

# What fits the event loop: see ``short_steps`` and ``slot_wait``.
CLUSTER, SLOT = 1.5, 2.0
# Rounds of the closed loop's fixed point; its map contracts, and 40 halve 1 to 1e-12.
ROUNDS = 80
# Beyond these the closed form and the event loop part: tests/cost/serving/campaign_steady.py.
TRUSTED_LOAD, TRUSTED_SHARE, TRUSTED_OUTPUT = 0.9, 0.6, 20


@record
class Steady:
    """The steady state of one replica; arrays where there are several.

    ``sequences`` decode at once, ``token_s`` apart come a sequence's tokens, ``first_s`` after a
    request comes its first, ``queue_s`` of that before its prompt is begun, ``requests_s`` are
    answered in a second. ``prompt_share`` of the time goes to prompts; ``load`` is the rate over
    the highest that can be kept up.
    """

    sequences: Any
    token_s: Any
    first_s: Any
    queue_s: Any
    requests_s: Any
    prompt_share: Any
    load: Any


def closed_loop(mixing: Mixing, lengths: Lengths, users: Any, slots: Any, policy: Policy) -> Steady:
    """Users in flight: ``mixing`` is tabled by sequences, in rising order, from 1 on."""
    import numpy as np

    if policy.name == "static":
        return _static(mixing, lengths, users, slots)
    users, steps = np.asarray(users, float), max(lengths.generate - 1, 1e-9)
    most, beside = np.minimum(users, slots), policy.name != "passes"
    sequences = most * 1.0
    for _ in range(ROUNDS):
        step, first, decode = at_sequences(mixing, steps, sequences, beside)
        wanted = np.minimum(most, users * steps * step / (first + steps * step))
        sequences = 0.5 * (sequences + np.maximum(wanted, np.minimum(users, 1e-3)))
    rate = sequences / (steps * step)
    waiting = np.maximum(users / rate - steps * step - first, 0.0)
    full = users > slots
    queue = np.where(full, waiting, 0.0)
    return Steady(
        sequences, step, first + queue, queue, rate, 1 - decode / step,
        np.where(full, 1.0, rate / capacity(mixing, lengths, slots)),
    )  # fmt: skip


def _static(mixing: Mixing, lengths: Lengths, users: Any, slots: Any) -> Steady:
    """Batches of all users that fit: their prompts are read at once, then all are generated."""
    import numpy as np

    users, steps = np.asarray(users, float), max(lengths.generate - 1, 1e-9)
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
        decoding, at.decode, read + queue, queue, rate, read / cycle, rate * longest / most
    )


def at_sequences(
    mixing: Mixing, steps: float, sequences: Any, beside: bool
) -> tuple[Any, Any, Any]:
    """Mean step, first token and step without prompts at so many sequences.

    A client's request comes as a step ends, and waits for none: it is read in the next one, beside
    those that ended with it.
    """
    import numpy as np

    at = between(mixing, sequences)
    prompts = np.maximum(sequences, 1e-9) / steps
    step = at.step_s(prompts)
    short, _, more = at.short()
    own = at.mean(lambda each: each.lone + (each.chunks if beside else 0.0) * at.decode)
    # where prompts wait for one another's chunks
    busy = np.minimum(prompts * at.mean(lambda each: each.lone, long=True) / step, 0.98)
    square = at.mean(lambda each: each.lone**2, long=True)
    wait = prompts / step * square / (2 * (1 - busy))
    return step, own + prompts * short * more + wait, at.decode


def capacity(mixing: Mixing, lengths: Lengths, slots: Any) -> Any:
    """The highest rate of requests that can be kept up: all slots decoding, prompts at that rate.

    Where prompts crowd decoding out before the slots are full, the best number of sequences.
    """
    import numpy as np

    steps = max(lengths.generate - 1, 1e-9)
    known = np.asarray(mixing.sequences, float)
    rates = known / (steps * mixing.step_s(known / steps))
    best = np.maximum.accumulate(rates)
    return np.interp(slots, known, best)


def open_loop(
    mixing: Mixing, lengths: Lengths, rate: float, slots: int, policy: Policy
) -> Steady | None:
    """Requests that arrive at a rate; ``mixing`` is tabled for 1 to ``slots`` sequences. None where
    they pile up."""
    import numpy as np

    most = float(capacity(mixing, lengths, slots))
    if rate >= most:
        return None
    steps = max(lengths.generate - 1, 1e-9)
    step = mixing.step_at_rate(rate) + short_steps(mixing, lengths, rate)
    if not np.isfinite(step).all():
        step = np.where(np.isfinite(step), step, step[np.isfinite(step)].max(initial=0.0) * 1e3)
    shares, tail, ratio = _occupied(mixing, rate, steps, step)
    n = np.asarray(mixing.sequences, float)
    sequences = float((shares * n).sum() + tail * n[-1])
    shares = shares.copy()
    shares[-1] += tail
    empty = max(0.0, 1.0 - float(shares.sum()))
    token_s = sequences / (rate * steps)
    waits, owns = _first_token(mixing, rate, step, policy)
    slot = _slot_wait(shares[-1] - tail, ratio, lengths, rate)
    queue = float((shares * waits).sum()) + slot
    own = float((shares * owns).sum()) + empty * mixing.alone
    work = float((shares * (1 - mixing.decode / step)).sum())
    return Steady(sequences, token_s, queue + own, queue, rate, work, rate / most)


def short_steps(mixing: Mixing, lengths: Lengths, rate: float) -> Any:
    """What a short output's steps are longer than the mean: they follow on its prompt's, whose
    steps carry other prompts more often than not.

    Steps with and without prompts alternate as a process of two states; a sequence begins in the
    first of them, and forgets it in 1/x of its steps.
    """
    import numpy as np

    full = mixing.mean(lambda each: each.lone / each.chunks) + mixing.decode
    service = mixing.mean(lambda each: each.lone + each.chunks * mixing.decode)
    busy = np.minimum(rate * service, 0.999)
    leaves = (1 - busy) / service
    weight = leaves * full + rate * mixing.decode
    usual = rate * mixing.decode / weight
    decay = np.maximum(weight * (lengths.generate - 1), 1e-9)
    excess = (busy - usual) * (full - mixing.decode) * (1 - np.exp(-decay)) / decay
    return CLUSTER * np.maximum(excess, 0.0)


def _occupied(mixing: Mixing, rate: float, steps: float, step: Any) -> tuple[Any, float, float]:
    """How often so many sequences decode, how often more would, and the ratio of the tail."""
    import numpy as np

    n = np.asarray(mixing.sequences, float)
    logs = np.cumsum(np.log(rate * steps * step / n))
    high = max(0.0, float(logs.max()))
    weights, none = np.exp(logs - high), np.exp(-high)
    lone = mixing.mean(lambda each: each.lone)
    burst = SLOT * (1.5 * mixing.decode[-1] + lone[-1])
    ratio = min(0.999, rate * (steps * float(step[-1]) + float(burst)) / float(n[-1]))
    beyond = weights[-1] * ratio / (1 - ratio)
    total = none + weights.sum() + beyond
    return weights / total, float(beyond / total), ratio


def _slot_wait(at_most: float, ratio: float, lengths: Lengths, rate: float) -> float:
    """Seconds of waiting for a slot: the tail's mean length over the rate (Little's law)."""
    spread = lengths.generate_square / (2 * lengths.generate**2)
    return at_most * ratio / (1 - ratio) ** 2 * spread / rate


def _first_token(mixing: Mixing, rate: float, step: Any, policy: Policy) -> tuple[Any, Any]:
    """What a prompt waits before it is begun, and how long it then takes."""
    import numpy as np

    short, lone, more = mixing.short()
    if policy.name == "passes":  # M/G/1 with vacations, which are the decode steps
        busy = np.minimum(rate * mixing.mean(_service), 0.99)
        square = mixing.mean(lambda each: _service(each) ** 2)
        wait = mixing.decode / 2 + rate * square / (2 * (1 - busy))
        return wait, mixing.mean(lambda each: each.lone) + rate * short * more * wait

    def full(each: Stream) -> Any:
        return np.ceil(each.chunks) * mixing.decode + each.lone

    # short ones hold up as well: they fill the steps that the long ones are read in
    long = rate * mixing.mean(full, long=True)
    busy = np.minimum(long + np.where(long > 0, rate * short * more, 0.0), 0.99)
    wait = rate * mixing.mean(lambda each: full(each) ** 2, long=True) / (2 * (1 - busy))
    prompts = rate * short * step
    none, crowd = np.exp(-prompts), np.minimum(rate * short * more, 0.99)
    square = mixing.mean(lambda each: each.more**2, long=False)
    variance = rate * step * square + (lone - more) ** 2 * none * (1 - none)
    square = step**2 + variance / (1 - crowd**2)
    rest, met = square / (2 * step), rate * short * more * square / step
    own = mixing.mean(full, long=True) + short * (mixing.decode + lone + met)
    return wait + (1 - busy) * rest, own


def _service(each: Stream) -> Any:
    """What a prompt keeps the others waiting in passes."""
    import numpy as np

    return np.where(each.long, each.lone, each.more)


def is_trusted(steady: Steady, lengths: Lengths) -> bool:
    """Whether the closed form was found to hold there: see ``limits_of_trust``."""
    return not limits_of_trust(steady, lengths)


def limits_of_trust(steady: Steady, lengths: Lengths) -> list[str]:
    """What the closed form does not know of a state, as sentences; none where it holds."""
    beyond = []
    if float(steady.load) > TRUSTED_LOAD:
        beyond.append(
            f"at {float(steady.load):.0%} of the highest rate, waiting for a slot decides the time "
            "to first token: simulate it"
        )
    if float(steady.prompt_share) > TRUSTED_SHARE:
        beyond.append("prompts take more than half of the time: token times vary more than stated")
    if lengths.generate < TRUSTED_OUTPUT:
        beyond.append("outputs are so short that tokens follow their own prompts' burst")
    return beyond
