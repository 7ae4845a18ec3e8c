"""The share of a device that an engine takes, raised until a load fits that its default refuses."""

from __future__ import annotations

from bisect import bisect_left

from thermoflop.base.record import record, replace
from thermoflop.cost.engines.budget import SPREAD, EngineMemory
from thermoflop.cost.engines.footprint import Load, visible_bytes
from thermoflop.cost.work.share import Share

# The option of each engine, and how its own command line spells it.
SHARES = {
    "vllm": ("gpu_memory_utilization", "--gpu-memory-utilization"),
    "sglang": ("mem_fraction_static", "--mem-fraction-static"),
    "tensorrt-llm": ("free_gpu_memory_fraction", "--free_gpu_memory_fraction"),
}


@record
class Raised:
    """An option's value ``now``, and the least one in hundredths at which a load fits."""

    option: str
    flag: str
    now: float
    value: float

    @property
    def text(self) -> str:
        """What to type, for the engine and for ``fit``."""
        return f"{self.flag} {self.value:g} in place of {self.now:g}"


def raised(engine: EngineMemory, share: Share, load: Load) -> Raised | None:
    """The share at which a load fits; None where there is none that leaves room for what the
    engine takes outside of it, or where the engine has no such option."""
    if engine.key not in SHARES:
        return None
    option, flag = SHARES[engine.key]
    footprint = engine.divide(share, load)[0]
    now = {**engine.options, **(footprint.settled or {})}[option]

    def tried(hundredths: int) -> EngineMemory:
        return replace(engine, options={**engine.options, option: hundredths / 100})

    values = range(int(now * 100), 100)
    place = bisect_left(values, True, key=lambda each: tried(each).memory(share, load).fits)
    if place == len(values):
        return None
    found = tried(values[place]).divide(share, load)[0]
    work = found.activation_bytes + found.overhead_bytes + found.graph_bytes
    beside = found.outside_bytes + (SPREAD[engine.engine][1] - 1) * work
    if found.usable_bytes + beside > visible_bytes(engine.device):
        return None
    return Raised(option, flag, now, values[place] / 100)
