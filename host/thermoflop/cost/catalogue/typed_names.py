"""Devices as people type them: ``m3 max 36gb``, ``2x3090``, ``a100 80gb pcie``, ``RTX 4090 24GB``.

A memory that is named chooses among devices of one name, or must be the device's own; machines that
are sold with several (Macs, processors) get the one that is named.
"""

from __future__ import annotations

import re
from functools import cache

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.sheets import device_names, sheet
from thermoflop.cost.hardware.device import Device, device_from
from thermoflop.errors import InputError

GIB = 2**30
_MEMORY = re.compile(r"(?<![a-z0-9.])(\d{1,4})\s*g(?:i?b)?(?![a-z0-9])")
_MAC_MEMORY = re.compile(r"\bm\d+\s*(?:pro|max|ultra)?\s+(\d{1,3})$")
_CORES = re.compile(r"(\d+)[ -]*cores?( gpu)?")
# What says nothing of which device it is, in a name of the catalogue or a typed one.
_FILLERS = re.compile(
    r"\b(nvidia|geforce|amd|apple|silicon|intel|core|instinct|tesla|radeon|arc|jetson|tpu|dgx|hgx|gpu|"
    r"mac(book)?( pro| air| mini| studio)?|imac|air|20[12]\d|\d\d[ -]?inch|oam|hbm[23]?e?|gddr\dx?|"
    r"vram|ram|unified|memory|vf|blackwell|edition|generation|graphics|card|[rg]tx|rx)\b|"
    r"\b([rg]tx|rx)(?=\d)|(?<=sxm)\d"
)
_TOLERANCE = 0.04  # of a memory: a driver keeps some for itself, and 141 GB of a GH200 are sold 144
# Memories, in GiB, that Apple sells with the smaller GPU of a chip alone (its technical
# specifications of the MacBook Pro of 2023 and 2024, recalled).
_SMALLER = {"Apple M3 Max (30c)": (36, 96), "Apple M4 Max (32c)": (36,)}


def find_typed(name: str) -> list[Device]:
    """The devices that a text may mean, the likeliest first; none for one that means nothing.

    InputError for a memory that the device does not have.
    """
    low = name.lower().replace("_", " ")
    said = _MEMORY.search(low) or _MAC_MEMORY.search(low)
    rest = low if said is None else f"{low[: said.start(1)]} {low[said.end() :]}"
    known, word = _called(), _key(rest)
    devices = [device_from(sheet(key)) for key in known.get(word, ()) if word]
    if said is None or not devices:
        return devices
    gib = int(said[1])
    exact = [each for each in devices if _holds(each, gib)]
    if exact:
        return [_with_memory(each, gib) for each in exact]
    longer = {key for begun, keys in known.items() if begun.startswith(word) for key in keys}
    longer = {key for key in longer if _holds(device_from(sheet(key)), gib)}
    if len(longer) == 1:
        return [device_from(sheet(longer.pop()))]
    largest = max(devices, key=lambda each: each.memory_bytes)
    if _is_sold_with_several(largest) and gib * GIB < largest.memory_bytes:
        return [_with_memory(devices[0], gib)]
    has = " or ".join(dict.fromkeys(f"{each.memory_bytes / GIB:.0f}" for each in devices))
    raise InputError(
        f"{name!r:.60}: {devices[0].name} has {has} GB of memory, not {gib}; a TOML file describes "
        "any other device"
    )


def _holds(device: Device, gib: int) -> bool:
    """Whether a device has a memory, in whichever GB it is meant, or is sold with it alone."""
    if device.name in _SMALLER:
        return gib in _SMALLER[device.name]
    if _is_sold_with_several(device):
        return device.memory_bytes == gib * GIB
    return any(abs(device.memory_bytes / size - 1) < _TOLERANCE for size in (gib * GIB, gib * 1e9))


def _is_sold_with_several(device: Device) -> bool:
    return device.vendor in ("Apple", "CPU") or device.name.startswith("AMD Ryzen")


def _with_memory(device: Device, gib: int) -> Device:
    """A machine that is sold with several memories, with that one."""
    bought = _is_sold_with_several(device)
    return replace(device, memory_bytes=float(gib * GIB)) if bought else device


@cache
def _called() -> dict[str, list[str]]:
    """The devices behind each name without fillers and memory, those that are called so first."""
    called, words = device_names(), dict[str, list[str]]()
    names = [(other, key) for key, others in called.items() for other in others]
    names += [(key, key) for key in called] + [(key.partition("(")[0], key) for key in called]
    for other, key in names:
        devices = words.setdefault(_key(_MEMORY.sub(" ", other.lower())), [])
        if key not in devices:
            devices.append(key)
    return words


def _key(name: str) -> str:
    plain = _FILLERS.sub(" ", _CORES.sub(r"\1c", name.replace("mobile", "laptop")))
    if "laptop" in plain:  # wherever it is said
        plain = plain.replace("laptop", " ") + " laptop"
    return "".join(letter for letter in plain if letter.isalnum())
