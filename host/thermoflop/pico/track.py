"""Account for every byte of a link: lines, losses, reboots and stale data, without a port.

The tracker is pure: bytes and the time they arrived go in, items come out, and its counters add up.
Times are the host's monotonic and wall clocks in seconds. A gap is a run of ``seq`` numbers
that never came; a line is stale when its boot is over or its ``seq`` is not newer than the last.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thermoflop.pico.clock import ClockFit, ClockFitter
from thermoflop.pico.event_numbers import EventNumbers
from thermoflop.pico.lines import LineSplitter, Overlong
from thermoflop.pico.settings import merge_settings
from thermoflop.pico.wire import Bad, Event, Hello, Message, Sample, Settings, Units, decode

# Stale data is what a buffer kept: at most a few dozen lines. A longer row of lines that keep
# advancing means that the tracker's idea of the boot was wrong (one corrupted line in 65,536 passes
# its CRC), and holding on to it would lose everything that follows.
MAX_STALE_RUN = 64
_MAX_OLD_BOOTS = 64  # a board in a crash loop must not fill the memory
_MAX_FITS = 100  # kept for run.json, one a boot


@dataclass(frozen=True, slots=True)
class BoardLine:
    """A good line, byte for byte, and what it says."""

    mono_s: float
    wall_s: float
    line: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was not believed: why, how it began, and its length in bytes."""

    mono_s: float
    wall_s: float
    reason: str
    head: bytes
    n_bytes: int


@dataclass(frozen=True, slots=True)
class HostEvent:
    """Something the host noticed: gap, reboot, stale, lost, reconnect, and the like."""

    mono_s: float
    wall_s: float
    ev: str
    detail: Mapping[str, Any]

    @classmethod
    def at(cls, mono_s: float, ev: str, detail: Mapping[str, Any]) -> HostEvent:
        """At a moment of the monotonic clock, and of the wall clock as it is set now."""
        return cls(mono_s, time.time() - (time.monotonic() - mono_s), ev, detail)


Item = BoardLine | BadLine | HostEvent


@dataclass(slots=True)
class Counters:
    """What happened on the link so far.

    ``gap_samples`` are sequence numbers that never arrived; ``board_drops`` of them the board
    itself declared dropped, so ``gap_samples - board_drops`` were lost on the way.
    """

    n_bytes: int = 0
    lines: int = 0
    samples: int = 0
    events: int = 0
    gaps: int = 0
    gap_samples: int = 0
    gap_events: int = 0
    board_drops: int = 0
    reboots: int = 0
    stale: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    bad_bytes: int = 0
    torn_at_open: int = 0
    torn_at_close: int = 0
    reconnects: int = 0
    host_drops: int = 0

    @property
    def bad_lines(self) -> int:
        """Bad lines for any reason."""
        return sum(self.bad.values())

    @property
    def lost_samples(self) -> int:
        """Samples that the board sent and that did not arrive."""
        return max(0, self.gap_samples - self.board_drops)

    def to_json(self) -> dict[str, Any]:
        """The counters as they stand in ``run.json``."""
        names = (n for n in self.__slots__ if n != "bad")
        return {
            **{name: getattr(self, name) for name in names},
            "lost_samples": self.lost_samples,
            "bad_lines": self.bad_lines,
            "bad": dict(sorted(self.bad.items())),
        }


@dataclass(slots=True)
class Board:
    """What is known of the board that is being heard."""

    hello: Hello | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


