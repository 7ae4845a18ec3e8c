"""Many requests through the event loop, and what their users see."""

from __future__ import annotations

from typing import Any

import numpy as np

from thermoflop.base.record import record
from thermoflop.cost.serving.lengths import Lengths, draw_lengths
from thermoflop.cost.serving.loop import Requests, Timings, run_loop
from thermoflop.cost.serving.replica import Replica
from thermoflop.cost.serving.times import step_table
from thermoflop.cost.serving.trace import Trace
from thermoflop.errors import UsageError

WARM = 0.1  # of the requests, which find the server emptier than later ones do
QUANTILES = (0.5, 0.9, 0.99)
LEAST, MOST = 10, 10_000_000


@record
class Simulation:
    """What an event loop made of so many requests, the first tenth left out; seconds.

    Attributes:
        requests: requests that were served.
        seed: of arrivals and lengths.
        arrivals: ``poisson``, ``bursty``, ``trace`` or ``users``, who begin in the midst of their
            answers.
        first_s: 50, 90 and 99 % of requests have their first token within.
        first_mean_s: its mean.
        token_s: the same quantiles of a request's mean time between tokens.
        token_mean_s: its mean over all tokens.
        requests_per_s: requests answered in a second, by all replicas.
        within: share of requests that meet the targets; None without any.
        goodput: requests a second that meet them.
        steps: steps that were run.

    Example:
        >>> import thermoflop as tf
        >>> served = tf.serving("llama-3-8b", "h100", rate=5, simulate=2000, seed=7)
        >>> p50, p90, p99 = served.simulation.first_s
        >>> p50 <= p90 <= p99
        True
    """

    requests: int
    seed: int
    arrivals: str
    first_s: tuple[float, ...]
    first_mean_s: float
    token_s: tuple[float, ...]
    token_mean_s: float
    requests_per_s: float
    within: float | None
    goodput: float | None
    steps: int


@record
class Arrivals:
    """How requests come: ``rate`` a second or ``users``; ``burstiness`` is the shape of the gamma
    distribution of the gaps (1: Poisson; below 1 they come in bursts, as in vLLM's benchmark)."""

    rate: float | None = None
    users: int | None = None
    burstiness: float = 1.0
    trace: Trace | None = None

    @property
    def kind(self) -> str:
        """What it is called."""
        if self.users is not None:
            return "users"
        if self.trace is not None and self.trace.arrivals_s:
            return "trace"
        return "poisson" if self.burstiness == 1 else "bursty"


def simulate(
    replica: Replica, lengths: Lengths, arrivals: Arrivals, count: int, seed: int,
    targets: tuple[float | None, float | None] = (None, None),
) -> Simulation:  # fmt: skip
    """Serve ``count`` requests by one group of a replica, which has its share of the load."""
    if replica.policy.name == "static":
        raise UsageError(f"{replica.policy.why}: there is no queue to simulate")
    slots, passes = replica.group_slots, replica.policy.name == "passes"
    table = step_table(replica.steps, replica.lengths, replica.policy, slots)
    parts = []
    for groups, users in _groups(arrivals.users, replica.shares):
        share = 1.0 if not arrivals.users or users is None else groups * users / arrivals.users
        each = max(LEAST, round(count * share))
        requests = _requests(replica, lengths, arrivals, each, seed, users)
        timings = run_loop(table, requests, slots, replica.policy.budget, passes=passes)
        parts.append(_part(timings, requests, groups, users or 0))
    return _summary(parts, count, arrivals, seed, targets)


def _groups(users: int | None, shares: int) -> list[tuple[int, int | None]]:
    """How many groups have how many users each: as even as whole users go, none where there are
    fewer users than groups."""
    if users is None:
        return [(shares, None)]
    each, more = divmod(users, shares)
    return [(n, count) for n, count in ((more, each + 1), (shares - more, each)) if n and count]


