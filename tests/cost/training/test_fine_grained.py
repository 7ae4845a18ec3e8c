"""Recomputing norms, activations and what comes of latents (``recompute="fine-grained"``), by hand;
and what the two best known trainings come to with it."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import (
    DEVICE,
    HEAD,
    HEADS,
    INNER,
    KEY_WIDTH,
    LAYERS,
    MIXTURE,
    WIDTH,
    decoder,
    rates,
)
from thermoflop.cost.training.discarded import discarded_norms, kept_of_attention
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.memory import _layer_bytes, _layer_work, kept_by_a_micro_batch
from thermoflop.cost.training.train import expect_training
from thermoflop.cost.training.work import share_of, trained
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import Layer
from thermoflop.model.architecture.mixers import LatentAttention

SEEN = 1000  # tokens of a micro-batch
SIZES = {"global_batch": 8, "sequence": SEEN}
WAYS = ("none", "fine-grained", "full")
# Elements a token of the made-up layer: queries, keys, values and what the heads come to; gate and
# up; the inputs of two norms, and two dropout masks of a byte where an element has two.
INSIDE = 2 * HEADS * HEAD + 2 * KEY_WIDTH
KEPT = INSIDE + 2 * INNER + 2 * WIDTH + 2 * WIDTH / 2
DISCARDED = 2 * WIDTH + INNER  # results of two norms, and the product of activation and gate

# The two trainings, as their reports describe them.
# The Llama 3 Herd of Models (2024), table 4: 16,384 H100 as TP 8, CP 1, PP 16, DP 128, sequences of
# 8,192 tokens, 16 a replica: 16 M tokens a batch, 400 TFLOP/s a GPU, 41 % MFU. Section 3.3.2: FSDP
# shards states of the optimizer and gradients, and not the weights after the forward pass (ZeRO-2),
# and sends behind computing, which the profile's runs of 2021 and 2022 did not;
# interleaved stages; "we could pre-train Llama 3 405B on sequences of 8K tokens without activation
# checkpointing".
LLAMA = {
    "devices": 16384, "tp": 8, "pp": 16, "virtual": 4, "sequence": 8192, "global_batch": 2048,
    "overlap": 0.9, "profile": "megatron-lm",
}  # fmt: skip
# DeepSeek-V3 Technical Report (2024), section 3.1: 2,048 H800; 3.2: 16 stages, experts over 64 GPUs
# on 8 nodes, ZeRO-1; 3.2.3: "Recomputation of RMSNorm and MLA Up-Projection"; 4.2: batches of
# 15,360 sequences of 4,096 tokens.
DEEPSEEK = {"devices": 2048, "pp": 16, "ep": 64, "sequence": 4096, "global_batch": 15360}


def asked(**changes: object) -> Iteration:
    return tf.train(decoder(), DEVICE, **{**SIZES, "recompute": "fine-grained", **changes}).question


def layer_bytes(model: str, run: int, **changes: object) -> float:
    """What a layer of a run of a published model keeps of a micro-batch."""
    found = tf.train(model, "h100", **{"recompute": "fine-grained", **changes}).question
    layer = found.model.description.stacks[0].runs[run].layer
    return _layer_bytes(layer, "tensor+sequence, selective", found)


def test_a_layer_keeps_no_results_of_norms_and_no_product_of_activation_and_gate():
    assert kept_by_a_micro_batch(asked()) == LAYERS * SEEN * 2 * KEPT
    assert kept_by_a_micro_batch(asked(recompute="none")) == LAYERS * SEEN * 2 * (KEPT + DISCARDED)


def test_a_layer_of_experts_keeps_no_products_of_those_that_a_token_meets():
    model = decoder(**MIXTURE)
    found = tf.train(model, DEVICE, recompute="fine-grained", **SIZES).question
    kept = KEPT + 2 * INNER + 2 * WIDTH  # gate and up of two experts, and what each has read
    assert kept_by_a_micro_batch(found) == LAYERS * SEEN * 2 * kept


def test_the_parts_of_a_layer_that_tensor_parallelism_leaves_whole_are_discarded_whole():
    """Without sequence parallelism both inputs, results and masks of norms are on every device."""
    found = asked(tp=2, sequence_parallel=False)
    assert kept_by_a_micro_batch(found) == LAYERS * SEEN * 2 * (
        (INSIDE + 2 * INNER) / 2 + 2 * WIDTH + WIDTH
    )
    shared = asked(tp=2)
    assert kept_by_a_micro_batch(shared) == LAYERS * SEEN * 2 * KEPT / 2
    working = {
        how: _layer_work(found, share_of(found), "tensor, selective")
        for how, found in (("again", found), ("kept", asked(tp=2, sequence_parallel=False,
                                                            recompute="none")))
    }  # fmt: skip
    # while it works, a layer has made again what it discarded
    assert working["again"] - working["kept"] == SEEN * 2 * (INNER / 2 + 2 * WIDTH)


def test_scores_are_kept_where_they_are_no_part_of_a_kernel():
    """An element and its mask of a byte, before and behind the softmax, of each pair of a head."""
    scores = 2.5 * HEADS * SEEN
    assert kept_by_a_micro_batch(asked(flash=False)) == LAYERS * SEEN * 2 * (KEPT + scores)


def test_kernels_of_their_own_keep_nothing_besides():
    """Copies of norms' inputs in fp32 and results of activations are made again too."""
    assert kept_by_a_micro_batch(asked(compiled=False)) == LAYERS * SEEN * 2 * KEPT


