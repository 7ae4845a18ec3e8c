"""GigaChat 3.5, held to the published size and to its class in SGLang."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.cache import cache_elements
from thermoflop.model.architecture.quantization import matrices
from thermoflop.model.load import read_model

ULTRA: dict[str, Any] = {
    "model_type": "gigachat3_5", "vocab_size": 128256, "hidden_size": 7168,
    "intermediate_size": 18432, "num_hidden_layers": 40, "num_attention_heads": 64,
    "q_lora_rank": 1536, "kv_lora_rank": 512, "n_routed_experts": 256, "num_experts_per_tok": 8,
    "n_group": 1, "topk_group": 1, "full_attention_layers": list(range(3, 40, 4)),
    "linear_num_key_heads": 32, "linear_num_value_heads": 64, "num_nextn_predict_layers": 3,
    "nextn_is_sparse": False, "first_k_dense_replace": 3,
}  # fmt: skip
GATES = 2 * 16 * 7168


def test_gigachat_has_every_part_of_its_class() -> None:
    """432B-A28B with three layers that predict further."""
    latent = 7168 * 1536 + 1536 * 64 * 192 + 7168 * 576 + 512 * 64 * 256 + 2 * 64 * 128 * 7168
    latent += (1536 + 512) * (1 + 2 * 16)
    mixed = 2 * 32 * 128 + 64 * 128
    delta = 7168 * (mixed + 64 * 128 + 2 * 64) + 4 * mixed + 2 * 64 + 128 + 64 * 128 * 7168
    dense, expert = 3 * 7168 * 18432, 3 * 7168 * 2048
    norms = 4 * (7168 + GATES)
    total = 30 * delta + 10 * latent + 40 * norms + 3 * dense + 37 * (257 * expert + 256 * 7168)
    total += 2 * 128256 * 7168 + 7168 + GATES
    model = read_model(ULTRA)
    assert model.params == total
    assert cache_elements(model.description, 1) == 10 * 576
    ahead = read_model(ULTRA, mtp=True)
    assert round(ahead.params / 1e9, 1) == 432.6
    assert 28e9 < ahead.active_params < 29e9


def test_gigachat_in_fp8_is_as_large_as_its_weights() -> None:
    """445,994,440,544 bytes, with a head and a table in each layer that predicts further."""
    block = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
    model = read_model({**ULTRA, "quantization_config": block}, mtp=True)
    held = 0
    for part, sets, stored in matrices(model.description, model.quantization):
        rows = getattr(part, "inputs", None) or part.rows
        width = part.parameters // rows if hasattr(part, "rows") else part.outputs
        copies = getattr(part, "copies", 1)
        each = 2 * rows * width if stored is None else stored.bytes_of(rows, width)
        held += sets * copies * each
    heads = 6 * 2 * 128256 * 7168
    assert abs(held + heads + 3 * 2 * 7168**2 - 445_994_440_544) < 1e8


def test_norms_of_gigachat_without_a_gate_or_behind_branches_alone() -> None:
    plain = read_model({**ULTRA, "norm_type": "LlamaRMSNorm"}).params
    assert read_model(ULTRA).params - plain == 161 * GATES + 10 * 2 * 16 * (1536 + 512)
    assert read_model({**ULTRA, "norm_type": "GatedNorm"}).params == read_model(ULTRA).params
    two = read_model({**ULTRA, "layernorm_type": "pre"}).params
    assert read_model(ULTRA).params - two == 80 * (7168 + GATES)
    for key in ("norm_type", "layernorm_type"):
        with pytest.raises(UnknownModel, match=key):
            read_model({**ULTRA, key: "other"})


def test_layers_of_gigachat_by_either_name() -> None:
    words = ["full_attention" if at % 4 == 3 else "linear_attention" for at in range(40)]
    other = {**ULTRA, "layer_types": words}
    del other["full_attention_layers"]
    assert read_model(other).params == read_model(ULTRA).params
    every = read_model({**ULTRA, "linear_attention_type": None})
    assert cache_elements(every.description, 1) == 40 * 576
