"""Operators of attention to tokens: with heads of keys, latent, cross."""

from __future__ import annotations

from thermoflop.base.number import Number, ceil_div, minimum
from thermoflop.base.record import replace
from thermoflop.model.architecture.mixers import KEY_MAPS, Attention, LatentAttention, Relative
from thermoflop.model.architecture.parts import Linear, Norm
from thermoflop.model.operators.context import EmitContext, elementwise, normalize
from thermoflop.model.operators.kinds import Attend, MatMul, Softmax
from thermoflop.model.operators.operator import Operator
from thermoflop.model.operators.step import causal_pairs, keys_held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.architecture.sparse import Indexer


def attention_operators(
    mixer: Attention | LatentAttention, scope: EmitContext
) -> Iterator[Operator]:
    """The operators of attention to the tokens, or to an encoder's."""
    if isinstance(mixer, LatentAttention):
        yield from _latent(mixer, scope)
    elif mixer.block is not None:
        yield from _in_blocks(mixer, mixer.block, scope)
    else:
        yield from _cross(mixer, scope) if mixer.cross else _attention(mixer, scope)


def _attention(attention: Attention, scope: EmitContext) -> Iterator[Operator]:
    """Projections, norms, rotation, scores, softmax, values, output."""
    if attention.once:
        scope = replace(scope, sequences=1, tokens=scope.new)
    if attention.padded is not None:
        scope = replace(scope, new=attention.padded, tokens=scope.sequences * attention.padded)
    *inward, output = attention.projections()
    asking = 1 if attention.q_rank is None else 2
    queries, kept = inward[:asking], inward[asking:]
    tokens, stored = scope.tokens, "kv" if scope.causal else "activations"
    yield from (scope.linear(linear, tokens) for linear in queries)
    yield from (scope.linear(linear, tokens, stored) for linear in kept)
    for norm in attention.norms():
        yield normalize(norm, scope)
    if attention.rotary is not None:
        # x cos + rotated(x) sin: two products and a sum an element (Su 2021, RoFormer)
        heads = attention.heads + (attention.kv_heads if kept else 0)
        yield elementwise("rotary", scope, tokens, heads * attention.rotary, 3)
    if attention.indexer is not None:
        yield from _index(attention.indexer, scope)
        keys, pairs = _chosen(scope, attention.indexer.chosen)
    else:
        keys = keys_held(scope.cached, scope.new, attention.reach)
        pairs = pairs_under(scope, attention.window, attention.chunk)
        if attention.near:
            pairs = scope.near
    shape = attention.met
    if attention.relative is not None:
        yield from _positions(attention.relative, scope, shape)
    yield from attend(scope, attention.group, shape, keys, pairs, cached=scope.causal)
    gated = attention.gate
    for part in attention.extras:
        if isinstance(part, Norm):
            yield normalize(part, scope)
        elif isinstance(part, Linear):
            gated = True
            yield scope.linear(part, scope.sequences * keys if part.name in KEY_MAPS else tokens)
    if gated:
        # a sigmoid 1 / (1 + exp(-x)) of four operations, and a product
        yield elementwise("output gate", scope, tokens, attention.q_width, 5, 2)
    for linear in attention.gates():
        yield scope.linear(linear, tokens)
        yield elementwise("head gate", scope, tokens, attention.heads * attention.value_width, 5, 2)
    yield scope.linear(output, tokens)


def _in_blocks(attention: Attention, block: Number, scope: EmitContext) -> Iterator[Operator]:
    """Whole blocks of tokens, each query meeting the keys and the distances of its own."""
    new = ceil_div(scope.new, block) * block
    whole = replace(scope, new=new, tokens=scope.sequences * new)
    *maps, output = attention.projections()
    yield from (whole.linear(linear, whole.tokens) for linear in maps)
    heads, dim = attention.heads, attention.head_dim
    where = (scope.part, "attn_score", scope.times, scope.sequences, heads, heads)
    yield Attend("position keys", *where, new, block, dim, new * block, scope.fused, cached=False)
    yield from attend(whole, attention.group, attention.met, new, new * block, cached=False)
    yield scope.linear(output, scope.tokens)


def _positions(
    relative: Relative, scope: EmitContext, shape: tuple[Number, ...], more: Number = 0
) -> Iterator[Operator]:
    """Relative positions are projected once a layer, and met by every query and key."""
    rows, (heads, _, dim, _) = relative.met(scope.new) + more, shape
    once = relative.once or relative.rows is not None
    projected = rows if once else scope.sequences * rows
    yield from (scope.linear(linear, projected) for linear in relative.linears())
    where = (scope.part, "attn_score", scope.times)
    sizes = (scope.sequences, heads, heads, scope.new, rows, dim, scope.new * rows, scope.fused)
    for name, runs in (("position keys", relative.keys), ("position queries", relative.queries)):
        if runs:
            yield Attend(name, *where, *sizes, cached=False)


def pairs_under(scope: EmitContext, window: Number | None, chunk: Number | None) -> Number | None:
    """Pairs under the causal mask or within the window, or None: all of them. A window of w that
    looks to both sides holds w - 1 tokens before and as many behind."""
    if scope.step.attention == "full" or not (scope.causal or window):
        return None
    if not scope.causal and window is not None:
        if scope.step.attention == "windowed":
            return scope.new * minimum(2 * window - 1, scope.new)
        return 2 * causal_pairs(0, scope.new, window, None) - scope.new  # each meets itself once
    if scope.step.attention == "windowed":
        limit, keys = window if chunk is None else chunk, scope.cached + scope.new
        return scope.new * (keys if limit is None else minimum(limit, keys))
    return causal_pairs(scope.cached, scope.new, window, chunk)


