"""What joins devices: how many share the fast links of a node, and the network between nodes.

Defaults are those of the makers' own systems (DGX, HGX, OAM boards, pods), one direction, for each
device; a cloud may have less or more, so that both can be said: ``node_size``, ``network_gb_s``.
"""

from __future__ import annotations

from thermoflop.base.record import record

GBIT_S = 0.125e9


@record
class Network:
    """``node_size`` devices share the fast links; ``bytes_s`` is what each sends beyond."""

    node_size: int
    bytes_s: float
    what: str


# What a device's name begins with -> devices of a node, Gbit/s of each to other nodes, of what.
NETWORKS = (
    ("GB300", Network(72, 800 * GBIT_S, "ConnectX-8 at 800 Gbit/s (GB300 NVL72)")),
    ("GB200", Network(72, 400 * GBIT_S, "ConnectX-7 at 400 Gbit/s (GB200 NVL72)")),
    ("B300", Network(8, 800 * GBIT_S, "ConnectX-8 at 800 Gbit/s (DGX B300)")),
    ("B200", Network(8, 400 * GBIT_S, "InfiniBand at 400 Gbit/s (DGX B200)")),
    ("B100", Network(8, 400 * GBIT_S, "InfiniBand at 400 Gbit/s (HGX B100)")),
    ("GH200", Network(1, 400 * GBIT_S, "InfiniBand at 400 Gbit/s (MGX GH200)")),
    ("H100-SXM", Network(8, 400 * GBIT_S, "InfiniBand at 400 Gbit/s (DGX H100)")),
    ("H200-SXM", Network(8, 400 * GBIT_S, "InfiniBand at 400 Gbit/s (DGX H200)")),
    ("H800-SXM", Network(8, 400 * GBIT_S, "InfiniBand at 400 Gbit/s (HGX H800)")),
    ("H20", Network(8, 400 * GBIT_S, "InfiniBand at 400 Gbit/s (HGX H20)")),
    ("A100-SXM", Network(8, 200 * GBIT_S, "InfiniBand at 200 Gbit/s (DGX A100)")),
    ("A800-SXM", Network(8, 200 * GBIT_S, "InfiniBand at 200 Gbit/s (HGX A800)")),
    ("V100-SXM3", Network(16, 50 * GBIT_S, "8 x 100 Gbit/s for 16 (DGX-2)")),
    ("V100-SXM2", Network(8, 50 * GBIT_S, "4 x 100 Gbit/s for 8 (DGX-1)")),
    ("P100-SXM2", Network(8, 50 * GBIT_S, "4 x 100 Gbit/s for 8 (DGX-1)")),
    ("MI250", Network(4, 200 * GBIT_S, "Slingshot at 200 Gbit/s (Frontier)")),
    ("MI3", Network(8, 400 * GBIT_S, "Ethernet or InfiniBand at 400 Gbit/s (8 OAM)")),
    ("Gaudi 2", Network(8, 300 * GBIT_S, "3 x 100 Gbit/s of its own ports (HLS-2)")),
    ("Gaudi 3", Network(8, 600 * GBIT_S, "3 x 200 Gbit/s of its own ports (HLS-3)")),
    ("Trainium1", Network(16, 50 * GBIT_S, "EFA of 800 Gbit/s for 16 (trn1.32xlarge)")),
    ("Trainium2", Network(16, 200 * GBIT_S, "EFA of 3200 Gbit/s for 16 (trn2.48xlarge)")),
    # pods, and the data centre's network beyond (JAX: How To Scale Your Model, chapter 2)
    ("TPU v3", Network(1024, 25 * GBIT_S, "the network of the data centre beyond a pod")),
    ("TPU v4", Network(4096, 50 * GBIT_S, "the network of the data centre beyond a pod")),
    ("TPU v5e", Network(256, 25 * GBIT_S, "the network of the data centre beyond a pod")),
    ("TPU v5p", Network(8960, 50 * GBIT_S, "the network of the data centre beyond a pod")),
    ("TPU v6e", Network(256, 100 * GBIT_S, "the network of the data centre beyond a pod")),
    ("TPU v7", Network(9216, 100 * GBIT_S, "the network of the data centre beyond a pod")),
    ("DGX Spark", Network(1, 200 * GBIT_S, "ConnectX-7 at 200 Gbit/s")),
    ("Jetson", Network(1, 10 * GBIT_S, "Ethernet at 10 Gbit/s")),
    ("Apple", Network(1, 40 * GBIT_S, "Thunderbolt at 40 Gbit/s")),
)
# Cards in a server, joined by its PCIe.
CARDS = Network(8, 100 * GBIT_S, "Ethernet or InfiniBand at 100 Gbit/s")
# Cards that an NVLink bridge joins, by what the link of the data sheet says.
BRIDGED = (("2- or 4-way", 4), ("pair", 2), ("bridge", 2))


def default_network(name: str) -> Network:
    """The network of a device, by its name."""
    known = (network for start, network in NETWORKS if name.startswith(start))
    return next(known, CARDS)


def bridged(link: str) -> int | None:
    """How many devices a bridge joins; None for links that are none."""
    return next((count for word, count in BRIDGED if word in link), None)
