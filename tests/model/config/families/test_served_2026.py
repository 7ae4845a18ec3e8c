"""Models that people serve in autumn 2026, against what the Hub says of their checkpoints.

Totals are those of the repositories' safetensors, as llmfit 1.1.17 on PyPI lists them (October
2026); configurations are the published ones without the keys that say nothing about sizes.
"""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.cache import cache_elements
from thermoflop.model.load import read_model

SOLAR: dict[str, Any] = {
    "model_type": "solar_open2", "vocab_size": 196608, "hidden_size": 4096,
    "num_hidden_layers": 48, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128,
    "gqa_interval": 3, "gqa_layers": [*range(0, 48, 4)], "n_routed_experts": 320,
    "n_shared_experts": 1, "num_experts_per_tok": 8, "moe_intermediate_size": 1280,
    "linear_attn_config": {
        "short_conv_kernel_size": 4, "head_dim": 128, "num_heads": 64, "num_kv_heads": None,
    },
}  # fmt: skip
_SALA_LAYERS = ((1, 8), (1, 6), (2, 4), (1, 6), (3, 0))  # sparse ones, then linear ones
SALA: dict[str, Any] = {
    "model_type": "minicpm_sala", "vocab_size": 73448, "hidden_size": 4096, "head_dim": 128,
    "intermediate_size": 16384, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 2, "lightning_nh": 32, "lightning_nkv": 32, "lightning_head_dim": 128,
    "mixer_types": [
        word for sparse, linear in _SALA_LAYERS
        for word in ["minicpm4"] * sparse + ["lightning-attn"] * linear
    ],
    "qk_norm": True, "use_output_gate": True, "use_output_norm": True, "attention_bias": False,
    "attn_use_output_gate": True, "attn_use_rope": False, "tie_word_embeddings": False,
    "sparse_config": {"block_size": 64, "topk": 64}, "shift_labels": True,
}  # fmt: skip
DIFFUSION: dict[str, Any] = {
    "model_type": "nemotron_labs_diffusion", "architectures": ["NemotronLabsDiffusionModel"],
    "vocab_size": 131072, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "block_size": 32, "dlm_paradigm": "bidirectional", "tie_word_embeddings": False,
}  # fmt: skip
PPLX: dict[str, Any] = {
    "model_type": "bidirectional_pplx_qwen3", "architectures": ["PPLXQwen3Model"],
    "vocab_size": 151936, "num_key_value_heads": 8, "head_dim": 128,
    "use_bidirectional_attention": True,
}  # fmt: skip
PUZZLE: dict[str, Any] = {
    "model_type": "nemotron_h_puzzle", "vocab_size": 131072, "hidden_size": 4096,
    "num_hidden_layers": None, "num_attention_heads": 32, "num_key_value_heads": 2,
    "head_dim": 128, "n_routed_experts": 512, "n_shared_experts": 1, "moe_latent_size": 1024,
    "moe_shared_expert_intermediate_size": 5376, "mamba_num_heads": 128, "mamba_head_dim": 64,
    "n_groups": 8, "ssm_state_size": 128, "layers_block_type": ["mamba", "moe", "attention", "moe"],
    "block_configs": [
        {"block_type": "mamba"},
        {"block_type": "moe", "moe_intermediate_size": 1280, "num_experts_per_tok": 4},
        {"block_type": "attention"},
        {"block_type": "moe", "moe_intermediate_size": 2688, "num_experts_per_tok": 22},
    ],
}  # fmt: skip

PHI: dict[str, Any] = {
    "model_type": "phi4mm", "architectures": ["Phi4MMForCausalLM"], "vocab_size": 200064,
    "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
    "num_attention_heads": 24, "num_key_value_heads": 8, "tie_word_embeddings": True,
    "partial_rotary_factor": 0.75, "sliding_window": 262144, "embd_layer": {}, "full_attn_mod": 1,
    "audio_processor": {
        "name": "cascades",
        "config": {
            "attention_dim": 1024, "attention_heads": 16, "batch_norm": False, "bias_in_glu": True,
            "chunk_size": -1, "cnn_layer_norm": True, "depthwise_multiplier": 1,
            "depthwise_seperable_out_channel": 1024, "ext_pw_kernel_size": 1,
            "ext_pw_out_channel": 1024, "input_layer": "nemo_conv", "input_size": 80,
            "kernel_size": 3, "left_chunk": 18, "linear_units": 1536, "num_blocks": 24,
            "nemo_conv_settings": {"conv_channels": 1024}, "time_reduction": 8,
            "relative_attention_bias_args": {"t5_bias_max_distance": 500, "type": "t5"},
        },
    },
    "vision_lora": {"r": 256, "lora_alpha": 512}, "speech_lora": {"r": 320, "lora_alpha": 640},
}  # fmt: skip

