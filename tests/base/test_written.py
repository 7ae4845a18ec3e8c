"""Numbers as people write them."""

from __future__ import annotations

import pytest
from thermoflop.base.written import is_ambiguous, read_number


@pytest.mark.parametrize(
    ("text", "kilo", "number"),
    [
        ("32k", 1024, 32 * 1024),
        ("32K", 1000, 32_000),
        ("1M", 1024, 1024 * 1024),
        ("1.5k", 1024, 1536),
        ("128Ki", 1000, 131_072),
        ("2.3k", 1000, 2300),  # 2.3 * 1000 in floating point is 2299.9999999999995
        ("1T", 1000, 10**12),
        ("300B", 1000, 300 * 10**9),
        ("300g", 1000, 300 * 10**9),
        ("1e6", 1024, 10**6),
        ("12e-1", 1000, 1.2),
        ("1_000", 1000, 1000),
        ("1,000,000", 1000, 10**6),
        ("1 000", 1000, 1000),
        ("-2k", 1000, -2000),
        ("9007199254740993k", 1000, 9007199254740993000),  # 2**53 + 1: no float holds it
        ("0.25", 1000, 0.25),
        *((text, 1000, None) for text in ("", "k", "1kk", "1,5", "1,00", "i", "5i", "1e", "--2",
                                          "inf", "nan", "0x10", "2 x", "1e9999")),
    ],
)  # fmt: skip
def test_a_number_is_read_exactly_or_not_at_all(text: str, kilo: int, number: float | None) -> None:
    read = read_number(text, kilo)
    assert read == number
    assert type(read) is type(number)


def test_what_means_one_thing_alone_is_not_ambiguous() -> None:
    assert [text for text in ("32k", "1M", "32Ki", "1e6", "32000", "x") if is_ambiguous(text)] == [
        "32k",
        "1M",
    ]


@pytest.mark.parametrize("text", ["9" * 400 + ".5", "9" * 5000, "1" * 61])
def test_what_no_person_writes_is_no_number_and_no_error(text: str) -> None:
    assert read_number(text) is None


def test_a_fraction_of_fifty_digits_is_the_nearest_float() -> None:
    assert read_number("9" * 50 + ".5") == float("9" * 50 + ".5")
    assert read_number("1e-999") == 0.0
