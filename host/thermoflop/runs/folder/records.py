"""The types of a line of ``samples.jsonl``: an item of a board's link, or a GPU's reading."""

from __future__ import annotations

from dataclasses import dataclass

from thermoflop.pico.track import BadLine, BoardLine, Item
from thermoflop.runs.gpu.sample import GpuSample


@dataclass(frozen=True, slots=True)
class FurtherLine:
    """A line of a run's second board (``number`` 1), third board, and so on.

    It is a type of its own so that whoever reads the lines of the board reads those of one.
    """

    number: int
    line: BoardLine | BadLine

    @property
    def mono_s(self) -> float:
        """When it arrived, on the monotonic clock."""
        return self.line.mono_s

    @property
    def wall_s(self) -> float:
        """And on the wall clock."""
        return self.line.wall_s


Record = Item | GpuSample | FurtherLine