@pytest.mark.parametrize("targets", ["all-linear", "q,v", "gate,up,down", "down"])
def test_what_frozen_matrices_do_not_need_is_not_discarded_twice(targets):
    """Inputs of matrices without adapters are results of norms, or the product: gone already."""
    found = asked(lora=8, lora_targets=targets)
    assert kept_by_a_micro_batch(found) == LAYERS * SEEN * 2 * KEPT


def test_a_layer_of_llama_405b_by_hand():
    """16,384 wide, 128 heads of 128, 8 heads of keys, 53,248 neurons (The Llama 3 Herd of Models,
    table 3); 8,192 tokens over 8 devices."""
    elements = 2 * 16384 + 2 * 8 * 128 + 2 * 53248 + 2 * 16384 + 16384
    kept = layer_bytes("llama-3.1-405b", 0, tp=8, sequence=8192, devices=8)
    assert kept == 8192 // 8 * 2 * elements


@pytest.mark.parametrize(
    ("run", "products"),
    # three dense layers; 8 experts and a shared one of 2,048 neurons, and what the eight have read
    [(0, 2 * 18432), (1, 2 * 9 * 2048 + 8 * 7168)],
)
def test_a_layer_of_latent_attention_keeps_its_latents(run, products):
    """DeepSeek-V3: 7,168 wide, 128 heads with values of 128; latents of 1,536 and 512, a rotated
    key of 64 (its report, section 4.2)."""
    elements = 128 * 128 + 1536 + 512 + 64 + products + 2 * 7168 + 7168
    assert layer_bytes("deepseek-v3", run, devices=8, sequence=4096) == 4096 * 2 * elements


def test_latent_attention_that_makes_nothing_again_keeps_queries_keys_and_values_too():
    """DeepSeek-V3: of 128 heads queries and keys of 128 + 64, values of 128; and the product and
    two norms' results that fine-grained recomputation discards."""
    fine, none = (
        layer_bytes("deepseek-v3", 0, devices=8, sequence=4096, recompute=how)
        for how in ("fine-grained", "none")
    )
    assert none - fine == 4096 * 2 * (128 * (2 * 192 + 128) + 18432 + 2 * 7168)


def first_layer(model: str, **changes: object) -> tuple[Iteration, Layer]:
    found = tf.train(model, "h100", **{"recompute": "fine-grained", **SIZES, **changes}).question
    stack = found.model.description.stacks[-1]  # the decoder
    return found, stack.runs[0].layer


def test_what_a_layer_of_latent_attention_discards_is_alive_while_it_works():
    """Queries and keys of 128 heads of 128 + 64, values of 128; the product, and two norms."""
    found, _ = first_layer("deepseek-v3", sequence=4096)
    none, _ = first_layer("deepseek-v3", sequence=4096, recompute="none")
    form = "tensor, selective"
    again = _layer_work(found, share_of(found), form) - _layer_work(none, share_of(none), form)
    assert again == 4096 * 2 * (128 * (2 * 192 + 128) + 18432 + 2 * 7168)


