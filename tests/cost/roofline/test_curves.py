"""Tables of measured times: which one an operator belongs to, and how it is read between nodes."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import HEAD, HEADS, INNER, KEY_HEADS, MIXTURE, TOKENS, WIDTH, decoder
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.roofline.curves import Curves, Shape, Table, shape_of
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import Rates
from thermoflop.cost.work.work import Work, works
from thermoflop.model.operators.kinds import Pass
from thermoflop.model.operators.step import Step

BF16 = choose_precision("bf16")


def shapes(step: Step, kernels: str = "attention", **changes) -> dict[str, tuple]:
    """Key, loops, rows, inner and columns of each operator, by its name."""
    listed = works(decoder(**changes).description, step, BF16, kernels)
    found = {work.name: shape_of(work) for work in listed}
    return {
        name: (each.key, each.loops, each.rows, each.inner, each.columns)
        for name, each in found.items() if each is not None
    }  # fmt: skip


def test_a_step_of_one_token_belongs_to_these_tables():
    """3 sequences after 10 cached tokens: two queries share a key head, over 11 positions."""
    found = shapes(Step(3, 1, 10))
    assert found["up_proj"] == ("matmul", 1, 3, WIDTH, INNER)
    assert found["lm_head"] == ("matmul", 1, 3, WIDTH, TOKENS)
    assert found["embed_tokens"] == ("gather", 1, 3, 1, WIDTH)
    assert found["attention"] == (
        "attention", 1, HEADS / KEY_HEADS, 3 * KEY_HEADS * HEAD, 11,
    )  # fmt: skip
    norms = [each for each in found.values() if each[0] == "rms norm"]
    assert norms
    assert all(each[1:] == (1, 3, 1, WIDTH) for each in norms)
    eager = shapes(Step(3, 1, 10), "eager")
    assert eager["scores"] == ("scores", 3 * KEY_HEADS, HEADS / KEY_HEADS, HEAD, 11)
    assert eager["values"] == ("values", 3 * KEY_HEADS, HEADS / KEY_HEADS, HEAD, 11)
    assert eager["softmax"] == ("softmax", 1, HEADS * 3, 1, 11)


def test_a_prompt_belongs_to_tables_of_its_own():
    found = shapes(Step(3, 5, 0, attention="causal"))
    assert found["attention"] == ("causal attention", 1, 5, 3 * HEADS, HEAD)
    two = shapes(Step(3, 2, 7, attention="causal"))
    assert two["attention"] == ("causal attention", 1, 2, 3 * HEADS, HEAD)
    steps = shapes(Step(3, 1, np.array([10, 20])))  # of one query each, whatever is cached
    assert steps["attention"][0] == "attention"
    assert steps["attention"][4].tolist() == [11, 21]
    after = shapes(Step(3, 5, 7, attention="causal"))  # the table knows prompts by what is new
    assert after["attention"] == found["attention"]
    assert found["gate_proj"] == ("matmul", 1, 15, WIDTH, INNER)
    eager = shapes(Step(3, 5, 0, attention="causal"), "eager")
    assert eager["softmax"][:3] == ("masked softmax", 1, HEADS * 3 * 5)
    residual = [each for name, each in eager.items() if "residual" in name]
    assert residual
    assert all(each[:4] == ("residual", each[1], 1, 1) for each in residual)
    assert all(each[4] == 15 * WIDTH for each in residual)


def test_a_mixture_multiplies_the_experts_that_are_met_and_a_layer_norm_has_more_to_do():
    """5 tokens meet 8 (1 - (3/4)^5) of 8 experts, with two rows for each token in all."""
    found = shapes(Step(5, 1, 10), **MIXTURE)
    met = 8 * (1 - (3 / 4) ** 5)
    key, loops, rows, inner, columns = found["expert up"]
    assert (key, inner, columns) == ("matmul", WIDTH, INNER)
    assert loops == pytest.approx(met)
    assert rows * loops == pytest.approx(10)
    assert found["routing softmax"] == ("routing softmax", 1, 5, 1, 8)
    assert found["combine experts"] == ("combine experts", 1, 10, 1, WIDTH)
    gpt2 = tf.load_model({"model_type": "gpt2", "n_embd": WIDTH, "n_layer": 2, "n_head": HEADS})
    plain = [shape_of(work).key for work in works(gpt2.description, Step(5, 1, 10), BF16)
             if shape_of(work)]  # fmt: skip
    assert "layer norm" in plain
    assert "rms norm" not in plain


def test_a_collective_has_no_table():
    assert shape_of(Work("all-reduce", "n", "n", "network", 1, 1.0, 0, 0, 0, 8.0)) is None


ROWS, SIZES = (1.0, 4.0, 64.0), (10.0, 1000.0)
SECONDS = ((1.0, 8.0), (2.0, 16.0), (32.0, 64.0))


@pytest.mark.parametrize(
    ("rows", "size", "seconds"),
    [
        (1, 10, 1), (4, 10, 2), (64, 1000, 64),  # nodes
        (2, 10, sqrt(2)), (16, 10, 8),  # halfway between two nodes, in logarithms
        (1, 100, sqrt(8)), (2, 100, sqrt(sqrt(8) * sqrt(32))),
        (128, 10, 64), (1, 3000, 24), (128, 2000, 64 * 4),  # beyond: at the rate of the last
        (0.5, 10, 1), (1, 1, 1), (0.0, 0.0, 1),  # below: no shorter than the first
    ],
)  # fmt: skip
def test_a_table_is_read_along_straight_lines_in_logarithms(rows, size, seconds):
    table = Table(ROWS, SIZES, SECONDS)
    assert table.at(rows, size) == pytest.approx(seconds)
    found = table.at(np.array([float(rows)] * 2), np.array([float(size)] * 2))
    assert found == pytest.approx([seconds] * 2)


@pytest.mark.parametrize(
    ("rows", "sizes", "seconds"),
    [
        ((), SIZES, ()), (ROWS, SIZES, SECONDS[:2]), (ROWS, SIZES, (*SECONDS[:2], (1.0,))),
        ((0.0, 4.0, 64.0), SIZES, SECONDS), ((1.0, 1.0, 64.0), SIZES, SECONDS),
        (ROWS, (1000.0, 10.0), SECONDS), ((1.0,), (1.0,), ((0.0,),)), ((1.0,), (1.0,), ((1e6,),)),
    ],
)  # fmt: skip
def test_a_grid_that_is_none_is_refused(rows, sizes, seconds):
    with pytest.raises(ValueError, match="table"):
        Table(rows, sizes, seconds)


def test_a_table_of_one_node_and_of_nearly_a_million_seconds_is_one():
    assert Table((1.0,), (1.0,), ((999_999.0,),)).at(1, 1) == pytest.approx(999_999)


def test_a_time_is_its_calls_and_loops_less_the_launch_times_the_scale():
    """Two of 8 s in a call of 3, of which 5 are the launch, half as long again in a decoder."""
    table = Table((1.0, 8.0), (1.0, 4096.0), ((8.0, 8.0), (8.0, 8.0)))
    curves = Curves({"attention": table}, {"attention": 3.0}, 5.0, 1.5, 100.0)
    (found,) = [
        work for work in works(decoder().description, Step(2, 1, 10), BF16, "attention")
        if work.name == "attention"
    ]  # fmt: skip
    shape = shape_of(found)
    assert isinstance(shape, Shape)
    assert shape.size == shape.inner * shape.columns == 2 * KEY_HEADS * HEAD * 11
    assert curves.seconds(found) == pytest.approx(1.5 * (3 + 8 - 5))
    slow = Curves({"attention": table}, {}, 50.0, 1.5, 100.0)
    assert slow.seconds(found) == pytest.approx(1.5e-9)  # never less than nothing
    # without a table: its bytes at the rate of activations
    assert Curves({}, {}, 5.0, 1.5, 100.0).seconds(found) == pytest.approx(1.5 * found.bytes / 100)


def test_a_measured_time_is_shared_as_the_roofline_says():
    """1000 FLOPs at 100 a second, 160 bytes at 10: computing takes 10 s of the 16 of moving."""
    curves = Curves({}, {}, 0.0, 1.0, 10.0)
    rates = Rates(100.0, 10.0, 1.0, 1.0, 100.0, Efficiency(kernel_gap_s=2.0), curves)
    work = Work("w", "l", "g", "contraction", 3, 1000.0, 0.0, 100.0, 20.0, 40.0)
    assert rates.memory_s(work) == pytest.approx(16)
    assert rates.compute_s(work) == pytest.approx(16 * 10 / 16)
    assert rates.operator_s(work) == pytest.approx(3 * (16 + 2))
    assert rates.binding(work) == "memory"
    busy = Work("w", "l", "g", "contraction", 3, 3200.0, 0.0, 100.0, 20.0, 40.0)
    assert (rates.compute_s(busy), rates.memory_s(busy)) == pytest.approx((16, 16 * 16 / 32))
    assert rates.binding(busy) == "compute"
    norm = Work("w", "l", "g", "normalization", 3, 3200.0, 0.0, 100.0, 20.0, 40.0)
    assert (rates.compute_s(norm), rates.memory_s(norm)) == (0, 16)
    quick = Work("w", "l", "g", "normalization", 3, 0.0, 0.0, 0.0, 0.0, 10.0)
    assert rates.binding(quick) == "launch"


def test_a_sum_with_an_adapter_is_one_residual():
    one = Pass("add q", "layer", "adapter", 1, 6, 7, 1)
    work = Work("add q", "layer", "adapter", "element-wise", 1, 0, 0, 0, 0, 8.0, operator=one)
    assert shape_of(work) == Shape("residual", 1, 1, 1, 42)
