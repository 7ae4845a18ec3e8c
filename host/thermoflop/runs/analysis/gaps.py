"""Where the readings of a GPU have a gap: one rule for its curves, its energy and its throttling.

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
