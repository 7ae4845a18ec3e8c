"""Sixteen codes to one reading, and what is wrong with it."""

import faults
import sampler
import settings
import thermistor


class Codes:
    """A converter that plays a list of codes over and over."""

    def __init__(self, codes):
        self.codes = codes
        self.at = 0
        self.dead = False

    def __call__(self):
        if self.dead:
            raise OSError(5)
        self.at += 1
        return self.codes[self.at % len(self.codes)]


def bench(codes, **changes):
    values = settings.defaults()
    values.update(changes)
    source = Codes(codes)
    part = thermistor.from_settings(values)
    return source, sampler.Sampler(source, part, values["t_min_c"])


def test_a_reading_takes_at_least_16_samples():
    source, probe = bench([2000])
    probe.read(0)
    assert source.at >= 16


def test_a_reading_keeps_four_bits_below_the_code():
    _, probe = bench([2000, 2001])
    probe.read(0)
    assert probe.code_x16 == 2000 * 16 + 8
    assert probe.faults == 0


def test_spikes_do_not_move_the_reading():
    _, probe = bench([2000] * 12 + [4095, 0, 4095, 0])
    probe.read(0)
    assert probe.code_x16 == 32000
    assert probe.raw == 2000


def test_open_is_the_low_rail_when_the_thermistor_is_on_the_high_side():
    for code in (0, 40):
        _, probe = bench([code])
        probe.read(0)
        assert probe.faults == faults.OPEN
    _, probe = bench([4095], side=1)
    probe.read(0)
    assert probe.faults == faults.OPEN


def test_short_is_the_other_rail():
    for code in (4055, 4095):
        _, probe = bench([code])
        probe.read(0)
        assert probe.faults == faults.SHORT
    _, probe = bench([3], side=1)
    probe.read(0)
    assert probe.faults == faults.SHORT


def test_colder_than_40_below_or_hotter_than_125_is_out_of_range():
    for code in (70, 3990):
        _, probe = bench([code])
        probe.read(0)
        assert probe.faults == faults.RANGE, (code, probe.temp_mc)
    _, probe = bench([120], t_min_c=-40000)
    probe.read(0)
    assert probe.faults == 0, probe.temp_mc


def code_of(part_ohm, r_series_ohm=10000):
    return 4095 * r_series_ohm // (r_series_ohm + part_ohm)


def test_rule_3_colder_than_t_min_c_is_a_fault_of_the_sensor():
    for t_min_c in (0, -20000, 10000):
        for r_ohm in range(5000, 200000, 1000):
            _, probe = bench([code_of(r_ohm)], t_min_c=t_min_c)
            probe.read(0)
            assert probe.faults == (faults.COLD if probe.temp_mc < t_min_c else 0), r_ohm
    assert faults.COLD & faults.SENSOR & faults.LATCHING


def test_rule_3_a_part_of_another_resistance_on_a_board_set_to_10k_is_no_reading():
    # ohm in a room of 25, and at 45: 100k and 47k parts of beta 3950
    for r_ohm in (100000, 43500, 47000, 100 * 1000 // 4):
        _, probe = bench([code_of(r_ohm)])
        probe.read(0)
        cold = r_ohm > 33621  # what the 10k part of the settings has at zero degrees
        assert probe.faults == (faults.COLD if cold else 0), r_ohm


def test_faster_than_20_degrees_a_second_is_a_fault():
    source, probe = bench([2000])
    probe.read(0)
    source.codes = [2090]  # 2 degrees are 90 codes here
    probe.read(100)
    assert probe.faults == 0, probe.rate_mc_s
    source.codes = [2190]
    probe.read(200)
    assert probe.faults == faults.FAST, probe.rate_mc_s
    probe.read(300)
    assert probe.faults == 0


def test_the_way_back_from_a_rail_is_not_a_second_fault():
    source, probe = bench([0])
    probe.read(0)
    source.codes = [2000, 2001]
    probe.read(100)
    assert probe.faults == 0


def test_a_code_without_any_noise_for_60_seconds_is_frozen():
    source, probe = bench([2000])
    for now_ms in range(0, 60000, 100):
        probe.read(now_ms)
        assert probe.faults == 0, now_ms
    probe.read(60000)
    assert probe.faults == faults.FROZEN
    source.codes = [2000, 2001]
    probe.read(60100)
    assert probe.faults == 0


def test_rule_3_a_frozen_reading_is_not_forgiven_by_another_setting():
    _, probe = bench([2000])
    values = settings.defaults()
    for now_ms in range(0, 120000, 100):
        if now_ms % 7000 == 0:
            values["offset_c"] = now_ms // 1000
            probe.use(thermistor.from_settings(values))
        probe.read(now_ms)
        assert bool(probe.faults & faults.FROZEN) == (now_ms >= 60000), now_ms


def test_a_rail_is_not_called_frozen_too():
    source, probe = bench([0])
    for now_ms in range(0, 120000, 100):
        probe.read(now_ms)
    assert probe.faults == faults.OPEN
    source.codes = [2000]
    for now_ms in range(120000, 179000, 100):
        probe.read(now_ms)
        assert probe.faults == 0, now_ms


def test_the_wide_codes_of_erratum_e11_may_stand_still_for_20_minutes():
    _, probe = bench([1536])
    for now_ms in range(0, 1200000, 1000):
        probe.read(now_ms)
        assert probe.faults == 0, now_ms
    probe.read(1200000)
    assert probe.faults == faults.FROZEN


def test_a_middle_half_spread_over_more_than_40_codes_is_noisy():
    _, probe = bench([2000, 2041])
    probe.read(0)
    assert probe.faults == faults.NOISY
    _, probe = bench([2000, 2040])
    probe.read(0)
    assert probe.faults == 0


def test_a_converter_that_fails_is_stale_at_once_and_its_age_is_counted():
    source, probe = bench([2000, 2001])
    assert probe.read(0)
    source.dead = True
    assert not probe.read(100)
    assert probe.faults == faults.STALE
    probe.read(1100)
    assert probe.age_ms == 1100
    source.dead = False
    assert probe.read(1200)
    assert probe.faults == 0
    assert probe.age_ms == 0


def test_before_the_first_reading_the_sensor_counts_as_stale():
    assert bench([2000])[1].faults == faults.STALE


def test_the_clock_may_wrap_between_two_readings():
    source, probe = bench([2000])
    probe.read(0x3FFFFFFF - 49)
    source.codes = [2080]
    probe.read(50)
    assert probe.rate_mc_s < 20000, probe.rate_mc_s
    assert probe.faults == 0
