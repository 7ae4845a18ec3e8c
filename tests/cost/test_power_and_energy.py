"""Watts, joules and degrees of a run, by the stated formula."""

from __future__ import annotations

import pytest
from kit.made_up import BANDWIDTH, DEVICE, PEAK, POWER
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.energy import energy_of, power_w
from thermoflop.errors import UsageError


@pytest.mark.parametrize(
    ("computing", "moving", "share"),
    [(0, 0, 0.516), (0.1, 0, 0.516 + 0.1514), (0, 0.5, 0.516 + 0.136), (0.1, 0.5, 0.8034),
     (0.5, 0.5, 1.0)],
)  # fmt: skip
def test_power_is_awake_and_what_it_computes_and_moves(computing, moving, share):
    assert power_w(DEVICE, PEAK, computing * PEAK, moving * BANDWIDTH) == pytest.approx(
        share * POWER, rel=1e-9
    )


def test_energy_is_power_of_all_devices_for_the_time():
    """A tenth of the peak and half the bandwidth for 5 s: 0.8034 x 400 W."""
    found = energy_of(DEVICE, 3, PEAK, 0.5 * PEAK, 2.5 * BANDWIDTH, 5.0, 40)
    watts = 0.8034 * POWER
    assert found.power_w == pytest.approx(watts)
    assert found.energy_j == pytest.approx(3 * 5 * watts)
    assert found.per_token_j == pytest.approx(3 * 5 * watts / 40)
    assert found.rise_c == pytest.approx(0.1 * watts)
    # nothing was fitted to this device
    assert found.power_low_w == pytest.approx(0.67 * watts)
    assert found.power_high_w == POWER
    assert (found.energy_low_j, found.energy_high_j) == pytest.approx(
        (15 * 0.67 * watts, 15 * POWER)
    )
    assert "none of this device" in found.assumption
    idle = energy_of(DEVICE, 1, PEAK, 0.0, 0.0, 1.0, 1)
    assert idle.power_high_w == pytest.approx(1.41 * 0.516 * POWER)


def test_a_device_that_was_fitted_has_the_narrower_interval():
    h100 = find_device("h100")
    found = energy_of(h100, 1, 1e15, 0.0, 0.0, 1.0, 1)
    watts = 0.516 * h100.power_w
    assert (found.power_low_w, found.power_high_w) == pytest.approx((0.83 * watts, 1.31 * watts))
    assert "none of this device" not in found.assumption


def test_without_a_design_power_there_is_no_energy():
    unknown = replace(DEVICE, power_w=None)
    assert energy_of(unknown, 1, PEAK, 1.0, 1.0, 1.0, 1) is None
    with pytest.raises(UsageError, match="design power of made-up is not known"):
        power_w(unknown, PEAK, 1.0, 1.0)
    cool = replace(DEVICE, thermal_resistance_c_per_w=None)
    assert energy_of(cool, 1, PEAK, 1.0, 1.0, 1.0, 1).rise_c is None
