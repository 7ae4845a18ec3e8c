"""Collectives over several nodes, what joins devices, and what replicas send in training."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder
from thermoflop.base.record import replace
from thermoflop.cost.hardware.nodes import joining_bytes_s
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.replicas import replica_works
from thermoflop.cost.training.work import Phase
from thermoflop.cost.work.network import (
    collective_work,
    expert_parallel_works,
    far_bytes,
    node_ranks,
    wire_bytes,
)
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import UsageError


@pytest.mark.parametrize("collective", ["all-reduce", "all-gather", "reduce-scatter"])
@pytest.mark.parametrize(("nodes", "within"), [(2, 8), (4, 8), (16, 1), (3, 2)])
def test_within_and_between_nodes_a_device_sends_what_a_ring_does(collective, nodes, within):
    """1 - 1/g within and (1 - 1/m)/g between nodes come to 1 - 1/(g m), of n or of 2n."""
    twice = 2 if collective == "all-reduce" else 1
    far = far_bytes(collective, 1000.0, nodes * within, within)
    assert far == pytest.approx(twice * 1000 / within * (1 - 1 / nodes))
    near = wire_bytes(collective, 1000.0, nodes * within) - far
    assert near == pytest.approx(twice * 1000 * (1 - 1 / within))


def test_each_device_sends_its_own_tokens_to_the_experts_of_other_nodes():
    found = collective_work("all-to-all", 1, "all-to-all", 1600.0, 16, steps=4.0, node_size=8)
    assert (found.activation_bytes, found.far_bytes) == (1500, 800)


def test_a_token_goes_once_to_a_node_whatever_number_of_its_experts_are_there():
    """Mixtral, 2 of 8 experts over 8 devices in two nodes: of two nodes a token meets the other one
    with 1 - 1/4; within a node 3 of 4 copies are another device's."""
    model = tf.load_model("mixtral-8x7b").description
    (one, *_) = expert_parallel_works(model, 100, 2.0, 8, 4)
    assert one.far_bytes == 100 * 4096 * 2 * 3 / 4
    assert one.near_bytes == 2 * 100 * 4096 * 2 * 3 / 4
    (within, *_) = expert_parallel_works(model, 100, 2.0, 8, 8)
    assert (within.far_bytes, within.near_bytes) == (0, 2 * 100 * 4096 * 2 * 7 / 8)


@pytest.mark.parametrize(
    ("ep", "met"),
    [
        (64, 1 / 2 * (1 - (3 / 4) ** 8)),  # a group each: chosen half the time, met unless 8 miss
        # two groups each: one of them is chosen in 2 x 20 of 70 ways to choose four, both in 15
        (32, 40 / 70 * (1 - (3 / 4) ** 8) + 15 / 70 * (1 - (1 / 2) ** 8)),
        (128, 1 / 2 * (1 - (7 / 8) ** 8)),  # half a group each
        # four groups each, of which 1, 2, 3 or 4 are chosen in 16, 36, 16 and 1 of 70 ways
        (16, (69 - 16 * (3 / 4) ** 8 - 36 * (1 / 2) ** 8 - 16 * (1 / 4) ** 8) / 70),
    ],
)
def test_a_token_whose_experts_lie_in_four_of_eight_groups_meets_fewer_nodes(ep, met):
    """DeepSeek-V3: 8 of 256 experts, of 4 of 8 groups, over nodes of 8 devices."""
    works = expert_parallel_works(tf.load_model("deepseek-v3").description, 100, 2.0, ep, 8)
    nodes = ep // 8
    assert works[0].far_bytes == pytest.approx(100 * 7168 * 2 * (nodes - 1) * met, rel=1e-3)


@pytest.mark.parametrize(
    ("ranks", "apart", "node_size", "within"),
    [(16, 1, 8, 8), (16, 4, 8, 2), (16, 8, 8, 1), (16, 16, 8, 1), (4, 1, 8, 4), (16, 1, 0, 16)],
)
def test_ranks_of_a_node_are_those_that_fit_between_their_neighbours(
    ranks, apart, node_size, within
):
    assert node_ranks(ranks, apart, node_size) == within


@pytest.mark.parametrize(
    ("name", "node_size", "gb_s"),
    [
        # one direction of a device: 400 Gbit/s a GPU of a DGX H100, 200 of a DGX A100, 4 x 100 for
        # the 8 of a DGX-1; NVIDIA's data sheets. An NVL72 rack is one domain of NVLink.
        ("h100", 8, 50), ("a100", 8, 25), ("v100", 8, 6.25), ("gb200", 72, 50), ("gb300", 72, 100),
        ("mi300x", 8, 50), ("tpu v6e", 256, 12.5), ("rtx 4090", 8, 12.5),
    ],
)  # fmt: skip
def test_a_device_knows_its_node_and_its_network(name, node_size, gb_s):
    network = tf.find_device(name).network
    assert (network.node_size, network.bytes_s) == (node_size, gb_s * 1e9)


def test_a_bridge_joins_two_and_pcie_the_rest():
    card = tf.find_device("a100 pcie")
    assert joining_bytes_s(card, 2) == 300e9
    assert joining_bytes_s(card, 4) == 16e9 * 2  # PCIe 4 x16


