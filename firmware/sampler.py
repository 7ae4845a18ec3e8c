"""Sixteen raw codes become one trimmed reading, with what is wrong about it.

The middle eight of sixteen sorted samples are averaged, which throws away the spikes that USB and
switching regulators leave and keeps 4 bits below the converter's own. Codes are 12-bit, code_x16 is
in 1/16 of a code, temperatures in milli-degrees, times in ms. Reading allocates nothing.
"""

from array import array

import faults
import ticks
from micropython import const

SAMPLES = const(16)
# An open or shorted divider ends within the converter's offset of a rail. 40 codes from the cold
# rail is 1.0 Mohm, which a 10k part reaches at -55 degC; 40 from the hot one is 99 ohm, 180 degC.
RAIL_CODES = const(40)
COLDEST_MC = const(-40000)
HOTTEST_MC = const(125000)
FAST_MC_PER_S = const(20000)
SPREAD_CODES = const(40)
FROZEN_MS = const(60000)
# RP2040 erratum E11: four codes are many times wider than the rest, and a steady temperature may
# well rest inside one of them, without noise, for minutes.
FROZEN_E11_MS = const(1200000)
_CAP_MS = const(1000000000)


class Sampler:
    """One thermistor on one converter channel; ``read_code`` returns 0..4095 or raises OSError."""

    def __init__(self, read_code, thermistor, t_min_mc):
        self.read_code = read_code
        self.thermistor = thermistor
        self.t_min_mc = t_min_mc
        self.codes = array("H", [0] * SAMPLES)
        self.code_x16 = 0
        self.raw = 0
        self.temp_mc = 0
        self.spread_codes = 0
        self.rate_mc_s = 0
        self.frozen_ms = 0
        self.age_ms = 0
        self.faults = faults.STALE
        self._last_ms = -1
        self._has_last = False
        self._frozen_code = -1

    def use(self, thermistor):
        """Read through another table from now on; codes that stand still are no better for it."""
        self.thermistor = thermistor
        self._has_last = False

    def read(self, now_ms):
        """Take one reading; the results are in the attributes. False when there was none."""
        dt_ms = 0 if self._last_ms < 0 else ticks.since(self._last_ms, now_ms)
        self._last_ms = now_ms
        try:
            self._take()
        except OSError:
            self.age_ms = min(self.age_ms + dt_ms, _CAP_MS)
            self.faults = faults.STALE
            self._forget()
            return False
        self.age_ms = 0
        self._convert(dt_ms)
        self._watch_frozen(dt_ms)
        self.faults = self._judge()
        self._has_last = True
        if self.faults & (faults.OPEN | faults.SHORT):
            self._forget()  # the way back is a step too, and no fault of its own
        return True

    def _forget(self):
        """The next reading stands alone."""
        self._has_last = False
        self._frozen_code = -1

    def _take(self):
        codes = self.codes
        for i in range(SAMPLES):
            code = self.read_code()
            # insertion sort: no allocation, and sixteen numbers are soon sorted
            j = i
            while j and codes[j - 1] > code:
                codes[j] = codes[j - 1]
                j -= 1
            codes[j] = code

    def _convert(self, dt_ms):
        codes = self.codes
        total = 0
        for i in range(SAMPLES // 4, SAMPLES - SAMPLES // 4):
            total += codes[i]
        self.code_x16 = total * 2
        self.raw = (self.code_x16 + 8) >> 4
        self.spread_codes = codes[SAMPLES - SAMPLES // 4 - 1] - codes[SAMPLES // 4]
        temp_mc = self.thermistor.temp_mc(self.code_x16)
        self.rate_mc_s = 0
        if self._has_last and dt_ms > 0:
            self.rate_mc_s = abs(temp_mc - self.temp_mc) * 1000 // dt_ms
        self.temp_mc = temp_mc

    def _watch_frozen(self, dt_ms):
        codes = self.codes
        # all samples alike, and like the last reading's
        if codes[0] == codes[SAMPLES - 1] == self._frozen_code:
            self.frozen_ms = min(self.frozen_ms + dt_ms, _CAP_MS)
        else:
            self.frozen_ms = 0
        self._frozen_code = codes[0]

    def frozen_limit_ms(self):
        """How long this code may stand still."""
        if self._frozen_code & 1023 == 512:  # 512, 1536, 2560, 3584
            return FROZEN_E11_MS
        return FROZEN_MS

    def _judge(self):
        found = 0
        if self.raw <= RAIL_CODES:
            found = faults.OPEN if self.thermistor.on_high_side else faults.SHORT
        elif self.raw >= 4095 - RAIL_CODES:
            found = faults.SHORT if self.thermistor.on_high_side else faults.OPEN
        elif not COLDEST_MC <= self.temp_mc <= HOTTEST_MC:
            found = faults.RANGE
        elif self.temp_mc < self.t_min_mc:
            found = faults.COLD
        elif self.rate_mc_s > FAST_MC_PER_S:
            found = faults.FAST
        if self.spread_codes > SPREAD_CODES:
            found |= faults.NOISY
        if self.frozen_ms >= self.frozen_limit_ms():
            found |= faults.FROZEN
        return found
