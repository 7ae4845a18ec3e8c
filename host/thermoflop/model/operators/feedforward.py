"""Operators of MLPs and mixtures of experts."""

from __future__ import annotations

from thermoflop.base.number import Number, distinct_experts
from thermoflop.model.architecture.feedforward import FeedForward, Mlp, Moe
from thermoflop.model.architecture.parts import Linear, Norm
from thermoflop.model.operators.context import EmitContext, elementwise, normalize
from thermoflop.model.operators.kinds import SOFTMAX_OPERATIONS
from thermoflop.model.operators.operator import Operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def feed_operators(feed: FeedForward, scope: EmitContext) -> Iterator[Operator]:
    """The operators of a feed-forward block on every token."""
    if isinstance(feed, Moe):
        yield from _mixture(feed, scope)
    else:
        yield from _mlp(feed, scope, scope.tokens)


def _mlp(mlp: Mlp, scope: EmitContext, rows: Number, sets: Number = 1) -> Iterator[Operator]:
    """Up (and gate), activation, down."""
    *ups, down = (scope.linear(linear, rows, sets=sets) for linear in mlp.linears())
    yield from ups
    inputs = 2 if mlp.gated else 1
    yield elementwise(mlp.product, scope, rows, mlp.inner, mlp.operations, inputs)
    for part in mlp.extras:
        if isinstance(part, Norm):
            yield normalize(part, scope, rows)
        elif isinstance(part, Linear):
            yield scope.linear(part, rows)
    yield down


def _mixture(moe: Moe, scope: EmitContext) -> Iterator[Operator]:
    """Router, experts on the tokens routed to them, shared experts on all."""
    tokens, step = scope.tokens, scope.step
    yield from (scope.linear(linear, tokens) for linear in moe.before_router())
    yield from (normalize(norm, scope) for norm in moe.router_norms())
    yield scope.linear(moe.router(), tokens)
    # the operations of a softmax; choosing the top-k compares and computes nothing
    yield elementwise("routing softmax", scope, tokens, moe.scored, SOFTMAX_OPERATIONS)
    everyone = step.experts == "all"
    fan_out = moe.experts if everyone else moe.top_k
    sets = _sets_read(moe, tokens, "all" if everyone else step.expert_reads)
    routed = tokens * fan_out
    yield from (scope.linear(linear, tokens) for linear in moe.latents()[:1])
    yield from _mlp(moe.expert, scope, routed, sets)
    # each expert's result times its weight, and the sum
    yield elementwise("combine experts", scope, routed, moe.expert.hidden, 2)
    yield from (normalize(norm, scope) for norm in moe.norms())
    yield from (scope.linear(linear, tokens) for linear in moe.latents()[1:])
    if moe.shared is not None:
        yield from _mlp(moe.shared, scope, tokens)
    if moe.shared_gate:
        yield scope.linear(moe.gate(), tokens)


def _sets_read(moe: Moe, tokens: Number, reads: str) -> Number:
    """Experts whose weights a step reads, by the convention of that name."""
    if reads == "all":
        return moe.experts
    return moe.top_k if reads == "fewest" else distinct_experts(moe.experts, moe.top_k, tokens)