def test_what_is_assumed_is_printed_and_what_is_stated_is_taken():
    said = str(tf.estimate("llama-3-70b", "h100", devices=16, pp=2)).replace("\n ", "")
    assert "nodes of 8 at 450 GB/s a device" in said
    assert "between them 50.0 GB/s" in said
    why = tf.train("gpt2", "h100", devices=16, sequence=64, node_size=4, network_gb_s=7).why()
    assert "network = max(near / (450 GB/s x " in why
    assert "far / (7.00 GB/s x " in why
    assert "far: to other nodes of 4, as stated" in why
    far = {"devices": 16, "tp": 16, "network_gb_s": 100}
    slow, fast = (tf.estimate("gpt-3-175b", "h100", **{**far, "network_gb_s": gb}) for gb in (1, 9))
    assert slow.total.expected_s > fast.total.expected_s
    assert slow.total.bound_s == fast.total.bound_s  # the bound holds on every network
    for bad in ({"node_size": 0}, {"network_gb_s": -1.0}, {"network_gb_s": float("nan")}):
        with pytest.raises(UsageError, match=next(iter(bad))):
            tf.estimate("gpt2", "h100", **bad)


def sent(zero: int, shard: int | None = None, **layout: int) -> dict[str, tuple[float, float]]:
    """Bytes of what replicas send in each micro-batch or once, and those to other nodes."""
    plan = Layout(**{"dp": 16, "node_size": 8, **layout})
    iteration = Iteration("default", decoder(), DEVICE, plan, choose_precision("bf16"), 64.0, 1.0,
                          1000, zero=zero, shard=shard)  # fmt: skip
    share = Share(decoder().description, replace(plan, dp=1, pp=1), iteration.precision)
    each, once = replica_works(iteration, share)
    return {
        f"{'each' if work in each else 'once'} {work.name}": (
            work.times * work.activation_bytes, work.times * work.far_bytes
        )
        for work in (*each, *once)
    }  # fmt: skip


def nearly(*bytes_: float) -> object:
    return pytest.approx(bytes_, rel=1e-9)


def test_replicas_send_what_the_stage_of_zero_says():
    """Rajbhandari et al. 2020, section 7, of 2 bytes a parameter over 16 devices in two nodes."""
    once = 2 * decoder().params * 15 / 16
    between = decoder().params * 2 / 8 * (1 - 1 / 2)
    assert sent(1) == {"once gradients": nearly(2 * once, 2 * between)}
    assert sent(2) == {
        "each gradients": nearly(once, between), "once gather weights": nearly(once, between)
    }  # fmt: skip
    assert sent(3) == {
        "each gradients": nearly(once, between),
        "each gather weights": nearly(2 * once, 2 * between),
    }


def test_hybrid_sharding_gathers_within_a_node_and_sums_the_parts_between_them():
    """Shards of 8: no gathered byte leaves a node; an eighth of the gradients is summed."""
    params = 2 * decoder().params
    assert sent(3, shard=8) == {
        "each gradients": nearly(params * 7 / 8, 0),
        "each gather weights": nearly(2 * params * 7 / 8, 0),
        "each sum of groups": nearly(params / 8, params / 8),
    }


def test_what_hides_behind_computing_costs_its_exposed_share_or_what_is_longer():
    """10 s of computing, 4 s of sending of which half hides: 12 s; 30 s of sending: 30 s."""

    class Seconds:
        def device_s(self, works: list[float]) -> float:
            return sum(works)

        def operator_s(self, work: float) -> float:
            return work

    assert Phase(2.0, [10.0], [(4.0, 0.5)]).seconds(Seconds()) == 2 * 12
    assert Phase(1.0, [10.0], [(30.0, 0.9)]).seconds(Seconds()) == 30
    assert Phase(1.0, [10.0], [(4.0, 0.0)]).seconds(Seconds()) == 14
    assert Phase(1.0, [10.0], [(4.0, 0.5), (2.0, 1.0)]).seconds(Seconds()) == 12


def test_zero_3_takes_longer_than_zero_1_and_a_slow_network_is_felt():
    def seconds(**options: object) -> float:
        return tf.train("llama-3-70b", "h100", devices=64, global_batch=1024, recompute="full",
                        sequence=4096, **options).iteration.expected_s  # fmt: skip

    assert seconds(zero=1) < seconds(zero=3) < seconds(zero=3, network_gb_s=5)
    assert seconds(zero=3, overlap=1.0) < seconds(zero=3, overlap=0.0)
    assert seconds(zero=3, shard=8, network_gb_s=5) < seconds(zero=3, network_gb_s=5)


def test_a_layout_is_called_by_every_degree_above_one() -> None:
    assert Layout(tp=2, pp=3, dp=4, ep=5, cp=6).label == "tp=2 pp=3 dp=4 ep=5 cp=6"
    assert Layout(dp=4).label == "dp=4"
    assert Layout(tp=2, cp=3).devices == 6
    assert Layout().label == "one device"
