"""The two sources of a wrapped run, board and GPU: each is there, or absent for a stated reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from thermoflop.errors import BoardError, UsageError
from thermoflop.pico.link import FIRST_LINE_S, Link
from thermoflop.pico.ports import choose
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Hello, Sample, Settings
from thermoflop.runs.folder.records import Record
from thermoflop.runs.gpu.nvml import Gpus, NoGpu
from thermoflop.runs.gpu.sampler import GpuSampler
from thermoflop.runs.record.log import ItemQueue, first_lines
from thermoflop.runs.summary import Summarizer

NOT_ASKED = "not asked for"
GPU_SPECS = ("auto", "none", "sim")
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

    def learn(self, item: Record) -> None:
        """Take note of an item that was written to the run."""
        if not isinstance(item, BoardLine):
            return
        self.lines_written += 1
        message = item.message
        if isinstance(message, Sample):
            self._summarizer.add(message)
            self._last_c = (item.mono_s, message.temp_c)
        elif isinstance(message, Hello):
            self._hello = asdict(message)
        elif isinstance(message, Settings):
            self._settings.update(message.values)

    def temp_c(self) -> float | None:
        """The board's temperature now, or None when there is no fresh valid reading."""
        at_s, temp_c = self._last_c
        return temp_c if time.monotonic() - at_s <= _FRESH_S else None

    def to_json(self) -> dict[str, Any]:
        """The entries of run.json that a plain log of a board has, too."""
        tracker = self.link.tracker
        fits = [*tracker.fits, tracker.clock_fit()]
        on_c, off_c = self._settings.get("on_c"), self._settings.get("off_c")
        return {
            "port": asdict(self.link.target),
            "board": {"hello": self._hello, "settings": self._settings},
            "counters": tracker.counters.to_json(),
            "clocks": [fit.to_json() for fit in fits if fit is not None],
            "lines_written": self.lines_written,
            "summary": self._summarizer.summary(on_c, off_c).to_json(),
        }


def open_board(
    port: str | None, queue: ItemQueue, stop: threading.Event, first_line_s: float = FIRST_LINE_S
) -> tuple[BoardSource | None, str | None, list[Record]]:
    """The board, why there is none, and what it said so far.

    With a port that was named, a failure is the user's to mend: BoardError. Without one, a machine
    that has no board is recorded as such.
    """
    if port == "none":
        return None, NOT_ASKED, []
    try:
        link = Link(choose(port), queue)
        link.start()
    except BoardError as error:
        if port is not None:
            raise
        return None, str(error), []
    try:
        waiting = first_lines(link, queue, stop, first_line_s)
    except BoardError as error:
        link.stop()
        if port is not None:
            raise
        return None, str(error), []
    return BoardSource(link), None, waiting


def open_gpus(
    spec: str, queue: ItemQueue, rate_hz: float, library: Any = None
) -> tuple[GpuSampler | None, str | None]:
    """The telemetry of this machine's GPUs, or why there is none; not yet started."""
    if spec not in GPU_SPECS:
        raise UsageError(f"--gpu {spec!r} is none of {', '.join(GPU_SPECS)}")
    if spec == "none":
        return None, NOT_ASKED
    if spec == "sim" and library is None:
        library = simulated_library()
    try:
        return GpuSampler(Gpus(library), queue, rate_hz), None
    except NoGpu as error:
        return None, str(error)


def simulated_library(load: Callable[[float], float] | None = None) -> Any:
    """One simulated GPU that is as busy as ``load`` says, 0 to 1; else as this machine is.

    It is made so that it stays below its power limit: nothing that it slowed down would be slower.
    """
    from thermoflop.pico.simulated.heat import MachineLoad
    from thermoflop.runs.gpu.simulated import Body, SimulatedNvml

    by = "this machine's load" if load is None else "the benchmark"
    body = Body(name=f"Simulated GPU (warmed by {by})", tau_s=6.0, k_per_w=0.2, full_w=290.0)
    return SimulatedNvml([body], load or MachineLoad(full_w=1.0).watts)
