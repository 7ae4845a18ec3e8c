"""Hybrids of autumn 2026, of linear attention with full or latent attention.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from collections.abc import Sequence

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.linear import GatedDelta, KimiDelta, Lightning
from thermoflop.model.architecture.mixers import LatentAttention
from thermoflop.model.architecture.sparse import Compressor
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import beside_weights, expert_kin, linear  # noqa: F401 - parents
from thermoflop.model.config.families.latent import (
    choosing,
    indexed,
    indexer_kinds,
    latent_attention,
)
from thermoflop.model.config.families.patterns import (
    at_indices,
    by_words,
    every,
    sparse_by_mlp_types,
)
from thermoflop.model.config.families.sparse import mixed_streams
from thermoflop.model.config.family import (
    Key,
    at_least_zero,
    family,
    indices,
    mapping,
    names,
    only,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config


def _is_ling_25(config: Config) -> bool:
    """Ling 2.5 has the model_type of Ling 3, and Lightning attention by code beside its weights."""
    return str(config.raw.get("architectures")).startswith("['BailingMoeV2")


def lightning(config: Config) -> Lightning:
    """Of Ling 2.5: queries and keys have norms where those of full attention have.

    Its keys are looked up as they stand: the class of Ling 3 reads none of them.
    """
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    dim = config["head_dim"] or hidden // heads
    normed, last, first = (
        bool(config.raw.get(key)) for key in ("use_qk_norm", "use_bias", "use_qkv_bias")
    )
    first = first or bool(config["attention_bias"])  # as Ring's family calls it
    return Lightning(hidden, heads, dim, normed, (first or last, last))


def _ling_delta(config: Config) -> KimiDelta | Lightning:
    """Sizes of attention, or under names of their own, as the class writes them itself."""
    if _is_ling_25(config):
        return lightning(config)
    own = {"linear_num_heads": "num_attention_heads", "linear_head_dim": "head_dim"}
    own["linear_conv_kernel_dim"] = "short_conv_kernel_size"
    heads, dim, taps = (config[key] or config[other] for key, other in own.items())
    if not config["no_kda_lora"] or config["linear_attention"] != "kda":
        raise UnknownModel(f"{config.family.name} is described with no_kda_lora and kda alone")
    return KimiDelta(config["hidden_size"], heads, dim, taps, full_gate=True, full_decay=True)


def _ling_latent(config: Config) -> LatentAttention:
    """Of Ling 3 with a gate for each head, or for each element of its value."""
    latent, gate = latent_attention(config), config["gated_attention_proj_granularity_type"]
    if _is_ling_25(config) or not gate:
        return latent
    if gate not in ("head_wise", "element_wise"):
        raise UnknownModel(f"gated_attention_proj_granularity_type is {quote_value(gate)}: "
                           "expected head_wise or element_wise")  # fmt: skip
    return replace(latent, head_gate=gate == "head_wise", gate=gate == "element_wise")


family(
    "bailing_hybrid",
    "deepseek_v3",
    keys={
        **sizes(vocab=157184, hidden=2560, inner=6144, layers=42, heads=32, head_dim=128),
        "moe_intermediate_size": 768,
        "q_lora_rank": None,
        "n_routed_experts": 512,
        "first_k_dense_replace": at_least_zero(2),
        "short_conv_kernel_size": 4,
        "linear_head_dim": None,
        "linear_num_heads": None,
        "linear_conv_kernel_dim": None,
        "layer_group_size": 6,
        "layer_types": names(),
        "mlp_layer_types": names(),
        # of the code beside the weights, which says what the class of transformers always has
        "gated_attention_proj_granularity_type": Key("text", "head_wise", nullable=True),
        "linear_attention": "kda",
        "no_kda_lora": True,
        "moe_shared_expert_intermediate_size": None,
    },
    traits={
        "kinds": every("layer_group_size", others="linear"),
        "shared_inner": lambda config: (
            (config["moe_shared_expert_intermediate_size"] or config["moe_intermediate_size"])
            * config["n_shared_experts"]
        ),
        "sparse": sparse_by_mlp_types,
        "recurrent": _ling_delta,
        "mla": _ling_latent,
        "tied": False,  # the class ties nothing
    },
    aliases={
        "num_experts_per_token": "num_experts_per_tok",
        "num_shared_experts": "n_shared_experts",
    },
    ignored=spaced(
        "moe_layer_freq kda_safe_gate kda_lower_bound mtp_loss_scaling_factor moe_renormalize"
        " num_expert_group qk_head_dim group_norm_size linear_silu use_linear_silu linear_rope"
        " score_function use_qk_norm use_bias use_qkv_bias moe_router_enable_expert_bias"
        " expert_swiglu_limit_list share_expert_swiglu_limit_list max_window_layers"
    ),
)


def _olmo_delta(config: Config) -> GatedDelta:
    """Keys take three quarters of the hidden state, values twice as much, where nothing is said."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    keys = config["linear_num_key_heads"] or heads
    dim = config["linear_key_head_dim"] or int(0.75 * hidden / keys)
    return GatedDelta(
        hidden,
        keys,
        config["linear_num_value_heads"] or heads,
        dim,
        config["linear_value_head_dim"] or 2 * dim,
        config["linear_conv_kernel_dim"],
    )


