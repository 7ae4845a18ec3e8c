"""Thermal fits give back the constants that a simulation was made with, within stated error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermoflop.report.html.tables import time_constant
from thermoflop.runs.analysis.thermal import ThermalFit, fit_heat, steady_state


def step_response(
    tau_s: float, seed: int, noise_c: float = 0.05, whole: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """A first-order rise from 30 to 70 degrees, watched for five time constants at 10 Hz."""
    t_s = np.arange(0, 5 * tau_s, max(0.1, tau_s / 200))
    temp_c = 70 - 40 * np.exp(-t_s / tau_s)
    temp_c += np.random.default_rng(seed).normal(0, noise_c, len(t_s))
    return t_s, np.floor(temp_c) if whole else temp_c


def heated(
    tau_s: float, r: float, seed: int, whole: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A GPU under a load that changes every few seconds, stepped finely and read at 10 Hz."""
    rng = np.random.default_rng(seed)
    fine_s, every = 0.01, 10
    levels = np.repeat(rng.uniform(40, 300, 60), 200)
    temp_c, temps = 25 + r * 40, []
    for watts in levels:
        temp_c += (25 + r * watts - temp_c) * (1 - math.exp(-fine_s / tau_s))
        temps.append(temp_c)
    t_s = np.arange(len(levels))[::every] * fine_s
    read_c = np.array(temps)[::every] + rng.normal(0, 0.05, len(t_s))
    return t_s, np.floor(read_c) if whole else read_c, levels[::every]


def holds(fit: ThermalFit | None, tau_s: float) -> bool:
    """Whether the interval has the truth in it."""
    return fit is not None and fit.tau_low_s <= tau_s <= fit.tau_high_s


@settings(max_examples=25, deadline=None)
@given(st.floats(2, 60), st.integers(0, 1000))
def test_a_step_gives_its_time_constant_back(tau_s: float, seed: int) -> None:
    """Within three per cent, and both levels within half a degree."""
    fit = fit_heat(*step_response(tau_s, seed))
    assert fit is not None
    assert fit.tau_s == pytest.approx(tau_s, rel=0.03)
    assert (fit.start_c, fit.end_c) == pytest.approx((30, 70), abs=0.5)
    assert fit.covered == pytest.approx(5, rel=0.05)


def test_the_interval_of_a_step_covers_the_truth_as_often_as_it_says() -> None:
    """95 of 100 promised; at least 88 of 100 seen, so that chance does not fail the test."""
    hits = sum(holds(fit_heat(*step_response(10.0, seed)), 10.0) for seed in range(100))
    assert hits >= 88


def test_whole_degrees_are_no_obstacle() -> None:
    """A GPU tells its temperature in whole degrees."""
    fit = fit_heat(*step_response(12.0, 1, whole=True))
    assert fit is not None
    assert fit.tau_s == pytest.approx(12.0, rel=0.05)


@settings(max_examples=12, deadline=None)
@given(st.floats(3, 30), st.floats(0.05, 0.4), st.integers(0, 1000))
def test_a_changing_power_gives_resistance_and_ambient_too(
    tau_s: float, r: float, seed: int
) -> None:
    """Thermal resistance within its stated error and three per cent."""
    fit = fit_heat(*heated(tau_s, r, seed))
    assert fit is not None
    assert fit.r_k_per_w is not None
    assert fit.r_error_k_per_w is not None
    assert fit.ambient_c is not None
    assert fit.tau_s == pytest.approx(tau_s, rel=0.05)
    assert abs(fit.r_k_per_w - r) <= fit.r_error_k_per_w + 0.03 * r
    assert fit.ambient_c == pytest.approx(25, abs=2.0)


