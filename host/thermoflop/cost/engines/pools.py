"""How engines keep the cache: in blocks of a pool, groups of layers, or rows laid out at the start.

vLLM's groups are those of ``v1/core/kv_cache_utils.py``: layers that keep everything, layers of a
window and recurrent layers share one pool whose blocks hold as many layers as the smallest kind
has; Gemma 3, Gemma 2 and gpt-oss come out to the block (logs of vLLM 0.19).
"""

from __future__ import annotations

from math import ceil

from thermoflop.base.record import record, replace
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.engines.options import version_numbers
from thermoflop.cost.engines.placement import cache_bytes, place
from thermoflop.cost.memory import STATE_BYTES, kv_bytes
from thermoflop.cost.work.share import Share
from thermoflop.cost.work.weights import stage_share
from thermoflop.model.architecture.cache import layer_caches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# vLLM's versions. From 0.21 on its "GPU KV cache size" is its "Maximum concurrency" times
# max_model_len (pull request 40694, issue 43308: 55,000 tokens of Gemma 4 31B become 525,000 in the
# same bytes), before it was blocks over groups of layers. From 0.26 on a window holds the tokens of
# two batches (pull request 47728). From 0.28 on prefixes of models with recurrent states are cached
# where nothing is said (pull request 50991), in blocks that hold the last state and the one before.
BY_LONGEST, TWO_BATCHES, STATES_CACHED = (0, 21), (0, 26), (0, 28)
# Tokens that layers for drafts (``--mtp``) draft in a step, where nothing is said: one each.
DRAFTED = 1
# Layers of one kind that fill blocks of another up to this much are padded to it (vLLM).
PADDED = 1.25


@record
class Kind:
    """Layers that keep alike: how many, bytes of a token in each, their window, and the bytes of a
    sequence's state in each."""

    layers: int
    token_bytes: float
    window: float | None = None
    state_bytes: float = 0.0


def kinds_of(share: Share, state_width: float = STATE_BYTES, drafted: int = 0) -> list[Kind]:
    """The kinds of layers on the fullest stage; all that keep every token are one. A state's
    elements are ``state_width`` bytes wide; inputs of ``drafted`` tokens stand beside those that a
    convolution needs."""
    wide = share.precision.activation_bytes
    counts: dict[tuple[float, float | None, float], float] = {}
    for stack in share.description.stacks:
        if stack.role in ("decoder", "mtp") and stack.causal:
            for run in stack.runs:
                for cache in layer_caches(run.layer):
                    window = None if cache.window is None else float(cache.window)
                    inputs = float(cache.inputs)  # of a convolution: as wide as activations
                    state = (float(cache.state_elements) - inputs) * state_width
                    state += (inputs + drafted * float(cache.channels)) * wide
                    key = (float(cache.elements), window, state)
                    counts[key] = counts.get(key, 0.0) + float(run.times)
    width = share.precision.kv_bytes / share.plan.cp
    stage = stage_share(share.description, share.plan.pp)
    found, whole, whole_bytes = [], 0, 0.0
    for (elements, window, states), times in counts.items():
        many = max(1, round(times * stage))
        if window is None and elements and not states:
            whole, whole_bytes = whole + many, whole_bytes + times * stage * elements * width
        elif elements or states:
            found.append(Kind(many, elements * width, window, states))
    if whole:
        found.insert(0, Kind(whole, whole_bytes / whole))
    return found


