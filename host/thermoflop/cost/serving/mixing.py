"""What a prompt adds to the steps of a full server, on the average.

A lone prompt adds ``lone`` seconds to the step that it is read in: it pays for what it computes
beyond what the decoding sequences leave idle. One more in the same step adds ``more``. With y
prompts a step arriving as they come (Poisson), a step takes

    tD + (1 - e^-y) (lone - more) + y more

A prompt that is longer than the room which the token budget leaves fills steps of its own: then
each adds ``lone``, its share of full steps. Prompts of several lengths are several such streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thermoflop.base.record import record, replace
from thermoflop.cost.serving.lengths import Lengths
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.serving.times import StepTimes


@record
class Stream:
    """Prompts of one length, a ``share`` of all: by the number of decoding sequences, in seconds
    what one adds to a step alone (``lone``) and to a step with another (``more``), and the steps
    whose room it takes (``fill``)."""

    share: float
    lone: Any
    more: Any
    fill: Any

    @property
    def long(self) -> Any:
        """Where a prompt takes more than a step."""
        return self.fill > 1


@record
class Mixing:
    """By the number of decoding ``sequences``: ``decode`` seconds of a step without prompts, and
    what the streams of prompts add to it."""

    sequences: Any
    decode: Any
    streams: tuple[Stream, ...]

    def added(self, prompts: Any) -> Any:
        """What so many prompts a step add to a mean step."""
        short, lone, more = self.short()
        together = (1 - np.exp(-prompts * short)) * (lone - more) + prompts * short * more
        return together + prompts * self.mean(lambda each: each.lone, long=True)

    def short(self) -> tuple[Any, Any, Any]:
        """Of the prompts that fit in a step: their share, and their mean ``lone`` and ``more``."""
        share = self.mean(lambda _: 1.0, long=False)
        each = np.maximum(share, 1e-12)
        lone = self.mean(lambda stream: stream.lone, long=False) / each
        return share, lone, self.mean(lambda stream: stream.more, long=False) / each

    def mean(self, of: Callable[[Stream], Any], *, long: bool | None = None) -> Any:
        """A mean over all prompts, of the long or the short ones alone where ``long`` says so."""
        total: Any = 0.0
        for stream in self.streams:
            value = stream.share * of(stream)
            total = total + (value if long is None else np.where(stream.long == long, value, 0.0))
        return total

    def step_s(self, prompts: Any) -> Any:
        """A mean step that so many prompts are read in."""
        return self.decode + self.added(prompts)


def mixing_of(
    steps: StepTimes, lengths: Lengths, policy: Policy, sequences: Any, prefix: float = 0.0,
    growth: float = 1.0,
) -> Mixing:  # fmt: skip
    """What prompts add beside each number of ``sequences``; a share ``prefix`` of them is cached.

    ``growth`` tokens of each sequence are in a decode step and taken from the budget.
    """
    decode = steps.decode_s(sequences, lengths.context)
    apart = policy.name != "mixed"
    if apart:
        room = np.full(np.shape(sequences), float(policy.budget))
    else:
        room = np.maximum(policy.budget - growth * sequences, 1.0)
    streams = []
    for share, prompt in lengths.prompts:
        new = max(1.0, prompt * (1 - prefix))
        chunk, chunks = np.minimum(new, room), np.maximum(new / room, 1.0)
        cached = prompt - new + np.maximum(new - chunk, 0.0) / 2
        if apart:
            first = steps.prompts_s(chunk, cached, 1.0)
            second = steps.prompts_s(chunk, cached, 2.0) - first
        else:
            beside = steps.mixed_s(sequences, lengths.context, chunk, cached, 1.0)
            first = beside - decode
            second = steps.mixed_s(sequences, lengths.context, chunk, cached, 2.0) - beside
        lone = chunks * first + steps.prompt_s
        more = chunks * np.maximum(second, 0.0) + steps.prompt_s
        streams.append(Stream(share, lone, more, new / room))
    return Mixing(sequences, decode, tuple(streams))


def between(mixing: Mixing, sequences: Any) -> Mixing:
    """The same at other numbers of sequences, between which times grow evenly."""
    known = mixing.sequences

    def at(values: Any) -> Any:
        return np.interp(sequences, known, np.broadcast_to(values, known.shape))

    streams = tuple(
        replace(each, lone=at(each.lone), more=at(each.more), fill=at(each.fill))
        for each in mixing.streams
    )
    return replace(mixing, sequences=sequences, decode=at(mixing.decode), streams=streams)
