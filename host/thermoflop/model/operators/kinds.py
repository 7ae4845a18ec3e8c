"""Operators of one forward step: a shape, and everything that follows from it.

A contraction multiplies ``batch`` pairs of matrices (m x k) and (k x n): batch*m*k*n
multiplications, two FLOPs each. What it moves follows from the same shape. Nothing is computed
before it is read, so that a sweep over a million configurations pays only for what it reads.

Counts cover all ``times`` occurrences; ``moved`` is in elements (bytes need a format, see
``operators.table``) and covers one occurrence. Five classes of work, after Ivanov et al.
2021 ("Data Movement Is All You Need"): contraction (with convolution and scan), normalization,
element-wise, gather.
"""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.base.record import record
from thermoflop.model.operators.operator import Elementwise, Moved, Operator

# Softmax, per score: scale, subtract the maximum, exponential, add, divide; as many as ELECTRA's
# flops_computation.py counts (github.com/google-research/electra).
SOFTMAX_OPERATIONS = 5


@record
class MatMul(Operator):
    """Rows times a weight matrix. Fields that are not named here: see ``Operator``.

    Attributes:
        m: rows: the tokens that run through it.
        k: rows of the matrix: what is summed over.
        n: columns of the matrix.
        batch: independent products, each with a matrix of its own, 1 by default.
        sets: different matrices that are read (experts, an expected number), 1 by default.
        bias: whether a bias is added.
        unquantized: whether quantization leaves the matrix alone (heads, routers).
        source: where the rows come from: ``activations`` (default) or ``kv``, the cache.
        target: where the result goes: ``activations`` (default) or ``kv``.
    """

    m: Number
    k: Number
    n: Number
    batch: Number = 1
    sets: Number = 1
    bias: bool = False
    unquantized: bool = False
    source: str = "activations"
    target: str = "activations"

    @property
    def elementwise_flops(self) -> Number:
        """The additions of the bias."""
        return self.times * self.batch * self.n * self.m if self.bias else 0

    @property
    def moved(self) -> Moved:
        """The weights once for each set, the rows in and out."""
        weights = self.sets * self.batch * self.k * self.n
        biases = self.sets * self.batch * self.n if self.bias else 0
        rows_in, rows_out = self.batch * self.k * self.m, self.batch * self.n * self.m
        from_cache, to_cache = self.source == "kv", self.target == "kv"
        return Moved(
            weights=0 if self.unquantized else weights,
            unquantized=weights + biases if self.unquantized else biases,
            read=0 if from_cache else rows_in,
            kv_read=rows_in if from_cache else 0,
            written=0 if to_cache else rows_out,
            kv_written=rows_out if to_cache else 0,
        )


@record
class Attend(Operator):
    """Queries against keys (``scores``), or their weights against values (``values``).

    Fields that are not named here: see ``Operator``.

    Attributes:
        sequences: sequences.
        heads: query heads of each.
        kv_heads: key heads that they share.
        queries: queries of each head.
        keys: keys that each head meets.
        dim: dimensions of a head.
        pairs: pairs of query and key computed in each head: all, or those under the mask.
        fused: whether scores never leave the chip (default).
        cached: whether keys or values are read from the cache (default), or are activations.
        reads: whether they are read at all; not where the scores read them already (absorbed MLA).
        values: whether this is the product with the values, not the scores.
    """

    sequences: Number
    heads: Number
    kv_heads: Number
    queries: Number
    keys: Number
    dim: Number
    pairs: Number
    fused: bool = True
    cached: bool = True
    reads: bool = True
    values: bool = False

    @property
    def batch(self) -> Number:  # type: ignore[override]
        """Independent products: one for each head of each sequence."""
        return self.sequences * self.heads

    @property
    def m(self) -> Number:
        """Queries."""
        return self.queries

    @property
    def k(self) -> Number:
        """What is summed over: the head's dimensions, or the keys."""
        return self.keys if self.values else self.dim

    @property
    def n(self) -> Number:
        """Columns: the keys, or the head's dimensions."""
        return self.dim if self.values else self.keys

    @property
    def multiplications(self) -> Number:
        """Multiplications of all occurrences."""
        return self.times * self.heads * self.dim * self.sequences * self.pairs

    @property
    def moved(self) -> Moved:
        """Queries or results once, keys or values once per key head, scores unless fused."""
        rows = self.heads * self.dim * self.sequences * self.queries
        stored = self.kv_heads * self.dim * self.sequences * self.keys if self.reads else 0
        scores = 0 if self.fused else self.batch * self.pairs
        return Moved(
            read=(scores if self.values else rows) + (0 if self.cached else stored),
            kv_read=stored if self.cached else 0,
            written=rows if self.values else scores,
        )


