"""Where the heat comes from: a script in time, or the real load of the machine this runs on.

A script is text: ``0 0W, 5 30W, 15 0W`` is nothing until 5 s, 30 W until 15 s, nothing after; with
``every 40`` at its end it starts anew each 40 s. Times are seconds since the simulation began.
"""

from __future__ import annotations

import os
import re
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from thermoflop.base.busy import busy_processor_s
from thermoflop.base.files import read_bytes
from thermoflop.errors import InputError, UsageError

FULL_W = 30.0  # of a machine that works as hard as it can
USUAL_SCRIPT = "5 30W, 15 0W every 40"
MAX_W = 1000.0  # far above any machine beside a board: a slip of the keyboard
_STEP = re.compile(r"(?:(\d+(?:\.\d+)?)\s+)?(\d+(?:\.\d+)?)\s*W?", re.IGNORECASE)
_EVERY = re.compile(r"^(.*?)[\s,]+every\s+(\d+(?:\.\d+)?)\s*s?$", re.IGNORECASE | re.DOTALL)
_LARGEST_FILE_BYTES = 64 << 10  # some 5000 steps
_LOOK_EVERY_S = 0.25  # the kernel counts in hundredths of a second
_SMOOTH = 0.5  # of each look: a heat sink follows within half a second


class Heat(Protocol):
    """A source of heat."""

    def watts(self, now_s: float) -> float:
        """Its power at this moment of the simulation."""


@dataclass(frozen=True, slots=True)
class Script:
    """Power in steps: ``powers_w[i]`` holds from ``starts_s[i]`` on, nothing before the first."""

    starts_s: tuple[float, ...]
    powers_w: tuple[float, ...]
    every_s: float | None = None

    def watts(self, now_s: float) -> float:
        """The power of the step that holds now."""
        if self.every_s is not None and now_s >= 0:
            now_s %= self.every_s
        index = bisect_right(self.starts_s, now_s)
        return self.powers_w[index - 1] if index else 0.0


def parse_script(text: str) -> Script:
    """A script from its text; UsageError names the step that makes no sense."""
    every = _EVERY.match(text.strip())
    steps_text, every_s = (every[1], float(every[2])) if every else (text, None)
    if every_s is not None and every_s <= 0:
        raise UsageError(f"heat script {text!r} must repeat after more than 0 s")
    starts_s: list[float] = []
    powers_w: list[float] = []
    for step in filter(None, (part.strip() for part in re.split(r"[,\n]", steps_text))):
        match = _STEP.fullmatch(step)
        if not match:
            raise UsageError(
                f"heat step {step[:60]!r} must be a time in seconds and a power, as in '5 30W'"
            )
        start_s, power_w = float(match[1] or 0), float(match[2])
        if starts_s and start_s <= starts_s[-1]:
            raise UsageError(f"heat step {step!r} must come later than {starts_s[-1]:g} s")
        if power_w > MAX_W:
            raise UsageError(f"heat step {step!r} must have at most {MAX_W:g} W")
        starts_s.append(start_s)
        powers_w.append(power_w)
    if not starts_s:
        raise UsageError(f"heat script {text!r} has no step; write it as '0 0W, 5 30W, 15 0W'")
    return Script(tuple(starts_s), tuple(powers_w), every_s)


def parse_heat(text: str, full_w: float = FULL_W) -> Heat:
    """``cpu``, ``off``, a script, or the path of a file with one (``#`` starts a comment).

    What starts with a digit is a script; a file of such a name needs ``./`` before it.
    """
    if text == "cpu":
        return MachineLoad(full_w)
    if text == "off":
        return Script((0.0,), (0.0,))
    if not is_file(text):
        return parse_script(text)
    try:
        lines = read_bytes(text, "a heat script", _LARGEST_FILE_BYTES).decode().splitlines()
    except (InputError, ValueError) as error:
        raise InputError(
            f"heat {text!r} must be cpu, off, a script like '0 0W, 5 30W, 15 0W', or a file with "
            "one that can be read"
        ) from error
    return parse_script("\n".join(line.partition("#")[0] for line in lines))


def is_file(text: str) -> bool:
    """Whether ``parse_heat`` would read a file of this name."""
    return text not in ("cpu", "off") and not text[:1].isdigit()


class MachineLoad:
    """How busy this machine is, times ``full_w``: all its processors together, 0 to 1.

    Looked at four times a second at most, and smoothed, as a heat sink would. On Linux from
    /proc/stat; elsewhere from the load average of the last minute, which lags; where there is
    none, from the processor time of this process alone.
    """

    def __init__(self, full_w: float = FULL_W, busy: Callable[[], float] | None = None) -> None:
        """``busy`` returns seconds of work of all processors since some moment (for tests)."""
        self._full_w = full_w
        self._n_cpus = os.cpu_count() or 1
        self._busy_s = busy or _busy_reader(self._n_cpus)
        self._looked_s = time.monotonic()
        self._last_busy_s = self._busy_s()
        self._load = 0.0

    def watts(self, now_s: float) -> float:
        """The power now; the machine's clock counts here, not the simulation's."""
        del now_s
        mono_s = time.monotonic()
        dt_s = mono_s - self._looked_s
        if dt_s >= _LOOK_EVERY_S:
            busy_s = self._busy_s()
            load = (busy_s - self._last_busy_s) / (dt_s * self._n_cpus)
            self._load += _SMOOTH * (min(max(load, 0.0), 1.0) - self._load)
            self._looked_s, self._last_busy_s = mono_s, busy_s
        return self._full_w * self._load


def _busy_reader(n_cpus: int) -> Callable[[], float]:
    """The best count of busy processor seconds that this system has."""
    if busy_processor_s() is not None:
        return lambda: busy_processor_s() or 0.0
    if hasattr(os, "getloadavg"):
        start_s = time.monotonic()
        return lambda: (time.monotonic() - start_s) * min(os.getloadavg()[0], n_cpus)
    return time.process_time
