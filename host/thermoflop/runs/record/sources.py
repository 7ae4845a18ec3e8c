"""The GPUs of a run, present or absent with a reason, and which of its items are urgent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thermoflop.errors import UsageError
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Event
from thermoflop.runs.folder.records import FurtherLine, Record
from thermoflop.runs.gpu.own import asked_gpus
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.sampler import GpuSampler
from thermoflop.runs.record.queue import ItemQueue

NOT_ASKED = "not asked for"
SIM = "sim"  # or with the temperature that it begins at, as sim:70
GPU_SPECS = ("auto", "none", SIM)


def is_urgent(item: Record) -> bool:
    """Whether it is brought to the disk at once: all but readings and what a board repeats."""
    if isinstance(item, FurtherLine):
        item = item.line
    if isinstance(item, BoardLine):
        return isinstance(item.message, Event)
    return not isinstance(item, GpuSample)


def open_gpus(
    spec: str, queue: ItemQueue, rate_hz: float, library: Any = None
) -> tuple[GpuSampler | None, str | None]:
    """The telemetry of this machine's GPUs, started, or why there is none.

    Where NVML has not answered yet, it is given nevertheless: GPUs join when they do.
    """
    start_c = None
    if spec.startswith(f"{SIM}:"):
        spec, start_c = SIM, _start_c(spec.removeprefix(f"{SIM}:"))
    asked = asked_gpus(spec)
    if spec not in GPU_SPECS and asked is None:
        known = ", ".join(GPU_SPECS)
        raise UsageError(f"--gpu {spec!r} is none of {known}, and no list of GPUs such as 0,3")
    if spec == "none":
        return None, NOT_ASKED
    if spec == SIM and library is None:
        library = simulated_library(start_c=start_c)
    sampler = GpuSampler(library, queue, rate_hz).__enter__()
    there = {device["index"] for device in sampler.facts["devices"]}
    not_there = set(asked or ()) - there if there else None
    if not_there or (sampler.absent is not None and not sampler.is_waiting):
        sampler.__exit__()
    if not_there:
        raise UsageError(f"--gpu {spec}: there is no GPU {min(not_there)}, NVML names {len(there)}")
    is_coming = sampler.absent is None or sampler.is_waiting
    return (sampler, None) if is_coming else (None, sampler.absent)


def _start_c(text: str) -> float:
    from thermoflop.base.written import read_number

    start_c = read_number(text)
    if start_c is None or not 0 <= start_c <= 120:
        raise UsageError(f"--gpu sim:{text}: expected a temperature from 0 to 120 °C, as sim:70")
    return float(start_c)


def simulated_library(
    load: Callable[[float], float] | None = None, start_c: float | None = None
) -> Any:
    """One simulated GPU that is as busy as ``load`` says, 0 to 1; else as this machine is.

    It begins at ``start_c``, or as warm as it is without work.
    It is made so that it stays below its power limit: nothing that it slowed down would be slower.
    """
    from thermoflop.pico.simulated.heat import MachineLoad
    from thermoflop.runs.gpu.simulated import Body, SimulatedNvml

    by = "this machine's load" if load is None else "the benchmark"
    body = Body(name=f"Simulated GPU (warmed by {by})", tau_s=6.0, k_per_w=0.2, full_w=290.0,
                start_c=start_c)  # fmt: skip
    return SimulatedNvml([body], load or MachineLoad(full_w=1.0).watts)
