"""Durations as people write them."""

from __future__ import annotations

import math

from thermoflop.errors import UsageError

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def read_duration_s(text: str) -> float:
    """``60s``, ``5m``, ``1.5h``, ``2d`` or plain seconds, as seconds. UsageError for all else."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(number) :] or "s"
    try:
        seconds = float(number) * _UNIT_S[unit]
    except (ValueError, KeyError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UsageError(
            f"{text!r:.40} is no duration: expected a number above 0 with its unit, such as 30ms, "
            "60s, 5m or 1h"
        )
    return seconds
