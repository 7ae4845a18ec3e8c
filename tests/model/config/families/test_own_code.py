"""Hunyuan-Large, whose layers share keys and values, and which layers of Kimi Linear attend."""

from __future__ import annotations

import json
from typing import Any

import pytest
from thermoflop.errors import InputError, UsageError
from thermoflop.model.architecture.cache import cache_elements
from thermoflop.model.load import read_model

# tencent/Tencent-Hunyuan-Large: sizes of table 1 of arXiv 2411.02265
LARGE: dict[str, Any] = {
    "model_type": "hunyuan",
    "hidden_size": 6400,
    "intermediate_size": 18304,
    "num_hidden_layers": 64,
    "num_attention_heads": 80,
    "num_key_value_heads": 8,
    "num_experts": 16,
    "num_shared_expert": 1,
    "moe_topk": 1,
    "use_mixed_mlp_moe": True,
    "use_cla": True,
    "cla_share_factor": 2,
    "use_qk_norm": True,
    "vocab_size": 129024,
    "tie_word_embeddings": True,
}


def test_hunyuan_large_has_keys_and_values_in_every_second_layer() -> None:
    """Heads are 6400 / 80 = 80 wide: 32 layers lack 2 maps of 6400 x 640, and keep every norm."""
    model = read_model(LARGE)
    mlp = 3 * 6400 * 18304
    layer = 2 * 6400**2 + 2 * 80 + 2 * 6400 + 17 * mlp + 6400 * 16
    assert model.params == 64 * layer + 32 * 2 * 6400 * 640 + 129024 * 6400 + 6400
    whole = read_model({**LARGE, "use_cla": False})
    assert whole.params - model.params == 32 * 2 * 6400 * 640 == 262_144_000
    # a key and a value of 8 x 80 elements in 32 layers
    assert cache_elements(model.description, 1) == 32 * 2 * 640
    assert cache_elements(whole.description, 1) == 64 * 2 * 640


def test_hunyuan_large_is_as_large_as_published() -> None:
    """arXiv 2411.02265: 389 billion parameters, 52 billion of them active (embedding and all)."""
    model = read_model(LARGE)
    assert round(model.params / 1e9) == 389
    assert 51 < model.active_params / 1e9 < 52.5


