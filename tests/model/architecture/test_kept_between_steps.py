"""What a layer keeps between steps, mixer by mixer, in sizes that tell every factor apart."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.model.architecture.cache import (
    LayerCache,
    cache_elements,
    held_tokens,
    layer_caches,
    limits,
    period,
    state_elements,
    states_kept,
    unrecorded_elements,
)
from thermoflop.model.architecture.description import Description, Layer, Run, Stack
from thermoflop.model.architecture.mixers import Attention, LatentAttention, SideBySide
from thermoflop.model.architecture.recurrences import Mamba2, TimeMix
from thermoflop.model.architecture.sparse import CompressedAttention, Compressor, Indexer

FULL = Attention(22, 6, 2, 5, value_dim=3)
SLIDING = Attention(22, 6, 2, 5, window=8)
CHUNKED = Attention(22, 6, 2, 5, window=8, chunk=16)
READS = Attention(22, 6, 2, 5, projects="q")
CROSS = Attention(22, 6, 2, 5, cross=True)
INDEXED = Attention(22, 6, 2, 5, indexer=Indexer(22, 3, 4, 32, 2, block=2))
LATENT = LatentAttention(22, 3, 9, 5, 2, 4, indexer=Indexer(22, 3, 4, 64, 2), limit=64)
SHARES = LatentAttention(22, 3, 9, 5, 2, 4, shares=True, window=8)
SMALL = Compressor(22, 4, 4, 2, "indexer", "indexer_proj")
ENTRIES = CompressedAttention(
    22, 4, 6, 8, 2, 5, 8, 2, Compressor(22, 6, 4, 2), Indexer(22, 3, 4, 16, 2, compressor=SMALL)
)
PLAIN_ENTRIES = CompressedAttention(22, 4, 6, 8, 2, 5, 8, 2, Compressor(22, 6, 128))
WINDOW_ALONE = CompressedAttention(22, 4, 6, 8, 2, 5, 8, 2)
MAMBA2 = Mamba2(22, 4, 11, 2, 3, 4)
TIME_MIX = TimeMix(22, 30)
BOTH = SideBySide(22, (FULL, MAMBA2))
# of Mamba-2: 44 x 3 states, four positions of 44 + 2 x 2 x 3 channels; three would do
STATES, CHANNELS = 44 * 3 + 56 * 4, 56
# gates and sums of two series: the window of an entry and that before it
WAITING = 2 * 4 * 6 * 3 + 2 * 4 * 4 * 3
# mixer; elements kept at 100 tokens, without windows, in blocks of 16; of the state; what a layer
# says; unrecorded for a token; lengths from which on nothing more is met; tokens to be in phase
CASES: list[tuple[str, Any, tuple[int, int, int], int, tuple[LayerCache, ...], int, Any, int]] = [
    ("full", FULL, (1600, 1600, 112 * 16), 0, (LayerCache(2 * (5 + 3)),), 0, set(), 1),
    ("sliding", SLIDING, (160, 2000, 320), 0, (LayerCache(20, 8),), 0, {8}, 1),
    ("chunked", CHUNKED, (320, 2000, 320), 0, (LayerCache(20, 16),), 0, {16}, 1),
    ("reads another's", READS, (0, 0, 0), 0, (LayerCache(0),), 0, set(), 1),
    ("indexed", INDEXED, (2400, 2400, 112 * 24), 0, (LayerCache(20 + 4),), 4, {64}, 1),
    ("latent", LATENT, (1500, 1500, 112 * 15), 0, (LayerCache(9 + 2 + 4),), 4, {64}, 1),
    ("shares", SHARES, (0, 0, 0), 0, (LayerCache(0, 8),), 0, {8}, 1),
    # 8 tokens of 6 elements; 100 // 4 entries of 6 and 4; in blocks 16 tokens and 112 // 4 entries
    ("entries", ENTRIES, (48 + 250, 600 + 250, 96 + 280), WAITING,
     (LayerCache(6, 8, WAITING), LayerCache((6 + 4) / 4)), -6, {8, 16 * 4}, 4),
    ("plain entries", PLAIN_ENTRIES, (48, 600, 96), 2 * 128 * 6,
     (LayerCache(6, 8, 2 * 128 * 6), LayerCache(6 / 128)), -6, {8}, 128),
    ("window alone", WINDOW_ALONE, (48, 600, 96), 0, (LayerCache(6, 8),), -6, {8}, 1),
    ("mamba 2", MAMBA2, (0, 0, 0), STATES,
     (LayerCache(0, None, STATES - CHANNELS, 3 * CHANNELS, CHANNELS),), 0, set(), 1),
    ("time mix", TIME_MIX, (0, 0, 0), 3 * 30 + 2 * 22,
     (LayerCache(0, None, 3 * 30 + 2 * 22),), 0, set(), 1),
    ("side by side", BOTH, (1600, 1600, 112 * 16), STATES,
     (LayerCache(16), LayerCache(0, None, STATES - CHANNELS, 3 * CHANNELS, CHANNELS)), 0, set(), 1),
]  # fmt: skip


def described(mixer: Any, role: str = "decoder", causal: bool = True, **layer: Any) -> Description:
    """Three such layers."""
    runs = (Run(Layer("layer", 22, (), mixer, **layer), 3),)
    return Description((Stack(role, 22, runs, causal=causal),))


@pytest.mark.parametrize(
    ("mixer", "kept", "state", "said", "unrecorded", "ends", "phase"),
    [case[1:] for case in CASES], ids=[case[0] for case in CASES],
)  # fmt: skip
def test_a_layer_keeps_what_its_mixer_needs_again(
    mixer: Any, kept: tuple[int, int, int], state: int, said: tuple[LayerCache, ...],
    unrecorded: int, ends: Any, phase: int,
) -> None:  # fmt: skip
    model = described(mixer)
    found = (
        cache_elements(model, 100),
        cache_elements(model, 100, windowed=False),
        cache_elements(model, 100, block_size=16),
    )
    assert found == tuple(3 * each for each in kept)
    assert state_elements(model) == 3 * state
    assert layer_caches(model.stacks[0].runs[0].layer) == said
    assert states_kept(model) == 3 * sum(
        each.state_elements for each in said
    )  # an engine keeps one position of a convolution fewer
    assert unrecorded_elements(model) == 3 * unrecorded
    assert (limits(model), period(model)) == (ends, phase)


def test_expanded_latents_keep_keys_and_values_of_every_head() -> None:
    assert cache_elements(described(LATENT), 100, mla="expanded") == 3 * 100 * (3 * (7 + 4) + 4)
    assert cache_elements(described(LATENT), 100, mla="absorbed") == 3 * 100 * 15


def test_cross_attention_keeps_the_source_and_its_layer_both() -> None:
    model = described(FULL, cross=CROSS)
    assert cache_elements(model, 100, encoder=7) == 3 * (100 * 16 + 7 * 20)
    assert layer_caches(model.stacks[0].runs[0].layer) == (LayerCache(16), LayerCache(20))


def test_what_encodes_keeps_nothing_and_what_predicts_ahead_does() -> None:
    assert cache_elements(described(FULL, causal=False), 100) == 0
    assert cache_elements(described(FULL, "encoder"), 100) == 0
    assert cache_elements(described(FULL, "mtp"), 100) == 3 * 1600


def test_blocks_are_filled_up_and_a_window_is_the_most() -> None:
    assert [held_tokens(tokens, 8, None) for tokens in (7, 8, 9)] == [7, 8, 8]
    assert [held_tokens(tokens, None, 8) for tokens in (8, 9)] == [8, 16]


def test_a_mean_of_contexts_is_not_rounded_where_an_entry_is_for_a_token() -> None:
    assert cache_elements(described(FULL), 100.5) == 3 * 100.5 * 16
    # compressed entries are whole: 100 // 4 of them beside a window of 8 tokens
    assert cache_elements(described(ENTRIES), 100.5) == 3 * (48 + 250)
