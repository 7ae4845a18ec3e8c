"""Step 5 against what its published tensors are (shapes of Step-5-Preview-BF16's headers)."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import load_model

LAYERS = range(92)
TEXT: dict[str, Any] = {
    "model_type": "step4", "hidden_size": 4096, "intermediate_size": 13824,
    "num_hidden_layers": 92, "vocab_size": 128896, "num_attention_heads": 64,
    "num_attention_groups": 4, "head_dim": 192, "use_head_wise_attn_gate": True,
    "sliding_window": 512, "moe_num_experts": 352, "moe_intermediate_size": 1536, "moe_top_k": 8,
    "share_expert_dim": 1536, "moe_layer_list": list(range(3, 91)), "num_nextn_predict_layers": 3,
    "layer_types": [*(("full" if at % 4 == 3 else "sliding") + "_attention" for at in LAYERS),
                    *["sliding_attention"] * 3],
    "sparse_config": {"enabled": True, "topk": 512, "sparse_indexer_num_heads": 16},
}  # fmt: skip
EYES = {"model_type": "perception_encoder", "width": 1536, "layers": 47, "heads": 16,
        "image_size": 728, "patch_size": 14, "mlp_ratio": 8960 / 1536, "use_abs_posemb": True,
        "use_ln_pre": True, "use_rope2d": True, "pool_type": "none"}  # fmt: skip
WHOLE = {"model_type": "step3p5v", "text_config": TEXT, "vision_config": EYES}
MATRIX = 128896 * 4096  # of the vocabulary
ATTENTION = 4096 * (2 * 64 * 192 + 2 * 4 * 192 + 64) + 2 * 192
# a layer that predicts further: its map, feed-forward, attention, and five norms
AHEAD = 2 * 4096**2 + 3 * 13824 * 4096 + ATTENTION + 5 * 4096


def test_all_published_tensors_are_counted() -> None:
    """604,339,504,832 numbers are in the repository, as the Hub has them: with a head for each of
    the three layers that predict further, the first of these layers and a matrix of the vocabulary
    twice, and a correction bias of each of 88 routers, which is a buffer here."""
    model = load_model(WHOLE, mtp=True)
    assert model.params_by_group["mtp"] == 3 * AHEAD
    again = AHEAD + MATRIX + MATRIX
    assert model.params == 604_339_504_832 - 3 * MATRIX - again - 88 * 352


def test_layers_of_full_attention_have_an_indexer() -> None:
    """Eight tensors in each of 23: queries, keys, gates, weights, norms, a scale of each head."""
    found = load_model(TEXT).params_by_group
    parts = 4096 * (16 * 256 + 2 * 256 + 16) + 64
    assert found["indexer"] == 23 * parts
    dense = load_model({**TEXT, "sparse_config": {"enabled": False}})
    norms = 3 * 256
    assert load_model(TEXT).params - dense.params == 23 * (parts + norms)


def test_what_a_file_leaves_out_is_as_its_class_has_it() -> None:
    bare = load_model({"model_type": "step5", "num_hidden_layers": 2})
    one = 5120 * (2 * 40 * 128 + 2 * 8 * 128) + 2 * 128 + 2 * 5120
    norm, dense, moe = (
        5120,
        3 * 5120 * 13312,
        16 * 5120 + 16 * 3 * 5120 * 10240 + 3 * 5120 * 4 * 10240,
    )
    assert bare.params == 2 * (65536 * 5120 + one) + norm + dense + moe


def test_a_query_meets_the_regions_that_are_chosen() -> None:
    table = load_model(TEXT).decode(100_000)
    met = {row.part: row.keys for row in table.operators if row.name == "scores"}
    assert {keys for part, keys in met.items() if "indexed" in part} == {512 * 8}
    assert {keys for part, keys in met.items() if "sliding" in part} == {512}


def test_sizes_that_its_class_does_not_read_must_agree() -> None:
    load_model({**TEXT, "head_dim_full_attention": 192})
    with pytest.raises(InputError, match="head_dim_full_attention"):
        load_model({**TEXT, "head_dim_full_attention": 128})
    with pytest.raises(InputError, match="topk of sparse_config is 0"):
        load_model({**TEXT, "sparse_config": {"topk": 0}})