def test_gates_on_what_the_heads_come_to_are_kept():
    """Kimi K3's are as wide as its values."""
    runs = tf.load_model("kimi-k3").description.stacks[-1].runs
    layer = next(run.layer for run in runs if isinstance(run.layer.mixer, LatentAttention))
    mixer = layer.mixer
    values, latents = mixer.heads * mixer.value_dim, mixer.q_rank + mixer.kv_rank + mixer.rope
    assert kept_of_attention(layer, 0.0) == 2 * values + latents


@pytest.mark.parametrize(
    ("model", "norms"),
    # Zamba2's other norm is of the state beside the embedding, twice as wide; Gemma 4's norms of
    # a mixture beside a feed-forward are more than the inputs that count; T5 attends across
    [("zamba2-2.7b", 1), ("gemma-4-26b-a4b", 2), ("t5-base", 3), ("llama-3-8b", 2)],
)
def test_of_each_block_one_result_of_a_norm_is_discarded(model, norms):
    layers = [run.layer for run in tf.load_model(model).description.stacks[-1].runs]
    assert max(discarded_norms(layer) for layer in layers if layer.feed is not None) == norms


def test_kernels_of_their_own_keep_inputs_of_norms_behind_a_block_in_fp32():
    """Gemma 2 has two, which are not made again."""
    alone, layer = first_layer("gemma-2-9b", compiled=False)
    joined, _ = first_layer("gemma-2-9b")
    form = "tensor, selective"
    more = _layer_bytes(layer, form, alone) - _layer_bytes(layer, form, joined)
    assert more == SEEN * 4 * 2 * layer.hidden


def test_a_layer_that_is_recomputed_entirely_is_alive_as_a_whole():
    found, none = asked(recomputed=0.5), asked(recomputed=0.5, recompute="none")
    form = "tensor, selective"
    assert _layer_work(found, share_of(found), form) == _layer_work(none, share_of(none), form)


def times(model: tf.Model | str, **changes: object) -> dict[str, float]:
    """How often an operator of the first layer runs in a micro-batch, by name."""
    found = tf.train(model, "h100", **{"recompute": "fine-grained", **SIZES, **changes}).question
    run = found.model.description.stacks[0].runs[0]
    works = [each for each in trained(found)[1].works if each.part.endswith(run.layer.kind)]
    return {each.name: each.times / run.times for each in works}


@pytest.mark.parametrize(("ep", "whole"), [(1, 4), (2, 2), (4, 1), (8, 1)])
def test_parts_of_an_expert_read_all_of_a_token(ep: int, whole: int) -> None:
    """Four devices of a tensor-parallel group have a quarter of what a layer keeps, but each part
    of an expert reads tokens of 256 elements whole, twice: of those of 1/ep of the experts."""
    parts = {"tp": 4, "devices": 8, "ep": ep}
    found = tf.train(decoder(**MIXTURE), DEVICE, recompute="fine-grained", **SIZES, **parts)
    kept = (KEPT + 2 * INNER + whole * 2 * WIDTH) / 4
    assert kept_by_a_micro_batch(found.question) == LAYERS * SEEN * 2 * kept


def test_the_backward_pass_runs_norms_and_activations_once_more_and_no_product():
    seen = times(decoder())
    assert {seen[name] for name in ("q_proj", "gate_proj", "down_proj")} == {3}
    assert seen["attention"] == 3.5  # its scores are never kept
    assert (seen["norm 1"], seen["norm 2"], seen["residual"]) == (4, 4, 3)
    works = trained(asked())[1].works
    products = [each.times for each in works if each.name == "silu x up"]
    assert products == [3 * LAYERS, LAYERS]  # in a neighbour's kernel, and alone


def test_it_costs_what_norms_and_products_move():
    """8 micro-batches of two layers. Norms read and write the stream, and read 256 weights; gate
    and up are read, and the product written. At 1 TB/s; a kernel each has no gap."""
    found = {how: expect_training(asked(recompute=how), rates())[0] for how in WAYS}
    norm, product = SEEN * 2 * 2 * WIDTH + 2 * WIDTH, SEEN * 2 * 3 * INNER
    more = found["fine-grained"].expected_s - found["none"].expected_s
    assert more == pytest.approx(8 * LAYERS * (2 * norm + product) / 1e12)
    assert found["fine-grained"].bound_s == found["none"].bound_s


