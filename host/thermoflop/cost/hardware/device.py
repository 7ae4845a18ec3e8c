"""Devices: what a data sheet promises, with where each number was read.

Peaks are dense (no sparsity) and per device; bandwidth is of device memory; ``link_bytes_s`` is one
direction of the links to other devices. GB is 1e9 bytes. The catalogue is ``data/devices.json``; a
device of one's own is a few lines of TOML::

    name = "My accelerator"
    memory_gb = 48
    bandwidth_gb_s = 900
    [dense_tflops]
    bf16 = 200

A machine that ``thermoflop calibrate`` measured is a device under the name of its profile.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from thermoflop.errors import InputError, UsageError
from thermoflop.base.record import record

if TYPE_CHECKING:
    from typing import Any

GIGA = 1e9
CALIBRATED = "thermoflop calibrate"  # the source of a device that was measured
TERA = 1e12
PCIE_BYTES_S = {"PCIe 3 x16": 16e9, "PCIe 4 x16": 32e9, "PCIe 5 x16": 64e9}
# Formats whose work runs on the unit of another one when a device does not name it.
SAME_UNIT = {"bf16": "fp16", "fp16": "bf16", "tf32": "fp32", "mxfp4": "fp4", "nvfp4": "fp4"}
_REQUIRED = ("memory_gb", "bandwidth_gb_s", "dense_tflops")
_NUMBERS = frozenset({
    "memory_gb", "bandwidth_gb_s", "half_accumulate_tflops", "link_gb_s", "cache_mb", "cores",
    "boost_mhz", "power_w", "idle_w", "max_c", "slowdown_c", "shutdown_c",
    "thermal_resistance_c_per_w",
})  # fmt: skip
_WORDS = frozenset({
    "name", "vendor", "memory_kind", "link", "pcie", "note", "source", "confidence",
})  # fmt: skip


@record
class Device:
    """One device. ``peaks`` are FLOP/s by number format; ``read`` names the fields that were read
    in the source, the others are recalled; ``confidence`` is ``read``, ``recalled`` or ``own``."""

    name: str
    memory_bytes: float
    bandwidth_bytes_s: float
    peaks: dict[str, float]
    vendor: str = ""
    memory_kind: str = ""
    half_accumulate_flops_s: float | None = None
    link: str = ""
    link_bytes_s: float | None = None
    pcie: str = ""
    cache_bytes: float = 0.0
    cores: int | None = None
    boost_mhz: float | None = None
    power_w: float | None = None
    idle_w: float | None = None
    max_c: float | None = None
    slowdown_c: float | None = None
    shutdown_c: float | None = None
    thermal_resistance_c_per_w: float | None = None
    note: str = ""
    source: str = ""
    read: tuple[str, ...] = ()
    confidence: str = "recalled"

    def peak(self, name: str) -> float:
        """Dense FLOP/s in a number format. UsageError for one that the device does not have."""
        found = self.peaks.get(name) or self.peaks.get(SAME_UNIT.get(name, ""))
        if found is None:
            known = ", ".join(self.peaks) or "none"
            raise UsageError(
                f"{self.name} does not compute in {name}: its peaks are known for {known}"
            )
        return found

    def ridge(self, name: str) -> float:
        """FLOPs per byte at which compute and memory take equally long (Williams 2009)."""
        return self.peak(name) / self.bandwidth_bytes_s

    @property
    def core_hz(self) -> float:
        """Cores times their clock: as many bytes a second as one byte per core and clock is.

        Where cores or clock are not known, 256 single-precision FLOPs per core and clock assumed.
        """
        if self.cores and self.boost_mhz:
            return self.cores * self.boost_mhz * 1e6
        return self.peaks.get("fp32", max(self.peaks.values(), default=1e12) / 16) / 256

    @property
    def fabric_bytes_s(self) -> float:
        """Bytes a second to another device: its links, else PCIe, else 16 GB/s assumed."""
        return self.link_bytes_s or PCIE_BYTES_S.get(self.pcie, 16e9)


def device_from(raw: dict[str, Any], name: str = "") -> Device:
    """A Device from the keys of the catalogue or of a TOML file. InputError names a bad one."""
    where = str(raw.get("name") or name or "the device")
    for key in _REQUIRED:
        if key not in raw:
            raise InputError(f"{where} lacks {key}: expected {', '.join(_REQUIRED)}")
    for key, value in raw.items():
        _check_field(where, key, value)
    peaks = {key: float(value) * TERA for key, value in raw["dense_tflops"].items()}
    optional = {
        key: raw[key]
        for key in (*_WORDS, *_NUMBERS)
        if key in _OPTIONAL and raw.get(key) is not None
    }
    return Device(
        name=where,
        memory_bytes=raw["memory_gb"] * GIGA,
        bandwidth_bytes_s=raw["bandwidth_gb_s"] * GIGA,
        peaks=peaks,
        half_accumulate_flops_s=_scaled(raw.get("half_accumulate_tflops"), TERA),
        link_bytes_s=_scaled(raw.get("link_gb_s"), GIGA),
        cache_bytes=raw.get("cache_mb", 0) * 1e6,
        read=tuple(raw.get("read", ())),
        **optional,
    )


_OPTIONAL = frozenset({
    "vendor", "memory_kind", "link", "pcie", "cores", "boost_mhz", "power_w", "idle_w", "max_c",
    "slowdown_c", "shutdown_c", "thermal_resistance_c_per_w", "note", "source", "confidence",
})  # fmt: skip


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _check_field(where: str, key: str, value: Any) -> None:
    """InputError for a key that is unknown or a value that makes no sense."""
    if key in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            raise InputError(f"{where}: {key}={value!r:.40} makes no sense: expected a number > 0")
    elif key == "dense_tflops":
        if not isinstance(value, dict):
            raise InputError(f"{where}: dense_tflops={value!r:.40} is no table of format = TFLOP/s")
        for name, peak in value.items():
            if isinstance(peak, bool) or not isinstance(peak, int | float) or not 0 < peak < 1e9:
                raise InputError(f"{where}: {name}={peak!r:.40} TFLOP/s makes no sense")
    elif key not in _WORDS and key != "read":
        known = ", ".join(sorted(_NUMBERS | _WORDS | {"dense_tflops"}))
        raise InputError(
            f"{where}: {key!r:.40} is no property of a device: expected one of {known}"
        )


_catalogue: dict[str, Device] = {}


def catalogue() -> dict[str, Device]:
    """Every device of the catalogue by name."""
    if not _catalogue:
        from thermoflop.cost.data import read_data

        data = read_data("devices")
        for raw in data["devices"]:
            device = device_from({**raw, "source": data["sources"][raw["source"]]})
            _catalogue[device.name] = device
    return dict(_catalogue)


# What people call them, in lower case without spaces, dashes and brackets.
ALIASES = {
    "a100": "A100-SXM-80GB",
    "a10080gb": "A100-SXM-80GB",
    "a100sxm": "A100-SXM-80GB",
    "a10040gb": "A100-SXM-40GB",
    "a100pcie": "A100-PCIe-80GB",
    "a10g": "A10G (AWS)",
    "v100": "V100-SXM2-32GB",
    "h100": "H100-SXM-80GB",
    "h100sxm": "H100-SXM-80GB",
    "h100pcie": "H100-PCIe-80GB",
    "h100nvl": "H100-NVL-94GB",
    "h200": "H200-SXM-141GB",
    "h20": "H20-96GB",
    "h800": "H800-SXM-80GB",
    "b100": "B100-SXM",
    "b200": "B200-SXM",
    "b300": "B300-SXM",
    "gb200": "GB200 (per GPU)",
    "gb300": "GB300 (per GPU)",
    "gh200": "GH200-96GB",
    "a6000": "RTX A6000",
    "30708gb": "RTX 3070",
    "308010gb": "RTX 3080",
    "3080ti12gb": "RTX 3080 Ti",
    "rtx4000ada20gb": "RTX 4000 Ada",
    "7900xtx": "RX 7900 XTX",
    "jetsonorin": "Jetson AGX Orin 64GB",
    "m2ultra": "Apple M2 Ultra (76c)",
    "tpuv6e": "TPU v6e (Trillium)",
}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def find_device(name: str) -> Device:
    """The device of that name, alias, or TOML file. InputError, with the nearest, if there is none.

    Case, spaces and dashes do not matter, nor a leading ``NVIDIA`` or ``GeForce``.
    """
    if not isinstance(name, str) or not name:
        raise InputError(f"{name!r:.60} is no device: expected a name such as h100, or a TOML file")
    if name.endswith(".toml") or os.sep in name:
        return read_device(name)
    devices = catalogue()
    wanted = whole = _plain(name)
    for word in ("nvidia", "geforce", "amd"):
        wanted = wanted.removeprefix(word)
    alias = ALIASES.get(wanted)
    if alias is not None:
        return devices[alias]
    plain = {_plain(known): device for known, device in devices.items()}
    for key in (whole, wanted, f"rtx{wanted}", f"apple{wanted}"):
        if key in plain:
            return plain[key]
    from thermoflop.cost.catalogue.machine import find_own

    own = find_own(name)
    if own is not None:
        return own.device
    starts = [device for key, device in plain.items() if wanted and key.startswith(wanted)]
    if len(starts) == 1:
        return starts[0]
    raise _unknown(name, wanted, plain)


def is_known(name: str) -> bool:
    """Whether the catalogue has a device of that name or alias."""
    wanted = _plain(name)
    return wanted in ALIASES or wanted in {_plain(known) for known in catalogue()}


def _unknown(name: str, wanted: str, plain: dict[str, Device]) -> InputError:
    from difflib import get_close_matches

    near = get_close_matches(wanted, [*plain, *ALIASES], 3, 0.5)
    names = [plain[key].name if key in plain else ALIASES[key] for key in near]
    hint = f"nearest: {', '.join(dict.fromkeys(names))}; " if names else ""
    return InputError(
        f"{name!r:.60} is not in the catalogue of devices; {hint}"
        "see 'thermoflop gpus', or describe it in a TOML file"
    )


def read_device(path: str) -> Device:
    """A device of one's own, from a TOML file. InputError for what it is not."""
    import tomllib

    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs more than reading it
            raw = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no device in TOML: {error}") from error
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    return device_from({"confidence": "own", "source": path, **raw}, name)


def as_device(hardware: str | Device) -> Device:
    """A Device, from itself or its name."""
    return hardware if isinstance(hardware, Device) else find_device(hardware)
