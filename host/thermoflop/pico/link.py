"""The link: drains a port, whatever else is slow, and never writes to it unasked.

It opens the port, hands every chunk to the tracker, gives the items to a sink, and when the port
goes away waits for it to come back, by USB serial number where there is one. The sink is called in
a thread that may read other boards too, and must not wait for anything; a recorder puts the items
in a queue that keeps them all, a viewer in a ``Latest`` that drops the oldest.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self

from thermoflop.base.threads import start_thread
from thermoflop.errors import BoardError
from thermoflop.pico.drain import DRAIN
from thermoflop.pico.ports import Target, open_port
from thermoflop.pico.track import HostEvent, Item, Tracker
from thermoflop.pico.wire import printable

Sink = Callable[[list[Item]], None]

FIRST_LINE_S = 5.0  # how long a port may stay without one line that a board would send

_CHUNK_BYTES = 16384  # more than the system keeps of a serial port
_POLL_S = 0.1  # how long a stop may take to be noticed
_RETRY_FROM_S, _RETRY_TO_S = 0.2, 2.0  # a replugged board is enumerated within about a second


class Latest:
    """The newest items for a viewer: bounded, drops the oldest."""

    def __init__(self, maxlen: int = 4096) -> None:
        """``maxlen`` items at most are kept."""
        self._items: deque[Item] = deque(maxlen=maxlen)
        self._lock = threading.Lock()

    def __call__(self, items: Iterable[Item]) -> None:
        """Take items; the sink of a link."""
        with self._lock:
            self._items.extend(items)

    def take(self) -> list[Item]:
        """All items since the last call."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
        return items


