"""Latent attention outside DeepSeek's own line, and two kinds of late mixtures.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.mixers import LatentAttention
from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config.families import linear  # noqa: F401 - qwen3_next is there
from thermoflop.model.config.families.latent import latent_attention
from thermoflop.model.config.families.own_parts import output_gate
from thermoflop.model.config.families.patterns import by_place, either_sparse, sparse_by_mlp_types
from thermoflop.model.config.family import at_least_zero, family, maybe, names, sizes, spaced
from thermoflop.model.config.keys import Config

family(
    "youtu",
    "deepseek_v3",
    keys={
        **sizes(vocab=128256, hidden=2048, inner=6144, layers=32, heads=16),
        "tie_word_embeddings": True,
    },
    traits={"sparse": None},
    ignored=spaced(
        "n_routed_experts n_shared_experts num_experts_per_tok moe_intermediate_size mlp_bias"
        " first_k_dense_replace moe_layer_freq embedding_initializer_range flatten_ratio"
    ),
)


def _minicpm_attention(config: Config) -> LatentAttention:
    """Values are as wide as hidden / heads where ``v_head_dim`` is absent."""
    width = config["v_head_dim"] or config["hidden_size"] // config["num_attention_heads"]
    return replace(latent_attention(config), value_dim=width)


family(
    "minicpm3",
    "youtu",
    keys={
        **sizes(vocab=73448, hidden=2560, inner=6400, layers=62, heads=40),
        "kv_lora_rank": 256,
        "q_lora_rank": maybe(768),
        "qk_nope_head_dim": 64,
        "qk_rope_head_dim": 32,
        "v_head_dim": None,
        "mlp_bias": False,
    },
    traits={"mla": _minicpm_attention},
    ignored=("dim_model_base", "scale_depth", "scale_emb", "use_mup"),
)
family(
    "sarvam_mla",
    "deepseek_v3",
    keys={
        **sizes(vocab=262144, hidden=4096, inner=16384, layers=32, heads=64),
        "q_lora_rank": None,
        "n_routed_experts": 128,
        "first_k_dense_replace": at_least_zero(1),
    },
    aliases={"num_shared_experts": "n_shared_experts"},
    ignored=("moe_layer_freq", "q_head_dim"),
)
family(
    "axk1",
    "deepseek_v3",
    keys={
        **sizes(vocab=163840, heads=64),
        "q_lora_rank": 1536,
        "n_routed_experts": 192,
        "first_k_dense_replace": at_least_zero(1),
        "mlp_layer_types": names(),
    },
    traits={
        "moe_norms": 1,
        "sparse": either_sparse,
    },
)


family(
    "beam",
    "llama",
    keys={
        **sizes(
            vocab=151936, hidden=5120, inner=20480, layers=52, heads=48, kv_heads=8, head_dim=128
        ),
        "sliding_window": maybe(512),
        "layer_types": names(),
        "mlp_layer_types": names(),
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 2560,
    },
    traits={
        "qk_norm": "head",
        "layer_norms": 4,
        "attention_extras": lambda config, heads, kv_heads, dim: (
            *output_gate(config, heads, kv_heads, dim),
            Vector("gate_bias", "attn", heads, bias=True),
        ),
        # every sixth layer attends to everything, and the last one
        "kinds": by_place(
            lambda config, at: (
                "sliding" if (at + 1) % 6 and at + 1 < config["num_hidden_layers"] else "full"
            )
        ),
        "sparse": lambda config: (
            sparse_by_mlp_types(config)
            if config["mlp_layer_types"]
            else [index >= 3 for index in range(config["num_hidden_layers"])]
        ),
    },
    drop=("mlp_bias",),
)


_LARA = ("linear", "sliding", "linear", "full", "sliding")
family(
    "lara_mini",
    "qwen3_next",
    keys={
        **sizes(hidden=1024, layers=34, kv_heads=4, head_dim=128),
        "tie_word_embeddings": True,
        "sliding_window": 512,
        "linear_num_key_heads": 8,
        "linear_num_value_heads": 16,
        "num_experts": 128,
        "num_experts_per_tok": 4,
    },
    traits={
        "kinds": by_place(lambda _, at: _LARA[at % 5]),
        "output_gate": False,
        "shared_gate": False,
        "sparse": None,
    },
    drop=("full_attention_interval", "decoder_sparse_step", "mlp_only_layers"),
    ignored=("intermediate_size",),
)
family(
    "mistral4",
    "deepseek_v3",
    keys={
        **sizes(vocab=131072, hidden=4096, inner=12288, layers=36, heads=32),
        "kv_lora_rank": 256,
        "q_lora_rank": maybe(1024),
        "qk_nope_head_dim": 64,
        "n_routed_experts": 128,
        "num_experts_per_tok": 4,
        "first_k_dense_replace": at_least_zero(0),
    },
    drop=("moe_layer_freq",),
)
