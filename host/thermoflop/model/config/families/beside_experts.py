"""Mixtures with a dense feed-forward beside the experts: Grok 2 and Snowflake's Arctic; Grok 1, of
Grok 2's class without it.

Structure: SGLang's Grok1ForCausalLM of 0.5.23, and vLLM's ArcticForCausalLM of 0.11.
"""

from __future__ import annotations

from thermoflop.errors import UnknownModel
from thermoflop.model.config.families import mixtures  # noqa: F401 - mixtral is defined there
from thermoflop.model.config.family import family, only, required, sizes, spaced, use
from thermoflop.model.config.keys import Config

# two norms around attention, two around the feed-forwards
family(
    "grok-2",
    "mixtral",
    keys={
        **sizes(vocab=131072, hidden=8192, inner=32768, layers=64, heads=64, kv_heads=8),
        "head_dim": 128,
        "moe_intermediate_size": None,
        "residual_moe": False,
        "hidden_act": "gelu",
    },
    traits={"beside_mlp": use("residual_moe"), "layer_norms": 4},
    ignored=spaced(
        "embedding_multiplier_scale output_multiplier_scale attn_temperature_len"
        " global_attn_every_n sliding_window_size sliding_window scaling_factor"
        " extrapolation_factor attn_factor"
    ),
)
# as hpcai-tech's and other files have it, whose classes differ in their defaults
family(
    "grok-1",
    "grok-2",
    keys={
        **sizes(vocab=required(), hidden=required(), inner=required(), layers=required()),
        **sizes(heads=required(), kv_heads=required()),
        "tie_word_embeddings": True,
    },
    ignored=("attn_output_multiplier", "max_attn_value"),
)


def _beside(config: Config) -> int:
    """As wide as the hidden state; the class has it in layers with experts where it is told to."""
    if config["moe_layer_frequency"] != 1 or not (
        config["use_residual"] and config["parallel_attn_mlp_res"]
    ):
        raise UnknownModel(
            "arctic needs moe_layer_frequency 1, use_residual and "
            "parallel_attn_mlp_res: no other is described"
        )
    return int(config["hidden_size"])


family(
    "arctic",
    "mixtral",
    keys={
        **sizes(vocab=32000, kv_heads=None),
        "num_experts_per_tok": 1,
        "moe_layer_frequency": 2,
        "parallel_attn_mlp_res": False,
        "use_residual": False,
        "attention_bias": only(False),
    },
    traits={
        "beside_mlp": True,
        "inner": _beside,
        "expert_inner": use("intermediate_size"),
        "layer_norms": 3,
    },
    ignored=spaced(
        "enable_expert_tensor_parallelism moe_eval_capacity_factor moe_min_capacity"
        " moe_token_dropping moe_train_capacity_factor sliding_window"
    ),
)
