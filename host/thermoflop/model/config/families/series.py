"""What predicts series of numbers. Defaults are those of the classes of transformers 5.24."""

from __future__ import annotations

from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.family import anything, family, sizes, spaced, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config


def _scale(config: Config) -> tuple[Vector, ...]:
    """What queries are multiplied by, the same for all heads."""
    width = config["head_dim"] or head_width(config["hidden_size"], config["num_attention_heads"])
    return (Vector("per_dim_scale", "attn", width),)


_SHAPE = {
    **sizes(hidden=1280, inner=1280, heads=16, head_dim=80),
    "patch_length": 32,
    "horizon_length": 128,
    "quantiles": anything(),
}
_NOTE = "a token is a patch of numbers of a series"
family(
    "timesfm",
    reader="series",
    keys={**_SHAPE, **sizes(layers=50), "freq_size": 3},
    traits={
        "q_bias": True,
        "o_bias": True,
        "up_bias": True,
        "gated": False,
        "activation": "relu",
        "rotary": False,
        "kept": _scale,
        "class": "ModelForPrediction",
        "note": _NOTE,
    },
    ignored=spaced("tolerance pad_val use_positional_embedding min_timescale max_timescale"),
)
family(
    "timesfm2_5",
    reader="series",
    keys={
        **_SHAPE,
        **sizes(layers=20, kv_heads=16),
        "output_quantile_len": 1024,
        "attention_bias": False,
        "use_bias": False,
        "activation": "swish",
    },
    traits={
        "inner": use("intermediate_size"),
        "up_bias": use("use_bias"),
        "gated": False,
        "activation": use("activation"),
        "qk_norm": "head",
        "layer_norms": 4,
        "kept": _scale,
        "class": "ModelForPrediction",
        "note": _NOTE,
    },
    ignored=spaced(
        "decode_index use_continuous_quantile_head force_flip_invariance infer_is_positive"
    ),
)
