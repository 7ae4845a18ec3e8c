"""What an indexer and attention to chosen keys cost, as expressions and against sums by hand."""

from __future__ import annotations

from typing import Any

import pytest

sympy = pytest.importorskip("sympy")

import thermoflop as tf  # noqa: E402
from thermoflop.base.record import replace  # noqa: E402
from thermoflop.model.formulas.explain import layer_scope, step_symbols  # noqa: E402
from thermoflop.model.formulas.symbolic import symbolize  # noqa: E402
from thermoflop.model.model import Model  # noqa: E402
from thermoflop.model.operators.build import layer_operators  # noqa: E402
from thermoflop.model.operators.step import Step  # noqa: E402

letters = step_symbols()
b, s, t = letters["b"], letters["s"], letters["t"]
L, h, n, r, d_c, d_r, d_v, r_q, n_i, d_i, k_i = sympy.symbols(
    "L h n r d_c d_r d_v r_q n_i d_i k_i", positive=True, integer=True
)

# the shape of DeepSeek-V3.2 in small: no number is that of another role
TINY: dict[str, Any] = {
    "model_type": "deepseek_v32",
    "vocab_size": 300,
    "hidden_size": 96,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "first_k_dense_replace": 2,
    "num_attention_heads": 6,
    "kv_lora_rank": 40,
    "q_lora_rank": 56,
    "qk_nope_head_dim": 24,
    "qk_rope_head_dim": 8,
    "v_head_dim": 20,
    "index_n_heads": 5,
    "index_head_dim": 16,
    "index_topk": 64,
}


def same(left: Any, right: Any) -> bool:
    return bool(sympy.simplify(left - right) == 0)


def flops_by_group(model: Model, step: Step) -> dict[str, Any]:
    layer = symbolize(model).description.stacks[0].runs[0].layer
    sums: dict[str, Any] = {}
    for item in layer_operators(layer, layer_scope(step)):
        sums[item.group] = sums.get(item.group, 0) + item.flops
    return sums


def test_the_indexer_scores_every_key_in_every_head_and_weighs_the_heads() -> None:
    """DeepSeek-V3.2, eq. 1: I = sum of w relu(q k) over the heads; 2 (d + 1) a head and pair."""
    found = flops_by_group(tf.load_model(TINY), Step(batch=b, new=s, cached=t))
    assert same(found["indexer_score"], 2 * b * s * (s + t) * n_i * (d_i + 1))
    projections = r_q * n_i * d_i + h * d_i + h * n_i
    assert same(found["indexer_proj"], 2 * b * s * projections)


def test_attention_meets_the_chosen_keys_alone() -> None:
    found = flops_by_group(tf.load_model(TINY), Step(batch=b, new=1, cached=t, mla="absorbed"))
    met = sympy.Min(k_i, t + 1)
    assert same(found["attn_score"], 2 * b * n * (r + d_r) * met)
    assert same(found["attn_value"], 2 * b * n * r * met)


def test_an_indexers_parameters_and_its_keys_in_the_cache() -> None:
    model = tf.load_model(TINY)
    letters_of = symbolize(model).description
    found = replace(model, description=letters_of)
    groups = found.params_by_group
    assert same(groups["indexer"], L * (r_q * n_i * d_i + h * d_i + h * n_i))
    assert same(found.kv_bytes(t), 2 * L * t * (r + d_r + d_i))
    # by hand: 56 x 80 + 96 x 16 + 96 x 5 in each of two layers
    assert model.params_by_group["indexer"] == 2 * (4480 + 1536 + 480)
    assert model.kv_bytes(1000) == 2 * 2 * 1000 * (40 + 8 + 16)


def test_a_generation_is_the_sum_of_its_steps_where_the_choice_fills() -> None:
    """The last steps before and the first after 64 cached tokens are both in it."""
    model = tf.load_model(TINY)
    for prompt, new in ((40, 60), (10, 20), (70, 9)):
        found = model.generation(prompt, new, attention="causal")
        steps = [model.decode(prompt + i, attention="causal") for i in range(new - 1)]
        assert found.decoding.flops == sum(step.flops for step in steps)
        assert found.decoding.kv_read == sum(
            item.times * item.moved.kv_read for step in steps for item in step
        )


def test_layers_that_share_a_choice_have_no_indexer_and_no_keys_of_one() -> None:
    """GLM-5.2's rule: from index_skip_topk_offset - 1 on, one of index_topk_freq layers chooses."""
    rule = {"index_topk_freq": 2, "index_skip_topk_offset": 1, "num_hidden_layers": 5}
    tiny = {**TINY, **rule, "model_type": "glm_moe_dsa", "first_k_dense_replace": 5}
    model = tf.load_model(tiny)
    # layers 0, 2 and 4 choose: (index - 1 + 1) % 2 == 0
    assert model.params_by_group["indexer"] == 3 * (4480 + 1536 + 480)
    assert model.kv_bytes(1) == 2 * (5 * (40 + 8) + 3 * 16)
    stated = {**tiny, "indexer_types": ["full", "shared", "full", "shared", "full"]}
    assert tf.load_model(stated).description == model.description
