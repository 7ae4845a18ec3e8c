"""Operators of DeepSeek-V4's attention to compressed entries, and of its residual streams."""

from __future__ import annotations

from thermoflop.base.number import Number, kind_of, maximum, minimum
from thermoflop.base.record import replace
from thermoflop.model.operators.attention import attend, pairs_under
from thermoflop.model.operators.context import EmitContext, elementwise, normalize
from thermoflop.model.operators.kinds import SOFTMAX_OPERATIONS
from thermoflop.model.operators.operator import Operator
from thermoflop.model.operators.sparse import Product, index_operators
from thermoflop.model.operators.step import keys_held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.architecture.sparse import CompressedAttention, Compressor, Streams


def compressed_operators(mixer: CompressedAttention, scope: EmitContext) -> Iterator[Operator]:
    """Projections, compression, indexer, scores and values over window and entries, output."""
    tokens = scope.tokens
    queries, expand, key = mixer.inward()
    yield scope.linear(queries, tokens)
    yield scope.linear(expand, tokens)
    yield scope.linear(key, tokens, "kv")
    yield from (normalize(norm, scope) for norm in mixer.norms())
    # queries, the key, and back again the values that were rotated as keys
    yield elementwise("rotary", scope, tokens, (2 * mixer.heads + 1) * mixer.rotary, 3)
    keys = keys_held(scope.cached, scope.new, mixer.window)
    found = pairs_under(scope, mixer.window, None)
    pairs = scope.new * keys if found is None else found
    if mixer.compressor is not None:
        if not mixer.shares:
            yield from _compress(mixer.compressor, scope)
        if mixer.indexer is not None:
            if mixer.indexer.compressor is not None:
                yield _gates(mixer.indexer.compressor, scope)
            scored = _entries(scope, mixer.compressor.ratio, mixer.candidates)
            yield from index_operators(mixer.indexer, scope, *scored)
        entries, seen = _entries(scope, mixer.compressor.ratio, mixer.chosen)
        keys, pairs = keys + entries, pairs + seen
    shape = (mixer.heads, 1, mixer.head_dim, mixer.head_dim)
    yield from attend(scope, "attn", shape, keys, pairs, cached=True, reads_values=False)
    grouped, output = mixer.outward()
    yield replace(scope.linear(grouped, tokens), batch=mixer.o_groups)
    yield scope.linear(output, tokens)


def _gates(compressor: Compressor, scope: EmitContext) -> Operator:
    """The softmax over the gates of a window, and the sum that it weighs."""
    width = compressor.series * compressor.dim
    return elementwise("compress", scope, scope.tokens, width, SOFTMAX_OPERATIONS + 2, 2)


def _compress(compressor: Compressor, scope: EmitContext) -> Iterator[Operator]:
    """What each token adds to an entry, kept until the entry is whole."""
    for linear in compressor.linears():
        yield scope.linear(linear, scope.tokens, "kv")
    if compressor.gated:
        yield _gates(compressor, scope)
    yield normalize(compressor.norm(), scope)


def _entries(scope: EmitContext, ratio: Number, chosen: Number | None) -> tuple[Number, Number]:
    """Entries that are read, and pairs of query and entry, at most ``chosen`` for a query."""
    held = (scope.cached + scope.new) // ratio
    if scope.step.attention == "causal":
        total = _met(scope.cached + scope.new, ratio, chosen) - _met(scope.cached, ratio, chosen)
    else:
        total = scope.new * (held if chosen is None else minimum(held, chosen))
    return (held if chosen is None else minimum(held, scope.new * chosen)), total


def _met(tokens: Number, ratio: Number, chosen: Number | None) -> Number:
    """Entries that the first ``tokens`` queries meet: the x-th meets floor(x / ratio) of them, at
    most ``chosen``."""
    growing = tokens if chosen is None else minimum(tokens, chosen * ratio - 1)
    whole, rest = growing // ratio, growing % ratio
    # 0 + 1 + ... + (whole - 1), each for ratio queries, and whole for what is left
    halved = ratio * whole * (whole - 1)
    total = (halved / 2 if kind_of(halved) == "sympy" else halved // 2) + whole * (rest + 1)
    if chosen is None:
        return total
    return total + maximum(tokens - (chosen * ratio - 1), 0) * chosen


def read_streams(streams: Streams, group: str, scope: EmitContext) -> Iterator[Operator]:
    """The weights of the streams, and their sum that a block reads."""
    role = "attn_proj" if group == "attn" else group
    width, tokens = streams.count * streams.hidden, scope.tokens
    yield normalize(streams.norm(), scope)
    for linear in streams.mappings(group, role):
        yield scope.linear(linear, tokens)
    if streams.rank is not None:
        # an activation of five operations between the two maps, and a sigmoid of each element
        yield elementwise("stream gate", scope, tokens, streams.rank, 5)
        yield elementwise("stream gate", scope, tokens, width, 4)
    # a sigmoid of four operations; a sum and a division by rows, and by columns, each time
    doubly = 4 * streams.iterations * streams.count * streams.count
    yield elementwise("stream weights", scope, tokens, 4 * streams.weights + doubly, 1)
    yield elementwise("read streams", scope, tokens, width, 2)


def write_streams(streams: Streams, scope: EmitContext) -> Iterator[Operator]:
    """Streams mixed with one another, and the block's result added to each."""
    width, tokens = streams.count * streams.hidden, scope.tokens
    where = (scope.part, "streams", scope.times, tokens, streams.count, width)
    if streams.mixing:
        yield Product("mix streams", *where, (width + streams.hidden) * tokens, width * tokens)
    yield elementwise("write streams", scope, tokens, width, 2)
