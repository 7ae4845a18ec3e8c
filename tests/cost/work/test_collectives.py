"""Bytes and steps of collectives, and what a layer sends, by the formulas of their papers."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import WIDTH, decoder
from thermoflop.cost.work.network import (
    expert_parallel_works,
    pipeline_works,
    replicated_latent,
    steps_of,
    tensor_parallel_works,
    wire_bytes,
)


@pytest.mark.parametrize(
    ("collective", "ranks", "wire", "ring", "tree"),
    [
        ("all-reduce", 4, 2 * 1200 * 3 / 4, 6, 4),
        ("all-gather", 4, 1200 * 3 / 4, 3, 2),
        ("reduce-scatter", 8, 1200 * 7 / 8, 7, 3),
        ("all-to-all", 3, 1200 * 2 / 3, 2, 2),
        ("send", 5, 1200, 1, 1),
        ("all-reduce", 1, 0, 0, 0),
        ("send", 1, 0, 0, 0),
        ("all-reduce", 5, 2 * 1200 * 4 / 5, 8, 6),  # a tree of 5 is 3 deep
    ],
)
def test_a_collective_puts_its_share_on_the_wire_in_steps(collective, ranks, wire, ring, tree):
    assert wire_bytes(collective, 1200, ranks) == pytest.approx(wire, rel=1e-12)
    assert steps_of(collective, ranks) == ring
    assert steps_of(collective, ranks, "tree") == tree


def sent(works) -> float:
    return sum(work.times * work.activation_bytes for work in works)


def test_two_all_reduces_a_layer_of_all_tokens():
    """4 b s h (t - 1)/t elements a layer (Narayanan et al. 2021, section 3.2), of 2 bytes."""
    works = tensor_parallel_works(decoder().description, 10, 2.0, 4)
    assert sent(works) == pytest.approx(2 * 4 * 10 * WIDTH * 3 / 4 * 2)
    assert [work.flops for work in works] == [2.0]  # log2 of 4
    assert tensor_parallel_works(decoder().description, 10, 2.0, 1) == []


def test_a_norm_over_all_heads_is_one_more_all_reduce_of_two_sums():
    """MiniMax M2.5 norms queries and keys over all heads, in 62 layers: two sums of squares of a
    token in 32 bits, of which 3/4 twice are on the wire of one of four."""
    plain, sums = tensor_parallel_works(tf.load_model("minimax-m2.5").description, 10, 2.0, 4)
    assert (plain.times, sums.times) == (2 * 62, 62)
    assert sums.activation_bytes == pytest.approx(10 * 2 * 4 * 2 * 3 / 4)
    heads_alone = tensor_parallel_works(tf.load_model("qwen3-8b").description, 10, 2.0, 4)
    assert {work.name for work in heads_alone} == {"all-reduce"}


def test_a_boundary_between_stages_passes_the_stream_of_all_tokens():
    (work,) = pipeline_works(decoder().description, 10, 2.0, 3, stage=1, node_size=0)
    assert (work.times, work.activation_bytes) == (2, 10 * WIDTH * 2)
    assert pipeline_works(decoder().description, 10, 2.0, 1, stage=1, node_size=0) == []


def test_tokens_go_to_their_experts_and_back():
    """Two all-to-alls of k h elements a token, in each of 32 layers (Mixtral: k = 2, h = 4096)."""
    works = expert_parallel_works(tf.load_model("mixtral-8x7b").description, 10, 2.0, 4)
    assert sent(works) == pytest.approx(32 * 2 * 10 * 2 * 4096 * 2 * 3 / 4)
    assert [work.flops for work in works] == [2.0]
    assert expert_parallel_works(decoder().description, 10, 2.0, 4) == []


def test_only_a_latent_is_held_by_every_device():
    latent, heads = tf.load_model("deepseek-v2-lite").description, decoder().description
    assert replicated_latent(latent, 2)
    assert not replicated_latent(latent, 1)
    assert not replicated_latent(heads, 2)
