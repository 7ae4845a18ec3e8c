"""Bytes of an element in each format: bits, and those that its group or block shares."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from thermoflop.errors import UsageError
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.formats import (
    FORMAT_NAMES,
    USUAL,
    choose_formats,
    parse_format,
)
from thermoflop.model.architecture.quantization import Stored

# bits of an element, and where they come from
WIDTHS: list[tuple[str, Fraction | int, bool]] = [
    ("fp32", 32, False), ("tf32", 32, False), ("bf16", 16, False), ("fp16", 16, False),
    ("fp8", 8, True), ("int8", 8, True),
    # groups: a scale of 16 bits for 128 elements; of 8 for 32 (OCP MX v1.0)
    ("int4", 4 + Fraction(16, 128), True), ("mxfp4", 4 + Fraction(8, 32), True),
    ("int4-g64", 4 + Fraction(16, 64), True), ("mxfp4-g999999", 4 + Fraction(8, 999_999), True),
    # a zero point of 4 bits beside it (GPTQ, AWQ); nf4: QLoRA, section 3; NVFP4: 8 bits for 16
    ("awq", 4 + Fraction(16 + 4, 128), True), ("gptq", 4 + Fraction(16 + 4, 128), True),
    ("int8-wo", 8 + Fraction(16, 128), True), ("nvfp4", 4 + Fraction(8, 16), True),
    ("nf4", 4 + Fraction(32, 64), True),
    ("nf4-dq", 4 + Fraction(8, 64) + Fraction(32, 64 * 256), True),
    # ggml-common.h: bytes of a block of so many elements
    ("q2_k", Fraction(84 * 8, 256), True), ("q3_k", Fraction(110 * 8, 256), True),
    ("q4_k", Fraction(144 * 8, 256), True), ("q5_k", Fraction(176 * 8, 256), True),
    ("q6_k", Fraction(210 * 8, 256), True), ("q4_0", Fraction(18 * 8, 32), True),
    ("q4_1", Fraction(20 * 8, 32), True), ("q5_0", Fraction(22 * 8, 32), True),
    ("q5_1", Fraction(24 * 8, 32), True), ("q8_0", Fraction(34 * 8, 32), True),
    ("iq4_nl", Fraction(18 * 8, 32), True), ("iq4_xs", Fraction(136 * 8, 256), True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "bits", "quantized"), WIDTHS)
def test_an_element_takes_its_bits_and_its_part_of_what_is_shared(
    name: str, bits: Fraction | int, quantized: bool
) -> None:
    found = parse_format(name)
    assert Fraction(found.numerator, found.denominator) == Fraction(bits) / 8
    assert (found.name, found.quantized) == (name, quantized)
    assert found.bytes_of(found.denominator) == found.numerator
    assert found.bytes_of(found.denominator + 1) > found.numerator


def test_every_format_is_tried() -> None:
    named = {name.partition("-g")[0] for name, _, _ in WIDTHS}
    assert set(FORMAT_NAMES) <= named
    for name in [*USUAL.values(), *named]:
        if not name.endswith("_k_m"):  # mixes of several
            parse_format(name)
    assert USUAL == {"2": "q2_k", "3": "q3_k_m", "4": "q4_k_m", "5": "q5_k_m", "6": "q6_k",
                     "8": "q8_0"}  # fmt: skip


@pytest.mark.parametrize("text", ["int4-g0", "int4-g1000000", "int4-gx", "fp8-g64", "awq-g64", ""])
def test_what_is_no_format_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a number format"):
        parse_format(text)


def test_bytes_are_rounded_up_and_expected_numbers_to_the_nearest() -> None:
    int4 = parse_format("int4-g64")  # 34 bytes for 64 elements
    assert [int4.bytes_of(each) for each in (64, 65, 128)] == [34, 35, 68]
    assert int4.bytes_of(64.5) == round(64.5 * 34 / 64)
    assert int4.bytes_of(np.array([64.0, 96.0])).tolist() == [34, 51]
    assert int4.bytes_of(np.array([64, 65])).tolist() == [34, 35]


def test_what_is_said_of_one_holds_for_all_but_what_only_weights_have() -> None:
    for said, found in (
        ({"dtype": "torch.float16"}, ("fp16", "fp16", "fp16")),
        ({"dtype": "fp8"}, ("fp8", "fp8", "fp8")),
        ({"dtype": "awq"}, ("awq", "bf16", "bf16")),
        ({"weights": "int4"}, ("int4", "bf16", "bf16")),
        ({"dtype": "fp16", "cache": "fp8"}, ("fp16", "fp16", "fp8")),
    ):
        formats = choose_formats(**said)
        assert (formats.weights.name, formats.activations.name, formats.cache.name) == found
        plain = formats.weights if found[0] == "fp16" else formats.activations
        assert formats.unquantized == plain
    assert choose_formats("fp32").whole_bytes
    assert not choose_formats(weights="int4").whole_bytes
    assert not choose_formats(cache="int4").whole_bytes


@pytest.mark.parametrize(
    ("stored", "bytes_"),
    [
        # 300 columns, 200 rows; three blocks of 128 columns by two of 128 rows
        (Stored("fp8", 8, None, (128, 128), None, 32), 60_000 + 2 * 3 * 4),
        (Stored("fp8", 8, None, (64, 128), None, 32, 64), 60_000 + 4 * 3 * 4 + 8),
        # three groups a row; a row
        (Stored("int4", 4, 128, None, None, 20), 30_000 + 200 * 3 * 20 / 8),
        (Stored("int8", 8, None, None, None, 16), 60_000 + 200 * 2),
    ],
)
def test_a_stored_matrix_has_its_scales_beside_it(stored: Stored, bytes_: float) -> None:
    assert stored.bytes_of(300, 200) == bytes_


@pytest.mark.parametrize(
    ("activation", "operations"),
    # a maximum; squared; x / (1 + exp(-x)); the tanh form; what is not known counts as that
    [("relu", 1), ("relu2", 2), ("silu", 4), ("gelu", 8), ("zebra", 8)],
)
def test_an_activation_takes_so_many_operations_and_a_gate_one_more(
    activation: str, operations: int
) -> None:
    for gated in (False, True):
        assert Mlp(8, 16, gated, activation=activation).operations == operations + gated
