"""Phases and trials on the time axis, with the numbers that the run itself gave for them.

A phase begins with a mark that names one and lasts until the next such mark or the end of its
trial. Numbers given during a phase are added up (``sums``) and the last of each kept (``last``):
tokens are a sum, a loss is a last value, and only the reader knows which is which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from thermoflop.pico.track import HostEvent
from thermoflop.runs.analysis.data import RunData

LATE_S = 1.0  # a pipe's last output is read within a few turns of the recorder


@dataclass(slots=True)
class Window:
    """A stretch of a run: a trial or a phase of one; times on the run's axis, in seconds."""

    name: str
    start_s: float
    end_s: float
    trial: int
    variant: str = "A"
    warmup: bool = False
    exit_code: int | None = None
    sums: dict[str, float] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    notes: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


def trial_windows(data: RunData) -> list[Window]:
    """The trials that started; one whose end was never written ends with the run."""
    windows: dict[int, Window] = {}
    for event in data.events:
        index = event.detail.get("trial")
        if not isinstance(index, int):
            continue
        t_s = data.t_s(event.mono_s)
        if event.ev == "child_start":
            variant = str(event.detail.get("variant", "A"))
            warm = bool(event.detail.get("warmup", False))
            windows[index] = Window(f"trial {index}", t_s, data.end_s, index, variant, warm)
        elif event.ev == "child_end" and index in windows:
            windows[index].end_s = t_s
            windows[index].exit_code = event.detail.get("exit_code")
    return sorted(windows.values(), key=lambda window: window.start_s)


def phase_windows(data: RunData, trials: list[Window] | None = None) -> list[Window]:
    """The named phases in order of time."""
    windows: list[Window] = []
    known = trial_windows(data) if trials is None else trials
    for index, trial in enumerate(known):
        # a command's last output may be read after its end, but not after the next one's start
        until_s = known[index + 1].start_s if index + 1 < len(known) else math.inf
        until_s = min(until_s, trial.end_s + LATE_S)
        marks = [
            event
            for event in data.events
            if event.ev == "mark" and trial.start_s <= data.t_s(event.mono_s) < until_s
        ]
        windows += _phases_of(marks, trial, data)
    return windows


def _phases_of(marks: list[HostEvent], trial: Window, data: RunData) -> list[Window]:
    phases: list[Window] = []
    current: Window | None = None
    for mark in marks:
        t_s = min(data.t_s(mark.mono_s), trial.end_s)
        if "phase" in mark.detail:
            if current is not None:
                current.end_s = t_s
            current = None
            name = mark.detail["phase"]
            if name is not None:
                current = Window(
                    str(name), t_s, trial.end_s, trial.trial, trial.variant, trial.warmup
                )
                phases.append(current)
        values = mark.detail.get("values") or {}
        for window in (current, trial):
            if window is not None and values:
                add_values(window, t_s, values)
    return phases


def add_values(window: Window, t_s: float, values: dict[str, Any]) -> None:
    """Numbers given at ``t_s``."""
    window.notes.append((t_s, values))
    for key, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            window.sums[key] = window.sums.get(key, 0.0) + float(value)
        window.last[key] = value
