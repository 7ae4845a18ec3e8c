"""From degrees to codes: the thermistor, its divider, and the RP2040's converter with its faults.

The thermistor follows the beta equation, R = R25 exp(beta (1/T - 1/298.15 K)), to 3.3 V, with a
fixed resistor to ground: hotter is a higher code. The converter has 12 bits, noise of about one
code rms at its input, and erratum RP2040-E11: codes 512, 1536, 2560 and 3584 are many times wider
than the others, which share what is left of the scale. Codes are 0..4095, temperatures degrees
Celsius.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass

N_CODES = 4096  # 12 bits
WIDE_CODES = (512, 1536, 2560, 3584)  # erratum E11 of the RP2040 data sheet
WIDE_CODE_LSB = 9.0  # DNL of about 8 LSB at these codes in published measurements of E11
ZERO_C_K = 273.15
T25_K = 298.15


@dataclass(frozen=True, slots=True)
class Divider:
    """The thermistor (10k, beta 3950) and its resistor, fed from 3.3 V.

    ``vref_mv`` is how far the converter's own reference sits below the divider's supply: about
    30 mV when the divider hangs on 3V3 (pin 36), none on ADC_VREF (pin 35).
    """

    r25_ohm: float = 10000.0
    beta_k: float = 3950.0
    r_series_ohm: float = 10000.0
    supply_mv: float = 3300.0
    vref_mv: float = 0.0

    def level_lsb(self, temp_c: float) -> float:
        """Where the middle of the divider stands on the converter's scale, 0..4096."""
        temp_k = max(temp_c + ZERO_C_K, 1.0)
        exponent = min(self.beta_k * (1.0 / temp_k - 1.0 / T25_K), 600.0)  # exp overflows past 709
        r_ohm = self.r25_ohm * math.exp(exponent)
        part = self.r_series_ohm / (self.r_series_ohm + r_ohm)
        return part * N_CODES * self.supply_mv / (self.supply_mv - self.vref_mv)


def code_edges() -> list[float]:
    """Upper edge of each code on a scale of 4096 ideal codes, with E11's four wide ones."""
    narrow_lsb = (N_CODES - WIDE_CODE_LSB * len(WIDE_CODES)) / (N_CODES - len(WIDE_CODES))
    edges = []
    at_lsb = 0.0
    for code in range(N_CODES):
        at_lsb += WIDE_CODE_LSB if code in WIDE_CODES else narrow_lsb
        edges.append(at_lsb)
    return edges


_EDGES = code_edges()


class Adc:
    """One channel of the converter. The same seed gives the same noise."""

    def __init__(self, seed: int, noise_lsb: float = 1.0) -> None:
        """``noise_lsb`` is the rms of the noise in front of the quantizer."""
        self._gauss = random.Random(f"adc {seed}").gauss  # noqa: S311  noise, no secret
        self._noise_lsb = noise_lsb

    def convert(self, level_lsb: float) -> int:
        """One conversion of a level on the scale 0..4096."""
        noisy_lsb = level_lsb + self._gauss(0.0, self._noise_lsb)
        return min(bisect_right(_EDGES, noisy_lsb), N_CODES - 1)
