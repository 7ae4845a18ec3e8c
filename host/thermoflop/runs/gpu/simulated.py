"""A simulated NVML: the functions of ``pynvml`` that we use, with a GPU's physics behind them.

Each GPU heats through one thermal resistance and cools with one time constant. Its driver lowers
the clock when power passes the limit or the chip its slowdown temperature, and says why in the same
bits as the real one. Seeded: the same calls at the same times give the same answers. Drivers of
other years are the same class with functions taken away, and a GPU can be lost at a given moment.

Units as in NVML: milliwatts, millijoules, megahertz, percent, whole degrees Celsius.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

_STEP_S = 0.01  # of the integration: small beside a time constant of seconds
_LONGEST_STEP_S = 60.0  # a simulation nobody looked at for longer is jumped to its end
_AVERAGE_S = 1.0  # over which NVML averages power on Ampere (but GA100) and later


@dataclass(frozen=True, slots=True)
class Body:
    """The constants of one simulated GPU; the defaults are those of no product."""

    name: str = "Simulated GPU 300W"
    memory_bytes: int = 24 << 30
    idle_w: float = 35.0
    full_w: float = 330.0  # at full load and full clock, before any limit
    limit_w: float = 300.0
    ambient_c: float = 30.0
    start_c: float | None = None  # None: as warm as it is without work
    k_per_w: float = 0.19
    tau_s: float = 14.0
    slowdown_c: float = 83.0
    hw_slowdown_c: float = 92.0
    idle_mhz: float = 210.0
    full_mhz: float = 1980.0
    mem_mhz: float = 2619.0


class SimulatedError(Exception):
    """What this library raises; ``value`` is NVML's return code."""

    def __init__(self, value: int) -> None:
        """``value`` as in nvml.h."""
        texts = {2: "Invalid Argument", 3: "Not Supported", 9: "Driver Not Loaded"}
        super().__init__({13: "Function Not Found", 15: "GPU is lost", **texts}.get(value, "?"))
        self.value = value


class _Device:
    """One GPU, integrated up to the moment of each reading."""

    def __init__(self, index: int, body: Body, load: Callable[[float], float], seed: int) -> None:
        self.index = index
        self.body = body
        self._load = load
        self._random = random.Random(seed * 1000 + index)  # noqa: S311 - a simulation
        self._at_s: float | None = None
        self._nearer = 1 - math.exp(-_STEP_S / body.tau_s)  # of the way to where it ends, a step
        self._stepping = threading.Lock()  # several threads ask the same GPU
        idle_c = body.ambient_c + body.idle_w * body.k_per_w
        self.temp_c = idle_c if body.start_c is None else body.start_c
        self.power_w = self.average_w = body.idle_w
        self.energy_j = 0.0
        self.mhz = body.idle_mhz
        self.load = 0.0
        self.reasons = 1

    def step_to(self, now_s: float) -> None:
        """Bring the state to ``now_s``, in small steps."""
        if self._at_s is not None and now_s < self._at_s + _STEP_S:
            return  # one reading is some ten calls
        with self._stepping:
            if self._at_s is None:
                self._at_s = now_s
            self._at_s = max(self._at_s, now_s - _LONGEST_STEP_S)
            while self._at_s + _STEP_S <= now_s:
                self._at_s += _STEP_S
                self._step(min(1.0, max(0.0, self._load(self._at_s))))

    def noisy_w(self, power_w: float) -> int:
        """A power reading in milliwatts."""
        return max(0, round(1000 * (power_w + self._random.gauss(0.0, 0.4))))

    def _step(self, load: float) -> None:
        body = self.body
        self.load = load
        self.reasons = 1 if load < 0.01 else 0
        wanted_mhz = body.idle_mhz if load < 0.01 else body.full_mhz
        swing_w = body.full_w - body.idle_w
        power_mhz = body.full_mhz
        if load > 0.01 and body.idle_w + swing_w * load > body.limit_w:
            share = (body.limit_w - body.idle_w) / (swing_w * load)
            power_mhz = body.full_mhz * math.cbrt(share)
            self.reasons |= 0x004
        heat_mhz = body.full_mhz
        if self.temp_c > body.hw_slowdown_c:
            heat_mhz = body.full_mhz / 2
            self.reasons |= 0x048
        elif self.temp_c > body.slowdown_c:
            heat_mhz = body.full_mhz * max(0.4, 1 - 0.08 * (self.temp_c - body.slowdown_c))
            self.reasons |= 0x020
        self.mhz = min(wanted_mhz, power_mhz, heat_mhz)
        scale = (self.mhz / body.full_mhz) ** 3 if load > 0.01 else 0.0
        self.power_w = body.idle_w + swing_w * load * scale
        self.energy_j += self.power_w * _STEP_S
        self.average_w += (self.power_w - self.average_w) * _STEP_S / _AVERAGE_S
        end_c = body.ambient_c + body.k_per_w * self.power_w
        self.temp_c += (end_c - self.temp_c) * self._nearer


