"""Totals of a table as plain numbers, and their sums over many decode steps in closed form."""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.model.architecture.cache import limits
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.operators.operator import Moved, Traffic
from thermoflop.model.operators.table import OperatorTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.architecture.formats import Formats

_MOVED = tuple(Moved.__annotations__)


@record
class Totals:
    """What a step, or a sum of steps, adds up to. Elements become bytes by ``traffic``.

    Attributes:
        multiplications: multiplications of contractions, convolutions and scans.
        elementwise_flops: FLOPs on single elements.
        weights: elements of weights read that quantization makes narrow.
        unquantized: elements of other weights read: heads, tables, norms, biases, routers.
        read: elements of activations read.
        written: elements of activations written.
        kv_read: elements of keys, values and states read from the cache.
        kv_written: elements written to it.

    Example:
        >>> import thermoflop as tf
        >>> totals = tf.load_model("gpt2").generation(16, 4).totals
        >>> totals.flops == 2 * totals.multiplications
        True
    """

    multiplications: Number
    elementwise_flops: Number
    weights: Number
    unquantized: Number
    read: Number
    written: Number
    kv_read: Number
    kv_written: Number

    @property
    def flops(self) -> Number:
        """FLOPs of contractions, convolutions and scans: 2 for each multiply-add."""
        return 2 * self.multiplications

    def plus(self, other: Totals) -> Totals:
        """The sum of both.

        Args:
            other: totals of other steps.

        Returns:
            The sums, field by field.
        """
        pairs = zip(self.__dict__.values(), other.__dict__.values(), strict=True)
        return Totals(*(mine + theirs for mine, theirs in pairs))

    def traffic(self, formats: Formats) -> Traffic:
        """The elements as bytes.

        Args:
            formats: number formats, such as those of a table.

        Returns:
            Bytes moved, by what is moved.
        """
        return Moved(*(getattr(self, name) for name in _MOVED)).traffic(formats)


NOTHING = Totals(0, 0, 0, 0, 0, 0, 0, 0)


def totals_of(table: OperatorTable) -> Totals:
    """The totals of one step."""
    moved = dict.fromkeys(_MOVED, 0)
    for operator in table:
        elements = operator.moved.__dict__
        for name in _MOVED:
            moved[name] = moved[name] + operator.times * elements[name]
    return Totals(table.multiplications, table.elementwise_flops, *moved.values())


def series(first: Totals, last: Totals, steps: int) -> Totals:
    """The sum over ``steps`` steps of totals that grow evenly from ``first`` to ``last``."""
    pairs = zip(first.__dict__.values(), last.__dict__.values(), strict=True)
    return Totals(*(_arithmetic_series(low, high, steps) for low, high in pairs))


def _arithmetic_series(low: Number, high: Number, steps: int) -> Number:
    """(low + high) steps / 2; whole numbers stay whole, for the product is then even."""
    doubled = (low + high) * steps
    return doubled / 2 if type(doubled) is float else doubled // 2


def even_pieces(
    description: Description, first: int, last: int, chunked: bool
) -> list[tuple[int, int]]:
    """Ranges of cache lengths, first to last, over which every total grows evenly.

    A window of w stops growing at w - 1 cached tokens; under the causal mask a chunk starts again
    at each of its multiples.
    """
    breaks = {first, *(limit - 1 for limit in limits(description))}
    for mixer in description.mixers:
        if chunked and isinstance(mixer, Attention) and mixer.chunk is not None:
            breaks.update(range(first - first % mixer.chunk, last + 1, mixer.chunk))
    starts = sorted(cut for cut in breaks if first <= cut <= last)
    return [
        (start, (starts[index + 1] if index + 1 < len(starts) else last + 1) - 1)
        for index, start in enumerate(starts)
    ]
