"""Expectations for training: fitted to the published iterations that the package carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.inference.estimate import Span
    from thermoflop.cost.catalogue.profiles import Profile
    from thermoflop.cost.published.training import TrainingQuestion

_profiles: dict[str, Profile] = {}


def training_profiles() -> dict[str, Profile]:
    """Every trainer's profile, and the pooled ``default``."""
    if not _profiles:
        from thermoflop.cost.data import read_data
        from thermoflop.cost.catalogue.profiles import profile_from

        for raw in read_data("training_profiles"):
            _profiles[raw["name"]] = profile_from(raw)
    return dict(_profiles)


def find_training_profile(name: str | None) -> Profile:
    """A profile by the name of a trainer. UsageError, with those known, for another."""
    known = training_profiles()
    found = known.get(name or "default")
    if found is None:
        raise UsageError(f"{name!r:.60} is no trainer: expected one of {', '.join(known)}")
    return found


def expect_training(question: TrainingQuestion, name: str | None) -> tuple[Span, str]:
    """Bound, expectation and interval of an iteration, and what they rest on."""
    import numpy as np

    from thermoflop.cost.inference.estimate import Span
    from thermoflop.cost.fitting.terms import PARAMETERS, training_terms_of

    profile = find_training_profile(name)
    efficiency = profile.efficiency(question.device, question.precision, question.engine)
    logs = np.log([[getattr(efficiency, parameter) for parameter in PARAMETERS]])
    terms = training_terms_of([question])
    bound = float(terms.bound_s[0])
    expected = max(float(terms.seconds(logs)[0][0]), bound)
    spread = profile.interval("iteration", question.device)
    ends = max(expected * spread.low, bound), max(expected * spread.high, bound)
    words = profile.provenance(question.device, question.precision)
    return Span(bound, expected, *ends), words


def build_training_profiles(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A profile for every trainer with rows, and the pooled one, as JSON objects."""
    from thermoflop.cost.fitting.profiles import built_from
    from thermoflop.cost.fitting.crossval import Measured
    from thermoflop.cost.fitting.terms import training_terms_of

    questions = training_questions(rows)[0]
    return built_from(Measured(questions, training_terms_of(questions)))


def training_questions(
    rows: list[dict[str, Any]],
) -> tuple[list[TrainingQuestion], list[tuple[str, str]]]:
    """The questions of the rows, and the rows left out with the reason."""
    from thermoflop.cost.published.names import Skipped
    from thermoflop.cost.published.training import training_question
    from thermoflop.errors import ThermoflopError

    found, skipped = [], []
    for number, row in enumerate(rows):
        name = row.get("id") if isinstance(row, dict) else None
        try:
            found.append(training_question(row))
        except Skipped as reason:
            skipped.append((str(name or f"row {number}"), str(reason)))
        except ThermoflopError as error:
            skipped.append((str(name or f"row {number}"), f"not understood: {error}"[:100]))
        except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
            skipped.append((str(name or f"row {number}"), f"malformed: {error!r:.80}"))
    return found, skipped