def _requests(
    replica: Replica, lengths: Lengths, arrivals: Arrivals, count: int, seed: int,
    users: int | None,
) -> Requests:  # fmt: skip
    """Lengths and arrival times, drawn or recorded."""
    trace, per_step = arrivals.trace, replica.lengths.step_tokens
    if trace is None:
        prompts, outputs = draw_lengths(lengths, count, seed)
    else:  # a longer run repeats the trace
        again = -(-count // len(trace.prompts))
        prompts = (trace.prompts * again)[:count]
        outputs = (trace.outputs * again)[:count]
    cached = [int(prompt * replica.prefix) for prompt in prompts]
    new = [prompt - old for prompt, old in zip(prompts, cached, strict=True)]
    if per_step != 1:
        outputs = [1 + max(0, round((output - 1) / per_step)) for output in outputs]
    if users is not None:
        outputs[:users] = cut_short(outputs[:users], seed)
        return Requests([0.0] * min(users, count), new, cached, outputs, per_step)
    if trace is not None and trace.arrivals_s:
        times = _repeated(trace, count, arrivals.rate, replica.shares)
    else:
        random = np.random.default_rng(seed + 1)
        shape = arrivals.burstiness
        gaps = random.gamma(shape, replica.shares / (shape * float(arrivals.rate or 1)), count)
        times = np.cumsum(gaps).tolist()
    return Requests(times, new, cached, outputs, per_step)


def cut_short(outputs: list[int], seed: int) -> list[int]:
    """The first outputs of users who are met in the midst of them. Users who all begin one at once
    end together for ever after, where outputs are alike; those of a steady state do not."""
    left = np.random.default_rng(seed + 2).uniform(0, 1, len(outputs))
    return [max(1, round(output * share)) for output, share in zip(outputs, left, strict=True)]


def _repeated(trace: Trace, count: int, rate: float | None, shares: int) -> list[float]:
    """Recorded arrivals, end to end, at the recorded rate or sped up to ``rate``, thinned to the
    share of one group."""
    once = np.array(trace.arrivals_s)
    span = float(once[-1]) * len(once) / (len(once) - 1)
    again = -(-count // len(once))
    times = np.concatenate([once + span * number for number in range(again)])[:count]
    if rate and span:
        times = times * len(once) / (span * rate)
    thinned: list[float] = (times * shares).tolist()
    return thinned


@record
class _Part:
    """What requests of alike groups saw, after the first: seconds, and requests a second of all."""

    first_s: Any
    decoding_s: Any
    tokens: Any
    rate: float
    steps: int


def _part(timings: Timings, requests: Requests, groups: int, users: int) -> _Part:
    count = len(requests.prompts)
    warm = slice(min(max(int(WARM * count), users), count // 2), count)
    started, ended = np.array(timings.first_s)[warm], np.array(timings.last_s)[warm]
    first = started - np.array(timings.arrivals_s)[warm]
    tokens = (np.array(requests.outputs)[warm] - 1) * requests.step_tokens
    span = float(started[-1] - started[0])
    rate = groups * (len(started) - 1) / span if span > 0 else 0.0
    return _Part(first, ended - started, tokens, rate, timings.steps)


def _summary(
    parts: list[_Part], count: int, arrivals: Arrivals, seed: int,
    targets: tuple[float | None, float | None],
) -> Simulation:  # fmt: skip
    first, decoding, tokens = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("first_s", "decoding_s", "tokens")
    )
    several = tokens > 0
    each = np.divide(decoding, tokens, out=np.zeros(len(tokens)), where=several)
    token = each[several] if several.any() else np.zeros(1)
    mean = float(decoding.sum() / tokens.sum()) if several.any() else 0.0
    rate, within = sum(part.rate for part in parts), None
    if targets != (None, None):
        met = (first <= (targets[0] or np.inf)) & (each <= (targets[1] or np.inf))
        within = float(met.mean())
    return Simulation(
        count, seed, arrivals.kind, _quantiles(first), float(first.mean()), _quantiles(token),
        mean, rate, within, None if within is None else within * rate,
        sum(part.steps for part in parts),
    )  # fmt: skip


def _quantiles(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, QUANTILES))
