"""From a description and a step to operators: the one builder for every family."""

from __future__ import annotations

from thermoflop.base.number import Number, ceil_div, kind_of
from thermoflop.base.record import replace
from thermoflop.model.architecture.feedforward import Mlp, Moe
from thermoflop.model.architecture.mixers import Attention, LatentAttention, Mixer, SideBySide
from thermoflop.model.architecture.parts import LOOKED_UP, Convolution, Linear, Norm, Probe, Table
from thermoflop.model.operators.attention import attention_operators
from thermoflop.model.operators.context import EmitContext, normalize, residual
from thermoflop.model.operators.feedforward import feed_operators
from thermoflop.model.operators.kinds import Attend, Convolve, Lookup, MatMul, Pass
from thermoflop.model.operators.operator import Operator
from thermoflop.model.operators.step import Step, convolved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.architecture.description import Description, Layer, Placed, Stack

TOWERS = {
    "decoder": "decoder",
    "encoder": "encoder",
    "image": "vision",
    "audio": "audio",
    "mtp": "mtp",
}


def build_operators(description: Description, step: Step) -> tuple[Operator, ...]:
    """Every operator of one forward step, in the order in which they run."""
    built: list[Operator] = []
    for stack, scope in stack_scopes(description, step):
        if scope is not None:
            operators = _stack_operators(stack, scope)
            grouped = stack.role == "mtp"
            built.extend(replace(one, group="mtp") if grouped else one for one in operators)
    built.extend(_head_operators(description, step))
    return tuple(built)


def stack_scopes(
    description: Description, step: Step
) -> Iterator[tuple[Stack, EmitContext | None]]:
    """Every stack with what runs through it in a step, or None where nothing does."""
    eyes, ears = description.stack("image"), description.stack("audio")
    for stack in description.stacks:
        if stack.window is not None and ears is not None:
            stack = replace(stack, tiles=ceil_div(ears.positions, stack.window))
        if stack.role == "image" and eyes is not None and stack is not eyes:
            stack = stack.after(eyes)
        yield stack, _stack_scope(description, stack, step)


def _is_zero(value: Number) -> bool:
    return kind_of(value) == "int" and value == 0


def _stack_scope(description: Description, stack: Stack, step: Step) -> EmitContext | None:
    """What runs through a stack in this step, or None when nothing does."""
    source = source_positions(description, step)
    if stack.role == "video":
        return None
    if stack.role in ("image", "audio"):
        inputs = image_count(description, step) if stack.role == "image" else step.audio
        where = (inputs * stack.tiles, stack.positions, 0)
        eyes = description.stack("image")
        source = stack.window or (0 if eyes is None else eyes.positions)
        runs = not _is_zero(inputs)
    elif stack.role == "encoder":
        where = (step.batch, source, 0)
        runs = step.runs_encoder and not _is_zero(source)
    else:
        where = (step.batch, _positions(stack, step), step.cached)
        source = source if description.stack("image") is None else _looked_at(description, step)
        if stack.positions is not None or stack.windows:
            where, source = (*where[:2], 0), _met(description, stack, step)
        runs = not _is_zero(step.new)
    if not runs:
        return None
    sequences, new, cached = where
    tokens = sequences * new
    shape = (sequences, new, cached, tokens, source, stack.causal, stack.near)
    return EmitContext(step, TOWERS[stack.role], 1, *shape)


def _met(description: Description, stack: Stack, step: Step) -> Number:
    """Positions that a stack of another length may attend to: of the stack before, or the text."""
    index = description.stacks.index(stack)
    return _positions(description.stacks[index - 1], step) if index else step.new


def _positions(stack: Stack, step: Step) -> Number:
    """The new tokens, what the windows of the stack leave of them, or its own learned ones."""
    if stack.positions is not None:
        return stack.positions
    if not stack.windows or _is_zero(step.new):
        return step.new
    return stack.lengths(step.new)[-1]


