"""Kimi's delta attention and Lightning attention: as expressions, and added up by hand."""

from __future__ import annotations

from typing import Any

import pytest

sympy = pytest.importorskip("sympy")

import thermoflop as tf  # noqa: E402
from thermoflop.base.record import replace  # noqa: E402
from thermoflop.model.formulas.explain import layer_scope, step_symbols  # noqa: E402
from thermoflop.model.formulas.symbolic import symbolize  # noqa: E402
from thermoflop.model.operators.build import layer_operators  # noqa: E402
from thermoflop.model.operators.step import Step  # noqa: E402

letters = step_symbols()
b, s = letters["b"], letters["s"]
h, n, d, q = sympy.symbols("h n_k d_k q", positive=True, integer=True)

KIMI: dict[str, Any] = {
    "model_type": "kimi_linear",
    "vocab_size": 300,
    "hidden_size": 80,
    "intermediate_size": 60,
    "moe_intermediate_size": 28,
    "num_hidden_layers": 1,
    "num_attention_heads": 6,
    "num_experts": 10,
    "num_experts_per_token": 2,
    "kv_lora_rank": 40,
    "qk_nope_head_dim": 24,
    "qk_rope_head_dim": 8,
    "v_head_dim": 20,
    "linear_attn_config": {
        "full_attn_layers": [],
        "kda_layers": [1],
        "num_heads": 5,
        "head_dim": 16,
        "short_conv_kernel_size": 4,
    },
}
MINIMAX: dict[str, Any] = {
    "model_type": "minimax",
    "vocab_size": 300,
    "hidden_size": 80,
    "intermediate_size": 60,
    "num_hidden_layers": 1,
    "num_attention_heads": 5,
    "num_key_value_heads": 5,
    "head_dim": 16,
    "layer_types": ["linear_attention"],
}


def same(left: Any, right: Any) -> bool:
    return bool(sympy.simplify(left - right) == 0)


def by_name(config: dict[str, Any]) -> dict[str, Any]:
    layer = symbolize(tf.load_model(config)).description.stacks[0].runs[0].layer
    step = Step(batch=b, new=s, convolution="needed")
    return {item.name: item for item in layer_operators(layer, layer_scope(step))}


def test_the_delta_rule_reads_its_matrix_twice_and_renews_it_once() -> None:
    """Kimi Linear, eq. 1: S = (I - b k k^T) diag(a) S + b k v^T, o = S^T q: with key and query."""
    found = by_name(KIMI)
    assert same(found["scan"].flops, 2 * 2 * b * s * n * d**2)
    assert same(found["scan"].elementwise_flops, 3 * b * s * n * d**2)
    assert same(found["conv1d"].flops, 2 * b * s * 3 * n * d * q)
    assert same(found["f_a_proj"].flops + found["f_b_proj"].flops, 2 * b * s * (h * d + d * n * d))


def test_lightning_reads_its_matrix_once() -> None:
    found = by_name(MINIMAX)
    assert same(found["scan"].flops, 2 * b * s * n * d**2)
    assert same(found["qkv_proj"].flops + found["out_proj"].flops, 2 * b * s * 4 * h * n * d)


def test_parameters_and_states_by_hand() -> None:
    kimi, minimax = tf.load_model(KIMI), tf.load_model(MINIMAX)
    inner = 5 * 16
    assert kimi.params_by_group["linear_attn"] == (
        4 * 80 * inner + 3 * inner * 4 + 80 * 5 + 80 * 16 + 16 * inner
    )
    assert kimi.params_by_group["forget_gate"] == 80 * 16 + 16 * inner + inner + 5
    assert kimi.state_bytes() == 2 * (5 * 16 * 16 + 3 * inner * 4)
    assert kimi.kv_bytes(1000) == 0
    assert minimax.params_by_group["linear_attn"] == 5 * 80 * inner
    assert minimax.state_bytes() == 2 * 5 * 16 * 16


def test_formulas_of_a_symbolic_model_give_its_counts() -> None:
    for config in (KIMI, MINIMAX):
        model = tf.load_model(config)
        symbolic = symbolize(model)
        found = replace(model, description=symbolic.description)
        assert int(sympy.sympify(found.params).subs(symbolic.values)) == model.params
        states = sympy.sympify(found.state_bytes())
        assert int(states.subs(symbolic.values)) == model.state_bytes()


def test_kimi_k3s_keys_add_what_its_published_weights_hold() -> None:
    """Gates of full rank, experts on a latent with a norm, and a norm and a query for each
    read of the depth: two in the layer and one before the last norm."""
    plain = {**KIMI, "first_k_dense_replace": 0}
    nested = {**KIMI["linear_attn_config"], "use_full_rank_gate": True}
    changed = {
        "linear_attn_config": nested,
        "routed_expert_hidden_size": 44,
        "latent_moe_use_norm": True,
        "attn_res_block_size": 12,
    }
    one, other = tf.load_model(plain), tf.load_model({**plain, **changed})
    gates = 80 * 80 - (80 * 16 + 16 * 80)
    experts = 10 * 3 * 28 * (44 - 80) + 2 * 80 * 44 + 44
    assert other.params - one.params == gates + experts + 3 * 2 * 80
    full = {**plain, "linear_attn_config": None, "layer_types": ["full_attention"]}
    gated = {**full, "mla_use_output_gate": True}
    assert tf.load_model(gated).params - tf.load_model(full).params == 80 * 6 * 20
