"""Alice AI Foundation 80B-A3B, held to the size of its weights and to vLLM's class."""

from __future__ import annotations

import pytest
from thermoflop.errors import InputError
from thermoflop.model.architecture.cache import cache_elements
from thermoflop.model.load import read_model

ALICE = {
    "model_type": "alice_ai",
    "architectures": ["AliceAIForCausalLM"],
    "block_attn_res_block_size": 4,
    "router_score_function": "sigmoid",
    "mtp_num_hidden_layers": 1,
}


def test_alice_has_every_part_of_its_class() -> None:
    """36 layers of Kimi's linear attention, 12 of gated attention, 512 experts in each."""
    full = 2048 * 8192 + 2 * 2048 * 512 + 4096 * 2048 + 2 * 256
    inner = 32 * 128
    linear = 4 * 2048 * inner + 2 * (2048 * 128 + 128 * inner) + 2048 * 32
    linear += 3 * inner * 4 + 32 + inner + 128
    mixture = 513 * 3 * 2048 * 512 + 512 * 2048 + 2048
    depth = 2 * 2048
    total = 12 * full + 36 * linear + 48 * (mixture + 2 * 2048)
    total += (2 * 48 - 1 + 1) * depth + 2 * 129024 * 2048 + 2048
    model = read_model(ALICE)
    assert model.params == total
    assert cache_elements(model.description, 10) == 12 * 10 * 2 * 512


def test_alice_is_as_large_as_its_weights() -> None:
    """yandex/AliceAI-Foundation-80B-A3B-Base: 162.6 GB in BF16, with the layer that predicts
    further."""
    assert round(2 * read_model(ALICE, mtp=True).params / 1e9, 1) == 162.6


def test_linear_heads_of_alice_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match="linear key heads"):
        read_model({**ALICE, "linear_num_key_heads": 16})
