"""The sheet of a result: one number, one text, wherever it is read."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.sheet import COLUMNS, Figure, Row, column, figure, figures_of
from thermoflop.cost.inference.result import estimate_json, estimate_sheet
from thermoflop.cost.inference.what_fits import fit_sheet
from thermoflop.runs.predict import Wish, predict


def test_a_figure_says_its_value_in_three_digits_with_its_unit() -> None:
    assert figure("a", "a", 0.01234, "s").text == "12.3 ms"
    assert figure("b", "b", 79.94, "GB").text == "79.9 GB"
    assert figure("c", "c", 7, "devices", "7 (tp=7)").text == "7 (tp=7)"
    assert figure("c", "c", 7, "devices").why == "c"
    assert figure("d", "d", 98_758, "tokens").text == "98,758 tokens"
    # what is known within an interval has no more digits than that
    assert figure("d", "d", 98_758, "tokens/s", ends=(None, 5e4, 2e5)).text == "98,800 tokens/s"


def test_a_column_has_a_line_for_each_figure_and_files_name_its_cells() -> None:
    one, two = figure("a", "first", 1.0, "s"), Figure("b", "second", "2 W", 2.0, "W")
    grid = column("k", "Title", [one, Row("longer label", (two,))])
    assert [row.label for row in grid.rows] == ["first", "longer label"]
    assert figures_of([grid, grid]) == [one, two, one, two]
    assert dict(zip(COLUMNS, two.cells(), strict=True)) == {
        "key": "b", "label": "second", "value": 2.0, "unit": "W",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "device", "generate"),
    [("llama-3-8b", "h100", 128), ("gpt2", "l4", 1), ("bert-base-uncased", "l4", 0)],
)
def test_the_terminal_json_and_a_run_s_record_say_what_the_sheet_says(
    model: str, device: str, generate: int
) -> None:
    sizes = {"batch": 4, "prompt": 100, "generate": generate}
    estimate = tf.estimate(model, device, **sizes)
    figures = {each.key: each for each in figures_of(estimate_sheet(estimate))}
    text, contents = str(estimate), estimate_json(estimate)
    for key, each in figures.items():
        if key not in ("energy.run", "first.low", "first.high"):
            assert each.text.removesuffix(" tokens/s") in text, key
    assert figures["first.expected"].value == contents["first_token"]["expected_s"]
    assert figures["first.bound"].value == contents["first_token"]["bound_s"]
    assert figures["rate.prefill"].value == contents["prefill_tokens_per_s"]
    assert figures["memory.total"].value == contents["memory"]["total_bytes"] / 1e9
    assert figures["energy.power"].low == contents["energy"]["power_low_w"]

    record = predict(Wish(model, device, sizes), [])["quantities"]
    names = {"ttft_s": "first.expected", "token_s": "token.expected", "power_w": "energy.power"}
    for name, key in names.items():
        assert (name in record) == (key in figures)
        if name in record:
            each = figures[key]
            assert record[name] == {
                "bound": each.bound, "expected": each.value, "low": each.low, "high": each.high,
            }  # fmt: skip
    assert ("joules_per_token" in record) == (generate > 0)


def test_the_best_rate_is_that_of_the_shortest_time() -> None:
    estimate = tf.estimate("gpt2", "l4", batch=4, prompt=100, generate=11)
    figures = {each.key: each for each in figures_of(estimate_sheet(estimate))}
    whole, rate = estimate.total, figures["rate.all"]
    tokens = 4 * 11  # generated tokens of all sequences
    assert (rate.bound, rate.low, rate.high) == (
        tokens / whole.bound_s, tokens / whole.high_s, tokens / whole.low_s,
    )  # fmt: skip
    assert rate.bound >= rate.high > rate.low


def test_what_no_number_of_devices_holds_is_said_without_a_number() -> None:
    capacity = tf.fit("llama-3.1-405b", "t4", batch=100_000, prompt=100_000)
    *_, devices = figures_of([fit_sheet(capacity)])
    assert (devices.value, devices.text) == (None, "more than 1,024")
    assert "fewest devices for this:          more than 1,024" in str(capacity)
    assert capacity.remedies == ()  # nor has any host 5,000 TB
