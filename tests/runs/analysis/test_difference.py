"""Differences of two runs: intervals that hold what they promise, and none where none can."""

from __future__ import annotations

import math

import numpy as np
import pytest
from thermoflop.runs.analysis.difference import between_blocks, between_repetitions, independent


def test_repetitions_have_welch_s_interval() -> None:
    """By hand: means 11 and 65/3, variances 1 and 13/3; 2.88 degrees of freedom, of which 2."""
    apart = between_repetitions([10.0, 11.0, 12.0], [20.0, 21.0, 24.0])
    standard_error = math.sqrt(1 / 3 + 13 / 9)
    assert apart.value == pytest.approx(32 / 3)
    assert apart.error == pytest.approx(4.303 * standard_error)
    assert apart.is_real


def test_one_value_a_run_has_no_interval() -> None:
    apart = between_repetitions([10.0], [20.0, 21.0])
    assert (apart.value, apart.error, apart.is_real) == (10.5, None, None)


def test_whole_degrees_are_known_no_better_than_rounding_leaves_them() -> None:
    """GUM F.2.2.1: a variance of 1/12 each, whatever the repetitions say."""
    apart = between_repetitions([65.0, 65.0], [66.0, 66.0], step=1.0)
    assert apart.error == pytest.approx(1.96 * math.sqrt(2 / 12))


def test_a_first_order_series_carries_as_much_as_bartlett_says() -> None:
    """1000 values with a correlation of 0.9: 1000 * 0.1 / 1.9, within what chance does."""
    assert independent([_series(np.random.default_rng(5), 1000, 0.9)]) == pytest.approx(53, rel=0.3)


def test_blocks_weigh_by_what_is_below() -> None:
    """20 tokens in 3 s against 30 in 3 s, however they lie in the blocks: 10 / 3 more a second."""
    under = np.array([1.0, 2.0] * 8) * 3 / 24
    a = np.full(16, 20 / 16), under
    b = np.full(16, 30 / 16), under
    assert between_blocks(a, b).value == pytest.approx(10 / 3)


def _series(random: np.random.Generator, n: int, correlation: float) -> np.ndarray:
    values = np.empty(n)
    values[0] = random.standard_normal()
    noise = random.standard_normal(n) * math.sqrt(1 - correlation**2)
    for index in range(1, n):
        values[index] = correlation * values[index - 1] + noise[index]
    return values - values.mean()


@pytest.mark.parametrize("further", [0.0, 5.0])
@pytest.mark.parametrize(("lengths", "given"), [(20, 0.5), (200, 0.99)])
def test_95_of_100_intervals_hold_the_true_difference_of_autocorrelated_runs(
    lengths: int, given: float, further: float
) -> None:
    """Of so many correlation lengths each; both warm up by 40 K, one ``further`` than the other."""
    random, n, runs = np.random.default_rng(1), 640, 400
    correlation, t = math.exp(-lengths / n), np.arange(n) / n
    rise, under = 1 - np.exp(-t / 0.3), np.full(32, n / 32)
    scale = math.sqrt(1 - correlation**2)
    noise = random.standard_normal((2 * runs, n)) * scale
    noise[:, 0] /= scale
    for index in range(1, n):
        noise[:, index] += correlation * noise[:, index - 1]
    truth, intervals, held = float(np.mean(further * rise)) + 0.5, 0, 0
    for first, second in zip(noise[:runs], noise[runs:], strict=True):
        warm = 40 * rise + first, (40 + further) * rise + second + 0.5
        a, b = (each.reshape(32, -1).sum(axis=1) for each in warm)
        apart = between_blocks((a, under), (b, under))
        if apart.error is not None:
            intervals += 1
            held += abs(apart.value - truth) <= apart.error
    assert intervals >= given * runs
    assert held / intervals >= 0.92


def test_of_a_few_blocks_student_s_t_has_few_degrees_of_freedom() -> None:
    """24, 26, 25 and 25 against 10, 10, 11 and 9: residuals -1, 1, 0, 0 and 0, 0, 1, -1, whose
    correlation of -1/2 counts as none: of 3 degrees half of four blocks, of both runs 4; 2.776
    times the root of 4 / (4 * 2)."""
    under = np.ones(4)
    a, b = np.array([10.0, 10.0, 11.0, 9.0]), np.array([24.0, 26.0, 25.0, 25.0])
    apart = between_blocks((a, under), (b, under))
    assert (apart.value, apart.degrees) == (15.0, 4)
    assert apart.error == pytest.approx(2.776 * math.sqrt(4 / 8))


def test_what_a_few_blocks_of_both_runs_have_in_common_is_no_noise() -> None:
    """Both rise by 30; of the difference residuals 1, -1, 0 and 0 are left: 2 degrees."""
    under, a = np.ones(4), np.array([10.0, 20.0, 30.0, 40.0])
    apart = between_blocks((a, under), (a + np.array([6.0, 4.0, 5.0, 5.0]), under))
    assert (apart.value, apart.degrees) == (5.0, 2)
    assert apart.error == pytest.approx(4.303 * math.sqrt(2 / 8))


def test_a_few_blocks_that_follow_each_other_carry_less() -> None:
    """Residuals 1, 1, -1, -1: a correlation of 1/4, freed of its bias 11/16, so 4 * 5/27 of them,
    which is less than a mean and its spread need."""
    under, b = np.ones(4), np.array([6.0, 6.0, 4.0, 4.0])
    apart = between_blocks((np.ones(4), under), (b, under))
    assert (apart.error, apart.degrees) == (None, None)


def test_a_difference_that_wanders_has_no_interval() -> None:
    """A sine over the whole stretch: no first-order course, and no noise either."""
    under, a = np.ones(32), np.zeros(32)
    apart = between_blocks((a, under), (np.sin(np.arange(32) / 5), under))
    assert apart.is_real is None
    assert "changed all along" in apart.why
