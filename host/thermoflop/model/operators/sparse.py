"""Operators of the indexer, which scores every key and chooses those that attention meets."""

from __future__ import annotations

from thermoflop.base.number import Number, ceil_div
from thermoflop.base.record import record
from thermoflop.model.operators.context import EmitContext, elementwise, normalize
from thermoflop.model.operators.operator import Moved, Operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.architecture.sparse import Indexer


@record
class Product(Operator):
    """Products of activations, with what they move beside. Other fields: see ``Operator``.

    Attributes:
        m: rows.
        k: what is summed over.
        n: columns.
        read: elements of activations that are read.
        written: elements of activations that are written.
        kv_read: elements that are read from the cache, 0 by default.
    """

    m: Number
    k: Number
    n: Number
    read: Number
    written: Number
    kv_read: Number = 0

    @property
    def moved(self) -> Moved:
        """What its maker says."""
        return Moved(read=self.read, kv_read=self.kv_read, written=self.written)


def index_operators(
    indexer: Indexer, scope: EmitContext, keys: Number, pairs: Number
) -> Iterator[Operator]:
    """The indexer on ``keys`` keys: ``pairs`` of query and key in each head of a sequence.

    Where keys are compressed entries that attention meets as well, the class sums up the heads
    element by element, and FlopCounterMode sees no product; else it is one multiplication more for
    each head and pair.
    """
    tokens, heads, sequences = scope.tokens, indexer.heads, scope.sequences
    yield scope.linear(indexer.queries(), tokens)
    for linear in indexer.key_linears():
        yield scope.linear(linear, tokens, "kv")
    for linear in indexer.weights():
        yield scope.linear(linear, tokens)
    for norm in indexer.norms():
        yield normalize(norm, scope)
    yield elementwise("index rotary", scope, tokens, (heads + 1) * indexer.rotary, 3)
    weighing = int(indexer.weighted and (indexer.compressor is None or indexer.block != 1))
    where = (scope.part, "indexer_score", scope.times, heads * sequences, indexer.dim + weighing)
    summed = indexer.weighted or indexer.pooled  # over heads; else each chooses for itself
    scores = pairs if summed else heads * ceil_div(pairs, indexer.block)
    queries, stored = heads * indexer.dim * tokens, indexer.dim * sequences * keys
    yield Product("index scores", *where, pairs, queries, sequences * scores, stored)
    # a relu, or the larger of two, for each head and pair; choosing compares and computes nothing
    yield elementwise("index relu", scope, sequences * pairs, heads, 1)
