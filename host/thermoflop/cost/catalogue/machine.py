"""Profiles of one's own machines: where they are kept, how they are read, what is checked.

``thermoflop calibrate`` writes one; it is a device (``--gpu mine``) and the rates of an engine on
it (``--profile mine``) in one JSON file of the user's configuration folder: ``thermoflop/profiles``
under XDG_CONFIG_HOME, else ``~/.config``, ``~/Library/Application Support`` or ``%APPDATA%``.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from thermoflop.base.record import record
from thermoflop.cost.engines.engine import Engine
from thermoflop.cost.hardware.device import CALIBRATED, Device, device_from
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.roofline.curves import Curves, Table
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

FORMAT = 1
KIND = "machine profile"
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


@record
class Level:
    """Working sets of up to ``bytes`` move at ``bytes_s`` at best."""

    bytes: float
    bytes_s: float


@record
class MachineProfile:
    """A calibrated machine: its device, the backend that was measured on it, and what was found.

    ``spread`` holds low, high and number of held-out measurements by phase; ``made`` says when, on
    which machine and with which libraries.
    """

    name: str
    device: Device
    engine: Engine
    dtype: str
    efficiency: Efficiency
    curves: Curves
    levels: tuple[Level, ...]
    spread: dict[str, tuple[float, float, int]]
    made: dict[str, Any]

    @property
    def backend(self) -> str:
        """``numpy`` or ``torch``."""
        return str(self.made.get("backend"))

    @property
    def is_of_this_machine(self) -> bool:
        """Whether it was measured on the machine that asks."""
        return bool(self.made.get("machine") == machine())

    @property
    def provenance(self) -> str:
        """What it rests on, in a sentence."""
        made, where = self.made, self.made["machine"]
        libraries = ", ".join(f"{name} {made['libraries'][name]}" for name in made["libraries"])
        parts = [
            f"profile {self.name}: {made['measurements']} measurements of {libraries} in "
            f"{self.dtype} on {where['node']} ({where['processor']}, {where['cpus']} CPUs"
            + (f", {where['gpu']}" if where.get("gpu") else "")
            + f"), {made['utc'][:10]}"
        ]
        if made.get("quick"):
            parts.append("a quick calibration")
        if not self.is_of_this_machine and not where.get("gpu"):
            parts.append("not this machine")
        return "; ".join(parts)


def folder() -> str:
    """Where profiles of one's own are kept, by the platform's convention."""
    stated = os.environ.get("XDG_CONFIG_HOME")
    if stated and os.path.isabs(stated):  # noqa: PTH117 - the convention ignores relative ones
        base = stated
    elif sys.platform == "win32":
        base = os.environ.get("APPDATA") or os.path.expanduser("~")  # noqa: PTH111
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Application Support")  # noqa: PTH111
    else:
        base = os.path.expanduser("~/.config")  # noqa: PTH111
    return os.path.join(base, "thermoflop", "profiles")  # noqa: PTH118


def path_of(name: str) -> str:
    """The file of a profile. UsageError for what is no name."""
    low = name.strip().lower()
    if not low or len(low) > 40 or not set(low) <= _LETTERS or low.startswith((".", "-")):
        raise UsageError(
            f"{name!r:.60} is no name of a profile: expected up to 40 letters, digits, - and _"
        )
    return os.path.join(folder(), f"{low}.json")  # noqa: PTH118


def machine_profile_names() -> list[str]:
    """The profiles that are kept."""
    try:
        names = os.listdir(folder())  # noqa: PTH208
    except OSError:
        return []
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


REMEDY = "make it again with 'thermoflop calibrate'"
_FAULTS = (KeyError, TypeError, ValueError, AttributeError, IndexError, InputError, UsageError)


def machine_profile_from(raw: Any, path: str) -> MachineProfile:
    """A profile from its JSON object. InputError names what is wrong with it."""
    return checked(raw, path, KIND, _own)


def checked(raw: Any, path: str, kind: str, make: Callable[[dict[str, Any]], T]) -> T:
    """What ``make`` makes of a JSON object of this kind. InputError names what is wrong with it."""
    if not isinstance(raw, dict) or raw.get("kind") != kind:
        raise InputError(f"{path} is no {kind} ({REMEDY})")
    if raw.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {raw.get('format')!r:.20}, this version reads {FORMAT} ({REMEDY})"
        )
    try:
        return make(raw)
    except _FAULTS as error:
        raise InputError(f"{path} is damaged: {error!r:.120} ({REMEDY})") from error


def _own(raw: dict[str, Any]) -> MachineProfile:
    made = raw["made"]
    for key in ("utc", "machine", "libraries", "measurements", "backend"):
        made[key]
    _ = {key: made["machine"][key] for key in ("node", "processor", "cpus")}
    launch_s = _within(raw["launch_s"], 0, 10)
    tables = {
        str(key): Table(
            tuple(map(float, table["rows"])),
            tuple(map(float, table["sizes"])),
            tuple(tuple(map(float, line)) for line in table["seconds"]),
        )
        for key, table in raw["tables"].items()
    }
    device = device_from({"confidence": "own", "source": CALIBRATED, **raw["device"]})
    levels = tuple(
        Level(_within(each["bytes"], 1, 1e18), _within(each["bytes_s"], 1, 1e18))
        for each in raw["levels"]
    )
    spread = {}
    for phase, (low, high, rows) in raw["spread"].items():
        spread[str(phase)] = (_within(low, 1e-3, 1e3), _within(high, 1e-3, 1e3), int(rows))
    if not spread or not levels or "all" not in spread:
        raise ValueError("it has no spread or no levels of memory")
    efficiency = Efficiency(kernel_gap_s=launch_s, step_s=_within(raw["step_s"], 0, 100))
    fixed = {str(key): _within(value, 0, 10) for key, value in raw["fixed"].items()}
    curves = Curves(
        tables, fixed, launch_s, _within(raw["scale"], 1e-3, 1e3), device.bandwidth_bytes_s
    )
    choose_precision(raw["dtype"])
    return MachineProfile(
        str(raw["name"]), device, Engine(str(raw["name"]), (), kernels=str(raw["kernels"])),
        str(raw["dtype"]), efficiency, curves, levels, spread, made,
    )  # fmt: skip


def _within(value: Any, low: float, high: float) -> float:
    number = float(value)
    if not low <= number <= high:
        raise ValueError(f"{value!r:.40} is not between {low:g} and {high:g}")
    return number


def machine(gpu: str = "") -> dict[str, Any]:
    """What tells machines apart: name, processor, number of CPUs, and the GPU if one is meant."""
    import platform

    identity: dict[str, Any] = {
        "node": platform.node(),
        "processor": _processor() or platform.processor() or platform.machine(),
        "cpus": os.cpu_count() or 1,
    }
    return {**identity, "gpu": gpu} if gpu else identity


def _processor() -> str:
    """The processor's name where the system tells it in a file."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return ""
