"""What the validations print and hold out, on a few made-up rows and round numbers."""

from __future__ import annotations

import json
import re
from math import log
from types import SimpleNamespace

import numpy as np
import pytest
from kit.made_up_rows import OTHER, row, rows_of_engine, served
from thermoflop.base.record import replace
from thermoflop.cost.engines.budget import Budget
from thermoflop.cost.validate.compared import (
    SHOWN,
    Compared,
    accuracy,
    accuracy_text,
    beside_before,
    change,
    figures,
    readme_table,
    trainers,
)
from thermoflop.cost.validate.dated import months_of, predicted_later
from thermoflop.cost.validate.engines import LINES, engine_of
from thermoflop.cost.validate.kernels import OF_FILES, SHIPPED, Judged, KernelsReport
from thermoflop.cost.validate.memory import MemoryReport, MemoryRow
from thermoflop.cost.validate.plan import Chosen, PlanReport, _at, _choices, _once
from thermoflop.cost.validate.report import TimesReport
from thermoflop.cost.validate.times import _held_out as held_out
from thermoflop.cost.validate.times import identity
from thermoflop.cost.work.share import Layout


def plainly(text: str) -> str:
    return re.sub(r" +", " ", text)


BUDGET = Budget("vllm", {}, 70e9, 16e9, 2e9, 3e9, 1e9, 40e9, 36e9, 41e9, 80_000, 16, 1000, 80.0,
                256, 5e9)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "predicted"),
    [
        # work and overhead; what the cache may have more, these have less
        ("engine_besides_gib", (5e9, 5e9 - 1e9, 5e9 + 4e9)),
        ("engine_cache_gib", (40e9, 36e9, 41e9)),
        ("engine_cache_tokens", (80_000, 72_000, 82_000)),  # 2 a MB
        ("engine_laid_out_mib", (7e9, 7e9, 7e9)),
        ("engine_buffer_mib", (2e9, 1.8e9, 2.2e9)),
        ("engine_host_mib", (5e9, 0.995 * 5e9, 1.005 * 5e9)),
    ],
)
def test_a_line_of_an_engines_log_is_a_part_of_its_budget(kind, predicted):
    fit = SimpleNamespace(memory=SimpleNamespace(kv_bytes=7e9))
    stated, predict = LINES[kind]
    found = predict(fit, BUDGET)
    assert (found.value, found.low, found.high) == pytest.approx(predicted)
    unit = {"gib": 2**30, "mib": 2**20, "tokens": 1}[kind.rsplit("_", 1)[1]]
    assert stated == unit


def test_a_pool_without_bytes_has_no_tokens():
    assert LINES["engine_cache_tokens"][1](None, replace(BUDGET, cache_bytes=0.0)).low == 0


@pytest.mark.parametrize(
    ("label", "name"),
    [("vLLM 0.19", "vllm"), ("HF transformers 4.5", "transformers"), ("AutoAWQ", "autoawq"),
     ("TensorRT-LLM 1.0", "tensorrt-llm"), ("mine", None)],
)  # fmt: skip
def test_an_engine_of_a_log_is_known_by_how_its_label_begins(label, name):
    assert engine_of({"engine": label}) == name


def memory_row(place, predicted, *, low=None, high=None, measured=True, fitted=False, kind="a"):
    return MemoryRow(str(place), kind, "vllm", "m", 100.0, predicted, measured, low, high, fitted)


def test_memory_is_judged_by_kinds_of_eight_measured_rows_that_nothing_was_read_off():
    """Seven of 110 and one of 150 bytes for 100; the ends of the interval belong to it."""
    eight = [memory_row(n, 110.0, low=90.0, high=100.0) for n in range(7)]
    eight.append(memory_row(7, 150.0, low=101.0, high=200.0))
    rows = (*eight, memory_row(8, 500.0, fitted=True), memory_row(9, 500.0, measured=False),
            *(memory_row(n, 100.0, kind="b") for n in range(7)))  # fmt: skip
    report = MemoryReport(20, rows, (("x", "no value"), ("y", "no value")))
    assert set(report.judged()) == {"a"}
    assert len(report.judged()["a"]) == 8
    shown = json.loads(report.json_text())
    assert shown["judged"]["a"] == {
        "rows": 8, "median": 0.1, "p90": 0.5, "bias": 0.1, "coverage_80": 0.875,
    }  # fmt: skip
    assert shown["by_kind"]["b | vllm"]["median"] == 0
    text = plainly(report.text(each=True))
    assert " a 8 10.0 % 50.0 % 10.0 % 88 %" in text
    assert "a | vllm 10 10.0 % 400.0 % 10.0 % 88 %" in text
    assert " 7 m +50.0 %" in text
    assert "20 rows, 17 compared" in text
    assert "skipped 2: no value" in text
    assert MemoryReport(0, (), ()).judged() == {}


