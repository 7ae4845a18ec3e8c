"""The GPUs of this machine through NVML, whatever the driver's age, and whatever it raises.

A function that a driver lacks costs its field, not the run: what is missing is asked once, noted
with the reason and left alone. A call that fails otherwise, or that gives no number, costs that
field of that reading and is counted with the reason. A GPU that gives nothing at all raises
GpuLost, and the others go on. Any exception counts, not NVML's alone: the Python package decodes
names and loads a library, so UnicodeDecodeError, OSError and ValueError come from it, too. The
library is a parameter: the real one is ``pynvml`` of nvidia-ml-py, tests and the demo bring a
simulated one with the same functions. NVML speaks milliwatts and millijoules; here they are watts
and joules.

Average and instantaneous power are fields 185 and 186 of newer drivers. Where those are missing,
``nvmlDeviceGetPowerUsage`` stands in: a mean over one second on Ampere and later (GA100 excepted),
instantaneous on older ones, so which one it was is written down.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from thermoflop.base.plain import is_number
from thermoflop.runs.gpu.other_makers import why_not_recorded
from thermoflop.runs.gpu.sample import GpuSample

_FIELD_MEMORY_TEMP, _FIELD_POWER_AVERAGE, _FIELD_POWER_INSTANT = 82, 185, 186
_SENSOR_GPU, _CLOCK_SM, _CLOCK_MEM = 0, 1, 2
_THRESHOLDS = {"shutdown_c": 0, "slowdown_c": 1, "mem_max_c": 2, "gpu_max_c": 3}
# return codes of nvml.h
_NEVER = {2: "invalid argument", 3: "not supported", 4: "no permission", 13: "not in this driver"}
_LOST = {1, 9, 15, 16}  # uninitialized, driver not loaded, GPU lost, reset required
# NVML_VALUE_NOT_AVAILABLE of nvml.h is -1, which unsigned fields hold as these
_NO_VALUE = {0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}
_LOWEST_C = -273
_MAX_SLICES = 64  # of MIG, which has 7
MAX_GPUS = 1024  # far above any machine: a count beyond is none


class NoGpu(Exception):
    """There is no GPU to read; the message is the reason, for the run's record."""


class GpuLost(Exception):
    """One GPU stopped answering for good."""


