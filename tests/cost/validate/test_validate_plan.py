"""validate plan: choices between measured layouts, on curves worked out by hand."""

from __future__ import annotations

import json
from math import log

import pytest
from thermoflop.cli import main
from thermoflop.cost.validate.plan import _chosen, validate_plan
from thermoflop.cost.work.share import Layout

SHAPE = {
    "hidden": 4096, "layers": 32, "heads": 32, "kv_heads": 8, "head_dim": 128, "ffn": 14336,
    "vocab": 128256, "gated": True, "params_b": 8.03,
}  # fmt: skip


def curve(slow, fast):
    """Tokens/s a device at 10 and at 100 tokens/s a user, straight in logarithms."""
    return [log(10), log(100)], [log(slow), log(fast)]


def test_regret_is_what_the_chosen_layout_gives_less_than_the_best():
    """At 10: measured 100, 80 and 50; the expectation takes the second, the bound the third."""
    curves = {
        Layout(1): [curve(100, 10), curve(70, 7), curve(100, 10)],
        Layout(2): [curve(80, 20), curve(90, 30), curve(150, 30)],
        Layout(4): [curve(50, 25), curve(60, 30), curve(200, 40)],
    }
    chosen = _chosen(("group", "vllm"), log(10), curves)
    assert chosen.best == "one device"
    assert chosen.chosen == "tp=2"
    expected, bound, fewest, most = chosen.regrets
    assert expected == pytest.approx(0.2)
    assert bound == pytest.approx(0.5)
    assert fewest == 0
    assert most == pytest.approx(0.5)
    assert chosen.error == pytest.approx(70 / 100 - 1)


def rows():
    """Three layouts under two loads of a full server, and one row published twice."""
    made = []
    for tp in (1, 2, 4):
        for users, step_ms in ((8, 10.0), (64, 20.0)):
            made.append({
                "engine": "vLLM 0.19.0", "gpu_key": "H100-SXM-80GB", "gpu_count": tp, "tp": tp,
                "model": "Llama-3.1-8B", "precision": "bf16", "input_len": 922, "output_len": 922,
                "shape": SHAPE, "batch": users, "metric": "output_tokens_per_s", "id": "made up",
                "value": users / (step_ms / 1e3), "mean_step_ms_from_throughput": step_ms / tp**0.5,
            })  # fmt: skip
    return [*made, {**made[0], "input_len": 1024, "output_len": 1024}]


def test_rows_of_a_file_are_grouped_once_and_the_measured_best_is_known(tmp_path, capsys):
    """Eight times the users double a step t, and d devices shorten it by their root: at a given t
    there are (t d^0.5)^3 of them, d^0.5 a device, so that the most devices give the most."""
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows()), encoding="utf-8")
    report = validate_plan([str(path)])
    assert (report.rows, report.groups) == (6, 1)
    assert report.choices
    for choice in report.choices:
        assert choice.regrets[3] == 0
        assert choice.regrets[2] in (pytest.approx(1 - 2**-0.5), pytest.approx(0.5))
    assert main(["validate", "plan", str(path), "--each"]) == 0
    assert "mean regret" in capsys.readouterr().out


def test_rows_without_choices_are_said(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows()[:4]), encoding="utf-8")
    assert "no group" in validate_plan([str(path)]).text()
