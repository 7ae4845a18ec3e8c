"""Which matrices a pattern means, and what of a quantization is refused or said."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.model.architecture.quantization import matrices

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}


@pytest.mark.parametrize(
    ("pattern", "alone"),
    [
        (".*up_proj.*", ["up_proj"]),
        (".*gate.*", ["gate_proj"]),
        (".*v_proj.*", ["v_proj"]),
        (".*gate_up_proj.*", ["gate_proj", "up_proj"]),
        (r".*\.qkv_proj", ["k_proj", "q_proj", "v_proj"]),
        (".*_proj.*", [f"{name}_proj" for name in ("down", "gate", "k", "o", "q", "up", "v")]),
    ],
)
def test_a_pattern_of_gptqmodel_means_maps_by_their_own_names(
    pattern: str, alone: list[str]
) -> None:
    """``gate_up_proj`` ends in ``up_proj`` and ``qkv_proj`` in ``v_proj``: neither is meant."""
    block = {**GPTQ, "dynamic": {f"-:{pattern}": {}}}
    assert wide_of(tf.load_model({**LLAMA, "quantization_config": block})) == alone


@pytest.mark.parametrize(
    ("family", "pattern", "alone"),
    [
        ("phi3", ".*up_proj.*", ["gate_proj", "up_proj"]),
        ("phi3", ".*gate.*", ["gate_proj", "up_proj"]),
        ("phi3", ".*v_proj.*", ["k_proj", "q_proj", "v_proj"]),
        ("glm4", ".*up_proj.*", ["gate_proj", "up_proj"]),
        ("glm4", ".*v_proj.*", ["v_proj"]),
    ],
)
def test_a_pattern_in_the_name_of_maps_that_a_class_makes_as_one_means_all_of_them(
    family: str, pattern: str, alone: list[str]
) -> None:
    """Phi3MLP and Glm4MLP of transformers have a gate_up_proj, Phi3Attention a qkv_proj."""
    block = {**GPTQ, "dynamic": {f"-:{pattern}": {}}}
    config = {**LLAMA, "model_type": family, "quantization_config": block}
    assert wide_of(tf.load_model(config)) == alone


def wide_of(model: tf.Model) -> list[str]:
    assert model.quantization is not None
    each = matrices(model.description, model.quantization)
    return sorted(
        {part.name for part, _, form in each if form is None} - {"embed_tokens", "lm_head"}
    )


def test_modelopts_nested_form_is_that_of_the_file_beside_it() -> None:
    plain = {"quant_method": "modelopt", "quant_algo": "FP8", "exclude_modules": ["lm_head"]}
    inside = {key: value for key, value in plain.items() if key != "quant_method"}
    nested = {"quant_method": "modelopt", "quantization": inside}
    one, other = (
        tf.load_model({**LLAMA, "quantization_config": block}) for block in (plain, nested)
    )
    assert one.quantization is not None
    assert other.quantization == one.quantization


@pytest.mark.parametrize(
    "block",
    [
        {"quant_method": "modelopt"},
        {"quant_method": "compressed-tensors", "config_groups": {}},
        {"quant_method": "torchao"},
    ],
)
def test_a_method_without_a_format_of_weights_is_not_understood(block: dict[str, Any]) -> None:
    model = tf.load_model({**LLAMA, "quantization_config": block})
    assert model.format_unknown == "quantization_config names no format of weights"


@pytest.mark.parametrize("pattern", ["re:((((", "re:a{3}", "re:(?=x)y"])
def test_a_pattern_that_cannot_be_read_is_not_understood(pattern: str) -> None:
    weights = {"num_bits": 8, "type": "float"}
    for block in (
        {"config_groups": {"a": {"targets": [pattern], "weights": weights}}},
        {"config_groups": {"a": {"targets": ["Linear"], "weights": weights}}, "ignore": [pattern]},
    ):
        named = {"quant_method": "compressed-tensors", **block}
        model = tf.load_model({**LLAMA, "quantization_config": named})
        assert "no pattern of modules" in model.format_unknown


def test_zeros_that_files_leave_out_are_said() -> None:
    weights = {"num_bits": 8, "type": "float"}
    block = {
        "quant_method": "compressed-tensors",
        "config_groups": {"a": {"targets": ["Linear"], "weights": weights}},
        "sparsity_config": {"format": "sparse-24-bitmask", "sparsity_structure": "2:4"},
    }
    model = tf.load_model({**LLAMA, "quantization_config": block})
    said = "weights that are zero (2:4 sparsity) are counted like the others"
    assert said in model.notes
    del block["config_groups"]
    alone = tf.load_model({**LLAMA, "quantization_config": block})
    assert alone.quantization is None
    assert said in alone.notes
    assert alone.format_unknown == ""
    block["sparsity_config"] = {"format": "dense", "sparsity_structure": "unstructured"}
    plain = tf.load_model({**LLAMA, "quantization_config": {**GPTQ, **block, **GPTQ}})
    assert said not in plain.notes