GRANITE: dict[str, Any] = {
    "model_type": "granite4_vision", "downsample_rate": "4/8", "tie_word_embeddings": True,
    "deepstack_layer_map": [[-19, 9], [-13, 6], [-7, 3], [-1, 0]], "spatial_vision_layer": -1,
    "image_grid_pinpoints": [[384, 384], [384, 768], [768, 384]], "use_spatial_sampling": True,
    "spatial_target_layers": [12, 15, 18, 21], "vision_feature_select_strategy": "full",
    "vision_config": {
        "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
        "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 384, "patch_size": 16,
    },
}  # fmt: skip
_GRANITE_TEXT = {
    "model_type": "granite", "hidden_size": 2560, "intermediate_size": 8192,
    "num_hidden_layers": 40, "num_attention_heads": 40, "num_key_value_heads": 8,
}  # fmt: skip
COMPASS: dict[str, Any] = {
    "model_type": "cohere_compass", "tie_word_embeddings": True,
    "text_config": {
        "model_type": "cohere_compass_text", "vocab_size": 262144, "hidden_size": 2048,
        "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16,
        "num_key_value_heads": 8,
    },
    "vision_config": {
        "model_type": "cohere_compass_vision", "depth": 27, "hidden_size": 1152,
        "intermediate_size": 4304, "num_heads": 16, "out_hidden_size": 2048,
    },
}  # fmt: skip

SOLAR_PRO: dict[str, Any] = {
    "model_type": "solar", "vocab_size": 32128, "hidden_size": 5120, "intermediate_size": 17920,
    "num_hidden_layers": 64, "num_attention_heads": 40, "num_key_value_heads": 10,
    "bskcn_1": [12, 20, 32, 44], "bskcn_tv": [0.9, 0.8], "sliding_window": 2047,
}  # fmt: skip
OURO: dict[str, Any] = {
    "model_type": "ouro", "vocab_size": 49152, "num_attention_heads": 16, "head_dim": 128,
    "num_key_value_heads": 16, "total_ut_steps": 4, "early_exit_threshold": 1.0,
    "tie_word_embeddings": False,
}  # fmt: skip
PARAM: dict[str, Any] = {
    "model_type": "param2moe", "vocab_size": 128000, "hidden_size": 2048,
    "intermediate_size": 9216, "num_hidden_layers": 21, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 64, "num_experts": 64, "num_experts_per_tok": 6,
    "num_shared_experts": 2, "moe_intermediate_size": 2048, "use_qk_norm": True,
    "first_k_dense_replace": 1, "tie_word_embeddings": True,
}  # fmt: skip
ARCTIC: dict[str, Any] = {
    "model_type": "arctic", "vocab_size": 32000, "hidden_size": 7168, "intermediate_size": 4864,
    "num_hidden_layers": 35, "num_attention_heads": 56, "num_key_value_heads": 8,
    "num_local_experts": 128, "num_experts_per_tok": 2, "moe_layer_frequency": 1,
    "parallel_attn_mlp_res": True, "use_residual": True, "tie_word_embeddings": False,
}  # fmt: skip
GROK: dict[str, Any] = {
    # as xAI's file has it
    "model_type": "git", "architectures": ["Grok1ForCausalLM"], "vocab_size": 131072,
    "hidden_size": 8192, "intermediate_size": 32768, "moe_intermediate_size": 16384,
    "num_hidden_layers": 64, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128,
    "num_local_experts": 8, "num_experts_per_tok": 2, "residual_moe": True, "rope_type": "original",
    "sliding_window_size": -1, "global_attn_every_n": 1, "router_logit_softcapping": 30.0,
}  # fmt: skip

