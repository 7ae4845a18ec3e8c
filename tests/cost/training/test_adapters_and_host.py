"""LoRA, documents in sequences and what a host keeps: arithmetic, and what others measured."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, HEAD_MATRIX, LAYERS, MATRICES, MIXTURE, WIDTH, decoder
from thermoflop.cost.training.offload import host_link_bytes_s
from thermoflop.errors import UsageError

SIZES = {"global_batch": 8, "sequence": 1000, "devices": 1}
SEEN = 8 * 1000  # tokens of an iteration


def train(**changes: object) -> tf.TrainingEstimate:
    return tf.train(decoder(), DEVICE, **{**SIZES, **changes})


def exactly(value: float) -> object:
    return pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("model", "rank", "targets", "params"),
    [
        # litgpt, tutorials/resource-tables.md, commit 4839345: "Trainable parameters"
        ("llama-2-7b", 8, "q,v", 4_194_304),
        ("llama-2-13b", 8, "q,v", 6_553_600),
        ("phi-1.5", 8, "q,v", 1_572_864),
        # unsloth prints it for Llama-3.1-8B at rank 32 beside all linear maps: 2 x 41,943,040
        ("llama-3.1-8b", 32, "all-linear", 83_886_080),
        ("llama-3.1-8b", 16, "attention,mlp", 41_943_040),
        # as their classes make them (modeling files of transformers 5.24.0): one qkv_proj and one
        # gate_up_proj; one c_attn; in_proj_qkv, in_proj_z, in_proj_b and in_proj_a
        (
            "phi-3-mini-4k",
            16,
            "all-linear",
            32 * 16 * ((3072 + 3 * 3072) + 2 * 3072 + (3072 + 2 * 8192) + (8192 + 3072)),
        ),
        ("phi-3-mini-4k", 16, "qkv_proj", 32 * 16 * (3072 + 3 * 3072)),
        ("phi-3-mini-4k", 16, "q,v", 32 * 16 * 2 * (3072 + 3072)),
        ("gpt2", 16, "all-linear", 12 * 16 * 768 * ((1 + 3) + 2 + 2 * (1 + 4))),
        (
            "qwen3.5-9b",
            16,
            "in_proj_qkv,in_proj_z,in_proj_b,in_proj_a",
            24 * 16 * ((4096 + 8192) + (4096 + 4096) + 2 * (4096 + 32)),
        ),
        ("qwen3.5-9b", 16, "in_proj_z", 24 * 16 * (4096 + 4096)),
        ("qwen3-next-80b-a3b", 8, "in_proj_ba", 36 * 8 * (2048 + 2 * 32)),
    ],
)
def test_an_adapter_has_r_parameters_for_each_input_and_output(model, rank, targets, params):
    found = tf.train(model, "h100", sequence=1024, lora=rank, lora_targets=targets)
    assert found.trained_params == params


def test_adapters_alone_have_gradients_and_an_optimizer():
    """fp32 weights, gradients and two moments of q and o: 2 x 4 (256 + 256) a layer; the base in
    16 bits."""
    adapters = LAYERS * 2 * 4 * (WIDTH + WIDTH)
    found = train(lora=4, lora_targets="q,o")
    assert found.trained_params == adapters
    assert found.memory.weight_bytes == 2 * decoder().params + 4 * adapters
    assert found.memory.gradient_bytes == 4 * adapters
    assert found.memory.optimizer_bytes == 8 * adapters


def test_every_expert_has_its_own_adapters_and_a_token_runs_those_of_two():
    """Beside four matrices of attention and three of each of eight experts; routers have none."""
    model = decoder(**MIXTURE)
    found = tf.train(model, DEVICE, **SIZES, lora=4)
    attention = 2 * (WIDTH + WIDTH) + 2 * (WIDTH + 128)
    experts = 3 * (WIDTH + 512)
    assert found.trained_params == LAYERS * 4 * (attention + 8 * experts)
    plain = tf.train(model, DEVICE, **SIZES, lora=4, lora_targets="q,k,v,o")
    assert plain.trained_params == LAYERS * 4 * attention
    more = found.model_flops - plain.model_flops
    assert more == SEEN * 6 * LAYERS * 4 * 2 * experts
    held = found.memory.weight_bytes - plain.memory.weight_bytes
    assert held == 4 * LAYERS * 4 * 8 * experts


def test_a_frozen_matrix_costs_4_flops_a_weight_and_an_adapter_6():
    adapters = LAYERS * 2 * 4 * (WIDTH + WIDTH)
    attention = 3 * 4 * LAYERS * WIDTH * 1000
    products = LAYERS * MATRICES + HEAD_MATRIX
    found = train(lora=4, lora_targets="q,o")
    assert found.model_flops == SEEN * (4 * products + 6 * adapters + attention)
    again = train(lora=4, lora_targets="q,o", recompute="full")
    assert again.hardware_flops - again.model_flops == SEEN * (
        2 * (LAYERS * MATRICES + adapters) + attention // 3
    )


def test_the_input_of_a_frozen_matrix_is_not_kept():
    """Beside nothing but o: without the inputs of q, k, v (256), of gate and up (256), of down."""
    everything = train(lora=4).memory.activation_bytes
    inner = decoder().description.stacks[0].runs[0].layer.feed.inner
    fewer = 2 * 1000 * LAYERS * (WIDTH + WIDTH + inner)
    assert train(lora=4, lora_targets="o").memory.activation_bytes == everything - fewer


def test_a_narrow_base_is_kept_narrow_and_written_out_for_every_product():
    """4.5 bits a weight of the layers (QLoRA: NF4 with a scale for 64), all else in 16 bits."""
    narrow, wide = train(lora=4, base_dtype="nf4"), train(lora=4)
    layers = LAYERS * MATRICES
    assert wide.memory.weight_bytes - narrow.memory.weight_bytes == layers * (16 - 4.5) / 8
    assert narrow.iteration.expected_s > wide.iteration.expected_s
    assert "write out in 16 bits" in narrow.why()
    assert narrow.lora == tf.train(decoder(), DEVICE, **SIZES, lora=4, base_dtype="nf4").lora


# GB, allocated at most: litgpt, tutorials/resource-tables.md: rank 8 beside q and v, A100 of 40 GB,
# the longest of Alpaca's examples, in 16 bits (bitsandbytes 0.41 kept inputs of frozen matrices, 17
# % more; it does no more). Tokens that fit cards of so many GiB: unsloth's README, "Hugging Face
# + FA2", QLoRA of rank 32 beside all linear maps of Llama-3.1-8B, checkpointed, a batch of 1.
LITGPT = [
    ("phi-1.5", 1044, 1, 4.82), ("phi-1.5", 1044, 2, 6.76), ("phi-1.5", 1044, 4, 10.68),
    ("llama-2-7b", 1304, 1, 21.30), ("llama-2-7b", 1304, 2, 29.07), ("llama-2-13b", 1304, 1, 38.12),
]  # fmt: skip
LONGEST = [(12, 932), (16, 2551), (24, 5789), (40, 12264), (48, 15502), (80, 28454)]


@pytest.mark.parametrize(("model", "tokens", "batch", "gb"), LITGPT)
def test_lora_takes_what_litgpt_measured(model, tokens, batch, gb):
    memory = tf.train(model, "a100-40gb", lora=8, lora_targets="q,v", sequence=tokens,
                      micro_batch=batch, global_batch=batch, compiled=False).memory  # fmt: skip
    assert memory.total_bytes - memory.reserve_bytes == pytest.approx(gb * 1e9, rel=0.05)


def test_kernels_of_their_own_keep_norms_in_fp32_and_the_gates_activation_and_move_more():
    """Two RMSNorms of 256 in 4 bytes, and 512 neurons, a token and layer."""
    fused, eager = train(loss="full"), train(compiled=False)
    more = eager.memory.activation_bytes - fused.memory.activation_bytes
    assert more == 1000 * LAYERS * (2 * 4 * WIDTH + 2 * 512)
    assert eager.iteration.expected_s > fused.iteration.expected_s
    assert eager.iteration.bound_s == fused.iteration.bound_s
    copy = eager.memory.logit_bytes - fused.memory.logit_bytes  # shifted by a token, in fp32
    assert copy == 4 * 1000 * 1000
    full = {"recompute": "full"}
    kept = [train(**full, compiled=each).memory.activation_bytes for each in (True, False)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize(("gib", "tokens"), LONGEST)
def test_qlora_fits_as_many_tokens_as_were_measured(gib, tokens):
    found = tf.train("llama-3.1-8b", "h100", lora=32, base_dtype="nf4", sequence=tokens,
                     global_batch=1, recompute="full", optimizer="adamw-8bit",
                     compiled=False)  # fmt: skip
    assert found.memory.total_bytes == pytest.approx(gib * 2**30, rel=0.09)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lora": 0}, "lora=0 makes no sense"),
        ({"lora": 4, "lora_targets": "q,nose"}, "lora_targets='q,nose' names no matrix"),
        ({"base_dtype": "nf4"}, "base_dtype='nf4' needs lora"),
        ({"offload": "disk"}, "offload='disk': expected some of"),
        ({"offload": "parameters"}, "offload of parameters needs zero=3"),
        ({"offload": "optimizer", "host_gb_s": 0}, "host_gb_s=0 makes no sense"),
        ({"lengths": [500, 2000]}, "expected whole numbers of tokens from 1 to sequence=1000"),
        ({"lengths": []}, "lengths="),
        ({"padded": 1.0}, "padded=1.0 makes no sense"),
        ({"overlap": -0.1}, "overlap=-0.1 makes no sense"),
    ],
)
def test_what_makes_no_sense_is_named(options, says):
    with pytest.raises(UsageError, match=says.replace("(", r"\(")):
        train(**options)


@pytest.mark.parametrize("gpu", ["m4 max", "jetson agx orin 64gb", "ryzen ai max+ 395", "mi300a"])
@pytest.mark.parametrize("options", [{"offload": "optimizer"}, {"optimizer": "paged-adamw-8bit"}])
def test_nothing_is_left_to_a_host_whose_memory_is_the_devices(gpu, options):
    with pytest.raises(UsageError, match=r"the memory of .* is the host's own"):
        tf.train("gpt2", gpu, sequence=64, global_batch=1, **options)


def test_attention_stays_within_documents_and_all_else_does_not_change():
    """Four of 250 tokens: a quarter of the pairs. 100, 300 and 600 of a thousand: as documents of
    (100^2 + 300^2 + 600^2) / 1000 = 460 tokens each."""
    attention = 3 * 4 * LAYERS * WIDTH * 1000 * SEEN
    whole, parts = train(), train(lengths=250)
    assert whole.model_flops - parts.model_flops == attention * 3 // 4
    assert parts.iteration.expected_s < whole.iteration.expected_s
    assert train(lengths=[100, 300, 600]).document == 460
    assert train(lengths=1000).model_flops == whole.model_flops


def test_padding_is_computed_and_counts_neither_as_tokens_nor_in_mfu():
    whole, padded = train(tokens=1e9), train(padded=0.25, tokens=1e9)
    assert padded.iteration == whole.iteration
    assert padded.tokens_per_s == exactly(0.75 * whole.tokens_per_s)
    assert padded.mfu == exactly(0.75 * whole.mfu)
    assert (padded.hfu, padded.days[0]) == (whole.hfu, exactly(whole.days[0] / 0.75))


def test_states_are_where_deepspeed_keeps_them():
    """DeepSpeed's estimate_zero2 and estimate_zero3 (runtime/zero/), without
    their factor of 1.5 for buffers: on the device 2 bytes a parameter (ZeRO-2), 2/n (ZeRO-3),
    none but those at work where parameters are offloaded too; 16 or 18 for a parameter on the
    host."""
    params = decoder().params

    def held(zero: int, parts: str, **options: object) -> tuple[float, float]:
        found = train(zero=zero, offload=parts, devices=4, **options)
        assert found.host is not None
        return found.memory.state_bytes, 4 * found.host.host_bytes

    assert held(2, "optimizer") == (exactly(2 * params), exactly(16 * params))
    assert held(3, "optimizer") == (exactly(2 * params / 4), exactly(16 * params))
    assert held(3, "optimizer,parameters") == (0, exactly(18 * params))
    # under ZeRO-1 a device keeps its gradients; FSDP's masters in fp32 go to the host
    assert held(1, "optimizer") == (exactly((2 + 4) * params), exactly(16 * params))
    assert held(3, "optimizer", profile="torchtitan")[0] == exactly(2 * params / 4)


def test_what_is_moved_over_pcie_takes_time_where_computing_is_shorter():
    """Per device and iteration: 2 bytes of gradient a parameter and micro-batch, the new weight
    once; under ZeRO-3 weights twice a micro-batch; Adam moves 4 + 2 x 12 + 2 bytes on the host."""
    params = decoder().params
    once = train(zero=2, offload="optimizer").host
    assert once is not None
    assert once.moved_bytes == 2 * params * (8 + 1)
    assert once.step_s == exactly(30 * params / 200e9)
    both = train(zero=3, offload="optimizer,parameters", host_gb_s=1e-6).host
    assert both is not None
    assert both.moved_bytes == 2 * params * (8 + 1) + 2 * params * 2 * 8
    plain = train(zero=3).iteration.expected_s
    up = (2 * params + 2 * params * 2 * 8) / 1e3  # one way, at 1 kB/s
    assert both.exposed_s == pytest.approx(up + both.step_s, rel=1e-3)
    assert train(zero=3, offload="parameters", host_gb_s=9e5).iteration.expected_s == exactly(plain)


def test_activations_on_the_host_leave_two_layers_on_the_device():
    whole, away = train(recompute="full"), train(recompute="full", offload="activations")
    assert whole.memory.activation_bytes == LAYERS * 2 * 1000 * WIDTH
    assert away.memory.activation_bytes == min(2, LAYERS) * 2 * 1000 * WIDTH
    assert away.host is not None
    assert away.host.moved_bytes == 2 * 8 * whole.memory.activation_bytes


@pytest.mark.parametrize(
    ("device", "gb_s"),
    # PCIe 4 and 5 with 16 lanes, 4 with 8; Grace beside a GPU, 900 GB/s of both directions
    [("a100", 32), ("h100", 64), ("b200", 64), ("gb200", 450), ("gh200", 450), ("rtx 4060", 16)],
)
def test_the_link_to_the_host_is_the_data_sheets(device, gb_s):
    assert host_link_bytes_s(tf.find_device(device)) == gb_s * 1e9


def test_what_no_run_was_measured_of_is_said_where_the_expectation_rests() -> None:
    """Of 395 rows none trains adapters, and none is of a 4090; H100s are among them."""
    options = {"sequence": 512, "global_batch": 1}
    home = tf.train("gpt2", "rtx 4090", lora=16, base_dtype="nf4", **options).provenance
    assert "none of them on RTX 4090: interval widened; no run of adapters beside" in home
    cluster = tf.train("gpt2", "h100", **options).provenance
    assert "none of them" not in cluster
    assert "LoRA" not in cluster


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, "no attention scores"),
        ({"flash": False}, "attention scores too"),
        ({"recompute": "full"}, "inputs of layers alone"),
        ({"devices": 2, "tp": 2}, "no attention scores, norms divided too"),
    ],
)
def test_what_is_kept_and_of_which_peak_mfu_is_are_told_in_words(options: Any, kept: str) -> None:
    """165 TFLOP/s is NVIDIA's bf16 of a 4090, summed in fp32; "selective" was said beside none."""
    printed = str(tf.train("gpt2", "rtx 4090", sequence=512, global_batch=2, **options))
    assert f"({kept})" in printed
    assert "% of 165 TFLOP/s bf16 (attention windowed" in printed
    assert "summed in fp16" not in printed


def test_adapters_of_a_name_of_ollamas_train_beside_16_bits() -> None:
    """No trainer reads llama.cpp's files."""
    options = {"lora": 8, "global_batch": 1}
    tag, plain = (tf.train(name, "h100", **options).memory for name in ("phi4", "phi-4"))
    assert tag.weight_bytes == plain.weight_bytes
