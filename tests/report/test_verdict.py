"""What is printed of a difference agrees with what is said of it."""

from __future__ import annotations

import random

import pytest
from thermoflop.report.verdict import REAL, describe, figure, judge, sentences
from thermoflop.runs.analysis.difference import Difference
from thermoflop.runs.analysis.side_by_side import PhaseComparison, Row


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (-86.2, 85.9, "-86.2 ± 85.9"),  # as "-86 ± 86" nobody would believe that it is more
        (-85.9, 86.2, "-86 ± 86"),
        (6.24, 0.912, "+6.24 ± 0.91"),
        (0.99996, 0.99994, "+1.0000 ± 0.9999"),
        (3.0, 0.0, "+3 ± 0"),
        (-3.0, None, "-3"),
        (0.001, 12.0, "0 ± 12"),
    ],
)
def test_decimals_show_which_is_larger(value: float, error: float | None, said: str) -> None:
    assert describe(Difference(value, error, "blocks")) == said


def test_a_difference_that_is_real_is_printed_larger_than_its_noise_and_another_is_not() -> None:
    drawn = random.Random(5)
    for _ in range(500):
        error = 10 ** drawn.uniform(-5, 5)
        apart = Difference(error * drawn.choice((0.999, 0.9999999, 1.001, 1.0000001, 3)), error, "")
        value, noise = map(float, describe(apart).lstrip("+").split(" ± "))
        assert (value > noise) is (judge(apart) == REAL), apart


@pytest.mark.parametrize(
    ("value", "error", "unit", "said"),
    [
        (61.27, None, "°C", "61.3 °C"),
        (61.27, 14.0, "°C", "61.3 °C"),  # in whole degrees it would be another than in the list
        (61.27, 0.31, "°C", "61.27 °C"),
        (104.46, None, "°C", "104.5 °C"),
        (1234.5, 30.0, "tokens/s", "1234 tokens/s"),
        (None, 30.0, "J", "–"),
    ],
)
def test_a_temperature_has_a_tenth_wherever_it_stands(
    value: float | None, error: float | None, unit: str, said: str
) -> None:
    assert figure(value, error, unit) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (0.05, "b was faster than a: 12.000 tokens/s against 10.000 tokens/s. The difference, "),
        (3.0, "b was faster than a, by 20 %: 12.0 tokens/s against 10.0 tokens/s. But the "),
        (None, "b was faster than a, by 20 %: 12 tokens/s against 10 tokens/s. Whether that is "),
    ],
)
def test_runs_are_called_alike_only_where_the_interval_is_narrow(
    error: float | None, said: str
) -> None:
    """2 ± 3 of 10 tokens a second may as well be half more."""
    apart = Difference(2.0, error, "blocks", "too few")
    row = Row("tokens_per_s", "tokens a second", "tokens/s", (10.0, 12.0), (None, apart))
    (sentence,) = sentences(PhaseComparison("decode", 5.0, (1, 1), (row,)), ["a", "b"])
    assert sentence.startswith(said)


@pytest.mark.parametrize(
    ("error", "said"), [(1.5, "b was about as hot"), (5.6, "b was hotter than a: ")]
)
def test_runs_are_called_as_hot_only_within_two_kelvin(error: float, said: str) -> None:
    apart = Difference(0.3, error, "blocks")
    row = Row("gpu_c", "GPU temperature, mean", "°C", (38.4, 38.7), (None, apart))
    (sentence,) = sentences(PhaseComparison("decode", 5.0, (1, 1), (row,)), ["a", "b"])
    assert sentence.startswith(said)


def test_a_small_difference_within_a_narrow_interval_is_none() -> None:
    apart = Difference(0.2, 0.5, "blocks")
    row = Row("tokens_per_s", "tokens a second", "tokens/s", (10.0, 10.2), (None, apart))
    (sentence,) = sentences(PhaseComparison("decode", 5.0, (1, 1), (row,)), ["a", "b"])
    assert sentence.startswith("b was about as fast as a: ")


def test_a_wide_noise_rounds_away_no_figure_of_the_sentence() -> None:
    """18.51 to 18.46 is 0.27 %, not the 5 % of 19 to 18, and 0.05, not 0."""
    apart = Difference(-0.05, 35.0, "blocks")
    row = Row("tokens_per_s", "tokens a second", "tokens/s", (18.51, 18.46), (None, apart))
    (sentence,) = sentences(PhaseComparison("decode", 5.0, (1, 1), (row,)), ["a", "b"])
    assert sentence.startswith("b was slower than a, by 0.27 %: 18.5 tokens/s against 18.5 ")
    assert "the difference, 0.05 ± 35 tokens/s," in sentence
