"""Mixtures of experts of 2024 to 2026, most with shared experts, each a few keys from another.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.config.families import llama_kin, mixtures  # noqa: F401 - parents
from thermoflop.model.config.families.patterns import (
    sparse_by_mlp_types,
)
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    maybe,
    names,
    required,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


family(
    "flex_olmo",
    "olmoe",
    keys={
        **sizes(vocab=100352, hidden=4096, inner=11008, layers=32, heads=32),
        "num_experts": 7,
        "num_experts_per_tok": 5,
    },
)
family(
    "aria_text",
    "llama",
    keys={
        "intermediate_size": 4096,
        "moe_num_experts": 8,
        "moe_topk": 2,
        "moe_num_shared_experts": at_least_zero(2),
    },
    traits={"top_k": use("moe_topk")},
)


def _ernie_sparse(config: Config) -> Sequence[bool]:
    """Every ``moe_layer_interval``-th layer from the start to the end index."""
    layers, step = config["num_hidden_layers"], config["moe_layer_interval"]
    first, last = config["moe_layer_start_index"], config["moe_layer_end_index"]
    if type(last) is not int or last < -1:
        raise InputError(f"moe_layer_end_index is {quote_value(last)}, which is no layer's number")
    within = range(first, layers if last == -1 else last + 1)
    return [index in within and (index + 1) % step == 0 for index in range(layers)]


family(
    "ernie4_5_moe",
    "llama",
    keys={
        **sizes(vocab=103424, hidden=2560, inner=12288, layers=28, heads=20, kv_heads=maybe(4)),
        "tie_word_embeddings": True,
        "use_bias": False,
        "moe_num_experts": 64,
        "moe_k": 6,
        "moe_intermediate_size": 1536,
        "moe_num_shared_experts": at_least_zero(2),
        "moe_layer_start_index": at_least_zero(1),
        "moe_layer_end_index": anything(-1),
        "moe_layer_interval": 1,
    },
    traits={
        "q_bias": use("use_bias"),
        "o_bias": use("use_bias"),
        "up_bias": use("use_bias"),
        "shared_bias": use("use_bias"),
        "head_bias": use("use_bias"),
        # the class keeps the router's correction bias as a parameter
        "router_bias": True,
        "sparse": _ernie_sparse,
    },
    drop=("attention_bias", "mlp_bias"),
    aliases={"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"},
    ignored=spaced(
        "compression_ratio freq_allocation moe_capacity moe_dense_experts_token_type_id moe_gate"
        " moe_gate_act moe_group moe_multimodal_dispatch_use_allgather moe_norm_min"
        " moe_use_aux_free moe_use_hard_gate sinkhorn_2gate use_rmsnorm weight_share_add_bias"
    ),
)
family(
    "hy_v3",
    "llama",
    keys={
        **sizes(vocab=120832, inner=13312, layers=80, heads=64, kv_heads=8, head_dim=128),
        "mlp_layer_types": names(),
        "num_experts": 192,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 1536,
        "num_shared_experts": 1,
    },
    traits={"qk_norm": "head", "sparse": sparse_by_mlp_types},
    aliases={"num_local_experts": "num_experts"},
    ignored=spaced(
        "enable_lm_head_fp32 enable_moe_fp32_combine expert_hidden_dim first_k_dense_replace"
        " moe_router_use_sigmoid qk_norm route_norm"
    ),
)


family(
    "solar_open",
    "glm4_moe",
    keys={
        **sizes(vocab=196608, layers=48, heads=64, kv_heads=8, head_dim=128),
        "moe_intermediate_size": 1280,
    },
    traits={"qk_norm": None, "sparse": None},
    ignored=("first_k_dense_replace", "intermediate_size", "moe_layer_freq", "use_qk_norm"),
)
family(
    "sarvam_moe",
    "glm4_moe",
    keys={
        **sizes(vocab=262144, inner=8192, layers=19, heads=64, kv_heads=4, head_dim=64),
        "use_qk_norm": True,
        "num_experts_per_tok": 6,
        "moe_intermediate_size": 1024,
    },
    aliases={"num_shared_experts": "n_shared_experts", "use_qkv_bias": "attention_bias"},
    ignored=("moe_router_enable_expert_bias", "moe_shared_expert_intermediate_size", "use_rmsnorm"),
)
# Param 2 (BharatGen), as vLLM builds it
family(
    "param2moe",
    "sarvam_moe",
    keys=dict.fromkeys(
        spaced("vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads"
               " num_key_value_heads n_routed_experts num_experts_per_tok moe_intermediate_size"),
        required(),
    ),
)  # fmt: skip


def _per_layer(config: Config, key: str, default: int) -> int:
    """One number for all layers; a list of equal ones is the same."""
    given = config[key]
    values = [default] if given is None else given if isinstance(given, list) else [given]
    if not values or not all(map(is_count, values)):
        raise InputError(f"{key} is {quote_value(given)} where a whole number from 1 is expected")
    if len({*values}) > 1:
        raise InputError(f"{key} differs between layers, and its experts are of one number here")
    count: int = values[0]
    return count


family(
    "hunyuan_v1_moe",
    "hunyuan_v1_dense",
    keys={
        "num_experts": 1,
        "moe_topk": anything(),
    },
    traits={
        "top_k": lambda config: _per_layer(config, "moe_topk", 1),
        "shared_inner": use("intermediate_size"),
    },
    aliases={"num_local_experts": "num_experts", "num_experts_per_tok": "moe_topk"},
    # the class makes experts and the shared one as wide as intermediate_size
    ignored=("moe_intermediate_size", "num_shared_expert", "use_mixed_mlp_moe"),
)


def _shares_keys(config: Config) -> list[dict[str, Any]] | None:
    """Cross-layer attention: of so many layers side by side the first alone has keys and values,
    and each normalizes the keys (HunYuanCrossAttention of vLLM's ``hunyuan_v1.py``)."""
    step = config["cla_share_factor"]
    if not config["use_cla"] or step == 1:
        return None
    reads = {"projects": "q", "norms_again": True}
    return [reads if index % step else {} for index in range(config["num_hidden_layers"])]


# Hunyuan-Large (arXiv 2411.02265), by the class that it was published with: HunYuanForCausalLM, as
# vLLM and TensorRT-LLM have it
family(
    "hunyuan",
    "hunyuan_v1_moe",
    keys={
        "use_qk_norm": False,
        "use_mixed_mlp_moe": False,
        "num_shared_expert": anything(),
        "moe_intermediate_size": anything(),
        "mlp_bias": False,
        "use_cla": False,
        "cla_share_factor": 1,
    },
    traits={
        "shapes": _shares_keys,
        "qk_norm": lambda config: "head" if config["use_qk_norm"] else None,
        "expert_inner": lambda config: _per_layer(
            config, "moe_intermediate_size", config["intermediate_size"]
        ),
        "shared_inner": lambda config: (
            config["intermediate_size"] * _per_layer(config, "num_shared_expert", 1)
            if config["use_mixed_mlp_moe"]
            else 0
        ),
        "expert_bias": use("mlp_bias"),
    },
    # of latent attention, which use_mla would switch on
    ignored=("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"),
)
