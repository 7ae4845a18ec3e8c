"""A long run is judged as a short one is: its heat through the means of stretches of time."""

from __future__ import annotations

import numpy as np
import pytest
from thermoflop.runs.analysis.thermal import MOST_POINTS, fit_heat, steady_state


def test_a_day_gives_the_time_constant_that_it_was_made_of() -> None:
    """25 h at 5 samples a second: 450,000 readings, tau = 3600 s, noise of 0.05 °C."""
    t_s = np.arange(450_000) / 5
    noise = np.random.default_rng(1).normal(0, 0.05, len(t_s))
    fit = fit_heat(t_s, 60 - 35 * np.exp(-t_s / 3600) + noise)
    assert fit is not None
    assert fit.tau_s == pytest.approx(3600, rel=0.005)
    assert fit.end_c == pytest.approx(60, abs=0.02)
    assert fit.points == MOST_POINTS


def test_a_long_run_under_power_gives_its_thermal_resistance() -> None:
    """T settles at 25 °C + 0.1 K/W; the power changes every 20 minutes, a gap of an hour in it."""
    t_s = np.arange(0, 36_000, 0.1)
    power_w = np.where((t_s // 1200) % 2 == 0, 300.0, 100.0)
    temp_c = np.empty_like(t_s)
    value, keep = 25.0, float(np.exp(-0.1 / 240))
    for index, watts in enumerate(power_w):
        temp_c[index] = value
        value = (25 + 0.1 * watts) * (1 - keep) + value * keep
    seen = (t_s < 10_000) | (t_s > 13_600)
    fit = fit_heat(t_s[seen], temp_c[seen], power_w[seen])
    assert fit is not None
    assert fit.tau_low_s <= 240 * 1.02
    assert fit.tau_high_s >= 240 * 0.98
    assert fit.tau_s == pytest.approx(240, rel=0.05)
    assert fit.r_k_per_w == pytest.approx(0.1, rel=0.05)


def test_a_short_run_is_fitted_through_every_reading() -> None:
    """Up to MOST_POINTS nothing is averaged."""
    t_s = np.arange(MOST_POINTS) / 5.0
    fit = fit_heat(t_s, 60 - 35 * np.exp(-t_s / 100) + 0.01 * np.sin(t_s))
    assert fit is not None
    assert fit.points == MOST_POINTS


def test_a_slow_drift_is_no_steady_state() -> None:
    """1.5 K over the last fifth drifts; 0.5 K does not. The drift is that of the line of least
    squares: 100 s at 0.01 K/s make 1 K."""
    t_s = np.arange(0, 1000, 0.01)
    assert steady_state(t_s, 40 + 0.0075 * t_s) is None
    steady = steady_state(t_s, 40 + 0.0005 * t_s)
    assert steady is not None
    assert steady.mean_c == pytest.approx(40.25, abs=0.01)
