"""The memory of every model of the catalogue is counted: apart from the cases, for its time."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.model.config.catalogue import names

GIB, MIB, KIB = 2**30, 2**20, 2**10
# Mistral Small 2409: 56 layers, 8 key heads of 128
MISTRAL_SMALL = {
    "model_type": "mistral", "hidden_size": 6144, "intermediate_size": 16384,
    "num_hidden_layers": 56, "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128,
    "vocab_size": 32768, "max_position_embeddings": 32768, "sliding_window": None,
}  # fmt: skip


@pytest.mark.parametrize("name", names())
def test_every_model_of_the_catalogue_fits_or_does_not(name):
    """Whatever mixes its tokens: with a convolution, without one, several side by side."""
    found = tf.fit(name, "h200", prompt=16, generate=0)
    assert found.memory.total_bytes > found.memory.weight_bytes > 0
