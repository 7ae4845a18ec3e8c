"""Read every GPU at a steady rate, and give the readings to a sink.

A driver may take its time, fail or never return, so nothing here is called by who records: NVML is
loaded and started in a thread, and GPUs are asked in others: for a run each in its own. Whoever
waits, waits for a set time; what comes later joins in. A GPU that is lost or does not answer is
said so once, the others go on, and every few seconds it is asked whether it is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from thermoflop.base.threads import start_thread
from thermoflop.pico.track import HostEvent
from thermoflop.pico.wire import printable
from thermoflop.runs.gpu.details import DetailsSink, DetailsWatch
from thermoflop.runs.gpu.nvml import Gpu, Gpus, reason
from thermoflop.runs.gpu.rounds import Round
from thermoflop.runs.gpu.sample import GpuSample

RATE_HZ = 10.0  # as often as most drivers renew their power
MAX_RATE_HZ = 200.0  # faster than any driver renews its power
RETRY_S = 5.0  # a driver that resets a GPU is left alone for so long
OPEN_S = 1.0  # a command waits so long for NVML: it is to start within 2 s
HANG_S = 2.0  # as long as readings may lie apart before energy has a gap
CLOSE_S = 1.0  # for threads to end, all together
_LOOK_S = 0.2
_PROCESSES_S = 1.0

GpuSink = Callable[[list[GpuSample | HostEvent]], None]


@dataclass(eq=False)
class Watch:
    """One GPU being read: a thread calls ``turn``, another one ``look``.

    The GPU is opened at the first turn; of a run its processes are noted.
    """

    gpus: Gpus
    index: int
    sink: GpuSink
    clock: Callable[[], float] = time.monotonic
    is_run: bool = True
    why_lost: str | None = None  # None while it answers
    samples: int = 0
    missed: int = 0
    lost: int = 0
    latest: GpuSample | None = None
    asked: threading.Event = field(default_factory=threading.Event)  # it answered or failed once
    _gpu: Gpu | None = None
    _again_s: float = 0.0
    _processes_s: float | None = None  # when to ask again who computes

    def __post_init__(self) -> None:
        """An answer is awaited from now on."""
        self.facts: dict[str, Any] = {"index": self.index}
        self._asked_s: float | None = self.clock()  # None while no answer is awaited

    def turn(self) -> None:
        """Read it; where it was lost, ask whether it is back, but not too often."""
        if self.why_lost is not None and self.clock() < self._again_s:
            return
        self._asked_s = self.clock()
        try:
            gpu = self._gpu or self.gpus.open(self.index)
            sample = gpu.read()
            if self._gpu is None:
                self.facts |= gpu.facts()
            if self.is_run:
                self._note_processes(gpu)
            self.facts |= {"missing": dict(gpu.missing), "faults": dict(gpu.faults)}
        except Exception as error:
            self._asked_s = self._gpu = None
            self._lose(reason(error), self.clock() + RETRY_S)
        else:
            self._asked_s = None
            self._gpu = gpu
            self._take(sample)
        self.asked.set()

    def look(self) -> None:
        """Lose it when it has not answered for too long; its thread waits on, and may come back."""
        asked_s = self._asked_s
        if asked_s is not None and self.clock() - asked_s > HANG_S:
            self._lose(f"no answer for {HANG_S:g} s", 0.0)
            self.asked.set()

    def _note_processes(self, gpu: Gpu) -> None:
        """Who computes on it: the first answer is the start's, the last one the end's."""
        known = self.facts.get("processes", {"start": None})
        if (self._processes_s is None or self.clock() >= self._processes_s) and known is not None:
            now = gpu.processes()
            self._processes_s = self.clock() + _PROCESSES_S
            start = known["start"] if "end" in known else now
            self.facts["processes"] = None if now is None else {"start": start, "end": now}

    def _take(self, sample: GpuSample) -> None:
        if self.why_lost is not None:
            self.why_lost = None
            self.sink([HostEvent.at(time.monotonic(), "gpu_back", {"gpu": self.index})])
            return  # a reading that took so long is of no moment
        self.latest = sample
        self.samples += 1
        self.sink([sample])

    def _lose(self, why: str, again_s: float) -> None:
        self._again_s = again_s
        if self.why_lost is not None:
            return
        self.why_lost, self.latest = why, None
        self.lost += 1
        self.facts["lost"] = why
        detail = {"gpu": self.index, "why": printable(why)}
        self.sink([HostEvent.at(time.monotonic(), "gpu_lost", detail)])


class GpuSampler:
    """The telemetry of all GPUs while it runs; a context manager."""

    def __init__(
        self,
        library: Any,
        sink: GpuSink,
        rate_hz: float = RATE_HZ,
        details: DetailsSink | None = None,
    ) -> None:
        """``library`` stands in for pynvml, which None is; nothing is called yet.

        With ``details`` each GPU is asked for those, too, in a thread besides; its processes are
        among them, and are then no fact of a run; and GPUs that answer at once share a thread.
        """
        self.rate_hz = min(MAX_RATE_HZ, max(0.1, rate_hz))
        self._library = library
        self._sink = sink
        self._details = details
        self._stop = threading.Event()
        self._open = threading.Event()  # each GPU was asked, or there is none
        self._gpus: Gpus | None = None
        self._versions: dict[str, Any] = {}
        self._why: str | None = None
        self._watches: list[Watch] = []
        self._threads: list[threading.Thread] = []
        self._started_s = time.monotonic()

    def __enter__(self) -> Self:
        """Start it, and wait a little for the first readings."""
        self._started_s = time.monotonic()
        self._start("nvml", self._run)
        self._open.wait(OPEN_S)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and shut the library down; a driver that hangs keeps its thread."""
        self._stop.set()
        until_s = time.monotonic() + CLOSE_S
        for thread in list(self._threads):
            thread.join(max(0.0, until_s - time.monotonic()))
        if self._gpus is not None and not any(thread.is_alive() for thread in self._threads):
            self._start("nvml-close", self._gpus.close).join(CLOSE_S)

    @property
    def absent(self) -> str | None:
        """Why there is nothing to read, or None."""
        if self._why is None and not self._watches:
            waited_s = time.monotonic() - self._started_s
            return f"NVML has not answered for {waited_s:.1f} s"
        return self._why

    @property
    def is_waiting(self) -> bool:
        """Whether NVML has not answered yet; it may still."""
        return self._why is None and not self._watches

    @property
    def latest(self) -> dict[int, GpuSample]:
        """The newest reading of each GPU that answers."""
        return {w.index: w.latest for w in self._watches if w.latest is not None}

    @property
    def facts(self) -> dict[str, Any]:
        """Driver and devices as far as they are known by now, for run.json."""
        return {"devices": [dict(watch.facts) for watch in self._watches], **self._versions}

    def to_json(self) -> dict[str, Any]:
        """What is known of this source, for run.json."""
        return {
            **self.facts,
            "rate_hz": self.rate_hz,
            "samples": sum(watch.samples for watch in self._watches),
            "missed_turns": sum(watch.missed for watch in self._watches),
            "lost": sum(watch.lost for watch in self._watches),
        }

    def notices(self) -> list[str]:
        """What went wrong, in sentences: each GPU that was lost, each field that failed."""
        texts = []
        for watch in list(self._watches):
            name = f"GPU {watch.index}"
            if watch.lost:
                texts.append(f"{name} was lost during the run: {printable(watch.facts['lost'])}")
            for what, fault in dict(watch.facts.get("faults", {})).items():
                often = f"{fault['times']} time{'s' if fault['times'] > 1 else ''}"
                texts.append(f"{name} gave no {what} {often}: {printable(fault['why'])}")
        return texts

    def _start(self, name: str, run: Callable[[], None]) -> threading.Thread:
        self._threads.append(thread := start_thread(name, run))
        return thread

    def _run(self) -> None:
        """Start NVML and the threads that read its GPUs, then look whether they answer."""
        try:
            self._gpus = gpus = Gpus(self._library)
            self._versions = gpus.facts()
        except Exception as error:
            self._why = reason(error)
            self._open.set()
            return
        is_run = self._details is None
        self._watches = [Watch(gpus, i, self._sink, is_run=is_run) for i in range(gpus.count)]
        apart = [[watch] for watch in self._watches] if is_run else [self._watches]
        rounds = [self._begin(Round(watches, 1.0 / self.rate_hz)) for watches in apart]
        details = [DetailsWatch(gpus, i, self._details) for i in range(gpus.count) if self._details]
        self._threads += [each.start(self._stop) for each in details]
        while not self._stop.wait(_LOOK_S if self._open.is_set() else 0.01):
            for watch in self._watches:
                watch.look()
            rounds += [self._begin(rest) for each in list(rounds) if (rest := each.rest())]
            if not is_run:  # a run's energy hangs on each
                rounds = [rounds[0], *(each for each in rounds[1:] if not rounds[0].join(each))]
            self._threads += filter(None, [each.look(self._stop) for each in details])
            if all(watch.asked.is_set() for watch in self._watches):
                self._open.set()

    def _begin(self, each: Round) -> Round:
        """Give some GPUs a thread that reads them."""
        self._start("gpus", partial(each.run, self._stop))
        return each
