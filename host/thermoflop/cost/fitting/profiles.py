"""Making profiles from measured rows: those that the package carries, or a user's own.

``python -m thermoflop.cost.calibrate`` rewrites ``data/profiles.json`` from the carried rows; with
``ROWS.json PROFILE.json`` it makes a profile of one's own, for ``--profile PROFILE.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.base.files import write_text
from thermoflop.base.record import replace
from thermoflop.cost import data
from thermoflop.cost.fitting.crossval import LEAST_ROWS as LEAST_OF_A_PHASE
from thermoflop.cost.fitting.crossval import Measured, engine_name, folds_of, hold_out, quantiles
from thermoflop.cost.fitting.questions import training_terms_of
from thermoflop.cost.fitting.terms import PARAMETERS
from thermoflop.cost.published.names import Skipped
from thermoflop.cost.published.serving import question_of
from thermoflop.cost.published.training import training_questions
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from thermoflop.cost.fitting.regression import Fit
    from thermoflop.cost.fitting.terms import Array
    from thermoflop.cost.published.names import Question

    Left = tuple[Array, npt.NDArray[np.int64]]


def expected_questions(rows: list[dict[str, Any]]) -> list[Question]:
    """The rows that an expectation can be compared with."""
    found = []
    for row in rows:
        try:
            question = question_of(row)
        except Skipped:
            continue
        if question.expected:
            found.append(question)
    return found


def build_profiles(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A profile for every engine with rows, and the pooled one, as JSON objects."""
    return built_from(Measured(expected_questions(rows)))


def build_training_profiles(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A profile for every trainer with rows, and the pooled one, as JSON objects."""
    questions = training_questions(rows)[0]
    return built_from(Measured(questions, training_terms_of(questions)))


def built_from(measured: Measured) -> list[dict[str, Any]]:
    """The profiles of measured rows."""
    seen = _residuals(measured, "model")
    elsewhere = _residuals(measured, "device")
    unknown = _residuals(measured, "engine")
    engines = sorted(set(measured.engine))
    built = [_profile("default", measured, measured.pooled(), unknown, unknown, None)]
    for engine in engines:
        rows_of = measured.rows(engine)
        if len(rows_of) >= LEAST_ROWS:
            found = measured.fitted(engine, rows_of)
            built.append(_profile(engine, measured, found, seen, elsewhere, rows_of))
    return built


# Below this an engine gets no profile of its own.
LEAST_ROWS = 8


def _residuals(measured: Measured, by: str) -> Left:
    """log(measured / predicted) of every row with its group held out, and its group."""
    held = hold_out(measured, by)
    return np.log(measured.seconds / held.seconds), held.group


def _profile(
    name: str,
    measured: Measured,
    found: Fit,
    seen: Left,
    elsewhere: Left,
    rows: npt.NDArray[np.int64] | None,
) -> dict[str, Any]:
    chosen = np.arange(len(measured.questions)) if rows is None else rows
    questions = [measured.questions[row] for row in chosen]
    return {
        "name": name,
        "points": {p: round(v, 5) for p, v in zip(PARAMETERS, found.base, strict=True)},
        "moves": {
            group: {key: round(value, 5) for key, value in moves.items() if abs(value) > 1e-5}
            for group, moves in found.moves.items()
        },
        "spread": _spreads(measured, seen, chosen),
        "spread_elsewhere": _spreads(measured, elsewhere, chosen),
        "rows": len(chosen),
        "models": len({question.model_name for question in questions}),
        "devices": [] if rows is None else sorted({q.device.name for q in questions}),
        "labels": sorted({question.engine for question in questions}),
    }


def _spreads(
    measured: Measured, left: Left, rows: npt.NDArray[np.int64]
) -> dict[str, tuple[float, float, int]]:
    """The interval by phase, where there are ten rows, and over all phases."""
    logs, group = left
    found = {}
    for name in ("prefill", "token", "total", "iteration"):
        chosen = rows[measured.phase[rows] == name]
        if len(chosen) >= LEAST_OF_A_PHASE:
            found[name] = _ends(logs[chosen], group[chosen])
    found["all"] = _ends(logs[rows], group[rows])
    return found


def _ends(logs: Array, group: npt.NDArray[np.int64]) -> tuple[float, float, int]:
    low, high = quantiles(logs, group)
    return round(float(np.exp(low)), 4), round(float(np.exp(high)), 4), len(logs)


def custom_profile(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """A profile from one's own measured rows, around what all published engines do.

    The published rows stay in as the centre that few rows of one's own are pulled toward; the
    interval is that of held-out groups of one's own rows. UsageError for fewer than five.
    """
    own = [question for question in expected_questions(rows) if question.engine]
    if len(own) < LEAST_OWN_ROWS:
        raise UsageError(
            f"{len(own)} rows can be compared: expected at least {LEAST_OWN_ROWS} to calibrate"
        )
    renamed = [replace(question, engine=name) for question in own]
    known = expected_questions(data.published("times"))
    measured = Measured([*renamed, *known])
    measured.engine = np.array([name] * len(own) + [engine_name(each) for each in known])
    chosen = np.arange(len(own))
    found = measured.fitted(name, chosen)
    residuals = np.zeros(len(measured.questions))
    group = np.zeros(len(measured.questions), dtype=np.int64)
    for number, fold in enumerate(folds_of(measured, name)):
        group[fold] = number
        rest = np.setdiff1d(chosen, fold)
        fit = measured.fitted(name, rest) if len(rest) else measured.pooled(name)
        residuals[fold] = np.log(measured.seconds[fold] / measured.predicted(fit, fold))
    left = residuals, group
    return _profile(name, measured, found, left, left, chosen)


# Below this there is nothing to take a spread from.
LEAST_OWN_ROWS = 5


def write_own(rows_path: str, profile_path: str) -> None:
    """A profile from a file of rows, written to a file that ``profile=`` takes."""
    import json
    import os

    from thermoflop.cost.published.files import read_rows

    name = os.path.splitext(os.path.basename(profile_path))[0]  # noqa: PTH119, PTH122
    found = custom_profile(read_rows(rows_path), name)
    write_text(profile_path, json.dumps(found, ensure_ascii=False, indent=1) + "\n")


def main(words: list[str]) -> None:
    """Rewrite the carried profiles; with ROWS.json PROFILE.json, make one of one's own."""
    import json
    from pathlib import Path

    if len(words) == 2:
        write_own(*words)
        return

    from thermoflop.cost import data

    made = {
        "profiles": build_profiles(data.published("times")),
        "training_profiles": build_training_profiles(data.published("training")),
    }
    for name, built in made.items():
        path = str(Path(data.__file__).with_name(f"{name}.json"))
        text = ",\n".join(json.dumps(profile, ensure_ascii=False) for profile in built)
        write_text(path, f"[\n{text}\n]\n")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
