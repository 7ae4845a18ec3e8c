"""Record a board: link on one side, run folder on the other, a queue that loses nothing between.

The link's thread only drains the port; the caller's thread writes. A slow disk makes the queue
grow, not the board wait; past ``MAX_QUEUED_BYTES`` (minutes of a stalled disk) items are dropped,
counted and said so in the run. A run is complete at every moment: a ``run.json`` without an
``ended`` is one whose recorder was killed, and every acknowledged line is in ``samples.jsonl`` all
the same.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thermoflop.errors import BoardError, StorageError, ThermoflopError
from thermoflop.pico.link import FIRST_LINE_S, Link
from thermoflop.pico.ports import choose
from thermoflop.pico.track import BoardLine, Counters, HostEvent
from thermoflop.pico.wire import Event, Hello, Sample, Settings, printable
from thermoflop.runs import facts
from thermoflop.runs.folder.records import Record
from thermoflop.runs.folder.store import RunStore, safe_name
from thermoflop.runs.summary import Summarizer, Summary

MAX_QUEUED_BYTES = 64 << 20
_WAIT_S = 0.1
_ITEM_OVERHEAD_BYTES = 200  # of Python's objects around a line; only to bound memory


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: where it is, how it ended, and its figures.

    ``end`` is "time" (``duration_s`` passed), "stopped" (somebody asked), "gone" (the port cannot
    come back) or "failed"; ``why`` says more for the last two.
    """

    folder: Path
    end: str
    why: str | None
    duration_s: float
    counters: Counters
    summary: Summary
    clocks: tuple[dict[str, object], ...]
    lines_written: int

    @property
    def clock_error_s(self) -> float | None:
        """The largest stated error of the clock fits of this run, in seconds."""
        errors = [e for clock in self.clocks if isinstance(e := clock["error_s"], float)]
        return max(errors, default=None)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a person wants to see while a run goes on."""

    elapsed_s: float
    counters: Counters
    last: Sample | None
    connected: bool
    folder: Path


class ItemQueue:
    """Keeps every item until it is taken, counts their bytes, and never makes the link wait."""

    def __init__(self, max_bytes: int = MAX_QUEUED_BYTES) -> None:
        """Past ``max_bytes`` new items are dropped and counted in ``dropped``."""
        self._items: deque[Sequence[Record]] = deque()
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._ready = threading.Condition()
        self.dropped = 0

    def __call__(self, items: Sequence[Record]) -> None:
        """Take items; the sink of a link."""
        n_bytes = sum(map(_cost_bytes, items))
        with self._ready:
            if self._n_bytes + n_bytes > self._max_bytes:
                self.dropped += len(items)
                return
            self._n_bytes += n_bytes
            self._items.append(items)
            self._ready.notify()

    def take(self, wait_s: float) -> list[Record]:
        """All items that are waiting, after at most ``wait_s`` seconds."""
        with self._ready:
            if not self._items:
                self._ready.wait(wait_s)
            items = [item for batch in self._items for item in batch]
            self._items.clear()
            self._n_bytes = 0
        return items


def record(
    port: str | None,
    out: Path,
    *,
    name: str = "log",
    duration_s: float | None = None,
    on_line: Callable[[BoardLine], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    command: Sequence[str] | None = None,
    first_line_s: float = FIRST_LINE_S,
) -> RunResult:
    """Record the board at ``port`` into a new folder under ``out`` until time, stop or failure.

    ``on_line`` is called with each good line after it is in the file: it is the acknowledgement.
    ``on_progress`` is called about once a second. BoardError when the port does not lead to a
    board, StorageError when the folder cannot be written; what was acknowledged stays.
    """
    safe_name(name)  # a name that cannot be used is refused before the port is opened
    target = choose(port)
    queue = ItemQueue()
    link = Link(target, queue)
    with link:
        waiting = first_lines(link, queue, stop, first_line_s)
        recording = _Recording(link, queue, out, name, list(command or facts.command_line()))
        recording.on_line, recording.on_progress = on_line, on_progress
        return recording.run(waiting, duration_s, stop or threading.Event())


def first_lines(
    link: Link, queue: ItemQueue, stop: threading.Event | None, first_line_s: float
) -> list[Record]:
    """Everything up to the first good line, so that a wrong port leaves no folder behind."""
    waiting: list[Record] = []
    deadline_s = time.monotonic() + first_line_s
    while time.monotonic() < deadline_s and not (stop and stop.is_set()):
        waiting += queue.take(_WAIT_S)
        if any(isinstance(item, BoardLine) for item in waiting):
            return waiting
        if link.gone:
            break
    if stop and stop.is_set():
        raise BoardError(f"stopped before a line came from {printable(link.target.url)}")
    raise BoardError(link.silence(first_line_s))


class _Recording:
    """The state of one run while it is made."""

    def __init__(
        self, link: Link, queue: ItemQueue, out: Path, name: str, command: list[str]
    ) -> None:
        self.on_line: Callable[[BoardLine], None] | None = None
        self.on_progress: Callable[[Progress], None] | None = None
        self._link = link
        self._queue = queue
        self._summarizer = Summarizer()
        self._board: dict[str, Any] = {"hello": None, "settings": {}}
        self._lines_written = 0
        self._host_drops_said = 0
        self._store = RunStore(out, name)
        self._start = facts.now()
        self._progress_s = 0.0
        self._head = {
            "name": name,
            "command": command,
            "git": facts.git_revision(),
            "host": facts.host_facts(),
            "port": asdict(link.target),
            "started": self._start,
        }
        self._write_run(None)

    def run(
        self, waiting: list[Record], duration_s: float | None, stop: threading.Event
    ) -> RunResult:
        try:
            end, why = self._loop(waiting, duration_s, stop)
        except BaseException as error:
            self._end("failed", _why_failed(error), quiet=True)
            raise
        self._link.stop()  # before the last items are taken: none may come after them
        try:
            self._write_items(self._queue.take(0.0))
        except StorageError as error:
            self._end("failed", str(error), quiet=True)
            raise
        return self._end(end, why)

    def _loop(
        self, items: list[Record], duration_s: float | None, stop: threading.Event
    ) -> tuple[str, str | None]:
        start_s = time.monotonic()
        while True:
            self._write_items(items)
            self._say_progress(start_s)
            if stop.is_set():
                return "stopped", None
            if duration_s is not None and time.monotonic() - start_s >= duration_s:
                return "time", None
            if self._link.gone and not items:
                return "gone", self._link.gone
            items = self._queue.take(_WAIT_S)

    def _write_items(self, items: list[Record]) -> None:
        sync_now = new_board = False
        for item in items:
            self._store.write(item)
            if not isinstance(item, BoardLine):
                sync_now = True
                continue
            self._lines_written += 1
            message = item.message
            if isinstance(message, Sample):
                self._summarizer.add(message)
            else:
                sync_now |= isinstance(message, Event)
                new_board |= self._learn(message)
            if self.on_line is not None:
                self.on_line(item)
        if self._queue.dropped > self._host_drops_said:
            self._say_host_drops()
            sync_now = True
        self._store.sync(now=sync_now)
        if new_board:
            self._write_run(None)

    def _learn(self, message: object) -> bool:
        """Keep who the board is and how it is set; whether that is news for run.json."""
        if isinstance(message, Hello):
            hello = asdict(message)
            known = self._board["hello"]
            self._board["hello"] = hello
            return known is None or known["boot"] != message.boot
        if isinstance(message, Settings):
            values = {**self._board["settings"], **message.values}
            changed = values != self._board["settings"]
            self._board["settings"] = values
            return changed and message.part == message.parts
        return False

    def _say_host_drops(self) -> None:
        dropped, self._host_drops_said = self._queue.dropped, self._queue.dropped
        self._link.tracker.counters.host_drops = dropped
        detail = {"total": dropped, "why": "the disk was slower than the board for too long"}
        self._store.write(HostEvent(time.monotonic(), time.time(), "host_drops", detail))

    def _say_progress(self, start_s: float) -> None:
        now_s = time.monotonic()
        if self.on_progress is None or now_s - self._progress_s < 1.0:
            return
        self._progress_s = now_s
        tracker = self._link.tracker
        self.on_progress(
            Progress(
                elapsed_s=now_s - start_s,
                counters=tracker.counters,
                last=tracker.last_sample,
                connected=self._link.connected,
                folder=self._store.folder,
            )
        )

    def _clocks(self) -> tuple[dict[str, object], ...]:
        tracker = self._link.tracker
        fits = [*tracker.fits, tracker.clock_fit()]
        return tuple(fit.to_json() for fit in fits if fit is not None)

    def _summary(self) -> Summary:
        settings = self._board["settings"]
        return self._summarizer.summary(_number(settings, "on_c"), _number(settings, "off_c"))

    def _write_run(self, ended: dict[str, Any] | None) -> None:
        self._store.write_run(
            {
                **self._head,
                "ended": ended,
                "board": self._board,
                "counters": self._link.tracker.counters.to_json(),
                "clocks": list(self._clocks()),
                "lines_written": self._lines_written,
                "summary": self._summary().to_json(),
            }
        )

    def _end(self, end: str, why: str | None, quiet: bool = False) -> RunResult:
        """Close the run; ``quiet`` when another error is already on its way to the user."""
        ended = {**facts.now(), "end": end, "why": why}
        duration_s = float(ended["mono_s"]) - float(self._start["mono_s"])
        try:
            try:
                self._store.close()
            finally:
                self._write_run({**ended, "duration_s": round(duration_s, 6)})
        except StorageError:
            if not quiet:
                raise
        return RunResult(
            folder=self._store.folder,
            end=end,
            why=why,
            duration_s=duration_s,
            counters=self._link.tracker.counters,
            summary=self._summary(),
            clocks=self._clocks(),
            lines_written=self._lines_written,
        )


def _number(settings: dict[str, Any], key: str) -> float | None:
    value = settings.get(key)
    return float(value) if isinstance(value, int | float) else None


def _why_failed(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) if isinstance(error, ThermoflopError) else type(error).__name__


def _cost_bytes(item: Record) -> int:
    size = len(item.line) if isinstance(item, BoardLine) else 100
    return size + _ITEM_OVERHEAD_BYTES