class Gpu:
    """One GPU: what it is, and a reading of it."""

    def __init__(self, library: Any, index: int) -> None:
        """Take the handle and find out which fields this driver gives."""
        self.index = index
        self.missing: dict[str, str] = {}
        self.faults: dict[str, dict[str, Any]] = {}  # field -> how often it failed, and last why
        self._nvml = library
        self._handle = library.nvmlDeviceGetHandleByIndex(index)
        self._power_fields: bool | None = None  # None: not yet known
        self._memory_temp = True
        self._reasons_name = ""
        self._readers: list[tuple[str, Callable[[], dict[str, float | None]]]] = [
            ("temp_c", self._temp),
            ("power_w", self._power),
            ("energy_j", self._energy),
            ("sm_mhz", lambda: {"sm_mhz": self._clock(_CLOCK_SM)}),
            ("mem_mhz", lambda: {"mem_mhz": self._clock(_CLOCK_MEM)}),
            ("util", self._utilization),
            ("mem_used_bytes", self._memory),
            ("reasons", self._reasons),
        ]

    def read(self) -> GpuSample:
        """All fields at once, stamped with the middle of the time that took; GpuLost."""
        before_s = time.monotonic()
        values: dict[str, Any] = {}
        for name, reader in list(self._readers):
            values |= self._ask(name, reader)
        if not values:
            raise GpuLost("; ".join(dict.fromkeys(self._whys())) or "it gives no reading")
        after_s = time.monotonic()
        return GpuSample((before_s + after_s) / 2, time.time(), self.index, **values)

    def facts(self) -> dict[str, Any]:
        """What does not change during a run, as far as the driver tells."""
        nvml, handle = self._nvml, self._handle
        queries: dict[str, Callable[[], Any]] = {
            "name": lambda: as_text(lambda: nvml.nvmlDeviceGetName(handle)),
            "uuid": lambda: as_text(lambda: nvml.nvmlDeviceGetUUID(handle)),
            "memory_bytes": lambda: as_number(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            "power_limit_w": lambda: as_number(nvml.nvmlDeviceGetEnforcedPowerLimit(handle)) / 1e3,
            "sm_max_mhz": lambda: as_number(nvml.nvmlDeviceGetMaxClockInfo(handle, _CLOCK_SM)),
            "mig": self._mig,
        }
        for name, threshold in _THRESHOLDS.items():
            queries[name] = partial(self._threshold_c, threshold)
        known: dict[str, Any] = {"index": self.index}
        for name, function in queries.items():
            value = self._quietly(name, function)
            if value is not None:
                known[name] = value
        known["power_source"] = (
            "nvmlDeviceGetPowerUsage" if self._power_fields is False else "fields 185 and 186"
        )
        return known

    def processes(self) -> list[dict[str, Any]] | None:
        """Who computes on it, and with how much memory; None where the driver does not say."""
        return self._quietly("processes", self._processes)  # type: ignore[no-any-return]

    def _processes(self) -> list[dict[str, Any]]:
        listed = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        return [{"pid": int(each.pid), "used_bytes": each.usedGpuMemory} for each in listed]

    def _mig(self) -> list[str] | None:
        """The UUIDs of its slices, where it is divided."""
        nvml = self._nvml
        is_divided, _ = nvml.nvmlDeviceGetMigMode(self._handle)
        if not is_divided:
            return None
        uuids = []
        for index in range(min(_MAX_SLICES, nvml.nvmlDeviceGetMaxMigDeviceCount(self._handle))):
            with suppress(Exception):  # a place that is not filled
                part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(self._handle, index)
                uuids.append(as_text(partial(nvml.nvmlDeviceGetUUID, part)))
        return uuids

    def _threshold_c(self, which: int) -> float:
        return as_number(self._nvml.nvmlDeviceGetTemperatureThreshold(self._handle, which))

    def _ask(self, name: str, reader: Callable[[], dict[str, float | None]]) -> dict[str, Any]:
        try:
            return reader()
        except Exception as error:
            if _code(error) in _LOST:
                raise GpuLost(reason(error)) from error
            if why := never(error, self._nvml):
                self._drop(name, why)
            else:
                self._blame(name, error)
        return {}

    def _drop(self, name: str, why: str) -> None:
        self.missing[name] = why
        self._readers = [(n, reader) for n, reader in self._readers if n != name]

    def _blame(self, name: str, error: Exception) -> None:
        times = self.faults.get(name, {}).get("times", 0) + 1
        self.faults[name] = {"times": times, "why": reason(error)}

    def _whys(self) -> list[str]:
        return [*(str(fault["why"]) for fault in self.faults.values()), *self.missing.values()]

    def _quietly(self, name: str, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except Exception as error:
            if not never(error, self._nvml):
                self._blame(name, error)
            return None

    def _temp(self) -> dict[str, float | None]:
        raw = self._nvml.nvmlDeviceGetTemperature(self._handle, _SENSOR_GPU)
        values: dict[str, float | None] = {"temp_c": as_number(raw, _LOWEST_C)}
        if self._memory_temp:
            (value,) = self._fields((_FIELD_MEMORY_TEMP,))
            self._memory_temp = value is not None
            values["mem_temp_c"] = value
        return values

    def _power(self) -> dict[str, float | None]:
        if self._power_fields is not False:
            average, instant = self._fields((_FIELD_POWER_AVERAGE, _FIELD_POWER_INSTANT))
            if instant:  # no GPU that answers draws nothing: 0 is a field that is not filled in
                self._power_fields = True
                return {
                    "power_w": instant / 1e3,
                    "power_avg_w": None if average is None else average / 1e3,
                }
            if self._power_fields:
                raise ValueError("fields 185 and 186 gave no number")
            self._power_fields = False
        return {"power_w": as_number(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) / 1e3}

    def _fields(self, ids: Sequence[int]) -> list[float | None]:
        """The fields' values, each None where it could not be had."""
        try:
            values = self._nvml.nvmlDeviceGetFieldValues(self._handle, list(ids))
            found = [_field_value(value) for value in values]
        except Exception as error:
            if _code(error) in _LOST:
                raise
            found = []
        return found if len(found) == len(ids) else [None] * len(ids)

    def _energy(self) -> dict[str, float | None]:
        raw = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        return {"energy_j": as_number(raw) / 1e3}

    def _clock(self, kind: int) -> float:
        return as_number(self._nvml.nvmlDeviceGetClockInfo(self._handle, kind))

    def _utilization(self) -> dict[str, float | None]:
        rates = self._nvml.nvmlDeviceGetUtilizationRates(self._handle)
        return {"util": as_number(rates.gpu) / 100, "mem_util": as_number(rates.memory) / 100}

    def _memory(self) -> dict[str, float | None]:
        used = self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used
        return {"mem_used_bytes": int(as_number(used))}

    def _reasons(self) -> dict[str, float | None]:
        """The name of drivers since 535 first, the old name after that."""
        if not self._reasons_name:
            names = ("EventReasons", "ThrottleReasons")
            self._reasons_name = next(filter(self._has_reasons, names), "")
        if not self._reasons_name:
            raise AttributeError("no function for the reasons", obj=self._nvml)
        function = getattr(self._nvml, f"nvmlDeviceGetCurrentClocks{self._reasons_name}")
        return {"reasons": int(as_number(function(self._handle)))}

    def _has_reasons(self, name: str) -> bool:
        function = getattr(self._nvml, f"nvmlDeviceGetCurrentClocks{name}", None)
        if function is None:
            return False
        try:
            function(self._handle)
        except Exception as error:
            return never(error, self._nvml) is None
        return True


class Gpus:
    """The library, started, and how many GPUs it names. ``close`` it in the end."""

    def __init__(self, library: Any = None) -> None:
        """Start NVML; NoGpu with the reason when there is nothing to read."""
        self.library = self._nvml = library if library is not None else _real_library()
        try:
            self._nvml.nvmlInit()
        except Exception as error:
            other = why_not_recorded()
            also = f"; {other}" if other else ""
            raise NoGpu(f"NVML did not start: {reason(error)}{also}") from error
        try:
            self.count = int(as_number(self._nvml.nvmlDeviceGetCount()))
        except Exception as error:
            self.close()
            raise NoGpu(f"NVML named no GPU: {reason(error)}") from error
        if not 0 < self.count <= MAX_GPUS:
            self.close()
            found = f"{self.count} GPUs, which is no machine's number" if self.count else "no GPU"
            raise NoGpu(f"NVML started and found {found}")

    def open(self, index: int) -> Gpu:
        """The GPU ``index``; GpuLost when it gives no handle."""
        try:
            return Gpu(self._nvml, index)
        except Exception as error:
            raise GpuLost(reason(error)) from error

    def handle(self, index: int) -> Any:
        """What the library calls the GPU ``index``; whatever it raises."""
        return self._nvml.nvmlDeviceGetHandleByIndex(index)

    def facts(self) -> dict[str, Any]:
        """The versions of driver and library, for run.json."""
        known: dict[str, Any] = {}
        for name, function in (
            ("driver", "nvmlSystemGetDriverVersion"),
            ("nvml", "nvmlSystemGetNVMLVersion"),
        ):
            with suppress(Exception):
                known[name] = as_text(getattr(self._nvml, function))
        return known

    def close(self) -> None:
        """Shut the library down; it counts its users, so others are not disturbed."""
        with suppress(Exception):
            self._nvml.nvmlShutdown()


def _real_library() -> Any:
    try:
        import pynvml
    except ModuleNotFoundError as error:
        raise NoGpu("nvidia-ml-py is not installed") from error
    except Exception as error:
        raise NoGpu(f"nvidia-ml-py could not be loaded: {reason(error)}") from error
    return pynvml


def never(error: Exception, library: Any) -> str | None:
    """Why a call of ``library`` will never succeed; None where it may the next time."""
    if isinstance(error, AttributeError) and error.obj is library:
        return "not in this version of nvidia-ml-py"
    return _NEVER.get(_code(error))


def reason(error: BaseException) -> str:
    """Why a call failed: NVML's own text, else the kind of the error and its text."""
    text = str(error)
    known = _code(error) or isinstance(error, GpuLost | NoGpu)
    return text if text and known else f"{type(error).__name__}: {text}".rstrip(": ")


def _code(error: BaseException) -> int:
    """NVML's return code that an error carries; 0, which is that of success, where it has none."""
    value = getattr(error, "value", None)
    return value if isinstance(value, int) else 0


def as_number(raw: Any, least: float = 0) -> float:
    """A reading as the number that it is; ValueError when it stands for none."""
    if not is_number(raw) or raw in _NO_VALUE or not least <= raw < math.inf:
        raise ValueError(f"{raw!r:.40} is no reading")
    return raw


def _field_value(value: Any) -> float | None:
    """The number in one of NVML's tagged unions; ValueError when it is none."""
    if value.nvmlReturn != 0:
        return None
    names = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
    if not 0 <= value.valueType < len(names):
        return None
    return float(as_number(getattr(value.value, names[value.valueType])))


def as_text(function: Callable[[], str | bytes]) -> str:
    """What a function says; bytes that are not UTF-8 are replaced, also where pynvml trips."""
    try:
        value = function()
    except UnicodeDecodeError as error:
        value = bytes(error.object)
    return value.decode("utf-8", "replace").rstrip("\0") if isinstance(value, bytes) else str(value)
