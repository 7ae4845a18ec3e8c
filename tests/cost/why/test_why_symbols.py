"""The formulas behind operators, in symbols: apart from the other reasons, for their time."""

from __future__ import annotations

from math import log

import pytest
import sympy
import thermoflop as tf
from thermoflop.cost.why.operator import _formula, derived, symbolic_work
from thermoflop.cost.why.steps import parts_shown

CASES = [
    ("llama-3-70b", {"tp": 4, "batch": 8}),
    ("mixtral-8x7b", {"profile": "llama.cpp", "batch": 4, "prompt": 2000}),
    ("deepseek-v3", {"tp": 8, "ep": 8, "batch": 16, "dtype": "fp8"}),
    ("gemma-3-27b", {"batch": 3, "prompt": 3000, "dtype": "int4", "kv_dtype": "fp8"}),
    ("jamba-v0.1", {"batch": 2}),
    ("bert-large-uncased", {"batch": 2, "prompt": 128, "generate": 0}),
    ("llama-3-8b", {"pp": 4, "batch": 8}),
    ("qwen3-32b", {"tp": 4, "batch": 2}),  # its norms of heads are whole on each device
    ("gpt2", {"profile": "fastertransformer"}),  # kernels of prompts are others than of decoding
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_formulas_of_operators_come_to_their_counts(name, options):
    found = tf.estimate(name, "h100", **options)
    setting = found.setting
    for part in parts_shown(found).values():
        for index, work in enumerate(part.works):
            if work.kind == "network":
                continue
            symbolic, values = symbolic_work(setting, part, index)
            for field in ("flops", "weight_bytes", "kv_bytes", "activation_bytes"):
                expression = sympy.sympify(getattr(symbolic, field))
                count = float(expression.subs(values))
                assert count == pytest.approx(getattr(work, field), rel=1e-9), (work.name, field)


@pytest.mark.parametrize(
    ("count", "said"), [(0.25, "0.25"), (1.5, "2"), (1234.0, "1,234"), (1, "1")]
)
def test_a_count_below_one_has_three_digits_and_others_are_whole(count, said):
    x = sympy.Symbol("b")
    assert _formula("FLOP", x / 2, count, {x: 2 * count}, set(), "")[1].endswith(f" = {said}")


def test_weights_of_experts_that_are_not_chosen_alike_are_derived_from_those_that_are():
    """8 of 128 experts of 2048 x 768 in 16 bits, of which 8 tokens meet 1 - (15/16)^8 if alike, and
    1 - 15/16 / (1 + 7 ln 16/15) where popularity is exponential."""
    found = tf.estimate("qwen3-30b-a3b", "h100", batch=8, profile="vllm")
    part = parts_shown(found)["decode"]
    place = next(n for n, work in enumerate(part.works) if work.name == "expert gate")
    lines, _ = derived(found.setting, part, place)
    whole, alike = 128 * 2048 * 768 * 2, 1 - (15 / 16) ** 8
    met = 1 - 15 / 16 / (1 + 7 * log(16 / 15))
    (filled,) = [line for line in lines if "chosen" in line]
    assert filled == (
        f"  = {alike * whole:,.0f}, x {met / alike:.3f} as experts are chosen = {met * whole:,.0f}"
    )