def _looked_at(description: Description, step: Step) -> Number:
    """Positions of images that a text of each sequence may attend to."""
    eyes, images = description.stack("image"), image_count(description, step)
    if eyes is None or _is_zero(images):
        return 0
    return images * eyes.tiles * eyes.pooled // step.batch


def source_positions(description: Description, step: Step) -> Number:
    """Positions in the encoder: as in the step, or as many as the model always has (Whisper)."""
    encoder = description.stack("encoder")
    if encoder is not None and encoder.positions is not None and _is_zero(step.encoder):
        return encoder.positions
    return step.encoder


def image_count(description: Description, step: Step) -> Number:
    """Images in the step: as in the step, or one a sequence where the model needs them."""
    if step.images is not None:
        return step.images
    return step.batch if description.needs_images else 0


def _stack_operators(stack: Stack, scope: EmitContext) -> Iterator[Operator]:
    front = scope.within(f"{scope.part} front")
    for placed in stack.front:
        yield from _placed_operators(placed, placed.times * _rows(placed, stack, front), front)
    last = stack.keyless if scope.step.last_only else ()
    for run in stack.runs:
        mixer = run.layer.mixer
        if isinstance(mixer, Attention) and mixer.cross and _is_zero(scope.source):
            continue  # a layer that attends to images is left out where there are none
        inside = scope.within(f"{scope.part} {run.layer.kind}", run.times)
        yield from layer_operators(run.layer, inside.last() if run in last else inside)
    tail = scope.within(f"{scope.part} tail")
    for placed in stack.tail:
        yield from _placed_operators(placed, placed.times * _rows(placed, stack, tail), tail)


def layer_operators(layer: Layer, scope: EmitContext) -> Iterator[Operator]:
    """The operators of one layer, in the order of a pre-norm layer: norms before what they feed."""
    before, after = _placed_norms(layer)
    if layer.streams is not None:
        from thermoflop.model.operators.compressed import read_streams, write_streams
    for index, block in enumerate((layer.mixer, layer.cross, layer.feed)):
        if block is None:
            continue
        if layer.streams is not None:
            yield from read_streams(layer.streams, ("attn", "", "mlp")[index], scope)
        yield from (normalize(norm, scope) for norm in before[index])
        if isinstance(block, Mlp | Moe):
            yield from feed_operators(block, scope)
        else:
            yield from mixer_operators(block, scope)
        yield from (normalize(norm, scope) for norm in after[index])
        if layer.streams is not None:
            yield from write_streams(layer.streams, scope)
    for placed in layer.others:
        rows = scope.sequences if placed.rows == "sequence" else scope.tokens
        rows = 1 if placed.rows == "once" else rows
        if placed.rows == "convolved" and isinstance(placed.part, Convolution):
            taps, step = placed.part.kernel, scope.step.convolution
            rows = scope.sequences * convolved(scope.cached, scope.new, taps, step)
        yield from _placed_operators(placed, placed.times * rows, scope)
    if layer.branches and layer.streams is None:
        yield residual(layer.hidden, layer.branches, scope)


def mixer_operators(mixer: Mixer, scope: EmitContext) -> Iterator[Operator]:
    """The operators of whatever mixes tokens in a layer."""
    if isinstance(mixer, Attention | LatentAttention):
        yield from attention_operators(mixer, scope)
        return
    from thermoflop.model.architecture.sparse import CompressedAttention

    if isinstance(mixer, SideBySide):
        for each in mixer.mixers:
            yield from mixer_operators(each, scope)
    elif isinstance(mixer, CompressedAttention):
        from thermoflop.model.operators.compressed import compressed_operators

        yield from compressed_operators(mixer, scope)
    else:
        from thermoflop.model.operators.scan import recurrent_operators

        yield from recurrent_operators(mixer, scope)


