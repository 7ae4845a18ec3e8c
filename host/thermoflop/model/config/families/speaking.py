"""Models that speak, and the parts that do. Defaults: the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.config.families import dense, newer_texts  # noqa: F401 - like them
from thermoflop.model.config.families.patterns import stated
from thermoflop.model.config.family import Key, Section, family, mapping, maybe, sizes, spaced

family(
    "qwen3_omni_moe_talker_text",
    "qwen3_omni_moe_text",
    keys={
        **sizes(vocab=3072, hidden=1024, inner=2048, layers=20, heads=16, kv_heads=maybe(2)),
        "num_experts": 128,
        "moe_intermediate_size": 384,
        "shared_expert_intermediate_size": None,
    },
    traits={
        "sparse": lambda config: [True] * config["num_hidden_layers"],
        "shared_inner": stated("shared_expert_intermediate_size"),
        "shared_gate": True,
    },
)
family(
    "qwen3_omni_moe_talker_code_predictor",
    "qwen3",
    keys={
        **sizes(vocab=2048, hidden=1024, inner=3072, layers=5, heads=16, kv_heads=maybe(8)),
        "sliding_window": None,
        "num_code_groups": 32,
    },
)
family(
    "qwen3_omni_moe_talker",
    keys={
        "text_config": mapping(),
        "code_predictor_config": mapping(),
        "thinker_hidden_size": 2048,
        "tie_word_embeddings": False,
    },
    traits={
        "sections": (
            Section("text_config", "qwen3_omni_moe_talker_text"),
            Section("code_predictor_config", "qwen3_omni_moe_talker_code_predictor"),
        ),
    },
    ignored=spaced(
        "accept_hidden_layer codec_bos_id codec_nothink_id codec_pad_id codec_think_bos_id"
        " codec_think_eos_id num_code_groups position_id_per_seconds seconds_per_chunk"
        " spatial_merge_size speaker_id"
    ),
)
family(
    "qwen3_omni_moe_code2wav",
    keys={
        "codebook_size": 2048,
        **sizes(hidden=1024, heads=16, kv_heads=16, inner=3072, layers=8),
        "attention_bias": False,
        "num_quantizers": 16,
        "upsample_rates": Key("indices", [8, 5, 4, 3]),
        "upsampling_ratios": Key("indices", [2, 2]),
        "decoder_dim": 1536,
    },
    ignored=spaced(
        "codebook_dim layer_scale_initial_scale num_semantic_quantizers semantic_codebook_size"
        " sliding_window vector_quantization_hidden_dimension"
    ),
)
family(
    "qwen3_omni_moe",
    reader="speaking",
    keys={
        "thinker_config": mapping(),
        "talker_config": mapping(),
        "code2wav_config": mapping(),
        "enable_audio_output": True,
    },
    traits={
        "text": Section("thinker_config", "qwen3_omni_moe_thinker"),
        "sections": (
            Section("talker_config", "qwen3_omni_moe_talker"),
            Section("code2wav_config", "qwen3_omni_moe_code2wav"),
        ),
    },
)
