"""Watts, joules and degrees of a run, by the stated formula."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import BANDWIDTH, DEVICE, PEAK, POWER, decoder, rates
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.energy import energy_of, power_w
from thermoflop.cost.work.steps import decode_step, prefill_step
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


def test_a_device_that_waits_for_its_host_draws_less():
    """0.18 + 0.336 w: at work for a quarter of the time 0.264, with what it computes 0.2791."""
    assert power_w(DEVICE, PEAK, 0.0, 0.0, 0.0) == pytest.approx(0.18 * POWER)
    assert power_w(DEVICE, PEAK, 0.01 * PEAK, 0.0, 0.25) == pytest.approx(0.27914 * POWER)
    found = energy_of(DEVICE, 1, PEAK, 0.02 * PEAK, 0.0, 2.0, 1, 0.25)
    assert found.energy_j == pytest.approx(2 * 0.27914 * POWER)
    assert "0.18 + 0.34 w" in found.assumption
    assert "waits for the host" in found.assumption


@pytest.mark.parametrize("pp", [1, 2])
def test_who_launches_kernel_by_kernel_waits_for_what_the_host_takes(pp):
    """A millisecond a kernel, beside which a step of the small decoder is nothing: each of its
    operators takes the longer of computing and moving, at the data sheet's rates."""
    recorded = rates(launch_overhead_s=1e-3)
    eager = replace(find_profile("transformers"), fixed=recorded.fixed)
    asked = {"batch": 1, "prompt": 64, "generate": 3, "pp": pp}
    made = tf.estimate(decoder(), DEVICE, profile=eager, **asked)
    steps = [prefill_step(64, 1), decode_step(64, 1), decode_step(65, 1)]
    works = [work for step in steps for work in made.setting.works(step)]
    kernels = sum(work.times * work.launches for work in works)
    each_s = 1e-3 * made.setting.rates.host
    assert made.total.expected_s == pytest.approx(kernels * each_s)
    busy = sum(work.times * max(work.flops / PEAK, work.bytes / BANDWIDTH) for work in works)
    working = busy / pp / made.total.expected_s
    assert 1e-6 < working < 0.01
    least = power_w(DEVICE, PEAK, 0.0, 0.0, working)
    assert least < made.energy.power_w < 1.01 * least
    assert tf.estimate(decoder(), DEVICE, profile=recorded, **asked).energy.power_w > 0.516 * POWER


def test_a_device_whose_host_is_ahead_works_all_the_time():
    """Launches of a nanosecond, beside none."""
    ahead, none = (
        replace(find_profile("transformers"), fixed=rates(launch_overhead_s=each).fixed)
        for each in (1e-9, 0.0)
    )
    asked = {"batch": 4, "prompt": 1024, "generate": 20}
    one, two = (tf.estimate(decoder(), DEVICE, profile=each, **asked) for each in (ahead, none))
    assert one.total == two.total
    assert one.energy.power_w == pytest.approx(two.energy.power_w)


def test_a_card_with_gddr_draws_what_it_may_while_it_works():
    """0.18 + 0.8 w: 0.98 of the design power at work, whatever the rates; 0.58 for half the time,
    which a graph's gaps leave as launches one by one do."""
    card = replace(DEVICE, memory_kind="GDDR6X")
    for computing, moving in ((0, 0), (0.9, 0.1), (0.01, 1)):
        assert power_w(card, PEAK, computing * PEAK, moving * BANDWIDTH) == 0.98 * POWER
    assert power_w(card, PEAK, 0.0, 0.0, 0.5) == pytest.approx(0.58 * POWER)
    found = energy_of(card, 1, PEAK, 0.0, 0.0, 1.0, 1)
    assert "0.98 of 400 W" in found.assumption
    gaps = rates(kernel_gap_s=1e-3)
    asked = {"batch": 1, "prompt": 64, "generate": 3}
    made = tf.estimate(decoder(), card, profile=gaps, **asked)
    assert 0.18 * POWER < made.energy.power_w < 0.19 * POWER
    assert "0.18 + 0.80 w of 400 W" in made.energy.assumption
    ahead = tf.estimate(decoder(), card, profile=rates(), **asked)
    assert ahead.energy.power_w == pytest.approx(0.98 * POWER)


def test_the_interval_of_energy_is_that_of_power_and_time():
    """400 W at most where 321.4 W are expected, and 5 s that may be 4 or 10."""
    found = energy_of(DEVICE, 1, PEAK, 0.5 * PEAK, 2.5 * BANDWIDTH, 5.0, 1, ends=(4.0, 10.0))
    joules = 5 * 0.8034 * POWER
    up = ((1 / 0.8034 - 1) ** 2 + 1.0) ** 0.5
    down = ((1 / 0.67 - 1) ** 2 + 0.25**2) ** 0.5
    assert found.energy_j == pytest.approx(joules)
    assert found.energy_high_j == pytest.approx(joules * (1 + up))
    assert found.energy_low_j == pytest.approx(joules / (1 + down))


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
