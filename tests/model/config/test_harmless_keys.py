"""A key that cannot change a count never refuses a configuration; one that can still does."""

from __future__ import annotations

from typing import Any

import pytest
from model.fuzz_configs import HARMLESS
from thermoflop.errors import UnknownModel
from thermoflop.model.config.catalogue import entry
from thermoflop.model.config.families import FAMILY_NAMES, find_family
from thermoflop.model.config.ignored_keys import changes_nothing, unread_keys
from thermoflop.model.load import read_model


def config_of(name: str) -> dict[str, Any]:
    found = entry(name)
    assert found is not None
    config: dict[str, Any] = found["config"]
    return config


@pytest.mark.parametrize("key", HARMLESS)
@pytest.mark.parametrize(
    "name", ["llama-3.1-8b", "gpt2", "bert-base-uncased", "t5-large", "mamba-2.8b", "mixtral-8x7b"]
)
def test_a_harmless_key_is_let_by(name: str, key: str) -> None:
    config = config_of(name)
    assert read_model({**config, key: HARMLESS[key]}).params == read_model(config).params


def test_no_family_lists_what_is_ignored_for_all() -> None:
    """By its name alone, whatever it holds; and a list of one is no word cut into letters."""
    found = {name: find_family(name) for name in FAMILY_NAMES}
    listed = [(name, key) for name, family in found.items() if family for key in family.ignored]
    assert len(listed) > 1000
    assert [each for each in listed if changes_nothing(each[1], {"size": 7})] == []
    assert all(len(key) > 1 for _, key in listed)


def test_a_key_that_the_class_never_reads_is_let_by() -> None:
    """Qwen3MoeForCausalLM has its norms on queries and keys whatever ``use_qk_norm`` says."""
    config = config_of("qwen3-30b-a3b")
    assert read_model({**config, "use_qk_norm": True}).params == read_model(config).params


@pytest.mark.parametrize("key", ["num_local_experts", "n_layer", "use_qk_norm"])
def test_a_key_of_other_classes_is_not_believed_where_it_may_mean_a_size(key: str) -> None:
    """A mixture in a dense family, and a depth under another name where its own is missing."""
    config = config_of("llama-3.1-8b")
    if key != "num_local_experts":
        config = {name: value for name, value in config.items() if name != "num_hidden_layers"}
    with pytest.raises(UnknownModel, match=key):
        read_model({**config, key: 8})


# Where the code that a family was published with reads a key that its class here does not.
READ_ELSEWHERE = {
    "bailing_hybrid": {"moe_shared_expert_intermediate_size"},
    "zaya": {"add_bias_linear", "ffn_hidden_size"},
    "deepseek_v2": {"moe_layer_freq"},
    "deepseek_v3": {"moe_layer_freq"},
    # the class takes all swa_ keys in a loop
    "dots3_note_text": {"swa_head_dim", "swa_num_attention_heads", "swa_v_head_dim"},
    "dots3_note": {"swa_head_dim", "swa_num_attention_heads", "swa_v_head_dim"},
    "minimax": {"attn_type_list"},
    "mpt": {"expansion_ratio", "no_bias"},
    "nomic_bert": {"moe_top_k"},
    "nemotron_h": {"attention_bias", "n_shared_experts"},
    "qwen3_5_moe_text": {"attn_output_gate"},
    "qwen3_5_text": {"attn_output_gate"},
    # processors make images of that size of what is seen
    "glm5_next_vision": {"image_size"},
    "glm_ocr_vision": {"image_size"},
    "pixtral": {"image_size"},
    "radio": {"image_size"},
    "video_llama_3_vision": {"image_size"},
}


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_no_family_counts_a_key_that_its_class_never_reads(name: str) -> None:
    family = find_family(name)
    assert family is not None
    assert set(family.keys) & unread_keys(name) == READ_ELSEWHERE.get(name, set())


def test_null_flags_are_false_and_a_window_of_nothing_is_none() -> None:
    config = config_of("qwen2.5-7b")
    plain = read_model({**config, "use_sliding_window": False, "tie_word_embeddings": False})
    nulls = {"use_sliding_window": None, "tie_word_embeddings": None, "sliding_window": 0}
    assert read_model({**config, **nulls}).params == plain.params
    assert read_model({**config, **nulls}).decode(9000).flops == plain.decode(9000).flops
