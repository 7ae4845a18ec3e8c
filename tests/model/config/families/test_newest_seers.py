"""Wrappers and hybrids of autumn 2026, as published files have them."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.load import load_model

# Ling 3 as inclusionAI's files have it, with the keys that its code reads
LING: dict[str, Any] = {
    "architectures": ["BailingMoeV3ForCausalLM"], "model_type": "bailing_hybrid",
    "hidden_size": 1536, "intermediate_size": 4608, "num_hidden_layers": 24,
    "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 128, "vocab_size": 157184,
    "layer_group_size": 4, "short_conv_kernel_size": 4, "no_kda_lora": True, "kda_safe_gate": True,
    "kda_lower_bound": -5, "q_lora_rank": 256, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128, "v_head_dim": 128, "num_experts": 128, "num_shared_experts": 1,
    "gated_attention_proj_granularity_type": "head_wise", "num_experts_per_tok": 8,
    "moe_intermediate_size": 512, "moe_shared_expert_intermediate_size": 512,
    "first_k_dense_replace": 1, "moe_router_enable_expert_bias": True, "linear_attention": "kda",
    "expert_swiglu_limit_list": [7.0] * 24, "tie_word_embeddings": False,
}  # fmt: skip
WIDE, HEADS = 1536, 16 * 128
# five maps as wide as the heads, and back; three convolutions, a rate and a bias of the decay, a
# map to one gate for each head, a norm
DELTA = 6 * WIDE * HEADS + 3 * 4 * HEADS + 16 + HEADS + 16 * WIDE + 128
LATENT = WIDE * (256 + 512 + 64 + 16) + 256 * 16 * 192 + 512 * 16 * 256 + HEADS * WIDE + 256 + 512
MOE = 128 * WIDE + 129 * 3 * WIDE * 512
TINY = 2 * 157184 * WIDE + WIDE + 24 * 2 * WIDE + 18 * DELTA + 6 * LATENT + 23 * MOE


def test_ling_3_is_counted_from_its_published_file() -> None:
    assert load_model(LING).params == TINY + 3 * WIDE * 4608 == 7_893_389_856


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"moe_shared_expert_intermediate_size": 1024}, 23 * 3 * WIDE * 512),
        ({"gated_attention_proj_granularity_type": "element_wise"}, 6 * WIDE * (HEADS - 16)),
        ({"gated_attention_proj_granularity_type": None}, -6 * WIDE * 16),
    ],
)
def test_what_the_code_of_ling_3_reads_changes_the_count(
    changes: dict[str, Any], more: int
) -> None:
    assert load_model({**LING, **changes}).params == load_model(LING).params + more


def test_other_forms_of_ling_3_are_refused_by_name() -> None:
    for key, value in (("no_kda_lora", False), ("linear_attention", "gla")):
        with pytest.raises(UnknownModel, match="no_kda_lora and kda alone"):
            load_model({**LING, key: value})
    with pytest.raises(UnknownModel, match="granularity_type is 'rows'"):
        load_model({**LING, "gated_attention_proj_granularity_type": "rows"})


def test_ling_3_with_eyes_has_qwen_3s_tower_without_its_merger() -> None:
    eyes = {"model_type": "qwen3_moe_vit", "depth": 27, "hidden_size": 1152, "num_heads": 16,
            "intermediate_size": 4304, "out_hidden_size": 4096, "disable_merger_proj": True,
            "num_position_embeddings": 2304, "patch_size": 16}  # fmt: skip
    whole = {"model_type": "bailing_moe_v3_vl", "text_config": LING, "vision_config": eyes}
    layer = 4 * 1152 * (1152 + 1) + 2 * 1152 * 4304 + 4304 + 1152 + 4 * 1152
    patches = 2 * 3 * 16 * 16 * 1152 + 1152 + 2304 * 1152
    tower = patches + 27 * layer + 2 * 1152
    project = 4 * 1152 * WIDE + WIDE + WIDE * (WIDE + 1)
    assert load_model(whole).params == load_model(LING).params + tower + project


def test_llada_2_is_ling_2_with_norms_of_queries_and_keys() -> None:
    """LLaDA2.0-mini: 16,255,643,392 numbers are in its files, 256 biases of 19 routers among them,
    which are buffers here."""
    keys = {
        "hidden_size": 2048, "intermediate_size": 5120, "moe_intermediate_size": 512,
        "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 256,
        "num_experts_per_tok": 8, "num_shared_experts": 1, "num_hidden_layers": 20,
        "first_k_dense_replace": 1, "vocab_size": 157184, "rotary_dim": 64,
        "architectures": ["LLaDA2MoeModelLM"], "model_type": "llada2_moe",
    }  # fmt: skip
    model = load_model(keys)
    assert model.params == 16_255_643_392 - 19 * 256
    assert any("removing masks" in note for note in model.notes)
    ling = {**keys, "model_type": "bailing_moe_v2", "architectures": ["BailingMoeV2ForCausalLM"]}
    assert load_model({**ling, "use_qk_norm": True}).params == model.params


DIFFUSING = {
    "hidden_size": 256, "num_hidden_layers": 7, "intermediate_size": 128, "num_experts": 8,
    "top_k_experts": 2, "moe_intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "global_head_dim": 128, "vocab_size": 1000,
}  # fmt: skip
RETRIEVAL = (("colpali", 2_910_652_800, 2048), ("colqwen2", 72_137_303_168, 8192),
             ("colmodernvbert", 251_434_112, 768))  # fmt: skip


@pytest.mark.parametrize(
    ("config", "params"),  # as their classes in transformers 5.24 build them
    [
        ({"model_type": "diffusion_gemma", "text_config": DIFFUSING}, 173_024_952),
        ({"model_type": "diffusion_gemma",
          "text_config": {**DIFFUSING, "num_global_key_value_heads": 1}}, 172_959_416),
        *(({"model_type": name}, params) for name, params, _ in RETRIEVAL),
        *(({"model_type": name, "embedding_dim": 320}, params + 192 * (wide + 1))
          for name, params, wide in RETRIEVAL),
    ],
)  # fmt: skip
def test_they_are_counted_as_their_classes_build_them(config: dict[str, Any], params: int) -> None:
    assert load_model(config).params == params


def test_what_reads_pages_makes_vectors() -> None:
    assert {load_model({"model_type": name}).purpose for name, *_ in RETRIEVAL} == {"embed"}
    with pytest.raises(InputError, match="llama, which does not see"):
        load_model({"model_type": "colpali", "vlm_config": {"model_type": "llama"}})


QWEN3 = {"model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072,
         "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
         "vocab_size": 151936, "tie_word_embeddings": True}  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "more", "purpose"),
    [
        ({"architectures": ["VoyageQwen3BidirectionalEmbedModel"], "num_labels": 2048},
         1024 * 2048, "embed"),
        ({"architectures": ["JinaForRanking"], "embedding_size": 512},
         1024 * 512 + 512 * 512, "rank"),
    ],
)  # fmt: skip
def test_maps_to_vectors_behind_qwen_3_are_counted(
    keys: dict[str, Any], more: int, purpose: str
) -> None:
    plain = load_model({**QWEN3, "architectures": ["Qwen3Model"]})
    model = load_model({**QWEN3, **keys})
    assert (model.params, model.purpose) == (plain.params + more, purpose)
    with pytest.raises(InputError, match="needs the size of its vectors"):
        load_model({**QWEN3, "architectures": keys["architectures"]})
