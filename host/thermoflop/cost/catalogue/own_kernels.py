"""Kernels that a user measured, in the place of an engine's fitted rates, one class at a time.

``thermoflop calibrate --kernels FILE --engine vllm`` keeps such a profile beside those of whole
machines: the engine whose profile it stands on, the device, and for each class of kernels the rates
of ``Efficiency`` that it replaces. What was not measured stays as the engine's profile has it.
"""

from __future__ import annotations

import os
from typing import Any

from thermoflop.base.files import read_json, write_text
from thermoflop.base.record import record
from thermoflop.cost.catalogue.machine import (
    REMEDY,
    MachineProfile,
    checked,
    folder,
    machine_profile_from,
    path_of,
)
from thermoflop.cost.hardware.device import Device, device_from
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.errors import InputError, StorageError, UsageError

KIND = "kernel profile"
# The classes that an estimate has rates of, and those that replace them.
REPLACED = {
    "gemm": ("matmul", "m_half", "weights"),
    "experts": ("expert_matmul", "expert_weights"),
    "decode attention": ("cache", "q_half"),
    "prompt attention": ("attention",),
    "all-reduce": ("link", "collective_s"),
}
# What of a question has to be as it was measured, by the names of ``Precision``.
ALIKE = {
    "gemm": "family",
    "experts": "family",
    "decode attention": "kv_bytes",
    "prompt attention": "activation_bytes",
}


@record
class Replaced:
    """The rates of one class in one format: ``alike`` is what ``ALIKE`` names, as measured.

    ``kernels`` were measured; the rates miss half of them by more than the share ``missed``.
    """

    kernels_class: str
    number: str
    alike: str | float | None
    kernels: int
    missed: float
    rates: dict[str, float]

    def holds(self, precision: Precision) -> bool:
        """Whether a question in these formats is one that was measured."""
        name = ALIKE.get(self.kernels_class)
        return name is None or getattr(precision, name) == self.alike


@record
class OwnKernels:
    """The measured classes of one device, and the engine on whose profile they stand.

    ``made`` says when, on which card and with which libraries, where that is known.
    """

    name: str
    engine: str
    device: Device
    replaced: tuple[Replaced, ...]
    made: dict[str, Any]

    def rates(self, device: Device, precision: Precision) -> dict[str, float]:
        """The rates that replace those of the engine's profile, by the names of ``Efficiency``."""
        rates: dict[str, float] = {}
        for each in self._holding(device, precision):
            rates |= each.rates
        if "weights" in rates:  # what cores take in is in what was measured
            rates["weight_bytes_per_core_cycle"] = float("inf")
        return rates

    def _holding(self, device: Device, precision: Precision) -> list[Replaced]:
        here = device.name == self.device.name
        return [each for each in self.replaced if here and each.holds(precision)]

    def sentence(self, device: Device, precision: Precision) -> str:
        """What of an expectation rests on them."""
        if device.name != self.device.name:
            return f"kernels of {self.name} are of {self.device.name}: none of their rates is used"
        holding = self._holding(device, precision)
        made = [self.made["utc"][:10]] if "utc" in self.made else []
        libraries = self.made.get("libraries", {})
        made += [f"{name} {version}" for name, version in libraries.items()]
        named = [
            f"{FORMS[each.kernels_class].label} in {each.number} ({each.kernels} kernels)"
            for each in holding
        ]
        rest = [FORMS[name].label for name in REPLACED
                if name not in {each.kernels_class for each in holding}]  # fmt: skip
        text = "; ".join(named) or "none in these formats"
        when = f" ({', '.join(made)})" if made else ""
        left = f"; as fitted: {', '.join(rest)}" if rest else ""
        return f"rates measured on your {device.name}{when}: {text}{left}"


def find_own(name: str) -> MachineProfile | OwnKernels | None:
    """The kept profile of that name, or None. InputError for one that cannot be used."""
    try:
        path = path_of(name)
    except UsageError:
        return None
    return read_own(path) if os.path.exists(path) else None  # noqa: PTH110


def read_own(path: str) -> MachineProfile | OwnKernels:
    """A profile from its file. InputError, in a sentence, for what is not one."""
    try:
        raw = read_json(path, "a profile of one's own")
    except InputError as error:
        raise InputError(f"{error} ({REMEDY})") from error
    return own_from(raw, path)


def own_from(raw: Any, path: str) -> MachineProfile | OwnKernels:
    """A profile from its JSON object. InputError names what is wrong with it."""
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        return machine_profile_from(raw, path)
    return checked(raw, path, KIND, _kernels_from)


def _kernels_from(raw: dict[str, Any]) -> OwnKernels:
    replaced = tuple(_replaced(each) for each in raw["classes"])
    if not replaced:
        raise ValueError("it replaces no rates")
    made = {**raw["made"]}
    if "utc" in made:
        made["utc"] = str(made["utc"])
    return OwnKernels(
        str(raw["name"]), str(raw["engine"]), device_from(raw["device"]), replaced, made
    )


def _replaced(raw: dict[str, Any]) -> Replaced:
    name = raw["class"]
    rates = {key: float(raw["rates"][key]) for key in REPLACED[name]}
    for key, value in rates.items():
        if not 0 < value < (1e6 if key in ("m_half", "q_half") else 1.0):
            raise ValueError(f"{key} {value!r:.40} makes no sense")
    alike = raw["alike"]
    if ALIKE.get(name) not in (None, "family"):
        alike = float(alike)
    return Replaced(
        name, str(raw["number"]), alike, int(raw["kernels"]), float(raw["missed"]), rates
    )


def write_own(raw: dict[str, Any]) -> str:
    """Keep a profile under its name, whole or not at all; the path. StorageError if it cannot."""
    import json

    path, text = path_of(str(raw["name"])), json.dumps(raw, indent=1)
    own_from(json.loads(text), path)  # what is written can be read
    try:
        os.makedirs(folder(), exist_ok=True)  # noqa: PTH103
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    write_text(path, f"{text}\n")
    return path
