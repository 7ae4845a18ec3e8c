"""Encoders with kernels of the text, groups and gates, as their classes are built and run.

Parameters are those of the classes of transformers 5.24.0, FLOPs those that torch's
FlopCounterMode counts of 2 sequences of 9 tokens (eager attention, rotary tables left out).
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model

CONV = {"vocab_size": 90, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 72, "embedding_size": 16, "head_ratio": 2, "conv_kernel_size": 5,
        "num_groups": 2}  # fmt: skip
CHOICE = {"vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
          "intermediate_size": 48, "head_ratio": 8, "embedding_size": 32}  # fmt: skip
SQUEEZED = {"vocab_size": 90, "hidden_size": 48, "embedding_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 96}  # fmt: skip
GROUPS = {"q_groups": 2, "k_groups": 4, "v_groups": 8, "post_attention_groups": 3,
          "intermediate_groups": 6, "output_groups": 12}  # fmt: skip
NEO = {"vocab_size": 90, "hidden_size": 48, "embedding_rank": 20, "num_hidden_layers": 2,
       "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96,
       "patch_size": 4}  # fmt: skip
HASHED = {"vocab_size": 90, "hidden_size": 24, "axial_pos_embds_dim": [8, 16],
          "axial_pos_shape": [4, 5], "feed_forward_size": 40, "attention_head_size": 6,
          "num_attention_heads": 3, "attn_layers": ["local", "lsh", "lsh"]}  # fmt: skip
BUILT: list[tuple[str, str, dict[str, Any], int, int]] = [
    ("convbert", "ConvBertForMaskedLM", CONV, 36398, 1010880),
    ("convbert", "ConvBertForMultipleChoice", CHOICE, 26842, 270848),
    ("squeezebert", "SqueezeBertForMaskedLM", {**SQUEEZED, **GROUPS}, 42906, 593280),
    ("squeezebert", "SqueezeBertForSequenceClassification", SQUEEZED, 45266, 528000),
    ("neomme", "NeoMMEForMaskedLM", {**NEO, "tie_word_embeddings": False}, 60780, 1765152),
    ("neomme", "NeoMMEForRetrieval", {**NEO, "embedding_dim": 12, "attention_bias": True},
     58948, 1686528),
    ("reformer", "ReformerForMaskedLM", HASHED, 17428, 553392),
    ("reformer", "ReformerForSequenceClassification",
     {**HASHED, "axial_pos_embds": False, "max_position_embeddings": 12}, 14330, 402672),
    # a number of layers takes the first kinds; the last has 3 maps of 24 x 18, 2 of 24 x 40, their
    # biases and two norms, and meets 9 x 9 keys in 3 heads of 6
    ("reformer", "ReformerForMaskedLM", {**HASHED, "num_hidden_layers": 2},
     17428 - (3 * 432 + 2 * 960 + 64 + 96),
     553392 - 4 * (9 * (3 * 432 + 2 * 960) + 81 * 3 * 12)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "cls", "keys", "params", "flops"), BUILT)
def test_as_the_class_builds_and_torch_counts(
    name: str, cls: str, keys: dict[str, Any], params: int, flops: int
) -> None:
    model = read_model({"model_type": name, "architectures": [cls], **keys})
    assert model.params == params
    assert model.encode(9, batch=2).flops == flops


def test_keys_of_published_files_that_no_class_reads_are_no_reason_to_refuse() -> None:
    older = (
        ("convbert", "linear_groups"),
        ("squeezebert", "four_groups"),
        ("reformer", "num_chunks_before"),
        ("funnel", "rel_attn_type"),
        ("pegasus_x", "separate_layernorm_for_global"),
    )
    for name, key in older:
        plain = read_model({"model_type": name}).params
        assert read_model({"model_type": name, key: 1}).params == plain


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("squeezebert", "q_groups", 7),
        ("squeezebert", "embedding_size", 128),
        ("convbert", "conv_kernel_size", 4),
        ("convbert", "num_groups", 7),
        ("convbert", "hidden_size", 15),
        ("reformer", "axial_pos_embds_dim", [64, 193]),
        ("reformer", "axial_pos_shape", [64, 0]),
        ("reformer", "attn_layers", ["full"]),
        ("reformer", "num_hidden_layers", 7),
    ],
)
def test_sizes_that_the_class_cannot_multiply_are_refused(name: str, key: str, value: Any) -> None:
    with pytest.raises(InputError, match=str(value) if isinstance(value, int) else key):
        read_model({"model_type": name, "num_attention_heads": 6, key: value})
