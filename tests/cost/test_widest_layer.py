"""Bytes of activations in flight of each kind of feed-forward, beside the arithmetic."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, INNER, TOKENS, WIDTH, decoder, rates
from thermoflop.cost.memory import TOKENS_IN_FLIGHT

EXPERTS = {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 3}
NARROW = {"intermediate_size": 64}


@pytest.mark.parametrize(
    ("changes", "inner"),
    [
        ({}, 2 * INNER),  # gate and up
        (NARROW, 2 * WIDTH),  # the queries, keys, values and results of attention are wider
        ({**EXPERTS, "num_experts_per_tok": 1}, 2 * INNER),
        (EXPERTS, 3 * 2 * INNER),  # of each of three experts that a token takes
    ],
)
def test_the_widest_layer_is_two_streams_and_its_inner_width(changes, inner):
    """In 16 bits, and every sequence's logits in 32."""
    found = tf.estimate(
        decoder(**changes), DEVICE, batch=2, prompt=100, generate=2, profile=rates()
    )
    assert found.memory.activation_bytes == 200 * 2 * (2 * WIDTH + inner) + 2 * 4 * TOKENS


@pytest.mark.parametrize(("batch", "tokens"), [(1, 3000), (3, 8192), (9000, 9000)])
def test_prompts_are_read_in_pieces_of_8192_tokens_and_steps_take_one_of_each_sequence(
    batch, tokens
):
    assert TOKENS_IN_FLIGHT == 8192
    found = tf.estimate(
        decoder(), DEVICE, batch=batch, prompt=3000, generate=2, profile=rates()
    ).memory.activation_bytes
    assert found == tokens * 2 * (2 * WIDTH + 2 * INNER) + batch * 4 * TOKENS