def test_kernels_are_told_by_class_way_and_device():
    errors = (np.array([0.1, -0.2]), np.array([0.4]))
    judged = (Judged("gemm", "in sample", "A", errors[0]), Judged("gemm", "in sample", "B",
              errors[1]), Judged("experts", "in sample", "A", np.array([-0.5])))  # fmt: skip
    report = KernelsReport(judged, {"gemm": {"time of the host": 3}}, ())
    whole, experts = report.lines()
    assert whole == {"kernels": "gemm", "how": "in sample", "device": "", "rows": 3, "median": 0.2,
                     "p90": pytest.approx(0.36), "bias": 0.1}  # fmt: skip
    assert (experts["rows"], experts["bias"]) == (1, -0.5)
    assert [line["device"] for line in report.lines(each=True)] == ["", "A", "B", "", "A"]
    text = plainly(report.text(each=True))
    assert "products in sample 3 20.0 % 36.0 % 10.0 %" in text
    assert " B 1 40.0 % 40.0 % 40.0 %" in text
    assert "experts in sample 1 50.0 % 50.0 % -50.0 %" in text
    assert text.endswith("not judged in products: 3 time of the host\nno bound is beaten")
    assert not report.unexplained
    beaten = KernelsReport((Judged("gemm", SHIPPED, "A", errors[0]),), {}, ("x; unexplained",))
    assert beaten.unexplained
    assert OF_FILES in beaten.text()


def compared(error, *, engine="vllm 0.19", phase="token", profile="vllm", low=0.8, high=1.6,
             bound=0.1):  # fmt: skip
    return Compared("r", engine, "d", "m", phase, 1.0, bound, 1 + error, low, high, True, "",
                    profile)  # fmt: skip


TWENTY = [compared(0.01 * n) for n in range(19)] + [compared(-0.6, low=1.1, bound=2.0)]


def test_an_engines_accuracy_is_that_of_twenty_rows_of_a_phase():
    """Errors of 0 to 18 % and of 60: 9.5 % in the middle, 17.1 at nine tenths."""
    found = accuracy([*TWENTY, *[compared(0.5, phase="total")] * 19])
    assert found == {"vllm: each token": {
        "rows": 20, "median_abs_error": 0.095, "p90_abs_error": 0.171, "coverage_80": 0.95,
        "width_median": 2.0, "bound_violations": 1,
    }}  # fmt: skip
    assert figures(TWENTY) == found["vllm: each token"]
    text = plainly(accuracy_text("a title", found))
    assert text.startswith("a title\n")
    assert "vllm: each token 20 9.5 % 17.1 % 95.0 % x 2.00 1" in text
    later = {"vllm: each token": {**figures(TWENTY), "median_abs_error": 0.2}}
    other = {"vllm: each token": {**figures(TWENTY), "p90_abs_error": 0.7}}
    hidden = {**found, "vllm: prefill": figures(TWENTY), "mine: each token": figures(TWENTY)}
    told = readme_table(hidden, later, other).splitlines()
    first, after, left = (f"{0.095:.0%}, 17% (95%)", "20%, 17% (95%)", f"{0.095:.0%}, 70% (95%)")
    assert told[2] == f"| vllm | {first} | {after} | {left} |  |  |  |"
    assert told[3] == "| sglang |  |  |  |  |  |  |"
    assert len(told) == 2 + len(SHOWN)
    assert trainers([]) == {}
    assert set(trainers(TWENTY)) == {"all", "vllm: each token"}


def test_engines_of_before_stand_beside_what_was_said_of_the_same_rows_then():
    """Of 22 rows that were read then the first 20 are compared, with errors of 0, 1 ... 19 %, where
    the file has its own; a row that was not read then is left out."""
    from thermoflop.cost.data import read_data

    then = read_data("errors_before")["ExLlamaV2"]
    known = list(then)[: len(TWENTY)]
    rows = [replace(each, row_id=name) for each, name in zip(TWENTY, known, strict=True)]
    (line,) = plainly(beside_before([*rows, TWENTY[0]])).splitlines()[3:]
    shown = [f"ExLlamaV2 {len(TWENTY)} 9.5 % 17.1 % 95.0 %"]
    for which in (0, 1):
        errors = sorted(abs(then[name][which]) for name in known)
        shown.append(f"{100 * (errors[9] + errors[10]) / 2:.1f} %")
        shown.append(f"{100 * (0.9 * errors[17] + 0.1 * errors[18]):.1f} %")
    # of one model every draw is all of it
    now, before = sorted(abs(each.error) for each in rows), sorted(abs(then[n][1]) for n in known)
    changed = (now[9] + now[10] - before[9] - before[10]) / 2
    assert line.strip() == " ".join([*shown, f"{changed:+.1%} .. {changed:+.1%}"])


