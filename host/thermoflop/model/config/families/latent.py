"""Decoders with latent attention and mixtures of experts: DeepSeek and its relatives.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.mixers import LatentAttention, Mixer
from thermoflop.model.architecture.sparse import Indexer
from thermoflop.model.config.families import mixtures  # noqa: F401 - parents are there
from thermoflop.model.config.families.patterns import (
    sparse_after_first,
    sparse_by_mlp_types,
    stated,
    words,
)
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    maybe,
    maybe_zero,
    names,
    sizes,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from thermoflop.model.config.keys import Config


def latent_attention(config: Config) -> LatentAttention:
    """Multi-head latent attention as DeepSeek-V2 and its relatives name its sizes."""
    return LatentAttention(
        config["hidden_size"],
        config["num_attention_heads"],
        config["kv_lora_rank"],
        config["qk_nope_head_dim"],
        config["qk_rope_head_dim"],
        config["v_head_dim"],
        config.get("q_lora_rank"),
        config["attention_bias"],
    )


MLA_KEYS: dict[str, Any] = {
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "kv_lora_rank": 512,
    "q_lora_rank": maybe(1536),
}
family(
    "deepseek_v2",
    "llama",
    keys={
        **MLA_KEYS,
        "vocab_size": 102400,
        "n_routed_experts": 64,
        "n_shared_experts": maybe_zero(2),
        "num_experts_per_tok": None,
        "moe_intermediate_size": 1407,
        "first_k_dense_replace": at_least_zero(0),
        "moe_layer_freq": 1,
    },
    traits={
        "sparse": sparse_after_first,
        "mla": latent_attention,
        "top_k": stated("num_experts_per_tok"),
    },
    ignored=("num_key_value_heads", "head_dim", "qk_head_dim"),
    aliases={"num_experts": "n_routed_experts", "num_local_experts": "n_routed_experts"},
)
family(
    "deepseek_v3",
    "deepseek_v2",
    keys={
        **sizes(vocab=129280, hidden=7168, inner=18432, layers=61, heads=128),
        "n_routed_experts": 256,
        "n_shared_experts": maybe_zero(1),
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048,
        "first_k_dense_replace": at_least_zero(3),
    },
    drop=("mlp_bias",),
)
family("kimi_k2", "deepseek_v3")
family(
    "glm4_moe_lite",
    "deepseek_v3",
    keys={
        **sizes(vocab=154880, hidden=2048, inner=10240, layers=47, heads=20),
        "qk_nope_head_dim": 192,
        "v_head_dim": 256,
        "q_lora_rank": maybe(768),
        "n_routed_experts": 64,
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 1536,
        "mlp_layer_types": names(),
    },
    traits={"sparse": sparse_by_mlp_types},
    aliases={"head_dim": "qk_rope_head_dim"},
    ignored=("first_k_dense_replace", "moe_layer_freq"),
)


def indexed(config: Config) -> LatentAttention:
    """Latent attention to the keys that an indexer on the query latent chooses."""
    rotary, dim = config["qk_rope_head_dim"], config["index_head_dim"]
    if rotary > dim:
        raise InputError(f"{rotary} rotated dimensions do not fit an index_head_dim of {dim}")
    indexer = Indexer(
        config["hidden_size"],
        config["index_n_heads"],
        dim,
        config["index_topk"],
        rotary,
        config.get("q_lora_rank"),
    )
    return replace(latent_attention(config), limit=indexer.chosen, indexer=indexer)


family(
    "deepseek_v32",
    "deepseek_v3",
    keys={
        "q_lora_rank": 1536,
        "index_n_heads": 64,
        "index_head_dim": 128,
        "index_topk": 2048,
        "mlp_layer_types": names(),
    },
    traits={"mla": indexed, "sparse": sparse_by_mlp_types},
    # every layer has an indexer, whatever layer_types calls it; mlp_bias is read nowhere
    ignored=("layer_types", "mlp_bias", "moe_layer_freq"),
)


def indexer_kinds(config: Config) -> Sequence[str]:
    """Layers that choose keys (full), and those that take the choice of the one before (shared).

    GLM-5.2's ``index_topk_freq`` and ``index_skip_topk_offset`` say it by a rule.
    """
    layers = config["num_hidden_layers"]
    if config["indexer_types"] is not None:
        return words(config, "indexer_types", ("full", "shared"))
    pattern = config["index_topk_pattern"]
    if pattern is not None:
        table = {"F": "full", "S": "shared", "full": "full", "shared": "shared"}
        given = isinstance(pattern, str | list) and all(isinstance(each, str) for each in pattern)
        if not given or len(pattern) < layers or any(each not in table for each in pattern):
            raise InputError("index_topk_pattern is no letter F or S for each layer")
        return [table[each] for each in pattern[:layers]]
    period, first = max(config["index_topk_freq"], 1), config["index_skip_topk_offset"]
    chooses = (max(index - first + 1, 0) % period == 0 for index in range(layers))
    return ["full" if each else "shared" for each in chooses]


def choosing(
    attention: Callable[[Config], LatentAttention],
) -> Callable[[Config], dict[str, tuple[Mixer, str]]]:
    """The trait of attention that chooses keys in some layers, for those that follow."""

    def mixers(config: Config) -> dict[str, tuple[Mixer, str]]:
        whole = attention(config)
        same = replace(whole, indexer=None)
        return {
            "full": (whole, "indexed attention"),
            "shared": (same, "attention to the same keys"),
        }

    return mixers


family(
    "glm_moe_dsa",
    "deepseek_v32",
    keys={
        **sizes(vocab=154880, hidden=6144, inner=12288, layers=78, heads=64),
        "q_lora_rank": 2048,
        "qk_nope_head_dim": 192,
        "v_head_dim": 256,
        "index_n_heads": 32,
        "indexer_types": names(),
        "index_topk_pattern": anything(),
        "index_topk_freq": at_least_zero(1),
        "index_skip_topk_offset": at_least_zero(2),
    },
    traits={
        "kinds": indexer_kinds,
        "ahead": [[("full", True, {})]],  # it chooses keys for itself
        "mla": None,
        "mixers": choosing(indexed),
    },
    ignored=("index_share_for_mtp_iteration", "indexer_rope_interleave"),
)
