"""Prompts that arrive at random, step by step: a Markov chain of what is waiting to be read.

Beside n decoding sequences a step reads what waits, as far as its room goes, and lasts as long as
that takes; what arrives meanwhile waits for the next one. So the tokens that wait at the starts of
steps are a chain of the M/G/1 type (Neuts 1989), whose stationary state is solved for on a grid of
units of tokens. The number of sequences changes slowly beside it (Courtois 1977), so that each has
a chain of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thermoflop.base.record import record
from thermoflop.cost.serving.lengths import Lengths
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.times import StepTable

STATES = 160  # of a chain: units that may wait; more where prompts fill many steps
MOST_STATES = 640
DEEP = 8  # mean prompts, as they are met in a queue (by their squares), that may wait at least
UNITS = 4  # of a mean prompt at least, and half as many of a step's room but where it fills DEEP


@record
class Waiting:
    """Beside one number of sequences, in seconds: ``token_s`` from one of their steps to the next,
    ``excess_s`` that all steps of an output take longer since they follow on its own prompt,
    ``first_s`` from a request to its first token, ``queue_s`` of that while others' prompts and
    steps are in the way; ``share`` of the time that goes to prompts."""

    token_s: float
    excess_s: float
    first_s: float
    queue_s: float
    share: float


class Prompts:
    """Prompts that arrive at a rate: how many new tokens they have, and what those cost besides the
    step's own time."""

    def __init__(self, table: StepTable, lengths: Lengths, rate: float, prefix: float) -> None:
        shares, prompts = np.array(lengths.prompts).T
        self.shares, self.new = shares, np.maximum(1.0, prompts * (1 - prefix))
        self.rate, self.mean = rate, float((self.shares * self.new).sum())
        each = table.prompt_s + table.square * self.new * (prompts - self.new / 2)
        self.token_s = float((shares * each).sum()) / self.mean
        # attention makes the tokens of long prompts cost more: they count as so many more
        slope = (table.rows[0][-1] - table.rows[0][len(table.rows[0]) // 2]) * 2
        slope /= table.spacing * (len(table.rows[0]) - 1)
        self.work = self.new * (slope + each / self.new) / (slope + self.token_s)

    def sizes(self, unit: float) -> Any:
        """How often a prompt has so many units of tokens, of as many as may wait; between two, it
        is either."""
        met = float((self.shares * self.work**2).sum() / (self.shares * self.work).sum())
        states = int(min(max(STATES, DEEP * met / unit), MOST_STATES))
        at = np.clip(self.work / unit, 1.0, states - 2.0)
        low = at.astype(int)
        chances = np.zeros(states)
        np.add.at(chances, low, self.shares * (1 - (at - low)))
        np.add.at(chances, low + 1, self.shares * (at - low))
        return chances


def waiting(
    table: StepTable, place: int, prompts: Prompts, policy: Policy, sequences: int, context: float
) -> Waiting:
    """The stationary state beside so many sequences of a mean context, which have this place in the
    table; beside none, that of a server without them."""
    apart = policy.name == "passes"
    room = float(policy.budget if apart else max(1, policy.budget - sequences))
    most = max(1 if prompts.mean > DEEP * room else 2, int(np.ceil(UNITS * room / prompts.mean)))
    unit = room / most
    sizes = prompts.sizes(unit)
    row = table.rows[0 if apart else place]
    tokens = unit * np.arange(min(most, len(sizes) - 1) + 1)
    steps = np.interp(tokens, table.spacing * np.arange(len(row)), row) + prompts.token_s * tokens
    decode = table.base[place] + table.slope[place] * context
    steps = steps + (0.0 if apart else decode)
    steps[0] = decode if sequences else 1 / prompts.rate
    return _solved(_Chain(steps, sizes, prompts.rate, not sequences, apart))


class _Chain:
    """``steps``: seconds of a step that reads 0, 1, ... units; ``sizes`` of prompts in units."""

    def __init__(self, steps: Any, sizes: Any, rate: float, idle: bool, apart: bool) -> None:
        self.steps, self.sizes, self.rate, self.idle, self.apart = steps, sizes, rate, idle, apart
        self.most, self.count = len(steps) - 1, len(sizes)
        states = np.arange(self.count)
        self.read = np.minimum(states, self.most)
        self.seconds = steps[self.read]
        self.units = rate * float(sizes @ states)  # that come in a second
        spectrum = np.fft.rfft(sizes, 2 * self.count)
        counts = np.exp(rate * steps[:, None] * (spectrum - 1))
        came = np.maximum(np.fft.irfft(counts, 2 * self.count)[:, : self.count], 0.0)
        if idle:
            came[0] = sizes
        self.left = states - self.read
        arrived = states[None, :] - self.left[:, None]
        moves = np.where(arrived >= 0, came[self.read[:, None], np.maximum(arrived, 0)], 0.0)
        moves[:, -1] += np.maximum(1 - moves.sum(axis=1), 0.0)
        self.moves = moves / moves.sum(axis=1, keepdims=True)
        self.decodes = (states == 0) if apart else np.ones(self.count, bool)


def _solved(chain: _Chain) -> Waiting:
    """The figures of a chain."""
    inverse = np.linalg.inv(np.eye(chain.count) - chain.moves + 1.0 / chain.count)
    often = np.maximum(inverse.sum(axis=0) / chain.count, 0.0)
    often /= often.sum()
    time, decodes = often * chain.seconds, often * chain.decodes
    token = float(time.sum() / decodes.sum())
    # what a step from a state on takes longer in the end: Poisson's equation of the chain
    after = chain.moves @ (inverse @ (chain.seconds - token * chain.decodes))
    time /= time.sum()
    read_s, decoded = _read_times(chain, time)
    excess = decoded @ after - float((decodes @ after) / decodes.sum())
    idle = float(time[0]) if chain.idle else 0.0
    first = float((time * chain.seconds).sum() - idle * chain.steps[0]) / 2 + read_s
    alone, _ = _until_read(chain, np.arange(chain.count), 0.0, 0.0)
    queue = max(0.0, first - float(chain.sizes @ alone))
    without = idle if chain.idle else float(chain.steps[0]) / token
    return Waiting(token, float(excess), first, queue, 1 - without)


def _read_times(chain: _Chain, time: Any) -> tuple[float, Any]:
    """Mean seconds from the end of the step in which a request came to its first token, and how
    often so many units wait before the step that brings it, after which it decodes: from the shares
    of ``time`` that the chain is in each state, which are what a request meets.

    Others who came in the same step are ahead of it or behind it, half and half. Those behind it
    are read with it as far as there is room.
    """
    states, seen = np.arange(chain.count), chain.moves.copy()
    came = chain.units * chain.seconds
    if chain.idle:  # who wakes the server finds nobody
        came[0], seen[0] = 0.0, states == 0
    total = np.convolve(time @ seen, chain.sizes)[: chain.count]
    late, final = _until_read(chain, states, 0.0, chain.units)
    after = np.zeros(chain.count)
    np.add.at(after, np.clip(np.rint(final), 0, chain.count - 1).astype(int), total)
    # at once in the next step, whoever else is in it; else as far as is known on the average
    short = np.where(states <= chain.most, chain.sizes, 0.0)
    at_once = np.convolve((time * (chain.left == 0)) @ seen, short)[: chain.count]
    soon = float(at_once @ chain.seconds)
    ahead, behind = (_ahead(chain, weights, short) for weights in (time, time * came))
    more = behind / np.maximum(ahead, 1e-300)
    soon += float(ahead @ _until_read(chain, states, more, chain.units)[0])
    weight = float(total.sum())
    soon /= float(at_once.sum() + ahead.sum())
    return (float(total @ late) / weight + soon) / 2, after / weight


def _ahead(chain: _Chain, weights: Any, short: Any) -> Any:
    """How often so many units are ahead of a request and its own, but where all fit in a step."""
    left = np.bincount(chain.left, weights, chain.count)
    every = np.convolve(left, chain.sizes)[: chain.count]
    fit = float(weights[chain.left == 0].sum())
    return np.maximum(every - fit * short, 0.0)


def _until_read(chain: _Chain, ahead: Any, more: Any, units: Any) -> tuple[Any, Any]:
    """Seconds until what is ahead, the own prompt included, is read, and what then waits or is in
    the last step; full steps first, while ``units`` a second come besides those ``more``."""
    most, full_s = chain.most, float(chain.steps[-1])
    full = np.maximum((ahead - 1) // most, 0)
    final = ahead + more - full * most + units * full_s * full
    last = np.interp(np.minimum(final, most), np.arange(most + 1), chain.steps)
    return full * full_s + last, final
