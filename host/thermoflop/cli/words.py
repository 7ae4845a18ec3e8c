"""Words that several commands share: durations coming in, a line of progress going out."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thermoflop.runs.recorder import Progress

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def duration_s(text: str) -> float:
    """``60s``, ``5m``, ``1.5h``, ``2d`` or plain seconds, as seconds."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(number) :] or "s"
    try:
        seconds = float(number) * _UNIT_S[unit]
    except (ValueError, KeyError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration like 60s, 5m or 1h")
    return seconds


def progress_line(progress: Progress) -> str:
    """One line for a terminal while a run goes on."""
    counters, last = progress.counters, progress.last
    words = [f"{progress.elapsed_s:6.0f} s", f"{counters.samples} samples"]
    if last is not None:
        words.append("no valid reading" if last.temp_c is None else f"{last.temp_c:.2f} °C")
        words.append("fan on" if last.fan else "fan off")
        words += [f"FAULT {flag}" for flag in last.flags]
    lost = counters.lost_samples + counters.bad_lines
    if lost:
        words.append(f"{lost} lost or bad")
    if not progress.connected:
        words.append("waiting for the board to come back")
    return "  ".join(words)
