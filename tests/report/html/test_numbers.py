"""Numbers of the report: three digits, never in powers of ten, thousands with a comma."""

from __future__ import annotations

import pytest
from thermoflop.report.html.tables import number, quantity, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0565, "0.0565"), (31.94, "31.9"), (999.4, "999"), (999.7, "1,000"), (5090.2, "5,090")],
)
def test_a_rate_has_three_digits_and_all_of_them_from_a_thousand_on(
    value: float, text: str
) -> None:
    assert number(value) == text


def test_what_rounds_to_a_thousand_is_one_of_the_next_unit() -> None:
    assert [quantity(value, "J") for value in (999.4, 999.7, 2.9e3, 999.7e3)] == [
        "999 J", "1 kJ", "2.9 kJ", "1 MJ",
    ]  # fmt: skip
    assert [seconds(value) for value in (0.9994, 0.9997, 0.9997e-3)] == ["999 ms", "1 s", "1 ms"]
