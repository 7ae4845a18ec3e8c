"""What an encoder reads beside the prompt of a decoder: a source of a length that is asked for.

A model whose encoder has a number of positions of its own (Whisper) is counted with them by every
step and in memory; so a source of so many tokens is the model with an encoder of so many positions.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.inference.arguments import BEYOND, as_model, checked_whole, written
from thermoflop.errors import UsageError
from thermoflop.model.architecture.parts import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

    from thermoflop.model.architecture.description import Stack
    from thermoflop.model.model import Model


def with_source(
    model: Model | str | PathLike[str] | dict[str, Any], encoder: int | str | None
) -> Model | str | PathLike[str] | dict[str, Any]:
    """The model with an encoder that reads so many tokens; as it is for None. UsageError for a
    model that has none beside its decoder, and for more than it has positions for."""
    if encoder is None:
        return model
    known, tokens = as_model(model), checked_whole("encoder", written("encoder", encoder), 1)
    own = known.description.stack("encoder")
    if own is None or not known.is_encoder_decoder:
        raise UsageError(
            f"{known.name} has no encoder beside a decoder: encoder={tokens} is for models that "
            "have one"
        )
    check_positions(known, own, tokens)
    read = replace(own, positions=tokens)
    stacks = tuple(read if stack is own else stack for stack in known.description.stacks)
    return replace(known, description=replace(known.description, stacks=stacks))


def check_positions(model: Model, stack: Stack, tokens: int) -> None:
    """UsageError for a source that the encoder has too few positions for."""
    most = most_positions(stack, model.max_positions)
    if most is not None and tokens > most:
        raise UsageError(
            f"encoder={tokens} passes the {most} positions of {model.name}'s encoder: expected no "
            "more",
            also=f", or {BEYOND}",
        )


def most_positions(stack: Stack, otherwise: int | None) -> int | None:
    """The longest source that the encoder has positions for."""
    if stack.positions is not None:
        return int(stack.positions)
    tables = (each.part for each in stack.front if isinstance(each.part, Table))
    rows = next((int(each.rows) for each in tables if each.group == "embed_pos"), 0)
    # BART's tables begin with two rows that no position has; LED's encoder has one of its own
    return otherwise if otherwise is not None and rows <= otherwise + 2 else rows or None


def source_said(model: Model) -> str:
    """How much the encoder beside a decoder reads, as a part of a line on sizes; "" without one,
    or where none was asked for."""
    own = model.description.stack("encoder") if model.is_encoder_decoder else None
    return "" if own is None or own.positions is None else f", encoder {own.positions}"
