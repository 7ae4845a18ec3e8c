"""What was asked of a fit and changes nothing in it, in sentences."""

from __future__ import annotations

from thermoflop.cost.engines.footprint import placement_of
from thermoflop.cost.engines.placement import placed_layers
from thermoflop.cost.work.share import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.inference.room import Room


def idle_options(room: Room, host_gb_s: float | None, devices: int, *, hosted: bool) -> list[str]:
    """Options of llama.cpp for experts that a model lacks, and a bandwidth of the host where no
    speed is made of it; ``hosted``: one is."""
    options = {} if room.engine is None else room.engine.options
    asked = [f"n_cpu_moe={count}"] if (count := options.get("n_cpu_moe")) else []
    asked += ["cpu_moe=true"] if options.get("cpu_moe") else []
    said = []
    if asked and not any(layer.expert_bytes for layer in placed_layers(room.share(Layout()))):
        verb = "changes" if len(asked) == 1 else "change"
        said.append(f"{' and '.join(asked)} {verb} nothing: {room.model.name} has no experts")
    if host_gb_s is not None and not hosted:
        said.append(f"the host's bandwidth changes nothing: {_reason(room, devices)}")
    return said


def _reason(room: Room, devices: int) -> str:
    """Why no speed is made of a bandwidth."""
    if room.asked is not None and (room.engine is None or room.engine.key != "llama.cpp"):
        return "llama.cpp and Ollama alone leave layers in the computer's memory"
    left = room.engine and placement_of(room.share(Layout()), room.engine.options)
    if devices > 1 and left and left.host_active_bytes:
        return "how fast several devices decode with layers in the computer's memory is not counted"
    return "no layer is left in the computer's memory"
