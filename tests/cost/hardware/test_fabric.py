"""The network of each device: its rate is the one that its sentence names, shared by its node."""

from __future__ import annotations

import re

import pytest
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.hardware.fabric import (
    CARDS,
    GBIT_S,
    NETWORKS,
    Network,
    bridged,
    default_network,
)
from thermoflop.cost.hardware.nodes import network_text

SAID = [(start, network) for start, network in NETWORKS if "Gbit/s" in network.what]


def gbit_s(network: Network) -> float:
    """Of one device: as the sentence says it, of ports times what each does, or of a node."""
    found = re.search(r"(?:(\d+) x )?(?:of |at )?(\d+) Gbit/s(?: for (\d+))?", network.what)
    assert found is not None
    return int(found[1] or 1) * int(found[2]) / int(found[3] or 1)


@pytest.mark.parametrize(("start", "network"), [*SAID, ("cards", CARDS)])
def test_a_network_is_as_fast_as_its_sentence_says(start: str, network: Network) -> None:
    assert network.bytes_s == gbit_s(network) * GBIT_S


def test_a_gigabit_is_an_eighth_of_a_gigabyte() -> None:
    assert GBIT_S == 1e9 / 8


def test_devices_of_a_node_are_those_of_the_machine_that_is_named() -> None:
    """72 in an NVL72, 8 in a DGX, HGX or on a board of OAM, 16 in a DGX-2, one in an MGX."""
    sizes = {"NVL72": 72, "DGX-2": 16, "DGX": 8, "HGX": 8, "8 OAM": 8, "MGX": 1, "HLS": 8}
    for start, network in SAID:
        named = next((size for word, size in sizes.items() if word in network.what), None)
        assert named in (None, network.node_size), start


@pytest.mark.parametrize(
    ("device", "node", "gbit_s"),
    [
        # Frontier's nodes have 4 MI250X with a port of Slingshot each; AWS's instances 16 chips
        ("MI250X", 4, 200), ("Trainium1", 16, 800 / 16), ("Trainium2", 16, 3200 / 16),
        # pods, and GB/s beyond them: JAX, How To Scale Your Model, chapter 2
        ("TPU v3", 1024, 25), ("TPU v4", 4096, 50), ("TPU v5e", 256, 25), ("TPU v5p", 8960, 50),
        ("TPU v6e", 256, 100), ("TPU v7", 9216, 100),
        ("DGX Spark", 1, 200), ("Jetson AGX Orin 64GB", 1, 10), ("Apple M2 Ultra", 1, 40),
        ("RTX 4090", 8, 100),
    ],
)  # fmt: skip
def test_devices_of_other_makers_are_in_nodes_and_pods(device, node, gbit_s) -> None:
    network = default_network(device)
    assert (network.node_size, network.bytes_s) == (node, gbit_s * 1e9 / 8)


def test_chips_of_trainium_send_half_of_what_their_links_carry_both_ways() -> None:
    """384 GiB/s a device in trn1.32xlarge (awsdocs-neuron, trn1-arch.rst)."""
    chip = find_device("Trainium1")
    assert chip.link_bytes_s == pytest.approx(384 * 2**30 / 2, rel=1e-3)
    assert "206 GB/s a device (NeuronLink-v2)" in network_text(chip, 16, chip.fabric_bytes_s)


def test_a_bridge_joins_as_many_cards_as_the_sheet_says() -> None:
    assert bridged("NVLink bridge, 2- or 4-way") == 4
    assert bridged("NVLink bridge for a pair") == 2
    assert bridged("PCIe 5.0 x16") is None
