"""Bytes of the weights on one device: by the widths of a format, or matrix by matrix as a
checkpoint stores them.

The same formats make the memory, the bytes that operators read, and what ``--why`` prints. In a mix
of GGUF llama.cpp (``src/llama-quant.cpp``) stores the head in more bits than the table of tokens,
and a table that is both as a head; norms, biases and routers in fp32; and a matrix whose rows no
blocks of 256 fill in a type of blocks of 32. What sees or hears is a file of its own, in 16 bits.
"""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Convolution, Linear, Part, Table
from thermoflop.model.architecture.quantization import Quantization
from thermoflop.model.operators.build import TOWERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias, TypeGuard

    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.model.architecture.description import Description, Run
    from thermoflop.model.architecture.quantization import Stored
    from thermoflop.model.model import Model

# The formats of a part, each with the layers that have it so and the bytes of one set.
Sizes: TypeAlias = "Iterator[tuple[Stored | None, tuple[int, ...], float]]"
Formats: TypeAlias = "Uniform | Checkpoint | Mix"

# Products that run the expansion of a latent in two halves (DeepSeek-V2, section 2.1.2).
_HALVES = ("absorb keys", "absorb values")
_EXPANSION = "kv_b_proj"
# What sees or hears, by its role and by the word of ``Held.where``.
_BESIDE = ("image", "vision", "audio", "video")

SUPERBLOCK = 256
FULL, HALF = 4.0, 2.0  # bytes of an element in fp32, and of towers
_Q5_K, _Q6_K = (5.5, 6.0), (6.5625, 8.5)
# The first letters of a name: bits of the type that a mix is named after, and of the one of blocks
# of 32 that replaces it (``tensor_type_fallback``); then the same of the head.
_MIXES: tuple[tuple[str, tuple[float, float], tuple[float, float]], ...] = (
    ("q2_k", (2.625, 4.5), _Q6_K), ("q3_k", (3.4375, 4.5), _Q6_K), ("q4_k", (4.5, 5.5), _Q6_K),
    ("q5_k", _Q5_K, _Q6_K), ("q6_k", _Q6_K, _Q6_K), ("q8_0", (8.5, 8.5), (8.5, 8.5)),
    ("q4_0", (4.5, 4.5), _Q6_K), ("q4_1", (5.0, 5.0), _Q6_K), ("q5_0", (5.5, 5.5), _Q6_K),
    ("q5_1", (6.0, 6.0), _Q6_K), ("iq1", (1.75, 4.5), _Q5_K), ("iq2", (2.5, 4.5), _Q5_K),
    ("iq3", (3.44, 4.5), _Q6_K), ("iq4_xs", (4.25, 4.5), _Q6_K), ("iq4_nl", (4.5, 4.5), _Q6_K),
    ("tq", (2.06, 4.5), _Q6_K),
)  # fmt: skip
_FIRST = tuple(first for first, *_ in _MIXES)
OF_FILES = "safetensors"  # as a method: what nothing is said of but by the files
# Files beyond this ratio to what the configuration counts are those of another model, or of a part.
_APART = 1.25
# Bytes of an element in formats of files that are not quantized; what a file has most of is first.
_PLAIN_BYTES = {"BF16": 2.0, "F16": 2.0, "F32": 4.0, "F64": 8.0}


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

    def sizes(self, part: Part, _role: str, layers: tuple[int, ...], inside: bool) -> Sizes:
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

    def sizes(self, part: Part, role: str, layers: tuple[int, ...], inside: bool) -> Sizes:
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