def switched(
    tau_s: float, r: float, seed: int, whole: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A load that changes at any moment, also between two readings; 60 levels, read at 10 Hz."""
    rng = np.random.default_rng(seed)
    fine_s, every = 0.01, 10
    lengths = (rng.uniform(0.5, 4, 60) / fine_s).astype(int)
    watts = np.repeat(rng.uniform(40, 300, 60), lengths)
    temp_c, temps = 25 + r * 40, []
    for power in watts:
        temps.append(temp_c)
        temp_c += (25 + r * power - temp_c) * (1 - math.exp(-fine_s / tau_s))
    read_c = np.array(temps)[::every] + rng.normal(0, 0.05, len(temps[::every]))
    t_s = np.arange(len(read_c)) * fine_s * every
    return t_s, np.floor(read_c) if whole else read_c, watts[::every]


@pytest.mark.parametrize(("tau_s", "whole"), [(5.0, False), (5.0, True), (20.0, True)])
def test_the_interval_under_a_changing_power_covers_the_truth(tau_s: float, whole: bool) -> None:
    """95 of 100 promised; 17 of 20 must be seen, for time constant and resistance."""
    fits = [fit_heat(*switched(tau_s, 0.2, seed, whole)) for seed in range(20)]
    assert sum(holds(fit, tau_s) for fit in fits) >= 17
    within = [
        fit is not None
        and fit.r_k_per_w is not None
        and abs(fit.r_k_per_w - 0.2) <= (fit.r_error_k_per_w or 0.0)
        for fit in fits
    ]
    assert sum(within) >= 17


def test_an_interval_that_covers_is_no_wider_than_it_must_be() -> None:
    """A few per cent: one that says nothing covers, too."""
    fit = fit_heat(*switched(10.0, 0.2, 1, False))
    assert fit is not None
    assert (fit.tau_high_s - fit.tau_low_s) / fit.tau_s < 0.1


def test_noise_has_no_time_constant() -> None:
    """Nor has a rise that is half undone: the model does not know that fan."""
    rng = np.random.default_rng(2)
    t_s = np.arange(0, 60, 0.2)
    assert fit_heat(t_s, 24 + rng.normal(0, 0.02, len(t_s))) is None
    there_and_back = 24 + 8 * np.sin(np.pi * t_s / 60) ** 4
    assert fit_heat(t_s, there_and_back) is None


def test_resistance_from_whole_degrees() -> None:
    """Half a degree of rounding lands in the ambient temperature, not in the resistance."""
    for seed in range(5):
        fit = fit_heat(*heated(10.0, 0.2, seed, whole=True))
        assert fit is not None
        assert fit.r_k_per_w == pytest.approx(0.2, rel=0.03)
        assert fit.tau_s == pytest.approx(10.0, rel=0.06)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_readings_give_no_fit(n: int) -> None:
    """None, not a number that means nothing."""
    assert fit_heat(np.arange(n) * 1.0, np.arange(n) * 2.0) is None


def test_a_flat_line_has_no_time_constant() -> None:
    """Nor has one of invalid readings."""
    t_s = np.arange(100) * 0.1
    assert fit_heat(t_s, np.full(100, 40.0)) is None
    assert fit_heat(t_s, np.full(100, np.nan)) is None


def test_a_constant_power_is_fitted_as_a_step() -> None:
    """It cannot be told from the ambient temperature, so no resistance is claimed."""
    t_s, temp_c = step_response(5.0, 3)
    fit = fit_heat(t_s, temp_c, np.full(len(t_s), 200.0))
    assert fit is not None
    assert fit.r_k_per_w is None
    assert fit.tau_s == pytest.approx(5.0, rel=0.03)


def test_a_record_shorter_than_its_time_constant_says_so() -> None:
    """The end is an extrapolation and its interval is open upwards or wide."""
    t_s = np.arange(0, 6, 0.1)
    temp_c = 70 - 40 * np.exp(-t_s / 40) + np.random.default_rng(0).normal(0, 0.3, len(t_s))
    fit = fit_heat(t_s, temp_c)
    assert fit is not None
    assert fit.covered < 1
    assert fit.tau_high_s > 1.3 * fit.tau_low_s


def test_steady_state_is_found_where_the_rise_ends() -> None:
    """From about three time constants on, within a degree."""
    t_s, temp_c = step_response(10.0, 1)
    steady = steady_state(t_s, temp_c)
    assert steady is not None
    assert 25 <= steady.from_s <= 42
    assert steady.mean_c == pytest.approx(70, abs=0.7)
    assert steady_state(t_s, 30 + t_s) is None


def test_a_temperature_that_only_rises_has_no_time_constant_but_a_least_one() -> None:
    """A straight line of 20 s, in whole degrees, is the beginning of a rise of any length."""
    t_s = np.arange(0, 20, 0.1)
    fit = fit_heat(t_s, np.floor(60 + t_s))
    assert fit is not None
    assert math.isinf(fit.tau_high_s)
    assert time_constant(fit) == f"above {fit.tau_low_s:.1f} s"
    risen = fit_heat(*step_response(5.0, 1))
    assert risen is not None
    assert time_constant(risen).startswith(f"{risen.tau_s:.1f} s (")


@pytest.mark.parametrize(("error", "known"), [(0.05, True), (0.25, False), (None, False)])
def test_a_resistance_within_its_own_error_of_nothing_is_not_known(
    error: float | None, known: bool
) -> None:
    """0.2 ± 0.25 K/W: neither it nor the rise that it makes is shown as measured."""
    fit = ThermalFit(10.0, 8.0, 12.0, 30.0, 90.0, 0.2, error, 30.0, 0.1, 100, 3.0)
    assert fit.is_resistance_known is known
