"""The parts that hold parameters: linear maps, norms, tables and convolutions.

A model is described as layers made of parts, and both the parameter count and the operators of a
step follow from the same part: nothing is written down twice. Every size may be an int, a numpy
array or a sympy symbol. ``group`` names the row of ``Model.params_by_group``, ``role`` the row of
``OperatorTable.by_group``.
"""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.base.record import record, replace


@record
class Map:
    """What makes ``outputs`` of ``inputs``, by weights of its own and a bias where it has one."""

    name: str
    group: str
    role: str
    inputs: Number
    outputs: Number
    # of a map that says nothing of it
    bias = False
    copies = 1
    tied = False

    @property
    def matrix_parameters(self) -> Number:
        """Elements of the matrix, of all copies, whether tied or not."""
        return self.copies * self.inputs * self.outputs

    @property
    def bias_parameters(self) -> Number:
        """Elements of the bias, of all copies."""
        return self.copies * self.outputs if self.bias else 0

    @property
    def parameters(self) -> Number:
        """Elements that this part adds to the model."""
        return self.bias_parameters + (0 if self.tied else self.matrix_parameters)


@record
class Linear(Map):
    """``y = x W + b``: ``inputs`` x ``outputs`` weights, in ``copies`` sets (experts).

    ``unquantized`` weights stay in the format of the activations when the others are quantized
    (heads, routers).
    A ``tied`` weight is another part's: it is read, but it is not counted again.
    """

    bias: bool = False
    copies: Number = 1
    unquantized: bool = False
    tied: bool = False


@record
class StatesMap(Linear):
    """A map of ``states`` of another model, side by side, into a head that drafts for it, token by
    token or a ``block`` in one step."""

    states: int = 1
    block: bool = False


def lm_head(inputs: Number, vocab: Number, tied: bool, bias: bool = False) -> Linear:
    """The map to the vocabulary."""
    name = "lm_head"
    return Linear(name, name, name, inputs, vocab, bias, unquantized=True, tied=tied)


def in_groups(linears: tuple[Linear, ...], groups: tuple[int, ...]) -> tuple[Linear, ...]:
    """Maps of which each output reads the inputs of its group alone: so many groups for each."""
    if not groups:
        return linears
    pairs = zip(linears, groups, strict=True)
    return tuple(replace(linear, inputs=linear.inputs // count) for linear, count in pairs)


@record
class Norm:
    """A normalization of vectors of ``width`` elements, ``vectors`` of them per token.

    ``kind`` is ``rms`` (4 operations an element: square, add, scale, weigh; Zhang and Sennrich
    2019), ``layer`` (7: add to the mean, centre, square, add, scale, weigh, shift; Ba 2016) or
    ``l2`` (3: no weights).
    ``copies`` sets of weights exist when each head has its own.
    """

    name: str
    width: Number
    kind: str = "rms"
    weight: bool = True
    bias: bool = False
    vectors: Number = 1
    copies: Number = 1
    group: str = "norm"

    @property
    def parameters(self) -> Number:
        """Elements of the weight and the bias."""
        return self.copies * self.width * (int(self.weight) + int(self.bias))

    @property
    def operations(self) -> int:
        """Element-wise operations per element, by the convention above."""
        if self.kind == "layer":
            return 5 + int(self.weight) + int(self.bias)
        return 3 + int(self.weight)


# Groups of tables of which a token reads rows: those of tokens, and those of hashed n-grams.
HASH_TABLES = "hash_tables"
LOOKED_UP = frozenset(("embed_tokens", HASH_TABLES))
# The name of the maps behind ears of which a family counts the parameters alone.
UNLISTED_EARS = "map of unlisted ears"


@record
class Table:
    """A table of ``rows`` vectors of ``width`` elements, read by index.

    ``lookups``: a row is read per token; else the table is read whole and added, or is only kept.
    """

    name: str
    group: str
    rows: Number
    width: Number
    lookups: bool = True

    @property
    def parameters(self) -> Number:
        """Elements of the table."""
        return self.rows * self.width


@record
class Vector:
    """Parameters without a matrix: attention sinks, decay rates, a logit scale."""

    name: str
    group: str
    elements: Number
    bias: bool = False

    @property
    def parameters(self) -> Number:
        """Elements of the vector."""
        return self.elements


@record
class Probe:
    """A learned query of ``heads`` x ``dim`` elements that attends to every token (SigLIP)."""

    name: str
    group: str
    heads: Number
    dim: Number

    @property
    def parameters(self) -> Number:
        """Elements of the query."""
        return self.heads * self.dim


@record
class Convolution(Map):
    """``outputs`` channels, each from ``inputs`` channels of its group, over ``kernel`` taps.

    A depth-wise convolution has one input channel per output channel: ``inputs=1``. ``tied``: its
    taps are made by maps that are counted (Jet-Nemotron).
    """

    kernel: Number
    bias: bool = False
    tied: bool = False

    @property
    def matrix_parameters(self) -> Number:
        """Elements of the kernel."""
        return self.inputs * self.outputs * self.kernel


Part = Linear | Norm | Table | Vector | Probe | Convolution
