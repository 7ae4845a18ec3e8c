"""Bytes of the weights on one device: by the widths of a format, or matrix by matrix as a
checkpoint stores them.

The same formats make the memory, the bytes that operators read, and what ``--why`` prints.
"""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Convolution, Linear, Table
from thermoflop.model.operators.build import TOWERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.architecture.description import Description, Run
    from thermoflop.model.architecture.parts import Part
    from thermoflop.model.architecture.quantization import Quantization, Stored

# Products that run the expansion of a latent in two halves (DeepSeek-V2, section 2.1.2).
_HALVES = ("absorb keys", "absorb values")
_EXPANSION = "kv_b_proj"
# What sees or hears, by its role and by the word of ``Held.where``.
_BESIDE = ("image", "vision", "audio", "video")


@record
class Held:
    """Equal parts that one device holds: ``sets`` of them, each of so many bytes.

    ``layers`` are the numbers of the layers that they lie in, counted over the stacks; none for
    what lies outside. ``stored`` is the format of a matrix that is quantized.
    """

    part: Part
    sets: float
    bytes_each: float
    where: str
    layers: tuple[int, ...] = ()
    stored: Stored | None = None


@record
class Uniform:
    """The widths of a format: ``narrow`` bytes an element of the layers' matrices, ``wide`` of
    what quantization leaves alone."""

    narrow: float
    wide: float

    def sizes(
        self, part: Part, _role: str, layers: tuple[int, ...], inside: bool
    ) -> Iterator[tuple[Stored | None, tuple[int, ...], float]]:
        """Bytes of one set of a part, with the layers that have it so: all of them."""
        narrow = self.narrow if inside else self.wide
        if isinstance(part, Linear | Convolution) and not (isinstance(part, Linear) and part.tied):
            quantized = isinstance(part, Linear) and not part.unquantized
            matrix = part.matrix_parameters * (narrow if quantized else self.wide)
            yield None, layers, float(matrix + part.bias_parameters * self.wide)
        else:
            yield None, layers, float(part.parameters * self.wide)


class Checkpoint:
    """The formats of a model's matrices as published.

    Attributes:
        quantization: which matrices are in which format.
        wide: bytes of an element of what stays as it is.
        factor: bytes of the files over those counted here; 1 where no file was read.
        stored: whether files were read.
    """

    def __init__(
        self,
        quantization: Quantization,
        wide: float = 2.0,
        factor: float = 1.0,
        *,
        stored: bool = False,
    ) -> None:
        self.quantization, self.wide, self.factor = quantization, wide, factor
        self.stored = stored
        self._formats: dict[tuple[object, ...], dict[Stored | None, tuple[int, ...]]] = {}

    def sizes(
        self, part: Part, role: str, layers: tuple[int, ...], inside: bool
    ) -> Iterator[tuple[Stored | None, tuple[int, ...], float]]:
        """Bytes of one set of a part in each of its formats, with the layers that have it so."""
        wide = self.wide * self.factor
        if not is_matrix(part):
            yield None, layers, float(part.parameters * wide)
            return
        for stored, these in self._formats_of(part, role, layers if inside else ()).items():
            yield stored, these, self._bytes_of(part, stored)

    def _formats_of(
        self, part: Linear | Table, role: str, layers: tuple[int, ...]
    ) -> dict[Stored | None, tuple[int, ...]]:
        """The formats of a matrix: they are asked for once, not again for every share of it."""
        key = (part.group, part.name, role, layers)
        if key not in self._formats:
            found: dict[Stored | None, tuple[int, ...]] = {}
            for layer in layers or (None,):
                stored = self.quantization.format_of(part.group, part.name, layer, role)
                found[stored] = (*found.get(stored, ()), *(() if layer is None else (layer,)))
            self._formats[key] = found
        return self._formats[key]

    def _bytes_of(self, part: Linear | Table, stored: Stored | None) -> float:
        if isinstance(part, Table):
            inputs, outputs, copies, bias = part.width, part.rows, 1, 0
        else:
            inputs, outputs, copies = part.inputs, part.outputs, part.copies
            bias = part.bias_parameters
        matrix = (
            inputs * outputs * self.wide if stored is None else stored.bytes_of(inputs, outputs)
        )
        return float(self.factor * (copies * matrix + bias * self.wide))


if TYPE_CHECKING:
    from typing import Protocol, TypeAlias, TypeGuard

    class _Sizes(Protocol):
        """What knows the bytes of every part."""

        def sizes(
            self, part: Part, role: str, layers: tuple[int, ...], inside: bool
        ) -> Iterator[tuple[Stored | None, tuple[int, ...], float]]:
            """Bytes of one set of a part in each of its formats, with the layers that have it."""

    class _Wide(_Sizes, Protocol):
        """The same, and the bytes of an element of what stays as it is."""

        wide: float
        factor: float

    Formats: TypeAlias = Uniform | Checkpoint | _Sizes


