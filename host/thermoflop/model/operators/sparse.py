"""Operators of the indexer, which scores every key and chooses those that attention meets."""

from __future__ import annotations

from thermoflop.base.number import ceil_div
from thermoflop.base.record import record
from thermoflop.model.operators.context import elementwise, normalize
from thermoflop.model.operators.operator import Moved, Operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.base.number import Number
    from thermoflop.model.architecture.sparse import Indexer
    from thermoflop.model.operators.context import EmitContext


@record
class Index(Operator):
    """Scores of all keys in every head of the indexer. Other fields: see ``Operator``.

    Attributes:
        m: heads of all sequences.
        k: multiplications for each pair: the dimensions, and one by the weight of the head.
        n: pairs of query and key in each head.
        queries: queries of all sequences and heads, elements.
        keys: elements of all keys, which are read from the cache.
        scores: elements of the scores that are written for the choice.
    """

    name: str
    part: str
    group: str
    times: Number
    m: Number
    k: Number
    n: Number
    queries: Number
    keys: Number
    scores: Number

    @property
    def moved(self) -> Moved:
        """Queries and keys once, and the scores, of which the largest are chosen."""
        return Moved(read=self.queries, kv_read=self.keys, written=self.scores)


def index_operators(
    indexer: Indexer, scope: EmitContext, keys: Number, pairs: Number
) -> Iterator[Operator]:
    """The indexer on ``keys`` keys: ``pairs`` of query and key in each head of a sequence."""
    tokens, heads, sequences = scope.tokens, indexer.heads, scope.sequences
    yield scope.linear(indexer.queries(), tokens)
    for linear in indexer.key_linears():
        yield scope.linear(linear, tokens, "kv")
    for linear in indexer.weights():
        yield scope.linear(linear, tokens)
    for norm in indexer.norms():
        yield normalize(norm, scope)
    yield elementwise("index rotary", scope, tokens, (heads + 1) * indexer.rotary, 3)
    yield Index(
        "index scores",
        scope.part,
        "indexer_score",
        scope.times,
        heads * sequences,
        indexer.dim + int(indexer.weighted),
        pairs,
        heads * indexer.dim * tokens,
        indexer.dim * sequences * keys,
        sequences * (pairs if indexer.weighted else heads * ceil_div(pairs, indexer.block)),
    )
    # a relu, or the larger of two, for each head and pair; choosing compares and computes nothing
    yield elementwise("index relu", scope, sequences * pairs, heads, 1)
