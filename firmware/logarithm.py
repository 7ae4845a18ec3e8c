"""The natural logarithm in integers: fixed point with 32 fractional bits.

Floats would do for the temperature, but the chip's are single precision and a laptop's double, and
both must print the same digits.
"""

from micropython import const

Q = const(32)  # fractional bits of what ``ln_q`` returns


def ln_q(numerator, denominator):
    """Natural logarithm of a positive fraction, times 2**32.

    Halve into [1, 2), then ln(m) = 2 atanh((m - 1) / (m + 1)); the argument is at most 1/3, so
    each term is at least nine times smaller than the one before.
    """
    one = 1 << Q
    m = (numerator << Q) // denominator
    twos = 0
    while m >= 2 * one:
        # dividing the fraction itself keeps all 32 bits; shifting m would lose some
        denominator *= 2
        m = (numerator << Q) // denominator
        twos += 1
    while m < one:
        numerator *= 2
        m = (numerator << Q) // denominator
        twos -= 1
    return twos * 2977044472 + _ln_mantissa(m, one)  # ln 2 = 2977044472 / 2**32


def _ln_mantissa(m, one):
    y = ((m - one) << Q) // (m + one)
    y2 = (y * y) >> Q
    total = 0
    k = 1
    while y:
        total += y // k
        y = (y * y2) >> Q
        k += 2
    return 2 * total
