"""Decoders whose code lies beside their weights and builds what another family's class does."""

from __future__ import annotations

from thermoflop.errors import UnknownModel
from thermoflop.model.config.families import (  # noqa: F401 - parents
    beside_weights,
    dense,
    linear,
    llama_kin,
    mixtures,
)
from thermoflop.model.config.family import at_least_zero, family, only, sizes, spaced, use
from thermoflop.model.config.keys import Config


def _no_shared(config: Config) -> int:
    """Both published models have none."""
    if config["shared_intermediate_size"]:
        raise UnknownModel("shared_intermediate_size above 0 is not described for MiniMax-Text-01")
    return 0


# MiniMax-Text-01 and MiniMax-M1 as published, before transformers had their class
for _name in ("minimax_m1", "minimax_text_01"):
    family(
        _name,
        "minimax",
        keys={"shared_intermediate_size": at_least_zero(0)},
        traits={"shared_inner": _no_shared},
        ignored=(
            "shared_moe_mode",
            *(
                f"layernorm_{part}_{factor}"
                for part in ("full_attention", "linear_attention", "mlp")
                for factor in ("alpha", "beta")
            ),
        ),
    )
# What writes by removing masks sees both sides of each, and keeps no keys from step to step.
_UNMASKS = {"causal": False, "purpose": "unmask"}
family("Dream", "qwen2", traits={"whole": ("DreamModel",), **_UNMASKS})
# LLaDA (arXiv 2502.09992): its keys are OLMo's, its blocks Llama's
family(
    "llada",
    "llama",
    keys={
        "intermediate_size": None,
        "embedding_size": None,
        "mlp_ratio": 4,
        "block_type": only("llama"),
        "layer_norm_type": only("rms"),
        "layer_norm_with_affine": True,
        "rope": True,
    },
    drop=("head_dim", "attention_bias", "mlp_bias"),
    aliases={
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "n_kv_heads": "num_key_value_heads",
        "mlp_hidden_size": "intermediate_size",
        "weight_tying": "tie_word_embeddings",
    },
    traits={
        "whole": ("LLaDAModelLM",),
        **_UNMASKS,
        "inner": lambda config: (
            config["intermediate_size"] or config["mlp_ratio"] * config["hidden_size"]
        ),
        "vocab": lambda config: config["embedding_size"] or config["vocab_size"],
        "norm_weight": use("layer_norm_with_affine"),
        "rotary": use("rope"),
    },
    ignored=("alibi_bias_max", "attention_layer_norm_with_affine", "block_group_size"),
)
_SDAR = ("debug", "fuse_cross_entropy", "micro_forward", "skip_checkpoint", "block_size")
# it keeps the keys of finished blocks, as what is causal does
BLOCKS = {
    "step_said": "it writes blocks of tokens by removing masks, each block in several steps over "
    "all of it: a step of one token is counted, as if each step wrote one and ran no other"
}
family("sdar", "qwen3", traits=BLOCKS, ignored=_SDAR)
family("sdar_moe", "qwen3_moe", traits=BLOCKS, ignored=_SDAR)
# LLaDA 2 (arXiv 2512.15745), Ling 2.0's layers with norms of queries and keys
family(
    "llada2_moe",
    "bailing_moe_v2",
    keys={"use_qk_norm": True},
    traits={"whole": ("LLaDA2MoeModelLM",), **BLOCKS},
    ignored=("block_size",),
)
# NVIDIA's Ministral 3 that writes blocks, and as other models do
family(
    "nemotron_labs_diffusion",
    "ministral3",
    keys={"tie_word_embeddings": False},
    traits={"whole": ("NemotronLabsDiffusionModel",), **BLOCKS},
    # attention that sees both sides, and how it was trained
    ignored=spaced(
        "block_size dlm_paradigm dlm_arch dlm_type dp_varying_mask_ratio adaptive_mask_rate"
        " ada_dlm_loss_ratio ada_perm_ratio_global ada_perm_ratio_per_block multi_sampling"
        " prefix_ratio random_length_prob tok_mask_half_life_ratio num_ar_layers"
        " num_diffusion_layers num_skip_loss_tokens complementary_mask global_loss_avg"
    ),
)
# pplx-embed: a Qwen 3 without a head that sees both sides; jina-embeddings-v5: one that sees what
# was before, with an adapter for each task in files of its own
family(
    "bidirectional_pplx_qwen3",
    "qwen3",
    traits={"class": "Model", "causal": False},
    ignored=("use_bidirectional_attention",),
)
family("jina_embeddings_v5", "qwen3", traits={"class": "Model"}, ignored=("task_names",))
# Solar Pro, whose states skip blocks of layers; vLLM and SGLang build it without a window
family(
    "solar",
    "llama",
    keys=sizes(vocab=32128, hidden=5120, inner=17920, layers=64, heads=40, kv_heads=10),
    ignored=spaced("bskcn_1 bskcn_2 bskcn_3 bskcn_4 bskcn_tv sliding_window"),
)
