"""What of an iteration no fitted run had, or nobody said, and how much wider that makes its
intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.seen import tells_format
from thermoflop.cost.hardware.device import architecture_named
from thermoflop.cost.training.iteration import EAGER
from thermoflop.cost.training.memory import TrainingMemory, training_memory

if TYPE_CHECKING:
    from thermoflop.cost.catalogue.profile import Profile, Spread
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.training.iteration import Iteration

KINDS = {"experts": "a mixture of experts", "stateful": "layers with a state"}
POOLED = "default"
OF_DEVICE = ("device", "architecture")


def unseen_in_training(iteration: Iteration, profile: Profile) -> tuple[str, ...]:
    """What of an iteration none of the fitted runs had, by the names of ``seen.EXTRA``."""
    names = [*_of_device(iteration.device, profile)]
    if not tells_format(profile.group_offsets, iteration.precision):
        names.append("format")
    if iteration.lora is not None:
        names.append("adapters")
    if not iteration.compiled and iteration.engine not in EAGER:
        names.append("eager")
    return tuple(names)


def _of_device(device: Device, profile: Profile) -> tuple[str, ...]:
    """What is new of a device that other devices told nothing of: a trainer that ran on two
    architectures was judged on each by the other, trainers together by other trainers alone. The
    names of TPUs, whose generations differ as much, and of AMD's devices tell no architecture."""
    known = _moved(profile, "device")
    kinds = {architecture_named(name) or name for name in known}
    pooled = len(_moved(profile, "label")) > 1
    if device.name in known or (len(kinds) > 1 and not pooled):
        return ()
    return OF_DEVICE[: 1 if architecture_named(device.name) in kinds else 2]


def _moved(profile: Profile, group: str) -> set[str]:
    """Names of a kind of groups that a profile was fitted to."""
    parts = (name.partition(":") for name in profile.group_offsets)
    return {name for kind, _, name in parts if kind == group}


def interval_of_training(profile: Profile, device: Device, unseen: tuple[str, ...]) -> Spread:
    """The spread of iterations. On a device like none of the fit it is at least what is known of
    others, wider by the device: what other trainers expect of it may have met it by luck."""
    of_device = tuple(name for name in unseen if name in OF_DEVICE)
    elsewhere = profile.interval("iteration", device)
    here = (profile.intervals.get("iteration") or profile.intervals["all"]).wider(of_device)
    low, high = min(elsewhere.low, here.low), max(elsewhere.high, here.high)
    widest = replace(elsewhere, low=low, high=high) if of_device else elsewhere
    return widest.wider(tuple(name for name in unseen if name not in OF_DEVICE))


def memory_of(iteration: Iteration, loss: str | None) -> TrainingMemory:
    """The memory of an iteration. Where neither its loss nor its trainer was said, the low end of
    the interval is that of a loss which holds no logits (Liger, Unsloth)."""
    memory = training_memory(iteration)
    if loss is not None or iteration.engine != POOLED:
        return memory
    least = training_memory(replace(iteration, loss="fused"))
    share = (least.low_bytes - memory.state_bytes) / (memory.total_bytes - memory.state_bytes)
    return replace(memory, spread=(min(share, memory.spread[0]), memory.spread[1]))


def unmeasured(iteration: Iteration, profile: Profile, unseen: tuple[str, ...]) -> list[str]:
    """What of it was not measured, in parts of a sentence, beyond what its profile says."""
    parts, kind = [], iteration.kind
    if kind and "/" not in profile.name:
        whose = "none of them of {}: rates of other trainers, interval widened"
        said = whose if profile.devices else "interval widened for {}"
        parts.append(said.format(KINDS[kind]))
    if "device" in unseen and not profile.devices:
        parts.append(f"none of them on {iteration.device.name}: interval widened")
    if f"device:{iteration.device.name}" in {*profile.borrowed} - {*profile.group_offsets}:
        parts.append("what that device adds is other trainers'")
    if "format" in unseen:
        parts.append("interval widened for the format")
    if "adapters" in unseen:
        beside = "no run of adapters beside frozen weights (LoRA) was measured"
        parts.append(f"{beside}: interval widened")
    if "eager" in unseen:
        parts.append(f"the only runs not compiled are {', '.join(EAGER)}'s: interval widened")
    if iteration.source is not None:
        parts.append("no run of an encoder with a decoder was measured")
    return parts
