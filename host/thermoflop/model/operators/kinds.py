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

from thermoflop.base.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.base.number import Number

# Softmax, per score: scale, subtract the maximum, exponential, add, divide.
SOFTMAX_OPERATIONS = 5


@record
class Moved:
    """Elements moved by one occurrence, by what they are.

    ``weights`` may be quantized; ``unquantized`` are weights that stay in the format of the
    activations (norms, biases, tables, heads, routers). ``read`` and ``written`` are activations.
    ``kv_read`` and ``kv_written`` are keys, values or recurrent states in the cache.
    """

    weights: Number = 0
    unquantized: Number = 0
    read: Number = 0
    written: Number = 0
    kv_read: Number = 0
    kv_written: Number = 0


class Operator:
    """What all operators share. ``part`` is the layer kind it belongs to, ``group`` its FLOP row.

    Shape: ``batch`` independent products of (``m`` x ``k``) with (``k`` x ``n``); for what does
    not multiply, ``m`` rows of ``n`` elements.
    """

    kind = "contraction"
    name: str
    part: str
    group: str
    times: Number
    batch: Number = 1
    if TYPE_CHECKING:

        @property
        def m(self) -> Number:
            """Rows of the left matrix."""

        @property
        def k(self) -> Number:
            """What is summed over."""

        @property
        def n(self) -> Number:
            """Columns of the right matrix."""

        @property
        def moved(self) -> Moved:
            """Elements moved by one occurrence."""

    @property
    def per_row(self) -> Number:
        """Multiplications of all occurrences for each of the ``m`` rows; 0 for what has none."""
        return self.times * self.batch * self.k * self.n

    @property
    def multiplications(self) -> Number:
        """Multiplications of all occurrences; 0 for what only moves or works on elements."""
        return self.per_row * self.m

    @property
    def flops(self) -> Number:
        """FLOPs of contractions, convolutions and scans: 2 for each multiply-add."""
        return 2 * self.multiplications

    @property
    def elementwise_flops(self) -> Number:
        """Operations on single elements, of all occurrences: one for each arithmetic operation."""
        return 0

    @property
    def shape(self) -> str:
        """The shape as people write it."""
        head = "" if isinstance(self.batch, int) and self.batch == 1 else f"{self.batch} x "
        return f"{head}({self.m} x {self.k})({self.k} x {self.n})"


@record
class MatMul(Operator):
    """Rows times a weight matrix, ``sets`` different matrices being read (experts).

    ``source`` and ``target`` say where the rows come from and where the result goes:
    ``activations`` or ``kv``, the cache.
    """

    name: str
    part: str
    group: str
    times: Number
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
    """Queries against keys (``scores``) or weights against values (``values``).

    ``sequences`` of ``heads`` query heads share ``kv_heads`` key heads. ``pairs`` of query and key
    are computed in each head: all of them, or those under the causal mask. ``fused``: the
    scores never leave the chip. ``cached``: keys or values are read from the cache.
    """

    name: str
    part: str
    group: str
    times: Number
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
    def batch(self) -> Number:
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
class Softmax(Operator):
    """The softmax over ``pairs`` scores of each of ``heads`` heads of each sequence."""

    kind = "normalization"
    name: str
    part: str
    group: str
    times: Number
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
    def multiplications(self) -> Number:
        """None: see ``elementwise_flops``."""
        return 0

    @property
    def elementwise_flops(self) -> Number:
        """Five operations per score."""
        return self.times * SOFTMAX_OPERATIONS * self.heads * self.sequences * self.pairs

    @property
    def moved(self) -> Moved:
        """Nothing when fused, else the scores in and out."""
        scores = 0 if self.fused else self.m * self.n
        return Moved(read=scores, written=scores)

    @property
    def shape(self) -> str:
        """Heads and scores."""
        return f"{self.m} x {self.n}"


@record
class Pass(Operator):
    """One pass over ``m`` rows of ``n`` elements: a norm, an activation, a residual, a rotation.

    ``operations`` per element; ``inputs`` arrays read and ``outputs`` written, none of it when
    ``fused`` into a neighbour. ``weights`` elements of parameters are read.
    """

    name: str
    part: str
    group: str
    times: Number
    m: Number
    n: Number
    operations: Number
    kind: str = "element-wise"
    inputs: int = 1
    outputs: int = 1
    weights: Number = 0
    fused: bool = False

    @property
    def multiplications(self) -> Number:
        """None: see ``elementwise_flops``."""
        return 0

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

    @property
    def shape(self) -> str:
        """Rows and elements."""
        return f"{self.m} x {self.n}"


@record
class Lookup(Operator):
    """``m`` rows of ``n`` elements read from a table by index: no arithmetic."""

    kind = "gather"
    name: str
    part: str
    group: str
    times: Number
    m: Number
    n: Number

    @property
    def multiplications(self) -> Number:
        """None."""
        return 0

    @property
    def moved(self) -> Moved:
        """The rows that are looked up, not the table."""
        elements = self.n * self.m
        return Moved(unquantized=elements, written=elements)

    @property
    def shape(self) -> str:
        """Rows and elements."""
        return f"{self.m} x {self.n}"


@record
class Convolve(Operator):
    """``m`` output positions of ``n`` channels, each from ``k`` = channels of its group x taps."""

    kind = "convolution"
    name: str
    part: str
    group: str
    times: Number
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
    """A recurrence over ``m`` tokens: ``k`` multiply-adds read each of ``n`` state elements.

    ``updates`` element-wise operations per state element renew it. ``stored`` elements of state
    per sequence are read and written.
    """

    kind = "scan"
    name: str
    part: str
    group: str
    times: Number
    m: Number
    k: Number
    n: Number
    sequences: Number
    stored: Number
    updates: int

    @property
    def elementwise_flops(self) -> Number:
        """The update of the state, for each token."""
        return self.times * self.updates * self.n * self.m

    @property
    def moved(self) -> Moved:
        """The state, once in and once out."""
        state = self.stored * self.sequences
        return Moved(kv_read=state, kv_written=state)

    @property
    def shape(self) -> str:
        """Tokens, multiply-adds and states."""
        return f"{self.m} x {self.k} x {self.n}"
