"""Which GPUs are a command's own, and which are its neighbours'.

NVML names every GPU of the machine or container; CUDA gives a command those of
``CUDA_VISIBLE_DEVICES``: indices or (beginnings of) UUIDs, of which all before the first that is
none of them are visible, and none where the list is empty (CUDA C++ Programming Guide, "CUDA
Environment Variables"). A MIG slice is a part of its GPU, whose power alone is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES")


@dataclass(frozen=True, slots=True)
class Own:
    """A command's own GPUs, None where that is not known; which rule said so, and its limits."""

    gpus: Sequence[int] | None
    source: str
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in run.json."""
        return {"own": self.gpus, "own_from": self.source, "own_note": self.note}


def asked_gpus(spec: str) -> list[int] | None:
    """The indices in a text such as 0,3; None where it is none."""
    words = [word.strip() for word in spec.split(",")]
    is_list = all(word.isascii() and word.isdigit() and len(word) < 5 for word in words)
    return sorted({int(word) for word in words}) if is_list else None


def own_gpus(
    devices: Sequence[Mapping[str, Any]], asked: Sequence[int] | None, variables: Mapping[str, str]
) -> Own:
    """The own GPUs among NVML's ``devices``: those asked for, else those CUDA will give."""
    if asked is not None:
        return Own(list(asked), f"--gpu {','.join(map(str, asked))}")
    visible = variables.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return Own(None, "no CUDA_VISIBLE_DEVICES: all GPUs")
    source = f"CUDA_VISIBLE_DEVICES={visible}"
    own: list[int] = []
    notes: list[str] = []
    for word in (word.strip() for word in visible.split(",")):
        if word.startswith("MIG-"):
            found = [d for d in devices if _holds(d, word)]
            if len(found) != 1:
                return Own(None, source, f"no GPU is known to hold {word}: all GPUs are taken")
            notes.append("a MIG slice has no power of its own: the figures are the whole GPU's")
        elif word.startswith("GPU-"):
            found = [d for d in devices if str(d.get("uuid", "")).startswith(word)]
        else:
            found = [d for d in devices if str(d.get("index")) == word]
            if found and _is_order_unknown(devices, variables):
                notes.append("CUDA counts the fastest GPU first, NVML by bus: set CUDA_DEVICE_ORDER"
                             "=PCI_BUS_ID or name UUIDs")  # fmt: skip
        if len(found) != 1:
            break
        own.append(int(found[0]["index"]))
    if not own:
        notes.append("the command can use no GPU")
    return Own(sorted(set(own)), source, "; ".join(dict.fromkeys(notes)) or None)


def _holds(device: Mapping[str, Any], mig: str) -> bool:
    """Whether a MIG slice is this GPU's: MIG-GPU-UUID/n/m of old drivers, MIG-UUID of new ones."""
    uuid = str(device.get("uuid", ""))
    parent, slash, _ = mig.removeprefix("MIG-").partition("/")
    if slash and parent.startswith("GPU-"):
        return uuid == parent
    return any(str(each).startswith(mig) for each in device.get("mig", ()))


def _is_order_unknown(devices: Sequence[Mapping[str, Any]], variables: Mapping[str, str]) -> bool:
    by_bus = variables.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    return not by_bus and len({device.get("name") for device in devices}) > 1
