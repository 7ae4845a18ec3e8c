"""SGLang's pools: keys and values, windows and recurrent states each have one of their own.

Read in sgl-project/sglang: ``_handle_max_mamba_cache`` of srt/mem_cache/kv_cache_configurator.py
(commit 5435eba) and ``DSV4PoolConfigurator`` of srt/model_executor/pool_configurator.py (main of
July 2026). A pool of states is a share of what is left for all; a request needs several states.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.engines.chosen import keys_chosen
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.engines.pools import Kind, Layout, kinds_of
from thermoflop.cost.engines.sglang_choices import (
    is_compressed,
    most_requests,
    settled,
    states_asked,
    states_each,
)
from thermoflop.cost.memory import STATE_BYTES
from thermoflop.cost.work.share import Share
from thermoflop.cost.work.weights import stage_share
from thermoflop.model.architecture.mixers import LatentAttention
from thermoflop.model.architecture.sparse import CompressedAttention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

STATE_WIDTHS = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
# An entry of DeepSeek V4: 8 bits an element but for those that are rotated, and 8 bytes of scales;
# a key of its indexer: 8 bits, and a scale in fp32 for 128 of them.
ENTRY_SCALES, INDEX_SCALES = 8.0, 4.0 / 128
# What waits to be compressed is kept in fp32, sums and scores: where windows overlap in a ring of
# two of them for so many tokens as a layer attends to at once, half a page (``swa_page_size``; pull
# 30371 would have a page), else of one for each request and two more.
WAITING_BYTES, WAITING_REQUESTS = 2 * 4.0, 3


def sglang_layout(
    share: Share, load: Load, options: Mapping[str, Any], _in_flight: int = 0
) -> Layout:
    """A pool for layers that keep everything, one of some of its tokens for windows, and one of a
    share of the memory for states; a sequence takes the largest of its shares."""
    options = {**options, **settled(share, options)}
    if is_compressed(share):
        return _compressed(share, load, options)
    if keys_chosen(share.description):
        return _pools(share, load, options, [_chosen(share, options)])
    width = STATE_WIDTHS.get(options["mamba_ssm_dtype"] or "", STATE_BYTES)
    return _pools(share, load, options, kinds_of(share, width))


def _chosen(share: Share, options: Mapping[str, Any]) -> Kind:
    """Layers whose keys an indexer chooses: a latent, and beside it in every layer, whichever of
    them choose, a key of the indexer in 8 bits (``DSATokenToKVPool``). A latent in 8 bits has
    scales and a wide rotated part but for TensorRT-LLM's kernels, which Blackwell has."""
    width, keys, latents = share.precision.kv_bytes, 0.0, list[tuple[float, float]]()
    for stack in share.description.stacks:
        for run in stack.runs if stack.role in ("decoder", "mtp") else ():
            for mixer in run.layer.mixers:
                if isinstance(mixer, LatentAttention):
                    rank, rope = float(mixer.kv_rank), float(mixer.rope)
                    keys = keys if mixer.indexer is None else float(mixer.indexer.dim)
                    scaled = width == 1 and not options.get("plain_latents")
                    entry = (
                        rank * (1 + INDEX_SCALES) + 2 * rope if scaled else width * (rank + rope)
                    )
                    latents.append((float(run.times), entry))
    layers = sum(times for times, _ in latents)
    total = sum(times * entry for times, entry in latents) + layers * keys * (1 + INDEX_SCALES)
    part = stage_share(share.description, share.plan.pp) / share.plan.cp
    return Kind(1, total * part)


