"""What really happened on the simulated cable, counted where it happened.

The board's side notes every line it hands over; the far end notes every line that a reader took,
and knows it for one of the board's only if each byte is the same. A host that counts its own
samples, losses and bad lines must come to these figures.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

_SAMPLE = re.compile(rb'\{"k":"t","boot":"([0-9a-f]+)","seq":(\d+),')
_MAX_OUTSTANDING = 4096  # lines on their way: a USB buffer and a host's, with room to spare


@dataclass(slots=True)
class BootCount:
    """The samples of one boot. ``last_sent`` and the like are sequence numbers."""

    sent: int = 0
    delivered: int = 0
    last_sent: int = -1
    first_delivered: int | None = None
    last_delivered: int = -1

    @property
    def missing(self) -> int:
        """Samples that a reader can know to be missing: those before the last one that came."""
        return self.last_delivered + 1 - self.delivered


@dataclass(slots=True)
class Ledger:
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
    _outstanding: dict[bytes, tuple[str, int] | None] = field(default_factory=dict)
    _far_end: bytearray = field(default_factory=bytearray)

    def sent(self, line: bytes) -> None:
        """The board handed a whole line to its USB port."""
        self.lines_sent += 1
        found = _SAMPLE.match(line)
        sample = (found[1].decode(), int(found[2])) if found else None
        if sample:
            boot, seq = sample
            count = self.boots.setdefault(boot, BootCount())
            count.sent += 1
            count.last_sent = seq
            self.samples_sent += 1
        self._outstanding.pop(line, None)  # lines that repeat move to the young end
        self._outstanding[line] = sample
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
        if line not in self._outstanding:
            self.bad_lines += 1
            return
        self.lines_delivered += 1
        sample = self._outstanding[line]
        if sample is None:
            return
        boot, seq = sample
        count = self.boots[boot]
        count.delivered += 1
        count.last_delivered = seq
        if count.first_delivered is None:
            count.first_delivered = seq
        self.samples_delivered += 1

    @property
    def boots_heard(self) -> int:
        """Boots of which at least one sample reached the reader."""
        return sum(count.delivered > 0 for count in self.boots.values())

    @property
    def samples_missing(self) -> int:
        """Samples that a reader can know to be missing, over all boots it heard."""
        return sum(count.missing for count in self.boots.values() if count.delivered)

    def to_json(self) -> dict[str, Any]:
        """The counts as ``--ledger`` writes them."""
        counts = {key: value for key, value in asdict(self).items() if not key.startswith("_")}
        return {**counts, "samples_missing": self.samples_missing, "boots_heard": self.boots_heard}
