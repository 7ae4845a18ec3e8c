"""Values of a file or a caller, which may hold anything in any place.

``True`` and ``False`` are no numbers, though Python counts with them, nor is a whole number that no
float holds.
"""

from __future__ import annotations

import math
import sys

from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeGuard

LARGEST = int(sys.float_info.max)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number, which may be infinite or none (NaN)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or -LARGEST <= value <= LARGEST


def is_between(value: object, low: float, high: float) -> TypeGuard[int | float]:
    """Whether a value is a number between two others, and neither of them."""
    return is_number(value) and low < value < high


def checked_between(
    name: str, value: float | None, low: float, high: float, asked: str
) -> float | None:
    """A number as it is, or None where nothing is said. UsageError, with what was asked for, for
    what is no number between the two others."""
    value = _as_own(value)
    if value is not None and not is_between(value, low, high):
        raise UsageError(f"{name}={value!r:.40} makes no sense: expected {asked}")
    return value


def checked_within(
    name: str, value: float | None, low: float, high: float, asked: str
) -> float | None:
    """The same, where each of the two others is allowed too."""
    value = _as_own(value)
    if value is not None and not (is_number(value) and low <= value <= high):
        raise UsageError(f"{name}={value!r:.40} makes no sense: expected {asked}")
    return value


def _as_own(value: Any) -> Any:
    """Numpy's whole numbers as Python's; anything else as it is."""
    if value is None or isinstance(value, int | float):
        return value
    from numbers import Integral

    return int(value) if isinstance(value, Integral) else value


def finite(value: object) -> float | None:
    """A number as one; None for what is none, or has no end."""
    return float(value) if is_number(value) and math.isfinite(value) else None


def inside(data: Any, *keys: str) -> Any:
    """What stands under these keys of objects in objects; None where something else is on the way,
    or nothing."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def mapping(data: Any, *keys: str) -> dict[str, Any]:
    """The object that stands there; an empty one where it is none."""
    found = inside(data, *keys)
    return found if isinstance(found, dict) else {}


def mappings(data: Any, *keys: str) -> list[dict[str, Any]]:
    """The objects of the list that stands there."""
    found = inside(data, *keys)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def attributes(of: object, *names: str) -> dict[str, Any]:
    """Attributes of an object by their names, for JSON."""
    return {name: getattr(of, name) for name in names}
