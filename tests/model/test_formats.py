"""Formats of weights alone: exact widths, and what `ops` says of those that are mixes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from thermoflop.cli import main
from thermoflop.cost.hardware.precision import choose_precision, precision_names
from thermoflop.model.architecture.formats import choose_formats, parse_format
from thermoflop.model.config.gguf_header import GGML_TYPES

BLOCKS = {name.lower(): Fraction(size, block) for name, block, size in GGML_TYPES.values()}


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("awq", Fraction(4 * 128 + 16 + 4, 128)),
        ("gptq", Fraction(4 * 128 + 16 + 4, 128)),
        ("nf4", Fraction(4 * 64 + 32, 64)),
        ("nf4-dq", Fraction(4 * 64 * 256 + 8 * 256 + 32, 64 * 256)),
        ("nvfp4", Fraction(4 * 16 + 8, 16)),
        ("int8-wo", Fraction(8 * 128 + 16, 128)),
    ],
)
def test_a_group_shares_its_scale(name: str, bits: Fraction) -> None:
    found = parse_format(name)
    assert Fraction(found.numerator, found.denominator) == bits / 8
    assert choose_precision(name).weight_bits == pytest.approx(float(bits), rel=1e-3)


@pytest.mark.parametrize(
    "name", [*(f"q{n}_k" for n in range(2, 7)), "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl",
             "iq4_xs"],
)  # fmt: skip
def test_blocks_of_gguf_are_those_of_its_files(name: str) -> None:
    found = parse_format(name)
    assert Fraction(found.numerator, found.denominator) == BLOCKS[name]


def test_what_only_weights_have_leaves_the_rest_in_16_bits() -> None:
    formats = choose_formats("AWQ")
    assert (formats.weights.name, formats.activations.name, formats.cache.name) == (
        "awq", "bf16", "bf16",
    )  # fmt: skip
    assert choose_formats("q8_0", cache="q4_0").cache.name == "q4_0"


@pytest.mark.parametrize("name", [*precision_names(), "gptq-int4-g128", "bnb-nf4", "exl2-4.0"])
def test_ops_takes_every_format_that_fit_takes_or_says_what_shows_it(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["ops", "gpt2", "--prefill", "8", "--dtype", name])
    printed = capsys.readouterr()
    if code:
        assert code == 2
        assert f"`thermoflop fit gpt2 --dtype {name} --why` has them by group" in printed.err
        assert len(printed.err.splitlines()) == 1
    else:
        assert "bytes of weights" in printed.out
