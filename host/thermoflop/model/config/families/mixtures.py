"""Decoders with mixtures of experts.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.config.families import dense  # noqa: F401 - llama is defined there
from thermoflop.model.config.families.patterns import (
    all_sliding,
    by_place,
    by_rotation,
    every,
    layer_indices,
    sparse_after_first,
    sparse_by_step,
)
from thermoflop.model.config.family import (
    at_least_zero,
    called,
    family,
    indices,
    mapping,
    maybe,
    maybe_zero,
    names,
    sizes,
    use,
)
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


family(
    "mixtral",
    "mistral",
    keys={"num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None},
    aliases={"num_experts": "num_local_experts"},
)
family(
    "granitemoe",
    "granite",
    keys={"num_local_experts": 8, "num_experts_per_tok": 2},
    traits={},
    drop=("mlp_bias",),
)
family(
    "olmoe",
    "olmo2",
    keys={
        **sizes(hidden=2048, inner=2048, layers=16, heads=16),
        "num_experts": 64,
        "num_experts_per_tok": 8,
    },
    aliases={"num_local_experts": "num_experts"},
)
# The class routes to two experts whatever num_experts_per_tok says (sparsemixer).
PHIMOE_TOP_K = 2
family(
    "phimoe",
    "llama",
    keys={
        **sizes(vocab=32064, inner=6400, kv_heads=maybe(8)),
        "num_local_experts": 16,
        "num_experts_per_tok": 2,
        "lm_head_bias": False,
        "sliding_window": None,
    },
    traits={
        "norm": "layer",
        "norm_bias": True,
        "top_k": PHIMOE_TOP_K,
        "head_bias": use("lm_head_bias"),
        "kinds": all_sliding,
    },
    drop=("mlp_bias",),
    aliases={"num_experts": "num_local_experts"},
)
family(
    "qwen2_moe",
    "qwen2",
    keys={
        **sizes(hidden=2048, inner=5632, layers=24, heads=16, kv_heads=maybe(16)),
        "qkv_bias": True,
        "num_experts": at_least_zero(60),
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 1408,
        "shared_expert_intermediate_size": 5632,
        "decoder_sparse_step": 1,
        "mlp_only_layers": indices(),
    },
    traits={
        "q_bias": use("qkv_bias"),
        "shared_gate": True,
        "sparse": sparse_by_step,
        # every other layer below max_window_layers slides, once the window is switched on
        "kinds": by_place(
            lambda config, at: "full" if at % 2 or at >= config["max_window_layers"] else "sliding"
        ),
    },
)


family(
    "qwen3_moe",
    "qwen3",
    keys={
        **sizes(hidden=2048, inner=6144, layers=24, kv_heads=maybe(4), head_dim=None),
        "num_experts": at_least_zero(128),
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 768,
        "decoder_sparse_step": 1,
        "mlp_only_layers": indices(),
    },
    traits={"sparse": sparse_by_step, "kinds": all_sliding},
    drop=("layer_types",),
    ignored=("max_window_layers", "use_qk_norm"),  # the class always has these norms
    aliases={"num_local_experts": "num_experts"},
)
family(
    "gpt_oss",
    keys={
        **sizes(
            vocab=201088, hidden=2880, inner=2880, layers=36, heads=64, kv_heads=8, head_dim=64
        ),
        "hidden_act": "silu",
        "attention_bias": True,
        "sliding_window": maybe(128),
        "layer_types": names(),
        "num_local_experts": 128,
        "num_experts_per_tok": 4,
        "tie_word_embeddings": False,
    },
    traits={
        "sinks": True,
        "kinds": every(2),
        "expert_bias": True,
        "router_bias": True,
    },
    aliases={"num_experts": "num_local_experts", "experts_per_token": "num_experts_per_tok"},
)


def cut_head_dim(config: Config) -> int:
    """The width of a head, cut to a whole number, as by classes whose defaults do not divide."""
    dim: int = config["head_dim"] or config["hidden_size"] // config["num_attention_heads"]
    return dim


family(
    "glm4_moe",
    "llama",
    keys={
        **sizes(vocab=151552, inner=10944, layers=46, heads=96, kv_heads=maybe(8)),
        "use_qk_norm": False,
        "n_routed_experts": 128,
        "n_shared_experts": maybe_zero(1),
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 1408,
        "first_k_dense_replace": at_least_zero(1),
    },
    traits={
        "sparse": sparse_after_first,
        "o_bias": False,
        "qk_norm": lambda config: "head" if config["use_qk_norm"] else None,
        "head_dim": cut_head_dim,
    },
    drop=("mlp_bias",),
    aliases={"num_local_experts": "n_routed_experts", "num_experts": "n_routed_experts"},
)


def _dbrx(section: str, key: str, default: int) -> Any:
    """A key of DBRX's nested configurations."""

    def read(config: Config) -> int:
        count = (config[section] or {}).get(key, default)
        if not is_count(count):
            raise InputError(
                f"{section}.{key} is {quote_value(count)} where a whole number is expected"
            )
        return count

    return read


family(
    "dbrx",
    keys={
        "vocab_size": 32000,
        "d_model": 2048,
        "n_heads": 16,
        "n_layers": 24,
        "attn_config": mapping(),
        "ffn_config": mapping(),
        "tie_word_embeddings": False,
    },
    traits={
        "norm": "layer",
        "kv_heads": _dbrx("attn_config", "kv_n_heads", 1),
        "inner": _dbrx("ffn_config", "ffn_hidden_size", 3584),
        "experts": _dbrx("ffn_config", "moe_num_experts", 4),
        "top_k": _dbrx("ffn_config", "moe_top_k", 1),
        "activation": "silu",
    },
    aliases=called(hidden="d_model", heads="n_heads", layers="n_layers"),
)


def _llama4_sparse(config: Config) -> Sequence[bool]:
    """The layers named in ``moe_layers``, or every ``interleave_moe_layer_step``-th."""
    layers, step = config["num_hidden_layers"], config["interleave_moe_layer_step"]
    experts, top_k = config["num_local_experts"], config["num_experts_per_tok"]
    named = config["moe_layers"]
    if named != [] and not (step and experts and top_k):
        raise InputError(
            f"interleave_moe_layer_step {step}, num_local_experts {experts}, num_experts_per_tok "
            f"{top_k}: 0 makes sense where moe_layers is an empty list alone"
        )
    if named is None:
        return [(index + 1) % step == 0 for index in range(layers)]
    chosen = set(layer_indices(config, "moe_layers"))
    return [index in chosen for index in range(layers)]


family(
    "llama4_text",
    "llama",
    keys={
        **sizes(vocab=202048, hidden=5120, inner=8192, layers=48, heads=40, kv_heads=maybe(8)),
        "head_dim": maybe(128),
        "intermediate_size_mlp": 16384,
        "num_local_experts": at_least_zero(16),
        "num_experts_per_tok": at_least_zero(1),
        "moe_layers": indices(),
        "interleave_moe_layer_step": at_least_zero(1),  # 0 of Llama Guard 4, which is dense
        "use_qk_norm": True,
        "no_rope_layers": indices(),
        "no_rope_layer_interval": 4,
        "attention_chunk_size": maybe(8192),
        "layer_types": names(),
    },
    traits={
        "inner": use("intermediate_size_mlp"),
        "expert_inner": use("intermediate_size"),
        "shared_inner": use("intermediate_size"),
        "kinds": by_rotation("chunked", "full"),
        "chunk": use("attention_chunk_size"),
        "sparse": _llama4_sparse,
        "qk_norm": lambda config: "l2" if config["use_qk_norm"] else None,
    },
    drop=("mlp_bias",),
)
