"""What training keeps on a device: settled public cases, and the arithmetic behind each part."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import (
    DEVICE,
    HEAD_MATRIX,
    INNER,
    KEY_WIDTH,
    LAYERS,
    MATRICES,
    NORMS,
    TOKENS,
    WIDTH,
    decoder,
)
from thermoflop.base.record import replace
from thermoflop.cost.training.states import MOMENTS
from thermoflop.errors import UsageError

GIB = 2**30
LLAMA_7B = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "max_position_embeddings": 4096,
}  # fmt: skip


def exactly(value: float) -> object:
    return pytest.approx(value, rel=1e-9)


def memory(model="llama-3-8b", gpu="b200", **options):
    return tf.train(model, gpu, **options).memory


# Memory that people measured, in GiB, with what states it.
MEASURED = [
    # torchtitan, benchmarks/llama3_h100_202412_torchtitan.md, tables 2 and 4; no loss was compiled
    ("llama-3.1-8b", "h100", 83.9, 0.10, {"devices": 8, "sequence": 32768, "global_batch": 8,
                             "loss": "full"}),
    ("llama-3.1-8b", "h100", 84.0, 0.10,
     {"devices": 8, "cp": 4, "sequence": 131072, "global_batch": 2, "loss": "full"}),
    ("llama-3.1-70b", "h100", 71.9, 0.10,
     {"devices": 256, "tp": 8, "sequence": 8192, "micro_batch": 16, "global_batch": 512,
      "loss": "full"}),
    # DeepSpeed's own estimate, DeepSpeed issue 4527
    ("llama-2-7b", "a100-40gb", 29.01, 0.10, {"devices": 4, "sequence": 512, "global_batch": 4}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "gpu", "gib", "within", "options"), MEASURED)
def test_what_was_measured_is_met(model, gpu, gib, within, options):
    found = memory(model, gpu, zero=3, recompute="full", **options)
    assert found.total_bytes == pytest.approx(gib * GIB, rel=within)


def test_a_full_fine_tuning_in_16_bits_with_paged_moments_is_what_torchtune_states():
    """README of torchtune: Llama 3.1 8B, 2 x 2048 tokens on one A6000: 37.4 GiB."""
    found = memory("llama-3.1-8b", "a6000", devices=1, global_batch=2, micro_batch=2, sequence=2048,
                   recompute="full", loss="chunked", optimizer="paged-adamw-8bit-bf16")  # fmt: skip
    assert found.total_bytes == pytest.approx(37.4 * GIB, rel=0.05)


def test_an_optimizer_in_the_backward_pass_is_what_torchtune_states() -> None:
    """README of torchtune: Llama 3.1 8B, 2 x 2048 tokens on an RTX 4090 with PagedAdamW8bit and
    ``optimizer_in_bwd``: 18.9 GiB. What is not states is uncertain: it lies in the interval."""
    found = memory("llama-3.1-8b", "rtx 4090", global_batch=2, micro_batch=2, sequence=2048,
                   recompute="full", loss="chunked", optimizer="paged-adamw-8bit-bf16",
                   in_backward=True)  # fmt: skip
    assert found.low_bytes < 20.9 * GIB < found.high_bytes
    assert found.low_bytes < 19.2 * GIB < found.total_bytes < 1.15 * 18.9 * GIB
    # the gradient of a head of 128,256 words alone
    assert found.gradient_bytes == 2 * 128256 * 4096


def test_the_largest_gradient_of_a_mixture_is_that_of_a_matrix_of_all_experts() -> None:
    """Mixtral: eight of 14,336 x 4,096 are one tensor, a gradient in fp32; over ep=8 one of them is
    left, and 32,000 words in 4,096 elements are more."""
    experts, words = 8 * 14336 * 4096, 32000 * 4096
    for spread, most in (({}, experts), ({"ep": 8}, words)):
        found = memory("mixtral-8x7b", devices=8, global_batch=8, in_backward=True, **spread)
        assert found.gradient_bytes == 4 * most


def test_a_compiled_loss_is_what_torchtitan_states() -> None:
    """Its benchmarks/llama3_8b_h200_2025-06: 47.96 GiB on 32 H200, 2 x 8192 tokens, fp8, operators
    recomputed; its loss was compiled by then."""
    found = memory("llama-3.1-8b", "h200", devices=32, zero=3, sequence=8192, micro_batch=2,
                   global_batch=64, dtype="fp8", recompute="operators",
                   profile="torchtitan")  # fmt: skip
    assert found.total_bytes == pytest.approx(47.96 * GIB, rel=0.15)
    assert found.low_bytes < 47.96 * GIB < found.high_bytes


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        ({}, "compiled"), ({"compiled": False}, "full"), ({"profile": "torchtitan"}, "compiled"),
        # FlashAttention's kernel, and Transformer Engine's, whatever is compiled or divided
        ({"profile": "llm-foundry"}, "compiled"), ({"profile": "megatron-lm"}, "full"),
        ({"devices": 2, "tp": 2, "profile": "megatron-bridge"}, "in-place"),
        ({"devices": 2, "tp": 2}, "full"), ({"loss": "in-place"}, "in-place"),
        ({"devices": 2, "tp": 2, "profile": "maxtext"}, "compiled"),
    ],
)  # fmt: skip
def test_a_loss_that_is_not_said_is_the_trainers(options, loss) -> None:
    device = replace(DEVICE, name="A100-SXM-80GB")
    assert tf.train(decoder(), device, **options).question.loss == loss


@pytest.mark.parametrize(
    "options",
    [{"global_batch": 2}, {"global_batch": 1, "lora": 4}, {"devices": 2, "pp": 2}],
)
def test_gradients_of_several_micro_batches_are_not_stepped_with_as_they_are_made(options) -> None:
    with pytest.raises(UsageError, match=r"in_backward=True .* one micro-batch an iteration"):
        tf.train(decoder(), DEVICE, in_backward=True, **options)


def test_an_interval_of_memory_is_of_what_is_not_states() -> None:
    """Of a trainer whose memory was measured within 0.85 to 1.17; states are sure."""
    found = memory(profile="torchtitan")
    passing = found.total_bytes - found.state_bytes
    assert found.low_bytes == exactly(found.state_bytes + 0.85 * passing)
    assert found.high_bytes == exactly(found.state_bytes + 1.17 * passing)
    assert memory().high_bytes > found.high_bytes  # no trainer named


def test_a_loss_that_nobody_said_may_hold_no_logits() -> None:
    """The low end is that of a fused loss; of a trainer that is named, its own."""
    unsaid, fused, full = (memory(compiled=False, loss=loss) for loss in (None, "fused", "full"))
    assert unsaid.low_bytes == exactly(fused.low_bytes)
    assert (unsaid.total_bytes, unsaid.high_bytes) == (full.total_bytes, full.high_bytes)
    assert full.low_bytes > fused.low_bytes
    named, said = (memory(profile="torchtitan", loss=loss) for loss in (None, "compiled"))
    assert named.low_bytes == said.low_bytes


def test_what_may_fit_is_not_said_to_do_not() -> None:
    """A capacity within the interval, and one below it."""
    held = tf.train(decoder(), DEVICE, global_batch=1).memory
    for capacity, said in ((held.total_bytes - 0.25e9, "may not fit"), (1e8, "DOES NOT FIT")):
        small = replace(DEVICE, memory_bytes=capacity)
        text = str(tf.train(decoder(), small, global_batch=1))
        assert said in text
        assert ("DOES NOT FIT" in text) == (said == "DOES NOT FIT")
        assert "  80 % interval " in text
    for capacity, beyond in ((held.total_bytes, True), (held.high_bytes, False)):
        text = str(tf.train(decoder(), replace(DEVICE, memory_bytes=capacity), global_batch=1))
        assert ", fits\n" in text
        assert (", more than the device has" in text) == beyond


def test_logits_are_16_bits_and_fp32_of_every_token():
    """8 x 4096 tokens of 224,000 more words: 44 GB more."""
    options = {"devices": 8, "zero": 3, "sequence": 4096, "micro_batch": 8, "global_batch": 64,
               "recompute": "full", "loss": "full"}  # fmt: skip
    small, large = (
        memory({**LLAMA_7B, "vocab_size": words}, "h100", **options) for words in (32000, 256000)
    )
    more = 8 * 4096 * 224_000 * (2 + 4)
    assert large.logit_bytes - small.logit_bytes == more
    assert large.working_bytes - small.working_bytes == more  # their gradients
    assert large.activation_bytes == small.activation_bytes == 32 * 8 * 4096 * 4096 * 2


@pytest.mark.parametrize(
    ("loss", "kept", "working"),
    [("full", 2 + 4, 2 + 4), ("16-bit", 2 + 2, 2 + 2), ("compiled", 2, 2), (None, 2, 2),
     ("in-place", 2, 0), ("chunked", 2 + 4 / 8, 2 + 4 / 8), ("fused", 0, 0)],
)  # fmt: skip
def test_a_loss_in_pieces_holds_fewer_logits(loss, kept, working):
    logits = 4000 * 128256
    found = memory(sequence=4000, recompute="none", loss=loss)
    assert found.logit_bytes == exactly(kept * logits)
    if loss not in ("fused", "in-place"):
        assert found.working_bytes == exactly(working * logits)


def test_a_fused_loss_makes_the_logits_of_one_chunk():
    """As many as make them as large as the hidden states, with their gradients: 2 x 6 bytes; or
    the widest layer of the backward pass, where that is larger."""
    found = tf.train(decoder(), DEVICE, sequence=1000, global_batch=1, loss="fused").memory
    widest = 2 * 1000 * (2 * WIDTH + 3 * 512)
    assert found.working_bytes == max(12 * 1000 * WIDTH, widest)


@pytest.mark.parametrize(
    ("trainer", "dtype", "zero", "states"),
    [
        (None, "bf16", 0, (2, 4, 12)),  # Megatron-LM issue 654: 18 bytes
        ("megatron-lm", "bf16", 0, (2, 4, 12)),
        # 4 + 16/n, estimate_zero2_model_states_mem_needs
        ("megatron-deepspeed", "fp16", 0, (2, 2, 16)),
        ("megatron-deepspeed", "bf16", 2, (2, 2, 16)),
        # bigscience: gradients summed in fp32, 4 bytes a parameter beside those in 16 bits
        ("megatron-deepspeed", "bf16", 1, (2, 2 + 4, 12)),
        ("llm-foundry", "bf16", 0, (4, 4, 8)),  # FSDP: all in fp32
    ],
)
def test_a_trainer_keeps_its_own_bytes_a_parameter(trainer, dtype, zero, states):
    device = replace(DEVICE, peaks={"bf16": 1e14, "fp16": 1e14})
    options = {"global_batch": 1, "zero": zero, "profile": trainer, "dtype": dtype}
    found = tf.train(decoder(), device, **options).memory
    held = (found.weight_bytes, found.gradient_bytes, found.optimizer_bytes)
    assert held == tuple(each * decoder().params for each in states)


def test_states_of_175_billion_are_18_bytes_for_each():
    """Korthikanti et al. 2022, figure 1: 45.56 GiB, without the embedding of the first stage."""
    found = memory("gpt-3-175b", "a100-80gb", devices=64, tp=8, pp=8, zero=0, sequence=2048,
                   global_batch=64, dtype="fp16")  # fmt: skip
    embedding = 18 * 50257 * 12288 / 8
    assert found.state_bytes == pytest.approx(45.56 * GIB + embedding, rel=0.003)


def test_a_distributed_optimizer_is_6_and_12_over_n_bytes():
    """Megatron-LM issue 597: it does not fit in 80 GB."""
    found = memory("llama-2-7b", "a100-80gb", devices=8, sequence=4096, micro_batch=2,
                   global_batch=128, zero=1, profile="megatron-lm")  # fmt: skip
    assert found.state_bytes == exactly((6 + 12 / 8) * 6_738_415_616)
    assert not found.fits


@pytest.mark.parametrize("dtype", ["fp32", "tf32"])
def test_single_precision_keeps_4_bytes_of_everything(dtype):
    half, single = memory(), memory(dtype=dtype)
    params = 8_030_261_248
    assert (single.weight_bytes, single.gradient_bytes) == (4 * params, 4 * params)
    assert single.optimizer_bytes == 8 * params  # the weights are their own masters
    assert single.activation_bytes == 2 * half.activation_bytes


@pytest.mark.parametrize("dtype", ["fp8", "nvfp4"])
def test_narrow_products_change_no_parameter(dtype):
    narrow, half = memory(dtype=dtype, devices=8), memory(devices=8)
    assert narrow.state_bytes == half.state_bytes == (6 + 12 / 8) * 8_030_261_248


@pytest.mark.parametrize(("tp", "split"), [(1, 1), (8, 8)])
def test_what_full_recomputation_keeps_is_split_with_the_sequence(tp, split):
    options = {"devices": 256, "tp": tp, "zero": 3, "sequence": 8192, "recompute": "full"}
    found = memory("llama-3.1-70b", "h100", **options)
    assert found.activation_bytes == 80 * 8192 * 8192 * 2 / split
    whole = memory("llama-3.1-70b", "h100", **options, sequence_parallel=False)
    assert whole.activation_bytes == 80 * 8192 * 8192 * 2


@pytest.mark.parametrize("cp", [1, 2, 8])
def test_states_are_shared_by_replicas_and_parts_of_a_sequence(cp):
    found = memory("llama-3.1-8b", "h100", devices=8, cp=cp, zero=3, sequence=8192, global_batch=8)
    assert found.state_bytes == exactly(18 * 8_030_261_248 / 8)


def test_hybrid_sharding_shares_within_a_group():
    found = memory(devices=64, zero=3, shard=8)
    assert found.state_bytes == exactly(18 * 8_030_261_248 / 8)
    with pytest.raises(UsageError, match="shard=7 does not divide the 64 devices"):
        memory(devices=64, zero=3, shard=7)


OUTSIDE = 2 * HEAD_MATRIX + LAYERS * NORMS + WIDTH
MATRIX = LAYERS * MATRICES


@pytest.mark.parametrize(
    ("optimizer", "states"),
    [
        ("adamw", 18 * (MATRIX + OUTSIDE)),
        ("adamw-8bit", (2 + 4 + 4 + 2 + 8 / 256) * (MATRIX + OUTSIDE)),
        ("paged-adamw-8bit", (2 + 4 + 4) * (MATRIX + OUTSIDE)),
        ("adamw-bf16", (2 + 2 + 4) * (MATRIX + OUTSIDE)),
        ("adamw-8bit-bf16", (2 + 2 + 2 + 8 / 256) * (MATRIX + OUTSIDE)),
        ("paged-adamw-8bit-bf16", (2 + 2) * (MATRIX + OUTSIDE)),
        ("adafactor", (2 + 4 + 4) * (MATRIX + OUTSIDE)),
        ("muon", (2 + 4 + 4) * (MATRIX + OUTSIDE) + 4 * MATRIX + 8 * OUTSIDE),
        ("sgd-momentum", (2 + 4 + 4 + 4) * (MATRIX + OUTSIDE)),
        ("sgd", (2 + 4 + 4) * (MATRIX + OUTSIDE)),
    ],
)
def test_an_optimizer_keeps_its_moments(optimizer, states):
    found = tf.train(decoder(), DEVICE, global_batch=1, zero=0, optimizer=optimizer).memory
    assert found.state_bytes == exactly(states)
    assert optimizer in MOMENTS


def test_experts_are_matrices_to_an_optimizer():
    """Of four experts, with their router, Muon keeps one moment; two of the table and the rest."""
    model = decoder(model_type="mixtral", num_local_experts=4, num_experts_per_tok=2)
    attention = 2 * WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH
    matrices = LAYERS * (attention + 4 * 3 * WIDTH * INNER + 4 * WIDTH)
    found = tf.train(model, DEVICE, global_batch=1, zero=0, optimizer="muon").memory
    states = 10 * model.params + 4 * matrices + 8 * (model.params - matrices)
    assert found.state_bytes == exactly(states)


def test_the_reserve_is_of_the_device_and_of_what_comes_and_goes():
    """0.7 GB, 2 % of 10 GB, and a fifth of activations, logits and working memory."""
    found = tf.train(decoder(), DEVICE, global_batch=1, sequence=1000).memory
    assert found.logit_bytes == 2 * 1000 * TOKENS
    passing = found.activation_bytes + found.logit_bytes + found.working_bytes
    assert found.reserve_bytes == exactly(0.7e9 + 0.2e9 + 0.2 * passing)
    assert found.total_bytes == exactly(found.state_bytes + passing + found.reserve_bytes)


def test_the_last_stage_has_the_logits_and_the_first_the_most_micro_batches():
    """Two stages of one layer each; the first keeps two micro-batches, the last one and the logits
    of 100,000 words: 0.4 GB with their gradients."""
    options = {"devices": 2, "pp": 2, "sequence": 1000, "global_batch": 4}
    kept = 2 * 1000 * (5 * WIDTH + 2 * WIDTH + 2 * 128 + 3 * 512)
    first = tf.train(decoder(vocab_size=10), DEVICE, **options).memory
    assert (first.activation_bytes, first.logit_bytes) == (2 * kept, 0)
    last = tf.train(decoder(vocab_size=100_000), DEVICE, **options).memory
    assert (last.activation_bytes, last.logit_bytes) == (kept, 2 * 1000 * 100_000)


def test_a_loss_over_a_divided_vocabulary_holds_four_of_them_in_single_precision():
    """PyTorch's loss_parallel: log-probabilities, exponentials, gradient and their sum, 16 bytes;
    Megatron's overwrites its input, and sequence parallelism gathers the input of the head."""
    options = {"devices": 2, "tp": 2, "global_batch": 1, "sequence": 1000}
    gathered = 2 * 2 * 1000 * WIDTH
    logits = 1000 * 100_000 / 2
    for trainer, bytes_ in ((None, 2 + 4 + 2 + 4 + 4), ("megatron-lm", 2 + 4 + 2 + 4)):
        found = tf.train(decoder(vocab_size=100_000), DEVICE, profile=trainer, **options).memory
        assert found.logit_bytes + found.working_bytes == bytes_ * logits + gathered