@record
class Softmax(Elementwise):
    """The softmax over the scores. Fields that are not named here: see ``Operator``.

    Attributes:
        heads: query heads of each sequence.
        sequences: sequences.
        pairs: scores of one head.
        fused: whether scores never leave the chip (default).
    """

    kind = "normalization"
    heads: Number
    sequences: Number
    pairs: Number
    fused: bool = True

    @property
    def m(self) -> Number:
        """Heads of all sequences."""
        return self.heads * self.sequences

    @property
    def n(self) -> Number:
        """Scores of one head."""
        return self.pairs

    @property
    def elementwise_flops(self) -> Number:
        """Five operations per score."""
        return self.times * SOFTMAX_OPERATIONS * self.heads * self.sequences * self.pairs

    @property
    def moved(self) -> Moved:
        """Nothing when fused, else the scores in and out."""
        scores = 0 if self.fused else self.m * self.n
        return Moved(read=scores, written=scores)


@record
class Pass(Elementwise):
    """One pass over rows: a norm, an activation, a residual, a rotation.

    Fields that are not named here: see ``Operator``.

    Attributes:
        m: rows.
        n: elements of a row.
        operations: FLOPs for each element.
        kind: class of work: ``element-wise`` (default) or ``normalization``.
        inputs: arrays of that size that are read, 1 by default.
        outputs: arrays that are written, 1 by default.
        weights: elements of parameters that are read, 0 by default.
        fused: whether it is part of its neighbour, and moves no rows.
    """

    m: Number
    n: Number
    operations: Number
    kind: str = "element-wise"
    inputs: int = 1
    outputs: int = 1
    weights: Number = 0
    fused: bool = False

    @property
    def elementwise_flops(self) -> Number:
        """``operations`` for each element."""
        return self.times * self.operations * self.n * self.m

    @property
    def moved(self) -> Moved:
        """Rows in and out."""
        if self.fused:
            return Moved(unquantized=self.weights)
        elements = self.n * self.m
        read, written = self.inputs * elements, self.outputs * elements
        return Moved(unquantized=self.weights, read=read, written=written)


@record
class Lookup(Elementwise):
    """Rows read from a table by index: no arithmetic. Other fields: see ``Operator``.

    Attributes:
        m: rows that are looked up.
        n: elements of a row.
    """

    kind = "gather"
    m: Number
    n: Number

    @property
    def moved(self) -> Moved:
        """The rows that are looked up, not the table."""
        elements = self.n * self.m
        return Moved(unquantized=elements, written=elements)


@record
class Convolve(Operator):
    """A convolution over positions. Fields that are not named here: see ``Operator``.

    Attributes:
        m: output positions.
        k: channels of a group x taps: what is summed over.
        n: output channels.
        channels: input channels.
        bias: whether a bias is added.
    """

    kind = "convolution"
    m: Number
    k: Number
    n: Number
    channels: Number
    bias: bool = False

    @property
    def elementwise_flops(self) -> Number:
        """The additions of the bias."""
        return self.times * self.n * self.m if self.bias else 0

    @property
    def moved(self) -> Moved:
        """Kernel and bias once, one row of input channels per output position."""
        weights = self.k * self.n + (self.n if self.bias else 0)
        return Moved(unquantized=weights, read=self.channels * self.m, written=self.n * self.m)


@record
class Scan(Operator):
    """A recurrence over tokens. Fields that are not named here: see ``Operator``.

    Attributes:
        m: tokens.
        k: multiply-adds that read one element of the state, for each token.
        n: elements of the state that each token updates.
        sequences: sequences.
        stored: elements of state a sequence, read once and written once.
        updates: FLOPs that renew one element of the state, for each token.
        kept: states of a sequence that are written; 1 by default, the last.
    """

    kind = "scan"
    m: Number
    k: Number
    n: Number
    sequences: Number
    stored: Number
    updates: int
    kept: Number = 1

    @property
    def elementwise_flops(self) -> Number:
        """The update of the state, for each token."""
        return self.times * self.updates * self.n * self.m

    @property
    def moved(self) -> Moved:
        """The state, once in, and out as often as it is kept."""
        state = self.stored * self.sequences
        return Moved(kv_read=state, kv_written=state * self.kept)

    @property
    def shape(self) -> str:
        """Tokens, multiply-adds and states."""
        return f"{self.m} x {self.k} x {self.n}"
