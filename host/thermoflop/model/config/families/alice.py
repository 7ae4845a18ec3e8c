"""Alice AI Foundation: Qwen3-Next's attention and mixture, Kimi's linear attention, and attention
over the sums of blocks of layers before.

Keys and defaults are those of vLLM's configuration.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.linear import KimiDelta
from thermoflop.model.config.families.linear import depth_query
from thermoflop.model.config.family import family, spaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config


def _delta(config: Config) -> KimiDelta:
    sizes = [config[f"linear_num_{each}_heads"] for each in ("key", "value")]
    dims = [config[f"linear_{each}_head_dim"] for each in ("key", "value")]
    if sizes[0] != sizes[1] or dims[0] != dims[1]:
        raise InputError("alice_ai wants as many linear key heads as value heads, as wide as they")
    taps = config["linear_conv_kernel_dim"]
    return KimiDelta(config["hidden_size"], sizes[0], dims[0], taps)


def _shapes(config: Config) -> list[dict[str, Any]]:
    """A query over depth before each branch, but the first of all."""
    hidden = config["hidden_size"]
    feed, attention = depth_query(hidden, "feed-forward"), depth_query(hidden, "attention")
    layers = range(config["num_hidden_layers"])
    return [{"kept": (*feed, *(attention if index else ()))} for index in layers]


family(
    "alice_ai",
    "qwen3_next",
    keys={"vocab_size": 129024, "linear_num_key_heads": 32},
    traits={
        "recurrent": _delta,
        "shapes": _shapes,
        "ahead": [[("full", True, {"kept": ()})]],
        "note": "the work of attention over depth, under 0.1 % of the FLOPs, is not listed",
        "extras": lambda config: depth_query(config["hidden_size"], "last"),
    },
    ignored=spaced(
        "block_attn_res_block_size router_score_function router_bias_correction"
        " kda_allow_negative_eigenvalues number_of_conv_states mtp_num_hidden_layers"
        " mtp_use_dedicated_embeddings"
    ),
)