GLM: dict[str, Any] = {
    "model_type": "glm5_next", "tie_word_embeddings": False,
    "text_config": {
        "model_type": "glm5_next_text", "vocab_size": 154880, "hidden_size": 4096,
        "intermediate_size": 12288, "num_hidden_layers": 45, "num_attention_heads": 64,
        "num_key_value_heads": 64, "head_dim": 0, "q_lora_rank": 1536, "kv_lora_rank": 512,
        "qk_nope_head_dim": 256, "qk_rope_head_dim": 0, "v_head_dim": 256, "hc_mult": 4,
        "index_n_heads": 32, "index_head_dim": 128, "index_topk": 2048, "index_kpool": 4,
        "index_kpool_compress": True, "mhc": True, "mla_use_nope": True, "n_routed_experts": 288,
        "n_shared_experts": 1, "num_experts_per_tok": 8, "moe_intermediate_size": 2048,
        "layer_types": (["linear_attention"] * 3 + ["deepseek_sparse_attention"]) * 11
        + ["linear_attention"],
        "mlp_layer_types": ["dense"] * 3 + ["sparse"] * 42, "indexer_types": ["full"] * 45,
        "linear_attn_config": {
            "num_heads": 64, "head_dim": 128, "short_conv_kernel_size": 4, "gate_lower_bound": -5.0,
        },
        "num_nextn_predict_layers": 1,
    },
    "vision_config": {
        "model_type": "glm5_next_vision", "depth": 24, "hidden_size": 1024, "num_heads": 16,
        "intermediate_size": 4096, "out_hidden_size": 4096, "projection_intermediate_size": 10240,
        "image_size": 448, "patch_size": 14, "attention_bias": True,
    },
}  # fmt: skip
MIMO = {
    "model_type": "mimo_v2_flash", "vocab_size": 152576, "hidden_size": 4096,
    "num_hidden_layers": 48, "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 192,
    "v_head_dim": 128, "intermediate_size": 16384, "n_routed_experts": 256,
    "moe_intermediate_size": 2048, "num_experts_per_tok": 8, "sliding_window_size": 128,
}  # fmt: skip

JINA: dict[str, Any] = {
    "model_type": "jina_embeddings_v5", "architectures": ["JinaEmbeddingsV5Model"],
    "task_names": ["retrieval"],
}  # fmt: skip
GOT: dict[str, Any] = {
    "model_type": "GOT", "architectures": ["GOTQwenForCausalLM"], "vocab_size": 151860,
    "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24,
    "num_attention_heads": 16, "num_key_value_heads": 16, "tie_word_embeddings": True,
    "image_token_len": 256, "im_start_token": 151857, "use_im_start_end": True,
}  # fmt: skip
STEP: dict[str, Any] = {
    "model_type": "step_robotics", "understand_projector_stride": 2, "projector_bias": False,
    "vision_config": {
        "image_size": 728, "patch_size": 14, "width": 1536, "layers": 47, "heads": 16,
        "pool_type": "none", "output_dim": None, "use_cls_token": False, "ls_init_value": 0.1,
    },
    "text_config": {
        "model_type": "qwen3", "hidden_size": 4096, "intermediate_size": 12288,
        "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": False,
    },
}  # fmt: skip
MINIMAX_VL: dict[str, Any] = {
    "model_type": "minimax_vl_01", "image_grid_pinpoints": [[336, 336], [336, 672]],
    "text_config": {
        "model_type": "minimax_text_01", "hidden_size": 6144, "intermediate_size": 9216,
        "num_attention_heads": 64, "num_hidden_layers": 80, "num_key_value_heads": 8,
        "head_dim": 128, "num_local_experts": 32, "num_experts_per_tok": 2, "vocab_size": 200064,
        "attn_type_list": [0, 0, 0, 0, 0, 0, 0, 1] * 10, "shared_intermediate_size": 0,
    },
    "vision_config": {
        "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096,
        "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 336, "patch_size": 14,
    },
}  # fmt: skip
LOCATE: dict[str, Any] = {
    "model_type": "locateanything", "mlp_connector_layers": 2,
    "text_config": {
        "model_type": "qwen2", "hidden_size": 2048, "intermediate_size": 11008,
        "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2,
        "vocab_size": 152681, "tie_word_embeddings": True,
    },
    "vision_config": {
        "model_type": "moonvit", "hidden_size": 1152, "num_hidden_layers": 27,
        "num_attention_heads": 16, "intermediate_size": 4304, "patch_size": 14,
        "merge_kernel_size": [2, 2],
    },
}  # fmt: skip

