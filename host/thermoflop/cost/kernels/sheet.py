"""What a kernel's time is made of on a device: rates of its sheet, and which architecture it is."""

from __future__ import annotations

from math import hypot

from thermoflop.cost.hardware.device import Device, architecture_named

# What measured kernels call an architecture; others as they are. The RTX PRO of Blackwell and the
# RTX 50 have other tensor cores than B200 (compute capability 12.0 against 10.0).
_CALLED = {"consumer ampere": "ampere", "consumer blackwell": "blackwell-rtx"}
CLOCK_HZ = 1.9e9  # where a sheet has none
EXP_PER_CYCLE = 16.0  # exponentials a core and cycle (CUDA C++ Programming Guide, throughput table)
DOUBLED_EXP = ("b300", "gb300")  # NVIDIA: Blackwell Ultra doubles the rate for attention
PAIR_FLOPS = 4 * 128.0  # of a query and a key of 128 dimensions, for one exponential


def architecture_of(device: Device) -> str:
    """The architecture of a device by its name; its own name where that is not known."""
    name = architecture_named(device.name) or device.name
    return _CALLED.get(name, name)


def sheet_of(device: Device) -> dict[str, float]:
    """Rates of a device that the forms read; ``peak`` depends on the format and is not here."""
    peaks = device.peaks
    return {
        "bandwidth": device.bandwidth_bytes_s,
        "clock": _clock_hz(device),
        "cores": float(device.cores or 128),
        "on_chip_bytes": device.cache_bytes,
        "exp": _exponentials(device),
        "link": device.fabric_bytes_s,
        "peak16": peaks.get("bf16") or peaks.get("fp16") or max(peaks.values()),
    }


def attention_flops_s(device: Device, peak_flops_s: float) -> float:
    """FLOP/s of attention whose products take turns with their exponentials, as in the form of
    measured kernels (``attention.prompt_s``); that of the products where cores are not known, and
    of other makers' devices."""
    if not (device.vendor == "NVIDIA" and device.cores):
        return peak_flops_s
    exponentials_s = device.cores * _clock_hz(device) * _exponentials(device)
    return hypot(1 / peak_flops_s, 1 / (PAIR_FLOPS * exponentials_s)) ** -1


def _clock_hz(device: Device) -> float:
    return device.boost_mhz * 1e6 if device.boost_mhz else CLOCK_HZ


def _exponentials(device: Device) -> float:
    """Exponentials of a core in a cycle."""
    return EXP_PER_CYCLE * (2.0 if device.name.lower().startswith(DOUBLED_EXP) else 1.0)
