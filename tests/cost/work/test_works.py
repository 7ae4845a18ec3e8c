"""Operators as one device's work: FLOPs, bytes by format, kernels, and attention as one of them."""

from __future__ import annotations

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import (
    HEAD,
    HEADS,
    INNER,
    KEY_HEADS,
    KEY_WIDTH,
    LAYERS,
    TOKENS,
    WIDTH,
    decoder,
)
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.work.work import launches_of, window_ends, works
from thermoflop.model.operators.step import Step

# A prompt of 10 tokens of 3 sequences behind 5 cached ones, weights of 1 byte, cache of 2.
STEP = Step(3, 10, 5, attention="causal", logits="last")
ROWS = 3 * 10
PAIRS = sum(range(6, 16))  # query i meets 5 + i keys
FP8 = choose_precision("fp8", "fp16")


def by_name(step: Step = STEP, kernels: str = "fused", **changes) -> dict:
    listed = works(decoder(**changes).description, step, FP8, kernels)
    return {work.name: work for work in listed}


def test_a_product_is_two_flops_for_each_row_and_weight():
    found = by_name()["q_proj"]
    assert found.flops == 2 * ROWS * WIDTH * WIDTH
    assert found.row_flops == 2 * WIDTH * WIDTH
    assert found.weight_bytes == WIDTH * WIDTH
    assert found.activation_bytes == 2 * ROWS * (WIDTH + WIDTH)
    assert (found.kind, found.times, found.launches) == ("contraction", LAYERS, 1)


def test_keys_go_to_the_cache_in_its_own_format():
    found = by_name()["k_proj"]
    assert found.kv_bytes == 2 * ROWS * KEY_WIDTH
    assert found.activation_bytes == 2 * ROWS * WIDTH
    assert found.bytes == found.weight_bytes + found.kv_bytes + found.activation_bytes


def test_heads_and_tables_stay_wide():
    found = by_name()["lm_head"]
    assert found.weight_bytes == 2 * TOKENS * WIDTH
    assert found.flops == 2 * 3 * TOKENS * WIDTH  # at the last position of each sequence


def test_fused_attention_is_one_kernel_that_keeps_its_scores():
    found = by_name()["attention"]
    assert found.flops == 2 * 2 * 3 * HEADS * HEAD * PAIRS  # scores and values
    # the heads that share a key fill one tile with their queries
    assert found.row_flops == found.flops / (10 * HEADS / KEY_HEADS)
    assert found.kv_bytes == 2 * 2 * 3 * KEY_HEADS * HEAD * 15  # keys and values of 15 tokens
    assert found.activation_bytes == 2 * 2 * ROWS * WIDTH  # queries in, results out
    assert (found.kind, found.launches, found.weight_bytes) == ("attention", 1, 0)
    assert found.sharing == HEADS / KEY_HEADS
    assert found.operator.name == "scores"


def test_attention_in_pieces_computes_and_keeps_every_pair():
    """Without a kernel of its own, all of 10 x 15 scores are written, read and written again."""
    found = by_name(kernels="eager")
    assert found["scores"].flops == found["values"].flops == 2 * 3 * HEADS * HEAD * 10 * 15
    kept = 2 * 3 * HEADS * 10 * 15
    assert found["softmax"].activation_bytes == 2 * kept
    assert found["softmax"].element_flops == 5 * 3 * HEADS * 10 * 15
    assert found["scores"].activation_bytes == 2 * ROWS * WIDTH + kept
    assert found["softmax"].operator.name == "scores"
    assert found["rotary"].launches == 1
    assert by_name()["rotary"].launches == 0


def test_a_kernel_for_attention_alone_leaves_the_rest_as_it_is():
    found = by_name(kernels="attention")
    assert found["attention"].flops == 2 * 2 * 3 * HEADS * HEAD * PAIRS
    assert found["rotary"].launches == 1


@pytest.mark.parametrize(
    ("width", "inner", "uneven"), [(256, 512, 0), (256, 500, 1), (240, 512, 1)]
)
def test_a_side_that_is_no_multiple_of_a_tile_is_uneven(width, inner, uneven):
    found = by_name(hidden_size=width, intermediate_size=inner, num_attention_heads=4)["up_proj"]
    assert found.uneven_flops == uneven * 2 * ROWS * width * inner


def test_a_side_of_many_lengths_is_uneven_where_it_is_no_multiple_of_a_tile():
    """CLIP's last product is as wide as there are images: as many as texts."""
    clip, batches = tf.load_model("clip-vit-base-patch32"), np.array([4, 64, 100])
    similarity = works(clip.description, Step(batches, 9), FP8)[-1]
    assert similarity.name == "similarity"
    assert list(similarity.uneven) == [1, 0, 1]


def test_kernels_are_counted_for_each_occurrence():
    """7 products, attention and 2 norms in a layer, its two sums as one; embedding, norm, head."""
    listed = works(decoder().description, STEP, FP8)
    inside = [work.name for work in listed if work.times == LAYERS and work.launches]
    assert launches_of(listed) == LAYERS * len(inside) + 3
    assert {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"} < set(
        inside
    )


def test_a_window_is_full_when_one_token_fewer_is_cached():
    """Of 4096 keys a step attends its own and 4095 cached ones."""
    assert window_ends(tf.load_model("mistral-7b-v0.1").description) == (4095,)
    assert window_ends(decoder().description) == ()


def test_a_feed_forward_multiplies_what_goes_up_with_its_gate():
    found = by_name()
    assert found["down_proj"].flops == 2 * ROWS * WIDTH * INNER
    assert found["down_proj"].activation_bytes == 2 * ROWS * (INNER + WIDTH)
