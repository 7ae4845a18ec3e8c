"""A training step and a generation are so many forward passes, of a model of three small layers."""

from __future__ import annotations

import json

import pytest
import thermoflop as tf
from thermoflop.errors import UsageError
from thermoflop.model.load import load_model, stretched
from thermoflop.model.report import table_report
from thermoflop.model.validate import Comparison, Report, compare_record

LLAMA = {"model_type": "llama", "hidden_size": 22, "num_attention_heads": 6, "head_dim": 5,
         "num_key_value_heads": 2, "num_hidden_layers": 3, "intermediate_size": 7, "vocab_size": 17,
         "max_position_embeddings": 64}  # fmt: skip
# FLOPs of 2 sequences of 7 tokens: q and o of 30, k and v of 10 rows; scores and values; MLP; head
ATTENDING = 3 * 2 * (2 * 2 * 6 * 5 * 7 * 7)
LAYERS = 3 * 2 * 14 * 22 * (2 * 30 + 2 * 10) + ATTENDING + 3 * 2 * 14 * 22 * 3 * 7
HEAD = 2 * 14 * 22 * 17


@pytest.mark.parametrize(
    ("recompute", "again"),
    [("none", 0), ("fine-grained", 0), ("selective", ATTENDING), ("full", LAYERS)],
)
def test_backward_is_two_forward_passes_and_what_is_computed_again(
    recompute: str, again: int
) -> None:
    step = tf.load_model(LLAMA).training(7, 2, recompute=recompute)
    forward = LAYERS + HEAD
    assert (step.forward_flops, step.backward_flops) == (forward, 2 * forward)
    assert (step.model_flops, step.recomputed_flops) == (3 * forward, again)
    assert step.flops == 3 * forward + again
    assert step.conventions["recompute"] == recompute
    assert repr(step) == (
        f"<Training llama: batch=2, tokens=7, recompute={recompute}, flops={3 * forward + again}>"
    )


def test_a_step_of_training_has_a_token_at_least_and_a_known_way() -> None:
    model = tf.load_model(LLAMA)
    assert model.training(1, recompute="full").flops > model.training(1).flops
    with pytest.raises(UsageError, match="training on 0 tokens"):
        model.training(0)
    with pytest.raises(UsageError, match="recompute='some'"):
        model.training(1, recompute="some")


def test_a_generation_is_its_prompt_and_its_decode_steps() -> None:
    model = tf.load_model(LLAMA)
    found = model.generation(7, 3, batch=2)
    steps = [model.prefill(7, 2), model.decode(7, 2), model.decode(8, 2)]
    assert found.flops == sum(step.flops for step in steps)
    assert found.elementwise_flops == sum(step.elementwise_flops for step in steps)
    assert found.traffic.total == sum(step.traffic.total for step in steps)
    assert repr(found) == f"<Generation llama: prompt=7, new=3, batch=2, flops={found.flops}>"
    for wrong in ((0, 3), (7, 0)):
        with pytest.raises(UsageError, match="expected a whole number >= 1"):
            model.generation(*wrong)
    assert model.generation(1, 1).flops == model.prefill(1).flops


def test_a_windowed_step_meets_what_its_window_holds() -> None:
    """Of 7 + 11 keys, 5 in a window and in a chunk; all 18 where there is neither."""
    for keys, limit in (({}, 18), ({"sliding_window": 5}, 5)):
        mistral = {**LLAMA, "model_type": "mistral", "sliding_window": None, **keys}
        table = tf.load_model(mistral).operators(2, 7, 11, attention="windowed")
        assert table.by_group()["attn_score"] == 3 * 2 * 2 * 6 * 5 * 7 * limit


def test_a_context_without_an_end_is_one_without_a_table_of_positions() -> None:
    assert load_model(LLAMA).max_positions == 64
    assert stretched(load_model(LLAMA)).max_positions is None
    gpt2 = {"model_type": "gpt2", "n_embd": 12, "n_head": 3, "n_layer": 2, "vocab_size": 17}
    with pytest.raises(UsageError, match="are a table of 1024 rows"):
        stretched(load_model(gpt2))
    bert = {"model_type": "bert", "num_hidden_layers": 1}
    with pytest.raises(UsageError, match="are a table of 512 rows"):
        stretched(load_model(bert))


def test_the_report_has_parameters_formats_and_what_lies_beyond_the_context() -> None:
    model = tf.load_model({**LLAMA, "quantization_config": {"quant_method": "eetq"}})
    params = 2 * 17 * 22 + 22 + 3 * (22 * 80 + 3 * 22 * 7 + 2 * 22)
    assert model.params == params
    text = table_report(model, model.prefill(64), "text")
    assert text.startswith(
        f"{params:,} parameters ({params:,} active on a token): attn 5.280k, mlp"
    )
    assert "tokens are more than" not in text
    beyond = "65 tokens are more than the 64 that the configuration states"
    assert beyond in table_report(model, model.decode(64), "text")
    found = json.loads(table_report(model, model.decode(3), "json"))
    assert (found["parameters"], found["active_parameters"]) == (params, params)
    assert found["quantization"]["method"] == "eetq"
    assert found["quantization"]["parameters"]["mlp"] == {"int8": 3 * 3 * 22 * 7}
    assert found["parameters_by_group"]["attn"] == 3 * 22 * 80
    lines = table_report(model, model.decode(3), "csv").splitlines()
    assert len(lines) == 1 + len(model.decode(3).operators)
    assert "quantization" not in json.loads(
        table_report(tf.load_model(LLAMA), model.decode(3), "json")
    )