MOONDREAM: dict[str, Any] = {
    "architectures": ["HfMoondream"], "model_type": "moondream1", "config": {},
}  # fmt: skip
ZAYA: dict[str, Any] = {
    "model_type": "zaya1_vl", "vocab_size": 262272, "hidden_size": 2048, "num_hidden_layers": 40,
    "ffn_hidden_size": 4096, "num_experts": 16, "moe_router_topk": 1, "num_attention_heads": 8,
    "num_key_value_heads": 2, "num_query_groups": 2, "head_dim": 128, "zaya_mlp_expansion": 256,
    "zaya_use_mod": True, "zaya_use_eda": True, "vision_lora": True, "vision_lora_rank_attn": 8,
    "vision_lora_rank_mlp": 32, "vision_config": {"model_type": "qwen2_5_vl"},
}  # fmt: skip
OVIS: dict[str, Any] = {
    "model_type": "ovis2_5", "visual_vocab_size": 65536,
    "vit_config": {
        "model_type": "siglip2_navit", "hidden_size": 1152, "intermediate_size": 4304,
        "num_hidden_layers": 27, "num_attention_heads": 16, "num_channels": 3, "num_patches": -1,
        "image_size": 512, "patch_size": 16, "hidden_stride": 2, "fullatt_block_indexes": None,
        "temporal_patch_size": 1, "window_size": 112, "preserve_original_pe": True,
        "use_rope": True,
    },
}  # fmt: skip
_OVIS_TEXT = {
    "model_type": "qwen3", "vocab_size": 151936, "hidden_size": 2048, "num_hidden_layers": 28,
    "intermediate_size": 6144, "num_attention_heads": 16, "num_key_value_heads": 8,
    "head_dim": 128,
}  # fmt: skip
_OVIS_EXPERTS = {
    **_OVIS_TEXT, "model_type": "qwen3_moe", "num_hidden_layers": 48, "num_attention_heads": 32,
    "num_key_value_heads": 4, "num_experts": 128, "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
}  # fmt: skip


def _sized(hidden: int, inner: int, layers: int, **more: int) -> dict[str, int]:
    sizes = {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers}
    return {**sizes, **more}


