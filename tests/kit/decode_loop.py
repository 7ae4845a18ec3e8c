"""A generation as a loop over its steps: what its closed form is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from thermoflop.cost.roofline.rates import Rates
from thermoflop.cost.work.work import Work


def loop_decode_s(
    works_at: Callable[[int], Sequence[Work]],
    start: int,
    steps: int,
    sequences: int,
    rates: Rates,
) -> float:
    """Seconds of ``steps`` decode steps, one after the other."""
    total = 0.0
    for step in range(steps):
        works = works_at(start + step)
        waits = 0.0 if rates.graphs else rates.host_s(works)
        device = rates.device_s(works)
        total += device + waits if rates.waits else max(device, waits)
        total += rates.overhead_s(sequences)
    return total
