"""Bytes of the weights in a mix of GGUF: what differs from one width for all layers.

llama.cpp (``src/llama-quant.cpp``) stores the head in more bits than the table of tokens, and a
table that is both as a head; norms, biases and routers in fp32; and a matrix whose rows no blocks
of 256 fill in a type of blocks of 32. What sees or hears is a file of its own, in 16 bits.
"""

from __future__ import annotations

from thermoflop.cost.work.weights import is_beside
from thermoflop.model.architecture.parts import Linear, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.architecture.parts import Part
    from thermoflop.model.architecture.quantization import Stored

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


class Mix:
    """The widths of a model's parts in a mix: one mean for the layers' matrices, and the rest.
    What is in none of its types has ``wide`` bytes an element."""

    wide, factor = FULL, 1.0

    def __init__(self, precision: Precision, description: Description) -> None:
        self.narrow = precision.weight_bits
        _, self.base, self.head = _row(precision.name)
        self.description = description
        tied = description.head is not None and description.head.tied
        self.table = self.head if tied else self.base

    def sizes(
        self, part: Part, role: str, layers: tuple[int, ...], inside: bool
    ) -> Iterator[tuple[Stored | None, tuple[int, ...], float]]:
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


def mixed_rows(precision: Precision, description: Description) -> Mix | None:
    """The widths of a mix where some matrices in layers are stored in another type, since their
    rows fill no blocks of 256; else its one mean says it all."""
    if not is_mix(precision.name):
        return None
    layers = (run.layer for stack in description.stacks for run in stack.runs)
    inside = (part for layer in layers for part in layer.parts() if isinstance(part, Linear))
    broken = any(int(part.inputs) % SUPERBLOCK for part in inside if not part.unquantized)
    return Mix(precision, description) if broken else None


def is_mix(name: str) -> bool:
    """Whether a number format is a mix of GGUF's types."""
    return name.startswith(_FIRST)


def _row(name: str) -> tuple[str, tuple[float, float], tuple[float, float]]:
    return next(row for row in _MIXES if name.startswith(row[0]))


def _bits(widths: tuple[float, float], row: object) -> float:
    """The width of rows that blocks of 256 fill, or of those that they do not."""
    return widths[1] if int(row) % SUPERBLOCK else widths[0]  # type: ignore[call-overload]
