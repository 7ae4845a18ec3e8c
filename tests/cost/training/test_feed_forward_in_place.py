"""Kernels whose gradients of a gated feed-forward take the places of what it keeps.

Liger's ``swiglu_backward`` stores the gradients of gate and up where these were, and keeps the
product for the matrix that reads it. Unsloth's ``LoRA_MLP`` keeps gate and up alone: in the
backward pass ``h, df, de = DW, e, g``, the product where its gradient was, and theirs in place.
"""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, INNER, LAYERS, MIXTURE, decoder
from thermoflop.cost.training.memory import kept_by_a_micro_batch
from thermoflop.errors import UsageError

TOKENS = 1000


def asked(model: Any = None, **options: Any) -> tf.TrainingEstimate:
    """A micro-batch of a thousand tokens, whose loss holds no logits."""
    sizes = {"global_batch": 8, "sequence": TOKENS, "loss": "fused", **options}
    return tf.train(model or decoder(), DEVICE, **sizes)


def kept(**options: Any) -> float:
    return kept_by_a_micro_batch(asked(**options).question)


def test_a_fused_feed_forward_keeps_no_product() -> None:
    """In 16 bits, in every layer; in place it keeps gate, up and product as if compiled."""
    assert kept() - kept(feed_forward="fused") == 2 * TOKENS * LAYERS * INNER
    assert kept() == kept(feed_forward="in-place")


def test_neither_keeps_what_the_activation_came_to_where_nothing_is_compiled() -> None:
    eager = kept(compiled=False)
    assert eager - kept(compiled=False, feed_forward="in-place") == 2 * TOKENS * LAYERS * INNER
    assert eager - kept(compiled=False, feed_forward="fused") == 2 * TOKENS * LAYERS * 2 * INNER


def test_a_product_that_no_adapter_reads_is_not_left_out_twice() -> None:
    assert kept(lora=4, lora_targets="q") == kept(lora=4, lora_targets="q", feed_forward="fused")
    with_down = [kept(lora=4, lora_targets="q,down", feed_forward=how) for how in (None, "fused")]
    assert with_down[0] - with_down[1] == 2 * TOKENS * LAYERS * INNER


@pytest.mark.parametrize(("how", "spared"), [("in-place", 2), ("fused", 3)])
def test_a_layer_that_is_recomputed_has_its_feed_forwards_gradients_in_place(
    how: str, spared: int
) -> None:
    """Of gate, up and product and the gradients of all three, four are left, or three."""
    beside, placed = (
        asked(recompute="full", feed_forward=each).memory.working_bytes for each in (None, how)
    )
    assert beside - placed == 2 * TOKENS * spared * INNER


@pytest.mark.parametrize(
    ("model", "how", "says"),
    [
        (None, "liger", "'liger' is no"),
        (decoder(**MIXTURE), "fused", "outside of experts, of which .* has none"),
        ("gpt2", "in-place", "for gated feed-forwards outside of experts, of which gpt2 has none"),
    ],
)
def test_only_gated_feed_forwards_have_such_kernels(model: Any, how: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        asked(model, feed_forward=how)


def test_the_answer_names_the_kernels() -> None:
    assert ", recompute full, feed-forward fused\n" in str(
        asked(recompute="full", feed_forward="fused")
    )


# Meta's Llama 3.1 8B with adapters of rank 32 on all matrices: the longest context that each card
# trains (Unsloth's documentation, "benchmarks"), GiB and tokens.
LONGEST = [
    ("rtx-3060", 12, 21_848), ("rtx-4080", 16, 40_724), ("rtx-4090", 24, 78_475),
    ("rtx-a6000", 48, 191_728), ("a100-80gb", 80, 342_733),
]  # fmt: skip


@pytest.mark.parametrize(("card", "gib", "tokens"), LONGEST)
def test_the_longest_contexts_of_unsloth_fill_their_cards(card: str, gib: int, tokens: int) -> None:
    found = tf.train(
        tf.load_model("llama-3.1-8b", beyond_context=True), card, global_batch=1,
        sequence=tokens, lora=32, base_dtype="nf4", recompute="full", offload="activations",
        loss="fused", optimizer="adamw-8bit", feed_forward="fused",
    )  # fmt: skip
    assert found.memory.total_bytes == pytest.approx(gib * 2**30, rel=0.05)