def _placed_norms(layer: Layer) -> tuple[list[list[Norm]], list[list[Norm]]]:
    """The norms before and after each block: as many as blocks go before, twice as many around."""
    before: list[list[Norm]] = [[], [], []]
    after: list[list[Norm]] = [[], [], []]
    blocks = (layer.mixer, layer.cross, layer.feed)
    present = [index for index, block in enumerate(blocks) if block is not None]
    around = len(layer.norms) == 2 * len(present)
    for index, norm in enumerate(layer.norms):
        if around:
            side = after if index % 2 else before
            side[present[index // 2]].append(norm)
        else:
            before[present[min(index, len(present) - 1)]].append(norm)
    return before, after


def _rows(placed: Placed, stack: Stack, scope: EmitContext) -> Number:
    """How many rows a placed part runs on."""
    if placed.rows == "sequence":
        return scope.sequences
    if placed.rows == "text":
        return scope.sequences * scope.step.new
    if placed.rows == "frame":
        return 2 * scope.tokens
    if placed.rows == "patch":
        return scope.sequences * stack.patches
    if placed.rows.startswith("pooled"):
        return scope.sequences * stack.pooled * (4 if placed.rows.endswith("4") else 1)
    if placed.rows.startswith("token /"):
        return scope.tokens // int(placed.rows[7:])
    if placed.rows == "token and one":
        return scope.tokens + scope.sequences
    if placed.rows.startswith("window"):
        encodes, new = stack.role == "encoder", scope.new
        left = stack.needed(new)[1:] if encodes else stack.lengths(scope.step.new)
        return scope.sequences * left[int(placed.rows[6:])]
    return scope.tokens


def _placed_operators(placed: Placed, rows: Number, scope: EmitContext) -> Iterator[Operator]:
    """The operator of a part that runs on so many rows, if it does any work."""
    if placed.rows == "none":
        return
    part = placed.part
    if isinstance(part, Linear):
        yield scope.linear(part, rows)
    elif isinstance(part, Norm):
        yield normalize(part, scope, rows)
    elif isinstance(part, Table):
        yield from _table_operators(part, rows, scope)
    elif isinstance(part, Probe):
        where, sizes = (scope.part, part.group, scope.times), (scope.sequences, part.heads)
        keys = (part.heads, 1, scope.new, part.dim, scope.new)
        for name in ("probe scores", "probe values"):
            values = name == "probe values"
            yield Attend(name, *where, *sizes, *keys, scope.fused, cached=False, values=values)
    elif isinstance(part, Convolution):
        k, channels = part.inputs * part.kernel, part.inputs
        name, role = part.name, part.role
        where = (scope.part, role, scope.times)
        yield Convolve(name, *where, rows, k, part.outputs, channels, part.bias)


def _table_operators(table: Table, rows: Number, scope: EmitContext) -> Iterator[Operator]:
    """Rows are looked up; a table with no look-ups is added as it is (ViT's positions)."""
    if table.lookups:
        yield Lookup(table.name, scope.part, table.group, scope.times, rows, table.width)
    if table.group not in LOOKED_UP:
        name = f"add {table.name}"
        where = (scope.part, table.group, scope.times)
        yield Pass(name, *where, rows, table.width, 1, inputs=2, fused=scope.fused)


def _head_operators(description: Description, step: Step) -> Iterator[Operator]:
    """The logits, and for CLIP the product of both embeddings."""
    head = description.head
    if head is not None and step.logits != "none" and not _is_zero(step.new):
        causal = all(stack.causal for stack in description.stacks if stack.role == "decoder")
        last = step.logits == "last" and causal
        rows = step.batch if last else step.batch * step.new
        scope = EmitContext(step, "head", 1, step.batch, step.new, step.cached, rows)
        yield scope.linear(head, rows)
        ahead = sum(stack.role == "mtp" for stack in description.stacks)
        if ahead:
            yield replace(scope.linear(head, rows), part="mtp head", group="mtp", times=ahead)
    if description.contrast is not None:
        images = image_count(description, step)
        if not (_is_zero(images) or _is_zero(step.new)):
            where = ("head", description.contrast_group, 1)
            yield MatMul(
                "similarity", *where, step.batch, description.contrast, images, unquantized=True
            )
