"""The ground truth of the simulated cable, counted where each thing happens.

The board's side notes every line it hands over; the far end notes every line that a reader took,
and knows it for one of the board's only if each byte is the same. A host that counts its own
samples, losses and bad lines must come to these figures.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from thermoflop.base.plain import attributes

_BOOT = re.compile(rb'\{"k":"[a-z]+","boot":"([0-9a-f]+)"')
_SAMPLE = re.compile(rb'\{"k":"t","boot":"([0-9a-f]+)","seq":(\d+),.*"drops":(\d+),')
_MAX_OUTSTANDING = 4096  # lines on their way: a USB buffer and a host's, with room to spare


@dataclass(slots=True)
class BootCount:
    """The samples of one boot. ``last_sent`` and the like are sequence numbers.

    ``drops_told`` is how many the board, in the last sample that came, said it could not send;
    ``heard`` is whether any line of the boot came at all.
    """

    sent: int = 0
    delivered: int = 0
    last_sent: int = -1
    first_delivered: int = -1
    last_delivered: int = -1
    drops_told: int = 0
    heard: bool = False

    def missing(self, from_start: bool) -> int:
        """Samples that a reader can know to be missing: those before the last one that came."""
        if not self.delivered:
            return 0
        first = 0 if from_start else self.first_delivered
        return self.last_delivered + 1 - first - self.delivered


@dataclass(frozen=True, slots=True)
class _Sent:
    """A line on its way: of which boot, and for a sample its number and the board's drops."""

    boot: str | None
    seq: int | None = None
    drops: int = 0


@dataclass(slots=True)
class CableTruth:
    """Exact counts of one simulated board.

    ``bad_lines`` are pieces between newlines that reached the reader and are not, byte for byte, a
    line of the board: corrupted lines, torn ones with the line that ran into them, and the rests
    that a buffer kept. ``torn_at_close`` counts lines whose end was lost with the link.
    """

    lines_sent: int = 0
    samples_sent: int = 0
    lines_delivered: int = 0
    samples_delivered: int = 0
    bad_lines: int = 0
    torn_at_close: int = 0
    lines_dropped: int = 0
    lines_corrupted: int = 0
    lines_torn: int = 0
    lines_echoed: int = 0
    bytes_unheard: int = 0
    reboots: dict[str, int] = field(default_factory=dict)
    unplugs: int = 0
    stalls: int = 0
    boots: dict[str, BootCount] = field(default_factory=dict)
    _outstanding: dict[bytes, _Sent] = field(default_factory=dict)
    _far_end: bytearray = field(default_factory=bytearray)

    def sent(self, line: bytes) -> None:
        """The board handed a whole line to its USB port."""
        self.lines_sent += 1
        sent = _look_at(line)
        if sent.seq is not None and sent.boot is not None:
            count = self.boots.setdefault(sent.boot, BootCount())
            count.sent += 1
            count.last_sent = sent.seq
            self.samples_sent += 1
        self._outstanding.pop(line, None)  # lines that repeat move to the young end
        self._outstanding[line] = sent
        if len(self._outstanding) > _MAX_OUTSTANDING:
            del self._outstanding[next(iter(self._outstanding))]

    def arrived(self, data: bytes) -> None:
        """A reader took these bytes."""
        self._far_end += data
        *lines, rest = self._far_end.split(b"\n")
        self._far_end = rest
        for line in lines:
            self._line_arrived(bytes(line) + b"\n")

    def link_closed(self) -> None:
        """What the reader has of a line will not be finished."""
        self.torn_at_close += bool(self._far_end)
        self._far_end = bytearray()

    def rebooted(self, cause: str) -> None:
        """The board restarted."""
        self.reboots[cause] = self.reboots.get(cause, 0) + 1

    def _line_arrived(self, line: bytes) -> None:
        sent = self._outstanding.get(line)
        if sent is None:
            self.bad_lines += 1
            return
        self.lines_delivered += 1
        if sent.boot is None:
            return
        count = self.boots.setdefault(sent.boot, BootCount())
        count.heard = True
        if sent.seq is None:
            return
        if not count.delivered:
            count.first_delivered = sent.seq
        count.delivered += 1
        count.last_delivered = sent.seq
        count.drops_told = sent.drops
        self.samples_delivered += 1

    @property
    def boots_heard(self) -> int:
        """Boots of which at least one line reached the reader."""
        return sum(count.heard for count in self.boots.values())

    @property
    def samples_missing(self) -> int:
        """Samples a reader can know to be missing; how its first boot began it cannot know."""
        heard = [count for count in self.boots.values() if count.heard]
        return sum(count.missing(from_start=n > 0) for n, count in enumerate(heard))

    @property
    def drops_told(self) -> int:
        """Samples that the board declared dropped, to a reader that was there from the start."""
        return sum(count.drops_told for count in self.boots.values())

    def to_json(self) -> dict[str, Any]:
        """The counts as ``--ledger`` writes them."""
        counts = {key: value for key, value in asdict(self).items() if not key.startswith("_")}
        return {**counts, **attributes(self, "samples_missing", "boots_heard", "drops_told")}


def _look_at(line: bytes) -> _Sent:
    match = _SAMPLE.match(line)
    if match:
        return _Sent(match[1].decode(), int(match[2]), int(match[3]))
    match = _BOOT.match(line)
    if match:
        return _Sent(match[1].decode())
    if line.startswith(b'{"k":"hello"'):
        return _Sent(line.partition(b'"boot":"')[2].partition(b'"')[0].decode())
    return _Sent(None)
