"""What somebody measured and published: a question with a measurement beside it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from thermoflop.base.record import record, replace
from thermoflop.cost.inference.question import Question, answer
from thermoflop.cost.training.train import expect_training
from thermoflop.errors import ThermoflopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from thermoflop.cost.catalogue.profile import Profile
    from thermoflop.cost.roofline.span import Span
    from thermoflop.cost.training.iteration import Iteration

    Skips: TypeAlias = list[tuple[str, str]]


@record
class Row:
    """``measured_s`` seconds of the ``phase`` that ``question`` asks for.

    ``expected``: an expectation can be held against it; else the bound alone, for ``reason``.
    """

    row_id: str
    source: str
    model_name: str
    phase: str
    measured_s: float
    question: Question | Iteration
    expected: bool = True
    reason: str = ""

    def predicted(self, profile: Profile) -> Span:
        """Bound, expectation and interval, through the functions that ``estimate`` and ``train``
        call; the version of the engine, and its age, are those of the row."""
        label = self.question.engine
        asked = f"{label} {getattr(self.question, 'date', '')}"
        labelled = replace(profile, label=label, asked=asked)
        if isinstance(self.question, Question):
            return answer(self.question, labelled)
        return expect_training(self.question, labelled)[0]


class Skipped(ThermoflopError):
    """A row that cannot be compared, with the reason."""


def rows_of(
    raw_rows: Iterable[dict[str, Any]], read: Callable[[dict[str, Any]], Any]
) -> tuple[list[Any], Skips]:
    """What ``read`` makes of each raw row, and the rows that it cannot use with the reason."""
    rows, skipped = [], []
    for number, raw in enumerate(raw_rows):
        name = str((raw.get("id") if isinstance(raw, dict) else None) or f"row {number}")
        try:
            if not isinstance(raw, dict):
                raise Skipped("not an object")
            rows.append(read(raw))
        except Skipped as reason:
            skipped.append((name, str(reason)))
        except ThermoflopError as error:
            skipped.append((name, f"not understood: {error}"[:100]))
        except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
            skipped.append((name, f"malformed: {error!r:.80}"))
    return rows, skipped


def by_reason(skipped: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How many rows were left out for each reason."""
    return Counter(reason for _, reason in skipped)
