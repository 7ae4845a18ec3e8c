"""The boards of a run: none, the only one there is, or each that was named.

The first one's lines stand in samples.jsonl as those of a single board do; a further one's carry
its number, and ``boards`` in run.json names them all. A reader that knows of one board finds one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Self

from thermoflop.base.plain import finite
from thermoflop.errors import BoardError, UsageError
from thermoflop.pico.link import FIRST_LINE_S, Link
from thermoflop.pico.ports import Target, choose
from thermoflop.pico.settings import merge_settings
from thermoflop.pico.track import BoardLine, HostEvent, Item
from thermoflop.pico.wire import Hello, Sample, Settings, printable
from thermoflop.runs.folder.records import FurtherLine, Record
from thermoflop.runs.record.queue import ItemQueue
from thermoflop.runs.record.sources import NOT_ASKED
from thermoflop.runs.summary import Summarizer, Summary

WAIT_S = 0.1  # for items, at most: a stop is noticed this late
_FRESH_S = 5.0  # a board's reading older than this says nothing about now


class BoardSource:
    """A board being read, and what is known of it for run.json."""

    def __init__(self, target: Target, queue: ItemQueue) -> None:
        """Open its port; BoardError. What comes is held back until ``join``."""
        self.number = 0
        self.lines_written = 0
        self._queue = queue
        self._held: list[Item] | None = []
        self._lock = threading.Lock()
        self._heard = threading.Event()
        self._summarizer = Summarizer()
        self._hello: dict[str, Any] | None = None
        self._settings: dict[str, Any] = {}
        self._last_c: tuple[float, float | None] = (0.0, None)
        self.link = Link(target, self._sink)
        self.link.start()

    @property
    def name(self) -> str:
        """By its serial number, or else its port."""
        target = self.link.target
        return f"board {printable(target.serial_number or target.url)}"

    def wait(self, until_s: float, stop: threading.Event, first_line_s: float) -> None:
        """Wait for its first good line; BoardError when there is none, or ``stop`` was set."""
        link = self.link
        while time.monotonic() < until_s and not stop.is_set() and not link.gone:
            if self._heard.wait(WAIT_S):
                return
        if self._heard.is_set():
            return
        if stop.is_set():
            raise BoardError(f"stopped before a line came from {printable(link.target.url)}")
        raise BoardError(link.silence(first_line_s))

    def join(self, number: int = 0) -> Self:
        """Be the run's board of this number: give what was held back, and what comes."""
        with self._lock:
            self.number = number
            held, self._held = self._held or [], None
            self._give(held)
        return self

    def _sink(self, items: list[Item]) -> None:
        with self._lock:
            if self._held is None:
                self._give(items)
                return
            self._held += items
        if any(isinstance(item, BoardLine) for item in items):
            self._heard.set()

    def _give(self, items: Sequence[Item]) -> None:
        self._queue([self._numbered(item) for item in items] if self.number else items)

    def _numbered(self, item: Item) -> Record:
        if isinstance(item, HostEvent):
            detail = {"board": self.number, **item.detail}
            return HostEvent(item.mono_s, item.wall_s, item.ev, detail)
        return FurtherLine(self.number, item)

    def learn(self, item: Record) -> bool:
        """Take note of an item that was written; whether the board is new or is set anew."""
        if isinstance(item, FurtherLine):
            item = item.line
        if not isinstance(item, BoardLine):
            return False
        self.lines_written += 1
        match item.message:
            case Sample() as sample:
                self._summarizer.add(sample)
                self._last_c = (item.mono_s, sample.temp_c)
            case Hello() as hello:
                is_other = self._hello is None or self._hello["boot"] != hello.boot
                self._hello = asdict(hello)
                return is_other
            case Settings() as settings:
                before = dict(self._settings)
                merge_settings(self._settings, settings.values)
                return self._settings != before and settings.part == settings.parts
        return False

    def temp_c(self) -> float | None:
        """The board's temperature now, or None when there is no fresh valid reading."""
        at_s, temp_c = self._last_c
        return temp_c if time.monotonic() - at_s <= _FRESH_S else None

    def clocks(self) -> list[dict[str, object]]:
        """The fits of the board's clock so far, one a boot."""
        tracker = self.link.tracker
        fits = [*tracker.fits, tracker.clock_fit()]
        return [fit.to_json() for fit in fits if fit is not None]

    def summary(self) -> Summary:
        """The figures of its samples so far."""
        on_c, off_c = (finite(self._settings.get(key)) for key in ("on_c", "off_c"))
        return self._summarizer.summary(on_c, off_c)

    def to_json(self) -> dict[str, Any]:
        """The entries of run.json that every run with a board has."""
        return {
            "port": asdict(self.link.target),
            "board": {"hello": self._hello, "settings": self._settings},
            "counters": self.link.tracker.counters.to_json(),
            "clocks": self.clocks(),
            "lines_written": self.lines_written,
            "summary": self.summary().to_json(),
        }