@record
class Layout:
    """A pool cut into units of ``unit_bytes``: how many a block of ``block_size`` tokens takes, and
    how many a sequence of the context that was asked for, ``window_units`` of them of layers with a
    window and ``state_units`` of recurrent states. ``longest`` and ``longest_units``: the longest
    sequence that is served, where that is known; ``by_longest``: the engine counts tokens by it.

    ``running_units`` are what a sequence takes on the average while it decodes, ``reading_units``
    what prompts that are read take more than that: one, those that are read for each sequence that
    decodes, and all that steps have room for; None: what it may take is laid aside.

    ``fixed_bytes`` of the pool are for no token; where states have a pool apart, a running sequence
    has ``states_each`` of ``state_bytes``, of so many ``states``, or in ``states_share`` of all."""

    unit_bytes: float
    block_size: int
    token_units: float
    sequence_units: float
    window_units: float = 0.0
    state_units: float = 0.0
    longest: int | None = None
    longest_units: float = 0.0
    by_longest: bool = False
    running_units: float | None = None
    reading_units: tuple[float, float, float] = (0.0, 0.0, 0.0)
    fixed_bytes: float = 0.0
    states: int = 0
    states_each: int = 0
    state_bytes: float = 0.0
    states_share: float = 0.0

    @property
    def sequence_bytes(self) -> float:
        """Bytes of the pool that a sequence takes."""
        return self.unit_bytes * self.sequence_units

    def with_beside(self, cache_bytes: float) -> Layout:
        """The same where a sequence takes so many bytes more, of a draft model's cache."""
        own = self.sequence_bytes
        return replace(self, unit_bytes=self.unit_bytes * (1 + cache_bytes / own)) if own else self

    def tokens(self, pool_bytes: float) -> int:
        """Tokens for which a pool has room, as the engine prints it."""
        return self.counted(pool_bytes, self.by_longest)

    def counted(self, pool_bytes: float, by_longest: bool) -> int:
        """The same as many times the longest sequence, or by the block."""
        if not (self.unit_bytes and self.token_units):
            return 0
        units = int(max(0.0, pool_bytes - self.fixed_bytes) / self.unit_bytes)
        if by_longest and self.longest is not None and self.longest_units:
            return int(units / self.longest_units * self.longest)
        return int(units / self.token_units) * self.block_size

    def sequences(self, pool_bytes: float) -> float | None:
        """Sequences of the context for which a pool has room; None where they need none."""
        left = max(0.0, pool_bytes - self.fixed_bytes)
        return left / self.sequence_bytes if self.sequence_bytes else None

    def running(self, pool_bytes: float) -> float | None:
        """Sequences that run at once where each takes blocks as it grows, and one has room."""
        found = self.sequences(pool_bytes)
        if found is None or found < 1 or not self.running_units:
            return found
        units, each = pool_bytes / self.unit_bytes, self.running_units
        one, more, most = self.reading_units
        return max(1.0, (units - most) / each, min((units - one) / each, units / (each + more)))


def paged_layout(
    share: Share, load: Load, block: int, in_flight: int, longest: int | None = None,
    copies: int = 1, by_longest: bool = False, batches: int = 1, drafted: int = 0,
) -> Layout:  # fmt: skip
    """vLLM's pool: blocks of ``block`` tokens, shared by groups of layers. A state is kept
    ``copies`` times, and once more for each ``drafted`` token (``MambaSpec`` of
    kv_cache_interface.py, ``conv_kernel_size - 1 + num_spec`` of mamba_utils.py); ``longest`` is
    the longest sequence that is served; ``in_flight`` are the tokens of ``batches``."""
    kinds, copies = kinds_of(share, drafted=drafted), copies + drafted
    blocks, page, groups = _blocks(kinds, block)

    def needed(tokens: int) -> list[int]:
        return [
            many * _blocks_of(kind, tokens, each, in_flight, copies)
            for kind, each, many in zip(kinds, blocks, groups, strict=True)
        ]

    units, cached = needed(load.context), load.cached or ((1.0, (load.prompt + load.context) / 2),)
    running = sum(
        many * part * _running_blocks(kind, tokens, each, copies)
        for part, tokens in cached
        for kind, each, many in zip(kinds, blocks, groups, strict=True)
    )
    reading = _reading(load, in_flight, batches, list(zip(kinds, blocks, groups, strict=True)))
    windows = sum(n for kind, n in zip(kinds, units, strict=True) if kind.window is not None)
    states = sum(n for kind, n in zip(kinds, units, strict=True) if kind.state_bytes)
    whole = min(blocks, default=block)
    most = sum(needed(longest)) if longest is not None else 0
    return Layout(
        page, whole, sum(groups), sum(units), windows, states, longest, most, by_longest,
        running, reading,
    )  # fmt: skip


