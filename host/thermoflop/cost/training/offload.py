"""States and activations that the host keeps: ZeRO-Offload and ZeRO-Infinity (Ren et al. 2021,
Rajbhandari et al. 2021), as DeepSpeed does them.

``optimizer``: the host keeps master weights, moments and gradients in fp32, 16 bytes a parameter
with Adam, and steps them with its own memory's bandwidth; a device sends its gradients and gets the
new weights, in 16 bits. Where gradients are shared out (ZeRO-2, 3) a device keeps none.
``parameters`` (ZeRO-3): weights come from the host for the forward and for the backward pass of
each micro-batch. ``activations``: what layers keep goes to the host and comes back.

Sending gradients, weights and activations hides behind computing as far as that is longer; the
host's step does not.
"""

from __future__ import annotations

import re

from thermoflop.base.plain import checked_between
from thermoflop.base.record import record
from thermoflop.cost.hardware.device import (
    PCIE_3_LANE_BYTES_S,
    UNKNOWN_BYTES_S,
    Device,
    is_its_hosts,
)
from thermoflop.errors import UsageError

C2C_BYTES_S = 450e9  # Grace to its GPU, in one direction (NVIDIA, GH200 data sheet: 900 of both)
PARTS = ("optimizer", "parameters", "activations")


@record
class Offload:
    """``parts`` that the host keeps, over a link of ``link_bytes_s`` a device and direction."""

    parts: frozenset[str]
    link_bytes_s: float
    sharing: int  # devices of a node, which share the host's memory


def choose_offload(
    device: Device, offload: str | None, host_gb_s: float | None, zero: int, devices: int
) -> Offload | None:
    """What is asked of the host; None for nothing. UsageError for what makes no sense."""
    checked_between("host_gb_s", host_gb_s, 0, 1e6, "GB/s of a device above 0, below 1,000,000")
    if offload is None:
        return None
    parts = {word.strip() for word in str(offload).lower().split(",")}
    if not parts <= set(PARTS):
        raise UsageError(f"offload={offload!r:.60}: expected some of {','.join(PARTS)}")
    if "parameters" in parts and zero != 3:
        raise UsageError(f"offload of parameters needs zero=3, which shares them out: zero={zero}")
    check_host(device, f"offload={offload!r:.60}")
    rate = host_link_bytes_s(device) if host_gb_s is None else host_gb_s * 1e9
    return Offload(frozenset(parts), rate, min(devices, device.network.node_size))


def check_host(device: Device, asked: str) -> None:
    """UsageError where the host, which is asked to keep something, has no memory of its own."""
    if is_its_hosts(device):
        raise UsageError(
            f"{asked} leaves nothing to the host: the memory of {device.name} is the host's own"
        )


def host_link_bytes_s(device: Device) -> float:
    """Bytes a second between a device and its host, in one direction: NVLink-C2C, else PCIe (16
    lanes where they are not said), else 16 GB/s assumed."""
    if "C2C" in f"{device.link} {device.pcie}":
        return C2C_BYTES_S
    stated = re.match(r"PCIe (\d)\S*(?: x(\d+))?", device.pcie)
    if stated is None:
        return UNKNOWN_BYTES_S
    generation, lanes = int(stated[1]), int(stated[2] or 16)
    return PCIE_3_LANE_BYTES_S * 2.0 ** (generation - 3) * lanes