def connect(
    port: str | None,
    queue: ItemQueue,
    stop: threading.Event,
    first_line_s: float = FIRST_LINE_S,
) -> BoardSource:
    """The board at ``port``, read into ``queue`` from its first good line on.

    BoardError when there is none within ``first_line_s`` seconds, or ``stop`` was set before: a
    wrong port leaves no run folder behind.
    """
    board = BoardSource(choose(port), queue)
    try:
        board.wait(time.monotonic() + first_line_s, stop, first_line_s)
    except BaseException:
        board.link.stop()
        raise
    return board.join()


class Boards:
    """The boards of one recorded command, in the order in which they were named."""

    def __init__(self, ports: Sequence[str], queue: ItemQueue) -> None:
        """Open them, all at once; without a port the only board there is.

        A machine without a board is recorded as such, and so is one of several boards that fails;
        where each that was named fails, that is the user's to mend: BoardError.
        """
        self.all: list[BoardSource] = []
        self.absent: dict[str, str] = {}
        if "none" in ports:
            if len(ports) > 1:
                raise UsageError("--port none stands alone: it means no board")
            self.absent = {"board": NOT_ASKED}
        elif ports:
            self._open(ports, queue)
        else:
            try:
                self.all = [connect(None, queue, threading.Event())]
            except BoardError as error:
                self.absent = {"board": str(error)}

    def _open(self, ports: Sequence[str], queue: ItemQueue) -> None:
        opened: list[BoardSource] = []
        failed: list[BoardError] = []
        until_s = time.monotonic() + FIRST_LINE_S
        try:
            for port in ports:
                with self._noting(port, failed):
                    opened.append(BoardSource(choose(port), queue))
            for board in list(opened):
                with self._noting(board.link.target.url, failed):
                    board.wait(until_s, threading.Event(), FIRST_LINE_S)
                    self.all.append(board)
            if not self.all:
                raise failed[0]
        finally:
            for board in opened:
                if board not in self.all:
                    board.link.stop()
        for number, board in enumerate(self.all):
            board.join(number)

    @contextlib.contextmanager
    def _noting(self, port: str, failed: list[BoardError]) -> Iterator[None]:
        try:
            yield
        except BoardError as error:
            failed.append(error)
            self.absent[f"board at {printable(port)}"] = str(error)

    @property
    def first(self) -> BoardSource | None:
        """The board where there is one; of several that whose lines every reader finds."""
        return self.all[0] if self.all else None

    @property
    def names(self) -> list[str]:
        """As they are told apart; one alone is the board."""
        if len(self.all) < 2:
            return ["board"] * len(self.all)
        names = [board.name for board in self.all]
        return [n if names.count(n) == 1 else f"{n} ({i})" for i, n in enumerate(names, 1)]

    def stop(self) -> None:
        """Close all ports."""
        for board in self.all:
            board.link.stop()

    def learn(self, item: Record) -> None:
        """Take note of an item that was written."""
        number = item.number if isinstance(item, FurtherLine) else 0
        if number < len(self.all):
            self.all[number].learn(item)

    def temp_c(self) -> float | None:
        """That of the hottest board that says one."""
        temps = (board.temp_c() for board in self.all)
        return max((temp_c for temp_c in temps if temp_c is not None), default=None)

    def notices(self) -> list[str]:
        """What went wrong, in sentences."""
        pairs = zip(self.names, self.all, strict=True)
        return [
            f"the {name}'s port went away for good: {board.link.gone}"
            for name, board in pairs
            if board.link.gone
        ]

    def to_json(self) -> dict[str, Any]:
        """The entries of run.json: those of the first one, and of several a list of all."""
        each = [board.to_json() for board in self.all]
        if len(each) < 2:
            return each[0] if each else {}
        pairs = zip(self.names, each, strict=True)
        return {**each[0], "boards": [{"name": name, **facts} for name, facts in pairs]}
