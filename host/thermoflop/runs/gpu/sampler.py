"""Read every GPU at a steady rate in a thread of its own and give the readings to a sink.

The thread keeps to its schedule by the monotonic clock: a reading that takes long makes the next
one late, not all that follow, and turns that were missed are counted. A GPU that is lost is said so
once, the others go on, and every few seconds it is asked whether it is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Self

from thermoflop.pico.track import HostEvent
from thermoflop.pico.wire import printable
from thermoflop.runs.gpu.nvml import Gpu, GpuLost, Gpus
from thermoflop.runs.gpu.sample import GpuSample

RATE_HZ = 10.0  # as often as most drivers renew their power
MAX_RATE_HZ = 200.0  # faster than any driver renews its power
RETRY_S = 5.0  # a driver that resets a GPU is left alone for so long

GpuSink = Callable[[list[GpuSample | HostEvent]], None]


class GpuSampler:
    """The telemetry of all GPUs while it runs; a context manager."""

    def __init__(self, gpus: Gpus, sink: GpuSink, rate_hz: float = RATE_HZ) -> None:
        """Read once at once, so that the first fields and facts are known."""
        self.rate_hz = min(MAX_RATE_HZ, max(0.1, rate_hz))
        self.samples = 0
        self.missed = 0
        self.lost = 0
        self.latest: dict[int, GpuSample] = {}
        self._gpus = gpus
        self._sink = sink
        self._there: dict[int, Gpu] = {gpu.index: gpu for gpu in gpus.gpus}
        self._gone: dict[int, float] = {}  # GPU -> when to ask again
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="thermoflop-gpu", daemon=True)
        self._turn()
        self.facts = gpus.facts()

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and shut the library down."""
        self._stop.set()
        self._thread.join(timeout=5.0)
        if not self._thread.is_alive():  # a driver that hangs keeps its thread; let it
            self._gpus.close()

    def to_json(self) -> dict[str, Any]:
        """The counters of this source, for run.json."""
        return {
            "rate_hz": self.rate_hz,
            "samples": self.samples,
            "missed_turns": self.missed,
            "lost": self.lost,
        }

    def _run(self) -> None:
        every_s = 1.0 / self.rate_hz
        due_s = time.monotonic() + every_s
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            self._turn()
            due_s += every_s
            late = int((time.monotonic() - due_s) / every_s)
            if late > 0:
                self.missed += late
                due_s += late * every_s

    def _turn(self) -> None:
        items: list[GpuSample | HostEvent] = []
        for index, gpu in list(self._there.items()):
            try:
                sample = gpu.read()
            except GpuLost as error:
                items.append(self._lose(index, str(error)))
                continue
            self.latest[index] = sample
            self.samples += 1
            items.append(sample)
        items += self._ask_again()
        if items:
            self._sink(items)

    def _lose(self, index: int, why: str) -> HostEvent:
        del self._there[index]
        self.latest.pop(index, None)
        self._gone[index] = time.monotonic() + RETRY_S
        self.lost += 1
        return _event("gpu_lost", {"gpu": index, "why": printable(why)})

    def _ask_again(self) -> list[GpuSample | HostEvent]:
        items: list[GpuSample | HostEvent] = []
        for index, at_s in list(self._gone.items()):
            if time.monotonic() < at_s:
                continue
            try:
                self._there[index] = self._gpus.reopen(index)
            except GpuLost:
                self._gone[index] = time.monotonic() + RETRY_S
                continue
            del self._gone[index]
            items.append(_event("gpu_back", {"gpu": index}))
        return items


def _event(ev: str, detail: dict[str, Any]) -> HostEvent:
    return HostEvent(time.monotonic(), time.time(), ev, detail)
