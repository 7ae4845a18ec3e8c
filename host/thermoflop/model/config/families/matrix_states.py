"""Decoders whose layers keep matrices by rules of their own: RWKV-7.

Structure: RWKV-7 as transformers' class of the RWKV team and flash-linear-attention build it. Their
defaults differ, so that a file has to state its sizes, as the published ones do.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.linear import GROUP, GeneralizedDelta
from thermoflop.model.architecture.parts import Part, Vector
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families.classic import LAYER_NORM
from thermoflop.model.config.family import anything, family, only, required, sizes, spaced, use
from thermoflop.model.config.keys import Config, is_factor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermoflop.model.architecture.mixers import Mixer


def _goose(config: Config) -> Mapping[str, tuple[Mixer, str]]:
    """Layers of time mixing; the first has values that all others take a share of."""
    hidden, dim = config["hidden_size"], config["head_dim"]
    values = config["value_dim"] or hidden
    if config["attn"] is not None or {hidden} != set(values if type(values) is list else [values]):
        raise UnknownModel(
            "layers of attention (attn) and a value_dim beside hidden_size are not described for "
            "rwkv7"
        )
    ranks = [config[f"{name}_low_rank_dim"] for name in ("decay", "a", "v", "gate")]
    head_width(hidden, hidden // dim or 1)
    later = GeneralizedDelta(hidden, hidden // dim, dim, tuple(ranks))
    ranks[2] = 0
    first = GeneralizedDelta(hidden, hidden // dim, dim, tuple(ranks))
    return {"full": (later, "time mixing"), "first": (first, "time mixing")}


def _goose_inner(config: Config) -> int:
    """As stated, or so many times the hidden state, in multiples of 32."""
    ratio = config["hidden_ratio"]
    if not is_factor(ratio):
        raise InputError(f"hidden_ratio is {quote_value(ratio)} where a number is expected")
    stated: int | None = config["intermediate_size"]
    return stated or 32 * -(-int(config["hidden_size"] * ratio) // 32)


def _idle_values(config: Config) -> tuple[Part, ...]:
    """What transformers' class keeps in the first layer as well, and never reads."""
    if config.raw.get("architectures") != ["Rwkv7ForCausalLM"]:
        return ()
    elements = config["hidden_size"] * (2 * config["v_low_rank_dim"] + 1)
    return (Vector("v_lora of the first layer", GROUP, elements),)


family(
    "rwkv7",
    keys={
        **sizes(vocab=required(), hidden=required(), layers=required(), inner=None, head_dim=64),
        **dict.fromkeys(
            spaced("decay_low_rank_dim a_low_rank_dim v_low_rank_dim gate_low_rank_dim"), required()
        ),
        "hidden_ratio": anything(4),
        "value_dim": anything(),
        "attn": anything(),
        "hidden_act": only("sqrelu"),
        "norm_first": True,
        "norm_bias": True,
        "use_deep_embed": only(False),
        "tie_word_embeddings": False,
    },
    traits={
        **LAYER_NORM,
        "norm_bias": use("norm_bias"),
        "embed_norm": use("norm_first"),
        "inner": _goose_inner,
        "activation": "relu2",
        "gated": False,
        "kinds": lambda config: ["first"] + ["full"] * (config["num_hidden_layers"] - 1),
        "mixers": _goose,
        "mlp_extras": lambda config: (Vector("x_k", "mlp", config["hidden_size"]),),
        "extras": _idle_values,
    },
    ignored=spaced(
        "num_heads wkv_state_dtype attn_mode fuse_norm fuse_cross_entropy fuse_linear_cross_entropy"
        " use_l2warp"
    ),
)