class Link:
    """A board's port, being read. Use as a context manager, or ``start`` and ``stop``."""

    def __init__(self, target: Target, sink: Sink | None = None) -> None:
        """Nothing is opened yet. What is read goes to ``sink``, by default into ``inbox``."""
        self.target = target
        self.inbox = Latest()
        self.tracker = Tracker()
        self.gone: str | None = None  # why the link ended by itself
        self.connected = False
        self._sink = self.inbox if sink is None else sink
        self._port: Any = None
        self._port_lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._handle: int | None = None  # of the port

    def start(self) -> None:
        """Open the port, BoardError when that fails, and start to drain it."""
        self._port = open_port(self.target.find())
        self.tracker.opened()
        self.connected = True
        if not self._is_shared():
            self._go(None)

    def stop(self) -> None:
        """Stop draining and close the port; what was read has been given to the sink."""
        self._stop.set()
        self._leave()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._leave()  # the port may have come back meanwhile
        self._close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def write(self, data: bytes) -> None:
        """Send ``data``, only on a command of the user; BoardError when the port takes none."""
        with self._port_lock:
            port = self._port
        if port is None:
            raise BoardError(f"port {printable(self.target.url)} is gone")
        try:
            port.write(data)
        except OSError as error:
            raise BoardError(
                f"port {printable(self.target.url)} did not take the command: "
                f"{printable(str(error))}"
            ) from error

    def expect_board(self, waited_s: float, first_line_s: float = FIRST_LINE_S) -> None:
        """BoardError when no line of a board came in ``waited_s``, and that is long enough."""
        if waited_s >= first_line_s and self.tracker.boot is None:
            raise BoardError(self.silence(waited_s))

    def silence(self, waited_s: float) -> str:
        """The sentence for a port that opened and then sent nothing that a board would send."""
        name = printable(self.target.url)
        n_bytes = self.tracker.counters.n_bytes
        if self.gone:
            return f"port {name} closed before a line came from a board ({self.gone})"
        if n_bytes == 0:
            return (
                f"port {name} opened, but nothing came in {waited_s:.1f} s: the firmware is not "
                "running (`thermoflop flash` installs it), this is not a board, or its rate is so "
                "slow that it takes a longer --wait"
            )
        return (
            f"port {name} sent {n_bytes} bytes in {waited_s:.1f} s and not one valid line: it is "
            "not a board that runs this firmware (`thermoflop doctor` looks closer)"
        )

    def _is_shared(self) -> bool:
        """Whether the port is read in the thread of all ports from now on."""
        self._handle = handle = _handle(self._port)
        return handle is not None and DRAIN.add(handle, self._read_ready)

    def _leave(self) -> None:
        if self._handle is not None:
            DRAIN.remove(self._handle, self._read_ready)

    def _go(self, error: Exception | None) -> None:
        self._thread = start_thread("link", self._run, error)

    def _read_ready(self) -> None:
        """Read what came; what goes wrong, and the wait for the port's return, has a thread."""
        try:
            # pyserial would wait for more; of an end it has the words
            self._take(os.read(self._handle or 0, _CHUNK_BYTES) or self._port.read(_CHUNK_BYTES))
        except BlockingIOError:
            return
        except Exception as error:
            self._leave()
            if not self._stop.is_set():
                self._go(error)

    def _run(self, error: Exception | None) -> None:
        try:
            while error or not self._stop.is_set():
                error = error or self._drain()
                if error and not isinstance(error, OSError | TypeError | ValueError):
                    raise error
                if self._stop.is_set() or error is None:
                    return
                reason = _why_ended(error)  # pyserial: SerialException is an OSError
                self._lost(reason)
                if not self.target.may_return:
                    self.gone = reason
                    return
                self._reopen()
                error = None
                if not self._stop.is_set() and self._is_shared():
                    return
        except Exception as error:  # a thread that dies in silence would look like a quiet board
            self.gone = f"{type(error).__name__}: {error}"
            raise

    def _drain(self) -> Exception | None:
        """Read until the port fails, and with what, or until we are stopped."""
        wait = _waiter(self._port, self._handle)
        try:
            while not self._stop.is_set():
                if wait():
                    self._take(self._port.read(_CHUNK_BYTES))
        except Exception as error:
            return error
        return None

    def _take(self, chunk: bytes) -> None:
        if chunk:
            items = self.tracker.feed(chunk, time.monotonic(), time.time())
            if items:
                self._sink(items)

    def _lost(self, reason: str) -> None:
        self.connected = False
        self._close()
        self.tracker.closed()
        self._note("lost", {"port": self.target.url, "why": reason})

    def _reopen(self) -> None:
        lost_s = time.monotonic()
        pause_s = _RETRY_FROM_S
        while not self._stop.wait(pause_s):
            pause_s = min(_RETRY_TO_S, pause_s * 1.5)
            try:
                url = self.target.find()
                port = open_port(url)
            except BoardError:
                continue
            with self._port_lock:
                self._port = port
            self.tracker.opened()
            self.tracker.counters.reconnects += 1
            self.connected = True
            down_s = round(time.monotonic() - lost_s, 3)
            self._note("reconnect", {"port": url, "down_s": down_s})
            return

    def _note(self, ev: str, detail: dict[str, Any]) -> None:
        self._sink([HostEvent(time.monotonic(), time.time(), ev, detail)])

    def _close(self) -> None:
        with self._port_lock:
            port, self._port = self._port, None
        if port is not None:
            try:
                port.close()
            except OSError:  # it went away: there is nothing left to close
                return


def _why_ended(error: Exception) -> str:
    text = printable(str(error)) or type(error).__name__
    # pyserial's words for a device that is always ready and never has anything: it was pulled
    return "the device went away" if "returned no data" in text or "Errno 5]" in text else text


def _handle(port: Any) -> int | None:
    """The file descriptor on which the system can wait, if there is one."""
    if os.name != "posix":
        return None
    try:
        return int(port.fileno())
    except (OSError, AttributeError, ValueError):
        return None


def _waiter(port: Any, handle: int | None) -> Callable[[], bool]:
    """A function that waits until ``port`` has something to read, at most 0.1 s."""
    if handle is not None:
        return lambda: bool(select.select([handle], [], [], _POLL_S)[0])

    def poll() -> bool:
        """For ports without a file descriptor: look often enough to keep a full USB pipe empty."""
        if port.in_waiting:
            return True
        time.sleep(0.005)
        return bool(port.in_waiting)

    return poll
