"""``thermoflop validate times`` and ``training``: predictions against what others measured.

Every row is predicted by rates that were fitted without it, through the functions that ``estimate``
and ``train`` call. A row that the package carries is predicted with its group held out (see
``fitting.crossval``); a row of one's own by the shipped profile of its engine, or by the pooled
``default`` where the engine is not known.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from thermoflop.base.progress import part
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.profiles import find_profile, profiles, training_profiles
from thermoflop.cost.catalogue.trainers import find_training_profile
from thermoflop.cost.data import published
from thermoflop.cost.fitting.crossval import Measured, hold_out
from thermoflop.cost.fitting.profiles import carried_rows, separate
from thermoflop.cost.fitting.rows import engine_name
from thermoflop.cost.fitting.together import Together
from thermoflop.cost.inference.question import Question
from thermoflop.cost.published.files import read_rows
from thermoflop.cost.published.row import Row, rows_of
from thermoflop.cost.published.serving import serving_row
from thermoflop.cost.published.training import is_training, training_row
from thermoflop.cost.validate.compared import Compared
from thermoflop.cost.validate.dated import predicted_later
from thermoflop.cost.validate.report import TimesReport
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thermoflop.cost.roofline.span import Span

    Read = Callable[[dict[str, Any]], Row]


def validate_times(files: Sequence[str] = ()) -> TimesReport:
    """The carried rows, or those of files, inference and training, each predicted without itself.

    A row of a file that is one of the carried ones gets its held-out prediction.
    """
    with part(0.0, 0.8):
        serving = _report(serving_row, files, lambda raw: not is_training(raw))
    with part(0.8, 1.0):
        return serving.joined(validate_training(files))


def validate_training(files: Sequence[str] = ()) -> TimesReport:
    """The same for rows of training alone."""
    return _report(training_row, files, is_training)


@cache  # half a minute: a file of rows that are carried ones asks again
def _carried(read: Read) -> tuple[list[Row], TimesReport]:
    """The rows that the package carries, each predicted without its group; and judged by date,
    without their device, and without their trainer."""
    raw_rows = carried_rows() if read is serving_row else published("training")
    rows, skipped = rows_of(raw_rows, read)
    compared, *judged = map(tuple, _held_out(rows))
    return rows, TimesReport(len(raw_rows), compared, tuple(skipped), *judged)


def _report(read: Read, files: Sequence[str], is_wanted: Callable[[object], bool]) -> TimesReport:
    """The rows that the package carries, or those of files that are wanted."""
    if not files:
        return _carried(read)[1]
    raw_rows = [raw for path in files for raw in read_rows(path) if is_wanted(raw)]
    mine, skipped = rows_of(raw_rows, read)
    held = held_out(read, mine)
    compared = [
        replace(held[identity(row)], row_id=row.row_id) if identity(row) in held else _new(row)
        for row in mine
    ]
    return TimesReport(len(raw_rows), tuple(compared), tuple(skipped))


def held_out(read: Read, rows: Sequence[Row]) -> dict[tuple[Any, ...], Compared]:
    """By ``identity`` the predictions of the carried rows without their groups; none where none of
    ``rows`` is one of them."""
    carried, _ = rows_of(carried_rows() if read is serving_row else published("training"), read)
    if not {identity(row) for row in carried} & {identity(row) for row in rows}:
        return {}
    known, report = _carried(read)
    return {identity(row): each for row, each in zip(known, report.compared, strict=True)}


def identity(row: Row) -> tuple[Any, ...]:
    """What makes two rows the same measurement, also where one of them was rounded."""
    question = row.question
    how: tuple[object, ...]
    if isinstance(question, Question):
        how = (question.workload, row.phase)
    else:
        how = (question.global_batch, question.micro_batch, question.sequence, question.recompute)
    return (
        engine_name(question), question.device.name, row.model_name, question.plan,
        question.precision.name, *how, float(f"{row.measured_s:.4g}"),
    )  # fmt: skip


def _held_out(rows: Sequence[Row]) -> list[list[Compared]]:
    """Rows that profiles are fitted to, each with its own group held out, in their order.

    Besides those of generations that are fitted together, by what was measured before them, and by
    what was measured on other devices; and iterations, by what other trainers showed.
    """
    apart, alike = separate([row for row in rows if row.expected])
    known: dict[int, Span] = {}
    later: list[Compared] = []
    elsewhere: list[Compared] = []
    trainers: list[Compared] = []
    with part(0.0, 0.5 if alike else 1.0):
        measured = Measured(apart)
        known |= zip(map(id, apart), hold_out(measured).spans, strict=True)
        if all(row.phase == "iteration" for row in apart):
            spans = zip(apart, hold_out(measured, "engine").spans, strict=True)
            trainers = [_compared(row, span) for row, span in spans]
    if alike:
        with part(0.5, 0.8):
            together = Together(alike)
            known |= zip(map(id, alike), together.spans(), strict=True)
        with part(0.8, 0.9):
            later = [_compared(row, span) for row, span in predicted_later(together)]
        with part(0.9, 1.0):
            spans = zip(alike, together.elsewhere(), strict=True)
            elsewhere = [_compared(row, span) for row, span in spans]
    held = [_compared(row, known[id(row)]) if id(row) in known else _new(row) for row in rows]
    return [held, later, elsewhere, trainers]


def _new(row: Row) -> Compared:
    """A row that no profile was fitted to, by the shipped profile of its engine."""
    return _compared(row, row.predicted(profile_of(row))) if row.expected else _bound_only(row)


def profile_of(row: Row) -> Profile:
    """The shipped profile of a row's engine or trainer, or the pooled one."""
    if isinstance(row.question, Question):
        name = engine_name(row.question)
        return find_profile(name if name in profiles() else None)
    trainer, kind = row.question.engine, row.question.kind
    return find_training_profile(trainer if trainer in training_profiles() else None, kind)


def _bound_only(row: Row) -> Compared:
    """A row that is held against the bound alone.

    A layout that does not divide the model evenly cannot be estimated; no device of it does less
    than its even share, so that the bound of the whole model on one device is divided by them all.
    """
    alike, question = 1, row.question
    profile = replace(find_profile(None), name=engine_name(question))
    try:
        bound_s = row.predicted(profile).bound_s
    except UsageError:
        alike = max(question.plan.devices, question.plan.ep)
        whole = replace(row, question=replace(question, plan=Layout()))
        bound_s = whole.predicted(profile).bound_s / alike
    return _compared(row, None, bound_s)


def _compared(row: Row, span: Span | None, bound_s: float = 0.0) -> Compared:
    """A row beside its prediction, or beside its bound alone."""
    bound, expected, low, high = (
        (bound_s,) * 4 if span is None else (span.bound_s, span.expected_s, span.low_s, span.high_s)
    )
    return Compared(
        row.row_id, row.question.engine, row.question.device.name, row.model_name, row.phase,
        row.measured_s, float(bound), float(expected), float(low), float(high), row.expected,
        row.reason, engine_name(row.question),
    )  # fmt: skip