@pytest.mark.parametrize(
    ("config", "total", "stored"),
    [
        # upstage/Solar-Open2-250B, whose file holds a bias an expert for its routers
        (SOLAR, 250_287_810_304, 48 * 320),
        (SALA, 9_477_203_968, 0),  # openbmb/MiniCPM-SALA
        # microsoft/Phi-4-multimodal-instruct, with mean and deviation of each of 80 mel bands
        (PHI, 5_574_460_384, 2 * 80),
        # ibm-granite/granite-vision-4.1-4b and granite-4.0-3b-vision, a word apart
        ({**GRANITE, "text_config": {**_GRANITE_TEXT, "vocab_size": 100352}}, 3_997_203_904, 0),
        ({**GRANITE, "text_config": {**_GRANITE_TEXT, "vocab_size": 100353}}, 3_997_206_464, 0),
        # jinaai/jina-embeddings-v5-text-small and nano, of which the latter is a EuroBERT
        (
            {
                **JINA,
                "vocab_size": 151936,
                **_sized(1024, 3072, 28),
                "head_dim": 128,
                "num_attention_heads": 16,
                "num_key_value_heads": 8,
            },
            596_049_920,
            0,
        ),
        (
            {
                **JINA,
                "vocab_size": 128256,
                **_sized(768, 3072, 12),
                "is_decoder": False,
                "num_attention_heads": 12,
                "num_key_value_heads": 12,
            },
            211_766_016,
            0,
        ),
        (GOT, 716_033_280, 151860 * 1024),  # stepfun-ai/GOT-OCR2_0, which stores its tied head
        (STEP, 10_171_750_144, 0),  # stepfun-ai/Step3-VL-10B
        # MiniMaxAI/MiniMax-VL-01, without the norm behind a tower whose last layer is not read
        (MINIMAX_VL, 456_437_219_328, -2 * 1024),
        # nvidia/LocateAnything-3B, which stores its tied head
        (LOCATE, 3_830_665_968, 152681 * 2048),
        # AIDC-AI/Ovis2.5-2B and 9B, Ovis2.6-30B-A3B and 80B-A3B
        ({**OVIS, "llm_config": {**_OVIS_TEXT, "tie_word_embeddings": True}}, 2_570_429_672, 0),
        (
            {
                **OVIS,
                "llm_config": {**_OVIS_TEXT, **_sized(4096, 12288, 36), "num_attention_heads": 32},
            },
            9_174_807_784,
            0,
        ),
        (
            {
                **OVIS,
                "model_type": "ovis2_6_moe",
                "num_hidden_layers": 48,
                "llm_config": _OVIS_EXPERTS,
            },
            31_381_977_320,
            0,
        ),
        (
            {
                **OVIS,
                "model_type": "ovis2_6_next",
                "llm_config": {"model_type": "qwen3_next", "vocab_size": 151936},
            },
            80_524_245_992,
            0,
        ),
        (MOONDREAM, 1_927_237_104, 0),  # vikhyatk/moondream2
        # Zyphra/ZAYA1-VL-8B, whose file holds a bias for each of what its routers choose among
        (ZAYA, 9_722_232_312, 40 * 17),
        (SOLAR_PRO, 22_140_032_000, 0),  # upstage/solar-pro-preview-instruct
        # ByteDance/Ouro-1.4B and 2.6B
        ({**OURO, **_sized(2048, 5632, 24)}, 1_434_652_673, 0),
        ({**OURO, **_sized(2048, 5632, 48)}, 2_667_974_657, 0),
        # bharatgenai/Param2-17B-A2.4B-Thinking, with a bias an expert for its routers
        (PARAM, 17_151_125_376, 20 * 64),
        (ARCTIC, 478_584_608_768, 0),  # Snowflake/snowflake-arctic-instruct
        (COMPASS, 2_484_847_856, 0),  # CohereLabs/North-Micro-Vision-Instruct
        # nvidia/Nemotron-Labs-Diffusion-3B, 8B and 14B
        ({**DIFFUSION, **_sized(3072, 9216, 26)}, 3_831_659_520, 0),
        ({**DIFFUSION, **_sized(4096, 14336, 34)}, 8_489_553_920, 0),
        ({**DIFFUSION, **_sized(5120, 16384, 40)}, 13_506_073_600, 0),
        # perplexity-ai/pplx-embed-v1-0.6b and 4b
        ({**PPLX, **_sized(1024, 3072, 28, num_attention_heads=16)}, 596_049_920, 0),
        ({**PPLX, **_sized(2560, 9728, 36, num_attention_heads=32)}, 4_022_468_096, 0),
    ],
)
def test_a_model_is_as_large_as_its_checkpoint(
    config: dict[str, Any], total: int, stored: int
) -> None:
    assert read_model(config).params == total - stored


@pytest.mark.parametrize(
    ("sizes", "total"),
    [
        ((4096, 21504, 32, 32), 8_903_547_555),  # swiss-ai/Apertus-v1.5-8B
        ((8192, 43008, 80, 64), 72_005_819_139),  # and 70B
    ],
)
def test_apertus_1_5_reads_more_words_than_it_writes(sizes: tuple[int, ...], total: int) -> None:
    """Both checkpoints hold 68,007,011 numbers more than transformers' class: what makes sound of
    codes, and the codes of sound."""
    hidden, inner, layers, heads = sizes
    text = {
        "model_type": "apertus1p5_text", "vocab_size": 266752, "output_vocab_size": 131072,
        **_sized(hidden, inner, layers), "num_attention_heads": heads, "num_key_value_heads": 8,
        "post_norm": False, "qk_norm": True,
    }  # fmt: skip
    assert (
        read_model({"model_type": "apertus1p5", "text_config": text}).params == total - 68_007_011
    )
    wide = {key: value for key, value in text.items() if key != "output_vocab_size"}
    assert read_model(wide).params - read_model(text).params == (266752 - 131072) * hidden


def test_codes_of_apertus_attend_at_the_coarsest_resolution_alone() -> None:
    with pytest.raises(InputError, match="attn_resolutions"):
        read_model({"model_type": "apertus1p5", "vision_config": {"attn_resolutions": [32, 16]}})


