"""What hides behind computing of what stages and tensor-parallel devices send each other."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, LAYERS, LINK, WIDTH, decoder
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import rates_of
from thermoflop.cost.training.overlap import overlaps_of, warm_up_share
from thermoflop.cost.training.why import training_reasons
from thermoflop.cost.training.work import trained
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError

# Half of the layers on each of two devices, one in each of two interleaved stages.
DEEP = decoder(num_hidden_layers=2 * LAYERS)
STAGES: dict[str, Any] = {"pp": 2, "devices": 2, "virtual": 2, "global_batch": 16, "sequence": 1000}
PARTS: dict[str, Any] = {"tp": 2, "devices": 2, "global_batch": 16, "sequence": 1000}


def seconds(asked: tf.TrainingEstimate) -> float:
    """Seconds of the iteration that was asked, at the rates of the data sheet."""
    one = asked.question
    rates = rates_of(DEVICE, one.precision, Efficiency(), devices=one.plan.devices)
    return sum(phase.seconds(rates) for phase in trained(one))


@pytest.mark.parametrize(
    ("pp", "micro_batches", "virtual", "share"),
    [
        # the first of 2 stages passes 2 (2 - 1) + (2 - 1) 2 = 4 of 2 x 16 chunks before a backward
        (2, 16, 2, 4 / 32),
        # Llama 3.1 405B on GB300: 2 (8 - 1) + (4 - 1) 8 = 38 of 4 x 192
        (8, 192, 4, 38 / 768),
        (8, 8, 4, 38 / 32),
        (2, 16, 1, 2 / 16),
    ],
)
def test_forward_and_backward_alternate_once_the_first_stage_has_warmed_up(
    pp, micro_batches, virtual, share
):
    assert warm_up_share(pp, micro_batches, virtual) == min(1.0, share)


@pytest.mark.parametrize(
    ("trainer", "virtual", "share"),
    [("default", 2, 0.9), ("default", 1, 0.0), ("megatron-bridge", 4, 0.9),
     ("megatron-lm", 2, 0.0), ("torchtitan", 2, 0.0)],
)  # fmt: skip
def test_sends_of_interleaved_stages_hide_where_the_trainer_does_not_wait(trainer, virtual, share):
    found = overlaps_of(trainer, Layout(pp=2), virtual, choose_precision("bf16"))
    assert found["stage_overlap"] == share


@pytest.mark.parametrize(
    ("trainer", "dtype", "sequence", "share"),
    [("default", "bf16", True, 0.0), ("megatron-bridge", "bf16", True, 0.9),
     ("megatron-bridge", "fp8", True, 0.9), ("megatron-bridge", "nvfp4", True, 0.0),
     ("megatron-bridge", "bf16", False, 0.0), ("torchtitan", "fp8", True, 0.0)],
)  # fmt: skip
def test_what_tensor_parallel_devices_send_hides_where_a_recipe_asks_for_it(
    trainer, dtype, sequence, share
):
    plan = Layout(tp=2, sequence=sequence)
    found = overlaps_of(trainer, plan, 1, choose_precision(dtype))
    assert found["tensor_overlap"] == share


def test_a_share_of_what_interleaved_stages_send_hides_but_for_the_warm_up():
    """Two of 16 micro-batches of 1,000 tokens cross each boundary twice, 512,000 bytes at 100 GB/s;
    of 2 x 16 passes through a stage's two chunks 4 come before forward and backward alternate."""
    sent = 2 * 2 * 16 * 1000 * WIDTH * 2 / LINK
    waits, half = (
        seconds(tf.train(DEEP, DEVICE, stage_overlap=share, **STAGES)) for share in (0.0, 0.5)
    )
    assert waits - half == pytest.approx(0.5 * 28 / 32 * sent)


def test_a_share_of_what_tensor_parallel_devices_send_hides():
    """Of each of two blocks a layer 1,000 x 256 elements in 16 bits: half of them twice to the
    other device forward, and as much backward."""
    sent = 16 * 2 * 2 * LAYERS * 1000 * WIDTH * 2 / LINK
    alone, most = (
        seconds(tf.train(decoder(), DEVICE, tensor_overlap=share, **PARTS)) for share in (0.0, 0.9)
    )
    assert alone - most == pytest.approx(0.9 * sent)


def test_what_hides_is_said_and_the_reasons_add_up():
    sizes = {**STAGES, "tp": 2, "devices": 4, "tensor_overlap": 0.25}
    one = tf.train(DEEP, DEVICE, **sizes)
    said = "25% of what tensor-parallel devices send and 90% of what interleaved stages send"
    assert f"computing, and {said}" in one.provenance
    assert "of what interleaved stages send 90 %, where that takes as long" in one.why()
    listed, besides = training_reasons(one.question, None)
    total = sum(reason.time_s for reason in listed) + besides
    assert total == pytest.approx(one.iteration.expected_s)


@pytest.mark.parametrize(
    ("sizes", "option"), [({**STAGES, "virtual": 1}, "stage_overlap"), ({}, "tensor_overlap")]
)
def test_a_share_of_what_is_not_sent_so_changes_and_says_nothing(sizes, option):
    plain, asked = (tf.train(DEEP, DEVICE, **{**sizes, option: share}) for share in (None, 0.9))
    assert asked.iteration == plain.iteration
    assert asked.provenance == plain.provenance


@pytest.mark.parametrize("option", ["stage_overlap", "tensor_overlap"])
def test_a_share_that_is_none_is_refused(option):
    with pytest.raises(UsageError, match=f"{option}=1.5 makes no sense"):
        tf.train(decoder(), DEVICE, **{option: 1.5})
