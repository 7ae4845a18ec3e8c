"""Measured kernels as works of a step: FLOPs, bytes and rows of each class by hand."""

from __future__ import annotations

from math import hypot, log

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import training_profiles
from thermoflop.cost.catalogue.trainers import (
    borrowed_devices,
    find_training_profile,
    trainer_name,
)
from thermoflop.cost.fitting.own import WORKS
from thermoflop.cost.hardware.precision import choose_precision

ATTENTION = {"batch": 2.0, "context": 7.0, "new": 5.0, "heads": 6.0, "kv_heads": 3.0, "dim": 4.0,
             "out_dim": 3.0, "cache_bytes": 1.5}  # fmt: skip
EXPERTS = {"tokens": 6.0, "topk": 2.0, "experts": 8.0, "ep": 2.0, "tp": 2.0, "hidden": 3.0,
           "inner": 10.0, "matrices": 3.0, "weight_bytes": 0.5}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sizes", "counts"),
    [
        # two FLOPs a weight and row; rows in, and 16 bits of each result
        ("gemm", {"m": 2.0, "n": 3.0, "k": 5.0, "weight_bytes": 0.5, "activation_bytes": 1.5},
         (2 * 2 * 15, 2 * 15, 7.5, 0, 2 * (5 * 1.5 + 2 * 3))),
        # 14 positions: scores and values of six heads, cache of three; queries in, results out
        ("decode attention", ATTENTION,
         (4 * 14 * 6 * 4, 4 * 14 * 6 * 4 * 3 / 6, 0, 2 * 14 * 3 * 4 * 1.5, 4 * 2 * 6 * 4)),
        # 15 pairs a head under the mask, of 4 + 3 dimensions; written and read once
        ("prompt attention", ATTENTION,
         (2 * 2 * 15 * 6 * 7, 2 * 2 * 15 * 6 * 7 * 3 / (5 * 6), 0, 2 * 10 * 3 * 7 * 1.5,
          2 * 10 * 6 * 7)),
        # 6 rows of 4 experts on a device, of which 4 (1 - (3/4)^6) are met
        ("experts", EXPERTS,
         (2 * 45 * 6, 2 * 45 * 4 * (1 - 0.75**6), 45 * 0.5 * 4 * (1 - 0.75**6), 0,
          6 * (4 * 3 + 6 * 5))),
        # of two both are met but by one run of six in 32
        ("experts", {**EXPERTS, "experts": 4.0},
         (2 * 45 * 6, 2 * 45 * 2 * (1 - 0.5**6), 45 * 0.5 * 2 * (1 - 0.5**6), 0, 6 * 42)),
        ("experts", {**EXPERTS, "experts": 2.0, "tokens": 0.5},  # half a row of one expert
         (2 * 45 * 0.5, 2 * 45 * 0.5, 45 * 0.5 * 0.5, 0, 0.5 * 42)),
        # three steps of a tree of 8; twice 7/8 of the message
        ("all-reduce", {"devices": 8.0, "passes": 2.0, "message_bytes": 80.0}, (3, 0, 0, 0, 140)),
    ],
)  # fmt: skip
def test_a_kernel_is_the_work_that_a_step_would_count(name, sizes, counts):
    made = WORKS[name](sizes)
    found = made.flops, made.row_flops, made.weight_bytes, made.kv_bytes, made.activation_bytes
    assert found == pytest.approx(counts)
    assert made.times == 1
    assert made.rated == {"gemm": "contraction", "experts": "experts",
                          "all-reduce": "network"}.get(name, "attention")  # fmt: skip


def test_a_trainer_without_rows_of_a_kind_has_what_all_others_show_of_it():
    """Its moves for the kind, all else its own; both intervals of the pooled profile, wider by the
    0.45 at one standard deviation that a trainer of such models is missed by."""
    known = training_profiles()
    pooled, plain = known["default"], known["llm-foundry"]
    assert trainer_name("llm-foundry", "experts") == "llm-foundry/experts" not in known
    found = find_training_profile("llm-foundry", "experts")
    for table in ("intervals", "intervals_unseen_device"):
        wide, narrow = getattr(found, table)["all"], getattr(pooled, table)["all"]
        extra = 1.2816 * 0.45
        assert log(wide.high) == pytest.approx(hypot(log(narrow.high), extra), rel=1e-4)
        assert log(wide.low) == pytest.approx(-hypot(log(narrow.low), extra), rel=1e-4)
        assert wide.rows == narrow.rows
    assert found.group_offsets["kind:experts"] == pooled.group_offsets["kind:experts"]
    assert found.log_params == plain.log_params
    nobody = find_training_profile(None, "experts")
    assert nobody.intervals == found.intervals
    assert (nobody.log_params, find_training_profile(None)) == (pooled.log_params, pooled)
    assert find_training_profile("llm-foundry").group_offsets == plain.group_offsets
    own = next(name for name in known if "/" in name)
    assert find_training_profile(*own.split("/")) == known[own]


def test_a_device_that_a_trainer_never_ran_on_adds_what_it_adds_to_others():
    """Beside the mean of its own devices, of which the others' mean is taken off; a rate that one
    of them does not move there moves by nothing."""
    known = training_profiles()["llm-foundry"]
    own = {"device:a": {"matmul": 0.1}, "device:b": {"matmul": 0.3, "attention": 0.2}}
    others = {
        "device:a": {"matmul": 0.2}, "device:b": {"matmul": 0.4},
        "device:c": {"matmul": -0.1, "launch_s": 0.5}, "family:16": {"matmul": 1.0},
    }  # fmt: skip
    trainer, pooled = (replace(known, group_offsets=each) for each in (own, others))
    found = borrowed_devices(trainer, pooled)
    assert set(found) == {"device:c"}
    # 0.2 - 0.3 and -0.1
    assert found["device:c"] == pytest.approx({"matmul": -0.2, "launch_s": 0.5})


def test_rates_on_such_a_device_are_moved_and_its_interval_is_that_of_one_unseen():
    """A Hopper reaches less of its data sheet than an Ampere: FlashAttention 2 0.35 of its peak
    (Shah et al. 2024, section 1), where it reaches 0.73 of an A100's (Dao 2023)."""
    profile = find_training_profile("llm-foundry")
    bf16 = choose_precision("bf16")
    ampere, hopper = (
        profile.efficiency(find_device(name), bf16, "llm-foundry") for name in ("a100", "h100")
    )
    assert hopper.matmul < ampere.matmul
    assert hopper.attention < ampere.attention
    found = tf.train("mpt-7b", "h100", devices=8, zero=3, profile="llm-foundry")
    assert "none of them on H100-SXM-80GB: interval widened; what that device adds is other" in (
        found.provenance
    )