class Mix:
    """The widths of a model's parts in a mix: one mean for the layers' matrices, and the rest.
    What is in none of its types has ``wide`` bytes an element."""

    wide, factor = FULL, 1.0

    def __init__(self, precision: Precision, description: Description) -> None:
        self.narrow = precision.weight_bits
        _, self.base, self.head = next(row for row in _MIXES if precision.name.startswith(row[0]))
        self.description = description
        tied = description.head is not None and description.head.tied
        self.table = self.head if tied else self.base

    def sizes(self, part: Part, role: str, layers: tuple[int, ...], inside: bool) -> Sizes:
        """Bytes of one set of a part, with the layers that have it so: all of them."""
        yield None, layers, self._bytes(part, role, inside)

    def _bytes(self, part: Part, role: str, inside: bool) -> float:
        if is_beside(self.description, role):
            return float(HALF * part.parameters)
        if isinstance(part, Table):
            return float(part.parameters * _bits(self.table, part.width) / 8)
        if not isinstance(part, Linear) or part.tied or (inside and part.unquantized):
            return float(FULL * part.parameters)
        bits = _bits(self.head, part.inputs)
        if inside:
            bits = self.narrow * _bits(self.base, part.inputs) / self.base[0]
        return float(part.matrix_parameters * bits / 8 + FULL * part.bias_parameters)


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
                    placed_in = tuple(before + layer for layer in layers) if before else layers
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


def stored_checkpoint(model: Model, quantization: Quantization | None) -> Checkpoint:
    """The formats of a model whose files were read: in all as many bytes as they hold."""
    stored = model.stored
    assert stored is not None  # noqa: S101 - what the caller has looked for
    plain = {name: stored.bytes_by_format.get(name, 0) for name in _PLAIN_BYTES}
    wide = _PLAIN_BYTES[max(plain, key=lambda name: plain[name])] if any(plain.values()) else 2.0
    formats = quantization or Quantization(OF_FILES, None)
    counted = weights_on_fullest(model.description, 1, Checkpoint(formats, wide))
    ratio = stored.size_bytes / counted if counted else 1.0
    same = 1 / _APART <= ratio <= _APART
    return Checkpoint(formats, wide, ratio if same else 1.0, stored=same)


def is_beside(description: Description, name: str) -> bool:
    """Whether a stack of that name sees or hears for a text model: stages share no layers of it."""
    return name in _BESIDE and any(stack.role not in _BESIDE for stack in description.stacks)


def held_beside(description: Description, held: Held) -> bool:
    """Whether that lies in such a stack."""
    return is_beside(description, held.where.split()[0])


def stage_share(description: Description, pp: int) -> float:
    """The largest stage's share of the layers."""
    layers = layers_of(description)
    return -(-layers // pp) / layers if layers else 1.0


def layer_matrices(description: Description) -> Iterator[tuple[Run, Linear]]:
    """The matrices of the layers, each with the run that has it."""
    for run in description.runs:
        for part in run.layer.parts():
            if isinstance(part, Linear):
                yield run, part


def has_experts(description: Description) -> bool:
    """Whether any layer has experts."""
    return any(hasattr(run.layer.feed, "experts") for run in description.runs)


def layers_of(description: Description) -> int:
    """Layers of all stacks that stages share."""
    stacks = [each for each in description.stacks if not is_beside(description, each.role)]
    return int(sum(run.times for stack in stacks for run in stack.runs))


def element_bytes(
    description: Description, checkpoint: Checkpoint | Mix
) -> dict[tuple[str, str], float]:
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


def mixed_rows(precision: Precision, description: Description) -> Mix | None:
    """The widths of a mix where some matrices in layers are stored in another type, since their
    rows fill no blocks of 256; else its one mean says it all."""
    if not is_mix(precision.name):
        return None
    inside = (part for _, part in layer_matrices(description) if not part.unquantized)
    broken = any(int(part.inputs) % SUPERBLOCK for part in inside)
    return Mix(precision, description) if broken else None


def is_mix(name: str) -> bool:
    """Whether a number format is a mix of GGUF's types."""
    return name.startswith(_FIRST)


def _bits(widths: tuple[float, float], row: object) -> float:
    """The width of rows that blocks of 256 fill, or of those that they do not."""
    return widths[1] if int(row) % SUPERBLOCK else widths[0]  # type: ignore[call-overload]
