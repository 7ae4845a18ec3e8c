"""A model, a device and rates that are made up, so that every figure can be worked out by hand."""

from __future__ import annotations

from typing import Any

import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.roofline.formula import Efficiency

# A decoder of 2 layers: width 256, 4 query and 2 key heads of 64, SwiGLU of 512, 1000 tokens.
LAYERS, WIDTH, HEADS, KEY_HEADS, HEAD, INNER, TOKENS = 2, 256, 4, 2, 64, 512, 1000
KEY_WIDTH = KEY_HEADS * HEAD
# Elements of the matrices of a layer: queries and output, keys and values, gate, up and down.
MATRICES = 2 * WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH + 3 * WIDTH * INNER
NORMS = 2 * WIDTH
HEAD_MATRIX = TOKENS * WIDTH

PEAK, BANDWIDTH, LINK, MEMORY, POWER = 100e12, 1e12, 100e9, 10e9, 400.0
DEVICE = tf.Device(
    "made-up", MEMORY, BANDWIDTH, {"bf16": PEAK}, link_bytes_s=LINK, power_w=POWER,
    thermal_resistance_c_per_w=0.1,
)  # fmt: skip


def decoder(**changes: Any) -> tf.Model:
    """The decoder, with some keys of its configuration changed."""
    config = {
        "model_type": "llama", "vocab_size": TOKENS, "hidden_size": WIDTH,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS, "max_position_embeddings": 100_000,
        "tie_word_embeddings": False,
    }  # fmt: skip
    return tf.load_model({**config, **changes})


# What makes the decoder a mixture of eight experts, of which each token meets two.
MIXTURE: dict[str, Any] = {
    "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2,
}  # fmt: skip


def rates(**changes: float) -> Profile:
    """A profile that has these rates on every device, and those of the data sheet otherwise."""
    efficiency = Efficiency(**changes)
    fixed = {name: getattr(efficiency, name) for name in Efficiency.__annotations__}
    return replace(find_profile(None), fixed=fixed)
