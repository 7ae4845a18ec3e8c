"""The form of a kernel's time: a function of sizes, a device's sheet and a few parameters.

Every form is written once, for numbers and for numpy arrays alike: what a fit evaluates for
thousands of rows is what an estimate evaluates for one. Sizes and the rates of the sheet come in
one mapping (``sheet.sheet_of`` names the latter), parameters in another. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from thermoflop.base.number import Number, maximum
from thermoflop.base.record import record

Values: TypeAlias = "Mapping[str, Number]"


@record
class Parameter:
    """Where a parameter starts, how far it is likely from there (as a logarithm), its ``limit``.

    With a limit it is a fraction of a rate of the sheet, of which a time is divided by.
    """

    start: float
    width: float = 1.0
    limit: float | None = None


@record
class Form:
    """A class of kernels: ``seconds(sizes, parameters)``, and what it reads.

    ``sizes`` are those of ``seconds``' first argument that a row of its ``table`` brings;
    ``parameters`` lists those with a limit first. ``offsets`` are the groups whose rates may differ
    from all others'. ``elsewhere`` are those that hold on an architecture that was not measured.
    ``bound_s`` is what no kernel beats: FLOPs at the highest peak that the formats allow, bytes at
    the bandwidth.
    """

    name: str
    label: str
    table: str
    parameters: dict[str, Parameter]
    seconds: Callable[[Values, Values], Number]
    bound_s: Callable[[Values], Number]
    offsets: tuple[str, ...] = ("engine", "format", "cell", "architecture", "kind")
    elsewhere: tuple[str, ...] = ("engine", "format", "cell")


def from_memory_s(kernel: Values, read: Number) -> Number:
    """Seconds below which bytes are not read: as many as the chip holds may lie there already."""
    beyond: Number = maximum(read - kernel["on_chip_bytes"], 0.0)
    return beyond / kernel["bandwidth"]


def norm(power: float, *terms: Number) -> Number:
    """A soft maximum: overlapping work takes as long as the longest, and somewhat more where
    several are about equal."""
    total: Number = 0.0
    for term in terms:
        total = total + term**power
    return total ** (1 / power)
