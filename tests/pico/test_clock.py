"""The clock fit: right to its stated error, in bounded memory, from arrivals alone."""

from __future__ import annotations

import json
import math
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermoflop.pico.clock import ClockFit, ClockFitter


def mono_of(fit: ClockFit, up_s: float) -> float:
    """The host's monotonic time at which the board's clock read ``up_s``."""
    return fit.offset_s + fit.rate * up_s


def heard(
    ppm: float, offset_s: float, seconds: int, seed: int = 1, jitter_s: float = 0.005
) -> tuple[ClockFitter, ClockFit]:
    """A board whose clock is off by ``ppm``, five lines a second, each late by some jitter."""
    rng = random.Random(seed)
    fitter = ClockFitter("3fa2c1")
    for n in range(5 * seconds):
        up_s = round(0.2 * n, 3)
        late_s = rng.expovariate(1 / jitter_s) + (0.5 if rng.random() < 0.01 else 0)
        fitter.add(up_s, offset_s + up_s * (1 + ppm * 1e-6) + late_s)
    fit = fitter.fit()
    assert fit is not None
    return fitter, fit


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ppm", [-80.0, 0.0, 35.0])
def test_the_fit_is_right_to_its_stated_error(ppm: float, seed: int) -> None:
    """At every moment of ten minutes, delays of half a second among them."""
    _, fit = heard(ppm, 1000.0, 600, seed)
    for up_s in (0.0, 100.0, 300.0, 599.0):
        assert abs(mono_of(fit, up_s) - (1000.0 + up_s * (1 + ppm * 1e-6))) <= fit.error_s
    assert fit.error_s < 0.005
    assert fit.drift_ppm == pytest.approx(-ppm, abs=10)  # more host time a tick is a slow board


def test_a_short_span_takes_no_slope_from_jitter() -> None:
    """In five seconds a drift cannot be told from a delay."""
    _, fit = heard(40.0, 7.0, 5)
    assert fit.rate == 1.0
    assert abs(mono_of(fit, 5.0) - 12.0002) <= fit.error_s


def test_a_board_that_runs_at_another_speed_is_followed() -> None:
    """A simulated board ten times as fast as the wall clock."""
    fitter = ClockFitter("3fa2c1")
    for n in range(100):
        fitter.add(0.2 * n, 5.0 + 0.02 * n)
    fit = fitter.fit()
    assert fit is not None
    assert fit.rate == pytest.approx(0.1)
    assert fit.error_s < 0.002


def test_lines_that_all_come_at_once_say_nothing_about_the_speed() -> None:
    """A burst after a stall: the rate stays 1, and the error owns up to the burst's length."""
    fitter = ClockFitter("3fa2c1")
    for n in range(50):
        fitter.add(0.2 * n, 5.0)
    fit = fitter.fit()
    assert fit is not None
    assert (fit.rate, fit.drift_ppm) == (1.0, 0.0)
    assert fit.error_s > 5.0


def test_a_delayed_line_never_pulls_the_line_up() -> None:
    """No arrival lies before the time that the fit gives it, but for rounding."""
    fitter, fit = heard(20.0, 3.0, 300)
    for slot in fitter._bins.values():
        for up_s, mono_s in slot.hull:
            assert mono_s >= mono_of(fit, up_s) - 1e-9


def test_memory_is_bounded() -> None:
    """Arrivals that bend the worst way are still a few kilobytes."""
    fitter = ClockFitter("3fa2c1")
    tracemalloc.start()
    for n in range(8_000):
        up_s = 1.0 * n
        fitter.add(up_s, 3.0 + up_s + 1e-12 * up_s * up_s)  # convex: every point is on the hull
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 512 * 1024
    assert sum(len(slot.hull) for slot in fitter._bins.values()) <= 16 * 65


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), min_size=1, max_size=60))
def test_no_arrivals_make_the_fit_fail(points: list[tuple[float, float]]) -> None:
    """Whatever the two clocks do, there is a fit with a rate and an error, both finite."""
    fitter = ClockFitter("3fa2c1")
    for up_s, mono_s in points:
        fitter.add(up_s, mono_s)
    fit = fitter.fit()
    assert fit is not None
    assert fit.rate > 0
    assert 0 < fit.error_s < math.inf
    assert json.dumps(fit.to_json(), allow_nan=False)


