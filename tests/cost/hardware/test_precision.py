"""Widths of the formats, from what a group of elements is stored as, and what stays unquantized."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import HEAD_MATRIX, LAYERS, MATRICES, NORMS, WIDTH, decoder
from thermoflop.cost.hardware.precision import choose_precision, precision_names

# Bits of an element in a layer's matrix, with its share of the scales and zeros of its group.
BITS = {
    "fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8,
    "int8-wo": 8 + 16 / 128,  # a 16-bit scale for 128
    "int4": 4 + (16 + 4) / 128, "awq": 4 + (16 + 4) / 128, "gptq": 4 + (16 + 4) / 128,
    "mxfp4": 4 + 8 / 32,  # OCP MX v1.0: an 8-bit scale for 32
    "nvfp4": 4 + 8 / 16,  # an fp8 scale for 16
    "nf4": 4 + 32 / 64,  # QLoRA: an fp32 scale for 64
    "nf4-dq": 4 + 8 / 64 + 32 / (64 * 256),  # the scale in 8 bits, an fp32 scale for 256 of them
    "q4_1": 4 + (16 + 16) / 32, "q8_0": 8 + 16 / 32,  # ggml: 16-bit scale (and minimum) for 32
    "q6_k": 6 + (16 * 8 + 16) / 256,  # 16 8-bit scales and a 16-bit one for 256
    "gptq-3bit": 3, "int4-g64": 4 + (16 + 4) / 64, "exl2-4.0": 4,
}  # fmt: skip
# What heads and tables are stored in, where it is not 16 bits (exl2: convert.py's default head;
# llama.cpp: the token embedding as the layers, the head in q6_k).
UNQUANTIZED = {"fp32": 32, "tf32": 32, "q4_1": (BITS["q4_1"] + BITS["q6_k"]) / 2,
               "q6_k": BITS["q6_k"],
               "q8_0": BITS["q8_0"], "exl2-4.0": 6}  # fmt: skip


@pytest.mark.parametrize("name", BITS)
def test_weights_take_the_bits_of_their_group_and_tables_stay_wide(name):
    precision = choose_precision(name)
    assert precision.weight_bits == pytest.approx(BITS[name], rel=2e-3)
    assert precision.kept_bits == pytest.approx(UNQUANTIZED.get(name, 16), rel=2e-3)
    held = tf.estimate(decoder(), "b200", dtype=name).memory.weight_bytes
    wide = UNQUANTIZED.get(name, 16)
    norms = 32 if name.startswith("q") else wide  # ggml keeps them in fp32
    in_bits = LAYERS * MATRICES * BITS[name] + 2 * HEAD_MATRIX * wide
    in_bits += (LAYERS * NORMS + WIDTH) * norms
    assert held == pytest.approx(in_bits / 8, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "activation_bytes", "computes_in"),
    [("fp32", 4, "fp32"), ("tf32", 4, "tf32"), ("bf16", 2, "bf16"), ("fp8", 2, "fp8"),
     ("int8", 2, "int8"), ("int4", 2, "fp16"), ("nvfp4", 2, "fp4"), ("mxfp4", 2, "bf16")],
)  # fmt: skip
def test_a_format_computes_in_the_unit_that_takes_it(name, activation_bytes, computes_in):
    precision = choose_precision(name)
    assert precision.activation_bytes == activation_bytes
    assert precision.compute == computes_in
    assert precision.kv_bytes == activation_bytes  # the cache is as wide, unless it is said


@pytest.mark.parametrize(
    ("name", "size"), [("fp32", 4), ("bf16", 2), ("fp8", 1), ("int8", 1), ("int4", (4 + 0.25) / 8)]
)
def test_the_cache_has_a_format_of_its_own(name, size):
    """int4: a 16-bit scale for 64 elements."""
    assert choose_precision("bf16", name).kv_bytes == size


@pytest.mark.parametrize("name", precision_names())
def test_activations_are_16_bits_wide_but_in_single_precision(name):
    """Whatever the weights are kept in: kernels take and give 16-bit rows (32 in fp32 and tf32)."""
    assert choose_precision(name).activation_bytes == (4 if name in ("fp32", "tf32") else 2)


# The types of llama.cpp by their blocks: bytes of 256 elements.
BLOCKS = {
    "q2_k": 84, "q3_k": 110, "q4_k": 144, "q5_k": 176, "q6_k": 210, "q8_0": 8 * 34, "q4_0": 8 * 18,
    "q4_1": 8 * 20, "q5_0": 8 * 22, "q5_1": 8 * 24, "iq1_s": 50, "iq1_m": 56, "iq2_xxs": 66,
    "iq2_xs": 74, "iq2_s": 82, "iq2_m": 82, "iq3_xxs": 98, "iq3_xs": 110, "iq3_s": 110,
    "iq3_m": 110, "iq4_xs": 136, "iq4_nl": 8 * 18, "tq1_0": 54, "tq2_0": 66,
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in precision_names() if n.startswith(tuple(BLOCKS))])
def test_a_mix_is_about_as_wide_as_the_type_that_it_is_named_after(name):
    """Its layers by 0.8 bits at most, since some matrices have a wider type, a fifth narrower where
    some have a narrower one; tables and heads lie between that type and q6_k, or its next one; what
    is not above 6 bits multiplies as 4 do."""
    start = next(each for each in BLOCKS if name.startswith(each))
    bits = BLOCKS[start] * 8 / 256
    precision = choose_precision(name)
    assert bits - 0.2 < precision.weight_bits <= bits + 0.8
    assert max(bits, 4.4) - 0.05 <= precision.kept_bits <= max(6.5625, bits)
    assert (precision.compute, precision.activation_bytes) == ("fp16", 2)
    assert precision.family == ("4w" if precision.weight_bits < 6.1 else "8w")
