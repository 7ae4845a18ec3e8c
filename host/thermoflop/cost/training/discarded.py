"""What fine-grained recomputation does not keep of a layer, in elements a token.

The results of norms, whose inputs are the residual stream; the product of activation and gate, made
of what goes in; and of latent attention queries, keys and values, made of the latents (see
``operators.again``). What is kept of latent attention then: the latents, the rotated key that all
heads share, output gates, and what the heads come to, which the output projection reads.
"""

from __future__ import annotations

from thermoflop.cost.work.share import Layout
from thermoflop.model.architecture.description import Layer
from thermoflop.model.architecture.feedforward import FeedForward, Moe
from thermoflop.model.architecture.mixers import LatentAttention
from thermoflop.model.architecture.parts import Norm
from thermoflop.model.operators.again import norms_of_stream

# How kernels of a gated feed-forward make its gradients: those of gate and up in their places
# (Liger, ``swiglu_backward``), or besides with the product made again in the place of its gradient,
# and so not kept (Unsloth, ``LoRA_MLP``: ``h, df, de = DW, e, g``).
IN_PLACE, FUSED = FEED_FORWARDS = ("in-place", "fused")
BLOCKS = 2  # attention and feed-forward; a decoder's cross attention is a third


def blocks_of(layer: Layer) -> int:
    """Blocks whose inputs a layer keeps."""
    return BLOCKS if layer.cross is None else BLOCKS + 1


def discarded_norms(layer: Layer) -> int:
    """Norms whose results are not kept: one a block."""
    return min(len(norms_of_stream(layer)), blocks_of(layer))


def neurons(feed: FeedForward | None) -> float:
    """Neurons that a token passes: elements of the product of activation and gate."""
    if feed is None:
        return 0.0
    if not isinstance(feed, Moe):
        return float(feed.inner)
    shared = 0 if feed.shared is None else feed.shared.inner
    return float(feed.expert.inner * feed.top_k + shared)


def dispatched(feed: FeedForward | None, plan: Layout) -> float:
    """Elements of a token as experts read them, once for each that it chose: their products keep
    what they read for the gradients of their weights (Megatron-Core, transformer/moe/experts.py:
    the permuted hidden states; a shared expert reads what the norm before it has made). Tensor
    parallelism divides them as far as it divides tokens or experts: a part of an expert reads all
    of a token, and so they count tp / ep times."""
    if not isinstance(feed, Moe):
        return 0.0
    return float(feed.top_k * feed.expert.hidden * max(1.0, plan.tp / plan.ep))


def is_gated(feed: FeedForward) -> bool:
    """Whether a feed-forward's activations are multiplied by gates."""
    return feed.expert.gated if isinstance(feed, Moe) else feed.gated


def kept_of_feed(feed: FeedForward | None, plan: Layout) -> float:
    """Elements a token that a feed-forward keeps: of each neuron what goes in, the gate's and what
    comes out; and what experts read."""
    if feed is None:
        return 0.0
    return neurons(feed) * (3 if is_gated(feed) else 2) + dispatched(feed, plan)


def is_in_place(feed: FeedForward | None, how: str | None) -> bool:
    """Whether a feed-forward's gradients take the places of what it keeps: one whose experts are
    none, gated, with kernels that do so."""
    return how is not None and feed is not None and not isinstance(feed, Moe) and is_gated(feed)


def remade_of_feed(feed: FeedForward | None, how: str | None) -> float:
    """Elements a token that a feed-forward keeps by other kernels, and not by these."""
    return neurons(feed) if how == FUSED and is_in_place(feed, how) else 0.0


def gradients_of_feed(feed: FeedForward | None, plan: Layout, how: str | None) -> float:
    """Elements a token of a feed-forward's gradients, beside what it keeps: as many, or those of
    the product alone."""
    return neurons(feed) if is_in_place(feed, how) else kept_of_feed(feed, plan)


def kept_eagerly(layer: Layer, wide: float, how: str | None, *, again: bool) -> float:
    """Bytes a token that kernels of their own keep besides: an RMSNorm written in PyTorch its input
    in fp32, a gate the result of its activation; what is not made ``again`` of it."""
    parts = layer.norms_after if again else layer.parts()
    norms = (part for part in parts if isinstance(part, Norm) and part.kind == "rms")
    feed, wider = layer.feed, sum(part.width for part in norms if part.width == layer.hidden)
    gated = feed is not None and is_gated(feed) and not (again or is_in_place(feed, how))
    return float(4 * wider + wide * (neurons(feed) if gated else 0.0))


def _latent(layer: Layer) -> list[LatentAttention]:
    return [mixer for mixer in layer.mixers if isinstance(mixer, LatentAttention)]


def results_of_heads(layer: Layer) -> float:
    """Elements that the heads of latent attention come to."""
    return float(sum(mixer.heads * mixer.value_dim for mixer in _latent(layer)))


def kept_of_attention(layer: Layer, otherwise: float) -> float:
    """Elements that attention keeps: of latents those that they are made of again."""
    kept = otherwise
    for mixer in _latent(layer):
        latents = 0 if mixer.shares else mixer.kv_rank + mixer.rope
        gates = sum(gate.outputs for gate in mixer.gates())
        kept = float(mixer.heads * mixer.value_dim + (mixer.q_rank or 0) + latents + gates)
    return kept


def _of_heads(layer: Layer) -> float:
    """Elements of queries, keys and values that are made of latents."""
    return float(sum(
        mixer.upward()[0].outputs + mixer.heads * (mixer.key_dim + mixer.value_dim)
        for mixer in _latent(layer)
    ))  # fmt: skip


def whole_attention(layer: Layer, otherwise: float) -> float:
    """Elements that attention keeps where nothing is made again: of latents, what they are made of,
    and queries, keys and values of every head, which the kernel reads again."""
    return kept_of_attention(layer, otherwise) + _of_heads(layer)


def made_inside(layer: Layer) -> float:
    """Elements inside a layer's blocks that are made again: what tensor parallelism divides."""
    return _of_heads(layer) + neurons(layer.feed)
