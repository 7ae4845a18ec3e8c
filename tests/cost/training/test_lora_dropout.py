"""Dropout of what adapters read.

PyTorch's ``native_dropout`` keeps a mask of a byte an element, and its result is kept for the
gradient of the first matrix, by each adapter for itself: PEFT makes a dropout beside every matrix.
"""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, INNER, LAYERS, MIXTURE, WIDTH, decoder
from thermoflop.cost.training.memory import kept_by_a_micro_batch
from thermoflop.cost.training.work import trained
from thermoflop.errors import UsageError

TOKENS = 1000


def asked(model: Any = None, **options: Any) -> Any:
    """What a run of adapters with dropout asks, a thousand tokens at once."""
    sizes = {"global_batch": 8, "sequence": TOKENS, "lora": 4, "lora_dropout": 0.05, **options}
    return tf.train(model or decoder(), DEVICE, **sizes).question


def more(model: Any = None, **options: Any) -> float:
    """Bytes a token and layer that dropout keeps besides."""
    with_it, without = (
        kept_by_a_micro_batch(asked(model, lora_dropout=share, **options)) for share in (0.1, 0.0)
    )
    return (with_it - without) / TOKENS / LAYERS


@pytest.mark.parametrize(
    ("targets", "read", "shared"),
    [
        ("q", WIDTH, WIDTH), ("q,k,v", 3 * WIDTH, WIDTH), ("gate,up", 2 * WIDTH, WIDTH),
        ("o", WIDTH, 0), ("down", INNER, INNER),
        ("all-linear", 6 * WIDTH + INNER, 2 * WIDTH + INNER),
    ],
)  # fmt: skip
def test_each_adapter_keeps_three_bytes_of_an_element_and_none_the_shared_input(
    targets: str, read: int, shared: int
) -> None:
    """What attention came to is kept for attention itself."""
    assert more(lora_targets=targets) == 3 * read - 2 * shared


def test_of_a_mixture_adapters_read_what_a_token_chose() -> None:
    """Two experts, whose gates read the token as it was laid out for them and once besides."""
    assert more(decoder(**MIXTURE), lora_targets="gate") == 3 * 2 * WIDTH - 2 * 3 * WIDTH
    assert more(decoder(**MIXTURE), lora_targets="down") == (3 - 2) * 2 * INNER


def test_a_part_of_an_expert_reads_all_of_a_token() -> None:
    """On each of two devices, which halve what experts share and what is between their matrices."""
    divided = {"devices": 2, "tp": 2}
    each = more(decoder(**MIXTURE), lora_targets="gate", **divided)
    assert each == 3 * 2 * WIDTH - 2 * (2 * WIDTH + WIDTH / 2)
    assert more(decoder(**MIXTURE), lora_targets="down", **divided) == (3 - 2) * 2 * INNER / 2


def test_of_blocks_and_groups_all_read() -> None:
    """18 recurrent layers with gates of 10 blocks of 256; 43 with 8 groups of 8 heads of 512, where
    a token chooses 6 experts."""
    for model, matrix, layers, read in (
        ("recurrentgemma-2b", "input_gate", 18, 10 * 256),
        ("deepseek-v4-flash", "o_a", 43, 8 * 8 * 512),
    ):
        with_it, without = (
            kept_by_a_micro_batch(asked(model, lora_targets=matrix, lora_dropout=share))
            for share in (0.1, 0.0)
        )
        assert with_it - without == 3 * TOKENS * layers * read


def test_what_frozen_weights_hold_is_kept_all_the_same() -> None:
    assert more(lora_targets="q", base_dtype="int8") == 3 * WIDTH


def test_an_input_is_read_and_its_result_and_mask_are_written() -> None:
    works = {work.name: work for work in trained(asked(lora_targets="down"))[1].works}
    assert works["drop down"].activation_bytes == TOKENS * INNER * (2 + 2 + 1)
    assert "drop down" not in {
        work.name for work in trained(asked(lora_targets="down", lora_dropout=0.0))[1].works
    }


def test_the_answer_says_so() -> None:
    found = tf.train(decoder(), DEVICE, global_batch=8, lora=4, lora_dropout=0.05)
    assert "LoRA of rank 4 with dropout beside q_proj" in str(found)
    without = tf.train(decoder(), DEVICE, global_batch=8, lora=4)
    assert "LoRA of rank 4 beside q_proj" in str(without)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lora": None}, "lora_dropout=0.05 needs lora"),
        ({"lora_dropout": 1.0}, "lora_dropout=1.0.*a share of 0 to below 1"),
        ({"lora_dropout": -0.1}, "a share of 0 to below 1"),
    ],
)
def test_a_share_of_what_adapters_read_can_be_dropped(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        asked(**options)
