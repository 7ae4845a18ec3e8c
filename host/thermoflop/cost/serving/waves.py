"""Waves: users who begin all at once and whose outputs are alike end together ever after.

Benchmarks start all their clients at once, and many ask for outputs of one length. An engine that
reads prompts in passes of their own reads those of a whole wave before it decodes ("Run prefill
first if possible", ``get_next_batch_to_run`` of SGLang's srt/managers/scheduler.py), so that all
of it decode in step, end with the same step, and leave their slots to the next wave. A user's
tokens then wait for the prompts behind the own one in its wave, half of the others on the average,
where those of users who are met in the midst of their answers wait for all. As many are answered.
"""

from __future__ import annotations

from typing import Any

from thermoflop.cost.serving.lengths import Lengths
from thermoflop.cost.serving.mixing import Mixing, between
from thermoflop.cost.serving.policy import Policy


def keep_together(lengths: Lengths, policy: Policy) -> bool:
    """Whether users who begin at once end at once: not where lengths or drafts that are accepted
    tell them apart, nor where the first of them decode while prompts of others are read."""
    alike = lengths.shape == "fixed" and lengths.step_tokens == 1
    return policy.name == "passes" and alike and lengths.generate > 1


def wave_token_s(mixing: Mixing, lengths: Lengths, users: Any) -> float:
    """Mean seconds between the tokens of one of so many users whose prompts are read in passes, as
    many in each as fill it, before all decode."""
    at = between(mixing, users)
    (stream,) = at.streams
    each = min(float(users), max(1.0, 1 / float(stream.fill)))  # prompts of a pass
    passes = float(users) / each
    read = passes * float(stream.lone + (each - 1) * stream.more)
    behind = read * (1 - 1 / passes) / 2
    return float(at.decode) + behind / (lengths.generate - 1)
