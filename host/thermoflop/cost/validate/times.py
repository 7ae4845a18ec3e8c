"""``thermoflop validate times``: predictions against what others measured.

Every row is predicted by rates that were fitted without it. A row that the package carries is
predicted with its group held out (see ``thermoflop.cost.fitting.crossval``); a row of one's own by the
shipped profile of its engine, or by the pooled ``default`` where the engine is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.cost.fitting.crossval import Measured, engine_name, hold_out, intervals
from thermoflop.cost.data import published
from thermoflop.cost.catalogue.profiles import find_profile, profiles
from thermoflop.cost.published.serving import question_of
from thermoflop.cost.published.names import Skipped
from thermoflop.cost.fitting.terms import PARAMETERS, terms_of
from thermoflop.errors import InputError
from thermoflop.base.record import record, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from thermoflop.cost.catalogue.profiles import Profile
    from thermoflop.cost.published.names import Question

LARGEST_FILE_BYTES = 64 * 2**20


@record
class Compared:
    """One row: seconds measured, of the bound, expected, and of the interval."""

    row_id: str
    engine: str
    device: str
    model: str
    phase: str
    measured_s: float
    bound_s: float
    expected_s: float
    low_s: float
    high_s: float
    has_expectation: bool
    held_out: bool
    reason: str = ""

    @property
    def error(self) -> float:
        """Relative error of the expectation."""
        return self.expected_s / self.measured_s - 1

    @property
    def inside(self) -> bool:
        """Whether the interval holds the measured time."""
        return self.low_s <= self.measured_s <= self.high_s

    @property
    def violates(self) -> bool:
        """Whether the measured time beats the bound."""
        return self.bound_s > self.measured_s


def read_rows(path: str) -> list[dict[str, Any]]:
    """The rows in a file: a JSON array of objects, or an object with ``rows``."""
    import json
    import os

    try:
        if os.path.getsize(path) > LARGEST_FILE_BYTES:  # noqa: PTH202
            raise InputError(f"{path} is larger than {LARGEST_FILE_BYTES:,} bytes")
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            found = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} holds no rows: {error}") from error
    if isinstance(found, dict):
        found = found.get("rows")
    if not isinstance(found, list):
        raise InputError(f"{path} holds no rows: expected a JSON array of objects")
    return found


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


@record
class TimesReport:
    """Everything that was compared, and what was not."""

    rows: int
    compared: tuple[Compared, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def violations(self) -> list[Compared]:
        """Rows that beat their bound."""
        return [each for each in self.compared if each.violates]

    def json_text(self) -> str:
        """One JSON object."""
        import json

        reasons: dict[str, int] = {}
        for _, reason in self.skipped:
            reasons[reason] = reasons.get(reason, 0) + 1
        violating = [
            {"id": each.row_id, "engine": each.engine, "device": each.device, "model": each.model,
             "measured_s": each.measured_s, "bound_s": each.bound_s, "reason": each.reason}
            for each in self.violations
        ]  # fmt: skip
        shown = {
            "rows": self.rows,
            **summary(self.compared),
            "skipped": {"rows": len(self.skipped), "reasons": reasons},
            "violations": violating,
            "by_engine": by(self.compared, lambda each: each.engine),
            "by_device": by(self.compared, lambda each: each.device),
            "by_phase": by(self.compared, lambda each: each.phase),
        }
        return json.dumps(shown, ensure_ascii=False, indent=1)

    def text(self, *, each: bool = False) -> str:
        """Tables by engine and device; with ``each``, every row before them."""
        from thermoflop.cost.validate.text import report_text

        return report_text(self, each=each)


def summary(compared: Sequence[Compared]) -> dict[str, Any]:
    """What one group of rows comes to; null where there is nothing to compare."""
    chosen = [each for each in compared if each.has_expectation]
    errors = np.array([each.error for each in chosen])
    logs = np.log1p(errors) if len(errors) else errors
    latency = np.array([abs(each.error) for each in chosen if each.phase != "prefill"])
    return {
        "compared": len(compared),
        "with_expectation": len(chosen),
        "bound_violations": sum(each.violates for each in compared),
        "median_abs_error": _rounded(np.median(np.abs(errors))) if chosen else None,
        "median_abs_error_latency": _rounded(np.median(latency)) if len(latency) else None,
        "p90_abs_error": _rounded(np.quantile(np.abs(errors), 0.9)) if chosen else None,
        "median_bias": _rounded(np.expm1(np.median(logs))) if chosen else None,
        "coverage_80": _rounded(np.mean([each.inside for each in chosen])) if chosen else None,
    }


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def by(compared: Sequence[Compared], key: Callable[[Compared], str]) -> dict[str, dict[str, Any]]:
    """The summary of every group."""
    names = sorted({key(each) for each in compared})
    return {name: summary([each for each in compared if key(each) == name]) for name in names}


TRAINING_METRICS = frozenset(
    {
        "iteration_time_s", "iteration_time_ms", "achieved_tflops_per_gpu", "model_tflops_per_gpu",
        "tokens_per_s_per_gpu", "tokens_per_s", "mfu_pct", "gpu_hours", "train_minutes",
        "train_days", "total_train_flops", "gpu_hours_per_300B_tokens",
    }
)  # fmt: skip


def is_training(row: object) -> bool:
    """Whether a row measures training: by its metric, or by a key that only training has."""
    if not isinstance(row, dict):
        return False
    return row.get("metric") in TRAINING_METRICS or "global_batch" in row or "train_tokens_b" in row


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


def _together(first: TimesReport, second: TimesReport) -> TimesReport:
    return TimesReport(
        first.rows + second.rows,
        first.compared + second.compared,
        first.skipped + second.skipped,
    )
