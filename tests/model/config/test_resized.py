"""Encoders whose layers run on other lengths than the text's, as their classes are built and run.

Parameters are those of the classes of transformers 5.24.0, FLOPs those that torch's
FlopCounterMode counts of 2 sequences of 9 tokens.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.load import read_model

FUNNEL = {"vocab_size": 90, "block_sizes": [2, 1, 2], "block_repeats": [1, 2, 3],
          "num_decoder_layers": 1, "d_model": 24, "n_head": 3, "d_head": 6,
          "d_inner": 40}  # fmt: skip
PERCEIVER = {"vocab_size": 90, "max_position_embeddings": 20, "num_latents": 5, "d_latents": 16,
             "d_model": 24, "num_self_attends_per_block": 2}  # fmt: skip
WIDER = {"num_blocks": 3, "num_self_attention_heads": 4, "num_cross_attention_heads": 2,
         "qk_channels": 8, "v_channels": 16, "self_attention_widening_factor": 2,
         "cross_attention_widening_factor": 3}  # fmt: skip
LABELS = {"num_labels": 3, "cross_attention_shape_for_attention": "q"}
WHOLE = {"separate_cls": False, "pool_q_only": False}
BUILT: list[tuple[str, str, dict[str, Any], int, int]] = [
    ("funnel", "FunnelForMaskedLM", FUNNEL, 28638, 1124112),
    ("funnel", "FunnelForPreTraining", FUNNEL, 29173, 1067952),
    ("funnel", "FunnelForSequenceClassification", {**FUNNEL, **WHOLE}, 24808, 836448),
    ("funnel", "FunnelForTokenClassification",
     {**FUNNEL, "truncate_seq": False, "num_decoder_layers": 0}, 24208, 876576),
    ("perceiver", "PerceiverForMaskedLM", {**PERCEIVER, **WIDER}, 23002, 1297056),
    ("perceiver", "PerceiverForSequenceClassification", {**PERCEIVER, **LABELS}, 9907, 136896),
]  # fmt: skip


@pytest.mark.parametrize(("name", "cls", "keys", "params", "flops"), BUILT)
def test_as_the_class_builds_and_torch_counts(
    name: str, cls: str, keys: dict[str, Any], params: int, flops: int
) -> None:
    model = read_model({"model_type": name, "architectures": [cls], **keys})
    assert model.params == params
    assert model.encode(9, batch=2).flops == flops
    assert model.kv_bytes(9) == 0


def test_a_class_that_only_makes_states_has_no_tables_of_text() -> None:
    """PerceiverModel as it is built: latents, one layer across and two that run three times."""
    bare = {"model_type": "perceiver", "architectures": ["PerceiverModel"]}
    assert read_model({**bare, **PERCEIVER, **WIDER}).params == 6704
    base = {"model_type": "funnel", "architectures": ["FunnelBaseModel"], **FUNNEL}
    whole = {**base, "architectures": ["FunnelModel"]}
    # one more layer: q, k, v, o, positions; 3 + 2 biases of queries; k, v, o; two matrices; norms
    layer = 5 * 24 * 18 + 5 * 18 + 2 * 18 + 24 + 2 * 24 * 40 + 40 + 24 + 4 * 24
    assert read_model(whole).params - read_model(base).params == layer


@pytest.mark.parametrize(
    ("name", "keys", "error", "what"),
    [
        ("funnel", {"attention_type": "factorized"}, UnknownModel, "attention_type"),
        ("funnel", {"block_repeats": [1]}, InputError, "of one length"),
        ("funnel", {"block_sizes": [1] * 41}, InputError, "up to 40"),
        ("funnel", {"block_sizes": [0, 1]}, InputError, "makes no sense"),
        ("perceiver", {"v_channels": 64}, InputError, "v_channels 64"),
        ("perceiver", {"qk_channels": 12}, InputError, "12 does not divide into 8 heads"),
        ("perceiver", {"cross_attention_shape_for_attention": "x"}, UnknownModel, "'x' is neither"),
        ("perceiver", {"architectures": ["PerceiverForOpticalFlow"]}, InputError, "its head"),
    ],
)
def test_what_is_not_described_is_refused(
    name: str, keys: dict[str, Any], error: type[Exception], what: str
) -> None:
    with pytest.raises(error, match=what):
        read_model({"model_type": name, **keys})
