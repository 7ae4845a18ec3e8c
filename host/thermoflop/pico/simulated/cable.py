"""The simulated USB cable: the board's small buffer, the faults on the way, the host's buffer.

As on the real board: while somebody listens, a full buffer makes the board wait for room; while
nobody does, the buffer keeps the latest 256 bytes and forgets the rest, so that who opens the port
first reads some old bytes, cut anywhere (MicroPython's shared/tinyusb/mp_usbd_cdc.c). The board's
thread calls ``can_send``, ``send`` and ``move``; a reader's thread calls the others.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from thermoflop.pico.simulated.menu import LINE_KINDS, Fault
from thermoflop.pico.simulated.truth import CableTruth

USB_BUFFER_BYTES = 256  # CFG_TUD_CDC_TX_BUFSIZE on rp2
HOST_BUFFER_BYTES = 65536  # what Linux' cdc_acm keeps for a slow reader
TYPED_BYTES = 4096  # what Linux' terminal layer keeps of unread input
INTERRUPT = 3  # Ctrl-C


class LinkLost(Exception):
    """The cable was pulled; what had arrived before has been read."""


class LinkBusy(Exception):
    """Somebody else reads this board."""


class Cable:
    """One cable with a board at one end and at most one reader at the other."""

    def __init__(self, faults: tuple[Fault, ...], seed: int, truth: CableTruth) -> None:
        """Plugged in, without a reader. ``truth`` is written here."""
        self.truth = truth
        self.plugged = True
        self.attached = False
        self.stalled = False
        self.echoing = False
        self.on_data: Callable[[], None] | None = None
        self.changed = threading.Condition()
        self._faults = [fault for fault in faults if fault.kind in LINE_KINDS]
        self._random = random.Random(f"cable {seed}")  # noqa: S311  faults, no secret
        self._usb = bytearray()
        self._saying = bytearray()
        self._line = bytearray()
        self._host = bytearray()
        self._typed = bytearray()
        self._echoed = bytearray()
        self._plug_number = 0  # how often it was pulled
        self._cut_next = False

    # the board's side ---------------------------------------------------------------------------

    @property
    def listening(self) -> bool:
        """Whether the other end has the port open."""
        return self.plugged and self.attached

    def can_send(self, now_s: float) -> bool:
        """Whether the board's buffer takes one more byte."""
        if len(self._usb) < USB_BUFFER_BYTES or not self.listening:
            return True
        self.move(now_s)
        return len(self._usb) < USB_BUFFER_BYTES

    def send(self, data: bytes) -> int:
        """Take bytes from the board; without a reader the oldest are dropped at the end."""
        self._usb += data
        self._saying += data
        if data[-1:] == b"\n":
            for line in self._saying.splitlines(keepends=True):
                self.truth.sent(bytes(line))
            self._saying.clear()
        excess = len(self._usb) - USB_BUFFER_BYTES
        if excess > 0 and not self.listening:
            del self._usb[:excess]
            self.truth.bytes_unheard += excess
        return len(data)

    def move(self, now_s: float) -> None:
        """Carry what the board has sent to the host, as far as the host has room."""
        if self.stalled or not self._usb:
            return
        with self.changed:
            if not self.listening or len(self._host) >= HOST_BUFFER_BYTES:
                return
            self._line += self._usb
            self._usb.clear()
            *lines, rest = self._line.split(b"\n")
            self._line = rest
            for line in lines:
                if not self.listening:
                    break
                self._carry(bytes(line) + b"\n", now_s)
            self._notify()

    def typed(self, room: int) -> bytes:
        """At most ``room`` bytes that the host has written, echoes of the board's own included."""
        if not self._typed and not self._echoed:
            return b""
        with self.changed:
            data = bytes((self._echoed + self._typed)[:room])
            n_echoed = min(room, len(self._echoed))
            del self._echoed[:n_echoed]
            del self._typed[: len(data) - n_echoed]
            self._notify()
        return data

    def cut(self) -> None:
        """Pull the cable in the middle of the next line."""
        self._cut_next = True

    def pull(self) -> None:
        """Pull the cable now."""
        with self.changed:
            self._cut_next = False
            if not self.plugged:
                return
            self.truth.unplugs += 1
            self.plugged = False
            self.attached = False
            self._plug_number += 1
            self._line.clear()
            self._typed.clear()
            self._echoed.clear()
            self._notify()

    def plug(self) -> None:
        """Put it back; a reader has to open the port anew."""
        if self._cut_next:  # no line came to be cut in the meantime
            self.pull()
        with self.changed:
            self.plugged = True
            self._notify()

    def end(self) -> None:
        """The board is gone for good; a reader gets what had arrived, then LinkLost."""
        with self.changed:
            self.plugged = False
            self.attached = False
            self._plug_number += 1
            self._notify()

    def board_reset(self) -> None:
        """The chip restarted: what its buffers held is gone, the cable stays."""
        with self.changed:
            self._usb.clear()
            self._saying.clear()

    def _carry(self, line: bytes, now_s: float) -> None:
        if self._cut_next:
            self._host += line[: self._random.randrange(len(line))]
            self.pull()
            return
        if self.echoing:
            self._echoed += line
            self.truth.lines_echoed += 1
        kind = self._roll(now_s)
        if kind == "drop":
            self.truth.lines_dropped += 1
        elif kind == "tear":
            self.truth.lines_torn += 1
            self._host += line[: self._random.randrange(1, max(len(line), 2))]
        elif kind == "corrupt":
            self.truth.lines_corrupted += 1
            self._host += corrupted(line, self._random)
        else:
            self._host += line

    def _roll(self, now_s: float) -> str | None:
        """What happens to this line; each fault that holds draws, the first that hits wins."""
        for fault in self._faults:
            if fault.holds(now_s) and self._random.random() < fault.value:
                return fault.kind
        return None

    def _notify(self) -> None:
        self.changed.notify_all()
        if self.on_data is not None:
            self.on_data()

    # the reader's side --------------------------------------------------------------------------

    def attach(self) -> int:
        """Open the port; returns a ticket for ``read``. LinkLost while the cable is out."""
        with self.changed:
            if not self.plugged:
                raise LinkLost
            if self.attached:
                raise LinkBusy
            self.attached = True
            self._host.clear()
            self._notify()
            return self._plug_number

    def detach(self, ticket: int) -> None:
        """Close the port; what was not read is lost."""
        with self.changed:
            if ticket != self._plug_number:
                return
            self.attached = False
            self._host.clear()
            self._line.clear()
            self.truth.link_closed()
            self._notify()

    @property
    def unread_bytes(self) -> int:
        """What has arrived and was not read yet."""
        return len(self._host)

    def lost(self, ticket: int) -> bool:
        """Whether the cable was pulled since ``attach`` gave this ticket."""
        return ticket != self._plug_number

    def waiting(self, ticket: int) -> int:
        """Bytes that ``read`` would give at once; LinkLost when there are none and never will."""
        with self.changed:
            if not self._host and ticket != self._plug_number:
                self._lost()
            return len(self._host)

    def read(self, ticket: int, most: int, timeout_s: float | None = 0.0) -> bytes:
        """Up to ``most`` bytes, as soon as there are any; LinkLost when the cable is out."""
        with self.changed:
            if not self._host and ticket == self._plug_number and timeout_s != 0:
                self.changed.wait(timeout_s)
            if not self._host and ticket != self._plug_number:
                self._lost()
            data = bytes(self._host[:most])
            del self._host[:most]
            self.truth.arrived(data)
            if data:  # there is room again; a reader who woke itself here would never sleep
                self.changed.notify_all()
        return data

    def write(self, ticket: int, data: bytes, timeout_s: float | None = None) -> int:
        """Type to the board; how many bytes it took before ``timeout_s`` had passed."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        done = 0
        with self.changed:
            while done < len(data):
                if ticket != self._plug_number:
                    raise LinkLost
                room = TYPED_BYTES - len(self._typed)
                self._typed += data[done : done + room]
                done += min(room, len(data) - done)
                left_s = None if deadline_s is None else deadline_s - time.monotonic()
                if done == len(data) or (left_s is not None and left_s <= 0):
                    break
                self.changed.wait(left_s)
        return done

    def _lost(self) -> None:
        self.truth.link_closed()
        raise LinkLost


def corrupted(line: bytes, rng: random.Random) -> bytes:
    """The line with some bytes changed: flipped bits, or a burst of noise; never a newline."""
    body = bytearray(line[:-1])
    start = rng.randrange(len(body))
    if rng.random() < 0.5:
        places = [rng.randrange(len(body)) for _ in range(rng.randint(1, 3))]
    else:
        places = list(range(start, min(start + rng.randint(1, 8), len(body))))
    for place in places:
        new = rng.choice((0, 255, body[place] ^ (1 << rng.randrange(8)), rng.randrange(256)))
        while new in (10, line[place]):
            new = rng.randrange(256)
        body[place] = new
    return bytes(body) + b"\n"
