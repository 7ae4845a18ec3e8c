"""Heads that draft for another model (EAGLE-3), counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.cost.inference.speculative import check_draft, speculate
from thermoflop.cost.serving.serving import serving
from thermoflop.errors import InputError, UsageError
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.load import load_model

# as the file of the head for Llama 3.1 8B has it
HEAD: dict[str, Any] = {
    "architectures": ["LlamaForCausalLMEagle3"], "attention_bias": False, "head_dim": 128,
    "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
    "max_position_embeddings": 2048, "model_type": "llama", "num_attention_heads": 32,
    "num_hidden_layers": 1, "num_key_value_heads": 8, "tie_word_embeddings": False,
    "vocab_size": 128256, "draft_vocab_size": 32000, "torch_dtype": "float16",
}  # fmt: skip
WIDE, INNER, KEYS, CHOICES = 4096, 14336, 8 * 128, 32000
FC = 3 * WIDE * WIDE
LATER = WIDE * (WIDE + 2 * KEYS) + WIDE * WIDE + 3 * WIDE * INNER + 2 * WIDE
FIRST = LATER + WIDE * (WIDE + 2 * KEYS) + WIDE  # its queries, keys and values read both
TAIL = WIDE + WIDE * CHOICES


def test_a_head_is_counted_without_the_table_of_its_model() -> None:
    model = load_model(HEAD)
    assert (model.family, model.params) == ("eagle3", FC + FIRST + TAIL)
    assert model.params == 424_689_664  # 0.849 GB in 16 bits
    assert model.params == sum(model.params_by_group.values())


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"num_hidden_layers": 2}, LATER),
        ({"draft_vocab_size": None}, WIDE * (128256 - CHOICES)),
        ({"tie_word_embeddings": True}, -WIDE * CHOICES),
        # a model of other states: its table does not fit, and the head has its own
        ({"target_hidden_size": 5120}, 3 * WIDE * 1024 + 128256 * WIDE),
        ({"target_hidden_size": 4096}, 0),
        ({"architectures": ["Eagle3LlamaForCausalLM"]}, 0),
        ({"eagle_config": {"eagle_aux_hidden_state_layer_ids": [1, 15, 28]}}, 0),
        ({"norm_before_residual": True}, 0),
    ],
)
def test_what_a_file_says_changes_the_head(changes: dict[str, Any], more: int) -> None:
    assert load_model({**HEAD, **changes}).params == FC + FIRST + TAIL + more


def test_a_token_multiplies_by_every_matrix() -> None:
    """And by keys and values of 5 tokens, with 32 heads of 128."""
    norms, met = 4 * WIDE, 2 * 5 * 32 * 128
    assert load_model(HEAD).decode(4).multiplications == FC + FIRST + TAIL - norms + met


def test_a_head_drafts_for_models_of_its_width() -> None:
    told = speculate("llama-3.1-8b", HEAD, "h100", drafted=3, acceptance=0.6, profile="sglang")
    assert told.vocabularies == ()
    assert told.draft_bytes[0] == 2 * 424_689_664
    assert told.speed_up > 1
    with pytest.raises(UsageError, match=r"4,096 wide, and those of llama-3.1-70b are 8,192"):
        speculate("llama-3.1-70b", HEAD, "h100", devices=4)
    with pytest.raises(UsageError, match=r"4,096 wide, and those of llama-3.1-70b are 8,192"):
        serving("llama-3.1-70b", "h100", devices=4, draft=load_model(HEAD))
    with pytest.raises(UsageError, match="those of vit-base-patch16-224 are none"):
        check_draft(load_model("vit-base"), load_model(HEAD))


def test_a_head_needs_its_class() -> None:
    with pytest.raises(InputError, match="needs its class in architectures"):
        load_model({**HEAD, "model_type": "eagle3", "architectures": ["LlamaForCausalLM"]})


def test_the_map_of_states_comes_first() -> None:
    front = load_model(HEAD).description.stacks[0].front
    maps = [placed.part for placed in front if isinstance(placed.part, Linear)]
    assert [(each.inputs, each.outputs) for each in maps] == [(3 * WIDE, WIDE)]
