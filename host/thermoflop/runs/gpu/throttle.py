"""Why a GPU did not run at its full clock: NVML's bits in words, and how long each was set.

Idle, the applications-clocks setting and the display clock are no throttling: they say that nobody
asked for more. Sync boost and the two limits that only some drivers know lower the clock too, but
not because of heat or power. Spans are weighted by time: a reason holds from the sample that showed
it until the next one, and a hole between samples belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# NVML's bit, its name in a run, and in words
_REASONS = (
    (0x001, "idle", "idle"),
    (0x002, "applications_clocks", "clocks set by an application"),
    (0x004, "power_cap", "power limit reached"),
    (0x008, "hw_slowdown", "hardware slowdown"),
    (0x010, "sync_boost", "held to the clock of another GPU"),
    (0x020, "sw_thermal", "too hot (driver)"),
    (0x040, "hw_thermal", "too hot (hardware)"),
    (0x080, "power_brake", "power brake from outside"),
    (0x100, "display_clock", "clock set by the display"),
    (0x200, "board_limit", "board limit"),
    (0x400, "reliability", "voltage limit"),
)
REASONS = {bit: name for bit, name, _ in _REASONS}
_WORDS = {name: words for _, name, words in _REASONS}

NOT_THROTTLING = 0x001 | 0x002 | 0x100


@dataclass(frozen=True, slots=True)
class ThrottleSpan:
    """From ``start_s`` to ``end_s`` (monotonic) the same reasons held on one GPU."""

    gpu: int
    start_s: float
    end_s: float
    reasons: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """How long it lasted."""
        return self.end_s - self.start_s


def decode(mask: int) -> tuple[str, ...]:
    """The names of all bits that are set; a bit that is not known is named by its number."""
    return tuple(REASONS.get(1 << bit, f"bit_{bit}") for bit in range(64) if mask >> bit & 1)


def throttling(mask: int) -> tuple[str, ...]:
    """The names of those bits that mean throttling."""
    return decode(mask & ~NOT_THROTTLING)


def describe_reason(name: str) -> str:
    """A reason for people."""
    return _WORDS.get(name, name)


def seconds_by_reason(spans: Iterable[ThrottleSpan]) -> dict[str, float]:
    """How long each reason held; reasons that held together are each counted in full."""
    total: dict[str, float] = {}
    for span in spans:
        for name in span.reasons:
            total[name] = total.get(name, 0.0) + span.duration_s
    return dict(sorted(total.items()))


def within(spans: Iterable[ThrottleSpan], start_s: float, end_s: float) -> Iterator[ThrottleSpan]:
    """The parts of spans that lie between two moments."""
    for span in spans:
        low_s, high_s = max(start_s, span.start_s), min(end_s, span.end_s)
        if low_s < high_s:
            yield ThrottleSpan(span.gpu, low_s, high_s, span.reasons)
