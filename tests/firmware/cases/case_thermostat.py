"""The rules by which the fan runs. Temperatures in milli-degrees, times in ms."""

import faults
import settings
from thermostat import FOREVER, GOOD_MS, HELP_MS, Thermostat


class Run:
    """A thermostat and its clock."""

    def __init__(self, now_ms=0, safe_mode=False, **changes):
        values = settings.defaults()
        values.update(changes)
        self.now_ms = now_ms
        self.state = Thermostat(values, now_ms & 0x3FFFFFFF, safe_mode)

    def hold(self, temp_mc, for_ms, found=0, step_ms=100):
        """Feed one reading for a while; returns the fan at the end."""
        for _ in range(for_ms // step_ms):
            self.now_ms += step_ms
            self.state.step(self.now_ms & 0x3FFFFFFF, temp_mc, found)
        return self.state.fan

    def cool(self):
        """Past the first minimum time, with the fan off."""
        self.hold(20000, 5000)
        assert self.state.fan == 0
        self.hold(20000, 5000)
        return self


def test_rule_1_the_thermostat_starts_with_the_fan_on():
    assert Run().state.fan == 1


def test_rule_2_every_kind_of_sensor_fault_keeps_the_fan_on():
    bit = 1
    while bit <= faults.PIN:
        run = Run()
        assert run.hold(20000, 60000, bit) == 1, bit
        assert run.state.mode == "fault"
        bit *= 2


def test_rule_2_invalid_settings_keep_the_fan_on():
    run = Run()
    run.state.on_mc, run.state.off_mc = 20000, 28000
    assert run.hold(10000, 60000) == 1
    assert run.state.reason == "settings"


def test_rule_2_a_timed_override_holds_the_fan_off_and_then_ends():
    run = Run()
    run.hold(35000, 6000)
    run.state.override(0, 30000)
    assert run.hold(35000, 29900) == 0
    assert run.state.mode == "off"
    assert run.hold(35000, 200) == 1
    assert run.state.mode == "auto"


def test_rule_2_an_override_does_not_outrank_a_fault():
    run = Run().cool()
    run.state.override(0, 600000)
    run.hold(20000, 1000)
    assert run.hold(20000, 100, faults.OPEN) == 1


def test_rule_3_a_fault_turns_the_fan_on_at_once_whatever_the_minimum_time():
    run = Run(min_off_s=600000).cool()
    assert run.hold(20000, 100, faults.NOISY) == 1


def test_rule_3_a_fault_lets_go_after_10_s_of_good_readings_not_before():
    run = Run().cool()
    run.hold(20000, 100, faults.OPEN)
    assert run.hold(20000, GOOD_MS - 100) == 1
    assert run.state.latched == faults.OPEN
    assert run.hold(20000, 100) == 0
    assert run.state.latched == 0


def test_rule_3_one_more_bad_reading_starts_the_10_s_again():
    run = Run().cool()
    run.hold(20000, 100, faults.OPEN)
    run.hold(20000, 9000)
    run.hold(20000, 100, faults.FAST)
    assert run.hold(20000, GOOD_MS - 100) == 1
    assert run.hold(20000, 100) == 0


def test_rule_4_above_the_maximum_the_fan_is_on_whatever_was_commanded():
    run = Run().cool()
    run.state.override(0, 600000)
    assert run.hold(59900, 10000) == 0
    assert run.hold(60000, 100) == 1
    assert run.state.mode == "hot"
    assert run.state.flags(0) & faults.HOT
    assert run.hold(59500, 60000) == 1  # a degree of hysteresis
    assert run.hold(58900, 100) == 0
    assert run.state.mode == "off"


def test_rule_5_on_at_or_above_on_c_and_off_at_or_below_off_c():
    run = Run().cool()
    assert run.hold(28999, 60000) == 0
    assert run.hold(29000, 100) == 1
    assert run.hold(28001, 60000) == 1
    assert run.hold(28000, 100) == 0


def test_rule_5_minimum_times_hold_in_both_directions():
    run = Run(min_on_s=7000, min_off_s=9000)
    assert run.hold(20000, 6900) == 1
    assert run.hold(20000, 100) == 0
    assert run.hold(40000, 8900) == 0
    assert run.hold(40000, 100) == 1
    assert run.hold(20000, 6900) == 1
    assert run.hold(20000, 100) == 0


def test_rule_5_minimum_times_run_on_the_clock_not_on_the_number_of_readings():
    run = Run(min_off_s=9000).cool()
    run.hold(20000, 10000)
    run.hold(40000, 1000)
    assert run.state.fan == 1
    run.hold(20000, 5000)
    assert run.state.fan == 0
    assert run.hold(40000, 9000, step_ms=9000) == 1  # one late reading is enough


def test_rule_5_no_random_readings_switch_faster_than_the_minimum_times():
    dice = 7
    run = Run(min_on_s=3000, min_off_s=4000)
    last_ms, last = 0, 1
    for _ in range(20000):
        dice = (dice * 48271) % 2147483647
        run.hold(20000 + dice % 20000, 100)
        if run.state.fan != last:
            held_ms = run.now_ms - last_ms
            assert held_ms >= (3000 if last else 4000), held_ms
            last_ms, last = run.now_ms, run.state.fan


def test_rule_11_a_fan_that_does_not_help_raises_an_alarm_and_stays_on():
    run = Run().cool()
    temp_mc = 30000
    for _ in range(HELP_MS // 1000 + 2):
        run.hold(temp_mc, 1000)
        temp_mc += 10
    assert run.state.flags(0) & faults.NOCOOL
    assert run.state.rise_mc > 500
    assert run.hold(20000, 600000) == 1
    run.state.clear()
    assert run.hold(20000, 100) == 0
    assert not run.state.flags(0) & faults.NOCOOL


def test_rule_11_a_fan_that_holds_the_temperature_is_no_alarm():
    run = Run().cool()
    run.hold(35000, 3 * HELP_MS)
    assert not run.state.flags(0) & faults.NOCOOL


def test_an_override_on_without_a_time_lasts_until_auto():
    run = Run().cool()
    run.state.override(1, FOREVER)
    assert run.hold(20000, 3600000, step_ms=1000) == 1
    assert run.state.mode == "on"
    run.state.auto()
    assert run.hold(20000, 100) == 0


def test_an_override_off_still_keeps_the_minimum_on_time():
    run = Run(min_on_s=5000)
    run.state.override(0, 60000)
    assert run.hold(40000, 4900) == 1
    assert run.hold(40000, 100) == 0


def test_safe_mode_keeps_the_fan_on():
    run = Run(safe_mode=True)
    assert run.hold(10000, 600000, step_ms=1000) == 1
    assert run.state.mode == "safe"


def test_the_clock_may_wrap_at_any_moment():
    start_ms = 0x3FFFFFFF - 2000
    run = Run(now_ms=start_ms)
    assert run.hold(20000, 4900) == 1
    assert run.hold(20000, 100) == 0
    assert run.hold(40000, 4900) == 0
    assert run.hold(40000, 100) == 1


def test_a_month_without_a_switch_overflows_nothing():
    run = Run().cool()
    for _ in range(40):
        run.now_ms += 86400000
        run.state.step(run.now_ms & 0x3FFFFFFF, 20000, 0)
    assert run.hold(30000, 100) == 1
    assert run.hold(20000, 4900) == 1
    assert run.hold(20000, 100) == 0