def test_glm_5_3_flash_is_as_large_as_its_checkpoint() -> None:
    """zai-org/GLM-5.3-Flash-BF16, which holds the module that predicts further, and a bias an
    expert for 43 routers; its file says of parts that the class always has that they are there."""
    assert read_model(GLM, mtp=True).params == 321_323_031_390 - 43 * 288
    with pytest.raises(InputError, match="mhc"):
        read_model({**GLM, "text_config": {**GLM["text_config"], "mhc": False}})


def test_modules_ahead_of_mimo_v2_flash_slide_and_are_dense() -> None:
    """Sum by hand of vLLM's MiMoV2MTP, of which the checkpoint has three and its file says none:
    two norms and a matrix before, a layer of eight key heads with sinks, a norm."""
    attention = 4096 * 192 * (64 + 8) + 4096 * 128 * 8 + 64 * 128 * 4096 + 64
    module = attention + 3 * 4096 * 16384 + 2 * 4096**2 + 5 * 4096
    assert read_model(MIMO, mtp=True).params - read_model(MIMO).params == 3 * module


def test_linear_layers_cache_no_keys() -> None:
    """12 of Solar's 48 layers keep 8 heads of 128, 8 of SALA's 32 keep 2 heads of 128."""
    for config, layers, heads in ((SOLAR, 12, 8), (SALA, 8, 2)):
        described = read_model(config).description
        growth = cache_elements(described, 1001) - cache_elements(described, 1000)
        assert growth == layers * 2 * heads * 128


def test_a_loop_of_ouro_has_keys_of_its_own() -> None:
    """24 layers of 16 keys and values of 128 elements, four times."""
    model = read_model({**OURO, **_sized(2048, 5632, 24)})
    assert cache_elements(model.description, 1) == 4 * 24 * 2 * 16 * 128


def test_grok_2_has_a_dense_feed_forward_beside_its_experts() -> None:
    """Sum by hand of SGLang's class: 64 layers of attention, 8 experts, that, a router, 4 norms."""
    attention = 2 * 8192 * 8192 + 2 * 8192 * 1024
    experts = 8 * 3 * 8192 * 16384 + 8 * 8192
    layer = attention + experts + 3 * 8192 * 32768 + 4 * 8192
    assert read_model(GROK).params == 64 * layer + 2 * 131072 * 8192 + 8192


@pytest.mark.parametrize(
    "change",
    [{"moe_layer_frequency": 2}, {"parallel_attn_mlp_res": False}, {"use_residual": False}],
)
def test_arctic_without_what_stands_beside_its_experts_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnknownModel, match="moe_layer_frequency 1"):
        read_model({**ARCTIC, **change})


def test_solars_interval_is_one_full_layer_before_so_many_linear_ones() -> None:
    """vLLM's SolarOpen2Config: gqa_interval = 3 without a list names layers 0, 4, 8 and so on."""
    rest = {key: value for key, value in SOLAR.items() if key != "gqa_layers"}
    assert read_model(rest).params == read_model(SOLAR).params


@pytest.mark.parametrize("key", ["kda_use_full_proj", "use_gqa_gate_bias"])
def test_parts_of_solar_that_no_checkpoint_has_are_refused(key: str) -> None:
    with pytest.raises(InputError, match=key):
        read_model({**SOLAR, key: True})


@pytest.mark.parametrize(
    "change", [{"lightning_nkv": 8}, {"use_output_gate": False}, {"use_output_norm": False}]
)
def test_linear_layers_of_sala_without_gate_norm_or_keys_of_each_head_are_refused(
    change: dict[str, Any],
) -> None:
    with pytest.raises(UnknownModel, match="lightning_nkv"):
        read_model({**SALA, **change})


def test_mixers_of_sala_are_known_words() -> None:
    with pytest.raises(InputError, match="'gated'"):
        read_model({**SALA, "mixer_types": ["gated"]})


def test_a_puzzle_has_experts_of_each_blocks_own_width() -> None:
    """Sum by hand of SGLang's blocks: Mamba 2, attention, two mixtures on a latent of 1,024."""
    hidden, inner, mixed = 4096, 128 * 64, 128 * 64 + 2 * 8 * 128
    mamba = hidden * (inner + mixed + 128) + 5 * mixed + 3 * 128 + inner + inner * hidden
    attention = 2 * hidden * 32 * 128 + 2 * hidden * 2 * 128
    around = 512 * hidden + 2 * hidden * 1024 + 2 * hidden * 5376  # router, latents, shared expert
    mixtures = sum(512 * 2 * 1024 * width + around for width in (1280, 2688))
    tables = 2 * 131072 * hidden + hidden + 4 * hidden
    assert read_model(PUZZLE).params == mamba + attention + mixtures + tables


