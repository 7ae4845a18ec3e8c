"""The two sources of a wrapped run, board and GPU: each is present, or absent with a reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from thermoflop.errors import BoardError, UsageError
from thermoflop.pico.link import FIRST_LINE_S, Link
from thermoflop.pico.ports import choose
from thermoflop.pico.settings import merge_settings
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Event, Hello, Sample, Settings, printable
from thermoflop.runs.folder.records import Record
from thermoflop.runs.gpu.own import asked_gpus
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.sampler import GpuSampler
from thermoflop.runs.record.queue import ItemQueue
from thermoflop.runs.summary import Summarizer, Summary

NOT_ASKED = "not asked for"
GPU_SPECS = ("auto", "none", "sim")
WAIT_S = 0.1  # for items, at most: a stop is noticed this late
_FRESH_S = 5.0  # a board's reading older than this says nothing about now


class BoardSource:
    """A board being read, and what is known of it for run.json."""

    def __init__(self, link: Link) -> None:
        """``link`` has been started."""
        self.link = link
        self._summarizer = Summarizer()
        self._hello: dict[str, Any] | None = None
        self._settings: dict[str, Any] = {}
        self._last_c: tuple[float, float | None] = (0.0, None)
        self.lines_written = 0

    def learn(self, item: Record) -> bool:
        """Take note of an item that was written; whether the board is new or is set anew."""
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
        levels = (self._settings.get(key) for key in ("on_c", "off_c"))
        return self._summarizer.summary(
            *(float(level) if isinstance(level, int | float) else None for level in levels)
        )

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


def is_urgent(item: Record) -> bool:
    """Whether it is brought to the disk at once: all but readings and what a board repeats."""
    if isinstance(item, BoardLine):
        return isinstance(item.message, Event)
    return not isinstance(item, GpuSample)


def connect(
    port: str | None,
    queue: ItemQueue,
    stop: threading.Event,
    first_line_s: float = FIRST_LINE_S,
) -> tuple[BoardSource, list[Record]]:
    """The board at ``port``, read into ``queue``, and what came up to its first good line.

    BoardError when there is none within ``first_line_s`` seconds, or ``stop`` was set before: a
    wrong port leaves no run folder behind.
    """
    link = Link(choose(port), queue)
    link.start()
    items: list[Record] = []
    deadline_s = time.monotonic() + first_line_s
    try:
        while time.monotonic() < deadline_s and not stop.is_set():
            items += queue.take(WAIT_S)
            if any(isinstance(item, BoardLine) for item in items):
                return BoardSource(link), items
            if link.gone:
                break
        if stop.is_set():
            raise BoardError(f"stopped before a line came from {printable(link.target.url)}")
        raise BoardError(link.silence(first_line_s))
    except BaseException:
        link.stop()
        raise


def open_board(
    port: str | None, queue: ItemQueue
) -> tuple[BoardSource | None, str | None, list[Record]]:
    """The board, or why there is none, and the items that it sent so far.

    With a port that was named, a failure is the user's to mend: BoardError. Without one, a machine
    that has no board is recorded as such.
    """
    if port == "none":
        return None, NOT_ASKED, []
    try:
        board, items = connect(port, queue, threading.Event())
    except BoardError as error:
        if port is not None:
            raise
        return None, str(error), []
    return board, None, items


def open_gpus(
    spec: str, queue: ItemQueue, rate_hz: float, library: Any = None
) -> tuple[GpuSampler | None, str | None]:
    """The telemetry of this machine's GPUs, started, or why there is none.

    Where NVML has not answered yet, it is given nevertheless: GPUs join when they do.
    """
    asked = asked_gpus(spec)
    if spec not in GPU_SPECS and asked is None:
        known = ", ".join(GPU_SPECS)
        raise UsageError(f"--gpu {spec!r} is none of {known}, and no list of GPUs such as 0,3")
    if spec == "none":
        return None, NOT_ASKED
    if spec == "sim" and library is None:
        library = simulated_library()
    sampler = GpuSampler(library, queue, rate_hz).__enter__()
    there = {device["index"] for device in sampler.facts["devices"]}
    not_there = set(asked or ()) - there if there else None
    if not_there or (sampler.absent is not None and not sampler.is_waiting):
        sampler.__exit__()
    if not_there:
        raise UsageError(f"--gpu {spec}: there is no GPU {min(not_there)}, NVML names {len(there)}")
    is_coming = sampler.absent is None or sampler.is_waiting
    return (sampler, None) if is_coming else (None, sampler.absent)


def simulated_library(load: Callable[[float], float] | None = None) -> Any:
    """One simulated GPU that is as busy as ``load`` says, 0 to 1; else as this machine is.

    It is made so that it stays below its power limit: nothing that it slowed down would be slower.
    """
    from thermoflop.pico.simulated.heat import MachineLoad
    from thermoflop.runs.gpu.simulated import Body, SimulatedNvml

    by = "this machine's load" if load is None else "the benchmark"
    body = Body(name=f"Simulated GPU (warmed by {by})", tau_s=6.0, k_per_w=0.2, full_w=290.0)
    return SimulatedNvml([body], load or MachineLoad(full_w=1.0).watts)
