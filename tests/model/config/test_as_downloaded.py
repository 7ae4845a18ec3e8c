"""Files as they are downloaded, with keys of another time, beside the totals of their weights."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop import load_model
from thermoflop.errors import InputError

LLAMA_GUARD = {
    "model_type": "llama4_text", "hidden_size": 5120, "intermediate_size": 8192,
    "intermediate_size_mlp": 8192, "interleave_moe_layer_step": 0, "moe_layers": [],
    "num_attention_heads": 40, "num_key_value_heads": 8, "num_hidden_layers": 48,
    "num_local_experts": 0, "num_experts_per_tok": 0, "vocab_size": 202048, "head_dim": 128,
}  # fmt: skip
PUBLISHED: list[tuple[str, int, dict[str, Any]]] = [
    # dense, so its counts of experts are 0
    ("meta-llama/Llama-Guard-4-12B", 12_001_097_216, {
        "model_type": "llama4", "text_config": LLAMA_GUARD, "vision_config": {
            "model_type": "llama4_vision_model", "hidden_size": 1408, "image_size": 336,
            "intermediate_size": 5632, "num_attention_heads": 16, "num_hidden_layers": 34,
            "projector_input_dim": 4096, "projector_output_dim": 4096, "vision_output_dim": 4096}}),
    # published before its class had sections
    ("zai-org/GLM-4.1V-9B-Thinking", 10_292_777_472, {
        "model_type": "glm4v", "attention_bias": True, "hidden_size": 4096,
        "intermediate_size": 13696, "num_attention_heads": 32, "num_hidden_layers": 40,
        "num_key_value_heads": 2, "vocab_size": 151552, "tie_word_embeddings": False,
        "vision_config": {"hidden_size": 1536, "depth": 24, "num_heads": 12,
                          "intermediate_size": 13696, "out_hidden_size": 4096}}),
    # the correction of a router, one number for each expert, is a buffer
    ("inclusionAI/Ling-mini-2.0", 16_255_643_392 - 19 * 256, {
        "model_type": "bailing_moe", "first_k_dense_replace": 1, "head_dim": 128,
        "hidden_size": 2048, "intermediate_size": 5120, "max_window_layers": 20,
        "moe_intermediate_size": 512, "num_attention_heads": 16, "num_experts": 256,
        "num_experts_per_tok": 8, "num_hidden_layers": 20, "num_key_value_heads": 4,
        "num_shared_experts": 1, "use_qk_norm": True, "use_sliding_window": False,
        "vocab_size": 157184, "tie_word_embeddings": False}),
    # of Megatron's keys: attention and experts are layers of their own, and an expert's first map
    # has both halves; as the class of transformers builds its converted file
    ("Zyphra/ZAYA1-8B", 8_840_488_784, {
        "model_type": "zaya", "ffn_hidden_size": 4096, "head_dim": 128, "hidden_size": 2048,
        "moe_router_topk": 1, "num_attention_heads": 8, "num_experts": 16, "num_hidden_layers": 80,
        "num_key_value_heads": 2, "vocab_size": 262272, "zaya_mlp_expansion": 256, "cca": True,
        "zaya_use_mod": True, "zaya_use_eda": True, "scale_residual_merge": True,
        "normalization": "RMSNorm", "gated_linear_unit": True, "add_bias_linear": False}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "total", "config"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_a_published_file_has_the_parameters_of_its_weights(
    name: str, total: int, config: dict[str, Any]
) -> None:
    assert load_model(config).params == total, name


@pytest.mark.parametrize("change", [
    {"moe_layers": None}, {"moe_layers": [1]}, {"moe_layers": [1], "num_local_experts": 16},
    {"moe_layers": None, "interleave_moe_layer_step": 1, "num_local_experts": 16},
])  # fmt: skip
def test_no_experts_make_sense_where_no_layer_has_any(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="moe_layers is an empty list alone"):
        load_model({**LLAMA_GUARD, **change})


DOTS = {"model_type": "dots3_note_text", "num_hidden_layers": 3}
SLIDING = {**DOTS, "layer_types": ["sliding_attention"] * 3}


@pytest.mark.parametrize("config", [
    {"model_type": "deepseek_vl_v2", "architectures": ["DeepseekOCRForCausalLM"],
     "language_config": True},
    {"model_type": "deepseek_vl_v2", "architectures": ["DeepseekOCRForCausalLM"],
     "language_config": {"use_mla": False}, "vision_config": {"width": {"sam_vit_b": 12}}},
    {"model_type": "gemma3n", "audio_config": {"sscp_conv_kernel_size": 3}},
    {**DOTS, "n_shared_experts": None},
    {**DOTS, "moe_layer_freq": 0},
    {**DOTS, "moe_layer_freq": [1]},
    {**SLIDING, "per_layer_config": {"1": {"v_head_dim": 2}}},
    {**SLIDING, "per_layer_config": {"0": 1, "1": 1, "2": 1}},
    {"model_type": "mistral_large4_text", "kv_source_layers": [0]},
    {"model_type": "glm5_next_text", "index_topk": 100},
    {"model_type": "minimax_m1", "shared_intermediate_size": 64},
])  # fmt: skip
def test_a_file_that_is_not_understood_is_refused_in_a_sentence(config: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        load_model(config)


def test_layers_that_slide_differ_as_either_way_of_saying_it_has_it() -> None:
    """Under names of their own, as published, or by layer, as the class writes it."""
    sizes = {"num_attention_heads": 32, "kv_lora_rank": 256, "qk_nope_head_dim": 96}
    own = {f"swa_{key}": value for key, value in sizes.items()}
    own.update(swa_head_dim=160, swa_v_head_dim=128, swa_q_lora_rank=1024)
    kinds = ["indexed_attention", "sliding_attention", "sliding_attention"]
    by_layer = {f"0{index}": sizes for index in (1, 2)}
    said = load_model({**DOTS, "layer_types": kinds, **own})
    written = load_model({**DOTS, "layer_types": kinds, "per_layer_config": by_layer})
    # and what the class takes where nothing is said
    whole = load_model({**DOTS, "layer_types": kinds})
    assert said.params == written.params < whole.params


def test_where_the_wrapper_leaves_the_tie_out_the_text_decides_in_a_file_of_transformers_4() -> (
    None
):
    """Mistral Small 3.1 (2503) holds a head; the class of transformers 5 ties, which is said."""
    text = {"model_type": "mistral", "hidden_size": 64, "vocab_size": 100, "head_dim": 16,
            "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 1,
            "num_key_value_heads": 2}  # fmt: skip
    file = {"model_type": "mistral3", "text_config": text}
    rows = 100 * 64
    tied = load_model({**file, "tie_word_embeddings": True})
    apart = load_model({**file, "tie_word_embeddings": False})
    assert apart.params == tied.params + rows
    older = load_model({**file, "transformers_version": "4.50.0.dev0"})
    assert older.params == apart.params
    said = {**text, "tie_word_embeddings": False}
    today = load_model({**file, "text_config": said})
    assert today.params == tied.params
    for model in (older, today, load_model(file)):
        assert any(f"{rows:,}" in note for note in model.notes)
    for model in (tied, apart, load_model({**file, "transformers_version": "5.24.0"})):
        assert not any("tie_word_embeddings" in note for note in model.notes)


QWEN3 = {"model_type": "qwen3", "hidden_size": 64, "intermediate_size": 96, "head_dim": 16,
         "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1,
         "vocab_size": 100, "tie_word_embeddings": False}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("exaone4", "reorder_and_qk_norm", True),
        ("nemotron_h", "is_mamba2", True),
        ("minimax_m2", "layernorm_mlp_beta", 1.0),
        ("ernie4_5_moe", "freq_allocation", 20),
        ("lfm2-vl", "max_num_patches", 1024),
        ("hy_v4", "enable_lm_head_fp32", True),
        ("hy_v4", "gating_type", "elementwise"),
        ("dots3_note", "attention_gate_type", "headwise"),
        ("dots3_note_text", "apply_mla_qkv_lora_rescale", True),
        ("laguna", "moe_router_score_func", "sigmoid"),
        ("ernie4_5_moe", "moe_gate_act", "softmax"),
    ],
)
def test_a_key_of_published_files_that_no_class_reads_changes_nothing(
    name: str, key: str, value: Any
) -> None:
    file = {"model_type": name, "layers_block_type": ["mamba"]} if key == "is_mamba2" else {}
    plain = {"model_type": name, **file}
    assert load_model({**plain, key: value}).params == load_model(plain).params


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("hy_v4", "enable_ihc", False),
        ("hy_v4", "learnable_sink", False),
        ("dots3_note_text", "swa_attention_gate_type", "elementwise"),
        ("zaya", "zaya_use_mod", False),
        ("step5_vl", "understand_projector_stride", 1),
    ],
)
def test_a_part_that_a_file_says_otherwise_than_its_class_has_it_is_refused(
    name: str, key: str, value: Any
) -> None:
    with pytest.raises(InputError, match=key):
        load_model({"model_type": name, key: value, "vision_config": {}} if name == "step5_vl"
                   else {"model_type": name, key: value})  # fmt: skip


@pytest.mark.parametrize(
    ("older", "name", "keys"),
    [
        ("lfm2-vl", "lfm2_vl", {}),
        ("bailing_moe_v2", "bailing_moe", {}),
        ("interns1", "internvl", {"text_config": QWEN3, "tie_word_embeddings": False}),
    ],
)
def test_an_older_name_means_the_newer(older: str, name: str, keys: dict[str, Any]) -> None:
    # of Intern-S1 the text decides about the tie, as transformers 4 had it
    told = {key: value for key, value in keys.items() if key != "tie_word_embeddings"}
    newer = load_model({"model_type": name, **keys})
    assert load_model({"model_type": older, **told}).params == newer.params


ERNIE = {"model_type": "ernie4_5_moe_vl", "num_hidden_layers": 3, "moe_num_experts": [8, 8],
         "moe_intermediate_size": [96, 32], "moe_layer_start_index": [2, 2],
         "moe_layer_end_index": [29, 28], "hidden_size": 2560, "rope_3d": True,
         "vision_config": {"embed_dim": 640, "mlp_ratio": 3, "depth": 2}}  # fmt: skip


def test_ernie_with_eyes_is_the_same_under_the_names_of_its_own_code() -> None:
    eyes = {"hidden_size": 640, "intermediate_size": 1920, "depth": 2}
    text = {"num_hidden_layers": 3, "moe_num_experts": 8, "moe_intermediate_size": [96, 32],
            "mlp_layer_types": ["dense", "dense", "sparse"], "hidden_size": 2560}  # fmt: skip
    same = {"model_type": "ernie4_5_vl_moe", "text_config": text, "vision_config": eyes}
    beside, inside = load_model(ERNIE), load_model(same)
    assert beside.params_by_group == inside.params_by_group
    assert beside.prefill(600, images=1).flops == inside.prefill(600, images=1).flops


@pytest.mark.parametrize("change", [
    {"moe_num_experts": [8, 16]}, {"moe_layer_start_index": [1, 2]}, {"moe_num_experts": [8]},
    {"moe_layer_end_index": [1, 28]}, {"temporal_conv_size": 4}, {"moe_num_experts": "8"},
])  # fmt: skip
def test_ernie_with_other_layers_for_words_than_for_images_is_refused(
    change: dict[str, Any],
) -> None:
    with pytest.raises(InputError, match=r"experts|moe_|temporal"):
        load_model({**ERNIE, **change})
