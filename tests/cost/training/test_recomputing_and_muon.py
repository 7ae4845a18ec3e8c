"""Layers that are recomputed in part, what a step of Muon costs, and casts to narrow formats."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, LAYERS, MIXTURE, decoder
from thermoflop.base.record import replace
from thermoflop.cost.training.memory import _saved_by_operator
from thermoflop.cost.training.replicas import muon_works
from thermoflop.cost.training.work import share_of, trained
from thermoflop.model.architecture.parts import Linear

SIZES = {"global_batch": 8, "sequence": 1000}


def train(**changes: object) -> tf.TrainingEstimate:
    return tf.train(decoder(), DEVICE, **{**SIZES, **changes})


def test_half_of_the_layers_recomputed_is_halfway_in_flops_time_and_memory():
    none, half, full = train(), train(recomputed=0.5), train(recompute="full")
    assert 2 * half.hardware_flops == none.hardware_flops + full.hardware_flops
    assert half.model_flops == none.model_flops
    middle = (none.memory.activation_bytes + full.memory.activation_bytes) / 2
    assert half.memory.activation_bytes == pytest.approx(middle)
    assert half.iteration.expected_s == pytest.approx(
        (none.iteration.expected_s + full.iteration.expected_s) / 2
    )
    assert "recompute none, 50 % of the layers entirely" in str(half)


@pytest.mark.parametrize(
    ("recompute", "softmax", "dropout"), [("none", 3, 2), ("selective", 4, 3), ("full", 4, 3)]
)
def test_weights_of_attention_that_are_written_out_are_dropped_beside_a_mask(
    recompute, softmax, dropout
):
    """4 heads of 1000 tokens have 4e6 weights a layer: 2 bytes are read and 2 written by the
    softmax, and a byte of mask besides where they are dropped; forward, and again where attention
    is recomputed, and backward, which of a softmax reads and writes twice as much."""
    question = train(flash=False, recompute=recompute).question
    works = [work for phase in trained(question)[:1] for work in phase.works]
    moved = {
        name: sum(work.times * work.activation_bytes for work in works if work.name == name)
        for name in ("softmax", "dropout")
    }
    weights = LAYERS * 4 * 1000**2
    assert moved == {"softmax": softmax * 4 * weights, "dropout": dropout * 5 * weights}
    fused = [work for phase in trained(train().question) for work in phase.works]
    assert "dropout" not in {work.name for work in fused}


def test_muon_makes_the_moments_of_matrices_orthogonal():
    """Jordan 2024: five iterations of 4 n m^2 + 2 m^3 FLOPs for a matrix of n x m, m <= n. Here of
    256 x 256 (queries, output), 128 x 256 (keys, values) and 256 x 512 (gate, up, down)."""
    found = train(optimizer="muon")
    works = muon_works(found.question, share_of(found.question))
    matrices = [(256, 256)] * 2 + [(256, 128)] * 2 + [(512, 256)] * 3
    flops = sum(5 * (4 * n * m**2 + 2 * m**3) for n, m in matrices)
    assert sum(work.times * work.flops for work in works) == LAYERS * flops
    assert found.iteration.expected_s > train().iteration.expected_s
    assert muon_works(train().question, share_of(found.question)) == []
    shared = train(optimizer="muon", devices=4).question
    apart = sum(work.times * work.flops for work in muon_works(shared, share_of(shared)))
    assert apart == LAYERS * flops / 4


@pytest.mark.parametrize(("dtype", "casts"), [("bf16", 0), ("fp8", 1), ("nvfp4", 1)])
def test_products_in_narrow_formats_cast_their_inputs_and_gradients(dtype, casts):
    """5 bytes for each element of 1000 tokens: what queries, keys and values are made of once, and
    the 256 and twice 128 of them; 256 to 256 behind attention; what gate and up are made of once,
    and the 512 of each; 512 to 256 back. The head stays in 16 bits."""
    found = tf.train(decoder(), "b200", dtype=dtype, **SIZES).question
    elements = 256 + 256 + 2 * 128 + 2 * 256 + 256 + 2 * 512 + 512 + 256
    phases = trained(found)
    cast = [work for phase in phases for work in phase.works if work.name == "cast"]
    moved = sum(work.times * work.activation_bytes for work in cast) / len(phases[:2])
    assert moved == casts * LAYERS * 1000 * 5 * elements


@pytest.mark.parametrize(("dtype", "share"), [("bf16", 1), ("fp8", 3 / 4), ("nvfp4", 41 / 64)])
def test_what_is_gathered_for_narrow_products_is_sent_narrow(dtype, share):
    """Half of an all-reduce gathers: in 8 of 16 bits, in 4 with a scale of 8 for 16 elements. What
    is summed goes in 16; without divided norms nothing is gathered."""

    def sent(sequence: bool) -> float:
        asked = tf.train(
            decoder(), "b200", dtype=dtype, tp=2, devices=2, sequence_parallel=sequence, **SIZES
        )
        works = trained(asked.question)[1].works
        return sum(
            each.times * each.activation_bytes for each in works if each.name == "all-reduce"
        )

    assert sent(sequence=False) == LAYERS * 2 * 2 * 1000 * 256 * 2
    assert sent(sequence=True) == share * sent(sequence=False)


def test_of_the_stream_each_device_norms_adds_and_casts_its_share_of_the_tokens():
    """Two norms a layer and the last one read and write 1000 x 256 elements in 16 bits forward, two
    branches read and write it; three times with the backward pass. In 8 bits 5 bytes for
    each element: half of 256 into and behind each block; of the halves of heads and neurons that
    are a device's own 128 and 2 x 64, 128; 2 x 256, 256."""

    def moved(dtype: str, sequence: bool) -> tuple[float, float, float]:
        asked = tf.train(
            decoder(), "b200", dtype=dtype, tp=2, devices=2, sequence_parallel=sequence, **SIZES
        )
        works = trained(asked.question)[1].works
        return tuple(
            sum(each.times * each.activation_bytes for each in works if name in each.name)
            for name in ("norm", "residual", "cast")
        )

    assert moved("bf16", False)[:2] == (
        3 * (2 * LAYERS + 1) * 1000 * 2 * 256 * 2, 3 * LAYERS * 2 * 2 * 1000 * 256 * 2
    )  # fmt: skip
    assert moved("bf16", True)[:2] == tuple(each / 2 for each in moved("bf16", False)[:2])
    inside = 128 + 2 * 64 + 128 + 2 * 256 + 256
    assert moved("fp8", True)[2] == LAYERS * 1000 * 5 * (4 * 256 / 2 + inside)
    assert moved("fp8", False)[2] == LAYERS * 1000 * 5 * (4 * 256 + inside)


