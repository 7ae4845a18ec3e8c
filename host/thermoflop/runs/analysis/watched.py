"""When a source was watched: what was read of it is of that time, and says nothing of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from thermoflop.runs.analysis.believed import is_all, longest_step_s

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column, Stretch

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a time was watched, and whether that is all of it."""

    seen_s: float
    of_s: float
    is_whole: bool

    @property
    def text(self) -> str:
        """In words."""
        return f"{self.seen_s:.1f} of {self.of_s:.1f} s"

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Watched:
    """Unbroken stretches of readings, in order of time; ``step_s`` lies between two of them."""

    spans: Sequence[Span] = ()
    step_s: float = 0.0
    is_unbroken: Any = ()  # of each step from a reading to the next, whether it is none of a gap

    def of(self, stretches: Sequence[Span]) -> Coverage:
        """How much of these was watched."""
        seen_s = of_s = 0.0
        for start_s, end_s in stretches:
            parts = (min(end_s, to_s) - max(start_s, from_s) for from_s, to_s in self.spans)
            seen_s += sum(part_s for part_s in parts if part_s > 0)
            of_s += end_s - start_s
        return Coverage(seen_s, of_s, is_all(seen_s, of_s, self.step_s, len(stretches)))


def watched(t_s: Column, stretch: Stretch | None = None) -> Watched:
    """Of readings in order of time; a board's say with ``stretch`` where some are missing."""
    import numpy as np

    if len(t_s) < 2:
        return Watched(is_unbroken=np.empty(0, dtype=bool))
    steps_s = np.diff(t_s)
    broken = steps_s > longest_step_s(t_s) if stretch is None else np.diff(stretch) > 0
    firsts = np.r_[0, np.flatnonzero(broken) + 1]
    lasts = np.r_[firsts[1:] - 1, len(t_s) - 1]
    spans = [(float(t_s[a]), float(t_s[b])) for a, b in zip(firsts, lasts, strict=True) if a < b]
    return Watched(spans, float(np.median(steps_s)), ~broken)


def without(start_s: float, end_s: float, pauses: Iterable[Span]) -> list[Span]:
    """What is left of a stretch without its pauses, which are in order of time."""
    left, from_s = list[Span](), start_s
    for pause_s, on_s in pauses:
        if on_s > from_s and pause_s < end_s:
            left.append((from_s, pause_s))
            from_s = on_s
    left.append((from_s, end_s))
    return [(from_s, to_s) for from_s, to_s in left if to_s > from_s]


def least(each: Iterable[Coverage]) -> Coverage | None:
    """That of the source that was watched least; None of none."""
    return min(each, key=lambda coverage: coverage.seen_s, default=None)


def gpu_name(gpu: int) -> str:
    """What a GPU of the command is called."""
    return f"GPU {gpu}"
