"""The table of tokens and the head, trained whole beside adapters: PEFT's ``modules_to_save`` makes
copies of them beside the frozen ones, in fp32 as adapters, or as narrow as their optimizer."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, HEAD_MATRIX, decoder
from thermoflop.cost.training.work import trained
from thermoflop.errors import UsageError

TOKENS = 1000


def asked(model: Any = None, **options: Any) -> tf.TrainingEstimate:
    sizes = {"global_batch": 8, "sequence": TOKENS, "lora": 4, **options}
    return tf.train(model or decoder(), DEVICE, **sizes)


def both(model: Any = None, **options: Any) -> tuple[tf.TrainingEstimate, tf.TrainingEstimate]:
    """A run with whole embeddings, and one without."""
    return asked(model, train_embeddings=True, **options), asked(model, **options)


def test_table_and_head_are_trained_besides_and_a_tied_one_once() -> None:
    whole, adapters = both()
    assert whole.trained_params - adapters.trained_params == 2 * HEAD_MATRIX
    assert whole.lora.embeddings == 2 * HEAD_MATRIX
    tied, without = both(decoder(tie_word_embeddings=True))
    assert tied.trained_params - without.trained_params == HEAD_MATRIX


def test_places_of_tokens_are_not_trained() -> None:
    """GPT-2 has a table of 50,257 tokens and one of 1,024 places."""
    whole, adapters = both("gpt2")
    assert whole.trained_params - adapters.trained_params == 50_257 * 768


@pytest.mark.parametrize(
    ("optimizer", "each"), [("adamw", (4, 4, 8)), ("adamw-bf16", (2, 2, 4)), ("sgd", (4, 4, 0))]
)
@pytest.mark.parametrize(("zero", "shared"), [(0, (1, 1, 1)), (2, (1, 4, 4)), (3, (4, 4, 4))])
def test_copies_have_weights_gradients_and_moments_of_their_own(
    optimizer: str, each: tuple[int, ...], zero: int, shared: tuple[int, ...]
) -> None:
    """Bytes a parameter, over four replicas as under ZeRO; the frozen ones stay."""
    whole, adapters = both(optimizer=optimizer, zero=zero, devices=4)
    for name, width, ranks in zip(("weight", "gradient", "optimizer"), each, shared, strict=True):
        more = getattr(whole.memory, f"{name}_bytes") - getattr(adapters.memory, f"{name}_bytes")
        assert more == pytest.approx(width * 2 * HEAD_MATRIX / ranks), name


@pytest.mark.parametrize(
    ("degrees", "held"), [({"tp": 2}, 1), ({"pp": 2}, 1), ({"tp": 2, "pp": 2}, 1 / 2)]
)
def test_devices_divide_a_matrix_and_stages_have_one_each(degrees: Any, held: float) -> None:
    """Rows of table and head over the devices of a stage, of which the first has the table and the
    last the head."""
    whole, adapters = both(devices=degrees.get("tp", 1) * degrees.get("pp", 1), **degrees)
    for name, width in (("weight", 4), ("gradient", 4), ("optimizer", 8)):
        more = getattr(whole.memory, f"{name}_bytes") - getattr(adapters.memory, f"{name}_bytes")
        assert more == pytest.approx(width * held * HEAD_MATRIX), name


def test_the_head_has_a_gradient_of_its_own() -> None:
    """Another product of all tokens; the table's is a sum of rows."""
    whole, adapters = both()
    assert whole.model_flops - adapters.model_flops == 2 * 8 * TOKENS * HEAD_MATRIX
    times = [
        [work.times for work in trained(each.question)[0].works
         if "head" in work.part and work.kind == "contraction"]
        for each in (whole, adapters)
    ]  # fmt: skip
    assert times == [[3], [2]]
    assert whole.iteration.bound_s > adapters.iteration.bound_s


def test_the_answer_says_so() -> None:
    whole, adapters = both()
    assert "LoRA of rank 4 and embeddings whole, beside q_proj" in str(whole)
    assert "LoRA of rank 4 beside q_proj" in str(adapters)


def test_embeddings_are_told_apart_beside_adapters_alone() -> None:
    with pytest.raises(UsageError, match="train_embeddings needs lora"):
        asked(lora=None, train_embeddings=True)


def test_a_narrow_base_as_a_remedy_keeps_what_else_is_asked_of_adapters() -> None:
    """Its bytes are those of the same command with --base nf4."""
    command = {
        "global_batch": 1, "lora": 64, "lora_targets": "q", "lora_dropout": 0.1,
        "train_embeddings": True, "recompute": "full", "loss": "fused", "optimizer": "adamw-8bit",
    }  # fmt: skip
    found = tf.train("qwen-7b", "rtx-4090", **command)
    with_it = tf.train("qwen-7b", "rtx-4090", base_dtype="nf4", **command)
    needed = f"{with_it.memory.total_bytes / 1e9:.1f} GB a device"
    assert [each.text for each in found.remedies] == [f"--lora 64 --base nf4: {needed}"]
