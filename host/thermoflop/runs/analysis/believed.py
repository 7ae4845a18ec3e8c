"""Which readings of a GPU's power are believed: a driver may give a number that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A board draws over its limit for milliseconds, never twice as much in a reading of the driver
_OVER_LIMIT = 2.0
_MOST_W = 10_000.0  # where no limit is known; far above any GPU


def disbelieve(power_w: NDArray[np.float64], limit_w: float | None) -> int:
    """Take out readings that are no power, in place; how many they were.

    Those are negative ones and ones of over twice the limit. Where all are 0 none is believed: a
    GPU that answers draws something.
    """
    import numpy as np

    most_w = _OVER_LIMIT * limit_w if limit_w and limit_w > 0 else _MOST_W
    known = np.isfinite(power_w)
    bad = known & ((power_w < 0) | (power_w > most_w))
    if not np.any(power_w[known & ~bad] > 0):
        bad = known
    power_w[bad] = np.nan
    return int(np.sum(bad))
