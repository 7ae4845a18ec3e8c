"""From the name that NVML gives a GPU to the device of the catalogue, or to none.

NVML's names leave out what the catalogue tells apart ("NVIDIA H100 80GB HBM3" is the SXM one), so
the exceptions are listed, everything else must be the same word for word, and the memory that NVML
reports must be the device's. Names: those of NVIDIA's drivers, as ``nvidia-smi -L`` prints them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thermoflop.cost.hardware.device import Device

_MAKERS = ("nvidia", "tesla", "geforce", "quadro")
_ENDINGS = ("generation", "edition")
_OTHERWISE = {
    "a100sxm480gb": "A100-SXM-80GB",
    "a100sxm440gb": "A100-SXM-40GB",
    "a10080gbpcie": "A100-PCIe-80GB",
    "a10g": "A10G (AWS)",
    "h10080gbhbm3": "H100-SXM-80GB",
    "h100pcie": "H100-PCIe-80GB",
    "h100nvl": "H100-NVL-94GB",
    "h200": "H200-SXM-141GB",
    "h200nvl": "H200-NVL-141GB",
    "h20": "H20-96GB",
    "h800": "H800-SXM-80GB",
    "gh200480gb": "GH200-96GB",
    "gh200144ghbm3e": "GH200-144GB (141 usable)",
    "b100": "B100-SXM",
    "b200": "B200-SXM",
    "b300sxm6ac": "B300-SXM",
    "gb200": "GB200 (per GPU)",
    "gb300": "GB300 (per GPU)",
    "rtxpro6000blackwellserver": "RTX 6000 Pro Blackwell Server",
    "orinnvgpu": "Jetson AGX Orin 64GB",
}
_MEMORY_TOLERANCE = 0.12  # a driver keeps some for itself, and GB are not GiB


def catalogue_device(name: str, memory_bytes: float | None = None) -> Device | None:
    """The device of the catalogue that NVML calls ``name`` and that has such a memory."""
    from thermoflop.cost.catalogue.devices import catalogue

    known = catalogue()
    key = _key(name)
    device = known.get(_OTHERWISE.get(key, ""))
    if device is None:
        device = next((d for d in known.values() if _key(d.name) == key), None)
    if device is None or memory_bytes is None:
        return device
    near = abs(memory_bytes / device.memory_bytes - 1) <= _MEMORY_TOLERANCE
    return device if near else None


def _key(name: str) -> str:
    words = name.lower().replace("-", " ").split()
    kept = [word for word in words if word not in (*_MAKERS, *_ENDINGS)]
    return "".join(letter for word in kept for letter in word if letter.isalnum())
