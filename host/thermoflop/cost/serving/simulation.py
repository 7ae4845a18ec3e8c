"""Many requests through the event loop, and what their users see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.cost.serving.lengths import draw_lengths
from thermoflop.cost.serving.loop import Requests, run_loop
from thermoflop.cost.serving.table import step_table
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.serving.lengths import Lengths, Trace
    from thermoflop.cost.serving.loop import Timings
    from thermoflop.cost.serving.replica import Replica

WARM = 0.1  # of the requests, which find the server emptier than later ones do
QUANTILES = (0.5, 0.9, 0.99)
LEAST, MOST = 10, 10_000_000


@record
class Simulation:
    """What an event loop made of so many requests, the first tenth left out; seconds.

    Attributes:
        requests: requests that were served.
        seed: of arrivals and lengths.
        arrivals: ``poisson``, ``bursty``, ``trace`` or ``users``.
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
        if self.trace is not None:
            return "trace"
        return "poisson" if self.burstiness == 1 else "bursty"


def simulate(
    replica: Replica, lengths: Lengths, arrivals: Arrivals, count: int, seed: int,
    targets: tuple[float | None, float | None] = (None, None),
) -> Simulation:  # fmt: skip
    """Serve ``count`` requests by one group of a replica, which has its share of the load."""
    if not LEAST <= count <= MOST:
        raise UsageError(
            f"simulate={count:,} makes no sense: expected {LEAST} to {MOST:,} requests"
        )
    if replica.policy.name == "static":
        raise UsageError(f"{replica.policy.why}: there is no queue to simulate")
    requests = _requests(replica, lengths, arrivals, count, seed)
    slots = replica.group_slots
    table = step_table(replica.steps, replica.lengths, replica.policy, slots)
    timings = run_loop(
        table, requests, slots, replica.policy.budget, passes=replica.policy.name == "passes"
    )
    return _summary(timings, requests, arrivals, seed, targets, replica.shares)


def _requests(
    replica: Replica, lengths: Lengths, arrivals: Arrivals, count: int, seed: int
) -> Requests:
    """Lengths and arrival times, drawn or recorded."""
    import numpy as np

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
    if arrivals.users is not None:
        users = max(1, round(arrivals.users / replica.shares))
        return Requests([0.0] * min(users, count), new, cached, outputs, per_step)
    if trace is not None:
        times = _repeated(trace, count, arrivals.rate, replica.shares)
    else:
        random = np.random.default_rng(seed + 1)
        shape = arrivals.burstiness
        gaps = random.gamma(shape, replica.shares / (shape * float(arrivals.rate or 1)), count)
        times = np.cumsum(gaps).tolist()
    return Requests(times, new, cached, outputs, per_step)


def _repeated(trace: Trace, count: int, rate: float | None, shares: int) -> list[float]:
    """Recorded arrivals, end to end, at the recorded rate or sped up to ``rate``, thinned to the
    share of one group."""
    import numpy as np

    once = np.array(trace.arrivals_s)
    span = float(once[-1]) * (1 + 1 / max(1, len(once) - 1))
    again = -(-count // len(once))
    times = np.concatenate([once + span * number for number in range(again)])[:count]
    recorded = len(once) / span if span > 0 else 1.0
    factor = recorded / rate if rate else 1.0
    thinned: list[float] = (times * factor * shares).tolist()
    return thinned


def _summary(
    timings: Timings, requests: Requests, arrivals: Arrivals, seed: int,
    targets: tuple[float | None, float | None], shares: int,
) -> Simulation:  # fmt: skip
    import numpy as np

    count = len(requests.prompts)
    warm = slice(int(WARM * count), count)
    started, ended = np.array(timings.first_s)[warm], np.array(timings.last_s)[warm]
    first = started - np.array(timings.arrivals_s)[warm]
    tokens = (np.array(requests.outputs)[warm] - 1) * requests.step_tokens
    several = tokens > 0
    token = (ended - started)[several] / tokens[several]
    if not len(token):
        token = np.zeros(1)
    mean = float((ended - started)[several].sum() / max(1.0, tokens.sum()))
    span = float(started[-1] - started[0])
    rate = shares * (len(started) - 1) / span if span > 0 else 0.0
    within = None
    if targets != (None, None):
        each = np.zeros(len(first))
        each[several] = (ended - started)[several] / tokens[several]
        met = (first <= (targets[0] or np.inf)) & (each <= (targets[1] or np.inf))
        within = float(met.mean())
    return Simulation(
        count, seed, arrivals.kind, _quantiles(first), float(first.mean()), _quantiles(token),
        mean, rate, within, None if within is None else within * rate, timings.steps,
    )  # fmt: skip


def _quantiles(values: Any) -> tuple[float, ...]:
    import numpy as np

    return tuple(float(value) for value in np.quantile(values, QUANTILES))
