"""Codes to milli-degrees."""

import math

import settings
import thermistor
from logarithm import ln_q


def part(**changes):
    values = settings.defaults()
    values.update(changes)
    return thermistor.from_settings(values)


def beta_c(code_x16, r25=10000.0, beta=3950.0):
    r_ohm = 10000.0 * (65520 - code_x16) / code_x16
    return 1 / (1 / 298.15 + math.log(r_ohm / r25) / beta) - 273.15


def test_the_seeds_codes_read_the_seeds_temperatures():
    ntc = part()
    for code, temp_c in (
        (2048, 25.011),
        (2227, 29.008),
        (2270, 29.991),
        (2440, 33.999),
        (2676, 39.994),
    ):
        assert abs(ntc.temp_mc(code * 16) - temp_c * 1000) <= 20, (code, ntc.temp_mc(code * 16))
        assert abs(ntc.exact_mc(code * 16) - temp_c * 1000) <= 3, (code, ntc.exact_mc(code * 16))


def test_table_is_within_20_mc_of_the_beta_equation_from_minus_20_to_100():
    ntc = part()
    worst = 0
    for code_x16 in range(3000, 62000, 7):
        true_c = beta_c(code_x16)
        if -20 <= true_c <= 100:
            worst = max(worst, abs(ntc.temp_mc(code_x16) - true_c * 1000))
    assert worst <= 20, worst


def test_integer_law_is_within_1_mc_of_the_beta_equation():
    ntc = part()
    for code_x16 in range(3000, 62000, 997):
        assert abs(ntc.exact_mc(code_x16) - beta_c(code_x16) * 1000) < 1


def test_integer_logarithm_is_good_to_eight_digits():
    for n, d in ((1, 1), (2, 1), (1, 2), (10000, 3), (7, 123456), (33621, 10000), (4094, 1)):
        assert abs(ln_q(n, d) / 4294967296 - math.log(n / d)) < 5e-9, (n, d)


def test_steinhart_hart_goes_through_its_three_points():
    ntc = part(model=1)
    for temp_mc, r_ohm in ((0, 33621), (25000, 10000), (70000, 1760)):
        assert abs(ntc.law.temp_mk(r_ohm, 1) - 273150 - temp_mc) <= 1, temp_mc


def test_hotter_is_a_higher_code_on_the_high_side_and_a_lower_one_on_the_low_side():
    high, low = part(), part(side=1)
    last = -10000000
    for code_x16 in range(1600, 63900, 800):
        assert high.temp_mc(code_x16) > last
        last = high.temp_mc(code_x16)
        assert abs(low.exact_mc(65520 - code_x16) - high.exact_mc(code_x16)) <= 1


def test_offset_moves_every_reading_by_the_same():
    for code_x16 in (10000, 32768, 50000):
        assert part(offset_c=-1500).temp_mc(code_x16) == part().temp_mc(code_x16) - 1500


def test_ends_of_the_code_range_give_a_number_not_an_error():
    for side in (0, 1):
        for model in (0, 1):
            ntc = part(side=side, model=model)
            for code_x16 in (0, 1, 255, 256, 65519, 65520):
                assert abs(ntc.temp_mc(code_x16)) < 2000000


def test_a_part_of_9610_ohm_reads_0_9_degrees_too_hot_and_r25_is_found_from_it():
    values = settings.defaults()
    code_x16 = 65520 * 10000 // (10000 + 9610)
    assert abs(part().exact_mc(code_x16) - 25900) < 30
    r25_ohm = thermistor.solve_r25_ohm(code_x16, 25000, values)
    assert abs(r25_ohm - 9610) <= 2, r25_ohm


def test_a_setting_needs_a_new_table_when_one_of_the_laws_reads_otherwise_with_it():
    for key in settings.KEYS:
        moved = False
        for model in (0, 1):
            values = dict(settings.defaults(), model=model, r3_ohm=1900)
            before = thermistor.from_settings(values).temp_mc(20000)
            values[key] = 1 - values[key] if values[key] < 2 else values[key] + 100
            moved = moved or thermistor.from_settings(values).temp_mc(20000) != before
        assert moved == settings.needs_table(key), key


def test_no_r25_is_invented_for_an_impossible_calibration():
    assert thermistor.solve_r25_ohm(32768, 150000, settings.defaults()) is None
    assert thermistor.solve_r25_ohm(32768, -60000, settings.defaults()) is None


def test_what_wiring_md_says_that_other_parts_read_on_a_board_set_to_10k():
    for r_ohm, temp_c in ((100000, -19), (47000, -6), (33000, 0), (22000, 8), (4700, 43)):
        assert round(part().exact_mc(65520 * 10000 // (10000 + r_ohm)) / 1000) == temp_c, r_ohm
    # a 100k part of the same beta: 33621 ohm, zero degrees for the 10k one, at 52; 29 at 94
    wrong = part(r25_ohm=100000)
    assert round(wrong.exact_mc(65520 * 10000 // (10000 + 33621)) / 1000) == 52
    at_94_ohm = 100000 * math.exp(3950 * (1 / 366.75 - 1 / 298.15))
    assert abs(part().exact_mc(int(65520 * 10000 / (10000 + at_94_ohm))) / 1000 - 29) < 0.2
