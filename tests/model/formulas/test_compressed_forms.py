"""DeepSeek-V4's attention to compressed entries: as expressions, and against loops by hand."""

from __future__ import annotations

from typing import Any

import pytest

sympy = pytest.importorskip("sympy")

import thermoflop as tf  # noqa: E402
from thermoflop.model.formulas.explain import explain, layer_scope, step_symbols  # noqa: E402
from thermoflop.model.formulas.symbolic import symbolize  # noqa: E402
from thermoflop.model.operators.build import layer_operators  # noqa: E402
from thermoflop.model.operators.compressed import _met  # noqa: E402
from thermoflop.model.operators.step import Step  # noqa: E402

letters = step_symbols()
b, s, t = letters["b"], letters["s"], letters["t"]
L, h, n, d, w, n_i, d_i, k_i, m_c, n_s = sympy.symbols(
    "L h n d w n_i d_i k_i m_c n_s", positive=True, integer=True
)

# DeepSeek-V4 in small: a window of 8, entries of 4 tokens, of which 3 are chosen
TINY: dict[str, Any] = {
    "model_type": "deepseek_v4",
    "vocab_size": 300,
    "hidden_size": 96,
    "moe_intermediate_size": 28,
    "num_hidden_layers": 1,
    "num_attention_heads": 6,
    "head_dim": 24,
    "q_lora_rank": 40,
    "qk_rope_head_dim": 8,
    "n_routed_experts": 10,
    "num_experts_per_tok": 2,
    "layer_types": ["compressed_sparse_attention"],
    "sliding_window": 8,
    "o_groups": 3,
    "o_lora_rank": 14,
    "index_n_heads": 5,
    "index_head_dim": 16,
    "index_topk": 3,
    "hc_mult": 2,
}


def same(left: Any, right: Any) -> bool:
    return bool(sympy.simplify(left - right) == 0)


def by_group(step: Step) -> dict[str, Any]:
    layer = symbolize(tf.load_model(TINY)).description.stacks[0].runs[0].layer
    sums: dict[str, Any] = {}
    for item in layer_operators(layer, layer_scope(step)):
        sums[item.group] = sums.get(item.group, 0) + item.flops
    return sums


def test_a_token_meets_its_window_and_the_chosen_entries() -> None:
    """DeepSeek-V4, section 2.3.1: top-k of the entries, and the window beside them."""
    found = by_group(Step(batch=b, new=1, cached=t))
    entries = sympy.floor((t + 1) / m_c)
    met = sympy.Min(t, w - 1) + 1 + sympy.Min(k_i, entries)
    assert same(found["attn_score"], 2 * b * n * d * met)
    assert same(found["attn_value"], 2 * b * n * d * met)
    assert same(found["indexer_score"], 2 * b * n_i * d_i * entries)


def test_streams_are_mixed_twice_a_layer() -> None:
    """n_s x n_s weights times n_s streams of h elements, after attention and after the experts."""
    assert same(by_group(Step(batch=b, new=s))["streams"], 2 * 2 * b * s * n_s**2 * h)


def test_the_cache_holds_a_window_and_an_entry_for_several_tokens() -> None:
    model = tf.load_model(TINY)
    found = next(each for each in explain(model).formulas if "by entries" in each.title)
    # one layer, whose letter is 1: a count of 1 stays a number
    assert same(found.expression, d * sympy.Min(t, w) + (d + d_i) * sympy.floor(t / m_c))
    # by hand at 21 tokens: 8 vectors of 24, and 5 entries of 24 with an indexer's key of 16
    assert model.kv_bytes(21) == 2 * (8 * 24 + 5 * (24 + 16))
    # what waits: 4 tokens of two series of 24 and 16, each with a gate, and the last window's one
    assert model.state_bytes() == 2 * 2 * 4 * (24 + 16) * 3


def test_a_layers_parameters_by_hand() -> None:
    """Every matrix of the class once, at the sizes of ``TINY``."""
    groups = tf.load_model(TINY).params_by_group
    streams = (2 + 2) * 2 * (2 * 96) + (2 + 2) * 2 + 3
    queries = 96 * 40 + 40 * 6 * 24
    outputs = 6 * 24 * 14 + 3 * 14 * 96
    compressor = 2 * 96 * 2 * 24 + 4 * 2 * 24
    assert groups["attn"] == queries + 96 * 24 + outputs + 6 + compressor + streams
    assert groups["mlp"] == streams
    assert groups["indexer"] == 40 * 5 * 16 + 2 * 96 * 2 * 16 + 4 * 2 * 16 + 96 * 5
    assert groups["streams"] == 2 * 2 * 96 + 2 + 1


@pytest.mark.parametrize("kind", ["compressed_sparse", "heavily_compressed", "sliding"])
def test_pairs_under_the_mask_are_those_of_a_loop_over_queries(kind: str) -> None:
    """Query x (from 1) meets floor(x / 4) entries, at most 3 where they are chosen."""
    rates = {"compressed_sparse_attention": 4, "heavily_compressed_attention": 5}
    changed = {"layer_types": [f"{kind}_attention"], "compress_rates": rates}
    model = tf.load_model({**TINY, **changed})
    for cached, new in ((0, 30), (3, 1), (11, 9), (13, 40)):
        met = 0
        for x in range(cached + 1, cached + new + 1):
            met += min(x, 8)
            if kind == "compressed_sparse":
                met += min(x // 4, 3)
            elif kind == "heavily_compressed":
                met += x // 5
        table = model.operators(1, new, cached, attention="causal")
        assert table.by_group()["attn_score"] == 2 * 6 * 24 * met


@pytest.mark.parametrize("attention", ["full", "causal"])
def test_a_generation_is_the_sum_of_its_steps(attention: str) -> None:
    types = ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"]
    rates = {"compressed_sparse_attention": 4, "heavily_compressed_attention": 6}
    changed = {"num_hidden_layers": 3, "layer_types": types, "compress_rates": rates}
    model = tf.load_model({**TINY, **changed})
    for prompt, new in ((3, 40), (12, 3), (30, 50)):
        found = model.generation(prompt, new, attention=attention).decoding
        steps = [model.decode(prompt + i, attention=attention) for i in range(new - 1)]
        assert found.flops == sum(step.flops for step in steps)
        assert found.elementwise_flops == sum(step.elementwise_flops for step in steps)
        assert found.kv_read == sum(
            item.times * item.moved.kv_read for step in steps for item in step
        )


@pytest.mark.parametrize("chosen", [None, 3])
@pytest.mark.parametrize("tokens", [7, 40])
def test_entries_met_are_the_sum_over_queries_in_symbols_too(tokens: int, chosen: Any) -> None:
    """The x-th query meets floor(x / 4) entries, at most the chosen ones."""
    most = tokens if chosen is None else chosen
    right = sum(min(x // 4, most) for x in range(1, tokens + 1))
    letter = sympy.Symbol("n", positive=True, integer=True)
    assert _met(tokens, 4, chosen) == right
    assert _met(letter, 4, chosen).subs(letter, tokens) == right
