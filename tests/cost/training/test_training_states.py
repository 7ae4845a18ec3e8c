"""Training states of a mixture of experts, counted by hand.

2 layers of width 256, 4 query and 2 key heads of 64, 8 experts of 512 of which 2 work on a token,
1000 tokens, a head of its own.
"""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import INNER, KEY_WIDTH, LAYERS, MIXTURE, TOKENS, WIDTH, decoder

EXPERTS = 8
EXPERT = LAYERS * EXPERTS * 3 * WIDTH * INNER
ROUTER = LAYERS * EXPERTS * WIDTH
ATTENTION = LAYERS * (2 * WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH)
NORMS = (2 * LAYERS + 1) * WIDTH
TABLES = 2 * TOKENS * WIDTH
DENSE = ROUTER + ATTENTION + NORMS + TABLES


def nearly(value: float) -> object:
    """The router, 0.1 % of these models, is taken to be divided as its experts are."""
    return pytest.approx(value, rel=2e-3)


def memory(**layout: int) -> object:
    return tf.train(decoder(**MIXTURE), "h100", global_batch=64, sequence=128, **layout).memory


@pytest.mark.parametrize(
    ("zero", "weights", "gradients", "optimizer"),
    [(0, 2, 4, 12), (1, 2, 4, 12 / 4), (2, 2, 4 / 4, 12 / 4), (3, 2 / 4, 4 / 4, 12 / 4)],
)
def test_every_stage_of_zero_divides_what_it_says(zero, weights, gradients, optimizer):
    """Rajbhandari et al. 2020, gradients in fp32: 2 + 4 + 12 bytes a parameter, 4 replicas."""
    held = memory(devices=4, zero=zero)
    assert held.weight_bytes == pytest.approx(weights * (DENSE + EXPERT))
    assert held.gradient_bytes == pytest.approx(gradients * (DENSE + EXPERT))
    assert held.optimizer_bytes == pytest.approx(optimizer * (DENSE + EXPERT))


def test_experts_that_are_spread_over_replicas_have_fewer_replicas():
    """ep 4 over 8 replicas: a device holds 2 of 8 experts, which 2 groups of devices share."""
    held = memory(devices=8, ep=4, zero=1)
    assert held.weight_bytes == nearly(2 * (DENSE + EXPERT / 4))
    assert held.optimizer_bytes == nearly(12 * (DENSE / 8 + EXPERT / 4 / 2))


def test_experts_that_share_a_tensor_parallel_group_have_all_replicas():
    """tp 2 and ep 2 over 8 devices: 4 replicas of everything; half of the matrices a device."""
    held = memory(devices=8, tp=2, ep=2, zero=1)
    split = ATTENTION / 2 + TABLES / 2 + EXPERT / 2
    assert held.weight_bytes == nearly(2 * (split + ROUTER + NORMS))
    assert held.optimizer_bytes == nearly(12 * (split + ROUTER + NORMS) / 4)


def test_a_stage_of_a_pipeline_holds_its_layers_and_as_many_micro_batches_as_there_are_stages():
    """Two stages of one layer each: half of the layers' states, two micro-batches alive."""
    whole, staged = memory(devices=1), memory(devices=2, pp=2)
    assert staged.activation_bytes == pytest.approx(whole.activation_bytes * 0.5 * 2)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("adamw_torch_fused", "adamw"), ("adamw_torch", "adamw-torch"),
        ("adamw_bnb_8bit", "adamw-8bit"), ("AdamW", "adamw"),
        ("paged_adamw_8bit", "paged-adamw-8bit"), ("adafactor", "adafactor"),
    ],
)  # fmt: skip
def test_optimizers_are_known_by_the_names_of_transformers(theirs: str, ours: str) -> None:
    """``OptimizerNames`` of transformers' training_args.py."""
    named, plain = (tf.train("gpt2", "a100", optimizer=each).memory for each in (theirs, ours))
    assert named.optimizer_bytes == plain.optimizer_bytes


@pytest.mark.parametrize(("name", "states", "moment"), [("", 18, 4), ("_bf16", 8, 2)])
def test_pytorchs_own_adamw_steps_with_a_list_as_large_as_a_moment(name, states, moment):
    """Its ``_multi_tensor_adamw`` makes the roots of all second moments at once, when nothing is
    left of the activations. Bytes a parameter: 2 + 4 + 12 in mixed precision, 4 x 2 in 16 bits
    (foundation-model-stack/fms-acceleration, Llama 3 8B on one A100, peak of 4 x 4,096 tokens:
    80,318,097,408 bytes, which is 10.002)."""
    run = {"sequence": 512, "global_batch": 1, "recompute": "full"}
    held = tf.train("llama-3-8b", "b200", optimizer=f"adamw_torch{name}", **run).memory
    assert held.state_bytes == states * 8_030_261_248
    assert (held.working_bytes, held.activation_bytes) == (moment * 8_030_261_248, 0)
    fused = tf.train("llama-3-8b", "b200", optimizer=f"adamw_torch_fused{name}", **run).memory
    assert fused.working_bytes < held.working_bytes < held.total_bytes - held.state_bytes


def test_activations_that_are_larger_than_what_the_optimizer_makes_decide():
    """256 sequences of 128 tokens whose layers keep everything, of 2 layers of width 256."""
    run = {"sequence": 128, "micro_batch": 256, "global_batch": 256}
    ours = tf.train(decoder(**MIXTURE), "h100", optimizer="adamw-torch", **run).memory
    assert ours == tf.train(decoder(**MIXTURE), "h100", optimizer="adamw", **run).memory


def test_the_host_or_the_backward_pass_steps_without_a_list_of_all():
    """What the host keeps it steps with; in the backward pass there is one tensor at a time."""
    run = {"sequence": 128, "global_batch": 1, "optimizer": "adamw-torch"}
    for other in ({"in_backward": True}, {"offload": "optimizer"}):
        held = tf.train("llama-3-8b", "b200", **run, **other).memory
        assert held.working_bytes < 4 * 8_030_261_248 / 2


def test_the_fused_step_is_a_remedy_of_pytorchs_own():
    """8.03 G parameters: 22 bytes each are 177 GB, 18 are 145; the card has 151."""
    run = {"sequence": 128, "global_batch": 1, "recompute": "full", "optimizer": "adamw-torch"}
    said = tf.train("llama-3-8b", "h200", **run).remedies
    assert ("optimizer", "adamw") in {(remedy.kind, remedy.value) for remedy in said}
