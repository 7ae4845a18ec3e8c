"""What a GPU says besides its readings, once a second: fan, PCIe, memory's users.

For PCIe traffic NVML counts bytes for 20 ms a direction (nvml.h, nvmlDeviceGetPcieThroughput), and
any of these calls may be missing from a driver, or never return. So they are asked in a thread of
their own: one that hangs is left behind with its thread, and another thread asks for the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from thermoflop.base.threads import start_thread
from thermoflop.runs.gpu.nvml import Gpus, as_number, as_text, never

EVERY_S = 1.0
HANG_S = 2.0
MAX_PROCESSES = 16  # the largest
_TX, _RX = 0, 1  # nvmlPcieUtilCounter_t
_KB = 1000.0


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process on a GPU; its name is as the driver gives it, empty where it does not."""

    pid: int
    name: str
    used_bytes: int | None


@dataclass(frozen=True, slots=True)
class GpuDetails:
    """None where the driver gives nothing. ``fan`` is a share; ``pcie_in`` what the GPU receives,
    in bytes a second; ``link`` and ``link_max`` are generation and width."""

    fan: float | None = None
    link: tuple[int, int] | None = None
    link_max: tuple[int, int] | None = None
    pcie_in: float | None = None
    pcie_out: float | None = None
    processes: tuple[GpuProcess, ...] | None = None


DetailsSink = Callable[[int, GpuDetails], None]


@dataclass
class DetailsWatch:
    """The details of one GPU. ``start`` it, and ``look`` now and then from another thread."""

    gpus: Gpus
    index: int
    sink: DetailsSink
    clock: Callable[[], float] = time.monotonic
    missing: dict[str, str] = field(default_factory=dict)  # what is not asked again, and why
    latest: GpuDetails = field(default_factory=GpuDetails)
    _round: int = 0  # of threads: one that was left behind sees that it is no more the newest
    _asking: tuple[str, float] | None = None

    def start(self, stop: threading.Event) -> threading.Thread:
        """Ask in a thread until ``stop`` is set."""
        return start_thread(f"gpu{self.index}-details", self._run, stop, self._round)

    def look(self, stop: threading.Event) -> threading.Thread | None:
        """Leave a call behind that does not return; the thread that asks for the rest."""
        asking = self._asking
        if asking is None or self.clock() - asking[1] <= HANG_S:
            return None
        self._round += 1
        self._asking = None
        self.missing[asking[0]] = f"no answer for {HANG_S:g} s"
        self.latest = replace(self.latest, **dict.fromkeys(FIELDS[asking[0]]))
        return self.start(stop)

    def _run(self, stop: threading.Event, number: int) -> None:
        while number == self._round:
            self.turn(number)
            if stop.wait(EVERY_S):
                return

    def turn(self, number: int = 0) -> None:
        """Ask for everything once."""
        for name, read in READERS.items():
            if name in self.missing:
                continue
            self._asking = (name, self.clock())
            values: dict[str, Any] = dict.fromkeys(FIELDS[name])
            try:
                values |= read(self.gpus.library, self.gpus.handle(self.index))
            except Exception as error:
                why = never(error, self.gpus.library)
                if why:
                    self.missing[name] = why
            if number != self._round:
                return  # it was left behind meanwhile
            self._asking = None
            self.latest = replace(self.latest, **values)
        self.sink(self.index, self.latest)


def _fan(nvml: Any, handle: Any) -> dict[str, Any]:
    return {"fan": as_number(nvml.nvmlDeviceGetFanSpeed(handle)) / 100}


def _link(nvml: Any, handle: Any) -> dict[str, Any]:
    names = ("CurrPcieLink", "MaxPcieLink")
    return {
        key: (
            int(as_number(getattr(nvml, f"nvmlDeviceGet{name}Generation")(handle), 1)),
            int(as_number(getattr(nvml, f"nvmlDeviceGet{name}Width")(handle), 1)),
        )
        for key, name in zip(FIELDS["link"], names, strict=True)
    }


def _traffic(nvml: Any, handle: Any) -> dict[str, Any]:
    return {
        key: _KB * as_number(nvml.nvmlDeviceGetPcieThroughput(handle, counter))
        for key, counter in zip(FIELDS["traffic"], (_RX, _TX), strict=True)
    }


def _processes(nvml: Any, handle: Any) -> dict[str, Any]:
    """Those that compute, and those that draw where the driver tells them."""
    listed = list(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    with suppress(Exception):
        listed += nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
    used = {int(each.pid): _used_bytes(each) for each in listed}
    largest = sorted(used.items(), key=lambda pair: (-(pair[1] or 0), pair[0]))[:MAX_PROCESSES]
    return {"processes": tuple(GpuProcess(pid, _name(nvml, pid), n) for pid, n in largest)}


def _used_bytes(process: Any) -> int | None:
    with suppress(ValueError):  # a driver that may not tell gives no number
        return int(as_number(process.usedGpuMemory))
    return None


def _name(nvml: Any, pid: int) -> str:
    with suppress(Exception):
        return as_text(lambda: nvml.nvmlSystemGetProcessName(pid))
    return ""


FIELDS = {
    "fan": ("fan",),
    "link": ("link", "link_max"),
    "traffic": ("pcie_in", "pcie_out"),
    "processes": ("processes",),
}
READERS = {"fan": _fan, "link": _link, "traffic": _traffic, "processes": _processes}
