"""Values of a file or a caller that are numbers: ``True`` and ``False`` are none, though Python
counts with them."""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number, which may be infinite or none (NaN)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_between(value: object, low: float, high: float) -> TypeGuard[int | float]:
    """Whether a value is a number between two others, and neither of them."""
    return is_number(value) and low < value < high


def finite(value: object) -> float | None:
    """A number as one; None for what is none, or has no end."""
    return float(value) if is_number(value) and math.isfinite(value) else None
