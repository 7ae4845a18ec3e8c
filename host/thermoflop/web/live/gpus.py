"""The GPUs of this machine, read as long as the server runs, so that their past is there."""

from __future__ import annotations

import threading
from typing import Any

from thermoflop.errors import UsageError
from thermoflop.pico.track import HostEvent
from thermoflop.pico.wire import printable
from thermoflop.report.messages import visible
from thermoflop.runs.gpu.details import GpuDetails
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.sampler import GpuSampler
from thermoflop.runs.gpu.throttle import describe_reason, throttling
from thermoflop.runs.record.sources import GPU_SPECS, NOT_ASKED, simulated_gpus
from thermoflop.web.live.readings import Readings

MAX_NAME = 40  # letters of a process's name
_FACTS = ("name", "memory_bytes", "power_limit_w", "slowdown_c", "shutdown_c", "gpu_max_c")
_NOW = (
    "temp_c", "mem_temp_c", "power_w", "sm_mhz", "mem_mhz", "util", "mem_util", "mem_used_bytes",
)  # fmt: skip
_DETAILS = ("fan", "link", "link_max", "pcie_in", "pcie_out")


class GpuSource:
    """All GPUs."""

    def __init__(self, spec: str) -> None:
        """``spec`` is auto, none, sim, 8xsim or sim:70; UsageError for another."""
        self.spec = spec
        self.simulated = simulated_gpus(spec)
        if spec not in GPU_SPECS and self.simulated is None:
            known = ", ".join(GPU_SPECS)
            raise UsageError(f"--gpu {spec!r} is none of {known}, and not such as 8xsim")
        self.readings: dict[int, Readings] = {}
        self.slow: dict[int, Readings] = {}  # of memory, fan and PCIe, once a second
        self._latest: dict[int, GpuSample | None] = {}
        self._details: dict[int, GpuDetails] = {}
        self._sampler: GpuSampler | None = None
        self._lock = threading.RLock()

    @property
    def absent(self) -> str:
        """Why there is no GPU; empty when there is one, or nobody has looked yet."""
        sampler = self._sampler
        if sampler is None:
            return NOT_ASKED if self.spec == "none" else ""
        return sampler.absent or ""

    def start(self) -> None:
        """Start reading if there is a GPU; called when the server starts."""
        with self._lock:
            if self._sampler is not None or self.spec == "none":
                return
            self._sampler = sampler = GpuSampler(
                self.simulated, self._take, details=self._take_details
            )
        sampler.__enter__()  # not under the lock, which the readings take

    def stop(self) -> None:
        """Stop reading; called when the server ends."""
        with self._lock:
            sampler, self._sampler = self._sampler, None
        if sampler is not None:
            sampler.__exit__()

    @property
    def recorder_spec(self) -> str:
        """``--gpu`` of a recorder: a simulated GPU goes on there as warm as it is here."""
        sample = self._latest.get(0)
        if self.simulated is None or sample is None or sample.temp_c is None:
            return self.spec
        return f"{self.spec.partition(':')[0]}:{sample.temp_c:g}"

    def simulate(self) -> None:
        """Show a simulated GPU, as busy as this machine, where there is no other."""
        self.stop()
        self.spec = "sim"
        self.simulated = simulated_gpus(self.spec)
        self.start()

    def _take(self, items: list[GpuSample | HostEvent]) -> None:
        with self._lock:
            for item in items:
                if isinstance(item, GpuSample):
                    readings = self.readings.setdefault(item.gpu, Readings())
                    at_s, share = round(item.mono_s, 3), item.util
                    busy = None if share is None else round(100 * share)
                    readings.add((at_s, item.temp_c, item.power_w, busy, item.sm_mhz))
                    self._latest[item.gpu] = item
                elif item.ev == "gpu_lost":
                    self._latest[int(item.detail["gpu"])] = None

    def _take_details(self, index: int, details: GpuDetails) -> None:
        sample = self._latest.get(index)
        if sample is None:
            return
        total, used = self._facts().get(index, {}).get("memory_bytes"), sample.mem_used_bytes
        point = (
            round(sample.mono_s, 3),
            _scaled(used, 100 / total) if total else None,
            _scaled(details.fan, 100),
            _scaled(details.pcie_in, 1e-6),
            _scaled(details.pcie_out, 1e-6),
        )
        with self._lock:
            self.slow.setdefault(index, Readings()).add(point)
            self._details[index] = details

    def _facts(self) -> dict[int, dict[str, Any]]:
        """What the driver says of each GPU, by its number."""
        sampler = self._sampler
        devices = [] if sampler is None else sampler.facts["devices"]
        return {device["index"]: device for device in devices}

    def now(self) -> list[tuple[dict[str, Any], GpuSample]]:
        """Facts and newest reading of each GPU that answers."""
        sampler, facts = self._sampler, self._facts()
        latest = {} if sampler is None else sampler.latest
        return [(facts.get(index, {}), sample) for index, sample in sorted(latest.items())]

    def states(self) -> list[dict[str, Any]]:
        """Facts and newest values of each GPU."""
        facts = self._facts()
        with self._lock:
            return [self._state(index, facts.get(index, {})) for index in sorted(self.readings)]

    def _state(self, index: int, facts: dict[str, Any]) -> dict[str, Any]:
        now = self._latest.get(index)
        known = {key: facts.get(key) for key in _FACTS}
        state: dict[str, Any] = {**known, "key": f"gpu{index}", "index": index, "lost": now is None}
        state["simulated"] = self.simulated is not None
        state["name"] = printable(str(known["name"] or "GPU"))
        # the driver slows a GPU down from the first limit on, the chip itself from the second
        state["limit_c"] = known["gpu_max_c"] or known["slowdown_c"]
        for name in _NOW:
            state[name] = getattr(now, name) if now is not None else None
        reasons = now.reasons if now is not None else None
        state["throttled"] = (
            None if reasons is None else [describe_reason(n) for n in throttling(reasons)]
        )
        return state | _shown(GpuDetails() if now is None else self._details.get(index))


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, 1)


def _shown(details: GpuDetails | None) -> dict[str, Any]:
    """The details as the page shows them; names of processes may be anybody's text."""
    details = details or GpuDetails()
    shown = {name: getattr(details, name) for name in _DETAILS}
    listed = [[each.pid, _program(each.name), each.used_bytes] for each in details.processes or ()]
    return {**shown, "processes": None if details.processes is None else listed}


def _program(name: str) -> str:
    """The program's name without its folders, of a length to show."""
    words = name.strip().replace("\\", "/").rstrip("/").rsplit("/", 1)
    return visible(words[-1])[:MAX_NAME]
