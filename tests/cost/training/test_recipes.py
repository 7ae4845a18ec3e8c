"""Bytes a parameter, trainer by trainer and optimizer by optimizer, from what these say of
themselves; and the bytes that a step of the optimizer moves."""

import pytest
import thermoflop as tf
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.training.states import (
    MOMENTS,
    RECIPES,
    optimizer_bytes,
    recipe_of,
    state_bytes,
)
from thermoflop.errors import UsageError

N = 8  # replicas
BF16, FP16, FP32 = map(choose_precision, ("bf16", "fp16", "fp32"))
# Bytes a parameter on a device with Adam, and where they are written.
TOTALS = [
    ("megatron-lm", 0, 18),  # Megatron-LM, docs of the distributed optimizer: 18, 6 + 12/d
    ("megatron-lm", 1, 6 + 12 / N),
    ("megatron-bridge", 0, 2 + 2 + 12),  # its recipes: grad_reduce_in_fp32 = False
    ("megatron-bridge", 1, 4 + 12 / N),
    ("megatron-deepspeed", 0, 8 + 12),  # BF16_Optimizer: 16 bits, 16 bits and fp32; fp32 states
    ("megatron-deepspeed", 1, 8 + 12 / N),
    ("llm-foundry", 0, 16),  # FSDP: weights, gradients and two moments in fp32
    ("llm-foundry", 3, 16 / N),
    ("torchtitan", 3, 16 / N),
    ("llm.c", 0, 2 + 2 + 12),  # bf16 weight and gradient; m, v and master in fp32
    ("llm.c", 1, 4 + 12 / N),
    ("no trainer that is known", 0, 18),
]


@pytest.mark.parametrize(("trainer", "zero", "total"), TOTALS)
def test_a_trainer_keeps_what_it_says(trainer, zero, total):
    recipe = recipe_of(trainer, BF16, "adamw", zero)
    held = state_bytes(600.0, 400.0, recipe, "adamw", zero, N)
    assert sum(held) == pytest.approx(1000 * total)


# The same where the format of gradients is asked for, beside a weight and its master. DeepSpeed's
# BF16_Optimizer is what sums in fp32; gradients in 16 bits are its ZeRO's, with a copy in fp32.
@pytest.mark.parametrize(
    ("trainer", "asked", "total"),
    [("megatron-bridge", "fp32", 6 + 12 / N), ("megatron-lm", "bf16", 4 + 12 / N),
     ("megatron-deepspeed", "fp32", 8 + 12 / N), ("megatron-deepspeed", "bf16", 4 + 16 / N),
     ("default", "fp16", 4 + 12 / N)],
)  # fmt: skip
def test_gradients_are_as_wide_as_is_asked(trainer, asked, total):
    recipe = recipe_of(trainer, BF16, "adamw", 1, asked)
    assert sum(state_bytes(600.0, 400.0, recipe, "adamw", 1, N)) == pytest.approx(1000 * total)


@pytest.mark.parametrize("zero", [1, 3])
@pytest.mark.parametrize("trainer", sorted(RECIPES))
def test_gradients_asked_for_in_the_trainers_own_format_change_nothing(trainer, zero):
    usual = recipe_of(trainer, BF16, "adamw", zero)
    own = "bf16" if usual.gradient == 2 else "fp32"
    assert recipe_of(trainer, BF16, "adamw", zero, own) == usual


def test_masters_in_fp32_read_gradients_in_fp32():
    """Megatron-Core's ``_copy_model_grads_to_main_grads``: 4 read, 12 read and written, 2."""
    recipe = recipe_of("megatron-lm", BF16, "adamw", 1, "bf16")
    assert optimizer_bytes(recipe, "adamw") == 4 + 2 * 12 + 2


@pytest.mark.parametrize(
    ("asked", "options", "said"),
    [("fp32", {"optimizer": "adamw_bf16"}, "not that of optimizer=adamw-bf16, .* in 16 bits"),
     ("bf16", {"dtype": "fp32"}, "not that of dtype=fp32, whose gradients are in fp32"),
     ("bf16", {"lora": 8}, "not that of lora, whose gradients are in fp32"),
     ("bf16", {"lora": 8, "optimizer": "adamw-bf16"}, "not that of lora, whose .* in fp32"),
     ("bf16", {"profile": "torchtitan"}, "not that of profile=torchtitan, whose .* in fp32"),
     ("fp8", {}, "gradient_dtype='fp8'.*fp32")],
)  # fmt: skip
def test_gradients_that_another_option_makes_are_not_asked_for(asked, options, said):
    with pytest.raises(UsageError, match=said):
        tf.train("tinyllama-1.1b", "h100", gradient_dtype=asked, **options)


def test_gradients_in_fp16_are_not_summed_in_fp32_beside():
    """DeepSpeed's FP16_Optimizer: 2 + 2, and 4 + 4 + 8 of states with a copy of the gradient."""
    held = state_bytes(1.0, 0.0, recipe_of("megatron-deepspeed", FP16, "adamw", 1), "adamw", 1, N)
    assert held == pytest.approx((2, 2, 16 / N))