def test_a_change_of_one_model_that_another_undoes_may_be_chance():
    """Of two models with as many rows one is 10 points better and one 10 points worse: one draw in
    four has only the one, one in four only the other; the median of both has not changed."""
    now, then = np.array([0.1, 0.1, 0.3, 0.3]), np.array([0.2, 0.2, 0.2, 0.2])
    assert change(now, then, ["a", "A", "b", "b"]) == (-0.1, 0.1)
    assert change(now, then + 0.2, ["a", "a", "b", "b"]) == (-0.3, -0.1)


def test_a_report_of_times_has_a_line_for_each_group_and_what_beats_its_bound():
    report = TimesReport(30, tuple(TWENTY), (("a", "odd"),), tuple(TWENTY), (), tuple(TWENTY))
    text = plainly(report.text(each=True))
    assert "30 rows, 20 compared, 1 skipped" in text
    for name in ("all", "token", "vllm 0.19", "d"):
        assert f"{name} 20 20 1 9.5 % 9.5 % 17.1 % 8.5 % 95.0 %" in text, name
    assert "beats the bound: r vllm 0.19, m on d: 1.00 s against 2.00 s; unexplained" in text
    assert "skipped 1: odd" in text
    assert "fitted to rows before 2026-03, held against those after" in text
    assert "each trainer left out" in text
    shown = json.loads(report.json_text())
    assert shown["rows"] == 30
    assert shown["later_than_the_fit"]["vllm: each token"]["rows"] == 20
    assert shown["trainer_left_out"]["all"]["median_abs_error"] == 0.095
    joined = report.joined(report)
    assert (joined.rows, len(joined.later), len(joined.trainers)) == (60, 40, 40)


def test_later_rows_and_other_devices_have_their_own_blocks():
    prompts = tuple(replace(each, phase="prefill") for each in TWENTY)
    report = TimesReport(30, tuple(TWENTY), (), later=tuple(TWENTY), elsewhere=prompts)
    blocks = {block.partition("\n")[0]: block for block in report.text().split("\n\n")}
    later = blocks["fitted to rows before 2026-03, held against those after"]
    elsewhere = blocks["each device left out, of engines of today"]
    assert ("vllm: each token" in later, "vllm: prefill" in later) == (True, False)
    assert ("vllm: each token" in elsewhere, "vllm: prefill" in elsewhere) == (False, True)


def test_a_curve_goes_on_beyond_its_ends_as_steep_as_between_its_last_two_points():
    speeds, rates = np.array([1.0, 2.0, 4.0]), np.array([10.0, 9.0, 3.0])
    found = [_at(speed, speeds, rates) for speed in (0.0, 1.0, 1.5, 3.0, 5.0)]
    assert found == [11, 10, 9.5, 6, 0]
    assert _at(9.0, speeds[:1], rates[:1]) == 10


def test_choices_are_made_at_speeds_that_two_layouts_share():
    """Batches of 4 and 32 of three layouts, and of experts over 8 devices, on steps that are
    known: tokens/s a device are the batch over the step and the devices."""
    members = []
    for plan, steps in ((Layout(1), (0.02, 0.08)), (Layout(2), (0.01, 0.05)),
                        (Layout(2, ep=8), (0.005, 0.01))):  # fmt: skip
        for batch, step in zip((4, 32), steps, strict=True):
            made = row("vllm", 2, "token", batch, mixes=True)
            question = replace(made.question, plan=plan)
            span = SimpleNamespace(expected_s=step, bound_s=step / 2)
            members.append((replace(made, question=question, measured_s=step), span))
    found = _choices("a group", members)
    # from the start of the second slowest, 1 / 0.05, to the end of the second fastest, 1 / 0.01;
    # at 67 a user only one layout was measured
    assert [each.tokens_per_s_user for each in found] == pytest.approx(
        [20 * 5 ** (n / 4) for n in (0, 1, 2, 4)]
    )
    for each in found:
        assert (each.regrets[0], each.error) == (0, 0)
        assert each.chosen == each.best
    # at 50 a user: 4 of one device, and of two at 50 between (20, 320) and (100, 200)
    at = log(50)
    two = np.interp(at, [log(20), log(100)], [log(320), log(200)])
    assert found[0].layouts == 2
    assert two > log(4 / 0.02)
    assert _choices("a group", members[:4]) == []


