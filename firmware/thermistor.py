"""From ADC codes to milli-degrees, in integers only.

A table of 257 knots, one every 16 codes, is built once from the part's parameters; a reading then
costs one lookup and one linear interpolation and allocates nothing. Temperatures are in thousandths
of a degree Celsius (mc), resistances in ohm, codes in 1/16 of a 12-bit code (x16).

The table lies in four parts of 260 bytes, each made before it is filled. Up to MicroPython 1.23
every result of a big-integer sum stays an object of its own, and a list of them scatters over the
heap until its next growth finds no gap that is large enough: the board never started.
"""

from array import array

from logarithm import Q, ln_q
from micropython import const

PARTS = const(4)
KNOTS = const(65)  # of a part; its last one is the first of the next
FULL_CODE = const(4095)
ZERO_C_MK = const(273150)
LIMIT_MC = const(999999)


class Beta:
    """1/T = 1/T25 + ln(R/R25)/beta: two numbers from any data sheet."""

    def __init__(self, r25_ohm, beta_k):
        self.r25_ohm = r25_ohm
        self.beta_k = beta_k

    def temp_mk(self, r_num, r_den):
        """Kelvin times 1000 of a resistance given as a fraction of ohms."""
        one = 1 << Q
        below = self.beta_k * 100 * one + 29815 * ln_q(r_num, r_den * self.r25_ohm)
        if below <= 0:
            return LIMIT_MC  # hotter than the equation can say
        return (298150 * 100 * self.beta_k * one + below // 2) // below


class SteinhartHart:
    """1/T = A + B ln R + C (ln R)**3 through three points (Steinhart and Hart, 1968).

    ``points`` are (milli-degrees, ohm), coldest first. A, B and C carry 64 fractional bits, since C
    is about 1e-7.
    """

    def __init__(self, points):
        logs = [ln_q(r_ohm, 1) for _, r_ohm in points]
        inverse = [(1000 << 64) // (t_mc + ZERO_C_MK) for t_mc, _ in points]
        l1, l2, l3 = logs
        slope2 = ((inverse[1] - inverse[0]) << Q) // (l2 - l1)
        slope3 = ((inverse[2] - inverse[0]) << Q) // (l3 - l1)
        bend = ((slope3 - slope2) << Q) // (l3 - l2)
        self.c = (bend << Q) // (l1 + l2 + l3)
        self.b = slope2 - ((self.c * (l1 * l1 + l1 * l2 + l2 * l2)) >> (2 * Q))
        self.a = inverse[0] - (((self.b + ((self.c * l1 * l1) >> (2 * Q))) * l1) >> Q)

    def temp_mk(self, r_num, r_den):
        """Kelvin times 1000 of a resistance given as a fraction of ohms."""
        log = ln_q(r_num, r_den)
        inverse = self.a + (((self.b + ((self.c * log * log) >> (2 * Q))) * log) >> Q)
        if inverse <= 0:
            return LIMIT_MC
        return ((1000 << 64) + inverse // 2) // inverse

    def falls_at(self, r_ohm):
        """True when more ohms mean colder here. True at both ends of a range, it is in between:
        the slope B + 3C (ln R)**2 has no bend inside."""
        log = ln_q(r_ohm, 1)
        return self.b + ((3 * self.c * log * log) >> (2 * Q)) > 0


class Divider:
    """A thermistor of a given law in series with a fixed resistor, exactly."""

    def __init__(self, law, r_series_ohm, on_high_side, offset_mc=0):
        self.law = law
        self.r_series_ohm = r_series_ohm
        self.on_high_side = on_high_side
        self.offset_mc = offset_mc

    def exact_mc(self, code_x16):
        """The law itself at a code, slow: the table's knots, and what calibration solves for."""
        code_x16 = min(max(code_x16, 16), FULL_CODE * 16 - 16)
        other = FULL_CODE * 16 - code_x16
        if self.on_high_side:
            temp_mk = self.law.temp_mk(self.r_series_ohm * other, code_x16)
        else:
            temp_mk = self.law.temp_mk(self.r_series_ohm * code_x16, other)
        return min(temp_mk - ZERO_C_MK, LIMIT_MC) + self.offset_mc


class Thermistor(Divider):
    """The divider with its table: codes in, milli-degrees out."""

    def __init__(self, law, r_series_ohm, on_high_side, offset_mc=0):
        super().__init__(law, r_series_ohm, on_high_side, offset_mc)
        self.table = tuple(array("i", bytes(4 * KNOTS)) for _ in range(PARTS))
        for number, part in enumerate(self.table):
            for knot in range(KNOTS):
                part[knot] = self.exact_mc(256 * (64 * number + knot))

    def temp_mc(self, code_x16):
        """Milli-degrees of a reading, from the table; allocates nothing."""
        part = self.table[code_x16 >> 14]
        knot = (code_x16 >> 8) & 63
        low = part[knot]
        return low + (((part[knot + 1] - low) * (code_x16 & 255) + 128) >> 8)


def law_from(values):
    """The law that the settings choose."""
    if not values["model"]:
        return Beta(values["r25_ohm"], values["beta_k"])
    points = [(values["t%d_c" % i], values["r%d_ohm" % i]) for i in (1, 2, 3)]
    return SteinhartHart(points)


def from_settings(values):
    """The thermistor that the settings describe."""
    on_high_side = values["side"] == 0
    return Thermistor(law_from(values), values["r_series_ohm"], on_high_side, values["offset_c"])


def solve_r25_ohm(code_x16, temp_mc, values):
    """The R25 with which this code reads this temperature, by bisection over 1k..100k ohm.

    None when no such part exists. Needs the beta law: there a larger R25 reads hotter at a code.
    """
    low, high = 1000, 100000

    def at(r25_ohm):
        law = Beta(r25_ohm, values["beta_k"])
        part = Divider(law, values["r_series_ohm"], values["side"] == 0, values["offset_c"])
        return part.exact_mc(code_x16)

    if not at(low) <= temp_mc <= at(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if at(middle) < temp_mc:
            low = middle + 1
        else:
            high = middle
    return low
