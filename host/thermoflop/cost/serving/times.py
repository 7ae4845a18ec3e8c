"""Seconds of an engine's step: so many sequences decoding, perhaps prompts beside them.

This is all that serving knows of a model and a device; a loop that looks them up a million times
has them as tables. Every argument may be a numpy array; the result is one of the shape that they
broadcast to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thermoflop.base.number import Number
from thermoflop.base.record import record, replace
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.serving.drafting import reads_again
from thermoflop.cost.serving.lengths import Lengths
from thermoflop.cost.serving.policy import Policy
from thermoflop.cost.work.mixed import Mixed
from thermoflop.cost.work.steps import check_step, decode_step, prefill_step
from thermoflop.model.operators.step import Step

COLUMNS = 256  # of a row of chunk times, evenly over the budget
GRID = 14  # numbers of sequences at which chunks are computed; between them times grow evenly
SHORT = (1.0, 8.0, 32.0, 64.0, 96.0, 128.0, 192.0, 256.0, 320.0, 384.0, 512.0, 768.0)


class StepTimes:
    """Seconds of the steps of one replica, as its setting expects them.

    ``checked`` tokens of each sequence run in a decode step: one, or with a draft those drafted and
    one more, which ``drafting`` makes one by one.
    """

    def __init__(
        self, setting: Setting, checked: int = 1, drafting: StepTimes | None = None
    ) -> None:
        self.setting, self.checked, self.drafting = setting, checked, drafting

    @property
    def prompt_s(self) -> float:
        """Seconds that each prompt costs besides its step."""
        return self.setting.rates.efficiency.prompt_s

    def decode_s(self, sequences: Number, context: Number) -> Number:
        """A step that adds a token to each of the sequences, of this mean cached length."""
        step = self.step(sequences, context)
        return self.setting.step_s(step) + self._draft_s(sequences, context)

    def prompts_s(self, tokens: Number, cached: Number, prompts: Number) -> Number:
        """A step that reads ``tokens`` of each of the prompts, after ``cached`` ones, alone."""
        return self.setting.step_s(prefill_step(tokens, prompts, cached))

    def mixed_s(
        self, sequences: Number, context: Number, tokens: Number, cached: Number, prompts: Number
    ) -> Number:
        """A step that does both: decoding sequences, and prompts beside them."""
        chunk = prefill_step(tokens, prompts, cached)
        step = Mixed(self.step(sequences, context), chunk)
        return self.setting.step_s(step) + self._draft_s(sequences, context)

    def step(self, sequences: Number, context: Number) -> Step:
        """The step that adds a token to each, or checks what is drafted for it."""
        if self.checked == 1:
            return decode_step(context, sequences)
        return check_step(self.checked, context, sequences)

    def _draft_s(self, sequences: Number, context: Number) -> Number:
        if self.drafting is None:
            return 0.0
        drafts_s = (self.checked - 1) * self.drafting.decode_s(sequences, context)
        setting = self.drafting.setting
        if not reads_again(setting):
            return drafts_s
        step = replace(self.step(sequences, context), logits="last")
        return drafts_s + setting.step_s(step)


@record
class StepTable:
    """Seconds by the place of a number of decoding sequences; at place 0 there are none.

    ``base`` and ``slope``: a decode step takes base + slope x mean context. ``rows``: what chunks
    of 0, ``spacing``, 2 x ``spacing``, ... tokens add to it; row 0 is a step of prompts alone.
    ``square``: seconds for each pair of tokens that attention joins within a prompt, besides.
    ``prompt_s``: seconds of each prompt.
    """

    base: list[float]
    slope: list[float]
    rows: list[list[float]]
    spacing: float
    square: float
    prompt_s: float


def step_table(steps: StepTimes, lengths: Lengths, policy: Policy, sequences: Any) -> StepTable:
    """The table of a replica for none and each of these numbers of sequences, in rising order; an
    integer stands for 1 to so many."""
    counts = np.arange(1, sequences + 1) if isinstance(sequences, int) else sequences
    counts = np.asarray(counts, float)
    near, far = lengths.prompt, lengths.prompt + lengths.generate_square / lengths.generate
    first, last = steps.decode_s(counts, near), steps.decode_s(counts, far)
    slope = (last - first) / (far - near)
    base = first - slope * near
    square = _square(steps, policy)
    columns = np.linspace(0, policy.budget, COLUMNS + 1)
    rows = _rows(steps, lengths, policy, counts, square, columns)
    return StepTable(
        [0.0, *base.tolist()], [0.0, *slope.tolist()], rows, policy.budget / COLUMNS, square,
        float(steps.prompt_s),
    )  # fmt: skip


def _square(steps: StepTimes, policy: Policy) -> float:
    """Seconds a pair: one prompt of many tokens has twice the pairs of two of half of them."""
    tokens = float(max(2, policy.budget))
    one = float(steps.prompts_s(tokens, 0.0, 1.0))
    two = float(steps.prompts_s(tokens / 2, 0.0, 2.0))
    return max(0.0, one - two) / (tokens**2 / 4)


def _rows(
    steps: StepTimes, lengths: Lengths, policy: Policy, every: Any, square: float, columns: Any
) -> list[list[float]]:
    """Chunk times beside none and each of these numbers of sequences."""
    most = float(policy.budget)
    longer = np.geomspace(SHORT[-1], max(most, SHORT[-1]), 10)
    tokens = np.unique(np.array([*SHORT, *longer, most]))
    tokens = tokens[tokens <= most]
    pairs = square * tokens**2 / 2
    alone = np.interp(columns, tokens, steps.prompts_s(tokens, 0.0, 1.0) - pairs)
    alone[0] = 0.0
    if policy.name == "passes":
        return [alone.tolist()]
    counts = np.unique(np.rint(np.geomspace(1, every[-1], GRID)))
    context = lengths.context
    added = (
        steps.mixed_s(counts[:, None], context, tokens[None, :], 0.0, 1.0)
        - steps.decode_s(counts, context)[:, None]
        - pairs[None, :]
    )
    known = np.array([np.interp(columns, tokens, row) for row in added])
    high = np.searchsorted(counts, every)
    low = np.maximum(high - 1, 0)
    gap = np.maximum(counts[high] - counts[low], 1.0)
    share = ((every - counts[low]) / gap)[:, None]
    rows = known[low] * (1 - share) + known[high] * share
    rows[:, 0] = 0.0
    return [alone.tolist(), *rows.tolist()]
