"""Layers that differ in their shapes: each against a sum by hand or a published total."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import InputError

TINY: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
GEMMA4: dict[str, Any] = {
    **TINY,
    "model_type": "gemma4_text",
    "global_head_dim": 16,
    "hidden_size_per_layer_input": 0,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}


def test_full_attention_of_gemma_4_has_heads_of_another_width() -> None:
    """Queries and output 64 x 4 d, keys and values 64 x 2 d, with d of 8 or 16."""
    sliding, full = (64 * (4 + 2 + 2 + 4) * dim for dim in (8, 16))
    assert tf.load_model(GEMMA4).params_by_group["attn"] == 2 * sliding + 2 * full


def test_per_layer_config_says_the_same_as_the_global_head_dim() -> None:
    shapes = {index: {"head_dim": 16} for index in ("01", "3")}
    plain = tf.load_model(GEMMA4).params
    assert (
        tf.load_model({**GEMMA4, "global_head_dim": 8, "per_layer_config": shapes}).params == plain
    )


def test_a_layer_that_reads_earlier_keys_projects_none_and_keeps_none() -> None:
    """Two of four layers: 64 x 4 d twice for queries and output; the cache of the other two."""
    shared = tf.load_model({**GEMMA4, "num_kv_shared_layers": 2})
    assert shared.params_by_group["attn"] == (12 + 8) * 64 * 8 + (12 + 8) * 64 * 16
    assert shared.kv_bytes(1) == 2 * (2 * 2 * 8 + 2 * 2 * 16)
    step = shared.decode(10)
    plain = tf.load_model(GEMMA4).decode(10)
    assert step.by_group()["attn_score"] == plain.by_group()["attn_score"]


def test_keys_that_are_values_are_projected_once_and_kept_twice() -> None:
    """attention_k_eq_v holds for full attention alone: two layers lose 64 x 2 x 16 weights."""
    plain, equal = (tf.load_model({**GEMMA4, "attention_k_eq_v": each}) for each in (False, True))
    assert plain.params - equal.params == 2 * 64 * 2 * 16
    assert plain.kv_bytes(1) == equal.kv_bytes(1)


def test_mlps_of_layers_that_share_keys_are_doubled_where_the_file_says_so() -> None:
    wide = {**GEMMA4, "num_kv_shared_layers": 2, "use_double_wide_mlp": True}
    assert tf.load_model(wide).params_by_group["mlp"] == 3 * 64 * 96 * (2 + 2 * 2)


def test_a_kind_of_layer_without_keys_of_its_own_is_refused() -> None:
    with pytest.raises(InputError, match="num_kv_shared_layers = 3 leaves no layer"):
        tf.load_model({**GEMMA4, "num_kv_shared_layers": 3})


def test_each_layer_of_gemma_3n_has_an_mlp_of_its_width() -> None:
    model = tf.load_model(
        {
            **TINY,
            "model_type": "gemma3n_text",
            "intermediate_size": [10, 20, 30, 40],
            "num_kv_shared_layers": 0,
        }
    )
    assert model.params_by_group["mlp"] == 3 * 64 * (10 + 20 + 30 + 40)


def nas(*blocks: tuple[dict[str, Any], dict[str, Any]]) -> tf.Model:
    config = {**TINY, "model_type": "nemotron-nas", "num_hidden_layers": len(blocks)}
    for key in ("head_dim", "intermediate_size", "num_key_value_heads"):
        del config[key]
    layers = [{"attention": attention, "ffn": ffn} for attention, ffn in blocks]
    return tf.load_model({**config, "block_configs": layers})


def test_a_block_of_nemotron_nas_may_lack_attention_or_feed_forward() -> None:
    """A norm comes with each that is there; 2/3 of 6 x 64 is 256, already a multiple of 256."""
    off, group, wide = {"no_op": True}, {"n_heads_in_group": 2}, {"ffn_mult": 6.0}
    attention, feed = 64 * 64 * 2 + 2 * 64 * 32 + 64, 3 * 64 * 256 + 64
    outside = 2 * 100 * 64 + 64
    assert nas((group, wide)).params == outside + attention + feed
    assert nas((group, off), (off, wide)).params == outside + attention + feed
    assert nas((off, off), (group, wide)).params == outside + attention + feed


def test_a_block_of_nemotron_nas_may_have_a_linear_map_in_place_of_either() -> None:
    line = {"replace_with_linear": True}
    assert nas((line, line)).params == 2 * 100 * 64 + 64 + 2 * (64 * 64 + 64)


def test_what_a_block_does_not_explain_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"attention\.num_sink_tokens = 4"):
        nas(({"n_heads_in_group": 2, "num_sink_tokens": 4}, {"ffn_mult": 1.0}))


# Mehta 2024 (OpenELM), table 9 and the published file of its smallest model
OPENELM: dict[str, Any] = {
    "model_type": "openelm",
    "model_dim": 1280,
    "num_transformer_layers": 16,
    "head_dim": 64,
    "num_query_heads": [12] * 5 + [16] * 7 + [20] * 4,
    "num_kv_heads": [3] * 5 + [4] * 7 + [5] * 4,
    "ffn_multipliers": [
        *(0.5, 0.73, 0.97, 1.2, 1.43, 1.67, 1.9, 2.13),
        *(2.37, 2.6, 2.83, 3.07, 3.3, 3.53, 3.77, 4.0),
    ],
    "normalize_qk_projections": True,
    "share_input_output_layers": True,
}


def test_openelm_is_counted_as_its_checkpoint() -> None:
    """The checkpoint of apple/OpenELM-270M holds 271,527,168 parameters."""
    assert tf.load_model(OPENELM).params == 271_527_168


def test_step_3_5_is_read_as_its_config_json_is_written_and_its_gates_are_asked_for() -> None:
    """Attention 64 x (2 heads + 2 x 2) x 8 and a gate of 64 x heads, with 4 heads or 6."""
    as_published = {
        **{key: value for key, value in TINY.items() if key != "num_key_value_heads"},
        "model_type": "step3p5",
        "num_attention_groups": 2,
        "layer_types": ["full_attention", "sliding_attention"] * 2,
        "attention_other_setting": {"num_attention_heads": 6, "num_attention_groups": 2},
        "moe_layers_enum": "",
        "use_moe": True,
        "att_impl_type": "GQA",
        "yarn_only_types": ["full_attention"],
        "zero_centered": True,
        "need_fp32_gate": True,
        "use_qk_norm": False,
    }
    attention = 2 * sum(64 * (2 * heads + 2 * 2) * 8 for heads in (4, 6))
    gates = 2 * (64 * 4 + 64 * 6)
    for said, size in (({}, attention + gates), ({"use_head_wise_attn_gate": False}, attention)):
        assert tf.load_model({**as_published, **said}).params_by_group["attn"] == size
