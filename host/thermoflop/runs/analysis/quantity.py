"""One predicted quantity beside what was measured of it, and the verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

NAMES = {
    "ttft_s": ("prefill", "time to first token", "s"),
    "token_s": ("decode", "time per token", "s"),
    "decode_tokens_per_s": ("decode", "tokens/s", ""),
    "total_s": ("generation", "prompt and all tokens", "s"),
    "tokens_per_s": ("generation", "tokens/s", ""),
    "joules_per_token": ("generation", "J per token", ""),
    "power_w": ("generation", "W a device", ""),
    "rise_c": ("generation", "K above coolant, settled", ""),
    "memory_bytes": ("generation", "memory of a device", "bytes"),
}


SCALED = "scaled from"  # in ``how`` of a value that another number of tokens was measured for


_RATES = frozenset({"decode_tokens_per_s", "tokens_per_s"})


_TOLERANCE = 1e-9  # of a bound met exactly: rounding is no violation


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantity: what was predicted, and what was measured, if it was."""

    key: str
    phase: str
    name: str
    unit: str
    bound: float | None
    expected: float | None
    low: float | None
    high: float | None
    measured: float | None
    how: str

    @property
    def scaled(self) -> str:
        """From which other number of tokens the measured value was scaled, in words, or ""."""
        return self.how.partition("; ")[2] if SCALED in self.how else ""

    @property
    def beats_bound(self) -> bool:
        """Whether the measured value is better than anything can be: one of the two is wrong."""
        if self.bound is None or self.measured is None:
            return False
        if self.key in _RATES:
            return self.measured > self.bound * (1 + _TOLERANCE)
        return self.measured < self.bound * (1 - _TOLERANCE)

    @property
    def verdict(self) -> str:
        """Where the measured value lies, in a few words."""
        if self.measured is None:
            return "not measured"
        if self.beats_bound:
            return "better than its bound: one of the two is wrong"
        if self.low is None or self.high is None:
            return "no interval"
        if self.low <= self.measured <= self.high:
            return "inside"
        return "above" if self.measured > self.high else "below"

    @property
    def off(self) -> float | None:
        """Measured over expected, less one."""
        if self.measured is None or not self.expected:
            return None
        return self.measured / self.expected - 1

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        return {**asdict(self), "verdict": self.verdict, "off": self.off}
