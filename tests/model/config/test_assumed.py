"""What a file says and is left out, or leaves out and is taken from its class, is said."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.config.catalogue import entry, names
from thermoflop.model.load import load_model, read_model

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
OF_OTHERS = {
    "qkv_bias": True,
    "use_qk_norm": True,
    "kv_lora_rank": 512,
    "num_kv_shared_layers": 4,
    "vision_config": {"hidden_size": 7},
    "attention_head_dim": 64,
    "embedding_size": 1024,
    "block_configs": [{}],
    "index_topk": 2048,
    "mlp_only_layers": [1],
}


def test_a_file_that_says_what_its_class_reads_has_no_such_note() -> None:
    assert read_model({**LLAMA, "pretraining_tp": 2, "head_dim": 8}).assumed == ()


@pytest.mark.parametrize("key", OF_OTHERS)
def test_a_key_of_other_classes_is_left_out_and_said(key: str) -> None:
    plain, model = read_model(LLAMA), read_model({**LLAMA, key: OF_OTHERS[key]})
    assert model.params == plain.params
    said = f"{key} means nothing to llama: left out, as transformers does"
    assert model.assumed == (said,)
    assert said in model.notes


def test_several_such_keys_are_one_sentence() -> None:
    model = read_model({**LLAMA, **OF_OTHERS})
    assert len(model.assumed) == 1
    assert model.assumed[0].startswith("qkv_bias, use_qk_norm, kv_lora_rank")
    assert " and 2 more keys mean nothing to llama" in model.assumed[0]


@pytest.mark.parametrize(
    ("key", "value"), [("use_qk_norm", False), ("kv_lora_rank", None), ("decoder_sparse_step", 1)]
)
def test_a_key_of_other_classes_that_is_off_is_not_worth_a_note(key: str, value: object) -> None:
    assert read_model({**LLAMA, key: value}).assumed == ()


def test_no_model_of_the_catalogue_has_a_key_that_means_nothing_to_it() -> None:
    for name in names():
        found = entry(name)
        assert found is not None
        said = " ".join(read_model(found["config"]).assumed)
        assert "nothing to" not in said, (name, said)


def test_the_tower_of_another_model_is_refused() -> None:
    with pytest.raises(UnknownModel, match="mm_vision_tower"):
        read_model({**LLAMA, "mm_vision_tower": "openai/clip-vit-large-patch14-336"})


def test_sizes_that_a_file_leaves_out_are_named_with_those_of_the_class() -> None:
    """LlamaConfig: 4096 wide, 32 heads."""
    left = {key: value for key, value in LLAMA.items() if key != "hidden_size"}
    del left["num_attention_heads"]
    (said,) = read_model(left).assumed
    left_out = "the configuration leaves out hidden_size and num_attention_heads"
    assert said == f"{left_out}: taken from the class of llama (4,096, 32)"


def test_a_wrapper_without_a_text_model_is_that_of_its_class() -> None:
    """LlavaConfig of transformers 5: a llama as its configuration class makes it."""
    (said,) = read_model({"model_type": "llava"}).assumed
    assert said.endswith("leaves out text_config: taken from the class of llava (llama)")
    assert read_model({"model_type": "llava", "text_config": LLAMA}).assumed == ()


def test_a_text_model_may_stand_in_a_section_or_beside_it() -> None:
    """Qwen2-VL's files of both kinds."""
    sizes = {key: value for key, value in LLAMA.items() if key != "model_type"}
    seen = {"model_type": "qwen2_vl", "vision_config": {"hidden_size": 32, "depth": 1}}
    assert read_model({**seen, "text_config": sizes}).assumed == ()
    assert read_model({**seen, **sizes}).assumed == ()


def test_a_model_of_the_catalogue_may_leave_away_what_its_class_takes() -> None:
    assert load_model("minicpm3-4b").assumed == ()


@pytest.mark.parametrize("value", [8192.5, True, "8192", [8192]])
def test_a_context_that_is_no_number_of_tokens_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"max_position_embeddings is .* a whole number"):
        read_model({**LLAMA, "max_position_embeddings": value})


def test_a_head_that_the_file_unties_and_the_class_ties_is_said() -> None:
    """MT5Config of transformers 5 sets the tie; a head of its own would be 100 x 32."""
    config = {
        "model_type": "mt5", "vocab_size": 100, "d_model": 32, "d_kv": 8, "d_ff": 64,
        "num_layers": 1, "num_heads": 4,
    }  # fmt: skip
    model = read_model({**config, "tie_word_embeddings": False})
    assert model.params == read_model(config).params
    assert len(model.assumed) == 1
    assert "mt5 ties the head all the same" in model.assumed[0]
    assert model.assumed[0].endswith("hold 3,200 more")
    assert read_model({**config, "tie_word_embeddings": True}).assumed == ()


def test_what_is_not_understood_is_refused_all_at_once() -> None:
    with pytest.raises(UnknownModel) as caught:
        read_model({**LLAMA, "use_magic": True, "num_widgets": 3})
    said = str(caught.value)
    assert "use_magic = True, num_widgets = 3 are not understood" in said
    asked = "ignore=('use_magic', 'num_widgets') (--ignore use_magic --ignore num_widgets)"
    assert f"{asked} if they do not" in said
    assert "--ignore" not in caught.value.sentence  # a page has no options


def test_a_refusal_names_every_key_that_would_have_to_be_ignored() -> None:
    strange = {f"num_widgets_{number}": 3 for number in range(9)}
    with pytest.raises(UnknownModel) as caught:
        read_model({**LLAMA, **strange})
    assert str(caught.value).endswith(
        f"ignore={tuple(strange)} ({' '.join(f'--ignore {key}' for key in strange)}) if they do not"
    )
    assert read_model({**LLAMA, **strange}, ignored=frozenset(strange)).params


def test_what_a_family_passes_by_is_said_where_the_family_is_the_users_word() -> None:
    """Hunyuan's class always has norms on queries and keys."""
    own = read_model({**LLAMA, "model_type": "mine"}, counted_as="llama")
    assert own.assumed == ()
    kept = {"model_type": "mine", **{k: v for k, v in LLAMA.items() if k != "model_type"}}
    model = read_model({**kept, "use_qk_norm": True}, counted_as="hunyuan_v1_dense")
    assert "use_qk_norm changed no count, as in the class of hunyuan_v1_dense" in model.assumed
