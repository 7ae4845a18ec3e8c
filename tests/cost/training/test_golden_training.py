"""Figures of ``tf.train``, each beside the arithmetic that it must come to."""

from __future__ import annotations

import re

import pytest
import thermoflop as tf
from kit.made_up import (
    DEVICE,
    HEAD_MATRIX,
    HEADS,
    KEY_HEADS,
    LAYERS,
    MATRICES,
    NORMS,
    PEAK,
    TOKENS,
    WIDTH,
    decoder,
)
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.trainers import find_training_profile
from thermoflop.cost.hardware.precision import choose_precision

SEQUENCE, BATCH = 1000, 32
# A device that only computes: what moves bytes takes no time on it.
COMPUTES = replace(DEVICE, bandwidth_bytes_s=1e24, link_bytes_s=1e24, cores=10**9, boost_mhz=1e6)


def exactly(value: float) -> object:
    """To rounding."""
    return pytest.approx(value, rel=1e-9)


def train(**changes: object) -> tf.TrainingEstimate:
    """An iteration of 32 sequences of 1000 tokens on the made-up device."""
    sizes = {"global_batch": BATCH, "sequence": SEQUENCE, "devices": 1, **changes}
    return tf.train(decoder(), sizes.pop("hardware", DEVICE), **sizes)


def test_model_flops_are_three_times_the_forward_pass_and_six_n_leaves_attention_out() -> None:
    forward = 2 * (LAYERS * MATRICES + HEAD_MATRIX) * SEQUENCE
    attention = 4 * LAYERS * WIDTH * SEQUENCE * SEQUENCE
    found = train()
    assert found.model_flops == 3 * BATCH * (forward + attention)
    assert found.hardware_flops == found.model_flops
    assert found.six_n_flops == 6 * decoder().params * BATCH * SEQUENCE
    causal = train(attention="causal")
    under_mask = 4 * LAYERS * WIDTH * SEQUENCE * (SEQUENCE + 1) // 2
    assert causal.model_flops == 3 * BATCH * (forward + under_mask)
    assert causal.iteration.bound_s == exactly(causal.model_flops / PEAK)


def test_frozen_matrices_have_no_gradient_and_below_the_first_adapter_none_is_passed_on() -> None:
    """Three passes, of frozen matrices one and a half: back to the first of two layers. The bound
    leaves out what adapters take themselves."""
    frozen = 2 * (LAYERS * MATRICES + HEAD_MATRIX) * SEQUENCE
    under_mask = 4 * LAYERS * WIDTH * SEQUENCE * (SEQUENCE + 1) // 2
    found = train(attention="causal", lora=4, lora_targets="q,o")
    least = 3 * (frozen + under_mask) - (1 + 1 / LAYERS) * frozen
    assert found.iteration.bound_s == exactly(BATCH * least / PEAK)


def test_recomputing_runs_the_layers_a_fourth_time_or_attention_alone() -> None:
    attention = 4 * LAYERS * WIDTH * SEQUENCE * SEQUENCE * BATCH
    layers = 2 * LAYERS * MATRICES * SEQUENCE * BATCH
    none = train()
    assert train(recompute="selective").hardware_flops == none.model_flops + attention
    assert train(recompute="full").hardware_flops == none.model_flops + layers + attention
    assert train(recompute="full").model_flops == none.model_flops


def test_an_iteration_takes_three_forwards_of_its_micro_batches_and_the_bubble() -> None:
    """With the fitted rates, on a device that only computes. A micro-batch has 11 kernels in a
    layer and 3 outside, the loss 2; the head's 1000 columns are no multiple of 64. Attention in one
    kernel computes its scores again in the backward pass: five products for the forward's two."""
    e = find_training_profile(None).efficiency(COMPUTES, choose_precision("bf16"))
    pairs = SEQUENCE * (SEQUENCE + 1) / 2
    layer = 2 * MATRICES * (SEQUENCE + e.m_half) / (PEAK * e.matmul)
    padding = e.q_half * pairs / SEQUENCE * KEY_HEADS / HEADS  # queries of a key share a tile
    scores = 4 * WIDTH * (pairs + padding) / (PEAK * e.attention)
    head = 2 * HEAD_MATRIX * (SEQUENCE * (1 + e.tile_penalty) + e.m_half) / (PEAK * e.matmul)
    kernels = (LAYERS * 11 + 3) * e.kernel_gap_s
    micro = 3 * (LAYERS * layer + head + kernels) + 3.5 * LAYERS * scores + 2 * e.kernel_gap_s
    micro += LAYERS * 0.5 * e.kernel_gap_s
    besides = e.kernel_gap_s + e.step_s  # the optimizer's kernel, and what every iteration costs
    found = train(hardware=COMPUTES)
    assert found.iteration.expected_s == exactly(BATCH * micro + besides)
    halves = train(hardware=COMPUTES, pp=2, devices=2)
    sends = 2 * BATCH * e.collective_s
    # the last of the two has the head and its loss besides as many layers as the first, with each
    # micro-batch but not in the bubble
    last = 3 * (head + e.kernel_gap_s) + 2 * e.kernel_gap_s
    stages = (BATCH + 1) / 2 * (micro - last) + BATCH * last
    assert halves.iteration.expected_s == exactly(stages + sends + besides)


