"""Values of a file or a caller that are numbers: ``True`` and ``False`` are none, though Python
counts with them, nor is a whole number that no float holds: files may state any."""

from __future__ import annotations

import math
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

LARGEST = int(sys.float_info.max)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number, which may be infinite or none (NaN)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or -LARGEST <= value <= LARGEST


def is_between(value: object, low: float, high: float) -> TypeGuard[int | float]:
    """Whether a value is a number between two others, and neither of them."""
    return is_number(value) and low < value < high


def finite(value: object) -> float | None:
    """A number as one; None for what is none, or has no end."""
    return float(value) if is_number(value) and math.isfinite(value) else None
