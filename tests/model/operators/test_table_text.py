"""The printed table: what a cell says of a number, where columns begin, which totals it carries."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.cli import main
from thermoflop.model.operators.step import Step
from thermoflop.model.operators.table_text import compact_shape, relevant, short, step_description

LLAMA = {"model_type": "llama", "hidden_size": 22, "num_attention_heads": 6, "head_dim": 5,
         "num_key_value_heads": 2, "num_hidden_layers": 3, "intermediate_size": 7,
         "vocab_size": 17}  # fmt: skip
# a step of two sequences after 11 tokens: bytes in bf16, three layers
PRINTED = """\
llama: 1 new token after 11 cached, batch 2

operator         class    shape                 mults  FLOPs weight activ.  KV in KV out   F/B share
decoder front
 embed_tokens    gather   2x22                      -      -     88     88      -      -     -
3 x decoder attention + MLP
 norm 1          norm     2x22                      -    528    132    528      -      -   0.8
 q_proj          contract 2x22x30              3.960k 7.920k 3.960k    624      -      -   1.7 21.5%
 k_proj          contract 2x22x10              1.320k 2.640k 1.320k    264      -    120   1.5  7.2%
 v_proj          contract 2x22x10              1.320k 2.640k 1.320k    264      -    120   1.5  7.2%
 rotary          element  2x40                      -    720      -      -      -      -     -
 scores          contract 12*1x5x12            2.160k 4.320k      -    360 1.440k      -   2.4 11.7%
 softmax         norm     12x12                     - 2.160k      -      -      -      -     -
 values          contract 12*1x12x5            2.160k 4.320k      -    360 1.440k      -   2.4 11.7%
 o_proj          contract 2x30x22              3.960k 7.920k 3.960k    624      -      -   1.7 21.5%
 norm 2          norm     2x22                      -    528    132    528      -      -   0.8
 gate_proj       contract 2x22x7                  924 1.848k    924    348      -      -   1.5  5.0%
 up_proj         contract 2x22x7                  924 1.848k    924    348      -      -   1.5  5.0%
 silu x up       element  2x7                       -    210      -      -      -      -     -
 down_proj       contract 2x7x22                  924 1.848k    924    348      -      -   1.5  5.0%
 residual        element  2x22                      -    264      - 1.056k      -      -   0.2
decoder tail
 final_norm      norm     2x22                      -    176     44    176      -      -   0.8
head
 lm_head         contract 2x22x17                 748 1.496k    748    156      -      -   1.7  4.1%

