"""Layers whose heads, keys and gates differ by kind: MiniMax-M3, MiMo-V2-Flash, Step 3.7."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import InputError, ThermoflopError

M3: dict[str, Any] = {
    "model_type": "minimax_m3",
    "vocab_size": 300,
    "hidden_size": 80,
    "intermediate_size": 28,
    "dense_intermediate_size": 60,
    "shared_intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 24,
    "num_local_experts": 6,
    "num_experts_per_tok": 2,
    "moe_layer_freq": [0, 1],
    "sparse_attention_config": {
        "sparse_attention_freq": [0, 1],
        "sparse_num_index_heads": 4,
        "sparse_index_dim": 16,
        "sparse_block_size": 8,
        "sparse_topk_blocks": 3,
    },
}
STEP: dict[str, Any] = {
    "model_type": "step3p7",
    "vocab_size": 300,
    "hidden_size": 80,
    "intermediate_size": 60,
    "moe_intermediate_size": 28,
    "share_expert_dim": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "sliding_window": 8,
    "layer_types": ["full_attention", "sliding_attention"],
    "attention_other_setting": {"num_attention_heads": 6},
    "moe_layers_enum": "1",
}
MIMO: dict[str, Any] = {
    "model_type": "mimo_v2_flash",
    "vocab_size": 300,
    "hidden_size": 80,
    "intermediate_size": 60,
    "moe_intermediate_size": 28,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "v_head_dim": 16,
    "sliding_window_size": 8,
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
}


def test_blocks_of_keys_are_chosen_in_the_layers_that_have_an_indexer() -> None:
    model = tf.load_model(M3)
    # queries of 4 heads of 16 and one key of 16, from 80
    assert model.params_by_group["indexer"] == 80 * (4 * 16 + 16)
    # keys and values of 4 heads of 24 in both layers, and the indexer's key of 16
    assert model.kv_bytes(100) == 2 * 100 * (2 * 2 * 4 * 24 + 16)
    flops = model.decode(99).by_group()
    # 100 keys in the first layer, 3 blocks of 8 in the second
    assert flops["attn_score"] == 2 * 8 * 24 * (100 + 3 * 8)
    assert flops["indexer_score"] == 2 * 4 * 16 * 100


def test_sliding_layers_may_have_more_heads_and_each_head_a_gate() -> None:
    model = tf.load_model(STEP)
    full = 80 * 24 * (4 + 2 + 2) + 4 * 24 * 80 + 80 * 4
    sliding = 80 * 24 * (6 + 2 + 2) + 6 * 24 * 80 + 80 * 6
    assert model.params_by_group["attn"] == full + sliding
    # 4 heads meet all 20 keys, 6 heads the window of 8
    assert model.decode(19).by_group()["attn_score"] == 2 * 24 * (4 * 20 + 6 * 8)
    assert model.params_by_group["shared_experts"] == 3 * 80 * 20


def test_entries_beyond_the_last_layer_are_those_of_layers_that_predict_further() -> None:
    types = [*STEP["layer_types"], "full_attention", "sliding_attention"]
    padded = tf.load_model({**STEP, "layer_types": types, "num_nextn_predict_layers": 2})
    assert padded.description == tf.load_model(STEP).description


def test_values_narrower_than_keys_and_sinks_where_layers_slide() -> None:
    model = tf.load_model(MIMO)
    # layer 0 is full, layer 1 slides: twice the key heads, a sink for each head
    full = 80 * (8 * 24 + 2 * 24 + 2 * 16) + 8 * 16 * 80
    sliding = 80 * (8 * 24 + 4 * 24 + 4 * 16) + 8 * 16 * 80 + 8
    assert model.params_by_group["attn"] == full + sliding
    # 8 tokens before the query, and the query
    flops = model.decode(99).by_group()
    assert flops["attn_score"] == 2 * 8 * 24 * (100 + 9)
    assert flops["attn_value"] == 2 * 8 * 16 * (100 + 9)
    assert model.kv_bytes(100) == 2 * (2 * (24 + 16) * 100 + 4 * (24 + 16) * 9)


@pytest.mark.parametrize(
    ("config", "changes", "named"),
    [
        (M3, {"moe_layer_freq": [1]}, "moe_layer_freq"),
        (M3, {"sparse_attention_config": {"sparse_attention_freq": [2, 1]}}, "sparse_attention"),
        (STEP, {"moe_layers_enum": "1,x"}, "moe_layers_enum"),
        (STEP, {"attention_other_setting": {"num_attention_heads": 2.5}}, "num_attention_heads"),
        (STEP, {"layer_types": ["full_attention"]}, "layer_types"),
        (MIMO, {"mlp_layer_types": ["dense", "moe"]}, "mlp_layer_types"),
    ],
)
def test_a_list_that_makes_no_sense_is_named(
    config: dict[str, Any], changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        tf.load_model({**config, **changes})


def test_kimi_k3s_eyes_as_its_published_weights_have_them() -> None:
    """No bias anywhere, attention wider than the tower, a norm behind the projector."""
    text = {
        "model_type": "kimi_linear",
        "vocab_size": 300,
        "hidden_size": 80,
        "num_hidden_layers": 1,
        "num_experts": 4,
        "num_experts_per_token": 2,
    }
    eyes = {
        "vt_hidden_size": 48,
        "vt_intermediate_size": 56,
        "vt_num_hidden_layers": 2,
        "vt_num_attention_heads": 4,
        "qkv_hidden_size": 72,
        "init_pos_emb_height": 6,
        "init_pos_emb_width": 5,
        "patch_size": 7,
    }
    layer = 4 * 48 * 72 + 2 * 48 * 56 + 2 * 48
    tower = 3 * 7 * 7 * 48 + 6 * 5 * 48 + 2 * layer + 48
    projector = (4 * 48) ** 2 + 4 * 48 * 80 + 80
    whole = {"model_type": "kimi_k3", "text_config": text, "vision_config": eyes}
    seen = tf.load_model(whole).params - tf.load_model(text).params
    assert seen == tower + projector


def test_steps_eyes_halve_an_image_twice() -> None:
    """8 x 8 patches become 4 x 4 and 2 x 2, with twice the channels each time."""
    text = {key: value for key, value in STEP.items() if key != "model_type"}
    eyes = {"width": 48, "layers": 2, "heads": 4, "mlp_ratio": 2.4, "image_size": 112}
    whole = tf.load_model({"model_type": "step3p7", "text_config": text, "vision_config": eyes})
    inner = 115  # 2.4 x 48 = 115.2, cut
    layer = 4 * (48 * 48 + 48) + 2 * 48 * inner + inner + 48 + 2 * 2 * 48 + 2 * 48
    halved = 9 * 48 * 96 + 96 + 9 * 96 * 192 + 192
    tower = 3 * 14 * 14 * 48 + 64 * 48 + 2 * 48 + 2 * layer + halved
    assert whole.params - tf.load_model(STEP).params == tower + 192 * 80
    flops = whole.operators(1, 30, images=1).by_group()
    assert flops["downsample"] == 2 * (16 * 9 * 48 * 96 + 4 * 9 * 96 * 192)
    assert flops["projector"] == 2 * 4 * 192 * 80


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 2}, "fewer than 3 layers"),
        ({"n_mamba_heads": 3}, "n_mamba_heads 3"),
        ({"num_key_value_heads": 5}, "5 for keys"),
        ({"attention_hidden_size": 3712}, "attention_hidden_size 3712"),
        ({"mamba_dt_rank": "full"}, "mamba_dt_rank is 'full'"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings"),
    ],
)
def test_a_zamba_that_its_class_cannot_run_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ThermoflopError, match=said):
        tf.load_model({"model_type": "zamba", **change})


def test_zamba_without_a_list_has_its_block_in_the_third_layer_and_once_a_period() -> None:
    """Of 76: layer 2, and those of the other 73 that leave 4 when divided by 6: 12 of them."""
    stack = tf.load_model({"model_type": "zamba"}).description.stacks[-1]
    assert [run.times for run in stack.runs] == [76, 13, 13]
    assert [run.sets for run in stack.runs] == [76, 1, 13]


def test_coheres_first_layers_have_a_pattern_of_their_own() -> None:
    """Every second of the first four sees all, then every third of the six that follow."""
    model = tf.load_model({
        "model_type": "cohere2_moe", "num_hidden_layers": 10, "first_k_dense_replace": 4,
        "prefix_dense_sliding_window_pattern": 2, "sliding_window_pattern": 3,
        "sliding_window": 64, "num_experts": 4, "num_experts_per_tok": 2, "hidden_size": 64,
        "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 16, "vocab_size": 100,
    })  # fmt: skip
    (stack,) = model.description.stacks
    full = [place for run in stack.runs if run.layer.mixer.window is None for place in run.at]
    assert sorted(full) == [1, 3, 4 + 2, 4 + 5]


SMALL = {
    "num_hidden_layers": 12, "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 100,
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "kind", "places"),
    [  # the rules of each class in transformers: (index + 1) % step == 0
        ({"model_type": "ernie4_5_moe", "moe_num_experts": 4, "moe_k": 2, "moe_layer_interval": 3,
          "moe_layer_start_index": 2, "moe_layer_end_index": 8}, "MoE", [2, 5, 8]),
        ({"model_type": "ernie4_5_moe", "moe_num_experts": 4, "moe_k": 2, "moe_layer_interval": 3,
          "moe_layer_start_index": 3, "moe_layer_end_index": -1}, "MoE", [5, 8, 11]),
        ({"model_type": "qwen2_moe", "num_experts": 4, "decoder_sparse_step": 5,
          "mlp_only_layers": []}, "MoE", [4, 9]),
        ({"model_type": "qwen2_moe", "num_experts": 4, "decoder_sparse_step": 5,
          "mlp_only_layers": [4]}, "MoE", [9]),
        ({"model_type": "gemma3_text"}, "full", [5, 11]),
        ({"model_type": "cohere2", "sliding_window_pattern": 5}, "full", [4, 9]),
        ({"model_type": "qwen3_next", "num_experts": 16}, "attention", [3, 7, 11]),
    ],
)  # fmt: skip
def test_every_nth_layer_is_of_its_kind(said: dict[str, Any], kind: str, places: list[int]) -> None:
    (stack,) = tf.load_model({**SMALL, **said}).description.stacks

    def is_one(layer: Any) -> bool:
        if kind == "full":
            return layer.mixer.window is None
        return kind in layer.kind and "linear" not in layer.kind

    assert sorted(at for run in stack.runs if is_one(run.layer) for at in run.at) == places


def test_chunks_of_a_family_that_has_none_are_refused() -> None:
    config = {"model_type": "gemma3_text", "num_hidden_layers": 2}
    kinds = ["chunked_attention", "full_attention"]
    with pytest.raises(InputError, match="attention_chunk_size"):
        tf.load_model({**config, "layer_types": kinds})


@pytest.mark.parametrize(
    ("name", "keys", "former"),
    [
        (
            "qwen4_exp_text",
            {"indexer_n_heads": 4, "indexer_head_dim": 64, "indexer_kv_heads": 1,
             "indexer_compress_ratio": 4, "indexer_budget": 2048},
            "qwen_sparse_attention",
        ),
        ("glm5_next_text", {}, "deepseek_sparse_attention"),
        ("kimi_linear", {}, "attention"),
    ],
)  # fmt: skip
def test_former_words_of_kinds_of_layers_are_those_of_today(
    name: str, keys: dict[str, Any], former: str
) -> None:
    """transformers 5.24 puts one in the place of the other (``_LEGACY_LAYER_TYPE_REMAP``)."""
    today = "full_attention" if former == "attention" else "indexed_attention"
    counts = {
        word: tf.load_model({
            "model_type": name, "num_hidden_layers": 4, **keys,
            "layer_types": ["linear_attention"] * 3 + [word],
        }).params
        for word in (former, today)
    }  # fmt: skip
    assert counts[former] == counts[today]
