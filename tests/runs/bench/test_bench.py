"""The benchmark runs what the table says, computes it right, and marks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from thermoflop.model.load import load_model
from thermoflop.runs.bench import measure
from thermoflop.runs.bench.kernels import kernel, relative_error
from thermoflop.runs.bench.measure import Peaks, bench

SMALL = {
    "model_type": "gpt2",
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 128,
    "vocab_size": 300,
}


def table(new: int = 16, cached: int = 0) -> Any:
    """The operators of a small model."""
    model = load_model(SMALL)
    return model.operators(1, new, cached, dtype="fp32", logits="last", kernels="eager")


@pytest.mark.parametrize(("new", "cached"), [(16, 0), (1, 40)])
def test_every_kernel_computes_what_float64_does(new: int, cached: int) -> None:
    """Prefill and decode, within what float32 can hold."""
    kernels = [made for operator in table(new, cached) if (made := kernel(operator)) is not None]
    assert len(kernels) >= 10
    assert max(relative_error(made) for made in kernels) < 1e-4


def test_products_have_the_shape_of_the_table() -> None:
    """So their FLOPs are the table's."""
    for operator in table():
        made = kernel(operator)
        if made is None or type(operator).__name__ not in ("MatMul",):
            continue
        a, b = made.operands
        assert 2 * a.shape[0] * a.shape[1] * a.shape[2] * b.shape[2] * operator.times == (
            operator.flops
        )


def test_the_report_has_every_operator_and_says_which_were_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each that ran is marked as a phase with its FLOPs and bytes."""
    said: list[Any] = []
    monkeypatch.setattr(measure, "LEAST_S", 0.0)
    monkeypatch.setattr(measure, "mark", lambda name, **values: said.append((name, values)))
    monkeypatch.setattr(measure, "note", lambda **values: said.append(("note", values)))
    rows = list(bench(table(), Peaks(1e12, 1e11)))
    assert len(rows) == len(table())
    ran = [row for row in rows if row.median_s is not None]
    assert {row.name for row in rows} - {row.name for row in ran} == {
        "embed_tokens",
        "embed_positions",
    }
    assert all(row.at_best_s > 0 and row.runs >= 5 for row in ran)
    assert [name for name, _ in said if name not in (None, "note")] == [row.name for row in ran]
    json.dumps([row.to_json() for row in rows])


def test_a_shape_that_does_not_fit_is_not_run() -> None:
    """It is listed, without a time."""
    model = load_model({**SMALL, "vocab_size": 50_000_000})
    rows = list(model.operators(1, 1, 0, dtype="fp32", logits="last"))
    assert kernel(rows[-1]) is None
