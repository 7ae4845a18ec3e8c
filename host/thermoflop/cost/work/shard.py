"""One device's share of a model: the same description with its parts divided.

Tensor parallel (Shoeybi et al. 2019): heads, feed-forward neurons and vocabulary rows are divided
by ``tp``; where there are fewer KV heads than devices each device keeps one, so that KV is stored
``tp / kv_heads`` times; the latent of MLA, whose one vector serves every head, is on every device,
and so are indexers and compressed entries.
Expert parallel: whole experts are divided by ``ep``, each device meets the tokens routed to its
own: of its tensor-parallel group where that shares the experts, of several replicas beyond it.
Norms and routers are everywhere. The result is an ordinary description, so its operators and counts
come from the same builder.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.feedforward import FeedForward, Mlp
from thermoflop.model.architecture.linear import (
    GatedDelta,
    GeneralizedDelta,
    KimiDelta,
    Lightning,
    MatrixMemory,
)
from thermoflop.model.architecture.mixers import Attention, LatentAttention, Mixer, SideBySide
from thermoflop.model.architecture.parts import LOOKED_UP, Linear, Norm, Part, Table
from thermoflop.model.architecture.recurrences import (
    GatedRecurrence,
    Mamba,
    Mamba2,
    ShortConvolution,
    TimeMix,
)
from thermoflop.model.architecture.sparse import CompressedAttention


def shard(description: Description, tp: int, ep: int) -> Description:
    """What one of ``tp`` (and ``ep``) devices holds and computes.

    UsageError, naming the size, where ``tp`` does not divide heads or neurons, or ``ep`` experts.
    """
    if tp == 1 and ep == 1:
        return description
    stacks = tuple(_stack(stack, tp, ep) for stack in description.stacks)
    head = None if description.head is None else _linear(description.head, tp)
    return replace(description, stacks=stacks, head=head)


def divided(size: int, parts: int, what: str, by: str = "tp") -> int:
    """``size / parts``; UsageError if that is no whole number."""
    if size % parts:
        instead = f", or pp={parts} instead, which splits layers" if by == "tp" else ""
        raise UsageError(
            f"{by}={parts} does not divide {what} ({size}): expected a divisor of {size}{instead}"
        )
    return size // parts


def rows_of(size: int, parts: int) -> int:
    """Rows of a table or head on one device: engines pad the last one."""
    return -(-size // parts)


def _linear(linear: Linear, tp: int) -> Linear:
    return replace(linear, outputs=rows_of(linear.outputs, tp))


def _stack(stack: Stack, tp: int, ep: int) -> Stack:
    """A tower that sees or hears is divided where it can be, and else whole on every device."""
    if stack.role not in ("decoder", "encoder"):
        try:
            return _divided(stack, tp, ep)
        except UsageError:
            return stack
    return _divided(stack, tp, ep)


def _divided(stack: Stack, tp: int, ep: int) -> Stack:
    runs = tuple(replace(run, layer=_layer(run, tp, ep)) for run in stack.runs)
    front = tuple(replace(placed, part=_placed(placed, tp)) for placed in stack.front)
    return replace(stack, runs=runs, front=front)


def _placed(placed: Placed, tp: int) -> Part:
    """Token tables are divided by their rows; everything else is on every device."""
    part = placed.part
    if isinstance(part, Table) and part.group in LOOKED_UP:
        return replace(part, rows=rows_of(part.rows, tp))
    return part


def _layer(run: Run, tp: int, ep: int) -> Layer:
    layer = run.layer
    mixer = None if layer.mixer is None else _mixer(layer.mixer, tp)
    cross = None if layer.cross is None else _attention(layer.cross, tp)
    feed = None if layer.feed is None else _feed(layer.feed, tp, ep)
    idle = None if layer.idle is None else _attention(layer.idle, tp)
    others = tuple(replace(each, part=_placed(each, tp)) for each in layer.others)
    return replace(layer, mixer=mixer, cross=cross, feed=feed, idle=idle, others=others)


# What is divided of other mixers, and what it is called; all else is on every device.
_DIVIDED: dict[type, dict[str, str]] = {
    LatentAttention: {"heads": "the attention heads"},
    CompressedAttention: {"heads": "the attention heads", "o_groups": "the o_groups"},
    Mamba: {"inner": "the channels of Mamba"},
    Mamba2: {"heads": "the heads of Mamba-2"},
    ShortConvolution: {},
    GatedDelta: {"value_heads": "the value heads"},
    KimiDelta: {"heads": "the heads of linear attention"},
    Lightning: {"heads": "the heads of linear attention"},
    GeneralizedDelta: {"heads": "the heads of RWKV"},
    MatrixMemory: {"heads": "the heads of xLSTM"},
    TimeMix: {"inner": "the channels of RWKV"},
    GatedRecurrence: {"heads": "the blocks of the recurrence", "inner": "its channels"},
}
# What of them heads share: one on each device where they are fewer.
_SHARED = {Mamba2: "groups", GatedDelta: "key_heads"}


def _mixer(mixer: Mixer, tp: int) -> Mixer:
    if isinstance(mixer, Attention):
        return _attention(mixer, tp)
    if isinstance(mixer, SideBySide):
        return replace(mixer, mixers=tuple(_mixer(each, tp) for each in mixer.mixers))
    changes = {
        name: divided(getattr(mixer, name), tp, what)
        for name, what in _DIVIDED[type(mixer)].items()
    }
    if shared := _SHARED.get(type(mixer)):
        changes[shared] = max(1, getattr(mixer, shared) // tp)
    return replace(mixer, **changes)


def _attention(attention: Attention, tp: int) -> Attention:
    """Query heads divided; key heads too, or one on each device where they are fewer."""
    heads = divided(attention.heads, tp, "the attention heads")
    if attention.kv_heads >= tp:
        kv_heads = divided(attention.kv_heads, tp, "the KV heads")
    else:
        divided(tp, attention.kv_heads, "the devices of a KV head", "kv_heads")
        kv_heads = 1
    extras = tuple(
        _linear(part, tp) if isinstance(part, Linear) else part for part in attention.extras
    )
    relative = attention.relative
    if relative is not None:
        relative = replace(relative, width=divided(relative.width, tp, "the attention heads"))
    norms = {
        name: _norm_of_heads(getattr(attention, name), *counts)
        for name, counts in (
            ("q_norm", (attention.heads, heads)),
            ("k_norm", (attention.kv_heads, kv_heads)),
            ("v_norm", (attention.kv_heads, kv_heads)),
        )
    }
    joined = None if attention.joined is None else divided(attention.joined, tp, "its results")
    return replace(
        attention, heads=heads, kv_heads=kv_heads, extras=extras, relative=relative, joined=joined,
        **norms,
    )  # fmt: skip


def _norm_of_heads(norm: Norm | None, heads: int, held: int) -> Norm | None:
    """A norm of each head on a device that holds some of them; one over all heads is as wide."""
    if norm is None or norm.vectors != heads:
        return norm
    return replace(norm, vectors=held, copies=held if norm.copies == heads else norm.copies)


def _feed(feed: FeedForward, tp: int, ep: int) -> FeedForward:
    if isinstance(feed, Mlp):
        return _mlp(feed, tp)
    shared = None if feed.shared is None else _mlp(feed.shared, tp)
    if ep == 1:
        return replace(feed, expert=_mlp(feed.expert, tp), shared=shared)
    experts = divided(feed.experts, ep, "the experts", "ep")
    copies = divided(feed.expert.copies, ep, "the experts", "ep")
    inner = replace(feed.expert, copies=copies)
    expert = inner if ep >= tp else _mlp(inner, divided(tp, ep, "tp", "ep"))
    top_k = feed.top_k / min(tp, ep)
    elsewhere = feed.scored - experts
    return replace(
        feed, experts=experts, top_k=top_k, expert=expert, shared=shared, elsewhere=elsewhere
    )


def _mlp(mlp: Mlp, tp: int) -> Mlp:
    return replace(mlp, inner=divided(mlp.inner, tp, "the neurons of the feed-forward"))
