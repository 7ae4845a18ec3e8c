"""What no fitted run had makes an interval of training wider, and the bound is one of training."""

from __future__ import annotations

from math import exp, hypot, log
from typing import Any

import pytest
import thermoflop as tf
from thermoflop.cost.catalogue.profiles import training_profiles
from thermoflop.cost.catalogue.seen import EXTRA

END = 1.2815515655446004  # the normal quantile at 90 %


def _ends(options: dict[str, Any], gpu: str = "h100") -> tuple[float, float]:
    """How far the ends of an interval lie from what is expected, as factors."""
    span = tf.train("gpt2", gpu, sequence=512, global_batch=8, **options).iteration
    return span.low_s / span.expected_s, span.high_s / span.expected_s


def _wider(profile: str, table: str, *names: str) -> float:
    """The high end of a profile's spread with what was not seen, added by squares."""
    high = getattr(training_profiles()[profile], table)["iteration"].high
    return exp(hypot(log(high), *(END * EXTRA[name] for name in names)))


@pytest.mark.parametrize(
    ("gpu", "options", "high"),
    [
        ("h100", {}, _wider("default", "intervals")),
        ("h100", {"lora": 8}, _wider("default", "intervals", "adapters")),
        ("h100", {"compiled": False}, _wider("default", "intervals", "eager")),
        ("h200", {}, _wider("default", "intervals", "device")),  # Hopper, as H100
        ("rtx 4090", {}, _wider("default", "intervals", "device", "architecture")),
        ("tpu v6e", {"profile": "maxtext"}, _wider("maxtext", "intervals")),
        # two architectures told of each other; they had no 8 bits
        ("h100", {"profile": "megatron-lm"}, _wider("megatron-lm", "intervals_unseen_device")),
        ("h100", {"profile": "megatron-lm", "dtype": "fp8"},
         _wider("megatron-lm", "intervals_unseen_device", "format")),
        # not compiled, as all that were measured of it
        ("a100", {"profile": "llm-foundry"}, _wider("llm-foundry", "intervals")),
    ],
)  # fmt: skip
def test_each_thing_that_no_run_had_widens_the_interval(
    gpu: str, options: dict[str, Any], high: float
) -> None:
    assert _ends(options, gpu)[1] == pytest.approx(high, rel=1e-3)


def test_a_device_unlike_the_only_one_of_a_trainer_widens_what_was_left_out_by_luck() -> None:
    """Ten rows of one TPU, met by other trainers within 7 %, tell nothing of another: no less than
    of a trainer that was never measured."""
    known = _wider("default", "intervals_unseen_device")
    assert _wider("maxtext", "intervals_unseen_device") == pytest.approx(known, rel=1e-3)
    # its data sheet is recalled, which adds 2.4 % besides
    assert _ends({"profile": "maxtext"}, "tpu v7x")[1] > 1.02 * known


def test_mixtures_under_a_trainer_without_any_are_said_to_have_others_rates() -> None:
    said = tf.train("mixtral-8x7b", "h100", devices=8, profile="torchtitan").provenance
    assert "none of them of a mixture of experts: rates of other trainers" in said
    assert "mixture" not in tf.train("llama-3-8b", "h100", profile="torchtitan").provenance
    pooled = tf.train("mixtral-8x7b", "h100", devices=8).provenance
    assert "interval widened for a mixture of experts" in pooled


def test_the_bound_of_training_sums_in_fp32() -> None:
    """A 4090 multiplies bf16 and sums in fp32 at 165 TFLOP/s (NVIDIA's Ada whitepaper), fp16 in
    fp16 at twice that, in which no trainer sums."""
    estimate = tf.train("gpt2", "rtx 4090", sequence=64, global_batch=1, attention="causal")
    at_bound = estimate.model_flops / (estimate.iteration.bound_s * 165.2e12)
    assert at_bound == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("gpt2", {"attention": "full"}, True),
        ("gpt2", {"attention": "causal"}, False),
        # whose bound is below two thirds of what MFU counts: the first adapter passes nothing on
        ("gpt2", {"attention": "causal", "lora": 8}, False),
        # a share of the tokens is no work of the model, and keys of the others are masked
        ("gpt2", {"attention": "full", "padded": 0.5}, True),
        ("bert-base-uncased", {"attention": "full"}, False),  # has no mask
    ],
)
def test_mfu_that_counts_keys_behind_the_mask_says_so(
    model: str, options: dict[str, Any], said: bool
) -> None:
    text = str(tf.train(model, "a100", sequence=512, **options))
    assert ("masked keys too" in text) == said
