"""Decoders with latent attention and mixtures of experts: DeepSeek and its relatives.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.model.architecture.mixers import LatentAttention
from thermoflop.model.config.families.mixtures import SHARED
from thermoflop.model.config.families.patterns import stated
from thermoflop.model.config.family import at_least_zero, family, maybe, maybe_zero, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config


def _latent_attention(config: Config) -> LatentAttention:
    return LatentAttention(
        config["hidden_size"],
        config["num_attention_heads"],
        config["kv_lora_rank"],
        config["qk_nope_head_dim"],
        config["qk_rope_head_dim"],
        config["v_head_dim"],
        config["q_lora_rank"],
        config["attention_bias"],
    )


MLA_KEYS: dict[str, Any] = {
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "kv_lora_rank": 512,
    "q_lora_rank": maybe(1536),
}
MLA_IGNORED = ("num_key_value_heads", "head_dim", "qk_head_dim")
family(
    "deepseek_v2",
    "llama",
    keys={
        **MLA_KEYS,
        "n_routed_experts": 64,
        "n_shared_experts": maybe_zero(2),
        "num_experts_per_tok": None,
        "moe_intermediate_size": 1407,
        "first_k_dense_replace": at_least_zero(0),
        "moe_layer_freq": 1,
    },
    traits={
        **SHARED,
        "mla": _latent_attention,
        "top_k": stated("num_experts_per_tok"),
        "kv_heads": None,
        "shared_bias": use("mlp_bias"),
    },
    drop=("num_key_value_heads", "head_dim"),
    ignored=MLA_IGNORED,
    aliases={"num_experts": "n_routed_experts", "num_local_experts": "n_routed_experts"},
)
family(
    "deepseek_v3",
    "deepseek_v2",
    keys={
        "vocab_size": 129280,
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "num_hidden_layers": 61,
        "num_attention_heads": 128,
        "n_routed_experts": 256,
        "n_shared_experts": maybe_zero(1),
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048,
        "first_k_dense_replace": at_least_zero(3),
    },
    traits={"up_bias": False, "shared_bias": False},
    drop=("mlp_bias",),
)
family("kimi_k2", "deepseek_v3")