class Tracker:
    """Turns bytes into items and keeps count; one per link, fed by one thread."""

    def __init__(self) -> None:
        """Nothing heard yet: the first boot id seen is not a reboot, the first seq not a gap."""
        self.counters = Counters()
        self.board = Board()
        self.boot: str | None = None
        self.last_sample: Sample | None = None
        self.fits: deque[ClockFit] = deque(maxlen=_MAX_FITS)  # of boots that are over
        self._clock: ClockFitter | None = None
        self._splitter = LineSplitter()
        self._at_open = False
        self._last_seq: int | None = None
        self._events = EventNumbers(None)
        self._last_drops = 0
        self._old_boots: deque[str] = deque(maxlen=_MAX_OLD_BOOTS)
        self._stale_run = 0
        self._stale_seq = -1
        self._items: list[Item] = []
        self._mono_s = self._wall_s = 0.0

    def clock_fit(self) -> ClockFit | None:
        """The clock of the current boot, or None before its first sample."""
        return self._clock.fit() if self._clock else None

    def pending_text(self) -> str:
        """What came after the last newline: a prompt, it may be."""
        return self._splitter.pending.decode("latin-1")

    def opened(self) -> None:
        """The port was opened (again): what follows may start in the middle of a line."""
        self._at_open = True

    def closed(self) -> None:
        """The port is gone: a line that had begun will not be finished."""
        self.counters.torn_at_close += bool(self._splitter.reset())

    def feed(self, chunk: bytes, mono_s: float, wall_s: float) -> list[Item]:
        """The items in ``chunk``, which arrived at ``mono_s`` and ``wall_s``."""
        self.counters.n_bytes += len(chunk)
        self._items, self._mono_s, self._wall_s = [], mono_s, wall_s
        for line in self._splitter.feed(chunk):
            if isinstance(line, Overlong):
                self._bad("too_long", line.head, line.n_bytes)
                continue
            message = decode(line)
            if isinstance(message, Bad):
                self._bad(message.reason, line, len(line))
                continue
            self._at_open = False
            self.counters.lines += 1
            if self._is_fresh(message):
                self._items.append(BoardLine(mono_s, wall_s, line.removesuffix(b"\r"), message))
                self._learn(message, mono_s)
        return self._items

    def _bad(self, reason: str, head: bytes, n_bytes: int) -> None:
        self.counters.lines += 1
        if self._at_open:
            # What stands before the first newline is the rest of a line that was already running;
            # it is no fault of the board's. (A whole line with the right crc was taken above.)
            self._at_open = False
            if n_bytes:
                self.counters.torn_at_open += 1
                self._note("torn_at_open", {"bytes": n_bytes, "text": head.decode("latin-1")})
            return
        self.counters.bad[reason] = self.counters.bad.get(reason, 0) + 1
        self.counters.bad_bytes += n_bytes
        self._items.append(BadLine(self._mono_s, self._wall_s, reason, head, n_bytes))

    def _is_fresh(self, message: Message) -> bool:
        """Whether the line is news; reboots, gaps and stale lines are noticed on the way."""
        boot = getattr(message, "boot", None)
        if boot is None:  # replies and counts carry no boot: they answer who asked
            return True
        if boot != self.boot:
            if boot in self._old_boots and not self._is_stuck(message):
                self._stale(message)
                return False
            self._new_boot(boot)
        if isinstance(message, Sample):
            return self._sample_is_fresh(message)
        if isinstance(message, Event):
            return self._event_is_fresh(message)
        return True

    def _new_boot(self, boot: str) -> None:
        if self.boot is not None:
            self.counters.reboots += 1
            self._old_boots.append(self.boot)
            fit = self.clock_fit()
            if fit is not None:
                self.fits.append(fit)
            self._note("reboot", {"was": self.boot, "boot": boot})
            # a boot that began under our eyes: whatever is missing from its start is a loss
            self._last_seq, self._events = -1, EventNumbers(-1)
        if boot in self._old_boots:
            self._old_boots.remove(boot)
            self._last_seq, self._events = None, EventNumbers(None)
        self.boot = boot
        self.board = Board()
        self._clock = None
        self._last_drops = 0
        self._stale_run = 0

    def _sample_is_fresh(self, sample: Sample) -> bool:
        last = self._last_seq
        if last is not None and sample.seq <= last:
            if not self._is_stuck(sample):
                self._stale(sample)
                return False
            self._note("resync", {"was": last, "seq": sample.seq})
            last, self._events = None, EventNumbers(None)
        if last is None:
            self._last_drops = sample.drops
        elif sample.seq > last + 1:
            missing = sample.seq - last - 1
            self.counters.gaps += 1
            self.counters.gap_samples += missing
            detail = {"boot": sample.boot, "after": last, "seq": sample.seq, "missing": missing}
            self._note("gap", detail)
        self.counters.board_drops += max(0, sample.drops - self._last_drops)
        self._last_drops = sample.drops
        self._last_seq = sample.seq
        self._stale_run = 0
        return True

    def _event_is_fresh(self, event: Event) -> bool:
        last = self._events.last
        if self._events.is_stale(event.n):
            self._stale(event)
            return False
        missing, taken_back = self._events.take(event.n)
        self.counters.gap_events += missing
        detail = {"boot": event.boot, "after": last, "n": event.n, "missing": missing}
        if taken_back is not None:
            self._note("resync", {"was": taken_back, **detail})
        elif missing:
            self._note("gap_events", detail)
        return True

    def _note(self, ev: str, detail: dict[str, Any]) -> None:
        self._items.append(HostEvent(self._mono_s, self._wall_s, ev, detail))

    def _stale(self, message: Message) -> None:
        self.counters.stale += 1
        detail: dict[str, Any] = {"boot": getattr(message, "boot", None)}
        if isinstance(message, Sample):
            detail["seq"] = message.seq
        self._note("stale", detail)

    def _is_stuck(self, message: Message) -> bool:
        """Whether so many stale samples advanced one by one that it is we who are wrong."""
        if not isinstance(message, Sample):
            return False
        advances = message.seq > self._stale_seq
        self._stale_run = self._stale_run + 1 if advances else 1
        self._stale_seq = message.seq
        return self._stale_run > MAX_STALE_RUN

    def _learn(self, message: Message, mono_s: float) -> None:
        match message:
            case Sample():
                self.counters.samples += 1
                self.last_sample = message
                if self._clock is None:
                    self._clock = ClockFitter(message.boot)
                self._clock.add(message.up_s, mono_s)
            case Event():
                self.counters.events += 1
            case Hello():
                self.board.hello = message
            case Units():
                self.board.units = message.units
            case Settings():
                merge_settings(self.board.settings, message.values)
