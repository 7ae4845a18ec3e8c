"""Text models that exist inside wrappers alone. Defaults: the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.config.families import by_vendor, mixtures  # noqa: F401 - defined there
from thermoflop.model.config.family import at_least_zero, family, maybe

for _name in ("qwen2_vl_text", "qwen2_5_vl_text"):
    family(
        _name,
        "qwen2",
        keys={
            "vocab_size": 152064,
            "hidden_size": 8192,
            "intermediate_size": 29568,
            "num_hidden_layers": 80,
            "num_attention_heads": 64,
            "num_key_value_heads": maybe(8),
            "max_window_layers": at_least_zero(80),
        },
        drop=("head_dim",),
    )
_FULL = ("use_sliding_window", "sliding_window", "max_window_layers", "layer_types")
family(
    "qwen3_vl_text",
    "qwen3",
    keys={"num_key_value_heads": maybe(32)},
    traits={"kinds": None, "window": None},
    drop=_FULL,
)
family(
    "qwen3_vl_moe_text",
    "qwen3_moe",
    keys={
        "intermediate_size": 5632,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "num_experts": at_least_zero(60),
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 1408,
        "tie_word_embeddings": True,
    },
    traits={"kinds": None, "window": None},
    drop=("use_sliding_window", "sliding_window"),
)
family(
    "glm4v_text",
    "glm4",
    traits={"q_bias": True, "head_dim": None},
    drop=("attention_bias", "head_dim"),
    ignored=("attention_bias",),
)
family(
    "glm4v_moe_text",
    "glm4_moe",
    keys={"vocab_size": 151424, "attention_bias": True},
    traits={
        "qk_norm": None,
        "head_dim": lambda config: (
            config["head_dim"] or config["hidden_size"] // config["num_attention_heads"]
        ),
    },
    drop=("use_qk_norm",),
)
family("exaone4_5_text", "exaone4", ignored=("_num_mtp_layers", "mtp_share_layers"))
