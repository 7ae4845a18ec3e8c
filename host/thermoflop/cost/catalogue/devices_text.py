"""The catalogue of devices for people and as JSON."""

from __future__ import annotations

from typing import Any

from thermoflop.base.record import plain
from thermoflop.base.units import digits, shortened, table, wrapped
from thermoflop.cost.catalogue.devices import as_device, catalogue, devices_like
from thermoflop.cost.hardware.device import Device
from thermoflop.errors import InputError

LEAST = ("", "ridge", "int8", "link", "fp32")  # what a narrow page goes without, in order
_FORMATS = ("fp32", "bf16", "fp8", "int8")


def devices_text(devices: list[Device]) -> str:
    """One line a device: memory, bandwidth, dense peaks, links, power, ridge."""
    head = ["device", "GB", "GB/s", *(f"{name}" for name in _FORMATS), "link", "W", "ridge", ""]
    rows = [head, *(_row(device) for device in devices)]
    notes = (
        "peaks in dense TFLOP/s; link in GB/s, one way; ridge in FLOP/byte at bf16 or fp16;\n"
        "r: numbers of the data sheet partly recalled, not read. GB is 1e9 bytes."
    )
    number = "1 device" if len(devices) == 1 else f"{len(devices)} devices"
    return f"{table(rows, gap=' ', least=LEAST)}\n\n{number}; {notes}"


def _row(device: Device) -> list[str]:
    peaks = [_peak(device, name) for name in _FORMATS]
    wide = "bf16" if ("bf16" in device.peaks or "fp16" in device.peaks) else ""
    return [
        shortened(device.name, 30),
        digits(device.memory_bytes / 1e9),
        digits(device.bandwidth_bytes_s / 1e9),
        *peaks,
        "-" if device.link_bytes_s is None else digits(device.link_bytes_s / 1e9),
        "-" if device.power_w is None else digits(device.power_w),
        digits(device.ridge(wide)) if wide else "-",
        "" if device.confidence == "read" else "r",
    ]


def _peak(device: Device, name: str) -> str:
    peak = device.peaks.get(name) or (device.peaks.get("fp16") if name == "bf16" else None)
    return "-" if peak is None else digits(peak / 1e12)


def device_text(device: Device) -> str:
    """Everything known of one device, with its source."""
    lines = [device.name]
    for name, value in plain(device).items():
        if name in ("name", "read", "source") or value in (None, "", [], 0.0):
            continue
        if name == "peaks":
            peaks = ", ".join(f"{key} {digits(peak / 1e12)}" for key, peak in value.items())
            lines.append(f"  dense TFLOP/s: {peaks}")
        else:
            lines.append(f"  {_said(name, value)}")
    kind = device.name.partition("-")[0]
    alike = [name for name in catalogue() if name.startswith(kind) and name != device.name]
    if "-" in device.name and alike:
        lines.append(f"  others of this kind: {', '.join(alike)}")
    lines.append(f"  read in the source: {', '.join(device.read) or 'nothing'}")
    lines.append(f"  source: {device.source}")
    return "\n".join(wrapped(line, "    ") for line in lines)


# What the name of a figure ends in, with what it is divided by and its unit then.
_UNITS = {
    "_bytes_s": (1e9, "GB/s"), "_bytes": (1e9, "GB"), "_flops_s": (1e12, "TFLOP/s"),
    "_mhz": (1.0, "MHz"), "_w": (1.0, "W"), "_c": (1.0, "°C"),
}  # fmt: skip
_SAID = {
    "link_bytes_s": "link bandwidth", "half_accumulate_flops_s": "fp16 summed in fp16",
    "max_c": "highest operating", "memory_kind": "kind of memory",
}  # fmt: skip


def _said(name: str, value: Any) -> str:
    """A fact of a device, with its unit."""
    for ending, (scale, unit) in _UNITS.items():
        if name.endswith(ending):
            what = _SAID.get(name, name.removesuffix(ending).replace("_", " "))
            return f"{what}: {digits(value / scale)} {unit}"
    said = f"{value:g}" if isinstance(value, float) else value
    return f"{_SAID.get(name, name)}: {said}"


def devices_named(names: list[str]) -> tuple[list[Device], bool]:
    """The devices of those names, or all; and whether they are a list: all, or those of a maker,
    of a size of memory, or with words in common."""
    if not names:
        return list(catalogue().values()), True
    try:
        return [as_device(name) for name in names], False
    except InputError:
        like = devices_like(" ".join(names))
        if not like:
            raise
        return like, True


def devices_json(devices: list[Device]) -> list[dict[str, Any]]:
    """Everything known of each."""
    return [plain(device) for device in devices]