@pytest.mark.parametrize("block", [{"block_type": "moe", "n_heads": 8}, {"block_type": "x"}, 7])
def test_a_block_of_a_puzzle_that_is_not_understood_is_refused(block: Any) -> None:
    with pytest.raises(InputError, match="block_configs holds"):
        read_model({**PUZZLE, "block_configs": [block]})


def test_a_puzzle_without_blocks_is_refused() -> None:
    with pytest.raises(InputError, match="needs block_configs"):
        read_model({**PUZZLE, "block_configs": []})


def test_phi_4_without_adapters_is_the_class_of_transformers() -> None:
    """Adapters of rank 256 and 320 on queries, keys and values, output, gates and down."""
    bare = read_model({**PHI, "vision_lora": None, "speech_lora": None})
    assert bare.params == tf.load_model("phi-4-multimodal").params
    both = (3072 + 5120) + (3072 + 3072) + (3072 + 16384) + (8192 + 3072)
    assert read_model(PHI).params - bare.params == 32 * (256 + 320) * both


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"vision_lora": {"r": "256"}}, "vision_lora.r"),
        ({"audio_processor": {"config": {"input_layer": "conv2d"}}}, "input_layer"),
        ({"audio_processor": {"config": {"nemo_conv_settings": 5}}}, "nemo_conv_settings"),
    ],
)
def test_another_adapter_or_tower_of_phi_4_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        read_model({**PHI, **change})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"downsample_rate": "half"}, InputError),
        ({"downsample_rate": "5/7"}, InputError),
        ({"deepstack_layer_map": [3]}, InputError),
        ({"qformer_config": {"cross_attention_frequency": 2}}, UnknownModel),
    ],
)
def test_windows_of_granite_vision_are_understood_or_refused(
    change: dict[str, Any], error: type[Exception]
) -> None:
    config = {**GRANITE, "text_config": {**_GRANITE_TEXT, "vocab_size": 100352}}
    with pytest.raises(error):
        read_model({**config, **change})


def test_a_tile_of_granite_vision_is_16_queries_for_each_window_of_64_patches() -> None:
    config = {**GRANITE, "text_config": {**_GRANITE_TEXT, "vocab_size": 100352}}
    eyes = read_model(config).description.stack("image")
    assert eyes is not None
    assert (eyes.patches, eyes.pooled) == (24 * 24, 12 * 12)


def test_four_patches_of_ovis_are_a_mixture_of_words() -> None:
    eyes = read_model({**OVIS, "llm_config": _OVIS_TEXT}).description.stack("image")
    assert eyes is not None
    assert (eyes.patches, eyes.pooled) == (64 * 64, 32 * 32)  # 1024 pixels a side, of 16 each
    windows = {**OVIS["vit_config"], "fullatt_block_indexes": "7|15"}
    with pytest.raises(InputError, match="fullatt_block_indexes"):
        read_model({**OVIS, "llm_config": _OVIS_TEXT, "vit_config": windows})


@pytest.mark.parametrize("change", [{"config": {"text": {}}}, {"text_config": {"vocab_size": 7}}])
def test_another_moondream_is_refused(change: dict[str, Any]) -> None:
    """Sizes of its own, and the first files, whose projector is another."""
    with pytest.raises(InputError, match=next(iter(change))):
        read_model({**MOONDREAM, **change})


def test_crops_of_moondream_become_as_many_tokens_as_one() -> None:
    eyes = read_model(MOONDREAM).description.stack("image")
    assert eyes is not None
    assert (eyes.patches, eyes.near, eyes.pooled) == (2 * 27**2, 2 * 27**4, 27**2)


def test_adapters_of_zaya_for_images_are_narrow_matrices_beside_each_other() -> None:
    """Queries, keys, both halves of the values and the output; both maps of each of 16 experts."""
    bare = read_model({**ZAYA, "vision_lora": False})
    around = 8 * (2 * (2048 + 1024) + (2048 + 256) + 2 * (2048 + 128))
    experts = 16 * 32 * ((2048 + 4096) + (2048 + 2048))
    assert read_model(ZAYA).params - bare.params == 40 * (around + experts)
