"""Without an engine named: which of those that are started as servers hold what is added up."""

from __future__ import annotations

from math import inf

from thermoflop.base.record import replace
from thermoflop.base.units import gigabytes
from thermoflop.cost.engines.abilities import no_device, no_layout
from thermoflop.cost.engines.budget import EngineMemory, engine_memory, has_options
from thermoflop.cost.engines.engine import ENGINES, Engine
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.inference.formats import lacking, unread
from thermoflop.cost.inference.room import LARGEST, Room, largest
from thermoflop.cost.work.share import Share
from thermoflop.model.model import Model

# Below this share of what is added up it is said how many sequences an engine holds.
NEARLY = 0.9


def not_started(model: Model, device: Device, share: Share, load: Load) -> str:
    """A sentence on the servers that run the model on a device and do not hold a load that fits as
    it is added up; "" where all do."""
    servers = _servers(model, device, share)
    held = {name: engine.memory(share, load) for name, engine in servers.items()}
    lacks = [name for name, memory in held.items() if not memory.fits]
    if not lacks:
        return ""
    name = lacks[0]
    sizes = f"{gigabytes(held[name].total_bytes)} of {gigabytes(held[name].capacity_bytes)}"
    return f"added up alone: {' and '.join(lacks)} would not hold it (as {name} divides it {sizes})"


def would_hold(room: Room, share: Share, load: Load, held: int, asked: float = inf) -> str:
    """A sentence on how many sequences the memory of servers would hold at once, in all replicas.
    ``held`` and ``asked`` are those of one; "" where an engine is named, where all hold nearly as
    many as ``held``, which are added up, or as ``asked``."""
    if room.engine is not None or room.asked is not None or held >= LARGEST:
        return ""
    servers = _servers(room.model, room.device, share)
    most = {name: _most(engine, share, load) for name, engine in servers.items()}
    fewer = [
        f"{name} {share.plan.dp * count:,}" for name, count in most.items() if count < NEARLY * held
    ]
    if not fewer or asked <= min(most.values()):
        return ""
    said = "no engine's memory is counted; sequences at once as engines divide it: "
    return said + ", ".join(fewer)


def _servers(model: Model, device: Device, share: Share) -> dict[str, EngineMemory]:
    """How the engines that serve this model on this device in this layout divide its memory."""
    return {
        engine.name: engine_memory(engine.name, device, None)[0]
        for engine in ENGINES
        if _runs(engine, model, device, share)
    }


def _most(memory: EngineMemory, share: Share, load: Load) -> int:
    """The most sequences of which an engine holds the cache, whatever it runs at once: in full, or
    as they are met where that is asked."""
    if load.cached:
        running = memory.running(share, load)
        return LARGEST if running is None else int(running)
    return largest(lambda count: bool(memory.memory(share, replace(load, sequences=count)).fits))


def _runs(engine: Engine, model: Model, device: Device, share: Share) -> bool:
    """Whether an engine serves this model on this device in this layout."""
    if not (engine.serves and has_options(engine.name)) or no_device(engine, device):
        return False
    if no_layout(engine, share.plan, device) or (engine.splits == "layers" and share.plan.tp > 1):
        return False
    return not lacking(engine, model, device)[0] and not unread(engine, model, device, None)
