"""ZAYA1 beside its class in transformers 5.24, built on torch's meta device and run when small."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model

SMALL: dict[str, Any] = {
    "model_type": "zaya", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 96, "moe_intermediate_size": 24,
    "num_experts": 5, "router_hidden_size": 20,
}  # fmt: skip
OTHER: dict[str, Any] = {
    **SMALL, "num_hidden_layers": 3, "attention_bias": True, "lm_head_bias": True,
    "layer_types": ["hybrid", "hybrid_sliding", "hybrid"], "sliding_window": 4,
    "tie_word_embeddings": False, "cca_time0": 3, "num_key_value_heads": 1,
}  # fmt: skip


def test_zaya1_8b_is_as_large_as_its_class() -> None:
    """The defaults of ZayaConfig, which are those of Zyphra/ZAYA1-8B."""
    model = read_model({"model_type": "zaya"})
    assert model.params == 8_840_488_784
    assert model.params - model.active_params == 40 * 15 * 3 * 2048 * 2048


@pytest.mark.parametrize(
    ("config", "params", "prefill", "decode", "width", "taps"),
    [(SMALL, 89_768, 1_923_776, 215_232, 96, 2), (OTHER, 130_579, 2_498_208, 277_920, 80, 3)],
)
def test_a_small_zaya_runs_as_its_class(
    config: dict[str, Any], params: int, prefill: int, decode: int, width: int, taps: int
) -> None:
    """FlopCounterMode on 2 sequences of 9 tokens, and one more. The class runs the convolution by
    channel on one position more in a layer, and half of the values on a token that is none."""
    model, layers = read_model(config), config["num_hidden_layers"]
    assert model.params == params
    more = 2 * layers * 2 * width * taps
    assert model.decode(9, 2).flops == decode - more
    values = 16 * config["num_key_value_heads"] // 2
    assert model.prefill(9, 2).flops == prefill - more - 2 * layers * 2 * 64 * values


def test_a_layer_of_zaya_that_slides_needs_a_window() -> None:
    with pytest.raises(InputError, match="no sliding_window"):
        read_model({**OTHER, "sliding_window": None})