def _index(indexer: Indexer | None, scope: EmitContext) -> Iterator[Operator]:
    """The indexer on every key, if there is one."""
    if indexer is None:
        return
    from thermoflop.model.operators.sparse import index_operators

    keys, pairs = scope.cached + scope.new, pairs_under(scope, None, None)
    pairs = scope.new * keys if pairs is None else pairs
    ratio = indexer.ratio  # a key for as many tokens
    if indexer.pooled:
        keys, pairs = keys // ratio, pairs // ratio
    elif ratio != 1:
        keys, pairs = ceil_div(keys, ratio), ceil_div(pairs, ratio)
    yield from index_operators(indexer, scope, keys, pairs)


def _chosen(scope: EmitContext, limit: Number) -> tuple[Number, Number]:
    """Keys that are read and pairs that are computed where each query meets ``limit`` at most."""
    held = scope.cached + scope.new
    pairs = pairs_under(scope, limit, None)
    keys = minimum(held, limit)
    return minimum(held, scope.new * limit), scope.new * keys if pairs is None else pairs


def attend(
    scope: EmitContext,
    group: str,
    shape: tuple[Number, Number, Number, Number],
    keys: Number,
    pairs: Number | None,
    cached: bool,
    reads_values: bool = True,
) -> Iterator[Operator]:
    """Scores, softmax and values for ``shape`` = heads, key heads, key and value dimensions."""
    heads, kv_heads, key_dim, value_dim = shape
    where = (scope.part, f"{group}_score", scope.times)
    sizes = (scope.sequences, heads, kv_heads, scope.new, keys)
    fused, computed = scope.fused, scope.new * keys if pairs is None else pairs
    yield Attend("scores", *where, *sizes, key_dim, computed, fused, cached)
    softmax = (scope.part, "softmax", scope.times, heads, scope.sequences)
    yield Softmax("softmax", *softmax, computed, fused)
    where = (scope.part, f"{group}_value", scope.times)
    rest = (value_dim, computed, fused, cached, reads_values)
    yield Attend("values", *where, *sizes, *rest, values=True)


def _cross(attention: Attention, scope: EmitContext) -> Iterator[Operator]:
    """Cross attention: keys and values are projected once, when the encoder has run.

    In a tower, which has no cache, they are projected whenever it runs.
    """
    query, *kept, output = attention.projections()
    tokens, cached = scope.tokens, scope.causal
    keys = scope.source + (scope.new if attention.itself else 0)
    yield scope.linear(query, scope.new if attention.once else tokens)
    if scope.step.runs_encoder or not cached:
        stored = "kv" if cached else "activations"
        yield from (scope.linear(linear, scope.sequences * keys, stored) for linear in kept)
    shape = attention.met
    if attention.relative is not None:  # of pooled queries: two for each, and one for each key
        yield from _positions(attention.relative, scope, shape, keys)
    yield from attend(scope, attention.group, shape, keys, None, cached=cached)
    yield scope.linear(output, tokens)


def _latent(mla: LatentAttention, scope: EmitContext) -> Iterator[Operator]:
    """Latent attention in the form that the step names."""
    tokens = scope.tokens
    for linear in mla.queries():
        yield scope.linear(linear, tokens)
    if not mla.shares:
        yield scope.linear(mla.compress(), tokens, "activations" if _expanded(scope) else "kv")
    for norm in mla.norms():
        yield normalize(norm, scope)
    if mla.rotation:
        yield elementwise("rotary", scope, tokens, (mla.heads + 1) * mla.rope, 3)
    held = keys_held(scope.cached, scope.new, mla.window)
    yield from _index(mla.indexer, scope)
    if mla.limit is None:
        keys, pairs = held, pairs_under(scope, mla.window, None)
    else:
        keys, pairs = _chosen(scope, mla.limit)
    if scope.step.mla == "absorbed":
        yield from _absorbed(mla, scope, keys, pairs)
    else:
        yield _expansion(mla, scope, held)
        shape = (mla.heads, mla.heads, mla.key_dim, mla.value_dim)
        yield from attend(scope, "attn", shape, keys, pairs, cached=_expanded(scope))
    yield from (scope.linear(linear, tokens) for linear in mla.gates())
    if mla.query_gate or mla.gates():
        yield elementwise("output gate", scope, tokens, mla.heads * mla.value_dim, 5, 2)
    yield scope.linear(mla.output(), tokens)


def _expanded(scope: EmitContext) -> bool:
    return scope.step.mla == "expanded"


def _expansion(mla: LatentAttention, scope: EmitContext, keys: Number) -> MatMul:
    """Latent to keys and values: of the new tokens, or of the whole cache again."""
    if _expanded(scope):
        return scope.linear(mla.expand(), scope.tokens, "kv")
    return replace(scope.linear(mla.expand(), scope.sequences * keys), source="kv")


def _absorbed(
    mla: LatentAttention, scope: EmitContext, keys: Number, pairs: Number | None
) -> Iterator[Operator]:
    """Queries are taken into the latent, which then serves as key and value of every head.

    The two products with the expansion commute with attention (DeepSeek-V2, section 2.1.2), so a
    decode step reads one latent a token instead of the keys and values of all heads.
    """
    where, rank = (scope.part, "attn_proj", scope.times, scope.tokens), mla.kv_rank
    yield MatMul("absorb keys", *where, mla.nope, rank, batch=mla.heads)
    shape = (mla.heads, 1, rank + mla.rope, rank)
    yield from attend(scope, "attn", shape, keys, pairs, cached=True, reads_values=False)
    yield MatMul("absorb values", *where, rank, mla.value_dim, batch=mla.heads)