@pytest.mark.parametrize(("trainer", "kernels"), [(None, 4), ("megatron-lm", 4), ("torchtitan", 1)])
def test_experts_have_a_kernel_each_but_where_one_multiplies_for_all(trainer, kernels):
    """Of eight experts on two devices; gate, up, down, and what casts for each of them."""
    asked = tf.train(
        decoder(**MIXTURE), "b200", dtype="fp8", ep=2, devices=2, profile=trainer, **SIZES
    )
    works = trained(asked.question)[1].works
    assert {each.launches for each in works if each.rated == "experts"} == {kernels}
    casts = [each.launches for each in works if each.name == "cast"]
    assert sorted(casts) == sorted([1, 1, 1, 1, kernels, kernels, kernels])


def test_a_trainer_that_stops_early_leaves_out_the_last_product_of_a_layer():
    """Forward, two backward, and again: but not what the layer ends with. All of it without."""
    lasts = {"torchtitan": 3, "llm-foundry": 3, "maxtext": 3, "megatron-lm": 4}
    for trainer, last in lasts.items():
        found = train(recompute="full", profile=trainer).question
        times = {work.name: work.times for work in trained(found)[1].works}
        assert times["up_proj"] == 4 * LAYERS
        assert times["down_proj"] == last * LAYERS


@pytest.mark.parametrize(("compiled", "moved", "kernels"), [(True, 6, 2), (False, 36, 5)])
def test_the_loss_moves_bytes_for_each_element_of_the_logits(compiled, moved, kernels):
    """1000 tokens over the 1000 words of the made-up vocabulary, once a micro-batch."""
    (loss,) = (
        work for work in trained(train(compiled=compiled).question)[1].works if work.name == "loss"
    )
    assert (loss.times, loss.launches) == (1, kernels)
    assert loss.activation_bytes == moved * 1000 * 1000


def test_pytorch_as_it_is_runs_norms_and_sums_alone():
    """What llm-foundry's rates were fitted to, whether it is asked for or not."""
    assert not train(profile="llm-foundry").compiled
    assert train(profile="torchtitan").compiled


def test_results_of_experts_are_kept_for_those_that_a_token_meets():
    """Of the products whose results are kept one of each expert, times the experts of a token."""
    mixture = {"model_type": "mixtral", "num_local_experts": 8}
    kept = {}
    for top in (1, 2):
        model = decoder(**mixture, num_experts_per_tok=top)
        one = replace(train().question, model=model)
        layer = model.description.stacks[0].runs[0].layer
        kept[top] = _saved_by_operator(layer, one, "decoder")
        every = [part for part in layer.parts() if isinstance(part, Linear)][::2]
        experts = [part.outputs for part in every if part.copies == 8]
    assert experts
    assert kept[2] - kept[1] == 1000 * 2 * sum(experts)


def test_results_of_latent_attention_are_kept_where_operators_are_recomputed():
    """DeepSeek-V2-Lite, a dense layer of 1,000 tokens in 16 bits: its input of 2,048; 16 heads with
    values of 128; and of query, latent, keys and values, output, gate, up and down every other."""
    one = tf.train("deepseek-v2-lite", "h100", recompute="operators", **SIZES).question
    layer = one.model.description.stacks[0].runs[0].layer
    every = [part for part in layer.parts() if isinstance(part, Linear)][::2]
    results = 2048 + 16 * 128 + sum(part.outputs for part in every)
    assert _saved_by_operator(layer, one, "decoder") == 1000 * 2 * results


def test_muon_is_shared_out_by_zero_alone():
    """Replicas that keep whole states each make all moments orthogonal."""
    one, four = (train(optimizer="muon", devices=n, zero=0).question for n in (1, 4))
    alone, each = (
        sum(work.times * work.flops for work in muon_works(asked, share_of(asked)))
        for asked in (one, four)
    )
    assert each == alone
