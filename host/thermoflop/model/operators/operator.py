"""What every operator of a step has, and what it moves: in elements, and as bytes."""

from __future__ import annotations

from thermoflop.base.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.model.architecture.formats import Formats


@record
class Traffic:
    """Bytes moved, by what is moved: of one operator in all its layers, or of a whole table.

    Whole numbers, or arrays of the shape of a sweep.

    Attributes:
        weights: bytes of weights read.
        read: bytes of activations read.
        written: bytes of activations written.
        kv_read: bytes of keys, values and states read from the cache.
        kv_written: bytes written to it.

    Example:
        >>> import thermoflop as tf
        >>> traffic = tf.load_model("gpt2").decode(1023).traffic
        >>> traffic.kv_read == 1024 * 36_864  # 2 (keys, values) x 12 layers x 768 x 2 bytes
        True
        >>> traffic.total == traffic.weights + traffic.activations + traffic.kv_read + 36_864
        True
    """

    weights: Number
    read: Number
    written: Number
    kv_read: Number
    kv_written: Number

    @property
    def activations(self) -> Number:
        """Bytes of activations, read and written."""
        return self.read + self.written

    @property
    def total(self) -> Number:
        """Bytes of everything."""
        return self.weights + self.read + self.written + self.kv_read + self.kv_written

    def by_kind(self) -> dict[str, Number]:
        """The bytes under the names that tables use.

        Returns:
            Bytes of ``weights``, ``activations``, ``kv_read`` and ``kv_write``.
        """
        return {
            "weights": self.weights,
            "activations": self.activations,
            "kv_read": self.kv_read,
            "kv_write": self.kv_written,
        }


@record
class Moved:
    """Elements that one occurrence of an operator moves, by what they are.

    Attributes:
        weights: weights read that quantization makes narrow.
        unquantized: other weights read: heads, tables, norms, biases, routers.
        read: activations read.
        written: activations written.
        kv_read: keys, values or recurrent states read from the cache.
        kv_written: keys, values or recurrent states written to it.

    Example:
        >>> import thermoflop as tf
        >>> tf.load_model("gpt2").decode(1023).operators[-1].moved  # the head: 768 x 50257
        Moved(unquantized=38597376, read=768, written=50257)
    """

    weights: Number = 0
    unquantized: Number = 0
    read: Number = 0
    written: Number = 0
    kv_read: Number = 0
    kv_written: Number = 0

    def traffic(self, formats: Formats) -> Traffic:
        """The elements as bytes.

        Args:
            formats: number formats, such as those of a table.

        Returns:
            Bytes, by what is moved.
        """
        unquantized = formats.unquantized.bytes_of(self.unquantized)
        return Traffic(
            formats.weights.bytes_of(self.weights) + unquantized,
            formats.activations.bytes_of(self.read),
            formats.activations.bytes_of(self.written),
            formats.cache.bytes_of(self.kv_read),
            formats.cache.bytes_of(self.kv_written),
        )


@record
class Operator:
    """What all operators share. Sizes are whole numbers, arrays in a sweep, or symbols.

    Shape: ``batch`` independent products (1 but where a kind says more) of (``m`` x ``k``) with
    (``k`` x ``n``); for what does not multiply, ``m`` rows of ``n`` elements. ``kind`` is its class
    of work.

    Attributes:
        name: what it is: ``q_proj``, ``softmax``, ...
        part: the kind of layer, front, tail or head that it belongs to.
        group: its row in ``OperatorTable.by_group``.
        times: how many equal layers run it; counts cover all of them.

    Example:
        >>> import thermoflop as tf
        >>> head = tf.load_model("gpt2").decode(1023).operators[-1]
        >>> head.shape, head.flops == 2 * 768 * 50257
        ('(1 x 768)(768 x 50257)', True)
    """

    kind = "contraction"
    batch = 1
    name: str
    part: str
    group: str
    times: Number
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


class Elementwise(Operator):
    """What multiplies nothing: ``m`` rows of ``n`` elements."""

    @property
    def multiplications(self) -> Number:
        """None: see ``elementwise_flops``."""
        return 0

    @property
    def shape(self) -> str:
        """Rows and elements."""
        return f"{self.m} x {self.n}"
