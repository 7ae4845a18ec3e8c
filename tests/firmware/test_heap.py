"""The heap of the running loop, on the real VM; ``tests/heap.py`` is the long campaign."""

from __future__ import annotations

import heap
import pytest
from vm import runner


def test_the_heap_stays_flat_while_the_loop_runs() -> None:
    if runner.missing():
        pytest.skip(runner.missing())
    readings = heap.heap_bytes(3000)
    assert len(readings) == 3
    assert readings[-1] - readings[0] <= heap.ALLOWED_GROWTH_BYTES
