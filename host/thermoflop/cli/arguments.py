"""Words that several commands share: durations coming in, a line of progress going out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from thermoflop.errors import UsageError
from thermoflop.runs.duration import read_duration_s

if TYPE_CHECKING:
    from thermoflop.runs.record.log import Progress


def duration_s(text: str) -> float:
    """The ``type`` of an argument that is a duration: seconds, or argparse's own error."""
    try:
        return read_duration_s(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


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
