"""What rows come to together: errors, bias, coverage and bounds, worked out by hand."""

from __future__ import annotations

import json

import pytest
from thermoflop.cost.validate.compared import Compared, summary
from thermoflop.cost.validate.report import TimesReport


def row(measured: float, bound: float, expected: float, low: float, high: float, **changes):
    fields = {"row_id": "r", "engine": "e", "device": "d", "model": "m", "phase": "token",
              "has_expectation": True, "reason": "why", **changes}  # fmt: skip
    return Compared(measured_s=measured, bound_s=bound, expected_s=expected, low_s=low,
                    high_s=high, **fields)  # fmt: skip


ROWS = (
    row(10, 5, 11, 9, 12),  # +10 %, inside
    row(10, 5, 8, 7, 9),  # -20 %, out
    row(10, 5, 14, 10, 15, phase="prefill", engine="f"),  # +40 %, inside at the end
    row(10, 11, 1, 1, 1, has_expectation=False, device="x"),  # beats its bound
)


def test_errors_are_of_what_is_expected_over_what_was_measured():
    found = summary(ROWS)
    assert (found["compared"], found["with_expectation"]) == (4, 3)
    assert found["bound_violations"] == 1
    assert found["median_abs_error"] == 0.2
    assert found["median_abs_error_latency"] == 0.15  # of 0.1 and 0.2
    assert found["p90_abs_error"] == pytest.approx(0.2 + 0.8 * 0.2)  # 0.9 of the way over 3 values
    assert found["median_bias"] == 0.1
    assert found["coverage_80"] == round(2 / 3, 4)


def test_nothing_to_compare_is_null():
    found = summary(ROWS[3:])
    assert found["median_abs_error"] is found["coverage_80"] is found["p90_abs_error"] is None


@pytest.mark.parametrize(("measured", "inside"), [(8.9, 0), (9, 1), (12, 1), (12.1, 0)])
def test_both_ends_belong_to_an_interval(measured, inside):
    assert row(measured, 5, 11, 9, 12).inside == bool(inside)


def test_a_row_that_only_equals_its_bound_does_not_beat_it():
    assert not row(5, 5, 5, 5, 5).violates
    assert row(4.99, 5, 5, 5, 5).violates


def test_the_object_names_what_beat_its_bound_and_why_the_rest_was_left_out():
    report = TimesReport(6, ROWS[:2], (("a", "no value"), ("b", "no value"), ("c", "odd")))
    both = report.joined(TimesReport(3, ROWS[2:], (("d", "odd"),)))
    found = json.loads(both.json_text())
    assert found["rows"] == 9
    assert found["skipped"] == {"rows": 4, "reasons": {"no value": 2, "odd": 2}}
    assert found["violations"] == [
        {"id": "r", "engine": "e", "device": "x", "model": "m", "measured_s": 10, "bound_s": 11,
         "reason": "why"}
    ]  # fmt: skip
    assert {name: each["compared"] for name, each in found["by_engine"].items()} == {"e": 3, "f": 1}
    assert {name: each["compared"] for name, each in found["by_device"].items()} == {"d": 3, "x": 1}
    assert found["by_phase"]["prefill"]["median_abs_error"] == 0.4
    assert found["by_phase"]["prefill"]["median_abs_error_latency"] is None


def test_a_line_a_row_says_what_was_measured_expected_and_out():
    lines = TimesReport(4, ROWS, ()).text(each=True).splitlines()
    inside, out, _, bound = [line for line in lines if line.startswith("r ")]
    assert inside.split()[-6:] == ["11.0", "s", "10.0", "%", "5.00", "s"]
    assert out.split()[-1] == "out"
    assert bound.split()[-4:] == ["-", "-", "11.0", "s"]