@pytest.mark.parametrize("family", ["hunyuan_v1_moe", "hunyuan_v1_dense"])
def test_a_younger_hunyuan_passes_shared_keys_by_as_its_class_does(family: str) -> None:
    """Neither folder of transformers 5.24 reads use_cla."""
    sizes = {
        "model_type": family, "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    }  # fmt: skip
    said = read_model({**sizes, "use_cla": True, "cla_share_factor": 2})
    assert said.params == read_model(sizes).params
    assert f"use_cla means nothing to {family}" in said.assumed[0]


def test_without_norms_shared_experts_or_their_number_hunyuan_has_none() -> None:
    plain = {key: value for key, value in LARGE.items() if key != "use_mixed_mlp_moe"}
    alone = read_model({**plain, "use_qk_norm": False})
    assert read_model(LARGE).params - alone.params == 64 * (3 * 6400 * 18304 + 2 * 80)
    twice = read_model({**LARGE, "num_shared_expert": 2, "moe_intermediate_size": 9152})
    assert twice.params - read_model(LARGE).params == 64 * 3 * 6400 * (18304 - 16 * 9152)


def test_other_widths_of_heads_that_a_class_passes_by_are_said() -> None:
    model = read_model({**LARGE, "attention_head_dim": 128})
    assert model.params == read_model(LARGE).params
    assert model.assumed == ("attention_head_dim is 128, and the class makes heads 80 wide",)
    assert read_model({**LARGE, "attention_head_dim": 80}).assumed == ()
    # Zamba2's heads are twice as wide as the hidden state divides into
    twice = {"model_type": "zamba2", "hidden_size": 2560, "attention_head_dim": 160}
    assert not any("attention_head_dim" in said for said in read_model(twice).assumed)


KDA = [1, 2, 3, 5]


def kimi(**lists: Any) -> dict[str, Any]:
    sizes = {"num_heads": 2, "head_dim": 16, "short_conv_kernel_size": 4}
    return {
        "model_type": "kimi_linear", "vocab_size": 100, "hidden_size": 32,
        "intermediate_size": 64, "moe_intermediate_size": 16, "num_hidden_layers": 6,
        "num_attention_heads": 2, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
        "v_head_dim": 8, "num_experts": 4, "num_experts_per_token": 2,
        "linear_attn_config": {**sizes, **lists},
    }  # fmt: skip


def test_one_list_of_kimis_layers_says_what_the_other_does() -> None:
    """Layers 4 and 6 keep 8 + 4 elements a token; without lists it is layer 5 alone."""
    both = read_model(kimi(full_attn_layers=[4, 6], kda_layers=KDA))
    assert cache_elements(both.description, 1) == 2 * 12
    for lists in ({"full_attn_layers": [4, 6]}, {"kda_layers": KDA}):
        assert read_model(kimi(**lists)).params == both.params
    assert cache_elements(read_model(kimi()).description, 1) == 12


@pytest.mark.parametrize(
    ("full", "linear", "layer"),
    [([4, 6], [*KDA, 4], 4), ([4], KDA, 6), ([4, 6, 7], KDA, 7), ([4, 6], [7], 1)],
)
def test_a_layer_of_both_kinds_of_none_or_that_is_not_there_is_refused(
    full: list[int], linear: list[int], layer: int
) -> None:
    with pytest.raises(InputError, match=f"the layers 1 to 6 once: layer {layer}"):
        read_model(kimi(full_attn_layers=full, kda_layers=linear))


@pytest.mark.parametrize("value", [[[]], [{}], [0], [1.5], ["1"], 4, {"a": 1}, [True]])
@pytest.mark.parametrize("key", ["full_attn_layers", "kda_layers"])
def test_a_list_of_kimis_layers_that_is_none_is_refused(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{key} is .* list of whole numbers"):
        read_model(kimi(**{"full_attn_layers": [4, 6], "kda_layers": KDA, key: value}))


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "glm_moe_dsa", "index_topk_pattern": 3},
        {"model_type": "glm_moe_dsa", "index_topk_pattern": [["F"]] * 78},
        {"model_type": "mellum", "num_experts": 2, "num_experts_per_tok": 3, "mlp_layer_types": []},
        {"model_type": "janus", "vq_config": {"channel_multiplier": []}},
    ],
    ids=json.dumps,
)
def test_lists_that_make_no_sense_are_refused_in_a_sentence(config: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        read_model(config)


def test_an_empty_list_of_mellums_layers_is_no_list() -> None:
    assert read_model({"model_type": "mellum", "mlp_layer_types": []}).params == (
        read_model({"model_type": "mellum"}).params
    )


LLADA = {
    "model_type": "llada", "architectures": ["LLaDAModelLM"], "d_model": 4096, "n_layers": 32,
    "n_heads": 32, "n_kv_heads": 32, "mlp_hidden_size": 12288, "mlp_ratio": 4,
    "block_type": "llama", "layer_norm_type": "rms", "rope": True, "vocab_size": 126464,
    "embedding_size": 126464, "weight_tying": False, "max_sequence_length": 4096,
    "alibi_bias_max": 8.0, "block_group_size": 1, "attention_layer_norm_with_affine": True,
}  # fmt: skip
# 100M: what ``num_parameters()`` of its published code says of such a model (one made with dllm)
SMALL = {"d_model": 448, "n_layers": 6, "n_heads": 7, "n_kv_heads": 7, "mlp_hidden_size": 768}


def test_llada_has_the_parameters_of_its_files_and_of_its_code() -> None:
    """GSAI-ML/LLaDA-8B-Base: 8,015,581,184 in its safetensors."""
    model = read_model(LLADA)
    assert model.params == 8_015_581_184
    assert model.max_positions == 4096
    assert not model.description.stacks[0].causal
    assert read_model({**LLADA, **SMALL}).params == 124_327_616


def test_llada_takes_its_widths_from_a_ratio_or_the_rows_of_its_table() -> None:
    plain = read_model({**LLADA, "mlp_hidden_size": None}).params
    assert plain - read_model(LLADA).params == 32 * 3 * 4096 * (4 * 4096 - 12288)
    wider = read_model({**LLADA, "embedding_size": 126500}).params
    assert wider - read_model(LLADA).params == 2 * 36 * 4096


@pytest.mark.parametrize(
    "change",
    [{"block_type": "sequential"}, {"layer_norm_type": "low_precision"}, {"include_bias": True}],
    ids=json.dumps,
)
def test_other_blocks_of_llada_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        read_model({**LLADA, **change})


DREAM = {"model_type": "Dream", "architectures": ["DreamModel"]}


@pytest.mark.parametrize("config", [LLADA, DREAM], ids=["llada", "dream"])
def test_what_removes_masks_runs_every_position_each_step(config: dict[str, Any]) -> None:
    model = read_model(config)
    assert (model.purpose, model.generates, model.is_encoder) == ("unmask", False, True)
    assert "each step runs every position anew" in model.assumed[0]
    with pytest.raises(UsageError, match="removing masks, and runs every position anew each step"):
        model.decode(100)


def test_what_writes_blocks_says_what_a_step_of_it_is() -> None:
    """SDAR keeps the keys of finished blocks, as what is causal does."""
    model = read_model({"model_type": "sdar"})
    assert model.generates
    assert "blocks of tokens by removing masks" in model.assumed[0]
