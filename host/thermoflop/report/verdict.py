"""Runs side by side in words: which was hotter, faster, thriftier, and whether that is real."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from thermoflop.base.units import degrees

if TYPE_CHECKING:
    from thermoflop.runs.analysis.difference import Difference
    from thermoflop.runs.analysis.side_by_side import PhaseComparison, Row

DASH = "–"
REAL, NOISE, UNKNOWN = "more than noise", "within the noise", "noise not known"
ONE_IN_TWENTY = "Of twenty differences that are nothing but noise, one looks like more."
MOST_DECIMALS = 4
# K, and of the first run's figure: runs within a wider interval are not called alike
ALIKE_K, ALIKE = 2.0, 0.1
# figures that a sentence is made of: the unit of a difference, and what more, less and alike are
_TOLD = {
    "gpu_c": ("K", "was hotter", "was cooler", "was about as hot"),
    "board_c": ("K", "was hotter", "was cooler", "was about as hot"),
    "tokens_per_s": ("tokens/s", "was faster", "was slower", "was about as fast"),
    "joules_per_token": (
        "J/token", "took more energy a token", "took less energy a token", "was about as thrifty",
    ),
}  # fmt: skip


def sentences(comparison: PhaseComparison, names: Sequence[str]) -> list[str]:
    """One sentence for each of heat, speed and energy: the first run against the others.

    Args:
        comparison: of two or more runs.
        names: what the runs are called, as many.

    Returns:
        Sentences, those about heat first; none where the runs share no such figure.
    """
    keys = [key for key in _TOLD if comparison.row(key) is not None]
    if "gpu_c" in keys and "board_c" in keys:
        keys.remove("board_c")
    rows = [row for key in keys if (row := comparison.row(key)) is not None]
    if len(names) > 2:
        return [_of_many(row, names) for row in rows]
    return [_sentence(row, apart, names) for row in rows if (apart := row.differences[1])]


def _of_many(row: Row, names: Sequence[str]) -> str:
    """Who is on which side of the first, in one sentence."""
    unit, more, less, alike = _TOLD[row.key]
    groups: dict[str, list[str]] = {}
    for name, apart in zip(names[1:], row.differences[1:], strict=True):
        if apart is not None:
            side = more if apart.value > 0 else less
            verb = "not known" if apart.is_real is None else side if apart.is_real else alike
            size = f"{describe(apart)} {unit}"
            groups.setdefault(verb, []).append(f"{name} ({size})")
    parts = [f"{verb.removeprefix('was ')}: {', '.join(of)}" for verb, of in groups.items()]
    value = figure(row.values[0], None, row.unit)
    return (
        f"{row.name[:1].upper()}{row.name[1:]}, against {names[0]} ({value}): {'; '.join(parts)}."
    )


def _sentence(row: Row, apart: Difference, names: Sequence[str]) -> str:
    unit, more, less, alike = _TOLD[row.key]
    a, b = names
    of = f" ({row.name.split()[0]})" if row.unit == "°C" else ""
    values = [_told(value, apart.error, row.unit) for value in reversed(row.values)]
    both = " against ".join(values) + of
    verb = more if apart.value > 0 else less
    times = _times(row.values[0], row.values[1], row.unit)
    if apart.error is None:
        return (
            f"{b} {verb} than {a}{times}: {both}. Whether that is more than noise is not known: "
            f"{apart.why}."
        )
    size, noise = _sizes(apart)
    if apart.is_real:
        return f"{b} {verb} than {a}: {both}. The difference, {size} ± {noise} {unit}, is {REAL}."
    if not float(size):  # a noise so wide hides the difference that was named
        size = f"{abs(apart.value):.2g}"
    if apart.error > (ALIKE_K if row.unit == "°C" else ALIKE * abs(row.values[0] or 0.0)):
        return (
            f"{b} {verb} than {a}{times}: {both}. But the difference, {size} ± {noise} {unit}, is "
            f"{NOISE}: longer, or repeated (record -n 5), they would tell."
        )
    return f"{b} {alike} as {a}: {both}. The difference, {size} ± {noise} {unit}, is {NOISE}."


def _told(value: float | None, error: float | None, unit: str) -> str:
    """A run's figure in a sentence that names a difference: in three digits at least, for 18.46 and
    18.51 are not 18 and 19, however wide the noise is."""
    return max(figure(value, error, unit), figure(value, None, unit), key=len)


def _times(a: float | None, b: float | None, unit: str) -> str:
    """How many times one figure the other is, in words; "" where a ratio means nothing."""
    if unit == "°C" or not a or not b or min(a, b) <= 0:
        return ""
    ratio = max(a, b) / min(a, b)
    return f", {ratio:.2g}-fold" if ratio >= 1.5 else f", by {100 * (ratio - 1):.2g} %"


def describe(apart: Difference | None) -> str:
    """A difference with its interval: "+6.2 ± 0.9"."""
    if apart is None:
        return DASH
    value, noise = _sizes(apart)
    sign = "" if not value.strip("0.") else "+" if apart.value > 0 else "-"
    return f"{sign}{value}" + (f" ± {noise}" if noise else "")


def _sizes(apart: Difference) -> tuple[str, str]:
    """A difference without its sign and its interval, "" where that is not known; in as many
    decimals as show which is the larger: "86.2 ± 85.9" where "86 ± 86" would say nothing."""
    size, error = abs(apart.value), apart.error
    value, noise = rounded(size, error), "" if error is None else rounded(error, error)
    places = len(noise.partition(".")[2])
    while noise and apart.is_real and float(value) <= float(noise):
        places += 1
        value, noise = f"{size:.{places}f}", f"{error:.{places}f}"
    return value, noise


def judge(apart: Difference | None) -> str:
    """Whether it is more than noise, in three words."""
    if apart is None:
        return DASH
    return UNKNOWN if apart.is_real is None else REAL if apart.is_real else NOISE


def figure(value: float | None, error: float | None, unit: str) -> str:
    """A run's figure with its unit; a temperature has a tenth at least, as everywhere."""
    if value is None:
        return DASH
    in_tenths = unit == "°C" and (not error or error >= 1)
    return f"{degrees(value) if in_tenths else rounded(value, error)} {unit}"


def rounded(value: float | None, error: float | None) -> str:
    """As many decimals as two digits of the error need; without an error three digits.

    Example:
        >>> rounded(61.2345, 0.12), rounded(1234.5, 30.0), rounded(0.01234, None)
        ('61.23', '1234', '0.0123')
    """
    if value is None:
        return DASH
    if not error:
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    places = 1 - math.floor(math.log10(error))
    return f"{value:.{min(MOST_DECIMALS, max(0, places))}f}"
