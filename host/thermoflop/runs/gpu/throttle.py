"""Why a GPU did not run at its full clock: NVML's bits in words, and how long each was set.

Idle, the applications-clocks setting and the display clock are no throttling: they say that nobody
asked for more. Sync boost and the two limits that only some drivers know lower the clock too, but
not because of heat or power. Spans are weighted by time: a reason holds from the sample that showed
it until the next one, and a hole between samples belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from thermoflop.runs.gpu.sample import GpuSample

REASONS = {
    0x001: "idle",
    0x002: "applications_clocks",
    0x004: "power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal",
    0x040: "hw_thermal",
    0x080: "power_brake",
    0x100: "display_clock",
    0x200: "board_limit",
    0x400: "reliability",
}
REASON_LABELS = {
    "idle": "idle",
    "applications_clocks": "clocks set by an application",
    "power_cap": "power limit reached",
    "hw_slowdown": "hardware slowdown",
    "sync_boost": "held to the clock of another GPU",
    "sw_thermal": "too hot (driver)",
    "hw_thermal": "too hot (hardware)",
    "power_brake": "power brake from outside",
    "display_clock": "clock set by the display",
    "board_limit": "board limit",
    "reliability": "voltage limit",
}
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
    names = [REASONS.get(1 << bit, f"bit_{bit}") for bit in range(64) if mask >> bit & 1]
    return tuple(names)


def throttling(mask: int) -> tuple[str, ...]:
    """The names of those bits that mean throttling."""
    return decode(mask & ~NOT_THROTTLING)


def describe_reason(name: str) -> str:
    """A reason for people."""
    return REASON_LABELS.get(name, name)


class ThrottleTracker:
    """Feed it the samples of one or more GPUs in order of time; it keeps the spans."""

    def __init__(self, longest_step_s: float) -> None:
        """A reason is not believed to hold over a silence longer than ``longest_step_s``."""
        self._longest_step_s = longest_step_s
        self.spans: list[ThrottleSpan] = []
        self.watched_s: dict[int, float] = {}
        self._last: dict[int, GpuSample] = {}
        self._newest: dict[int, int] = {}  # GPU -> where its newest span stands

    def add(self, sample: GpuSample) -> None:
        """The next sample."""
        last = self._last.get(sample.gpu)
        self._last[sample.gpu] = sample
        if last is None or last.reasons is None:
            return
        span_s = sample.mono_s - last.mono_s
        if not 0 < span_s <= self._longest_step_s:
            return
        self.watched_s[sample.gpu] = self.watched_s.get(sample.gpu, 0.0) + span_s
        names = throttling(last.reasons)
        if names:
            self._extend(ThrottleSpan(sample.gpu, last.mono_s, sample.mono_s, names))

    def _extend(self, span: ThrottleSpan) -> None:
        index = self._newest.get(span.gpu)
        if index is not None:
            before = self.spans[index]
            if before.end_s == span.start_s and before.reasons == span.reasons:
                self.spans[index] = replace(before, end_s=span.end_s)
                return
        self._newest[span.gpu] = len(self.spans)
        self.spans.append(span)


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
