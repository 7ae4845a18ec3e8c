"""Numbers as people write them: ``32k``, ``1.5M``, ``1T``, ``128Ki``, ``1e6``, ``1_000``."""

from __future__ import annotations

import re

_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "b": 3, "t": 4}
_FORM = re.compile(r"([+-]?)(\d+|\d{1,3}(?:[,_ ]\d{3})+)(?:\.(\d*))?(?:e([+-]?\d{1,3}))?"
                   r" ?([kmgbt]?)(i?)")  # fmt: skip


_LONGEST = 60  # letters: what is longer was not written by a person, and passes every float


def read_number(text: str, kilo: int = 1000) -> int | float | None:
    """The number that a text says, None where it says none.

    Args:
        text: digits, groups of three of them with ``,``, ``_`` or a space between if one likes, an
            exponent, and k, M, G or B, or T; ``Ki``, ``Mi``, ``Gi`` and ``Ti`` are powers of 1024.
        kilo: what k is a thousand of: 1000, or 1024 for lengths in tokens, which are named so (a
            context of 32k is 32,768).

    Returns:
        An int where the number is whole, exact however large.

    Example:
        >>> read_number("32k", 1024), read_number("2.5M"), read_number("1e6"), read_number("many")
        (32768, 2500000, 1000000, None)
    """
    found = _FORM.fullmatch(text.strip().lower()) if len(text) <= _LONGEST else None
    if found is None or (found[6] and not found[5]):
        return None
    decimals, exponent = found[3] or "", int(found[4] or 0)
    digits = int(re.sub("[,_ ]", "", found[2]) + decimals)
    scale = (1024 if found[6] else kilo) ** _POWER[found[5]]
    value: int = digits * scale * (-1 if found[1] == "-" else 1)
    power = exponent - len(decimals)
    times: int = 10 ** abs(power)
    if power >= 0:
        return value * times
    return value // times if value % times == 0 else float(f"{value}e-{abs(power)}")


def is_ambiguous(text: str) -> bool:
    """Whether a length in tokens is written so that k might be a thousand of something else."""
    found = _FORM.fullmatch(text.strip().lower())
    return found is not None and bool(found[5]) and not found[6]
