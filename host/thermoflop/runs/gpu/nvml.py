"""The GPUs of this machine through NVML, whatever the driver's age.

A function that a driver lacks costs its field, not the run: what is missing is asked once, noted
with the reason and left alone. A GPU that is lost raises GpuLost, and the others go on. The library
is a parameter: the real one is ``pynvml`` of nvidia-ml-py, tests and the demo bring a simulated one
with the same functions. NVML speaks milliwatts and millijoules; here they are watts and joules.

Average and instantaneous power are fields 185 and 186 of newer drivers. Where those are missing,
``nvmlDeviceGetPowerUsage`` stands in: a mean over one second on Ampere and later (GA100 excepted),
instantaneous on older ones, so which one it was is written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from thermoflop.runs.gpu.sample import GpuSample

_FIELD_MEMORY_TEMP, _FIELD_POWER_AVERAGE, _FIELD_POWER_INSTANT = 82, 185, 186
_SENSOR_GPU, _CLOCK_SM, _CLOCK_MEM = 0, 1, 2
_THRESHOLDS = {"shutdown_c": 0, "slowdown_c": 1, "mem_max_c": 2, "gpu_max_c": 3}
# return codes of nvml.h
_NEVER = {2: "invalid argument", 3: "not supported", 4: "no permission", 13: "not in this driver"}
_LOST = {1, 9, 15, 16}  # uninitialized, driver not loaded, GPU lost, reset required


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
        self._nvml = library
        self._handle = library.nvmlDeviceGetHandleByIndex(index)
        self._power_fields = True
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
            got = self._ask(name, reader)
            if got is not None:
                values.update(got)
        after_s = time.monotonic()
        return GpuSample((before_s + after_s) / 2, time.time(), self.index, **values)

    def facts(self) -> dict[str, Any]:
        """What does not change during a run, as far as the driver tells."""
        queries: dict[str, Callable[[], Any]] = {
            "name": lambda: _text(self._nvml.nvmlDeviceGetName(self._handle)),
            "uuid": lambda: _text(self._nvml.nvmlDeviceGetUUID(self._handle)),
            "memory_bytes": lambda: int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).total),
            "power_limit_w": lambda: self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle) / 1e3,
            "sm_max_mhz": lambda: self._nvml.nvmlDeviceGetMaxClockInfo(self._handle, _CLOCK_SM),
        }
        for name, threshold in _THRESHOLDS.items():
            queries[name] = partial(self._threshold_c, threshold)
        known: dict[str, Any] = {"index": self.index}
        for name, function in queries.items():
            value = self._quietly(function)
            if value is not None:
                known[name] = value
        known["power_source"] = (
            "fields 185 and 186" if self._power_fields else "nvmlDeviceGetPowerUsage"
        )
        known["missing"] = dict(self.missing)
        return known

    def _threshold_c(self, which: int) -> int:
        return int(self._nvml.nvmlDeviceGetTemperatureThreshold(self._handle, which))

    def _ask(self, name: str, reader: Callable[[], dict[str, float | None]]) -> Any:
        try:
            return reader()
        except AttributeError:
            self._drop(name, "not in this version of nvidia-ml-py")
        except self._nvml.NVMLError as error:
            code = getattr(error, "value", None)
            if code in _LOST:
                raise GpuLost(str(error)) from error
            if code in _NEVER:
                self._drop(name, _NEVER[code])
        return None

    def _drop(self, name: str, why: str) -> None:
        self.missing[name] = why
        self._readers = [(n, reader) for n, reader in self._readers if n != name]

    def _quietly(self, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except (AttributeError, self._nvml.NVMLError):
            return None

    def _temp(self) -> dict[str, float | None]:
        values: dict[str, float | None] = {
            "temp_c": self._nvml.nvmlDeviceGetTemperature(self._handle, _SENSOR_GPU)
        }
        if self._memory_temp:
            (value,) = self._fields((_FIELD_MEMORY_TEMP,))
            self._memory_temp = value is not None
            values["mem_temp_c"] = value
        return values

    def _power(self) -> dict[str, float | None]:
        if self._power_fields:
            average, instant = self._fields((_FIELD_POWER_AVERAGE, _FIELD_POWER_INSTANT))
            if instant is not None:
                return {
                    "power_w": instant / 1e3,
                    "power_avg_w": None if average is None else average / 1e3,
                }
            self._power_fields = False
        return {"power_w": self._nvml.nvmlDeviceGetPowerUsage(self._handle) / 1e3}

    def _fields(self, ids: Iterable[int]) -> list[float | None]:
        field_ids = list(ids)
        try:
            values = self._nvml.nvmlDeviceGetFieldValues(self._handle, field_ids)
        except AttributeError:
            return [None] * len(field_ids)
        except self._nvml.NVMLError as error:
            if getattr(error, "value", None) in _LOST:
                raise
            return [None] * len(field_ids)
        return [_field_value(value) for value in values]

    def _energy(self) -> dict[str, float | None]:
        return {"energy_j": self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1e3}

    def _clock(self, kind: int) -> float:
        return float(self._nvml.nvmlDeviceGetClockInfo(self._handle, kind))

    def _utilization(self) -> dict[str, float | None]:
        rates = self._nvml.nvmlDeviceGetUtilizationRates(self._handle)
        return {"util": rates.gpu / 100, "mem_util": rates.memory / 100}

    def _memory(self) -> dict[str, float | None]:
        return {"mem_used_bytes": int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used)}

    def _reasons(self) -> dict[str, float | None]:
        """The name of drivers since 535 first, the old name after that."""
        if not self._reasons_name:
            names = ("EventReasons", "ThrottleReasons")
            self._reasons_name = next(
                name for name in (*names, "") if not name or self._has_reasons(name)
            )
        if not self._reasons_name:
            raise AttributeError("no function for the reasons")
        function = getattr(self._nvml, f"nvmlDeviceGetCurrentClocks{self._reasons_name}")
        return {"reasons": int(function(self._handle))}

    def _has_reasons(self, name: str) -> bool:
        function = getattr(self._nvml, f"nvmlDeviceGetCurrentClocks{name}", None)
        if function is None:
            return False
        try:
            function(self._handle)
        except self._nvml.NVMLError as error:
            if getattr(error, "value", None) in _LOST:
                raise
            return False
        return True


class Gpus:
    """The library, started; every GPU it names. Use as a context manager or ``close`` it."""

    def __init__(self, library: Any = None) -> None:
        """Start NVML; NoGpu with the reason when there is nothing to read."""
        self._nvml = library if library is not None else _real_library()
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            raise NoGpu(f"NVML did not start: {error}") from error
        self.gpus: list[Gpu] = []
        try:
            count = int(self._nvml.nvmlDeviceGetCount())
            self.gpus = [Gpu(self._nvml, index) for index in range(count)]
        except self._nvml.NVMLError as error:
            self.close()
            raise NoGpu(f"NVML named no GPU: {error}") from error
        if not self.gpus:
            self.close()
            raise NoGpu("NVML started and found no GPU")

    def reopen(self, index: int) -> Gpu:
        """Try to get a lost GPU back; GpuLost when it still does not answer."""
        try:
            gpu = Gpu(self._nvml, index)
        except self._nvml.NVMLError as error:
            raise GpuLost(str(error)) from error
        gpu.read()
        return gpu

    def facts(self) -> dict[str, Any]:
        """Driver and devices, for run.json."""
        known: dict[str, Any] = {"devices": [gpu.facts() for gpu in self.gpus]}
        for name, function in (
            ("driver", "nvmlSystemGetDriverVersion"),
            ("nvml", "nvmlSystemGetNVMLVersion"),
        ):
            try:
                known[name] = _text(getattr(self._nvml, function)())
            except (AttributeError, self._nvml.NVMLError):
                continue
        return known

    def close(self) -> None:
        """Shut the library down; it counts its users, so others are not disturbed."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return


def _real_library() -> Any:
    try:
        import pynvml
    except ImportError as error:
        raise NoGpu("nvidia-ml-py is not installed") from error
    return pynvml


def _field_value(value: Any) -> float | None:
    """The number in one of NVML's tagged unions."""
    if value.nvmlReturn != 0:
        return None
    names = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
    if not 0 <= value.valueType < len(names):
        return None
    return float(getattr(value.value, names[value.valueType]))


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
