"""Labels of operators: each row of a step is told from every other, with its kernels."""

from __future__ import annotations

import re

import pytest
import thermoflop as tf
from thermoflop.cost.why.labels import labels
from thermoflop.cost.why.steps import parts_shown
from thermoflop.cost.why.table import why_text


@pytest.fixture(scope="module")
def glm() -> tf.Estimate:
    """Three layers without experts, 89 with 160 of them and one that is shared."""
    return tf.estimate("glm-4.6", "b200", devices=8, profile="vllm")


@pytest.mark.parametrize("model", ["glm-4.6", "gemma-3-27b", "qwen3-next-80b-a3b", "llama-3-8b"])
def test_no_two_operators_of_a_step_are_called_alike(model: str) -> None:
    for part in parts_shown(tf.estimate(model, "b200", profile="vllm")).values():
        names = labels(part.works)
        assert len(set(names)) == len(names)


def test_layers_of_two_kinds_are_told_apart_by_what_the_others_lack(glm: tf.Estimate) -> None:
    names = labels(parts_shown(glm)["decode"].works)
    assert {"q_proj, MLP", "q_proj, MoE", "silu x up", "expert silu x up", "shared silu x up"} <= (
        {name.removesuffix(", 0 kernels") for name in names}
    )


def test_one_kind_of_layer_needs_no_name() -> None:
    names = labels(parts_shown(tf.estimate("llama-3-8b", "h100", profile="vllm"))["decode"].works)
    assert {"q_proj", "k_proj, 0 kernels"} <= set(names)


def test_the_printed_formula_gives_a_row_that_stands_for_several_kernels() -> None:
    """Choosing experts moves nothing that counts: 48 layers of 5 gaps."""
    text = why_text(tf.estimate("qwen3-30b-a3b", "h100", profile="vllm"))
    gap = float(re.search(r"gap     = ([\d.]+) µs", text)[1])
    row = next(line for line in text.splitlines()[::-1] if line.startswith("routing softmax"))
    kernels, times = int(re.search(r"(\d+) kernels", row)[1]), 48
    taken_us = float(re.search(r"([\d.]+) µs", row)[1])
    assert kernels == 5
    assert taken_us == pytest.approx(times * kernels * gap, rel=0.01)
