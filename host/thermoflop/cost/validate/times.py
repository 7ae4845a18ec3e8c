"""``thermoflop validate times``: predictions against what others measured.

Every row is predicted by rates that were fitted without it. A row that the package carries is
predicted with its group held out (see ``fitting.crossval``); a row of one's own by the
shipped profile of its engine, or by the pooled ``default`` where the engine is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profiles import find_profile, profiles
from thermoflop.cost.data import published
from thermoflop.cost.fitting.crossval import Measured, engine_name, hold_out, intervals
from thermoflop.cost.fitting.questions import terms_of
from thermoflop.cost.fitting.terms import PARAMETERS
from thermoflop.cost.published.files import read_rows
from thermoflop.cost.published.names import Skipped
from thermoflop.cost.published.serving import question_of
from thermoflop.cost.published.training import is_training
from thermoflop.cost.validate.compared import Compared, TimesReport, _together

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from thermoflop.cost.catalogue.profiles import Profile
    from thermoflop.cost.published.names import Question


def identity(question: Question) -> tuple[Any, ...]:
    """What makes two rows the same measurement."""
    return (
        engine_name(question), question.device.name, question.model_name, question.tp,
        question.pp, question.ep, question.precision.name, question.batch, question.prompt,
        question.generate, question.phase, round(question.measured_s, 9),
    )  # fmt: skip


def asked(
    rows: Iterable[dict[str, Any]],
) -> tuple[list[Question], list[tuple[str, str]]]:
    """The questions of the rows, and the rows that cannot be compared with the reason."""
    questions, skipped = [], []
    for number, row in enumerate(rows):
        try:
            questions.append(question_of(row))
        except Skipped as reason:
            name = row.get("id") if isinstance(row, dict) else None
            skipped.append((str(name or f"row {number}"), str(reason)))
        except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
            skipped.append((f"row {number}", f"malformed: {error!r:.80}"))
    return questions, skipped


def compare_held_out(questions: list[Question]) -> list[Compared]:
    """Rows that profiles were fitted to, each with its own group held out."""
    expected = [question for question in questions if question.expected]
    measured = Measured(expected)
    held = hold_out(measured)
    low, high = intervals(measured, held)
    bounds = measured.terms.bound_s
    found = [
        _compared(question, bounds[i], held.seconds[i], low[i], high[i], held_out=True)
        for i, question in enumerate(expected)
    ]
    return found + bounds_only([question for question in questions if not question.expected])


def bounds_only(questions: list[Question]) -> list[Compared]:
    """Rows that are held against the bound alone."""
    terms = terms_of(questions)
    return [
        _compared(question, bound, bound, bound, bound, held_out=False)
        for question, bound in zip(questions, terms.bound_s, strict=True)
    ]


def compare_new(questions: list[Question]) -> list[Compared]:
    """Rows of one's own, by the shipped profiles."""
    expected = [question for question in questions if question.expected]
    terms = terms_of(expected)
    logs = np.zeros((len(expected), len(PARAMETERS)))
    chosen = [_profile_of(question) for question in expected]
    for row, (question, profile) in enumerate(zip(expected, chosen, strict=True)):
        efficiency = profile.efficiency(question.device, question.precision, question.engine)
        logs[row] = [np.log(getattr(efficiency, name)) for name in PARAMETERS]
    seconds = np.maximum(terms.seconds(logs)[0], terms.bound_s) if expected else np.zeros(0)
    found = []
    for row, (question, profile) in enumerate(zip(expected, chosen, strict=True)):
        spread = profile.interval(question.phase, question.device)
        ends = seconds[row] * spread.low, seconds[row] * spread.high
        found.append(_compared(question, terms.bound_s[row], seconds[row], *ends, held_out=True))
    return found + bounds_only([question for question in questions if not question.expected])


def _profile_of(question: Question) -> Profile:
    name = engine_name(question)
    return find_profile(name if name in profiles() else None)


def _compared(
    question: Question, bound: float, expected: float, low: float, high: float, *, held_out: bool
) -> Compared:
    return Compared(
        question.row_id, question.engine, question.device.name, question.model_name,
        question.phase, question.measured_s, float(bound), max(float(expected), float(bound)),
        max(float(low), float(bound)), max(float(high), float(bound)), question.expected,
        held_out, question.reason,
    )  # fmt: skip


def validate_times(files: Sequence[str] = ()) -> TimesReport:
    """The carried rows, or those of files, inference and training, each predicted without itself.

    A row of a file that is one of the carried ones gets its held-out prediction.
    """
    from thermoflop.cost.validate.training import validate_training

    training = validate_training(files)
    carried_rows = published("times")
    carried, skipped = asked(carried_rows)
    held = compare_held_out(carried)
    if not files:
        return _together(TimesReport(len(carried_rows), tuple(held), tuple(skipped)), training)
    order = [q for q in carried if q.expected] + [q for q in carried if not q.expected]
    known = {identity(question): found for question, found in zip(order, held, strict=True)}
    compared: list[Compared] = []
    skipped, count = [], 0
    for path in files:
        rows = [row for row in read_rows(path) if not is_training(row)]
        questions, left_out = asked(rows)
        compared += [
            replace(known[identity(question)], row_id=question.row_id)
            for question in questions
            if identity(question) in known
        ]
        compared += compare_new([each for each in questions if identity(each) not in known])
        skipped += left_out
        count += len(rows)
    return _together(TimesReport(count, tuple(compared), tuple(skipped)), training)
