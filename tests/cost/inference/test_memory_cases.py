"""Memory that people settled in public: caches, formats of files, states, context, capacity."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.errors import UsageError

GIB, MIB, KIB = 2**30, 2**20, 2**10
# Mistral Small 2409: 56 layers, 8 key heads of 128
MISTRAL_SMALL = {
    "model_type": "mistral", "hidden_size": 6144, "intermediate_size": 16384,
    "num_hidden_layers": 56, "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128,
    "vocab_size": 32768, "max_position_embeddings": 32768, "sliding_window": None,
}  # fmt: skip


def test_a_cache_in_q8_0_has_34_bytes_for_32_elements():
    """ollama issue 6160: 5,712 MiB for 49,152 tokens, past the 32,768 that its file states."""
    model = tf.load_model(MISTRAL_SMALL, beyond_context=True)
    found = tf.fit(model, "h100", prompt=49_151, generate=1, kv_dtype="q8_0")
    assert found.memory.kv_bytes == pytest.approx(5712 * MIB, rel=1e-3)


def test_whisper_keeps_what_its_decoder_attends_to_of_the_encoder():
    """Large v3: 32 layers of 1,280, keys and values in 2 bytes, of 448 tokens, 1,500 positions."""
    found = tf.fit("whisper-large-v3", "rtx-4090", prompt=320, generate=128)
    assert found.memory.kv_bytes == 32 * 2 * 1280 * 2 * (448 + 1500)


def test_exllamas_q4_has_half_a_bit_besides():
    """exllamav2 issue 425: 108 KiB for each token of Phi-3-mini: 32 layers of 32 heads of 96."""
    found = tf.fit("phi-3-mini-4k", "h100", prompt=1, generate=0, kv_dtype="q4")
    assert found.memory.kv_bytes == 108 * KIB


@pytest.mark.parametrize(
    ("name", "bytes_of_32"),
    [("q8_0", 34), ("q5_1", 24), ("q5_0", 22), ("q4_1", 20), ("q4_0", 18), ("iq4_nl", 18),
     ("nvfp4", 18), ("q4", 18), ("fp8", 32), ("int8", 32), ("int4", 17), ("fp32", 128)],
)  # fmt: skip
def test_a_cache_format_has_the_bytes_of_its_blocks(name, bytes_of_32):
    assert choose_precision("bf16", name).kv_bytes == bytes_of_32 / 32


# Sizes of Llama 3 8B in GiB as llama.cpp's quantize tool states them.
@pytest.mark.parametrize(
    ("name", "gib"),
    [("q2_k", 2.96), ("q3_k_s", 3.41), ("q3_k_m", 3.74), ("q3_k_l", 4.03), ("q4_0", 4.34),
     ("q4_1", 4.78), ("q4_k_s", 4.37), ("q4_k_m", 4.58), ("q5_0", 5.21), ("q5_1", 5.65),
     ("q5_k_s", 5.21), ("q5_k_m", 5.33), ("q6_k", 6.14), ("q8_0", 7.96)],
)  # fmt: skip
def test_a_gguf_file_is_as_large_as_it_is_stated(name, gib):
    stored = tf.estimate("llama-3-8b", "h100", dtype=name).memory.weight_bytes
    assert stored == pytest.approx(gib * GIB, rel=0.003)


@pytest.mark.parametrize(
    "name",
    ["iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs", "iq3_s", "iq3_m",
     "iq4_xs", "iq4_nl", "tq1_0", "tq2_0"],
)  # fmt: skip
def test_the_other_gguf_names_are_known(name):
    """Stated in bits a weight: between 1.5 and 4.5 in the layers, more in the tables."""
    precision = choose_precision(name)
    assert 1.5 <= precision.weight_bits <= 4.5
    assert precision.kept_bits >= precision.weight_bits


@pytest.mark.parametrize("kv_dtype", ["bf16", "fp8"])
def test_a_recurrent_state_is_single_precision_whatever_the_cache(kv_dtype):
    """llama.cpp keeps 14.25 MiB of Mamba 1.4B: 48 layers of 4096 x (16 + 3) x 4 bytes."""
    found = tf.fit("mamba-1.4b", "rtx 3090", prompt=4096, generate=0, kv_dtype=kv_dtype)
    assert found.memory.kv_bytes == 14.25 * MIB


def test_a_state_without_a_convolution_is_kept_whole():
    """MiniMax-Text-01: 70 of 80 layers have 64 heads with a state of 128 x 128, in fp32; the other
    10 keep 8 key heads of 128 in bf16."""
    found = tf.fit("minimax-text-01", "h200", prompt=1, generate=0)
    assert found.memory.kv_bytes == 70 * 64 * 128 * 128 * 4 + 10 * 2 * 8 * 128 * 2


# Bytes that nvidia-smi shows (modal-client issue 2797, sglang issue 3196, nvidia-smi of each card).
@pytest.mark.parametrize(
    ("name", "bytes_"),
    [("h100", 85.52e9), ("a100", 85.90e9), ("a100 40gb", 42.95e9), ("h200", 143_771 * MIB),
     ("rtx 3090", 24_576 * MIB), ("rtx 4090", 24_564 * MIB), ("rtx 5090", 32_607 * MIB)],
)  # fmt: skip
def test_a_device_has_the_memory_that_its_driver_reports(name, bytes_):
    assert tf.find_device(name).memory_bytes == pytest.approx(bytes_, rel=1e-3)


@pytest.mark.parametrize("name", ["AMD EPYC 9654", "AMD EPYC 7742", "AMD Ryzen AI Max+ 395"])
def test_a_name_is_accepted_as_the_table_shows_it(name):
    assert tf.find_device(name).name.startswith(name)


def test_a_context_can_be_asked_for_beyond_what_the_file_states():
    """MaxText issue 1988 trains Llama 2 7B at 8,192."""
    options = {"devices": 8, "sequence": 8192, "global_batch": 8}
    with pytest.raises(UsageError, match=r"beyond_context \(--beyond-context\) where"):
        tf.train("llama-2-7b", "h100", **options)
    model = tf.load_model("llama-2-7b", beyond_context=True)
    assert tf.train(model, "h100", **options).sequence == 8192
    found = tf.fit(model, "h100", prompt=20_000, generate=1)
    assert found.longest_context > 20_001


def test_rows_of_a_table_cannot_be_stretched():
    with pytest.raises(UsageError, match="a table of 1024 rows: no context is longer"):
        tf.load_model("gpt2", beyond_context=True)