@pytest.mark.parametrize(
    ("options", "part"), [({"cp": 2}, 2), ({"tp": 2}, 2), ({"recomputed": 0.5}, 2)]
)
def test_products_are_made_again_of_a_device_s_own_elements_where_nothing_else_makes_them(
    options, part
):
    """Half of the tokens, half of the neurons; half of the layers, the others run again as a
    whole."""

    def moved(**changes: object) -> float:
        works = trained(asked(**changes))[1].works
        return sum(each.times * each.bytes for each in works if each.name == "silu x up")

    assert moved() == LAYERS * SEEN * 2 * 3 * INNER
    assert moved(**options) == moved() / part


def test_kernels_of_their_own_run_activations_once_more():
    seen = times(decoder(), compiled=False)
    assert (seen["silu x up"], seen["rotary"], seen["up_proj"]) == (4, 3, 3)


def test_of_latent_attention_queries_keys_and_values_are_made_once_more():
    seen = times("deepseek-v3", compiled=False)
    again = ("q_b_proj", "kv_b_proj", "rotary", "q_a_norm", "kv_a_norm", "norm 1")
    assert {seen[name] for name in again} == {4}
    assert {seen[name] for name in ("q_a_proj", "kv_a_proj", "o_proj")} == {3}
    # queries that are not compressed are made of the hidden state
    assert times("deepseek-v2-lite")["q_proj"] == 4


def test_flops_with_recomputation_are_those_of_the_up_projections():
    """61 layers, 1,536 to 128 heads of 192, 512 to 128 of 128 + 128; norms and activations have
    none that count."""
    found = tf.train("deepseek-v3", "h100", recompute="fine-grained", **SIZES)
    again = 2 * 61 * (1536 * 128 * 192 + 512 * 128 * 256)
    assert found.hardware_flops - found.model_flops == again * 8 * SEEN
    dense = tf.train(decoder(), DEVICE, recompute="fine-grained", **SIZES)
    assert dense.hardware_flops == dense.model_flops


def test_what_is_kept_of_attention_is_not_made_again():
    """Probabilities, and queries and keys behind norms of their own."""
    assert times(decoder(), flash=False)["softmax"] == 3
    seen = times("qwen3-8b")
    assert (seen["q_norm"], seen["k_norm"], seen["norm 1"]) == (3, 3, 4)


def test_norms_behind_a_block_are_not_made_again():
    """Gemma 2 has one before and one behind each: results of the latter are summed up alone."""
    seen = times("gemma-2-9b")
    assert [seen[f"norm {number}"] for number in (1, 2, 3, 4)] == [4, 3, 4, 3]


@pytest.mark.parametrize("model", ["gpt-j-6b", "falcon-7b"])
def test_blocks_that_share_a_norm_discard_one_result(model):
    found = {how: tf.train(model, "a100", recompute=how, **SIZES).question for how in WAYS[:2]}
    layer = found["none"].model.description.stacks[0].runs[0].layer
    none, less = (_layer_bytes(layer, "tensor, selective", each) for each in found.values())
    assert none - less == SEEN * 2 * (layer.hidden + 4 * layer.hidden)


def test_half_of_the_layers_recomputed_is_halfway():
    none, half, full = (
        expect_training(asked(**options), rates())[0].expected_s
        for options in ({}, {"recomputed": 0.5}, {"recompute": "full"})
    )
    assert half == pytest.approx((none + full) / 2)
    kept = kept_by_a_micro_batch(asked(recomputed=0.5))
    assert kept == LAYERS * SEEN * 2 * (KEPT + WIDTH) / 2


@pytest.mark.parametrize(
    "model",
    ["gpt2", "llama-3-8b", "gemma-2-9b", "mixtral-8x7b", "deepseek-v2-lite", "kimi-k2", "t5-base",
     "mamba-2.8b", "falcon-7b"],
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"compiled": False}, {"tp": 1, "lora": 16}])
def test_it_lies_between_nothing_and_all_in_memory_and_in_time(model, options):
    none, fine, full = (
        tf.train(model, "h100", recompute=how, global_batch=8, sequence=512, **options)
        for how in WAYS
    )
    kept = [each.memory.activation_bytes for each in (none, fine, full)]
    assert kept == sorted(kept, reverse=True)
    total = [each.memory.total_bytes for each in (none, fine, full)]
    assert total == sorted(total, reverse=True)
    took = [each.iteration.expected_s for each in (none, fine, full)]
    assert took == sorted(took)
    assert took[0] < took[1] < took[2]


