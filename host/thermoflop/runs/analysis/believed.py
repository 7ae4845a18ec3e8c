"""Which readings of a GPU are believed: a driver may give a power that is none, or nothing for a
while, which is a gap: one rule for its curves, its energy and its throttling.

A board numbers its samples, so one that is missing is known at any rate (`Sample.follows`). A GPU's
readings carry no number: that some are missing shows only in the time between two of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column

# Two readings missing in a row are a gap. At 10 Hz a driver that is busy for 0.3 s is none yet:
# power and the reasons for throttling are believed for two seconds.
USUAL_STEPS = 3.0
SHORTEST_GAP_S = 2.0
_RESOLUTION_S = 1e-6  # of the times in samples.jsonl


def longest_step_s(t_s: Column) -> float:
    """The longest time between two readings, in seconds, that is no gap; ``t_s`` in order."""
    import numpy as np

    steps_s = np.diff(t_s)
    usual_s = float(np.median(steps_s)) if len(steps_s) else 0.0
    return max(SHORTEST_GAP_S, USUAL_STEPS * usual_s) + _RESOLUTION_S


_UNWATCHED = 0.01  # of a stretch, beside two steps at its edges


def is_all(seen_s: float, of_s: float, step_s: float, stretches: int = 1) -> bool:
    """Whether what was seen is all of some stretches: their ends lie between two readings."""
    return of_s - seen_s <= 2 * step_s * stretches + _UNWATCHED * of_s


# A board draws over its limit for milliseconds, never twice as much in a reading of the driver
_OVER_LIMIT = 2.0
_MOST_W = 10_000.0  # where no limit is known; far above any GPU


def disbelieve(power_w: Column, limit_w: float | None) -> int:
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