def _olmo_kinds(config: Config) -> Sequence[str]:
    kinds = every(4, others="linear")(config)
    return kinds if "full" in kinds else [*kinds[:-1], "full"]


family(
    "olmo_hybrid",
    "olmo2",
    keys={
        **sizes(vocab=100352, hidden=3840, heads=30),
        "layer_types": names(),
        "linear_num_key_heads": None,
        "linear_num_value_heads": None,
        "linear_key_head_dim": None,
        "linear_value_head_dim": None,
        "linear_conv_kernel_dim": 4,
    },
    traits={"kinds": _olmo_kinds, "recurrent": _olmo_delta},
    ignored=spaced(
        "linear_a_log_min linear_a_log_max linear_dt_min linear_dt_max linear_dt_init_floor"
        " linear_allow_neg_eigval"
    ),
)


def _glm_kinds(config: Config) -> Sequence[str]:
    """Three layers of linear attention, then one that chooses keys or takes a choice."""
    layers = config["num_hidden_layers"]
    table = {"linear_attention": "linear", "full_attention": "full", "indexed_attention": "full"}
    kinds = by_words(config, table) or ["full" if at % 4 == 3 else "linear" for at in range(layers)]
    chosen = zip(kinds, indexer_kinds(config), strict=True)
    return [kind if kind == "linear" else chooses for kind, chooses in chosen]


def _glm_sparse(config: Config) -> Sequence[bool]:
    if config["mlp_layer_types"]:
        return sparse_by_mlp_types(config)
    return [index > 2 for index in range(config["num_hidden_layers"])]


