"""The GPUs of a run, present or absent with a reason, and which of its items are urgent."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
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
MOST_SIMULATED = 16
_SIMULATED = re.compile(r"(?:(\d{1,9})x)?sim(?::(.*))?", re.DOTALL)  # 8xsim, sim:70, 8xsim:70
_MOST_INDEX = 99  # the largest boxes have 16 to 72 GPUs; from here on it is a model's number
_MODEL = "; what is predicted for is named with record --gpu-model {}"
_WARMER_C = 1.0  # the air at each further GPU of a row, so that no two curves are one


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
    simulated = simulated_gpus(spec)
    if spec not in GPU_SPECS and simulated is None and asked is None:
        known = ", ".join(GPU_SPECS)
        raise UsageError(
            f"--gpu {spec!r} is none of {known}, and no list of GPUs such as 0,3"
            f"{_MODEL.format(spec)}"
        )
    if asked and max(asked) > _MOST_INDEX:
        raise UsageError(f"--gpu {spec}: no machine has a GPU {max(asked)}{_MODEL.format(spec)}")
    if spec == "none":
        return None, NOT_ASKED
    library = library or simulated
    sampler = GpuSampler(library, queue, rate_hz).__enter__()
    there = {device["index"] for device in sampler.facts["devices"]}
    not_there = set(asked or ()) - there if there else None
    if not_there or (sampler.absent is not None and not sampler.is_waiting):
        sampler.__exit__()
    if not_there:
        raise UsageError(f"--gpu {spec}: there is no GPU {min(not_there)}, NVML names {len(there)}")
    is_coming = sampler.absent is None or sampler.is_waiting
    if asked and not is_coming:
        raise UsageError(f"--gpu {spec}: there is none to read: {sampler.absent}")
    return (sampler, None) if is_coming else (None, sampler.absent)


def _start_c(text: str) -> float:
    from thermoflop.base.written import read_number

    start_c = read_number(text)
    if start_c is None or not 0 <= start_c <= 120:
        raise UsageError(f"--gpu sim:{text}: expected a temperature from 0 to 120 °C, as sim:70")
    return float(start_c)


def simulated_gpus(spec: str) -> Any:
    """The library of the GPUs that ``sim``, ``8xsim`` or ``sim:70`` (°C at the start) asks for.

    None where ``spec`` asks for others; UsageError for a number that makes no sense.
    """
    found = _SIMULATED.fullmatch(spec)
    if found is None:
        return None
    n = int(found[1] or 1)
    if not 1 <= n <= MOST_SIMULATED:
        raise UsageError(f"--gpu {spec!r}: expected 1 to {MOST_SIMULATED} simulated GPUs")
    return simulated_library(start_c=None if found[2] is None else _start_c(found[2]), n=n)


def simulated_library(
    load: Callable[[float], float] | None = None, start_c: float | None = None, n: int = 1
) -> Any:
    """``n`` simulated GPUs that are as busy as ``load`` says, 0 to 1; else as this machine is.

    Each begins at ``start_c``, or as warm as it is without work; the next one gets warmer air.
    It is made so that it stays below its power limit: nothing that it slowed down would be slower.
    """
    from thermoflop.pico.simulated.heat import MachineLoad
    from thermoflop.runs.gpu.simulated import Body, SimulatedNvml

    by = "this machine's load" if load is None else "the benchmark"
    body = Body(name=f"Simulated GPU (warmed by {by})", tau_s=6.0, k_per_w=0.2, full_w=290.0,
                start_c=start_c)  # fmt: skip
    bodies = [replace(body, ambient_c=body.ambient_c + _WARMER_C * i) for i in range(n)]
    return SimulatedNvml(bodies, load or MachineLoad(full_w=1.0).watts)