def test_the_bubble_is_p_minus_1_over_the_micro_batches() -> None:
    assert train(pp=2, devices=2).bubble == exactly(1 / 32)
    assert train(pp=2, devices=2, micro_batch=4).bubble == exactly(1 / 8)
    assert train(pp=2, devices=4, micro_batch=4).bubble == exactly(1 / 4)
    deep = decoder(num_hidden_layers=4)
    sizes = {"global_batch": BATCH, "sequence": SEQUENCE, "devices": 2}
    assert tf.train(deep, DEVICE, pp=2, virtual=2, **sizes).bubble == exactly(1 / 64)


@pytest.mark.parametrize(
    ("zero", "weights", "gradients", "optimizer"),
    [(0, 2, 4, 12), (1, 2, 4, 12 / 4), (2, 2, 4 / 4, 12 / 4), (3, 2 / 4, 4 / 4, 12 / 4)],
)
def test_states_are_2_4_and_12_bytes_a_parameter_divided_by_zero(
    zero: int, weights: float, gradients: float, optimizer: float
) -> None:
    """Rajbhandari et al. 2020: 16-bit weights, fp32 gradients, master weights and two moments."""
    memory, params = train(zero=zero, devices=4).memory, decoder().params
    assert memory.weight_bytes == exactly(weights * params)
    assert memory.gradient_bytes == exactly(gradients * params)
    assert memory.optimizer_bytes == exactly(optimizer * params)


def gpt2(layers: int = LAYERS) -> tf.Model:
    """Attention of all heads and a plain feed-forward of 4h, as in Korthikanti's table."""
    return tf.load_model({
        "model_type": "gpt2", "vocab_size": TOKENS, "n_embd": WIDTH, "n_layer": layers,
        "n_head": HEADS, "n_positions": 4096,
    })  # fmt: skip


def test_activations_are_korthikantis() -> None:
    """Korthikanti et al. 2022, table 2, for s b h = 1000 x 2 x 256: none, with scores; without
    them; over two devices; over two stages of which the first keeps two micro-batches of half of
    the layers; recomputed."""
    sbh, scores = SEQUENCE * 2 * WIDTH, 5 * HEADS * SEQUENCE / WIDTH
    options = {"global_batch": BATCH, "micro_batch": 2, "sequence": SEQUENCE}

    def kept(devices: int = 1, **changes: object) -> float:
        found = tf.train(gpt2(), DEVICE, devices=devices, **options, **changes)
        return found.memory.activation_bytes

    assert kept(flash=False) == exactly(LAYERS * sbh * (34 + scores))
    assert kept() == exactly(LAYERS * sbh * 34)
    assert kept(2, tp=2, flash=False) == exactly(LAYERS * sbh * (34 + scores) / 2)
    not_split = {"tp": 2, "sequence_parallel": False}
    assert kept(2, **not_split) == exactly(LAYERS * sbh * (10 + 24 / 2))
    assert kept(2, **not_split, flash=False) == exactly(LAYERS * sbh * (10 + 24 / 2 + scores / 2))
    assert kept(2, pp=2) == exactly(LAYERS * sbh * 34)
    deep = tf.train(gpt2(4), DEVICE, devices=2, pp=2, virtual=2, **options)
    assert deep.memory.activation_bytes == exactly(4 * sbh * 34 * (1 + 1 / (2 * 2)))
    assert kept(recompute="full") == exactly(LAYERS * sbh * 2)


def test_what_is_printed_follows_from_the_iteration() -> None:
    """A trillion tokens at two dollars an hour, over four devices."""
    found = train(devices=4, tokens=1e12, price=2.0)
    seconds = found.iteration.expected_s
    days = 1e12 / (BATCH * SEQUENCE) * seconds / 86400
    assert found.tokens_per_s == exactly(BATCH * SEQUENCE / seconds)
    assert found.days is not None
    assert found.days[0] == exactly(days)
    assert found.days[1] == exactly(days * found.iteration.low_s / seconds)
    assert found.days[2] == exactly(days * found.iteration.high_s / seconds)
    assert found.device_hours == exactly(days * 24 * 4)
    assert found.price == exactly(days * 24 * 4 * 2)
    assert found.mfu == exactly(found.model_flops / (seconds * 4 * PEAK))
    printed = re.sub(r" +", " ", str(found))
    assert "\nFLOPs an iteration: 472 GFLOP of the model; 6N is " in printed
    assert f"\nMFU {100 * found.mfu:.1f} %, HFU {100 * found.hfu:.1f} % " in printed
    assert "pipeline bubble" not in printed  # of a run without stages
    held = 2 * decoder().params / 1e9
    assert f"weights {held:.5f} GB, gradients {2 * held:.5f} GB, optimizer " in printed


def test_the_interval_is_the_trainers_share_of_the_expectation() -> None:
    found = train(hardware=COMPUTES)
    spread = find_training_profile(None).intervals["iteration"].wider(("device", "architecture"))
    assert found.iteration.low_s == exactly(spread.low * found.iteration.expected_s)
    assert found.iteration.high_s == exactly(spread.high * found.iteration.expected_s)


def test_norms_count_in_the_states_alone() -> None:
    """Two norms a layer and one at the end have parameters and multiply no matrix."""
    products = LAYERS * MATRICES + 2 * HEAD_MATRIX
    assert decoder().params - products == LAYERS * NORMS + WIDTH
