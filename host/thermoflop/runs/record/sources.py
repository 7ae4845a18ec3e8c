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
GPU_SPECS = ("auto", "none", "sim")


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