def test_llama_3_405b_fits_on_its_16384_gpus():
    """The first of 16 stages has the table of 128,256 words and 8 of the 126 layers, of 16 micro-
    batches; 8 devices share each matrix, and 128 replicas gradients and states of 16 bytes."""
    found = tf.train("llama-3.1-405b", "h100", recompute="fine-grained", zero=2, **LLAMA)
    layer = 16384 * (2 * 16384 + 2 * 1024 + 3 * 53248)
    held = (8 * layer + 128256 * 16384) / 8
    states = held * (2 + 16 / 128)  # 7.3 GB
    kept = 2 * 16384 + 2 * 1024 + 2 * 53248 + 2 * 16384 + 16384
    activations = 16 * 8 * 8192 // 8 * 2 * kept  # 49.9 GB
    memory = found.memory
    assert memory.state_bytes == pytest.approx(states, rel=1e-3)  # but norms
    assert memory.activation_bytes == activations
    assert memory.fits
    took = found.iteration  # table 4: 41 % of the peak of 989 TFLOP/s
    assert took.low_s < took.expected_s * found.mfu / 0.41 < took.high_s
    assert not tf.train("llama-3.1-405b", "h100", zero=2, **LLAMA).memory.fits


def test_deepseek_v3_fits_on_its_2048_gpus_with_what_products_read_in_8_bits():
    """The report caches what products read in FP8, and what SwiGLU reads (section 3.3.3); 16 micro-
    batches of 4 layers, each like the mean of 3 dense ones and 58 of experts. What attention makes,
    latents and the stream stay in 16 bits here; moments are in fp32, where it has BF16."""
    wide = 2 * (128 * 128 + 1536 + 512 + 64 + 3 * 7168)
    narrow = (3 * 2 * 18432 + 58 * (2 * 9 * 2048 + 8 * 7168)) / 61
    found = tf.train(
        "deepseek-v3", "h800", recompute="fine-grained", dtype="fp8", kept_dtype="fp8", **DEEPSEEK
    )
    each = 16 * 4 * 4096
    assert found.memory.activation_bytes == pytest.approx(each * (wide + narrow))  # 44.9 GB
    assert found.memory.fits
    assert "inputs of products and activations in fp8" in str(found)
    for options in ({"recompute": "fine-grained"}, {"dtype": "fp8", "kept_dtype": "fp8"}):
        assert not tf.train("deepseek-v3", "h800", **DEEPSEEK, **options).memory.fits


def test_what_is_kept_in_8_bits_is_what_has_been_cast_for_products():
    """Of a dense layer the results of two norms, gate, up and their product: a byte less each."""
    sizes = {"global_batch": 8, "sequence": 1000, "dtype": "fp8"}
    none, kept = (
        kept_by_a_micro_batch(tf.train(decoder(), "h100", kept_dtype=how, **sizes).question)
        for how in (None, "fp8")
    )
    assert none - kept == LAYERS * 1000 * (2 * WIDTH + 3 * INNER)
    # that of adapters of queries alone, without what gate and up read, and their product
    adapters = tf.train(
        decoder(), "h100", lora=8, lora_targets="q", kept_dtype="fp8", **sizes
    ).question
    assert kept - kept_by_a_micro_batch(adapters) == LAYERS * 1000 * (WIDTH + INNER)
    with pytest.raises(UsageError, match="expected dtype fp8 or nvfp4"):
        tf.train(decoder(), "h100", kept_dtype="fp8")


def test_the_report_says_what_is_not_kept():
    text = str(tf.train("llama-3.1-405b", "h100", recompute="fine-grained", **LLAMA))
    assert "micro-batch 1, recompute fine-grained" in text
    assert "(no attention scores, no results of norms, norms divided too)" in text


def test_a_run_that_would_fit_with_it_says_so_before_recomputing_layers():
    found = tf.train("llama-3.1-405b", "h100", zero=2, **LLAMA)
    hows = [each for each in found.remedies if each.kind == "recompute"]
    assert [each.value for each in hows] == ["fine-grained"]
    assert hows[0].text.startswith("--recompute fine-grained: ")


def test_another_way_to_recompute_is_refused_with_those_that_are_known():
    for wrong in ("fine", "light"):
        with pytest.raises(UsageError, match="fine-grained"):
            tf.train(decoder(), DEVICE, recompute=wrong)
        with pytest.raises(UsageError, match="none, fine-grained, selective, full"):
            decoder().training(8, recompute=wrong)