def test_every_other_product_is_kept_with_attentions_result_and_the_layers_input():
    """torchtitan's policy ``op``: of q, k, v, o, gate, up and down the first, third, ..."""
    options = {"global_batch": 1, "sequence": 1000}
    found = tf.train(decoder(), DEVICE, recompute="operators", **options)
    kept = WIDTH + (WIDTH + 128 + 512 + WIDTH) + WIDTH
    assert found.memory.activation_bytes == LAYERS * 2 * 1000 * kept
    split = tf.train(decoder(), DEVICE, recompute="operators", devices=2, tp=2, **options)
    assert split.memory.activation_bytes == LAYERS * 2 * 1000 * kept / 2
    half = tf.train(decoder(), DEVICE, recomputed=0.5, **options)
    assert found.hardware_flops == half.hardware_flops
    assert "recompute operators" in str(found)
    with pytest.raises(UsageError, match="operators recomputes in all of them"):
        tf.train(decoder(), DEVICE, recompute="operators", recomputed=0.5)


def test_interleaved_stages_keep_no_more_micro_batches_than_there_are():
    """Two stages of two chunks: 2 x (1 + 1/4) micro-batches alive of many, and 2 of two."""
    options = {"devices": 2, "pp": 2, "virtual": 2, "sequence": 1000}
    model = decoder(vocab_size=10, num_hidden_layers=4)
    many, two = (tf.train(model, DEVICE, global_batch=batch, **options).memory for batch in (8, 2))
    assert many.activation_bytes / two.activation_bytes == exactly(2 * (1 + 1 / 4) / 2)


