"""What a mix of GGUF's types keeps wider than its layers, against arithmetic and stated sizes."""

from __future__ import annotations

import pytest
import thermoflop as tf

LLAMA = {
    "model_type": "llama", "vocab_size": 1000, "hidden_size": 512, "intermediate_size": 1024,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
    "tie_word_embeddings": False,
}  # fmt: skip
TABLE, NORMS = 1000 * 512, 5 * 512
LAYERS = 2 * (4 * 512 * 512 + 3 * 512 * 1024)


def weights(dtype: str, **changes: object) -> float:
    return float(tf.estimate({**LLAMA, **changes}, "h100", dtype=dtype).memory.weight_bytes)


@pytest.mark.parametrize(
    ("dtype", "layers", "table", "head"),
    [("q4_k_m", 4.80, 4.5, 6.5625), ("q5_k_s", 5.50, 5.5, 6.5625), ("q6_k", 6.56, 6.5625, 6.5625),
     ("q8_0", 8.5, 8.5, 8.5), ("q4_0", 4.51, 4.5, 6.5625), ("q3_k_m", 3.85, 3.4375, 6.5625),
     ("q2_k", 2.95, 2.625, 6.5625), ("q4_1", 5.01, 5.0, 6.5625), ("q5_0", 5.5, 5.5, 6.5625),
     ("q5_1", 6.01, 6.0, 6.5625), ("iq2_m", 2.7, 2.5, 5.5), ("iq1_s", 1.56, 1.75, 5.5),
     ("iq3_m", 3.66, 3.44, 6.5625), ("iq4_xs", 4.25, 4.25, 6.5625), ("iq4_nl", 4.5, 4.5, 6.5625),
     ("tq2_0", 2.06, 2.06, 6.5625)],
)  # fmt: skip
def test_head_and_table_have_their_own_types_and_norms_are_single_precision(
    dtype: str, layers: float, table: float, head: float
) -> None:
    bits = LAYERS * layers + TABLE * (table + head) + NORMS * 32
    assert weights(dtype) == pytest.approx(bits / 8, rel=1e-9)
    tied = LAYERS * layers + TABLE * head + NORMS * 32
    assert weights(dtype, tie_word_embeddings=True) == pytest.approx(tied / 8, rel=1e-9)


@pytest.mark.parametrize(
    ("dtype", "layers", "table", "head"),
    [("q4_k_m", 4.80 * 5.5 / 4.5, 5.5, 8.5), ("q6_k", 6.56 * 8.5 / 6.5625, 8.5, 8.5),
     ("q5_k_m", 5.65 * 6 / 5.5, 6.0, 8.5), ("q2_k", 2.95 * 4.5 / 2.625, 4.5, 8.5),
     ("q4_0", 4.51, 4.5, 8.5), ("iq2_m", 2.7 * 4.5 / 2.5, 4.5, 6.0), ("q8_0", 8.5, 8.5, 8.5)],
)  # fmt: skip
def test_rows_that_no_blocks_of_256_fill_take_a_type_of_32(
    dtype: str, layers: float, table: float, head: float
) -> None:
    """Rows of 576: all matrices but the 512 rows of what comes out of attention and the MLP."""
    wide = {"hidden_size": 576, "head_dim": 128, "num_attention_heads": 4}
    narrow = {"q4_k_m": 4.80, "q6_k": 6.56, "q5_k_m": 5.65, "q2_k": 2.95, "q4_0": 4.51,
              "iq2_m": 2.7, "q8_0": 8.5}[dtype]  # fmt: skip
    odd = 2 * (3 * 512 * 576 + 2 * 576 * 1024)
    even = 2 * (512 * 576 + 1024 * 576)
    bits = odd * layers + even * narrow + 1000 * 576 * (table + head) + 5 * 576 * 32
    assert weights(dtype, **wide) == pytest.approx(bits / 8, rel=1e-9)


def test_a_step_reads_rows_that_no_blocks_fill_as_wide_as_they_are_stored() -> None:
    """Rows of 576 in q5_0, those of 512 and 1024 in the mean of q4_k_m; of 512 alone nothing is
    apart."""
    wide = {"hidden_size": 576, "head_dim": 128, "num_attention_heads": 4}
    found = tf.estimate({**LLAMA, **wide}, "h100", dtype="q4_k_m").setting.share.element_bytes
    assert found is not None
    (name,) = {where for where, part in found if part == "q_proj"}
    assert found[name, "q_proj"] == pytest.approx(4.80 * 5.5 / 4.5 / 8)
    assert found[name, "down_proj"] == pytest.approx(4.80 / 8)
    assert found["head", "lm_head"] == pytest.approx(8.5 / 8)
    assert tf.estimate(LLAMA, "h100", dtype="q4_k_m").setting.share.element_bytes is None
    assert tf.estimate({**LLAMA, **wide}, "h100").setting.share.element_bytes is None


def test_biases_are_single_precision() -> None:
    """Of queries, keys, values and outputs in both layers, 512 each."""
    plain, biased = weights("q4_k_m"), weights("q4_k_m", attention_bias=True)
    assert biased - plain == pytest.approx(2 * 4 * 512 * 4)


def test_towers_are_a_file_of_16_bits_and_routers_single_precision() -> None:
    """Gemma 3 4B: 3.3 GB of Ollama are 2.5 of text and 0.84 of eyes. A router of 512 x 8."""
    seen, text = tf.load_model("gemma-3-4b"), 2.477e9
    eyes = sum(
        sets * part.parameters
        for stack in seen.description.stacks if stack.role == "image"
        for sets, part in stack.parts()
    )  # fmt: skip
    found = tf.estimate(seen, "h100", dtype="q4_k_m").memory.weight_bytes
    assert found == pytest.approx(2 * eyes + text, rel=0.001)
    experts = {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
    layers = 2 * (4 * 512 * 512 + 8 * 3 * 512 * 1024) * 4.80
    bits = layers + TABLE * (4.5 + 6.5625) + (NORMS + 2 * 512 * 8) * 32
    assert weights("q4_k_m", **experts) == pytest.approx(bits / 8, rel=1e-9)


# Sizes of files as their publishers list them, in GB (bartowski and Qwen, GGUF repositories).
@pytest.mark.parametrize(
    ("name", "gb"),
    [("qwen2.5-0.5b", 0.398), ("qwen2.5-1.5b", 0.986), ("qwen2.5-7b", 4.68), ("qwen3-8b", 5.03),
     ("qwen3-4b", 2.50), ("qwen2.5-32b", 19.85), ("smollm2-1.7b", 1.06), ("llama-3.2-3b", 2.02),
     ("llama-3.3-70b", 42.52), ("gemma-2-9b", 5.76)],
)  # fmt: skip
def test_q4_k_m_is_as_large_as_its_file(name: str, gb: float) -> None:
    found = tf.estimate(name, "h100", dtype="q4_k_m").memory.weight_bytes
    assert found / 1e9 == pytest.approx(gb, rel=0.013)
