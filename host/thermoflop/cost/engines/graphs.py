"""llama.cpp's compute buffer: what is alive at the fullest moment of its graph of one micro-batch.

``graph_reserve`` of ``llama-context.cpp`` lays a graph of ``ubatch_size`` tokens and a full cache
out. States are in fp32, masks of attention have a row a token and a column a cell. Builds from May
2026 on have them in 16 bits alone (llama.cpp pull request 23764), logits of one token a slot where
llama-server runs (23861), and room for what CUDA's kernels make of a quantized layer of the cache
in 16 bits (23907); those before copied masks from fp32, and had logits of every token.
"""

from __future__ import annotations

from thermoflop.cost.engines.placement import cells_of, place
from thermoflop.cost.work.weights import is_beside
from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from thermoflop.cost.work.share import Share
    from thermoflop.model.architecture.description import Layer
    from thermoflop.model.architecture.feedforward import Mlp

WIDE, HALF = 4.0, 2.0
# The first build with all three.
NARROWED = 9500
# States as wide as the model that stay while feed-forward and attention are computed, and queries
# of attention (queries, themselves turned, results; turned once more for a quantized cache).
FEED_STATES, ATTENTION_STATES, QUERIES, QUERIES_TURNED = 3, 2, 3, 5
# Rows that every layer reads a part of: as they were looked up, and with what tokens add.
ROWS = 2


def compute_buffer(
    share: Share, options: Mapping[str, Any], context: int, slots: int, cuda: bool = True
) -> float:
    """Bytes of the buffer for ``slots`` of ``context`` tokens, each with a mask of its own; without
    flash attention it holds the scores of all heads with their mask."""
    ubatch = _micro_batch(options, context, slots)
    newest = (options["build"] or NARROWED) >= NARROWED
    hidden = hidden_of(share)
    states = FEED_STATES * hidden + ROWS * _rows_width(share)
    rows = min(ubatch, options["n_outputs_max"] or (slots if newest else ubatch))
    last = WIDE * rows * (vocabulary_of(share) + hidden)
    feed = WIDE * ubatch * (states + max(map(_feed_width, _layers(share)), default=0.0))
    if not options["flash_attn"]:
        return max(last, feed, WIDE * ubatch * context * (_heads(share) + 1))
    quantized = share.precision.kv_bytes < HALF
    mask, cached = _masks(share, options, context, slots)
    queries = (QUERIES_TURNED if quantized else QUERIES) * _query_width(share)
    attention = WIDE * ubatch * (ATTENTION_STATES * hidden + queries)
    attention += (cached if quantized and cuda else 0.0) if newest else WIDE / HALF * mask
    return max(last, mask + max(feed, attention))


def _masks(
    share: Share, options: Mapping[str, Any], context: int, slots: int
) -> tuple[float, float]:
    """Bytes of the masks of whole caches and of windows, and of a layer's cache in 16 bits."""
    ubatch, full = _micro_batch(options, context, slots), options["swa_full"]
    caches = place(share, options["n_gpu_layers"], devices=share.plan.pp).caches
    held = [
        (cells_of(context, None if full or each.window is None else float(each.window), ubatch),
         float(each.elements))
        for each in caches if each.elements
    ]  # fmt: skip
    masks = HALF * ubatch * sum({cells for cells, _ in held})
    return masks, HALF * slots * max((cells * wide for cells, wide in held), default=0.0)


def _micro_batch(options: Mapping[str, Any], context: int, slots: int) -> int:
    """Tokens of a micro-batch: of a batch at most, and of all slots."""
    return int(
        min(options["ubatch_size"], options["batch_size"], slots * cells_of(context, None, 0))
    )


def _layers(share: Share) -> list[Layer]:
    """The layers of the text on the device."""
    description = share.description
    return [
        run.layer
        for stack in description.stacks
        for run in stack.runs
        if not is_beside(description, stack.role)
    ]


def _rows_width(share: Share) -> float:
    """Elements of a token's rows in tables of what every layer reads (Gemma 3n and 4)."""
    hidden = hidden_of(share)
    front = (placed.part for stack in share.description.stacks for placed in stack.front)
    wide = (float(part.width) for part in front if isinstance(part, Table))
    return sum(each for each in wide if each > hidden)


def hidden_of(share: Share) -> float:
    """The width of the last layer's states."""
    return float(share.whole.stacks[-1].hidden)


def vocabulary_of(share: Share) -> float:
    """How many logits the head writes for a token; 0 without one."""
    head = share.whole.head
    return 0.0 if head is None else float(head.outputs)


def _feed_width(layer: Layer) -> float:
    """Elements a token of a feed-forward: gate, up and their product, and results of experts; with
    biases of each expert gate and up twice, and results thrice (gpt-oss: sums are not in place)."""
    feed = layer.feed
    if not isinstance(feed, Moe):
        return _mlp_width(feed)
    each = _mlp_width(feed.expert) + float(layer.hidden)
    if feed.expert.up_bias:
        each += 2.0 * float(feed.expert.inner) + 2.0 * float(layer.hidden)
    return float(feed.top_k) * each + _mlp_width(feed.shared)


def _mlp_width(mlp: Mlp | None) -> float:
    return 0.0 if mlp is None else float(mlp.inner) * (3 if mlp.gated else 2)


def _heads(share: Share) -> float:
    """Query heads of the widest layer on the device."""
    mixers = (mixer for layer in _layers(share) for mixer in layer.mixers)
    return max((float(getattr(mixer, "heads", 0)) for mixer in mixers), default=0.0)


def _query_width(share: Share) -> float:
    mixers = (mixer for layer in _layers(share) for mixer in layer.mixers)
    wide = (mixer.q_width for mixer in mixers if isinstance(mixer, Attention))
    return max(map(float, wide), default=0.0)
