"""Without an engine named: which of those that are started as servers hold what is added up."""

from __future__ import annotations

from thermoflop.base.units import gigabytes
from thermoflop.cost.engines.abilities import no_device, no_layout
from thermoflop.cost.engines.budget import engine_memory, has_options
from thermoflop.cost.engines.engine import ENGINES, Engine
from thermoflop.cost.inference.formats import lacking, unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.engines.footprint import Load
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.work.share import Share
    from thermoflop.model.model import Model


def not_started(model: Model, device: Device, share: Share, load: Load) -> str:
    """A sentence on the servers that run the model on a device and do not hold a load that fits as
    it is added up; "" where all do."""
    held = {
        engine.name: engine_memory(engine.name, device, None)[0].memory(share, load)
        for engine in ENGINES
        if _runs(engine, model, device, share)
    }
    lacks = [name for name, memory in held.items() if not memory.fits]
    if not lacks:
        return ""
    name = lacks[0]
    sizes = f"{gigabytes(held[name].total_bytes)} of {gigabytes(held[name].capacity_bytes)}"
    return f"added up alone: {' and '.join(lacks)} would not hold it (as {name} divides it {sizes})"


def _runs(engine: Engine, model: Model, device: Device, share: Share) -> bool:
    """Whether an engine serves this model on this device in this layout."""
    if not (engine.serves and has_options(engine.name)) or no_device(engine, device):
        return False
    if no_layout(engine, share.plan, device) or (engine.splits == "layers" and share.plan.tp > 1):
        return False
    return not lacking(engine, model, device)[0] and not unread(engine, model, device, None)
