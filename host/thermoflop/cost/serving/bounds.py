"""What no server beats, however its users come and whatever its cache holds.

Each token comes out of a step that reads the weights once, and a step gives each of the n sequences
that are at work at most one token (with drafts as many as it checks). So, with t(n) the bound of a
step of n sequences and nothing wasted (``roofline.bound``),

* the time between a user's tokens is at least that of a step it has to itself, t(1),
* the first token takes at least the step that reads what is new of its prompt, alone,
* and n users together get at most n tokens in t(n): n / t(n) is concave in n, so no replica does
  better with more than its share of them.

Nothing is assumed of when requests come, how steps mix prompts in, or how many sequences an engine
runs. What a cache may hold is free: without ``prefix`` all of a prompt but its last token, and its
keys are read by nobody, since requests may share them; with it, the rest of each prompt is computed
once, in n / (output tokens) of it a step. Sequences have their own outputs cached, half of them on
the average, and no more of them than half of the smallest window.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.roofline.bound import bound_s, sums_of
from thermoflop.cost.serving.replica import MOST_SEQUENCES, Replica
from thermoflop.cost.serving.result import Bounds, Serving
from thermoflop.cost.work.steps import prefill_step
from thermoflop.cost.work.work import window_ends


def bounds_of(replica: Replica, users: int | None, prefix: float | None) -> Bounds:
    """The bounds of a replica and those beside it under at most so many users at once (None: any
    number), of whose prompts the cache holds the share ``prefix`` (None: any)."""
    setting, dp = replica.setting, replica.setting.plan.dp
    at_most = dp * MOST_SEQUENCES if users is None else users
    new = 1.0 if prefix is None else max(1.0, replica.lengths.prompt * (1 - prefix))
    read = sums_of(setting.least_reading(prefill_step(new, 1.0)))
    # what the chip itself holds is read for fewer sequences the oftener: one may do better than all
    rates = (_tokens_per_s(replica, n, new) for n in (1.0, max(1.0, at_most / dp)))
    return Bounds(
        _step_s(replica, 1.0) / replica.checked,
        float(bound_s(read, setting.limits, 1.0)),
        min(dp, at_most) * max(rates),
    )


def held_to(served: Serving, bounds: Bounds) -> Serving:
    """A server whose figures do not pass its bounds, those included: of one that is all but idle a
    short prompt is expected as if it joined a step of others."""
    return replace(
        served, bounds=bounds,
        first_s=tuple(max(each, bounds.first_s) for each in served.first_s),
        tokens_per_s_interval=tuple(
            min(each, bounds.tokens_per_s) for each in served.tokens_per_s_interval
        ),
    )  # fmt: skip


def _tokens_per_s(replica: Replica, sequences: float, new: float) -> float:
    """What so many sequences get of one replica that computes ``new`` tokens of each prompt, of
    which the last one gives the first token."""
    tokens = replica.checked * sequences
    if new < 2:
        return tokens / _step_s(replica, sequences)
    rest = sums_of(replica.setting.least_reading(prefill_step(new - 1, 1.0, logits="none")))
    prompts = tokens / replica.lengths.tokens
    return tokens / _step_s(replica, sequences, prompts * rest.flops, prompts * rest.wire_bytes)


def _step_s(
    replica: Replica, sequences: float, flops: float = 0.0, wire_bytes: float = 0.0
) -> float:
    """The bound of a step that decodes, and of what it does for prompts besides."""
    setting = replica.setting
    half = min((replica.lengths.tokens, *window_ends(setting.model.description))) / 2
    sums = sums_of(setting.least_works(replica.steps.step(sequences, half)))
    sums = replace(sums, flops=sums.flops + flops, wire_bytes=sums.wire_bytes + wire_bytes)
    return float(bound_s(sums, setting.limits, sequences))
