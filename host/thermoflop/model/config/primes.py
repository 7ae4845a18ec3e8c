"""Prime numbers, as many rows as hashed n-grams of tokens have in a table of each head."""

from __future__ import annotations

# by Miller and Rabin these decide for every number below 3.3e24 (Sorenson and Webster 2015)
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def is_prime(number: int) -> bool:
    """Whether a whole number below 3.3e24 has no divisor but one and itself."""
    if number < 2 or any(number % each == 0 for each in _WITNESSES):
        return number in _WITNESSES
    twos = ((number - 1) & (1 - number)).bit_length() - 1
    odd = (number - 1) >> twos
    return all(_passes(pow(each, odd, number), twos, number) for each in _WITNESSES)


def _passes(power: int, twos: int, number: int) -> bool:
    """Whether a power is 1, or one of its squares -1."""
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


def primes_from(start: int, count: int) -> list[int]:
    """The first so many primes that are not below a number."""
    found: list[int] = []
    while len(found) < count:
        if is_prime(start):
            found.append(start)
        start += 1
    return found