def test_nothing_heard_is_no_fit() -> None:
    """Not a fit of zero."""
    assert ClockFitter("3fa2c1").fit() is None


def test_a_clock_that_runs_backwards_is_not_believed() -> None:
    """Such a stamp is left out."""
    fitter = ClockFitter("3fa2c1")
    fitter.add(5.0, 10.0)
    fitter.add(4.0, 3.0)
    fit = fitter.fit()
    assert fit is not None
    assert fit.points == 1


@pytest.mark.parametrize("wrong_up_s", [99999.0, 1e10, 150.0])
@pytest.mark.parametrize("place", [0, 1, 700, 2999])
def test_one_stamp_that_is_too_high_does_not_end_the_fit(wrong_up_s: float, place: int) -> None:
    """Wherever it stands: the line is that of all others, and its error too."""
    fitter = ClockFitter("3fa2c1")
    for n in range(3000):
        if n == place:
            fitter.add(0.1 * n + wrong_up_s, 100 + 0.1 * n)
        else:
            fitter.add(0.1 * n, 100 + 0.1 * n)
    fit = fitter.fit()
    assert fit is not None
    assert fit.points >= 2997
    for up_s in (0.0, 150.0, 299.0):
        assert abs(mono_of(fit, up_s) - (100 + up_s)) <= fit.error_s
    assert fit.error_s < 0.005


def test_several_stamps_in_a_row_that_are_too_high_cost_a_stretch_of_the_fit() -> None:
    """Then those that go on from before are believed again, and the line is theirs."""
    fitter = ClockFitter("3fa2c1")
    for n in range(3000):
        fitter.add(0.1 * n + (5e4 if 1000 <= n < 1005 else 0.0), 100 + 0.1 * n)
    fit = fitter.fit()
    assert fit is not None
    assert fit.points == pytest.approx(1995, abs=2)
    assert abs(mono_of(fit, 250.0) - 350.0) <= fit.error_s < 0.005


def fitted(
    slept_s: float = 0.0, speed: float = 1.0, held_s: float = 0.0, seconds: int = 100
) -> ClockFit:
    """Ten lines a second; halfway the host's clock stands for some time, or nobody reads for
    some."""
    fitter, half_s = ClockFitter("3fa2c1"), seconds / 2
    for n in range(10 * seconds):
        is_late = n / 10 >= half_s
        up_s = n / 10 * speed + (slept_s if is_late else 0.0)
        fitter.add(up_s, 1000.0 + max(n / 10, half_s + held_s if is_late else 0.0))
    fit = fitter.fit()
    assert fit is not None
    return fit


@pytest.mark.parametrize("slept_s", [5.0, 30.0, 600.0, 30_000.0])
def test_the_clocks_of_a_host_that_slept_are_apart(slept_s: float) -> None:
    """The board went on, and the host's monotonic clock stood: no line has both halves."""
    assert fitted(slept_s=slept_s).is_apart


def test_a_short_sleep_of_a_long_record_sets_the_clocks_apart_too() -> None:
    """10 s of 30 minutes are a drift of 0.6 % at most; half of the lines would lie 10 s off."""
    assert fitted(slept_s=10.0, seconds=1800).is_apart


def test_lines_that_come_late_and_boards_at_another_speed_are_not_apart() -> None:
    """A recorder that was stopped for 20 s, and a simulated board at ten times the speed."""
    assert not fitted().is_apart
    assert not fitted(held_s=20.0).is_apart
    assert not fitted(speed=10.0).is_apart
    assert not fitted(held_s=20.0, seconds=1800).is_apart
