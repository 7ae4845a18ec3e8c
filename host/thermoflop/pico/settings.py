"""The settings that a board states: which values are believed, and how many are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_SETTINGS = 64  # the firmware has 19; a board that invents keys must not fill the memory
LOWEST_C, HIGHEST_C = -273.15, 2000.0  # far outside of any thermistor, and finite
_LARGEST = 1e9  # the firmware's largest limit is 5,000,000 ohm
_UNITS = ("_c", "_s", "_ms", "_ohm", "_k")


def check_settings(values: Mapping[str, Any]) -> None:
    """ValueError, naming the key, unless each value is a word or a number to compute with.

    A key that ends in a unit has a number; temperatures are such as a sample's may be.
    """
    for key, value in values.items():
        if type(value) is str and not key.endswith(_UNITS):
            continue
        low, high = (LOWEST_C, HIGHEST_C) if key.endswith("_c") else (-_LARGEST, _LARGEST)
        if type(value) not in (int, float) or not low <= value <= high:  # a bool is none, NaN too
            raise ValueError(key)


def merge_settings(known: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put ``values`` into ``known``, new keys only while there are fewer than MAX_SETTINGS."""
    for key, value in values.items():
        if key in known or len(known) < MAX_SETTINGS:
            known[key] = value
