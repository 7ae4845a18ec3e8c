"""``thermoflop validate training``: iterations that others measured, each predicted without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profiles import find_training_profile, training_profiles
from thermoflop.cost.data import published
from thermoflop.cost.fitting.crossval import Measured, hold_out, intervals
from thermoflop.cost.fitting.questions import training_terms_of
from thermoflop.cost.published.files import read_rows
from thermoflop.cost.published.training import is_training, training_questions
from thermoflop.cost.training.train import expect_training
from thermoflop.cost.validate.compared import Compared, TimesReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.training.iteration import TrainingQuestion


def validate_training(files: Sequence[str] = ()) -> TimesReport:
    """The carried rows, or those of files: carried ones held out, new ones by shipped profiles."""
    rows = published("training")
    questions, skipped = training_questions(rows)
    held = _held_out(questions)
    if not files:
        return TimesReport(len(rows), tuple(held), tuple(skipped))
    known = {_identity(question): found for question, found in zip(questions, held, strict=True)}
    compared: list[Compared] = []
    skipped, count = [], 0
    for path in files:
        own = [row for row in read_rows(path) if is_training(row)]
        asked, left_out = training_questions(own)
        for question in asked:
            found = known.get(_identity(question))
            compared.append(
                _new(question) if found is None else replace(found, row_id=question.row_id)
            )
        skipped += left_out
        count += len(own)
    return TimesReport(count, tuple(compared), tuple(skipped))


def _identity(question: TrainingQuestion) -> tuple[object, ...]:
    return (
        question.engine, question.model_name, question.device.name, question.plan,
        question.global_batch, question.micro_batch, question.sequence, question.recompute,
        question.precision.name, round(question.measured_s, 9),
    )  # fmt: skip


def _held_out(questions: list[TrainingQuestion]) -> list[Compared]:
    measured = Measured(questions, training_terms_of(questions))
    held = hold_out(measured)
    low, high = intervals(measured, held)
    return [
        _compared(question, measured.terms.bound_s[i], held.seconds[i], low[i], high[i])
        for i, question in enumerate(questions)
    ]


def _new(question: TrainingQuestion) -> Compared:
    name = question.engine if question.engine in training_profiles() else None
    find_training_profile(name)
    span, _ = expect_training(question, name)
    return _compared(question, span.bound_s, span.expected_s, span.low_s, span.high_s)


def _compared(
    question: TrainingQuestion, bound: float, expected: float, low: float, high: float
) -> Compared:
    return Compared(
        question.row_id, question.engine, question.device.name, question.model_name, "iteration",
        question.measured_s, float(bound), float(max(expected, bound)), float(max(low, bound)),
        float(max(high, bound)), True, True, ", ".join(question.assumed),
    )  # fmt: skip
