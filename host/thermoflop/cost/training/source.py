"""What an encoder reads while an encoder-decoder is trained: a source beside each sequence.

The encoder runs on the source and the decoder on the sequence, which attends to what the encoder
made of the source. Keys and values of that attention are products of source positions.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.inference.arguments import checked_whole
from thermoflop.cost.inference.source import check_positions
from thermoflop.cost.training.iteration import Iteration
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import Layer, Stack
from thermoflop.model.architecture.parts import Convolution
from thermoflop.model.model import Model


def text_of(model: Model) -> Model:
    """The part of a model that reads tokens: without towers that run on images or sounds alone."""
    stacks = model.description.stacks
    towers = [stack for stack in stacks if stack.role not in ("decoder", "encoder")]
    if not towers or len(towers) == len(stacks):
        return model
    text = tuple(stack for stack in stacks if stack not in towers)
    return replace(model, description=replace(model.description, stacks=text))


def source_of(model: Model, encoder: int | None, sequence: int) -> int | None:
    """Positions of the source of each sequence, None without an encoder: those that the model
    always has (Whisper), else as many as the sequence. UsageError for what it cannot have."""
    stack = model.description.stack("encoder")
    if stack is None:
        if encoder is not None:
            raise UsageError(
                f"{model.name} has no encoder: encoder={encoder!r:.40} is for models that have one"
            )
        return None
    if encoder is None:
        return sequence if stack.positions is None else int(stack.positions)
    checked_whole("encoder", encoder, 1)
    check_positions(model, stack, encoder)
    return encoder


def hears(stack: Stack) -> bool:
    """Whether a stack begins with convolutions that bring sound to the positions of a source."""
    convolutions = any(isinstance(each.part, Convolution) for each in stack.front)
    return convolutions and stack.role == "encoder" and stack.positions is not None


def check_source(iteration: Iteration) -> None:
    """UsageError for a layout that an encoder and a decoder are not counted in."""
    if iteration.source is None:
        return
    name, plan = iteration.model.name, iteration.plan
    for option, value in (("pp", plan.pp), ("cp", plan.cp)):
        if value > 1:
            raise UsageError(
                f"{option}={value} is not counted for {name}, which has an encoder and a decoder: "
                "expected tp, dp and ep"
            )
    if iteration.document is not None:
        raise UsageError(f"lengths: documents are not packed beside the sources of {name}")


def six_n(iteration: Iteration) -> int:
    """6 x active parameters x the tokens that they meet."""
    model = iteration.model
    active, beside = model.active_params, 0
    if iteration.source is not None:
        stacks = tuple(each for each in model.description.stacks if each.role != "encoder")
        apart = replace(model, description=replace(model.description, stacks=stacks))
        beside = int(active - apart.active_params) * iteration.source
        active = apart.active_params
    return int(6 * iteration.global_batch) * (int(active) * iteration.sequence + beside)


def cross_elements(layer: Layer, iteration: Iteration) -> tuple[float, float]:
    """What cross attention keeps, in elements a token of the sequence: queries and results, keys
    and values of the source; and its scores."""
    if layer.cross is None or iteration.source is None:
        return 0.0, 0.0
    a_token = iteration.source / iteration.sequence
    inside = 2.0 * layer.cross.q_width + 2.0 * layer.cross.kv_width * a_token
    return inside, float(layer.cross.heads * iteration.source)


def encoder_bytes(iteration: Iteration) -> float:
    """Bytes that a micro-batch keeps of an encoder outside its layers: its result, which every
    decoder layer's keys and values are made of, and the results of convolutions in front, before
    and behind their activation."""
    stack = iteration.model.description.stack("encoder")
    if stack is None:
        return 0.0
    elements = float(stack.hidden)
    for placed in stack.front:
        if isinstance(placed.part, Convolution):
            # two mel frames make a position
            elements += 2.0 * placed.part.outputs * (2 if placed.rows == "frame" else 1)
    kept = iteration.tokens("encoder") * elements * iteration.precision.activation_bytes
    return kept / iteration.plan.tp if iteration.plan.sequence else kept