def _blocks(kinds: list[Kind], block: int) -> tuple[list[int], float, list[int]]:
    """Tokens of a block of each kind, the bytes of all, and how many groups each kind makes.

    All blocks are of one size: layers that keep less of a token have more tokens in theirs
    (``unify_kv_cache_spec_page_size`` multiplies by whole numbers)."""
    if not kinds:
        return [], 0.0, []
    largest = max(kind.token_bytes for kind in kinds)
    state = max(kind.state_bytes for kind in kinds)
    if state and largest:  # blocks of attention are as large as a state
        block = max(block, ceil(state / largest / block) * block)
    size = min(kind.layers for kind in kinds)
    if max(kind.layers for kind in kinds) < PADDED * size:
        size = max(kind.layers for kind in kinds)
    page = size * max(block * largest, state)
    tokens = [block * int(largest / kind.token_bytes) if kind.token_bytes else block
              for kind in kinds]  # fmt: skip
    return tokens, page, [-(-kind.layers // size) for kind in kinds]


def _blocks_of(kind: Kind, context: int, block: int, in_flight: int, copies: int = 1) -> int:
    """Blocks of one group for a sequence: a window needs one more, for where it begins."""
    if kind.state_bytes:
        return 1 if kind.token_bytes else copies
    if kind.window is None:
        return -(-context // block)
    held = min(kind.window - 1 + in_flight, context)
    return ceil(held / block) + 1


def _running_blocks(kind: Kind, cached: float, block: int, copies: int) -> float:
    """Blocks of one group that a sequence has on the average while it decodes: vLLM's scheduler
    takes one as it is filled (``allocate_slots`` of v1/core/kv_cache_manager.py), and frees those
    of which a window has no token any more (``remove_skipped_blocks``, with the
    ``get_num_skipped_tokens`` of SlidingWindowManager: cached - window + 1, of 0.11 to 0.31)."""
    if kind.state_bytes:
        return 1.0 if kind.token_bytes else float(copies)
    tokens = cached + 1  # the one that is computed has a place, too
    if kind.window is None or tokens <= kind.window:
        return tokens / block + (block - 1) / (2 * block)  # the last block is half full
    return (kind.window - 1) / block + 1


def _reading(
    load: Load, in_flight: int, batches: int, groups: list[tuple[Kind, int, int]]
) -> tuple[float, float, float]:
    """Blocks of windows that prompts take while they are read, besides what they take in decoding:
    what is read of one is kept until that is computed."""
    one = more = most = 0.0
    for kind, block, many in groups:
        if kind.window is not None and load.prompt > kind.window:
            beyond, steps = load.prompt - kind.window, max(1, load.context - load.prompt)
            one += many * min(beyond, in_flight) / block
            more += many * batches * beyond / steps / block
            most += many * in_flight / block
    return one, more, most


def _vllm(share: Share, load: Load, options: Mapping[str, Any], in_flight: int) -> Layout:
    """vLLM, by version: what counts tokens, how many batches are in flight, and whether prefixes
    of models with recurrent states are cached, each of whose states is then kept twice."""
    version = version_numbers(options["version"])
    batches = max(2, share.plan.pp) if version >= TWO_BATCHES else 1
    cached = options["enable_prefix_caching"]
    if cached is None:
        cached = version >= STATES_CACHED
    drafts = any(stack.role == "mtp" for stack in share.description.stacks)
    return paged_layout(
        share, load, options["block_size"], batches * in_flight,
        options["max_model_len"], 2 if cached else 1, version >= BY_LONGEST, batches,
        options["num_speculative_tokens"] or DRAFTED * drafts,
    )  # fmt: skip


def _tensorrt(share: Share, load: Load, options: Mapping[str, Any], _in_flight: int) -> Layout:
    """TensorRT-LLM: every layer keeps every token unless ``max_attention_window`` is given."""
    block, kinds = options["tokens_per_block"], kinds_of(share)
    token = sum(kind.layers * kind.token_bytes for kind in kinds)
    states = sum(kind.layers * kind.state_bytes for kind in kinds)
    if not token:
        return Layout(states, 1, 0, 1)
    return Layout(token * block, block, 1, -(-load.context // block) + states / (token * block))


def _llama(share: Share, load: Load, options: Mapping[str, Any], _in_flight: int) -> Layout:
    """llama.cpp: slots laid out at the start, in rows of 256."""
    slots = options["parallel"] or load.sequences
    context = -(-options["ctx_size"] // slots) if options["ctx_size"] else load.context
    caches = place(share, options["n_gpu_layers"], devices=share.plan.pp).caches
    each = cache_bytes(
        caches, share.precision.kv_bytes, context, options["ubatch_size"], options["swa_full"]
    )
    return Layout(each, -(-context // 256) * 256, 1, 1)


def _transformers(share: Share, load: Load, _o: Mapping[str, Any], _in_flight: int) -> Layout:
    return Layout(float(kv_bytes(share, load.context, 1)), load.context, 1, 1)


LAYOUTS: Mapping[str, Callable[[Share, Load, Mapping[str, Any], int], Layout]] = {
    "vllm": _vllm, "tensorrt-llm": _tensorrt, "llama.cpp": _llama,
    "transformers": _transformers, "autoawq": _transformers,
}  # fmt: skip
