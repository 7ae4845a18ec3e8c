"""Record a board alone: a recording without a command, until time, stop or failure.

Every line is acknowledged once it is in ``samples.jsonl``, and the run is complete at every moment:
a ``run.json`` without an ``ended`` is one whose recorder was killed. Other than under a command,
trouble with the disk ends the run: there is nothing else to save.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thermoflop.errors import StorageError, ThermoflopError
from thermoflop.pico.link import FIRST_LINE_S, Link
from thermoflop.pico.track import BoardLine, Counters, HostEvent
from thermoflop.runs import facts
from thermoflop.runs.folder.records import Record
from thermoflop.runs.folder.store import RunStore, safe_name
from thermoflop.runs.record.boards import WAIT_S, BoardSource, connect
from thermoflop.runs.record.clocks import ClockWatch
from thermoflop.runs.record.queue import ItemQueue
from thermoflop.runs.record.sources import is_urgent
from thermoflop.runs.summary import Summary


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
    clocks: Sequence[dict[str, object]]
    lines_written: int


def record(
    port: str | None,
    out: Path,
    *,
    name: str = "log",
    duration_s: float | None = None,
    on_line: Callable[[BoardLine], None] = lambda _: None,
    on_progress: Callable[[float, Link], None] = lambda *_: None,
    stop: threading.Event | None = None,
    command: Sequence[str] | None = None,
    first_line_s: float = FIRST_LINE_S,
) -> RunResult:
    """Record the board at ``port`` into a new folder under ``out`` until time, stop or failure.

    ``on_line`` is called with each good line after it is in the file: it is the acknowledgement.
    ``on_progress`` is called about once a second, with the seconds so far and the link. BoardError
    when the port does not lead to a board, StorageError when the folder cannot be written; what was
    acknowledged stays.
    """
    safe_name(name)  # a name that cannot be used is refused before the port is opened
    queue, stop = ItemQueue(), stop or threading.Event()
    board = connect(port, queue, stop, first_line_s)
    try:
        head = {
            "name": name,
            "command": list(command or facts.command_line()),
            "git": facts.git_revision(),
            "host": facts.host_facts(),
        }
        log = _Log(board, queue, RunStore(out, name), head, on_line, on_progress)
        return log.run(duration_s, stop)
    finally:
        board.link.stop()


@dataclass(slots=True)
class _Log:
    """The state of one run while it is made."""

    board: BoardSource
    queue: ItemQueue
    store: RunStore
    head: dict[str, Any]
    on_line: Callable[[BoardLine], None]
    on_progress: Callable[[float, Link], None]
    start: dict[str, Any] = field(default_factory=facts.now)
    clocks: ClockWatch = field(default_factory=ClockWatch)
    progress_s: float = 0.0
    drops_noted: int = 0
    is_news: bool = False
    told_s: float = 0.0

    def run(self, duration_s: float | None, stop: threading.Event) -> RunResult:
        """Go on to the end; the last lines before it are written, too."""
        self._write_run(None)
        try:
            end, why = self._loop(duration_s, stop)
            self.board.link.stop()  # before the last items are taken: none may come after them
            self._write_items(self.queue.take(0.0))
        except BaseException as error:
            self._end("failed", _why_failed(error), quiet=True)
            raise
        return self._end(end, why)

    def _loop(self, duration_s: float | None, stop: threading.Event) -> tuple[str, str | None]:
        start_s, link = time.monotonic(), self.board.link
        items = self.queue.take(0.0)
        while True:
            self._write_items(items)
            elapsed_s = time.monotonic() - start_s
            self._report(elapsed_s)
            if stop.is_set():
                return "stopped", None
            if duration_s is not None and elapsed_s >= duration_s:
                return "time", None
            if link.gone and not items:
                return "gone", link.gone
            items = self.queue.take(WAIT_S)
            if (step := self.clocks.look()) is not None:
                items.append(HostEvent.at(time.monotonic(), "clock_step", step))

    def _write_items(self, items: Sequence[Record]) -> None:
        for item in items:
            self.store.write(item)
            self.is_news |= self.board.learn(item)
            if isinstance(item, BoardLine):
                self.on_line(item)
        dropped = self.queue.dropped
        if dropped > self.drops_noted:
            self.drops_noted = self.board.link.tracker.counters.host_drops = dropped
            detail = {"total": dropped, "why": "the disk was slower than the board for too long"}
            items = [*items, HostEvent(time.monotonic(), time.time(), "host_drops", detail)]
            self.store.write(items[-1])
        self.store.sync(now=any(map(is_urgent, items)))
        # at most once a second: a board that says new settings in every line must not hold us up
        if self.is_news and time.monotonic() - self.told_s >= 1.0:
            self.is_news, self.told_s = False, time.monotonic()
            self._write_run(None)

    def _report(self, elapsed_s: float) -> None:
        if time.monotonic() - self.progress_s < 1.0:
            return
        self.progress_s = time.monotonic()
        self.on_progress(elapsed_s, self.board.link)

    def _write_run(self, ended: dict[str, Any] | None) -> None:
        board = self.board.to_json()
        times = {"port": board["port"], "started": self.start, "ended": ended}
        self.store.write_run({**self.head, **times, **board})

    def _end(self, end: str, why: str | None, quiet: bool = False) -> RunResult:
        """Close the run; ``quiet`` when another error is already on its way to the user."""
        ended = facts.ended(self.start, end, why)
        try:
            try:
                self.store.close()
            finally:
                self._write_run(ended)
        except StorageError:
            if not quiet:
                raise
        board = self.board
        return RunResult(
            folder=self.store.folder,
            end=end,
            why=why,
            duration_s=ended["duration_s"],
            counters=board.link.tracker.counters,
            summary=board.summary(),
            clocks=board.clocks(),
            lines_written=board.lines_written,
        )


def _why_failed(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) if isinstance(error, ThermoflopError) else type(error).__name__
