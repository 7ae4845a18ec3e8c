"""A device in nodes and on a network of the user's, and what a run assumes of both."""

from __future__ import annotations

from thermoflop.base.plain import checked_between
from thermoflop.base.record import replace
from thermoflop.base.units import digits
from thermoflop.cost.hardware.device import UNKNOWN_BYTES_S, Device, pcie_bytes_s
from thermoflop.cost.hardware.fabric import bridged
from thermoflop.errors import UsageError


def with_network(device: Device, node_size: int | None, network_gb_s: float | None) -> Device:
    """The device in nodes and on a network of the user's. UsageError for what makes no sense."""
    if node_size is not None and (type(node_size) is not int or not 1 <= node_size <= 1_000_000):
        raise UsageError(
            f"node_size={node_size!r:.40} makes no sense: expected a whole number of devices >= 1"
        )
    checked_between(
        "network_gb_s", network_gb_s, 0, 1e6, "GB/s of a device above 0, below 1,000,000"
    )
    if node_size is not None:
        device = replace(device, node_devices=node_size)
    return device if network_gb_s is None else replace(device, network_bytes_s=network_gb_s * 1e9)


def joining_bytes_s(device: Device, devices: int | None) -> float:
    """Bytes a second between as many devices of a node; PCIe's where a bridge joins fewer. None: as
    many as are joined."""
    if are_linked(device, devices):
        return device.fabric_bytes_s
    return pcie_bytes_s(device.pcie) or UNKNOWN_BYTES_S


def are_linked(device: Device, devices: int | None) -> bool:
    """Whether links of their own join as many devices of a node; a bridge joins few."""
    most = bridged(device.link)
    joined = most is None or devices is None or devices <= most
    return device.link_bytes_s is not None and joined


def network_text(device: Device, devices: int, link_bytes_s: float) -> str:
    """What a run on several devices assumes of what joins them, as a phrase."""
    network = device.network
    linked = device.link if link_bytes_s == device.link_bytes_s else device.pcie
    near = f"{digits(link_bytes_s / 1e9)} GB/s a device ({linked or 'no link known, assumed'})"
    if devices <= network.node_size:
        return f"{devices} devices in a node at {near}"
    return (
        f"nodes of {network.node_size} at {near}, between them {digits(network.bytes_s / 1e9)} GB/s"
        f" a device ({network.what})"
    )