def _pools(share: Share, load: Load, options: Mapping[str, Any], kinds: list[Kind]) -> Layout:
    page, ratio = options["page_size"], options["swa_full_tokens_ratio"]
    states = sum(kind.layers * kind.state_bytes for kind in kinds)
    whole = sum(kind.layers * kind.token_bytes for kind in kinds if kind.window is None)
    windowed = sum(kind.layers * kind.token_bytes for kind in kinds if kind.window is not None)
    ratio = ratio if whole else 1.0
    token = whole + windowed * ratio
    each = states_each(share, options) + (options["speculative_num_draft_tokens"] or 0)
    if not token:
        many = states_asked(share, options) or 0
        return Layout(
            states, 1, 0, each, states=many, states_each=each, state_bytes=states, states_share=1.0
        )
    context = -(-load.context // page)
    window = max((kind.window for kind in kinds if kind.window is not None), default=None)
    units = max(context if whole else 0.0, _windows(window, context, page, ratio))
    layout = Layout(token * page, page, 1, units)
    return _with_states(layout, share, options, states) if states else layout


def _windows(window: float | None, pages: int, page: int, ratio: float) -> float:
    """Pages of the larger pool for which a window's pages of the smaller one stand."""
    return 0.0 if window is None else min(pages, -(-window // page) + 1) / ratio


def _with_states(
    layout: Layout, share: Share, options: Mapping[str, Any], state_bytes: float
) -> Layout:
    """The same with a pool of states: so many as an option says, else a share of the memory. While
    tokens are drafted each request has one more for each of them (``intermediate_size``)."""
    drafted = options["speculative_num_draft_tokens"] or 0
    each, asked = states_each(share, options), states_asked(share, options)
    if asked is not None:
        requests = most_requests(share, options) or 0
        fixed = (asked + drafted * requests) * state_bytes
        return replace(
            layout, fixed_bytes=fixed, states=asked, states_each=each, state_bytes=state_bytes
        )
    ratio = options["mamba_full_memory_ratio"]
    states = (each + drafted) * state_bytes * (1 + ratio) / ratio / layout.unit_bytes
    units = max(layout.sequence_units * (1 + ratio), states)
    return replace(
        layout, token_units=1 + ratio, sequence_units=units, states_each=each + drafted,
        state_bytes=state_bytes, states_share=ratio / (1 + ratio),
    )  # fmt: skip


def _compressed(share: Share, load: Load, options: Mapping[str, Any]) -> Layout:
    """DeepSeek V4: entries and the keys of indexers beside a pool of windows, whatever the format
    of the cache; what waits for an entry of many tokens is kept for each request."""
    page, ratio = options["page_size"], options["swa_full_tokens_ratio"]
    drafts = bool(options["speculative_num_draft_tokens"])
    token, waiting, window, layers = 0.0, 0.0, 0.0, 0.0
    for times, mixer in _mixers(share):
        entry = float(mixer.head_dim + mixer.rotary) + ENTRY_SCALES
        token += times * ratio * entry
        window, layers = max(window, float(mixer.window)), layers + times
        if mixer.compressor is None or mixer.shares:
            continue
        tokens = float(mixer.compressor.ratio)
        index = 0.0 if mixer.indexer is None else float(mixer.indexer.dim)
        token += times * (entry + index * (1 + INDEX_SCALES)) / tokens
        series = mixer.compressor.series
        rows = (series * tokens) * (2 if drafts else 1)
        row = series * (float(mixer.head_dim) + index) * WAITING_BYTES
        if series > 1:
            token += times * ratio * rows / float(mixer.window) * row
        else:
            waiting += times * rows * row
    token *= 1 + 1 / layers if drafts else 1.0
    stage, context = stage_share(share.description, share.plan.pp), -(-load.context // page)
    units = max(float(context), _windows(window, context, page, ratio))
    requests = (most_requests(share, options) or 0) + WAITING_REQUESTS
    return Layout(
        token * page * stage, page, 1, units, fixed_bytes=waiting * stage * requests
    )  # fmt: skip


def _mixers(share: Share) -> list[tuple[float, CompressedAttention]]:
    """The attention of each layer, with the number of layers that have it."""
    return [
        (float(run.times), mixer)
        for stack in share.description.stacks
        if stack.role == "decoder"
        for run in stack.runs
        for mixer in run.layer.mixers
        if isinstance(mixer, CompressedAttention)
    ]


def states_note(layout: Layout, pool_bytes: float, options: Mapping[str, Any]) -> str:
    """How many recurrent states have room, and how many a sequence takes; "" of other models. Where
    neither a version nor an option says it, from which version on there are so many."""
    if not layout.state_bytes or not layout.states_each:
        return ""
    many = layout.states or int(layout.states_share * pool_bytes / layout.state_bytes)
    size = f"{layout.state_bytes / 2**20:,.3g} MiB"
    left = options["version"] is None and options["mamba_radix_cache_strategy"] == "extra_buffer"
    return (
        f"recurrent states have a pool of their own: {many:,} of {size}, {layout.states_each} for "
        f"each sequence that runs: {many // layout.states_each:,} at once"
        + " (fewer before 0.5.14: version=0.5.13)"
        * left
    )
