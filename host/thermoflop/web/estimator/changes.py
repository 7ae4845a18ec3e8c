"""What a change of one input of the estimator page does to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.cards import alike, splits_layers
from thermoflop.web.estimator.computed import positions_of
from thermoflop.web.estimator.fields import CUSTOM_RATES, FIELDS

if TYPE_CHECKING:
    from thermoflop.web.estimator.inputs import Inputs


def changed(inputs: Inputs, name: str, raw: object) -> Inputs:
    """The inputs with one of them changed. Raises FieldError for a value it does not take.

    Several devices, as in ``2x4090``, go to what the engine splits: matrices (tp) or layers (pp).
    Another model takes prompt and output
    along as far as it has room for them.
    """
    if name == "device" and isinstance(raw, str) and len(raw) <= 100:
        one, count = alike(raw.strip(), None)  # of "2x4090", as people write it
        raw = one if isinstance(one, str) else one.name
        own = inputs.profile == CUSTOM_RATES
        split = "tp" if own or not splits_layers(inputs.profile) else "pp"
        inputs = inputs if count is None else replace(inputs, **{split: FIELDS[split].read(count)})
    after = replace(inputs, **{name: FIELDS[name].read(raw)})
    return with_room(after) if name == "model" and after.model != inputs.model else after


def with_room(inputs: Inputs) -> Inputs:
    """The inputs with no more tokens than the model has positions for."""
    most, generates = positions_of(inputs)
    output = inputs.output if generates else 0
    if most is None or inputs.prompt + output <= most:
        return inputs
    output = min(output, most // 2)
    return replace(
        inputs,
        output=output if generates else inputs.output,
        prompt=max(1, min(inputs.prompt, most - output)),
    )


def shortened(before: Inputs, after: Inputs) -> str:
    """What another model's room has changed, as a sentence; empty where nothing was."""
    if (before.prompt, before.output) == (after.prompt, after.output):
        return ""
    most, generates = positions_of(after)
    if not generates:
        return f"The prompt is now {after.prompt:,} tokens: this model has {most:,} positions."
    return (
        f"Prompt and output are now {after.prompt:,} and {after.output:,} tokens: this model has "
        f"{most:,} positions for both together."
    )
