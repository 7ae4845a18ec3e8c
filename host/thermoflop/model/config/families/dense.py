"""Decoders with gated MLPs and RMS norms: Llama and its relatives.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.model.config.families.patterns import (
    after_max_window_layers,
    all_sliding,
    by_rotation,
    every,
)
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    indices,
    maybe,
    names,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config

family(
    "llama",
    keys={
        **sizes(
            vocab=32000, hidden=4096, inner=11008, layers=32, heads=32, kv_heads=None, head_dim=None
        ),
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
    },
)
family("granite", "llama")
family(
    "mistral",
    "llama",
    keys={**sizes(inner=14336, kv_heads=maybe(8)), "sliding_window": maybe(4096)},
    traits={"kinds": all_sliding},
    drop=("attention_bias", "mlp_bias"),
)
family(
    "phi3",
    "llama",
    keys={**sizes(vocab=32064, hidden=3072, inner=8192), "sliding_window": None},
    traits={"kinds": all_sliding, "merged": ("qkv_proj", "gate_up_proj")},
    ignored=("attention_bias", "full_attn_mod", "interpolate_factor", "lm_head_bias", "mlp_bias"),
)
family(
    "qwen2",
    "llama",
    keys={
        **sizes(vocab=151936, inner=22016, kv_heads=maybe(32)),
        "use_sliding_window": False,
        "sliding_window": maybe(4096),
        "max_window_layers": at_least_zero(28),
        "layer_types": names(),
    },
    traits={"q_bias": True, "kinds": after_max_window_layers},
    drop=("attention_bias", "mlp_bias"),
)
family(
    "qwen3",
    "qwen2",
    keys={"head_dim": 128, "attention_bias": False},
    traits={"q_bias": use("attention_bias"), "qk_norm": "head"},
)
family(
    "gemma",
    "llama",
    keys={
        **sizes(
            vocab=256000, hidden=3072, inner=24576, layers=28, heads=16, kv_heads=16, head_dim=256
        ),
        "hidden_act": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
    },
    drop=("mlp_bias",),
    # PaliGemma's words attend to all of a prompt; the cache and the counts in full stay the same
    ignored=("use_bidirectional_attention",),
)
family(
    "gemma2",
    "gemma",
    keys={
        **sizes(hidden=2304, inner=9216, layers=26, heads=8, kv_heads=4),
        "sliding_window": maybe(4096),
        "layer_types": names(),
    },
    traits={"layer_norms": 4, "kinds": every(2)},
    ignored=("sliding_window_size",),
)


def _to_both_sides(config: Config) -> int | None:
    """EmbeddingGemma's window reaches half of it back and half ahead; a token meets those less far
    than this (``__post_init__`` of its class, and ``sliding_window_bidirectional_overlay``)."""
    window: int | None = config["sliding_window"]
    both = config["use_bidirectional_attention"] is True and window is not None
    return window // 2 + 1 if both and window is not None else window


family(
    "gemma3_text",
    "gemma2",
    keys={
        "vocab_size": 262208,
        "sliding_window_pattern": 6,
        "use_bidirectional_attention": anything(False),
    },
    traits={
        "qk_norm": "head",
        "kinds": every(6),
        "causal": lambda config: config["use_bidirectional_attention"] is not True,
        "window": _to_both_sides,
    },
    aliases={"_sliding_window_pattern": "sliding_window_pattern"},
)
family(
    "cohere",
    "llama",
    keys={
        **sizes(vocab=256000, hidden=8192, inner=22528, layers=40, heads=64),
        "tie_word_embeddings": True,
        "use_qk_norm": False,
    },
    traits={
        "norm": "layer",
        "layer_norms": 1,
        "qk_norm": lambda config: "heads" if config["use_qk_norm"] else None,
    },
    drop=("mlp_bias",),
)
family(
    "cohere2",
    "cohere",
    keys={"sliding_window": maybe(4096), "sliding_window_pattern": 4, "layer_types": names()},
    traits={"qk_norm": None, "kinds": every(4)},
    # what the class has anyway, spelled out in published files
    ignored=spaced(
        "layer_switch order_of_interleaved_layers position_embedding_type use_embedding_sharing"
        " use_gated_activation use_parallel_block use_parallel_embedding use_qk_norm"
    ),
)
family(
    "olmo",
    "llama",
    keys={"vocab_size": 50304},
    traits={"norm": "layer", "norm_weight": False},
    drop=("mlp_bias",),
)
family(
    "olmo2",
    "olmo",
    traits={"norm": "rms", "norm_weight": True, "qk_norm": "full"},
)
family(
    "olmo3",
    "olmo2",
    keys={"sliding_window": maybe(4096), "layer_types": names()},
    traits={"kinds": every(4)},
)
family(
    "stablelm",
    "llama",
    keys={
        **sizes(vocab=50304, hidden=2560, inner=6912, kv_heads=32),
        "use_qkv_bias": False,
        "qk_layernorm": False,
        "use_parallel_residual": False,
    },
    traits={
        "q_bias": use("use_qkv_bias"),
        "norm": "layer",
        "norm_bias": True,
        "layer_norms": lambda config: 1 if config["use_parallel_residual"] else 2,
        "qk_norm": lambda config: "heads" if config["qk_layernorm"] else None,
    },
    drop=("attention_bias", "mlp_bias", "head_dim"),
)


family(
    "smollm3",
    "llama",
    keys={
        **sizes(vocab=128256, hidden=2048, layers=36, heads=16, kv_heads=maybe(4)),
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "sliding_window": None,
        "no_rope_layers": indices(),
        "no_rope_layer_interval": 4,
        "layer_types": names(),
    },
    traits={"kinds": by_rotation("full", "sliding")},
    ignored=("max_window_layers",),
)