def _pooled_indexer(config: Config) -> LatentAttention:
    """GLM 5.3: the indexer chooses pools of tokens, and the last ones, which fill no pool yet."""
    whole, pool = indexed(config), config["index_kpool"]
    dim, top_k = config["index_head_dim"], config["index_topk"]
    if config["qk_rope_head_dim"] or top_k % pool:
        raise InputError(
            f"glm5_next with qk_rope_head_dim {config['qk_rope_head_dim']}, index_topk {top_k} and "
            f"index_kpool {pool}: its class wants no rotation, and whole pools"
        )
    keys = Compressor(config["hidden_size"], dim, pool, 1, "indexer", "indexer_proj", "layer")
    assert whole.indexer is not None  # noqa: S101 - it has just been made
    indexer = replace(whole.indexer, top_k=top_k // pool, block=pool, compressor=keys)
    tail = pool - 1 if config["index_kpool_always_select_tail"] else 0
    return replace(whole, indexer=indexer, limit=top_k + tail, rotation=False)


family(
    "glm5_next_text",
    "glm_moe_dsa",
    keys={
        **sizes(hidden=4096, layers=45),
        "n_routed_experts": 288,
        "q_lora_rank": 1536,
        "qk_rope_head_dim": at_least_zero(0),
        "qk_nope_head_dim": 256,
        "layer_types": names(),
        "linear_attn_config": mapping(),
        "linear_head_dim": 128,
        "linear_num_heads": 64,
        "linear_conv_kernel_dim": 4,
        "hc_mult": 4,
        "hc_sinkhorn_iters": at_least_zero(20),
        "index_kpool": 16,
        "index_kpool_always_select_tail": True,
        # said by published files of what the class always has
        **dict.fromkeys(("mhc", "mla_use_nope", "index_kpool_compress"), only(True)),
    },
    traits={
        "kinds": _glm_kinds,
        "sparse": _glm_sparse,
        "recurrent": linear.kimi_delta,
        "mixers": choosing(_pooled_indexer),
        "streams": mixed_streams,
        "ahead": [[("full", True, {"streams": None})]],  # its module has one stream
    },
    ignored=("linear_lower_bound", "first_k_dense_replace"),
)


def _solar_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, the layers that attend to all, or one of them before so many linear ones."""
    if config["layer_types"] is None and config["gqa_layers"] is not None:
        return at_indices("gqa_layers", "full", "linear")(config)
    return every(config["gqa_interval"] + 1, others="linear", first=0)(config)


# Solar Open 2, as vLLM and SGLang build it: Kimi's delta rule, and attention with a gate
family(
    "solar_open2",
    "solar_open",
    keys={
        "n_routed_experts": 320,
        "layer_types": names(),
        "gqa_layers": indices(),
        "gqa_interval": 3,
        "use_gqa_gate": True,
        "use_gqa_gate_bias": only(False),
        "use_qk_norm": False,
        "use_rope": False,
        "kda_use_full_proj": only(False),
        "linear_attn_config": mapping(),
        "linear_head_dim": 128,
        "linear_num_heads": 64,
        "linear_conv_kernel_dim": 4,
    },
    traits={
        "kinds": _solar_kinds,
        "recurrent": linear.kimi_delta,
        "qk_norm": lambda config: "head" if config["use_qk_norm"] else None,
        "output_gate": use("use_gqa_gate"),
        "rotary": use("use_rope"),
    },
    ignored=("kda_gate_lower_bound", "kda_allow_neg_eigval"),
)

_SALA_KINDS = {
    **dict.fromkeys(("minicpm4", "minicpm", "standard", "attention", "attn"), "full"),
    **dict.fromkeys(("lightning-attn", "lightning_attn", "lightning"), "linear"),
}


def _sala_kinds(config: Config) -> Sequence[str]:
    """A word of ``mixer_types`` for each layer; a list that is shorter begins anew."""
    listed, layers = config["mixer_types"] or ["minicpm4"], config["num_hidden_layers"]
    unknown = next((word for word in listed if word not in _SALA_KINDS), None)
    if unknown is not None or len(listed) > layers:
        wrong = f"holds {quote_value(unknown)}" if unknown else f"names {len(listed)} layers"
        raise InputError(f"mixer_types {wrong} where minicpm_sala has {layers} known ones")
    return [_SALA_KINDS[listed[at % len(listed)]] for at in range(layers)]


def _sala_lightning(config: Config) -> Lightning:
    """With norms on queries and keys, as the class has them unless it is told otherwise."""
    heads, hidden = config["lightning_nh"] or config["num_attention_heads"], config["hidden_size"]
    keys = config["lightning_nkv"] or config["num_key_value_heads"]
    dim = config["lightning_head_dim"] or config["head_dim"]
    if keys != heads or not (config["use_output_gate"] and config["use_output_norm"]):
        raise UnknownModel(
            "minicpm_sala is described with lightning_nkv = lightning_nh, use_output_gate and "
            "use_output_norm alone"
        )
    return Lightning(hidden, heads, dim or head_width(hidden, heads), config["qk_norm"])


# MiniCPM-SALA, as SGLang builds it
family(
    "minicpm_sala",
    "minicpm",
    keys={
        "head_dim": None,
        "tie_word_embeddings": False,
        "mixer_types": names(),
        "lightning_nh": None,
        "lightning_nkv": None,
        "lightning_head_dim": None,
        "use_output_gate": False,
        "use_output_norm": False,
        "qk_norm": True,
        "attention_bias": only(False),
        "attn_use_rope": True,
        "attn_use_output_gate": False,
    },
    traits={
        "kinds": _sala_kinds,
        "recurrent": _sala_lightning,
        "output_gate": use("attn_use_output_gate"),
        "rotary": use("attn_use_rope"),
        "qk_norm": None,
    },
    ignored=("lightning_scale", "lightning_use_rope", "lightning_layerwise_decay", "shift_labels"),
    drop=("num_experts", "num_experts_per_tok"),
)
