"""Formulas as JSON: each with its title, its letters, what it comes to and in which unit."""

from __future__ import annotations

import pytest
import thermoflop as tf

pytest.importorskip("sympy")

from thermoflop.model.formulas.explain import explain
from thermoflop.model.formulas.text import explain_record


def test_a_record_has_the_formulas_in_their_order_with_values_and_units() -> None:
    """Two sequences of 30 tokens: a layer has 4 h^2 + 3 h i parameters and two norms."""
    model = tf.load_model({
        "model_type": "llama", "hidden_size": 32, "num_attention_heads": 4, "vocab_size": 50,
        "num_hidden_layers": 2, "intermediate_size": 48, "tie_word_embeddings": False,
    })  # fmt: skip
    explanation = explain(model, 2, 30)
    found = explain_record(explanation)
    assert found["model"] == model.name
    assert [each["title"] for each in found["formulas"]] == [
        formula.title for formula in explanation.formulas
    ]
    for each, formula in zip(found["formulas"], explanation.formulas, strict=True):
        assert (each["formula"], each["unit"]) == (str(formula.expression), formula.unit)
        assert each["value"] == int(explanation.value_of(formula))
    params = 2 * (4 * 32**2 + 3 * 32 * 48 + 2 * 32) + 32 + 2 * 50 * 32
    assert params in [each["value"] for each in found["formulas"]]
    values = {each["value"] for each in found["symbols"].values()}
    assert {2, 30, 32, 48, 50} <= values


def test_groups_of_a_compressed_output_are_whole_columns() -> None:
    mixer = next(
        mixer
        for stack in tf.load_model("deepseek-v4-flash").description.stacks
        for run in stack.runs
        for mixer in run.layer.mixers
    )
    first, second = mixer.outward()
    assert (first.inputs, type(first.inputs)) == (64 * 512 // 8, int)
    assert (first.copies, second.inputs) == (8, 8 * 1024)


def test_a_record_says_the_form_of_latent_attention_that_its_formulas_have() -> None:
    """Both steps have the one that is asked for."""
    model = tf.load_model("deepseek-v2-lite")
    found = explain_record(explain(model, 1, 8, mla="latent"), "latent")
    assert found["conventions"]["mla"] == "latent"
    unasked = explain_record(explain(model, 1, 8))
    assert unasked["conventions"]["mla"] == "expanded in a prompt, absorbed in a decode step"
