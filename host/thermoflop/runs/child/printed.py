"""From KEY=value lines that a command printed to events of the run, none of them left out.

A line is stamped when it is read, which is when it happened only if the command flushed it. So each
phase says how it came: with how many others in one read, and how long after the read before. What
the times are worth is decided by who reads the run.

Lines that only bring numbers are added up where they come faster than a hundred a second: their
sum, their count and the last of each is all that a report needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from thermoflop.pico.track import HostEvent
from thermoflop.runs.child.keys import KeyLines, Keys

MERGE_S = 0.01  # ten times as fine as the sampler reads: more tells the report nothing
MAX_PHASES_PER_S = 1000  # an event each; the numbers of more count for the trial alone
_MAX_NAMES = 64  # of an event's numbers: its line stays below what a reader takes
_FLUSH_BYTES = 512  # buffers of C and Python are multiples of it, on every system


class PrintedMarks:
    """The marks in one stream of a command's output; ``emit`` gets their events in order."""

    def __init__(self, emit: Callable[[Sequence[HostEvent]], None], start_s: float) -> None:
        """``start_s`` is when the command was started, on the monotonic clock."""
        self.left_out = 0  # phases
        self._emit = emit
        self._lines = KeyLines()
        self._sum = _Sum()
        self._read_s = start_s
        self._emitted_s = -math.inf
        self._second, self._phases = -1, 0
        self._lost = False  # the phase that runs was left out

    @property
    def is_waiting(self) -> bool:
        """Whether numbers are being added up: call ``turn`` before long."""
        return self._sum.lines > 0

    def feed(self, chunk: bytes, now_s: float) -> None:
        """Take a chunk that was read at ``now_s``."""
        lines = self._lines.feed(chunk)
        cut = len(chunk) % _FLUSH_BYTES == 0 and chunk[-1:] not in b"\r\n"
        self._take(lines, now_s, cut)
        self._read_s = now_s
        self.turn(now_s)

    def turn(self, now_s: float) -> None:
        """Pass on what was added up, if it is time."""
        if now_s - self._emitted_s >= MERGE_S:
            self._flush()

    def finish(self) -> None:
        """The stream has ended: its last line need not have an end."""
        self._take(self._lines.finish(), self._read_s, False)
        self._flush()

    def _take(self, lines: list[Keys], now_s: float, cut: bool) -> None:
        phases = sum("phase" in keys for keys in lines)
        read = {
            "gap_s": round(now_s - self._read_s, 6),
            "lines": len(lines),
            "phases": phases,
            "cut": cut,
        }
        for keys in lines:
            if "phase" in keys:
                self._begin(keys, now_s, read)
            else:
                self._sum.add(keys, now_s)
                if len(self._sum.values) >= _MAX_NAMES:
                    self._flush()

    def _begin(self, keys: Keys, now_s: float, read: dict[str, Any]) -> None:
        if math.floor(now_s) != self._second:
            self._second, self._phases = math.floor(now_s), 0
        self._phases += 1
        values = {key: value for key, value in keys.items() if key != "phase"}
        lost, was_lost = self._phases > MAX_PHASES_PER_S, self._lost
        if not (lost and was_lost):
            self._flush()  # what came before belongs to the phase before
        self._lost = lost
        if lost:
            self.left_out += 1
            self._sum.add(values, now_s)
            if not was_lost:
                self._flush()  # ends the phase before
            return
        detail = {"by": "output", "values": values, "phase": str(keys["phase"]), "read": read}
        self._emit([HostEvent.at(now_s, "mark", detail)])

    def _flush(self) -> None:
        made, self._sum = self._sum, _Sum()
        if not made.lines:
            return
        self._emitted_s = made.last_s
        detail: dict[str, Any] = {"by": "output", "values": made.values}
        if made.lines > 1:
            detail |= {"lines": made.lines, "sums": made.sums, "counts": made.counts}
        if self._lost:
            detail["phase_left_out"] = True
        self._emit([HostEvent.at(made.last_s, "mark", detail)])


class _Sum:
    """Numbers of several lines, added up."""

    def __init__(self) -> None:
        self.lines = 0
        self.last_s = 0.0
        self.values: Keys = {}
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, keys: Keys, now_s: float) -> None:
        self.lines += 1
        self.last_s = now_s
        self.values.update(keys)
        for key, value in keys.items():
            if not isinstance(value, str):
                self.sums[key] = self.sums.get(key, 0.0) + value
                self.counts[key] = self.counts.get(key, 0) + 1