def test_notebooks_see_the_figures() -> None:
    model = tf.load_model(LLAMA)
    assert f"{model.params:,} parameters, {model.active_params:,} active" in model._repr_html_()
    html = model.decode(11, 2)._repr_html_()
    assert "<b>llama: 1 new token after 11 cached, batch 2</b>: 36,800 FLOPs" in html
    assert html.count("<tr>") == 1 + 18 + 4  # columns, operators, parts
    assert "<th colspan=11>3 x decoder attention + MLP</th>" in html
    assert "<th colspan=11>head</th>" in html


def found(*pairs: tuple[int, int], family: str = "llama", record: str = "a") -> list[Comparison]:
    return [Comparison(record, family, f"what {n}", *pair) for n, pair in enumerate(pairs)]


def test_what_is_compared_and_differs_is_told_by_family_and_by_record() -> None:
    report = Report((*found((1, 1), (2, 3)), *found((4, 4), family="gpt2", record="b")))
    assert report.by("family") == {"gpt2": (1, 1, 0), "llama": (1, 2, 1)}
    assert not report.all_equal
    assert Report(tuple(found((1, 1)))).all_equal
    assert not Report(()).all_equal
    assert report.text().splitlines() == [
        f"{'family':<34} {'records':>8} {'compared':>9} {'differ':>7}",
        f"{'gpt2':<34} {1:>8} {1:>9} {0:>7}",
        f"{'llama':<34} {1:>8} {2:>9} {1:>7}",
        f"{'all':<34} {2:>8} {3:>9} {1:>7}",
        "DIFFERS a what 1: counted 2, recorded 3",
    ]
    assert report.text(each=True).splitlines()[1].startswith("a  ")
    said = json.loads(report.json_text())
    assert said["compared"] == 3
    assert said["families"]["llama"] == {"records": 1, "compared": 2, "differ": 1}
    assert [each["recorded"] for each in said["differences"]] == [3]


@pytest.mark.parametrize(("differ", "more"), [(200, 0), (201, 1), (205, 5)])
def test_two_hundred_differences_are_listed(differ: int, more: int) -> None:
    lines = Report(tuple(found(*[(1, 2)] * differ))).text().splitlines()
    assert sum(line.startswith("DIFFERS") for line in lines) == 200
    assert lines[-1].startswith("DIFFERS" if more == 0 else f"... and {more} more differences")


@pytest.mark.parametrize(
    ("kind", "taken", "equal"),
    [("decode", 7, True), ("decode", 2, True), ("decode", 6, False), ("prefill", 7, False)],
)
def test_a_window_that_a_class_fills_with_zeros_is_counted_as_it_ran(
    kind: str, taken: int, equal: bool
) -> None:
    """Of four taps, 2 x 4 - 1 positions in the place of two, in a decode step alone."""
    mamba = {"model_type": "mamba", "vocab_size": 17, "hidden_size": 22, "num_hidden_layers": 2,
             "state_size": 3, "expand": 2, "conv_kernel": 4, "time_step_rank": 5}  # fmt: skip
    model = tf.load_model(mamba)
    groups = dict(model.decode(3, 2).by_group())
    assert groups["ssm_conv"] == 2 * 2 * 2 * 2 * 4 * 44  # layers, FLOPs, sequences, positions
    groups["ssm_conv"] = groups["ssm_conv"] // 2 * taken
    case = {"kind": kind, "batch": 2, "q_len": 1, "kv_len_before": 3, "by_group": groups,
            "total_without_rope": sum(groups.values())}  # fmt: skip
    record = {"name": "m", "config": mamba, "params_total": model.params,
              "params_by_group": model.params_by_group, "flops": {"step": case}}  # fmt: skip
    found = {each.what: each.equal for each in compare_record(record)}
    assert found["step.flops.ssm_conv"] is equal


def test_the_report_of_a_mixture_says_what_is_active_on_a_token() -> None:
    """Two of eight experts of three matrices of 64 x 96 each, in two layers."""
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 10,
             "num_attention_heads": 4, "num_key_value_heads": 4}  # fmt: skip
    model = tf.load_model({"model_type": "mixtral", **sizes})
    found = json.loads(table_report(model, model.decode(3), "json"))
    assert found["parameters"] - found["active_parameters"] == 2 * 6 * 3 * 64 * 96
    said = f"({found['active_parameters']:,} active on a token)"
    assert said in " ".join(table_report(model, model.decode(3), "text").split())
