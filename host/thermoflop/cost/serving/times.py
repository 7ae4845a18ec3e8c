"""Seconds of an engine's step: so many sequences decoding, perhaps prompts beside them.

This is all that serving knows of a model and a device. Every argument may be a numpy array; the
result is one of the shape that they broadcast to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import replace
from thermoflop.cost.work.mixed import Mixed
from thermoflop.cost.work.steps import decode_step, prefill_step

if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.model.operators.step import Step


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
        step = self._decode_step(sequences, context)
        return self.setting.step_s(step) + self._draft_s(sequences, context)

    def prompts_s(self, tokens: Number, cached: Number, prompts: Number) -> Number:
        """A step that reads ``tokens`` of each of the prompts, after ``cached`` ones, alone."""
        return self.setting.step_s(prefill_step(tokens, prompts, cached))

    def mixed_s(
        self, sequences: Number, context: Number, tokens: Number, cached: Number, prompts: Number
    ) -> Number:
        """A step that does both: decoding sequences, and prompts beside them."""
        chunk = prefill_step(tokens, prompts, cached)
        step = Mixed(self._decode_step(sequences, context), chunk)
        return self.setting.step_s(step) + self._draft_s(sequences, context)

    def _decode_step(self, sequences: Number, context: Number) -> Step:
        step = decode_step(context, sequences)
        return step if self.checked == 1 else replace(step, new=self.checked)

    def _draft_s(self, sequences: Number, context: Number) -> Number:
        if self.drafting is None:
            return 0.0
        return (self.checked - 1) * self.drafting.decode_s(sequences, context)