def test_gathered_weights_take_their_room_under_zero_3():
    """Of the layer at work, the next, and its gradients in fp32: 2 x 2 + 4 bytes; the logits are
    gone by then."""
    options = {"global_batch": 8, "sequence": 8, "devices": 8}
    shared, whole = (tf.train(decoder(), DEVICE, zero=zero, **options).memory for zero in (3, 2))
    assert shared.working_bytes == exactly(
        2 * 8 * (2 * WIDTH + 3 * 512) + (2 * 2 + 4) * (MATRICES + NORMS) - shared.logit_bytes
    )
    assert whole.working_bytes == 2 * 8 * (2 * WIDTH + 3 * 512) - whole.logit_bytes


def test_windows_count_alike_in_time_and_in_utilization():
    """Gemma 3 1B at 32,768 tokens: 22 of 26 layers meet 512 keys a query."""
    found = tf.train("gemma-3-1b", "h100", devices=8, sequence=32768, global_batch=8,
                     profile="megatron-lm")  # fmt: skip
    assert found.mfu < 1
    model = tf.load_model("gemma-3-1b")
    full, windowed = (
        model.training(32768, attention=form).forward_flops for form in ("full", "windowed")
    )
    assert full - windowed == 22 * 4 * 4 * 256 * 32768 * (32768 - 512)


