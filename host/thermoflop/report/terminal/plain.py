"""What happened on a board as plain lines of text, for a pipe, a file or the foot of a picture."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from thermoflop.pico.track import BadLine, BoardLine, HostEvent, Item
from thermoflop.pico.wire import Event, Log, Sample, printable
from thermoflop.report.messages import (
    describe_bad_line,
    describe_event,
    describe_fault,
    describe_host_event,
)

_TALLY_S = 1.0  # at a wrong baud rate every line is bad: they would flood a terminal


def news(item: Item) -> str:
    """An item that is no sample in a few words; empty when there is nothing to tell."""
    if isinstance(item, BadLine):
        return f"bad line ({describe_bad_line(item.reason)}, {item.n_bytes} bytes)"
    if isinstance(item, HostEvent):
        return printable(describe_host_event(item.ev, item.detail))
    message = item.message
    if isinstance(message, Event):
        return printable(describe_event(message.ev, message.detail))
    return printable(message.text) if isinstance(message, Log) else ""


def clock_time(item: Item) -> str:
    """When an item arrived, as UTC time of day."""
    return time.strftime("%H:%M:%S", time.gmtime(item.wall_s))


def plain_line(item: Item) -> str:
    """One item as one line of text; empty when it is not worth one."""
    if isinstance(item, BoardLine) and isinstance(item.message, Sample):
        sample = item.message
        temp = "no valid reading" if sample.temp_c is None else f"{sample.temp_c:.3f} °C"
        parts = [clock_time(item), temp, "fan on" if sample.fan else "fan off", sample.mode]
        parts += [f"FAULT {printable(describe_fault(flag))}" for flag in sample.flags]
        return "  ".join(parts)
    text = news(item)
    return f"{clock_time(item)}  {text}" if text else ""


class PlainLines:
    """Items as lines of text; bad lines are summed up, one line a second at the most."""

    def __init__(self) -> None:
        """No bad line is counted yet."""
        self._bad: Counter[str] = Counter()
        self._tallied_s = float("-inf")

    def add(self, items: Iterable[Item]) -> Iterator[str]:
        """The lines of text for these items."""
        for item in items:
            if isinstance(item, BadLine):
                self._bad[item.reason] += 1
            elif text := plain_line(item):
                yield text
            if self._bad and item.mono_s - self._tallied_s >= _TALLY_S:
                self._tallied_s = item.mono_s
                yield f"{clock_time(item)}  {self._tally()}"

    def _tally(self) -> str:
        total = self._bad.total()
        reasons = ", ".join(
            f"{describe_bad_line(reason)} {count}" for reason, count in self._bad.most_common()
        )
        self._bad.clear()
        return f"{total} bad line{'s' if total > 1 else ''} ({reasons})"
