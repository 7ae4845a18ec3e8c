"""Mixtures in training: tokens laid out by expert, and what hides of sending them there."""

from __future__ import annotations

from typing import Any

import pytest
from kit.made_up import DEVICE, LAYERS, MIXTURE, WIDTH, decoder
from thermoflop.base.record import replace
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import rates_of
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.overlap import overlaps_of
from thermoflop.cost.training.train import train
from thermoflop.cost.training.why import training_reasons
from thermoflop.cost.training.work import permuted_works, trained
from thermoflop.cost.work.share import Layout

SIZES: Any = {"devices": 16, "ep": 8, "node_size": 4, "global_batch": 64, "sequence": 1000}


def iteration(**changes: object) -> Iteration:
    """16 replicas with 4 micro-batches of 1,000 tokens each, two experts a token."""
    plan = Layout(changes.pop("tp", 1), dp=16, ep=changes.pop("ep", 8), node_size=4)
    return Iteration("default", decoder(**MIXTURE), DEVICE, plan, choose_precision("bf16"), 64.0,
                     1.0, 1000, **changes)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        # forward and backward: a token is read and written for each of two experts, there and back,
        # and what came from other devices is sorted there, and back
        ({"ep": 1}, 2 * (2 * (1 + 2))),
        ({}, 2 * (2 * (1 + 2) + 4 * 2)),
        # all of a tensor-parallel group lay out all of its tokens for their parts of the experts,
        # or for the half of the experts that each of two has; each has a half of the tokens where
        # the experts are spread beyond the group
        ({"ep": 1, "tp": 2}, 2 * (2 * (1 + 2))),
        ({"ep": 2, "tp": 2}, 2 * (2 * (1 + 2 / 2))),
        ({"ep": 4, "tp": 2}, 2 * (2 * (1 + 2) + 4 * 2) / 2),
        ({"ep": 1, "recompute": "full"}, 3 * (2 * (1 + 2))),
        ({"ep": 1, "recomputed": 0.5}, 2.5 * (2 * (1 + 2))),
    ],
)
def test_tokens_are_laid_out_by_expert_and_back(changes, passes):
    works = permuted_works(iteration(**changes))
    moved = sum(work.times * work.activation_bytes for work in works)
    assert moved == LAYERS * passes * 1000 * WIDTH * 2
    assert not permuted_works(replace(iteration(), model=decoder()))


@pytest.mark.parametrize(
    ("trainer", "ep", "node_size", "share"),
    [("default", 16, 8, 0.9), ("default", 8, 8, 0.0), ("default", 8, 0, 0.0),
     ("megatron-bridge", 16, 8, 0.0)],
)  # fmt: skip
def test_sending_to_experts_of_other_nodes_hides_unless_the_trainer_shows_none(
    trainer, ep, node_size, share
):
    plan = Layout(dp=16, ep=ep, node_size=node_size)
    found = overlaps_of(trainer, plan, 1, choose_precision("bf16"))
    assert found["expert_overlap"] == share


def test_a_share_of_what_tokens_send_hides_but_never_more_than_computing_takes():
    def seconds(hidden: float, network_s: float) -> tuple[float, float]:
        one = iteration(expert_overlap=hidden)
        efficiency = Efficiency(collective_s=network_s)
        rates = rates_of(DEVICE, one.precision, efficiency, devices=16)
        works = [work for phase in trained(iteration()) for work in phase.works]
        (sent,) = {rates.operator_s(work) for work in works if work.name == "all-to-all"}
        return sum(phase.seconds(rates) for phase in trained(one)), 4 * sent

    whole, sent = seconds(0.0, 0.0)
    assert seconds(0.25, 0.0)[0] == pytest.approx(whole - 0.25 * sent)
    slow, all_sent = seconds(1.0, 1.0)
    assert slow > all_sent > 100 * whole


def test_what_is_sent_is_said_with_its_part_and_the_reasons_add_up():
    for share in (None, 0.0, 0.5, 1.0):
        one = train(decoder(**MIXTURE), DEVICE, **SIZES, expert_overlap=share)
        listed, besides = training_reasons(one.question, None)
        total = sum(reason.time_s for reason in listed) + besides
        assert total == pytest.approx(one.iteration.expected_s)
        said = f"{100 * (0.9 if share is None else share):.0f}%"
        assert f"computing, and {said} of what tokens send to experts" in one.provenance
        assert f"of what tokens send to experts {said.replace('%', ' %')}" in one.why()
    assert "experts" not in train(decoder(), DEVICE, devices=2).provenance