def test_a_time_that_is_published_twice_counts_once():
    one = row("vllm", 2, "token", mixes=True)
    close = replace(one, measured_s=one.measured_s * 1.004)
    far = replace(one, measured_s=one.measured_s * 1.006)
    assert _once([one, close, far]) == [one, far]
    other = replace(close, model_name="other")
    assert _once([one, other]) == [one, other]


def test_the_choosers_stand_side_by_side():
    choices = tuple(
        Chosen("g", "vllm", 50.0, 3, "tp=2", "tp=4", (lost, 0.5, 0.0, 0.1), error)
        for lost, error in ((0.0, 0.1), (0.05, -0.2), (0.41, 0.3), (0.0, 0.0))
    )
    text = plainly(PlanReport(40, 2, choices).text(each=True))
    assert "4 choices between measured layouts of 2 groups (40 rows)" in text
    assert "expected 50% 75% 11.5% 30.2%" in text
    assert "bound 0% 0% 50.0% 50.0%" in text
    assert "fewest devices 100% 100% 0.0% 0.0%" in text
    assert "most devices 0% 0% 10.0% 10.0%" in text
    assert "(expected; 4 choices)" in text
    assert "off by 15% at the median, 27% at p90" in text
    assert "g at 50: tp=4 for tp=2, regret 41.0%" in text
    assert PlanReport(5, 0, ()).text().startswith("5 rows, but no group of 3 measured layouts")


def test_a_version_is_dated_by_the_first_of_its_rows():
    rows = [row("vllm 0.19", 2, "token", date=date) for date in ("2026-02-03", "", "2026-01-09")]
    rows += [row("vllm 0.20", 2, "token", date=""), row("vllm 0.20", 4, "token", date="2026-05")]
    rows.append(row("sglang", 2, "token", date=""))
    assert months_of(rows) == ["2026-02", "2026-01", "2026-01", "2026-05", "2026-05", ""]


def test_rows_from_a_month_on_are_expected_from_those_before():
    """Those after are twice as slow: what is expected of them is what came before."""
    from thermoflop.cost.fitting.together import Together

    before = [*served("vllm", (2, 4), date="2026-01"), *served("vllm", (8,), date="2026-02")]
    after = served("vllm 0.99", (2, 16), 2.0, date="2026-03")
    found = predicted_later(Together([*before, *after]))
    assert [each.measured_s for each, _ in found] == [each.measured_s for each in after]
    for each, span in found:
        if each.phase == "token":
            assert span.expected_s == pytest.approx(each.measured_s / 2, rel=0.2)
        assert span.bound_s <= span.low_s <= span.expected_s <= span.high_s
    same = predicted_later(Together([*before, *served("vllm", (2, 16), 2.0, date="2026-03")]))
    for (_, wide), (_, narrow) in zip(found, same, strict=True):
        assert wide.high_s / wide.expected_s > narrow.high_s / narrow.expected_s
    assert predicted_later(Together(before)) == []
    assert predicted_later(Together(after)) == []


def test_every_row_is_held_out_in_its_own_place():
    """Engines each by itself, those of today together, and one that only checks its bound."""
    rows = [*rows_of_engine("alpha", (2, 4)), *rows_of_engine("beta", (2, 8))]
    joined = [*served("vllm", (2, 4), date="2026-01"), *served("vllm", (4, 8), device=OTHER)]
    bare = replace(rows[0], expected=False, row_id="bare", reason="bound only")
    mixed = [*rows[:5], *joined, bare, *rows[5:]]
    held, later, elsewhere, others = held_out(mixed)
    assert [each.row_id for each in held] == [each.row_id for each in mixed]
    assert [each.measured_s for each in held] == [each.measured_s for each in mixed]
    assert [each.row_id for each in later] == [each.row_id for each in joined[8:]]
    assert others == []
    assert [each.row_id for each in elsewhere] == [each.row_id for each in joined]
    (alone,) = [each for each in held if not each.has_expectation]
    assert (alone.row_id, alone.expected_s) == ("bare", alone.bound_s)
    for each in held:
        assert each.bound_s <= each.low_s <= each.expected_s <= each.high_s
        assert each.profile == each.engine
    close = [each for each in held if each.engine in ("alpha", "vllm") and each.phase == "token"]
    assert all(abs(each.error) < 0.35 for each in close if each.has_expectation)
    one, rounded = rows[0], replace(rows[0], measured_s=rows[0].measured_s * (1 + 1e-6))
    assert identity(one) == identity(rounded) != identity(rows[1])


def test_a_report_has_a_block_for_trainers_where_some_were_left_out_and_not_else():
    text = TimesReport(30, tuple(TWENTY), ()).text()
    assert "each model left out" in text
    assert "each trainer left out" not in text
