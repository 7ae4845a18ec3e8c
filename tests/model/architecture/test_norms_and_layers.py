"""Norms of recurrent mixers, as many as heads, and formats by the number of a layer."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.model.architecture.linear import GatedDelta, KimiDelta, Lightning
from thermoflop.model.architecture.quantization import Quantization, Stored, matrices


@pytest.mark.parametrize(
    ("mixer", "norms"),
    [
        # hidden 22; 2 key and 4 value heads of 3 and 5: a norm on each value head
        (GatedDelta(22, 2, 4, 3, 5, 4), [(5, 4)]), (KimiDelta(22, 6, 4, 3), [(4, 6)]),
        (Lightning(20, 5, 4), [(20, 1)]),  # one over all
    ],
)  # fmt: skip
def test_a_gated_norm_is_on_each_head_of_values(mixer, norms) -> None:
    assert [(each.width, each.vectors) for each in mixer.norms()] == norms


FP8 = Stored("fp8", 8.0)


@pytest.mark.parametrize("wide", [0, 1, 2, 3])
def test_a_layer_stays_wide_by_its_own_number_over_all_runs(wide: int) -> None:
    """A dense layer, then three with experts: one of the four is left as it is."""
    model = tf.load_model({
        "model_type": "qwen3_moe", "hidden_size": 64, "num_hidden_layers": 4, "vocab_size": 10,
        "num_attention_heads": 4, "num_key_value_heads": 2, "mlp_only_layers": [0],
        "intermediate_size": 96, "num_experts": 4, "moe_intermediate_size": 32,
        "num_experts_per_tok": 2,
    })  # fmt: skip
    form = Quantization("fp8", FP8, wide=(f"model.layers.{wide}",))
    found: dict[tuple[str, str], int] = {}
    for part, sets, stored in matrices(model.description, form):
        key = part.name, "wide" if stored is None else stored.name
        found[key] = found.get(key, 0) + sets
    assert found["q_proj", "wide"] == 1
    assert found["q_proj", "fp8"] == 3
    dense = found.get(("gate_proj", "wide"), 0), found.get(("gate_proj", "fp8"), 0)
    experts = found.get(("expert gate", "wide"), 0), found.get(("expert gate", "fp8"), 0)
    assert dense == ((1, 0) if wide == 0 else (0, 1))
    assert experts == ((0, 3) if wide == 0 else (1, 2))
    assert replace(form, wide=()).format_of("attn", "q_proj", wide) == FP8
