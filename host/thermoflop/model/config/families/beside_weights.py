"""Decoders whose code lies beside their weights, and not in transformers.

Each is read from the ``modeling_*.py`` of its repository. Where several repositories have one, each
with defaults of its own, a file has to state its sizes, as all published ones do.
Totals of published weights stand in tests/model/config/families/test_beside_weights.py.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.config.families import dense, expert_kin  # noqa: F401 - parents are there
from thermoflop.model.config.family import (
    Key,
    at_least_zero,
    family,
    maybe,
    only,
    required,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config

_NO_BIASES = ("attention_bias", "mlp_bias")
_SIZES: dict[str, Key] = dict.fromkeys(
    spaced("vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads"),
    required(),
)

family("llama_bidirec", "llama", traits={"class": "Model", "causal": False}, ignored=("pooling",))
family(
    "xverse",
    "llama",
    keys=_SIZES,
    drop=_NO_BIASES,
)
family("aquila", "llama", keys=_SIZES)
family(
    "orion",
    "llama",
    keys=_SIZES,
    traits={"norm": "layer", "norm_bias": True},
)
family(
    "internlm2",
    "llama",
    keys={**_SIZES, "bias": True},
    traits={"q_bias": use("bias"), "o_bias": use("bias")},
    drop=_NO_BIASES,
)
family("internlm", "internlm2")
family(
    "baichuan",
    "llama",
    keys=_SIZES,
    # the model of 13 billion has slopes in place of rotations, and states no positions
    traits={"rotary": lambda config: config.given("max_position_embeddings")},
    drop=(*_NO_BIASES, "num_key_value_heads"),
)


def _halved(config: Config) -> int:
    """Qwen 1 states the two inner matrices together."""
    both: int = config["intermediate_size"]
    if both % 2:
        raise InputError(f"intermediate_size is {both}: qwen halves it, and it is odd")
    return both // 2


family(
    "qwen",
    "llama",
    keys={
        **_SIZES,
        "kv_channels": required(),
        "no_bias": True,
    },
    traits={
        "q_bias": True,
        "o_bias": lambda config: not config["no_bias"],
        "up_bias": lambda config: not config["no_bias"],
        "inner": _halved,
        "head_dim": use("kv_channels"),
        "activation": "silu",
    },
    drop=(*_NO_BIASES, "num_key_value_heads", "head_dim", "hidden_act"),
    ignored=("use_cache_quantization", "use_cache_kernel"),
)
family(
    "minicpm",
    "llama",
    keys={
        **_SIZES,
        "tie_word_embeddings": True,
        "num_experts": at_least_zero(0),
        "num_experts_per_tok": at_least_zero(0),
    },
    traits={"note": "its attention is counted in full, where it may choose blocks of keys"},
    drop=("mlp_bias",),
    ignored=spaced(
        "dim_model_base head_dim mup_denominator scale_depth scale_emb sparse_config"
        " use_sparse_attn"
    ),
)


def _glm_key_heads(config: Config) -> int:
    """Groups of keys where there are several; as many as heads elsewhere."""
    shared = config["multi_query_attention"]
    return int(config["multi_query_group_num" if shared else "num_attention_heads"])


family(
    "chatglm",
    keys={
        "padded_vocab_size": required(),
        **sizes(hidden=required(), heads=required()),
        "ffn_hidden_size": required(),
        "num_layers": required(),
        "kv_channels": required(),
        "multi_query_attention": False,
        "multi_query_group_num": 1,
        "add_bias_linear": False,
        "add_qkv_bias": False,
        "rmsnorm": True,
        "post_layer_norm": True,
        "tie_word_embeddings": False,
    },
    traits={
        "vocab": use("padded_vocab_size"),
        "inner": use("ffn_hidden_size"),
        "head_dim": use("kv_channels"),
        "kv_heads": _glm_key_heads,
        "activation": "silu",
        "norm": lambda config: "rms" if config["rmsnorm"] else "layer",
        "norm_bias": lambda config: not config["rmsnorm"],
        "final_norm": use("post_layer_norm"),
        "q_bias": lambda config: config["add_bias_linear"] or config["add_qkv_bias"],
        "o_bias": use("add_bias_linear"),
        "up_bias": use("add_bias_linear"),
        "whole": ("ChatGLMModel",),
    },
    aliases={"num_hidden_layers": "num_layers"},
    ignored=spaced(
        "fp32_residual_connection original_rope interleaved_qkv vocab_size pre_seq_len"
        " prefix_projection quantization_bit"
    ),
)
family(
    "phi3small",
    "phi3",
    keys={
        **_SIZES,
        "ff_intermediate_size": required(),
        "num_key_value_heads": required(),
        "tie_word_embeddings": True,
    },
    traits={
        "merged": (),
        "inner": use("ff_intermediate_size"),
        "norm": "layer",
        "norm_bias": True,
        "q_bias": True,
        "o_bias": True,
        "up_bias": True,
        "note": "its block-sparse attention is counted in full",
    },
    drop=("intermediate_size", "sliding_window", "head_dim"),
    ignored=spaced(
        "blocksparse_block_size blocksparse_homo_head_pattern blocksparse_num_local_blocks"
        " blocksparse_triton_kernel_block_size blocksparse_vert_stride"
        " dense_attention_every_n_layers dummy_token_indices ff_dim_multiplier gegelu_limit"
        " gegelu_pad_to_256 mup_use_scaling mup_attn_multiplier mup_embedding_multiplier"
        " mup_width_multiplier"
    ),
)


family(
    "bailing_moe",
    "sarvam_moe",
    keys={
        **sizes(vocab=30592, hidden=1024, layers=24, heads=16, kv_heads=maybe(0), head_dim=None),
        "first_k_dense_replace": at_least_zero(0),
        "n_shared_experts": at_least_zero(0),
        "use_qk_norm": False,
        "use_bias": False,
        "moe_intermediate_size": 1408,
        "moe_router_enable_shared_expert": only(True),
    },
    traits={"o_bias": use("use_bias")},
    # max_window_layers belongs to use_sliding_window, which is false wherever it is published
    ignored=spaced(
        "multi_gate norm_head norm_softmax score_function max_window_layers"
        " moe_router_enable_routed_scaling"
    ),
)
family("bailing_moe_v2", "bailing_moe")  # Ling 2.0, of the same code
# the first DeepSeek mixture (deepseek-moe-16b) has the same layers, with other names of its keys
family(
    "deepseek",
    "bailing_moe",
    keys={
        **sizes(vocab=102400, hidden=4096, inner=11008, layers=30, heads=32, kv_heads=maybe(32)),
        "moe_intermediate_size": 1407,
        "moe_layer_freq": 1,
    },
)