def test_a_model_with_eyes_is_trained_on_its_text():
    seen = tf.train("gemma-3-27b", "h100", devices=64)
    assert seen.params == tf.load_model("gemma-3-27b").params - vision_parameters("gemma-3-27b")


def vision_parameters(name: str) -> int:
    """SigLIP's tower and the projection: all groups but those of the language part."""
    from thermoflop.cost.training.train import text_of

    model = tf.load_model(name)
    towers = [stack for stack in model.description.stacks if stack.role == "image"]
    assert len(towers) == 1
    assert [stack.role for stack in text_of(model).description.stacks] == ["decoder"]
    return int(sum(sets * part.parameters for sets, part in towers[0].parts()))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"optimizer": "lion"}, "optimizer='lion' is not known: expected one of adamw"),
        ({"loss": "none"}, "loss='none' is not known: expected one of full, 16-bit, compiled"),
        ({"shard": 0}, "shard=0 does not divide"),
        (
            {"attention": "sparse"},
            "attention='sparse' is not known: expected one of windowed, full, causal",
        ),
    ],
)
def test_an_option_that_is_none_is_named(option, said):
    with pytest.raises(UsageError, match=said):
        memory(**option)


def test_a_fused_loss_holds_no_logits_but_the_inputs_of_the_head_and_their_gradients():
    """Of 1000 tokens of width 256 each twice, in 16 bits and in 32; the vocabulary is nowhere."""
    options = {"global_batch": 1, "sequence": 1000, "zero": 0, "loss": "fused"}
    for words in (200_000, 400_000):
        model = decoder(vocab_size=words, intermediate_size=64)
        found = tf.train(model, DEVICE, **options).memory
        assert found.logit_bytes == 0
        assert found.working_bytes == 2 * (2 + 4) * 1000 * WIDTH
