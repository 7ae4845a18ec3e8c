"""Ring 2.0 with linear attention and Ling 2.5, which has latent attention beside it."""

from __future__ import annotations

from typing import Any

from thermoflop.model.architecture.cache import cache_elements
from thermoflop.model.load import read_model

MINI: dict[str, Any] = {
    "architectures": ["BailingMoeLinearV2ForCausalLM"], "model_type": "bailing_moe_linear",
    "embedding_dropout": 0.0, "first_k_dense_replace": 1, "group_norm_size": 4, "head_dim": 128,
    "hidden_size": 2048, "intermediate_size": 5120, "layer_group_size": 5, "linear_silu": False,
    "moe_intermediate_size": 512, "moe_router_enable_expert_bias": True,
    "moe_shared_expert_intermediate_size": 512, "n_group": 8, "num_attention_heads": 16,
    "num_experts": 256, "num_experts_per_tok": 8, "num_hidden_layers": 20,
    "num_key_value_heads": 4, "num_nextn_predict_layers": 0, "num_shared_experts": 1,
    "output_dropout": 0.0, "partial_rotary_factor": 0.5, "router_dtype": "fp32",
    "score_function": "sigmoid", "topk_group": 4, "use_bias": False, "use_qk_norm": True,
    "use_qkv_bias": False, "use_rmsnorm": True, "vocab_size": 157184, "tie_word_embeddings": False,
}  # fmt: skip


def test_ring_mini_linear_is_as_large_as_its_weights() -> None:
    """inclusionAI/Ring-mini-linear-2.0: 16.4B, of 16 layers of Lightning and 4 that see all."""
    model = read_model(MINI)
    full = 2048 * 24 * 128 + 2048 * 2048 + 2 * 128
    linear = 5 * 2048 * 2048 + 2048 + 2 * 128
    mixture = 257 * 3 * 2048 * 512 + 256 * 2048
    total = 4 * full + 16 * linear + 3 * 2048 * 5120 + 19 * mixture
    total += 20 * 2 * 2048 + 2 * 157184 * 2048 + 2048
    assert model.params == total == 16_423_443_456
    assert cache_elements(model.description, 100) == 4 * 100 * 2 * 4 * 128


def test_a_group_of_ring_that_is_cut_short_sees_everything() -> None:
    """The layers 4, 9, 14 and 19, and the two behind them."""
    model = read_model({**MINI, "num_hidden_layers": 22})
    assert cache_elements(model.description, 1) == 6 * 2 * 4 * 128


def test_biases_of_ring() -> None:
    qkv = read_model({**MINI, "use_qkv_bias": True}).params - read_model(MINI).params
    assert qkv == 4 * 24 * 128 + 16 * 3 * 2048


def test_ling_25_has_lightning_beside_latent_attention() -> None:
    """vLLM's BailingMoeV25: latents without a gate, Lightning with norms, an end of each group."""
    config = {
        "architectures": ["BailingMoeV2_5ForCausalLM"], "model_type": "bailing_hybrid",
        "hidden_size": 256, "num_hidden_layers": 4, "layer_group_size": 4, "head_dim": 32,
        "num_attention_heads": 8, "kv_lora_rank": 64, "q_lora_rank": 96, "qk_nope_head_dim": 32,
        "qk_rope_head_dim": 16, "v_head_dim": 32, "intermediate_size": 512, "vocab_size": 1000,
        "moe_intermediate_size": 128, "num_experts": 8, "num_experts_per_tok": 2,
        "num_shared_experts": 1, "first_k_dense_replace": 1, "use_qk_norm": True,
        "group_norm_size": 8, "score_function": "sigmoid",
    }  # fmt: skip
    model = read_model(config)
    latent = 256 * 96 + 96 + 96 * 8 * 48 + 256 * 80 + 64 + 64 * 8 * 64 + 256 * 256
    linear = 5 * 256 * 256 + 256 + 2 * 32
    mixture = 9 * 3 * 256 * 128 + 8 * 256
    total = latent + 3 * linear + 3 * 256 * 512 + 3 * mixture + 9 * 256 + 2 * 1000 * 256
    assert model.params == total
    assert cache_elements(model.description, 10) == 10 * 80
