"""What frozen matrices of bitsandbytes hold of what they read.

``MatMul8bitLt`` stores its input on the graph's node (``ctx.tensors = (CAt, subA, A)``), and so did
``MatMul4Bit`` (``(A, B)``) until pull request 1270 of July 2024 made that ``(None, B)``. A node's
attributes live as long as the loss that leads to it.
"""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, INNER, LAYERS, WIDTH, decoder
from thermoflop.cost.training.memory import kept_by_a_micro_batch
from thermoflop.errors import UsageError

TOKENS = 1000
# A layer's products read the results of two norms and of attention, and the neurons.
READ = 3 * WIDTH + INNER


def kept(targets: str = "q", **options: Any) -> float:
    """Bytes that a micro-batch of a thousand tokens keeps."""
    found = tf.train(
        decoder(), DEVICE, global_batch=8, sequence=TOKENS, lora=4, lora_targets=targets, **options
    )
    assert found.question is not None
    return kept_by_a_micro_batch(found.question)


@pytest.mark.parametrize(
    ("targets", "read_by_none"), [("all-linear", 0), ("q", WIDTH + INNER), ("q,gate", INNER)]
)
def test_frozen_matrices_that_hold_their_inputs_keep_those_that_no_adapter_reads(
    targets: str, read_by_none: int
) -> None:
    """In 16 bits; what attention came to is kept for attention itself."""
    held = kept(targets, base_dtype="nf4", held_inputs=1) - kept(targets, base_dtype="nf4")
    assert held == 2 * TOKENS * LAYERS * read_by_none


@pytest.mark.parametrize("targets", ["all-linear", "q"])
def test_a_loop_that_has_its_last_loss_keeps_all_that_its_last_micro_batch_read(
    targets: str,
) -> None:
    twice, once = (kept(targets, base_dtype="nf4", held_inputs=held) for held in (2, 1))
    assert twice - once == 2 * TOKENS * LAYERS * READ


def test_int8_holds_its_inputs_unasked_and_4_bits_do_not() -> None:
    assert kept(base_dtype="int8") == kept(base_dtype="int8", held_inputs=1)
    assert kept(base_dtype="int8") - kept(base_dtype="int8", held_inputs=0) > 0
    assert kept(base_dtype="nf4") == kept(base_dtype="nf4", held_inputs=0) == kept()


def test_recomputed_layers_keep_their_inputs_alone() -> None:
    """Nothing is held of a forward pass without gradients."""
    full = {kept(base_dtype="nf4", recompute="full", held_inputs=held) for held in (0, 1, 2)}
    assert full == {2 * TOKENS * LAYERS * WIDTH}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lora": 4, "base_dtype": "nf4", "held_inputs": 3}, "expected 0, 1 or 2"),
        ({"lora": 4, "base_dtype": "nf4", "held_inputs": True}, "expected 0, 1 or 2"),
        ({"lora": 4, "held_inputs": 1}, "the base is in bf16: expected base_dtype nf4 or int8"),
        ({"held_inputs": 0}, "held_inputs=0 needs lora"),
    ],
)
def test_inputs_are_held_by_narrow_frozen_weights_alone(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        tf.train(decoder(), DEVICE, global_batch=8, sequence=TOKENS, **options)


def test_the_answer_says_what_is_held() -> None:
    for held, said in ((0, "in nf4"), (1, "in nf4, and holds what it reads"),
                       (2, "in nf4, and holds what it reads of 2 micro-batches")):  # fmt: skip
        found = tf.train(decoder(), DEVICE, global_batch=8, lora=4, lora_targets="q",
                         base_dtype="nf4", held_inputs=held)  # fmt: skip
        assert f"the base is frozen {said} an iteration" in " ".join(str(found).split())
