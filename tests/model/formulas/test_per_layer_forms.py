"""Layers of many shapes as expressions: filled in, they are what is counted with numbers."""

from __future__ import annotations

from typing import Any

import pytest

sympy = pytest.importorskip("sympy")

import thermoflop as tf  # noqa: E402
from thermoflop.model.formulas.explain import explain, layer_scope, step_symbols  # noqa: E402
from thermoflop.model.formulas.symbolic import symbolize  # noqa: E402
from thermoflop.model.operators.build import layer_operators  # noqa: E402
from thermoflop.model.operators.step import Step  # noqa: E402

TINY: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 96,
    "intermediate_size": 80,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 24,
}
LATENT: dict[str, Any] = {
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "E",
    "n_routed_experts": 8,
    "moe_intermediate_size": 40,
    "moe_shared_expert_intermediate_size": 56,
    "moe_latent_size": 32,
    "hidden_size": 96,
    "vocab_size": 300,
}
MAMBA2 = {"mamba_n_heads": 20, "mamba_d_head": "auto", "mamba_d_state": 28, "mamba_expand": 5}
CONFIGS = {
    "latent experts": LATENT,
    "gemma 3n": {**TINY, "model_type": "gemma3n_text", "num_kv_shared_layers": 0},
    "gemma 4": {**TINY, "model_type": "gemma4_text", "attention_k_eq_v": True},
    "gemma 4 experts": {
        **TINY,
        "model_type": "gemma4_text",
        "enable_moe_block": True,
        "num_experts": 12,
        "top_k_experts": 3,
        "moe_intermediate_size": 44,
    },
    "qwen 3.5": {**TINY, "model_type": "qwen3_5_text"},
    "lfm2": {**TINY, "model_type": "lfm2", "full_attn_idxs": [1, 3]},
    "falcon h1": {**TINY, **MAMBA2, "model_type": "falcon_h1", "mamba_d_ssm": 160},
    "granite 4": {
        **TINY,
        **MAMBA2,
        "model_type": "granitemoehybrid",
        "num_local_experts": 8,
        "layer_types": ["mamba", "attention", "mamba", "mamba", "mamba"],
    },
    "recurrent gemma": {**TINY, "model_type": "recurrent_gemma"},
    "rwkv": {"model_type": "rwkv", "hidden_size": 96, "num_hidden_layers": 5, "vocab_size": 300},
    "zamba 2": {
        **TINY,
        "model_type": "zamba2",
        "n_mamba_heads": 8,
        "num_mem_blocks": 2,
        "layers_block_type": ["mamba", "hybrid", "hybrid", "mamba", "hybrid"],
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_expressions_filled_in_are_the_counts(name: str) -> None:
    model = tf.load_model(CONFIGS[name])
    found = explain(model, tokens=17)
    values = {formula.title: found.value_of(formula) for formula in found.formulas}
    assert values["parameters of the model"] == model.params
    assert values["forward FLOPs of the model"] == model.prefill(17).flops
    assert values["FLOPs of a decode step"] == model.decode(17).flops


def test_experts_on_a_latent_cost_two_projections_and_the_narrower_experts() -> None:
    """2 h l twice on every token, 4 f l for each chosen expert, router and shared expert beside."""
    b, s = (step_symbols()[name] for name in "bs")
    h, latent, f, f_s, k, experts = sympy.symbols("h l f_e f_s k E", positive=True, integer=True)
    layer = symbolize(tf.load_model(LATENT)).description.stacks[0].runs[0].layer
    flops = sum(item.flops for item in layer_operators(layer, layer_scope(Step(batch=b, new=s))))
    each = 4 * h * latent + 4 * f * latent * k + 4 * h * f_s + 2 * h * experts
    assert sympy.expand(flops - b * s * each) == 0


def test_a_short_convolution_costs_four_squares_and_its_taps() -> None:
    """2 h 3h in, 2 h h out, 2 q h a position; as the reference runs it on s + q - 1 positions."""
    b, s = (step_symbols()[name] for name in "bs")
    h, q, f = sympy.symbols("h q f", positive=True, integer=True)
    model = tf.load_model(
        {**CONFIGS["lfm2"], "full_attn_idxs": [], "block_auto_adjust_ff_dim": False}
    )
    layer = symbolize(model).description.stacks[0].runs[0].layer
    flops = sum(item.flops for item in layer_operators(layer, layer_scope(Step(batch=b, new=s))))
    assert sympy.expand(flops - b * (8 * s * h**2 + 2 * q * h * (s + q - 1) + 6 * s * h * f)) == 0
    assert model.state_bytes() == 2 * 5 * 96 * 3
    assert model.kv_bytes(1000) == 0


def test_a_delta_net_reads_its_matrix_with_key_and_query_whatever_the_context() -> None:
    """Qwen3.5's linear layer: 4 d_k d_v a value head and token, beside projections and taps."""
    b, s, t = (step_symbols()[name] for name in "bst")
    n_v, d_k, d_v = sympy.symbols("n_v d_k d_v", positive=True, integer=True)
    layer = symbolize(tf.load_model(CONFIGS["qwen 3.5"])).description.stacks[0].runs[0].layer
    items = list(layer_operators(layer, layer_scope(Step(batch=b, new=s, cached=t))))
    scan = sum(item.flops for item in items if item.group == "linear_attn_scan")
    assert sympy.expand(scan - 4 * b * s * n_v * d_k * d_v) == 0
    assert all(
        t not in sympy.sympify(item.flops).free_symbols
        for item in items
        if item.group in ("linear_attn_scan", "linear_attn_proj")
    )