def is_matrix(part: Part) -> TypeGuard[Linear | Table]:
    """Whether a part is a matrix with numbers of its own."""
    return isinstance(part, Table) or (isinstance(part, Linear) and not part.tied)


def weights_held(description: Description, formats: Formats) -> Iterator[Held]:
    """Everything with parameters on one device, all pipeline stages together."""
    before = 0
    for stack in description.stacks:
        tower, first = TOWERS.get(stack.role, stack.role), 0
        for end, placed in (("front", stack.front), ("tail", stack.tail)):
            for each in placed:
                yield from _outside(each.part, f"{tower} {end}", stack.role, formats)
        for run in stack.runs:
            numbers = _numbers(run, first)
            for part in run.layer.parts():
                for stored, layers, size in formats.sizes(part, stack.role, numbers, True):
                    placed_in = tuple(before + layer for layer in layers)
                    where = f"{tower} {run.layer.kind}"
                    yield Held(part, len(layers), size, where, placed_in, stored)
            first += int(run.times)
        before += first
    last = [placed.part for placed in description.extras]
    for part in last if description.head is None else [*last, description.head]:
        yield from _outside(part, "head", "decoder", formats)


def _numbers(run: Run, before: int) -> tuple[int, ...]:
    """The layers of a run that have weights of their own."""
    return (run.at or tuple(range(before, before + int(run.times))))[: int(run.sets)]


def _outside(part: Part, where: str, role: str, formats: Formats) -> Iterator[Held]:
    for stored, _, size in formats.sizes(part, role, (), False):
        yield Held(part, 1, size, where, (), stored)


def weights_on_fullest(description: Description, pp: int, formats: Formats) -> float:
    """Bytes on the fullest device: everything, or the largest stage of the text's layers that
    follow one another, with towers and the largest part of what lies outside the layers."""
    held = list(weights_held(description, formats))
    if pp == 1:
        return sum(each.sets * each.bytes_each for each in held)
    layers: dict[int, float] = {}
    towers = sum(each.sets * each.bytes_each for each in held if held_beside(description, each))
    held = [each for each in held if not held_beside(description, each)]
    for each in held:
        for layer in each.layers:
            layers[layer] = layers.get(layer, 0.0) + each.bytes_each
    outside = max((each.bytes_each for each in held if not each.layers), default=0.0)
    sizes = [layers[number] for number in sorted(layers)]
    stage = -(-len(sizes) // pp) or 1
    stages = [sum(sizes[first : first + stage]) for first in range(0, len(sizes), stage)]
    return max(stages, default=0.0) + outside + towers


def is_beside(description: Description, name: str) -> bool:
    """Whether a stack of that name sees or hears for a text model: stages share no layers of it."""
    return name in _BESIDE and any(stack.role not in _BESIDE for stack in description.stacks)


def held_beside(description: Description, held: Held) -> bool:
    """Whether that lies in such a stack."""
    return is_beside(description, held.where.split()[0])


def stage_share(layers: int, pp: int) -> float:
    """The largest stage's share of the layers."""
    return -(-layers // pp) / layers if layers else 1.0


def layers_of(description: Description) -> int:
    """Layers of all stacks that stages share."""
    stacks = [each for each in description.stacks if not is_beside(description, each.role)]
    return int(sum(run.times for stack in stacks for run in stack.runs))


def element_bytes(description: Description, checkpoint: _Wide) -> dict[tuple[str, str], float]:
    """Bytes of an element of each matrix, scales included, by part of the model and name: the mean
    over layers of one kind."""
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    for each in weights_held(description, checkpoint):
        part = each.part
        if is_matrix(part):
            bias = part.bias_parameters if isinstance(part, Linear) else 0
            size = each.bytes_each - bias * checkpoint.wide * checkpoint.factor
            bytes_, elements = sums.get((each.where, part.name), (0.0, 0.0))
            whole = elements + each.sets * (part.parameters - bias)
            sums[each.where, part.name] = (bytes_ + each.sets * size, whole)
    widths = {key: size / elements for key, (size, elements) in sums.items() if elements}
    for (where, name), width in list(widths.items()):
        if name == _EXPANSION:
            widths |= dict.fromkeys(((where, half) for half in _HALVES), width)
    head = description.head
    if head is not None:
        shared = widths.get(("decoder front", "embed_tokens"), checkpoint.wide)
        width = widths.get(("head", head.name), shared)
        widths |= dict.fromkeys((("head", head.name), ("mtp head", head.name)), width)
    return widths
