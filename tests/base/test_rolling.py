"""The rate over the last while: right by arithmetic, at any spacing, in bounded memory."""

from __future__ import annotations

import pytest
from thermoflop.base.rolling import RollingRate


@pytest.mark.parametrize("every_s", [0.1, 0.2, 1.0, 10.0, 60.0])
def test_samples_at_a_steady_spacing_have_its_rate(every_s: float) -> None:
    """Also where one step is longer than the window: a board may take 60 s."""
    rate = RollingRate(window_s=5.0)
    assert rate.per_s == 0.0
    rate.add(100.0)
    assert rate.per_s == 0.0
    for n in range(1, 500):
        rate.add(100.0 + n * every_s)
        assert rate.per_s == pytest.approx(1 / every_s)


def test_what_is_older_than_the_window_does_not_count() -> None:
    """10 s at 1 processor, then 1 s at 3: of the last half second, 3."""
    rate = RollingRate(window_s=0.5)
    for n in range(41):
        rate.add(n / 4, 0.25)
    for n in range(1, 5):
        rate.add(10 + n / 4, 0.75)
    assert rate.per_s == pytest.approx(3.0)


def test_two_at_one_moment_are_no_division_by_zero() -> None:
    rate = RollingRate(window_s=5.0)
    rate.add(1.0)
    rate.add(1.0)
    assert rate.per_s == 0.0