multiplications                               18,400
FLOPs (2 x)                                   36,800
"""
# by hand: q and o of 30 rows, k and v of 10; 12 keys of 5; 7 neurons; 17 words, once
MULTS = 3 * (2 * 22 * (2 * 30 + 2 * 10) + 2 * 2 * 6 * 5 * 12 + 2 * 3 * 22 * 7) + 2 * 22 * 17


def test_the_table_is_printed_so() -> None:
    table = tf.load_model(LLAMA).decode(11, 2)
    text = str(table)
    assert text.startswith(PRINTED)
    assert table.multiplications == MULTS == 18_400
    # what the cells say of q_proj, by hand: three layers of 22 x 30 weights, rows in and out
    row = next(each for each in table.rows() if each["operator"] == "q_proj")
    weights, rows = 3 * 2 * 22 * 30, 3 * 2 * 2 * (22 + 30)
    assert (row["weight_bytes"], row["activation_bytes"]) == (weights, rows)
    assert row["flops_per_byte"] == pytest.approx(7920 / (weights + rows))
    assert row["share_of_flops"] == pytest.approx(7920 / 36_800)
    total = table.traffic.total
    for name, value in (
        ("element-wise FLOPs", f"{table.elementwise_flops:,}"),
        ("bytes of weights", f"{table.traffic.weights:,}"),
        ("bytes of activations", f"{table.traffic.activations:,}"),
        ("bytes of KV read", f"{3 * 2 * 2 * 12 * 2 * 2 * 5:,}"),
        ("bytes of KV written", f"{3 * 2 * 2 * 2 * 2 * 5:,}"),
        ("FLOPs per byte", f"{(table.flops + table.elementwise_flops) / total:.2f}"),
    ):
        assert f"\n{name:<21} {value:>30}\n" in text


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (None, "-"), (0, "-"), (0.0, "-"), (1, "1"), (999, "999"), (12.0, "12"), (1.5, "1.500"),
        (9.9994, "9.999"), (9.9996, "10.00"), (99.994, "99.99"), (99.996, "100.0"),
        (123.4, "123.4"), (999.94, "999.9"), (999.96, "1.000k"), (1000, "1.000k"), (9999, "9.999k"),
        (12_345, "12.35k"),
        (604_000_000, "604.0M"), (1.208e12, "1.208T"), (5e9, "5.000G"), (5e15, "5.000P"),
        (5e18, "5.000E"), (5e21, "5.000Z"), (5e24, "5.000Y"), (5e27, "5000.0Y"), ("n", "n"),
    ],
)  # fmt: skip
def test_a_number_is_said_in_six_characters(number: Any, said: str) -> None:
    assert short(number) == said


def test_shapes_are_written_without_spaces() -> None:
    said = {"(2 x 3)(3 x 4)": "2x3x4", "6 x (2 x 3)(3 x 4)": "6*2x3x4", "2 x 3": "2x3",
            "2 x 3 x 4": "2x3x4"}  # fmt: skip
    assert {shape: compact_shape({"shape": shape}) for shape in said} == said


@pytest.mark.parametrize(
    ("step", "part", "said"),
    [
        (Step(2, 1, 5), "decoder", "1 new token after 5 cached, batch 2"),
        (Step(2, 3, 0), "decoder", "3 new tokens after 0 cached, batch 2"),
        (Step(2, 3, 1, 7), "part", "3 new tokens after 1 cached, batch 2, source of 7 positions"),
        (Step(2, 0, 0, 7), "encoder", "encoding of 7 positions, batch 2"),
        (Step(2, 3), "vision", "2 images"),
        (Step(2, 3, images=1), "vision", "1 image"),
    ],
)  # fmt: skip
def test_a_step_is_described(step: Step, part: str, said: str) -> None:
    assert step_description([{"part": part}], step) == said


@pytest.mark.parametrize(
    ("rows", "logits", "more"),
    [
        ([], "all", set()),
        ([], "none", {"logits"}),
        ([("lm_head", "lm_head")], "all", {"logits"}),
        ([("scores", "attn_score")], "all", {"attention"}),
        ([("kv_b_proj", "attn_proj")], "all", {"mla"}),
        ([("absorb keys", "attn_proj")], "all", {"mla"}),
        ([("expert up", "experts")], "all", {"experts", "expert_reads"}),
        ([("conv1d", "ssm_conv")], "all", {"convolution"}),
        ([("conv1d", "linear_attn_conv")], "all", {"convolution"}),
    ],
)
def test_a_convention_is_stated_where_it_changes_something(
    rows: list[tuple[str, str]], logits: str, more: set[str]
) -> None:
    made = [{"operator": name, "group": group} for name, group in rows]
    assert set(relevant(made, {"logits": logits})) == {"kernels", *more}


def test_a_rate_by_the_byte_has_a_digit_below_a_hundred() -> None:
    """A matrix on n rows: 2 n FLOPs for two bytes of weights, and rows besides."""
    llama = tf.load_model({**LLAMA, "hidden_size": 1000, "vocab_size": 1000})
    for rows in (105, 300):
        table = llama.prefill(rows)
        head = next(each for each in table.rows() if each["operator"] == "lm_head")
        rate = 2 * rows * 10**6 / (2 * 10**6 + 2 * rows * 2000)
        assert head["flops_per_byte"] == pytest.approx(rate)
        shown = f"{rate:.0f}" if rate >= 99.95 else f"{rate:.1f}"
        line = next(each for each in str(table).splitlines() if " lm_head" in each)
        assert f" {shown} " in line


def test_what_a_table_says_below_is_of_the_columns_that_it_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for columns, shown in (("80", False), ("100", True)):
        monkeypatch.setenv("COLUMNS", columns)
        main(["ops", "gpt2"])
        text = capsys.readouterr().out
        assert (" F/B " in text, "F/B: FLOPs per byte" in text) == (shown, shown)
        assert "share: of the FLOPs" in text


def test_a_row_of_several_layers_is_said_to_have_the_figures_of_all() -> None:
    said = "a row under n x has the figures of all n layers; its shape is one layer's"
    for layers in (1, 2):
        model = tf.load_model({**LLAMA, "num_hidden_layers": layers})
        assert (said in str(model.prefill(3))) is (layers == 2)
        up = next(row for row in model.prefill(3).rows() if row["operator"] == "up_proj")
        assert up["flops"] == layers * 2 * 3 * LLAMA["hidden_size"] * LLAMA["intermediate_size"]
