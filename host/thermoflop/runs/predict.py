"""What a run should cost, written into it before its command starts.

A ``Wish`` says which model on which device; ``predict`` answers it as plain values for run.json:
for every quantity the bound, the expectation and its 80 % interval as ``tf.estimate`` gives them,
and what one token takes (FLOPs and bytes, over all devices), from which MFU and MBU follow when the
run says its tokens. Where no device is named it is the one that NVML names, if that is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import attributes
from thermoflop.errors import InputError, ThermoflopError, UsageError
from thermoflop.runs.facts import now
from thermoflop.runs.gpu.known import catalogue_device

if TYPE_CHECKING:
    from os import PathLike

    from thermoflop.base.sheet import Value
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.model.model import Model


@dataclass(frozen=True, slots=True)
class Wish:
    """A prediction that is asked for; ``options`` are those of ``tf.estimate``.

    ``hardware`` is a device, its name or a TOML file; None means the GPU of this machine.
    """

    model: Model | str | PathLike[str] | dict[str, Any]
    hardware: str | Device | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    is_guess: bool = False  # read off the command: where it cannot be made, the run goes on without


def predict(
    wish: Wish, gpus: Sequence[Mapping[str, Any]], no_gpu: str | None = None
) -> dict[str, Any]:
    """The predictions for run.json; ``gpus`` are NVML's facts, ``no_gpu`` why there are none.

    UsageError, in one sentence, when they cannot be made.
    """
    from thermoflop.cost.inference.estimate import estimate

    try:
        device, source = _device(wish, gpus, no_gpu)
        reads_gpus = _is_this(device, wish, gpus)
        estimated = estimate(wish.model, device, **wish.options)
        return {
            "model": estimated.model_name,
            "hardware": estimated.device.name,
            "hardware_source": source,
            "reads_gpus": reads_gpus,
            "devices": estimated.plan.devices,
            "plan": estimated.plan.label,
            "dtype": estimated.precision.name,
            **attributes(estimated, "batch", "prompt", "generate"),
            "profile": estimated.provenance,
            "conventions": dict(estimated.conventions),
            "made": now(),
            "quantities": _quantities(estimated),
            "work": _work(estimated),
            "shortfall_bytes": float(estimated.memory.shortfall_bytes),
        }
    except ThermoflopError as error:
        kind = InputError if isinstance(error, InputError) else UsageError
        raise kind(f"no prediction can be made: {error}") from error


def _device(
    wish: Wish, gpus: Sequence[Mapping[str, Any]], no_gpu: str | None
) -> tuple[Device, str]:
    from thermoflop.cost.catalogue.devices import as_device

    if wish.hardware is not None:
        device = as_device(wish.hardware)
        named = isinstance(wish.hardware, str)
        return device, "named" if named else device.source or "given"
    hint = "name a device with --hardware (see `thermoflop gpus`)"
    names = list(dict.fromkeys(str(gpu["name"]) for gpu in gpus if gpu.get("name")))
    if not names:
        raise UsageError(f"there is no GPU to predict for ({no_gpu or 'none was found'}); {hint}")
    if len(names) > 1:
        raise UsageError(f"the GPUs of this machine differ ({', '.join(names)}); {hint}")
    known = catalogue_device(names[0], gpus[0].get("memory_bytes"))
    if known is None:
        raise UsageError(f"this machine's GPU {names[0]!r} is not in the catalogue; {hint}")
    return known, f"NVML calls it {names[0]!r}"


def _is_this(device: Device, wish: Wish, gpus: Sequence[Mapping[str, Any]]) -> bool:
    """Whether what this machine's GPUs tell is about the device that was predicted for.

    A GPU that the catalogue does not know is taken for the device that was named.
    """
    known = [catalogue_device(str(gpu.get("name")), gpu.get("memory_bytes")) for gpu in gpus]
    names = {None if one is None else one.name for one in known}
    if names <= {None}:
        return bool(gpus) and (wish.hardware is None or isinstance(wish.hardware, str))
    return names == {device.name}


# The quantities of a record, and the figures of an estimate's sheet that they are.
_QUANTITIES = {
    "ttft_s": "first.expected",
    "token_s": "token.expected",
    "decode_tokens_per_s": "rate.decode",
    "total_s": "total.expected",
    "tokens_per_s": "rate.all",
    "joules_per_token": "energy.token",
    "power_w": "energy.power",
    "rise_c": "energy.rise",
}


def _quantities(estimate: Estimate) -> dict[str, dict[str, float | None]]:
    """Each predicted quantity with bound, expectation and interval, None where there is none."""
    from thermoflop.base.sheet import figures_of
    from thermoflop.cost.inference.result import estimate_sheet

    figures = {figure.key: figure for figure in figures_of(estimate_sheet(estimate))}
    if estimate.generate == 0:
        figures.pop("energy.token", None)  # the sheet's is then the energy of a sequence
    quantities = {
        name: _values(figure.bound, figure.value, figure.low, figure.high)
        for name, key in _QUANTITIES.items()
        if (figure := figures.get(key))
    }
    total_bytes = estimate.memory.total_bytes
    return {**quantities, "memory_bytes": _values(None, total_bytes, None, None)}


def _values(bound: Value, expected: Value, low: Value, high: Value) -> dict[str, float | None]:
    named = {"bound": bound, "expected": expected, "low": low, "high": high}
    return {name: None if value is None else float(value) for name, value in named.items()}


def _work(estimate: Estimate) -> dict[str, Any]:
    """FLOPs and bytes of one token in prefill and decode over all devices, and their peak rates.

    FLOPs are those of contractions, bytes those of weights and cache that must be read: what MFU
    and MBU count. A decode step is the one in the middle of the generation.
    """
    from thermoflop.cost.roofline.bound import sums_of
    from thermoflop.cost.work.steps import decode_step, middle_context

    setting, plan, prompt = estimate.setting, estimate.plan, estimate.prompt
    sequences = estimate.batch / plan.dp
    copies = plan.tp * plan.cp  # the stages of a pipeline share the layers, these split each one
    reading = setting.plain_works(setting.whole_prompt(prompt, sequences))
    steps = {"prefill": (reading, sequences * prompt)}
    if estimate.generate > 1:
        middle = middle_context(prompt, estimate.generate)
        steps["decode"] = (setting.plain_works(decode_step(middle, sequences)), sequences)
    work: dict[str, Any] = {
        "peak_flops_per_s": plan.devices * estimate.device.peak(estimate.precision.compute),
        "peak_bytes_per_s": plan.devices * estimate.device.bandwidth_bytes_s,
    }
    for phase, (works, tokens) in steps.items():
        sums = sums_of(works)
        moved = sums.weight_bytes + sums.kv_bytes
        work[phase] = {
            "flops_per_token": float(sums.flops * copies / tokens),
            "bytes_per_token": float(moved * copies / tokens),
        }
    return work
