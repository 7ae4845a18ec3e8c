"""Rows that no fit has seen: by the profile of their engine, or an even share of a bound."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kit.made_up_rows import row
from thermoflop.base.record import replace
from thermoflop.cost.data import published
from thermoflop.cost.published.row import rows_of
from thermoflop.cost.validate import times
from thermoflop.cost.validate.compared import Compared
from thermoflop.cost.validate.times import _bound_only, _new, profile_of
from thermoflop.cost.work.share import Layout


@pytest.mark.parametrize(
    ("plan", "alike"), [(Layout(3), 3), (Layout(3, dp=2), 6), (Layout(3, ep=7), 7)]
)
def test_no_device_does_less_than_its_even_share_of_the_whole(plan: Layout, alike: int) -> None:
    """Four heads over three devices: each has at least a third of what one alone would have."""
    one = row("vllm", 2, "token", 16)
    whole = replace(one, expected=False, question=replace(one.question, plan=Layout()))
    odd = replace(whole, question=replace(one.question, plan=plan))
    bound = _bound_only(whole).bound_s
    found = _new(odd)
    assert found.bound_s == pytest.approx(bound / alike, rel=1e-12)
    assert found.bound_s == found.expected_s == found.low_s == found.high_s
    assert found.has_expectation is False
    halves = replace(odd, question=replace(one.question, plan=Layout(2)))
    assert bound / 2 <= _bound_only(halves).bound_s < bound


@pytest.mark.parametrize(
    ("trainer", "profile"),
    [("megatron-lm", "megatron-lm"), ("torchtitan", "torchtitan"), ("mine", "default")],
)
def test_an_iteration_is_expected_by_its_trainer_and_one_of_nobodys_by_all(
    trainer: str, profile: str
) -> None:
    question = SimpleNamespace(engine=trainer, kind="")
    assert profile_of(SimpleNamespace(question=question)).name == profile


@pytest.mark.parametrize(
    ("engine", "profile"),
    [("vllm 0.19", "vllm"), ("vllm 0.6", "vllm@0.11"), ("mine", "default")],
)
def test_a_step_is_expected_by_its_engine_and_one_of_nobodys_by_all(
    engine: str, profile: str
) -> None:
    assert profile_of(row(engine, 2, "token")).name == profile


def test_rows_of_serving_are_looked_for_among_those_of_serving(monkeypatch) -> None:
    """And an iteration among those of training."""
    known = row("vllm", 2, "token")
    held = Compared("carried", "e", "d", "m", "token", 1.0, 2.0, 3.0, 4.0, 5.0, True)
    monkeypatch.setattr(times, "carried_rows", lambda: "serving")
    monkeypatch.setattr(times, "published", lambda name: name)
    monkeypatch.setattr(times, "_carried", lambda _: ([known], SimpleNamespace(compared=[held])))
    for read, name in ((times.serving_row, "serving"), (times.training_row, "training")):
        monkeypatch.setattr(
            times, "rows_of", lambda raw, _, name=name: ([known] if raw == name else [], [])
        )
        assert times.held_out(read, [known]) == {times.identity(known): held}
        assert times.held_out(read, [row("vllm", 4, "token")]) == {}


def test_a_carried_row_in_a_file_is_judged_by_the_fit_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And another one by the profile of its engine, under its own name in the file."""
    known, new = row("vllm", 2, "token"), row("vllm", 4, "token")
    held = Compared("carried", "e", "d", "m", "token", 1.0, 2.0, 3.0, 4.0, 5.0, True)
    monkeypatch.setattr(times, "read_rows", lambda _: [1, 2, 3])
    monkeypatch.setattr(times, "rows_of", lambda raw, _: ([known, new], [("x", "why")] * len(raw)))
    monkeypatch.setattr(times, "held_out", lambda *_: {times.identity(known): held})
    report = times._report(SimpleNamespace, ["file"], lambda raw: raw < 3)  # type: ignore[arg-type]
    assert (report.rows, len(report.skipped)) == (2, 2)
    assert report.compared[0] == replace(held, row_id=known.row_id)
    assert report.compared[1] == times._new(new)


def test_iterations_that_differ_in_a_size_are_two_measurements() -> None:
    (known, *_), _ = rows_of(published("training"), times.training_row)
    same = replace(known, measured_s=known.measured_s * (1 + 1e-7))
    assert times.identity(same) == times.identity(known)
    question = known.question
    for name, value in (
        ("global_batch", question.global_batch + 1), ("micro_batch", question.micro_batch + 1),
        ("sequence", question.sequence + 1), ("recompute", "another"),
        ("plan", replace(question.plan, dp=question.plan.dp + 1)),
    ):  # fmt: skip
        other = replace(known, question=replace(question, **{name: value}))
        assert times.identity(other) != times.identity(known), name