# What is asked of one device, as nvmlDeviceGet and this name, and perhaps a number of which.
_READINGS: dict[str, Callable[..., Any]] = {
    "Name": lambda gpu: gpu.body.name,
    "UUID": lambda gpu: f"GPU-simulated-{gpu.index}",
    "PowerUsage": lambda gpu: gpu.noisy_w(gpu.average_w),
    "EnforcedPowerLimit": lambda gpu: int(gpu.body.limit_w * 1000),
    "TotalEnergyConsumption": lambda gpu: int(gpu.energy_j * 1000),
    "ClockInfo": lambda gpu, kind: int(gpu.body.mem_mhz if kind == 2 else gpu.mhz),
    "MaxClockInfo": lambda gpu, kind: int(gpu.body.mem_mhz if kind == 2 else gpu.body.full_mhz),
    "UtilizationRates": lambda gpu: SimpleNamespace(
        gpu=round(100 * gpu.load), memory=round(60 * gpu.load)
    ),
    "CurrentClocksEventReasons": lambda gpu: gpu.reasons,
    "CurrentClocksThrottleReasons": lambda gpu: gpu.reasons,
    "FanSpeed": lambda gpu: int(min(100, max(30, 30 + 1.5 * (gpu.temp_c - 40)))),
    "CurrPcieLinkGeneration": lambda gpu: 4 if gpu.load > 0.01 else 1,  # an idle link saves power
    "MaxPcieLinkGeneration": lambda _: 4,
    "CurrPcieLinkWidth": lambda _: 16,
    "MaxPcieLinkWidth": lambda _: 16,
    "PcieThroughput": lambda gpu, counter: int(gpu.load * (300_000, 1_200_000)[counter]),
}


class SimulatedNvml:
    """Stands in for the module ``pynvml``."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What ``_READINGS`` adds."""

    NVMLError: ClassVar[type[Exception]] = SimulatedError

    def __init__(
        self,
        bodies: Sequence[Body] = (Body(),),
        load: Callable[[float], float] = lambda _: 0.0,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
        without: Sequence[str] = (),
        lost: dict[int, tuple[float, float]] | None = None,
    ) -> None:
        """``without`` names functions that this driver lacks, as drivers of other years do.

        ``lost`` says, by GPU, after how many seconds it falls off the bus and after how many more
        it answers again (infinity: never).
        """
        for name, read in _READINGS.items():
            setattr(self, f"nvmlDeviceGet{name}", partial(self._read, read))
        for name in without:  # the driver lacks it: it is in the module, and fails when called
            setattr(self, name, _not_found)
        self._clock = clock
        self._start_s = clock()
        self._lost = lost or {}
        self._devices = [_Device(i, body, load, seed) for i, body in enumerate(bodies)]
        self.started = 0

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's own names from here on
        self.started += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.started -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self._devices)

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "simulated"

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        self._at(index)
        return index

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:  # noqa: N802
        if sensor != 0:
            raise SimulatedError(2)
        return int(self._at(handle).temp_c)

    def nvmlDeviceGetTemperatureThreshold(self, handle: int, which: int) -> int:  # noqa: N802
        body = self._at(handle).body
        known = {0: body.hw_slowdown_c + 5, 1: body.hw_slowdown_c, 3: body.slowdown_c}
        if which not in known:
            raise SimulatedError(3)
        return int(known[which])

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        device = self._at(handle)
        total = device.body.memory_bytes
        used = int(total * (0.02 + 0.6 * (device.load > 0.01)))
        return SimpleNamespace(total=total, used=used, free=total - used)

    def nvmlDeviceGetFieldValues(self, handle: int, ids: Sequence[int]) -> list[Any]:  # noqa: N802
        device = self._at(handle)
        known = {185: device.average_w, 186: device.power_w}
        values = []
        for field in ids:
            milli = device.noisy_w(known[field]) if field in known else 0
            union = SimpleNamespace(uiVal=milli)
            code = 0 if field in known else 3
            values.append(SimpleNamespace(nvmlReturn=code, valueType=1, value=union))
        return values

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:  # noqa: N802
        used = self.nvmlDeviceGetMemoryInfo(handle).used
        busy = self._at(handle).load > 0.01
        return [SimpleNamespace(pid=1, usedGpuMemory=used)] if busy else []

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802
        return "/usr/bin/simulated-work" if pid == 1 else ""

    def _read(self, read: Callable[..., Any], handle: int, *which: int) -> Any:
        return read(self._at(handle), *which)

    def _at(self, index: int) -> _Device:
        """The device, brought to this moment; the error of a device that is not there."""
        if not 0 <= index < len(self._devices):
            raise SimulatedError(2)
        now_s = self._clock()
        from_s, for_s = self._lost.get(index, (math.inf, 0.0))
        if from_s <= now_s - self._start_s < from_s + for_s:
            raise SimulatedError(15)
        device = self._devices[index]
        device.step_to(now_s)
        return device


def _not_found(*_: Any) -> Any:
    raise SimulatedError(13)
