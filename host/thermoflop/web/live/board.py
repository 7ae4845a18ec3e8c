"""One board of the live page, read from its port or from the recording that holds the port.

The page never shares a port. While a recording goes on, the recorder alone reads the board, and the
page follows the run's file and sends its commands through the run's control file; when the
recording ends the page takes the port back.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from thermoflop.base.plain import is_between
from thermoflop.base.rolling import RollingRate
from thermoflop.errors import BoardError, BoardRefused
from thermoflop.pico.client import COUNT_S, LAST_FORM, REPLY_S
from thermoflop.pico.link import Link
from thermoflop.pico.ports import Target
from thermoflop.pico.track import BadLine, BoardLine, HostEvent, Item, Tracker
from thermoflop.pico.wire import (
    MAX_ID,
    SIMULATED,
    Message,
    Mults,
    Reply,
    Sample,
    encode_command,
    printable,
)
from thermoflop.report.messages import LOSSES, describe_fault
from thermoflop.report.terminal.plain import clock_time, news
from thermoflop.runs.folder import control
from thermoflop.runs.folder.reader import RunReader
from thermoflop.web.live.readings import Readings
from thermoflop.web.live.simboard import SimBoard

KEPT_NEWS = 40
SILENT_S = 3.0
STALE_S = 8.0  # a reading so old is none for other programs
_RATE_OVER_S = 5.0
_REOPEN_S = 5.0
_HOST_NEWS = {"lost", "reconnect", "reboot", "resync", "host_drops"}  # of the host's own events


class BoardSource:
    """A board being watched. Its methods may be called from any thread."""

    def __init__(
        self, key: str, target: Target, simulated: SimBoard | None = None, *, history: bool = True
    ) -> None:
        """Opens nothing; ``key`` names the board on the page. Without ``history`` the newest
        reading alone is kept: who exports a hundred boards shows no curves."""
        self.key = key
        self.target = target
        self.simulated = simulated
        self.readings = Readings() if history else Readings(1, past=0)
        self.news: deque[tuple[str, str]] = deque(maxlen=KEPT_NEWS)
        self.version = 0  # of everything but the readings
        self.run: Path | None = None  # the run that is followed
        self.given_away = False  # a recorder is about to open the port
        self.of_run = False  # a simulated board that is gone when its recording ends
        self._lock = threading.RLock()
        self._tracker = Tracker()
        self._link: Link | None = None
        self._stop = threading.Event()
        self._follower: threading.Thread | None = None
        self._rate = RollingRate(_RATE_OVER_S)
        self._last_s = time.monotonic()
        self._trouble = ""
        self._waiting: dict[int, list[Message]] = {}
        self._answered = threading.Condition(self._lock)

    # where its lines come from ------------------------------------------------------------------

    def open(self) -> None:
        """Open the port and read it. Raises BoardError."""
        link = Link(self.target, self._take)
        self._hand_on(link.tracker)
        link.start()
        with self._lock:
            self._link, self._tracker, self._trouble = link, link.tracker, ""
            self._last_s = time.monotonic()
            self.version += 1

    def try_to_open(self) -> bool:
        """Whether the port could be opened; what went wrong is shown with the board."""
        try:
            self.open()
        except BoardError as error:
            self.trouble(str(error))
            return False
        return True

    def release(self) -> None:
        """Close the port, or stop following a run."""
        with self._lock:
            link, self._link = self._link, None
            follower, self._follower = self._follower, None
            self._stop.set()
            self.run = None
            self.version += 1
        if link is not None:
            link.stop()
        if follower is not None and follower is not threading.current_thread():
            follower.join(timeout=5.0)

    def follow(self, run: Path) -> None:
        """Read the board from the run folder ``run`` while it is recorded."""
        self.release()
        with self._lock:
            tracker = Tracker()
            self._hand_on(tracker)
            self._tracker = tracker
            self._stop = stop = threading.Event()
            self.run = run
            self._trouble = ""
            self._last_s = time.monotonic()
            self.version += 1
        thread = threading.Thread(target=self._read_run, args=(run, stop), daemon=True)
        self._follower = thread
        thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether the port should be read and is not."""
        with self._lock:
            return self._link is None and self.run is None and not self.given_away

    def _hand_on(self, tracker: Tracker) -> None:
        """Copy counters and state to a new tracker: it is still the same board."""
        before = self._tracker
        tracker.counters, tracker.board, tracker.boot = before.counters, before.board, before.boot

    def take_back(self) -> None:
        """Reopen the port after a recording, retrying for some seconds; shows the last error."""
        self.release()
        end_s = time.monotonic() + _REOPEN_S
        while not self.try_to_open() and time.monotonic() < end_s:
            time.sleep(0.3)

    def end(self) -> None:
        """Close everything; ends a simulated board."""
        self.release()
        if self.simulated is not None:
            self.simulated.let_go()

    def trouble(self, text: str) -> None:
        """Show this sentence with the board."""
        with self._lock:
            self._trouble = text
            self.version += 1

    def _read_run(self, run: Path, stop: threading.Event) -> None:
        for item in RunReader(run, follow=True, stop=stop):
            if stop.is_set():
                return
            if isinstance(item, BoardLine):
                with self._lock:
                    items = self._tracker.feed(item.line + b"\n", item.mono_s, item.wall_s)
                self._take(items)
            elif isinstance(item, BadLine | HostEvent):
                self._count(item)
                self._take([item])

    def _count(self, item: BadLine | HostEvent) -> None:
        """Count bad lines and reconnects that only the recorder has seen."""
        counters = self._tracker.counters
        if isinstance(item, BadLine):
            counters.bad[item.reason] = counters.bad.get(item.reason, 0) + 1
        elif item.ev == "reconnect":
            counters.reconnects += 1

    def _take(self, items: Iterable[Item]) -> None:
        """Take items from the reading thread."""
        with self._lock:
            for item in items:
                if isinstance(item, BoardLine):
                    self._hear(item)
                elif isinstance(item, HostEvent) and item.ev not in _HOST_NEWS:
                    continue
                if not isinstance(item, BadLine) and (text := news(item)):
                    self.news.append((clock_time(item), text))
                    self.version += 1
            self._last_s = time.monotonic()

    def _hear(self, item: BoardLine) -> None:
        message = item.message
        if isinstance(message, Sample):
            self._rate.add(item.mono_s)
            self.readings.add((round(item.mono_s, 3), message.temp_c, message.fan))
        elif isinstance(message, Reply | Mults) and message.id in self._waiting:
            self._waiting[message.id].append(message)
            self._answered.notify_all()

    # what it says -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The board's state without its readings; all text is printable ASCII or ours."""
        with self._lock:
            tracker, counters = self._tracker, self._tracker.counters
            last, hello, settings = tracker.last_sample, tracker.board.hello, tracker.board.settings
            return {
                "key": self.key,
                "port": printable(self.simulated.url if self.simulated else self.target.url),
                "name": printable(hello.board) if hello else "",
                "simulated": self.simulated is not None
                or (hello is not None and hello.board.endswith(SIMULATED)),
                "firmware": printable(hello.fw) if hello else "",
                "up_s": last.up_s if last else None,
                "temp_c": last.temp_c if last else None,
                "heard": last is not None,
                "fan": last.fan if last else None,
                "mode": _mode(last, settings) if last else "",
                "faults": [printable(describe_fault(flag)) for flag in last.flags] if last else [],
                "rate_hz": round(self._rate.per_s, 1),
                "on_c": _number(settings.get("on_c")),
                "off_c": _number(settings.get("off_c")),
                "max_c": _number(settings.get("t_max_c")),
                "samples": counters.samples,
                "losses": [[name, getattr(counters, key)] for key, name in LOSSES.items()],
                "trouble": self._why_silent(),
                "recording": self.run.name if self.run else None,
                "news": list(self.news)[-8:],
            }

    def _why_silent(self) -> str:
        """Why no data arrives, in a sentence; empty while it does."""
        link = self._link
        if self._trouble:
            return self._trouble
        if link is not None and link.gone:
            return f"the port went away for good: {printable(link.gone)}"
        if link is not None and not link.connected:
            return "the board is gone; waiting for it to come back"
        silent_s = time.monotonic() - self._last_s
        if silent_s > SILENT_S:
            if link is not None and self._tracker.last_sample is None:
                return link.silence(silent_s)
            return f"nothing came for {silent_s:.0f} s"
        return ""

    @property
    def fresh_sample(self) -> Sample | None:
        """The newest sample; None when the port went away, or nothing came for longer than the
        board's rate explains."""
        link, last = self._link, self._tracker.last_sample
        if last is None or self.is_idle or (link is not None and not link.connected):
            return None
        every_s = (_number(self._tracker.board.settings.get("rate_ms")) or 0.0) / 1000
        return last if time.monotonic() - self._last_s <= max(STALE_S, 2.5 * every_s) else None

    @property
    def tracker(self) -> Tracker:
        """The tracker of the board's lines."""
        return self._tracker

    # what is said to it -------------------------------------------------------------------------

    def send_command(self, verb: str, args: Sequence[str] = ()) -> tuple[Reply, list[Mults]]:
        """Send one command and wait for the reply. Raises BoardRefused with the board's reason.

        UsageError for what cannot be put into a command, BoardError when no answer comes. The same
        text is sent a second time before that; the board applies it once.
        """
        command_id = secrets.randbelow(MAX_ID) + 1
        data = encode_command(command_id, verb, tuple(args))
        with self._lock:
            self._waiting[command_id] = []
        try:
            return self._converse(command_id, data, verb)
        finally:
            with self._lock:
                self._waiting.pop(command_id, None)

    def _converse(self, command_id: int, data: bytes, verb: str) -> tuple[Reply, list[Mults]]:
        heard = self._waiting[command_id]
        for _ in range(2):
            self._send(data)
            reply = self._await(heard, lambda m: isinstance(m, Reply), REPLY_S)
            if reply is not None:
                break
        if not isinstance(reply, Reply):
            raise BoardError(f"the board did not answer in {2 * REPLY_S:g} s")
        if not reply.ok:
            raise BoardRefused(printable(reply.err or "no reason given"))
        if verb == "mults":
            done = self._await(
                heard, lambda m: isinstance(m, Mults) and m.form == LAST_FORM, COUNT_S
            )
            if done is None:
                raise BoardError(f"the board began to count and did not finish in {COUNT_S:g} s")
        with self._lock:
            return reply, [m for m in heard if isinstance(m, Mults)]

    def _await(self, heard: list[Message], is_answer: Any, seconds: float) -> Message | None:
        with self._answered:
            self._answered.wait_for(lambda: any(map(is_answer, heard)), seconds)
            return next(filter(is_answer, heard), None)

    def _send(self, data: bytes) -> None:
        with self._lock:
            link, run = self._link, self.run
        if link is not None:
            link.write(data)
        elif run is not None:
            control.order(run, data.decode("ascii").rstrip("\n"))
        else:
            raise BoardError("the board's port is not open")


def _mode(last: Sample, settings: Mapping[str, Any]) -> str:
    """The mode, and why in auto the fan stands still above its setpoint: the least time off."""
    on_c, least_s = _number(settings.get("on_c")), _number(settings.get("min_off_s"))
    if on_c is None or not least_s or last.temp_c is None:
        return last.mode
    if last.fan or last.mode != "auto" or last.temp_c < on_c:
        return last.mode
    return f"{last.mode}; off for {least_s:g} s at least"


def _number(value: object) -> float | None:
    """A finite number, or None: a board may send 1e999."""
    return float(value) if is_between(value, -1e9, 1e9) else None
