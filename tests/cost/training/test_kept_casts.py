"""What products in 8 or 4 bits have cast for themselves, and Transformer Engine keeps, by hand; and
published runs that fit with it."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import HEAD, HEADS, INNER, LAYERS, MIXTURE, WIDTH, decoder
from thermoflop.cost.training.memory import kept_by_a_micro_batch

SEEN = 1000  # tokens of a micro-batch
DENSE, EXPERTS = decoder(), decoder(**MIXTURE)
# A byte less each: the results of both norms, and the product of activation and gate; a byte more:
# what the heads come to, which attention keeps in 16 bits. Experts read what a router reads in 16
# bits, each of two that a token chooses its own copy.
SPARED = 2 * WIDTH + INNER - HEADS * HEAD
OF_EXPERTS = WIDTH + 2 * INNER + 2 * WIDTH - HEADS * HEAD


def kept(model: tf.Model, dtype: str = "fp8", trainer: str | None = "megatron-bridge",
         **options: object) -> float:  # fmt: skip
    """Bytes that a micro-batch keeps."""
    sizes = {"global_batch": 8, "sequence": SEEN, "dtype": dtype, "profile": trainer}
    return kept_by_a_micro_batch(tf.train(model, "h100", **sizes, **options).question)


@pytest.mark.parametrize(("model", "spared"), [(DENSE, SPARED), (EXPERTS, OF_EXPERTS)])
def test_what_products_have_cast_is_kept_in_the_place_of_what_it_was_cast_from(model, spared):
    assert kept(model, "bf16") - kept(model) == LAYERS * SEEN * spared
    assert kept(model, trainer=None) == kept(model, "bf16", None)  # such as torch.compile's


@pytest.mark.parametrize(
    ("trainer", "masks"), [("megatron-bridge", 0), ("llm-foundry", 0), ("megatron-lm", 2)]
)
def test_models_that_drop_nothing_keep_no_masks(trainer, masks):
    """A byte of what attention and feed-forward each add to the stream, two bytes wide."""
    alike = kept(DENSE, "bf16", None, compiled=False)  # with both
    assert alike - kept(DENSE, "bf16", trainer, compiled=False) == LAYERS * SEEN * WIDTH * (
        2 - masks
    )


def test_scores_that_nothing_drops_out_keep_what_the_softmax_makes_alone():
    """Of 5 bytes a pair (Korthikanti et al. 2022, section 4.1) the mask and what it leaves, 3."""
    whole, undropped = (
        kept(DENSE, "bf16", trainer, compiled=False, flash=False)
        - kept(DENSE, "bf16", trainer, compiled=False)
        for trainer in (None, "torchtitan")
    )
    assert whole - undropped == LAYERS * HEADS * SEEN**2 * 3


def test_what_is_made_again_is_not_kept_narrow():
    """Neither norms' results nor the product of activation and gate; what experts read is."""
    again = {"recompute": "fine-grained"}
    more = LAYERS * SEEN * HEADS * HEAD
    assert kept(DENSE, **again) - kept(DENSE, "bf16", **again) == more
    spared = LAYERS * SEEN * 2 * WIDTH
    assert kept(EXPERTS, "bf16", **again) - kept(EXPERTS, **again) == spared - more


# Llama 3 70B in fp8 on 64 H100, and Llama 3.1 405B on 1,024: two of the runs of Megatron-Bridge's
# performance summary (25.09 and 26.04), none of whose recipes recomputes a layer.
RUNS = [
    ("llama-3-70b", 64, {"tp": 4, "pp": 8, "virtual": 5, "global_batch": 128}),
    ("llama-3.1-405b", 1024, {"tp": 8, "pp": 8, "cp": 2, "virtual": 8, "global_batch": 1536}),
]


@pytest.mark.parametrize(("model", "devices", "layout"), RUNS)
def test_published_runs_of_megatron_bridge_fit(model, devices, layout):
    run = {"devices": devices, "sequence": 8192, "dtype": "fp8", "profile": "megatron-bridge"}
    found = tf.train(model, "h100", **run, **layout)
    assert found.memory.low_bytes < found.memory.capacity_bytes
    assert "inputs of products in fp8" in str(found)
    wide = tf.train(model, "h100", gradient_dtype="fp32", **run, **layout)
    assert wide.memory.gradient_bytes == 2 * found.memory.gradient_bytes
    assert not wide.memory.fits
