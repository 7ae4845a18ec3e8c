"""From the name that NVML gives a GPU to the device of the catalogue, or to none.

NVML's names leave out what the catalogue tells apart ("NVIDIA H100 80GB HBM3" is the SXM one), and
cards of two memory sizes may share one, so the memory that NVML reports must be the device's. The
names stand with the devices; those here are spellings of drivers and machines besides.
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
    "h10080gbhbm3": "H100-SXM-80GB",
    "gh200480gb": "GH200-96GB",
    "gh200144ghbm3e": "GH200-144GB (141 usable)",
    "b300sxm6ac": "B300-SXM",
    "rtxpro6000blackwellserver": "RTX 6000 Pro Blackwell Server",
    "orinnvgpu": "Jetson AGX Orin 64GB",
}
_MEMORY_TOLERANCE = 0.12  # a driver keeps some for itself, and GB are not GiB


def catalogue_device(name: str, memory_bytes: float | None = None) -> Device | None:
    """The device of the catalogue that NVML calls ``name`` and that has such a memory."""
    from thermoflop.cost.catalogue.devices import devices_called

    key = _key(name)
    devices = [
        device for called in (_OTHERWISE.get(key, name), key) for device in devices_called(called)
    ]
    if memory_bytes is None:
        return devices[0] if devices else None

    def apart(device: Device) -> float:
        return abs(memory_bytes / device.memory_bytes - 1)

    nearest = min(devices, key=apart, default=None)
    return nearest if nearest is not None and apart(nearest) <= _MEMORY_TOLERANCE else None


def device_here() -> tuple[str, Device | None]:
    """What NVML calls the first GPU of this machine, and its device. Raises NoGpu."""
    from thermoflop.runs.gpu.nvml import Gpus

    gpus = Gpus()
    facts = gpus.open(0).facts()
    gpus.close()
    name = str(facts.get("name"))
    return name, catalogue_device(name, facts.get("memory_bytes"))


def _key(name: str) -> str:
    words = name.lower().replace("-", " ").split()
    kept = [word for word in words if word not in (*_MAKERS, *_ENDINGS)]
    return "".join(letter for word in kept for letter in word if letter.isalnum())