@pytest.mark.parametrize("trainer", ["megatron-lm", "megatron-deepspeed", "llm.c", "another"])
def test_fp32_weights_are_their_own_masters(trainer):
    held = state_bytes(1.0, 0.0, recipe_of(trainer, FP32, "adamw", 0), "adamw", 0, N)
    assert held == (4, 4, 8)


# Moments of an element of a matrix, and of one of all else.
SCALED = 1 + 4 / 256  # one byte, and a scale of four bytes for each block of 256
STATES = {
    "adamw": (4 + 4, 4 + 4),
    "adamw-torch": (4 + 4, 4 + 4),
    "adamw-8bit": (2 * SCALED, 2 * SCALED),
    "adamw-bf16": (2 + 2, 2 + 2),
    "adamw-torch-bf16": (2 + 2, 2 + 2),
    "adamw-8bit-bf16": (2 * SCALED, 2 * SCALED),
    "muon": (4, 8),  # momentum of matrices, Adam for the rest
    "sgd-momentum": (4, 4),
    "sgd": (0, 0),
    "adafactor": (0, 0),  # sums of rows and columns alone
    "paged-adamw-8bit": (0, 0),  # in the host's memory
    "paged-adamw-8bit-bf16": (0, 0),
}


@pytest.mark.parametrize("optimizer", sorted(MOMENTS))
def test_an_optimizer_keeps_its_moments(optimizer):
    recipe = recipe_of("default", BF16, optimizer, 0)
    of_matrices, of_others = STATES[optimizer]
    weights, gradients, states = state_bytes(600.0, 400.0, recipe, optimizer, 0, N)
    pure = optimizer.endswith("-bf16")  # 16 bits throughout, no master weight
    assert (weights, gradients) == (2000, 2000 if pure else 4000)
    master = 0 if pure else 4
    assert states == pytest.approx(600 * (of_matrices + master) + 400 * (of_others + master))


def test_a_step_of_adam_reads_gradients_and_states_and_writes_states_and_weights():
    """Megatron's: 4 of the gradient; master and two moments in fp32, there and back; 2 of the
    weight. llm.c's gradient has 2; Megatron-Bridge's is made fp32 when it steps."""
    for trainer in ("megatron-lm", "megatron-bridge"):
        of_megatron = recipe_of(trainer, BF16, "adamw", 1)
        assert optimizer_bytes(of_megatron, "adamw") == 4 + 2 * (4 + 4 + 4) + 2
    of_llm_c = recipe_of("llm.c", BF16, "adamw", 1)
    assert optimizer_bytes(of_llm_c, "adamw") == 2 + 2 * (4 + 4 + 4) + 2
    assert optimizer_bytes(of_llm_c, "sgd") == 2 + 2 * 4 + 2


# Llama of 2 layers, width 64, 4 heads of 16, 128 of the feed-forward part, 500 tokens.
LAYERS, WIDTH, INNER, TOKENS = 2, 64, 128, 500
CONFIG = {
    "model_type": "llama", "vocab_size": TOKENS, "hidden_size": WIDTH, "intermediate_size": INNER,
    "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 4,
    "max_position_embeddings": 4096, "tie_word_embeddings": False,
}  # fmt: skip
MATRICES = LAYERS * (4 * WIDTH * WIDTH + 3 * WIDTH * INNER) + TOKENS * WIDTH


def flops(**options):
    found = tf.train(CONFIG, "h100", devices=1, global_batch=8, sequence=96, **options)
    assert found.hardware_flops == found.model_flops  # nothing is recomputed
    return found.model_flops


def scores(length):
    """FLOPs of attention in all layers for a sequence, every pair counted: scores and values."""
    return LAYERS * 2 * 2 * length * length * WIDTH


def test_a_batch_is_its_sequences_and_each_of_them_its_documents():
    """6 P T of the matrices whatever the documents; pairs within a document alone. 96 tokens are
    three documents of 32, or one and a half of 64, of which a half has half of the FLOPs."""
    assert flops(attention="full") == 8 * (6 * MATRICES * 96 + 3 * scores(96))
    assert flops(attention="full", lengths=32) == 8 * (6 * MATRICES * 96 + 3 * 3 * scores(32))
    assert flops(attention="full", lengths=64) == 8 * (6 * MATRICES * 96 + 3 * scores(64) * 3 // 2)


def test_adapters_run_thrice_and_what_is_frozen_twice():
    rank = 4
    adapters = LAYERS * rank * (4 * 2 * WIDTH + 3 * (WIDTH + INNER))  # of every linear layer
    found = flops(attention="full", lora=rank, lora_targets="all-linear")
    of_matrices = 4 * MATRICES + 6 * adapters
    assert found == 8 * (of_matrices * 96 + 3 * scores(96))
