"""The converter's codes are where the divider's physics and erratum E11 put them."""

from __future__ import annotations

import statistics

import pytest
from thermoflop.pico.simulated.adc import N_CODES, WIDE_CODE_LSB, WIDE_CODES, Adc, Divider

QUIET = 0.0


@pytest.mark.parametrize(
    ("temp_c", "code"), [(25.011, 2048), (29.008, 2227), (33.999, 2440), (39.994, 2676)]
)
def test_levels_are_those_of_the_published_example(temp_c: float, code: int) -> None:
    # temperatures that the seed's program reads at these codes of read_u16's 0..4095
    assert Divider().level_lsb(temp_c) * 4095 / 4096 == pytest.approx(code, abs=0.6)


def test_hotter_is_a_higher_code() -> None:
    divider, adc = Divider(), Adc(1, QUIET)
    codes = [adc.convert(divider.level_lsb(t)) for t in range(-60, 200, 5)]
    assert codes == sorted(codes)
    assert codes[0] < 50
    assert codes[-1] > 4000


def test_a_reference_under_the_supply_reads_high() -> None:
    level = Divider().level_lsb(25.0)
    assert Divider(vref_mv=30.0).level_lsb(25.0) == pytest.approx(level * 3300 / 3270)


def test_four_codes_are_wide_and_the_scale_is_used_up() -> None:
    adc = Adc(1, QUIET)
    steps = 32
    seen = [adc.convert(i / steps) for i in range(N_CODES * steps)]
    widths = {code: seen.count(code) / steps for code in (*WIDE_CODES, 511, 513, 2048)}
    for code in WIDE_CODES:
        assert widths[code] == pytest.approx(WIDE_CODE_LSB, abs=0.1)
    for code in (511, 513, 2048):
        assert widths[code] == pytest.approx(0.992, abs=0.1)
    assert set(seen) == set(range(N_CODES))


def test_codes_stay_on_the_scale() -> None:
    adc = Adc(1, noise_lsb=50.0)
    codes = [adc.convert(level) for level in (0.0, 4095.9) * 500]
    assert 0 <= min(codes) <= max(codes) <= 4095


def test_noise_is_about_one_code_rms() -> None:
    adc = Adc(1)
    codes = [adc.convert(2000.3) for _ in range(5000)]
    assert statistics.pstdev(codes) == pytest.approx(1.05, abs=0.1)  # with quantization's 0.29


def test_the_same_seed_gives_the_same_noise_and_another_one_does_not() -> None:
    def codes(seed: int) -> list[int]:
        adc = Adc(seed)
        return [adc.convert(2000.0) for _ in range(50)]

    assert codes(3) == codes(3)
    assert codes(3) != codes(4)


def test_absolute_zero_and_the_sun_are_rails_not_errors() -> None:
    assert Divider().level_lsb(-300.0) == pytest.approx(0.0, abs=1e-6)
    assert Divider().level_lsb(1e6) < 4096
