"""The figures of a run, from its samples alone: pure, streaming, in bounded memory.

A reading holds from its own time until the next sample of the same boot (board's clock, seconds).
Time in which samples are missing is counted as ``gap_s`` and belongs to no other figure; the time
between two boots has no clock and is not counted at all. Temperatures are degrees Celsius.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from thermoflop.pico.wire import Sample

LONGEST_PERIOD_S = 61.0  # the firmware's rate_ms goes up to 60,000


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run; None where no valid sample gives one.

    ``mean_c`` is weighted by time. ``above_s`` is the time at or above ``on_c``, the temperature at
    which the fan starts. ``fan_duty`` is the fan's share of the time it was watched, 0 to 1.
    """

    samples: int
    valid_samples: int
    watched_s: float
    gap_s: float
    invalid_s: float
    min_c: float | None
    mean_c: float | None
    max_c: float | None
    on_c: float | None
    off_c: float | None
    above_s: float | None
    fan_duty: float | None
    fan_switches: int

    def to_json(self) -> dict[str, Any]:
        """The figures as they stand in ``run.json``."""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


class Summarizer:
    """Takes samples in order; gives the summary at any time."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._last: Sample | None = None
        self._samples = self._valid = self._switches = 0
        self._watched_s = self._gap_s = self._fan_s = self._sum_cs = 0.0
        self._min_c = float("inf")
        self._max_c = float("-inf")
        # seconds spent at each hundredth of a degree: the threshold may become known only later
        self._seconds_at: dict[int, float] = {}

    def add(self, sample: Sample) -> None:
        """The next sample."""
        last, self._last = self._last, sample
        self._samples += 1
        if sample.temp_c is not None:
            self._valid += 1
            self._min_c = min(self._min_c, sample.temp_c)
            self._max_c = max(self._max_c, sample.temp_c)
        if last is None:
            return
        self._switches += sample.fan != last.fan and sample.boot == last.boot
        if sample.boot != last.boot:
            return
        dt_s = sample.up_s - last.up_s
        if not 0.0 <= dt_s <= (sample.seq - last.seq) * LONGEST_PERIOD_S:
            return  # one of the two stamps is wrong: no time is known
        if not sample.follows(last):
            self._gap_s += dt_s
            return
        self._watched_s += dt_s
        self._fan_s += dt_s * last.fan
        if last.temp_c is not None:
            self._sum_cs += last.temp_c * dt_s
            bin_index = round(last.temp_c * 100)
            self._seconds_at[bin_index] = self._seconds_at.get(bin_index, 0.0) + dt_s

    def summary(self, on_c: float | None = None, off_c: float | None = None) -> Summary:
        """The figures so far, with the thresholds the board was set to."""
        valid_s = sum(self._seconds_at.values())
        mean_c = self._sum_cs / valid_s if valid_s else None
        if mean_c is None and self._valid:
            mean_c = self._min_c if self._min_c == self._max_c else None
        above_s = None
        if on_c is not None:
            above_s = sum(s for at, s in self._seconds_at.items() if at >= round(on_c * 100))
        return Summary(
            samples=self._samples,
            valid_samples=self._valid,
            watched_s=self._watched_s,
            gap_s=self._gap_s,
            invalid_s=max(0.0, self._watched_s - valid_s),
            min_c=self._min_c if self._valid else None,
            mean_c=mean_c,
            max_c=self._max_c if self._valid else None,
            on_c=on_c,
            off_c=off_c,
            above_s=above_s,
            fan_duty=self._fan_s / self._watched_s if self._watched_s else None,
            fan_switches=self._switches,
        )
