"""Making profiles from measured rows: those that the package carries, or a user's own.

``python -m thermoflop.cost.fitting.profiles`` rewrites ``data/profiles.jsonl`` from the carried
rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thermoflop.base.files import write_text
from thermoflop.base.progress import part, tracked
from thermoflop.base.record import fields_of, replace
from thermoflop.cost import data
from thermoflop.cost.catalogue.seen import widened
from thermoflop.cost.fitting.crossval import (
    APART,
    Measured,
    fitted_points,
    folds_of,
    hold_out,
    of_phase,
    quantiles,
    trainers_of,
    unseen_quantiles,
)
from thermoflop.cost.fitting.crossval import LEAST_ROWS as LEAST_OF_A_PHASE
from thermoflop.cost.fitting.together import built_together, is_together
from thermoflop.cost.published.row import Row, rows_of
from thermoflop.cost.published.serving import serving_row
from thermoflop.cost.published.training import training_row
from thermoflop.cost.roofline.formula import PROFILE_KEYS
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.base.number import Array, Indices
    from thermoflop.cost.catalogue.profile import Profile
    from thermoflop.cost.fitting.regression import Regression

    Left = tuple[Array, Indices]
    Ends = Callable[[Array, Indices], tuple[float, float]]
    Spreads = dict[str, tuple[float, float, int]]


def carried_rows() -> list[dict[str, Any]]:
    """The rows of inference that the package carries."""
    return data.published("times") + data.published("serving_2026") + data.published("mlx")


def expected_rows(raw_rows: list[dict[str, Any]]) -> list[Row]:
    """The rows of inference that an expectation can be compared with."""
    return [row for row in rows_of(raw_rows, serving_row)[0] if row.expected]


def separate(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Rows of engines that are fitted each by itself, and of generations fitted together.

    Of the former, what clients of a server waited for is left out: no profile is fitted to it.
    """
    apart = [row for row in rows if not is_together(row) and row.phase != "client"]
    return apart, [row for row in rows if is_together(row)]


def build_profiles(raw_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A profile for every engine with rows, and the pooled one, as JSON objects."""
    apart, together = separate(expected_rows(raw_rows))
    with part(0.0, 0.5):
        built = built_from(Measured(apart))
    with part(0.5, 1.0):
        return built + [_as_json(profile) for profile in built_together(together)]


def build_training_profiles(raw_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A profile for every trainer with rows, and the pooled one, as JSON objects."""
    return built_from(Measured(rows_of(raw_rows, training_row)[0]))


def built_from(measured: Measured) -> list[dict[str, Any]]:
    """The profiles of measured rows."""
    seen = _residuals(measured, "model")
    elsewhere = _residuals(measured, "device")
    unknown = _residuals(measured, "engine")
    engines = sorted(set(measured.engine))
    if set(measured.phase) == {"iteration"}:
        unknown = unknown[0], trainers_of(measured.engine)
    built = [_profile("default", measured, measured.pooled(), unknown, unknown, None)]
    for engine in engines:
        places = measured.rows(engine)
        if len(places) >= LEAST_ROWS:
            regression = measured.fitted(engine, places)
            made = _profile(engine, measured, regression, seen, elsewhere, places)
            counts = [len(set(key[places])) for key in (measured.model, measured.device)]
            builds = {_built(measured.measured[place]) for place in places}
            twins = counts[0] > 1 and len(builds) == 1
            built.append(_of_one(made, built[0], *counts, twins=twins))
    return built


def _of_one(
    made: dict[str, Any], pooled: dict[str, Any], models: int, devices: int, *, twins: bool
) -> dict[str, Any]:
    """The profile of an engine that was measured with one model or on one device, which tell
    nothing of another: its interval is as wide at least as where the engine was never measured,
    and on other devices no wider than that for there being one. Mixtures that are ``twins`` tell of
    each other alone: of another mixture it is as wide at least as on a device left out."""
    spread, elsewhere = made["spread"], made["spread_elsewhere"]
    if twins:
        spread = _at_least(spread, elsewhere)
    if models == 1:
        spread, elsewhere = (_at_least(each, pooled["spread"]) for each in (spread, elsewhere))
    if devices == 1:
        elsewhere = _at_least(spread, pooled["spread_elsewhere"])
    return {**made, "spread": spread, "spread_elsewhere": elsewhere}


def _built(row: Row) -> tuple[str, ...]:
    """What tells a model from its twins: of a mixture that is trained, what its layers' mixers are
    (Kimi K2 is DeepSeek-V3 with more experts); of others, its parameters."""
    model = row.question.model
    if getattr(row.question, "kind", "") != "experts":
        return (str(model.params),)
    mixers = (mixer for run in model.description.runs for mixer in run.layer.mixers)
    return tuple(sorted({type(mixer).__name__ for mixer in mixers}))


def _at_least(spreads: Spreads, least: Spreads) -> Spreads:
    """Intervals by phase, none of which is narrower than those at ``least``."""
    ends = {phase: least.get(phase) or least["all"] for phase in spreads}
    return {
        phase: (min(low, ends[phase][0]), max(high, ends[phase][1]), rows)
        for phase, (low, high, rows) in spreads.items()
    }


# Below this an engine gets no profile of its own.
LEAST_ROWS = 8


def _residuals(measured: Measured, by: str) -> Left:
    """log(measured / predicted) of every row with its group held out, and its group."""
    held = hold_out(measured, by)
    return np.log(measured.seconds / held.seconds), held.group


def _profile(
    name: str,
    measured: Measured,
    regression: Regression,
    seen: Left,
    elsewhere: Left,
    places: Indices | None,
) -> dict[str, Any]:
    """A profile as its JSON object, under the names that it has on disk."""
    chosen = np.flatnonzero(~np.isin(measured.engine, APART)) if places is None else places
    rows = [measured.measured[place] for place in chosen]
    points = fitted_points(measured, regression)
    pooled_trainers = places is None and set(measured.phase) == {"iteration"}
    ends = unseen_quantiles if pooled_trainers else quantiles
    spreads = [_spreads(measured, left, chosen, ends) for left in (seen, elsewhere)]
    return {
        "name": name,
        "points": {_key(parameter): round(value, 5) for parameter, value in points.items()},
        "moves": {
            group: {
                _key(parameter): round(value, 5)
                for parameter, value in offsets.items()
                if abs(value) > 1e-5
            }
            for group, offsets in regression.group_offsets.items()
        },
        "spread": spreads[0],
        "spread_elsewhere": spreads[1],
        "rows": len(rows),
        "models": len({row.model_name.partition(" (w/")[0] for row in rows}),
        "devices": [] if places is None else sorted({row.question.device.name for row in rows}),
        "labels": sorted({row.question.engine for row in rows}),
        **({} if places is None else _lacking(measured, places, *spreads)),
    }


def _lacking(
    measured: Measured, places: Indices, seen: Spreads, elsewhere: Spreads
) -> dict[str, Any]:
    """The devices on which prompts, or tokens, of an engine were not measured that were on others:
    there it has the interval of a device that was not, where that is wider."""
    of = {
        phase: set(measured.device[places[of_phase(measured.phase[places], phase)]])
        for phase in ("prefill", "token")
    }
    lacking = {phase: sorted(set().union(*of.values()) - found) for phase, found in of.items()}
    ends = {phase: [each.get(phase, each["all"]) for each in (seen, elsewhere)] for phase in of}
    wider = {phase for phase, (here, there) in ends.items() if there[1] > here[1]}
    wider = {phase for phase in wider if lacking[phase] and of[phase]}
    lacking = {phase: lacking[phase] for phase in sorted(wider)}
    return {"lacking": lacking} if lacking else {}


def _as_json(profile: Profile) -> dict[str, Any]:
    """A profile of several engines' rows, under the names that it has on disk."""
    return {
        "name": profile.name,
        "points": {_key(name): round(value, 5) for name, value in profile.log_params.items()},
        "moves": {
            group: {_key(name): round(value, 5) for name, value in offsets.items()}
            for group, offsets in profile.group_offsets.items()
        },
        "spread": {
            phase: (each.low, each.high, each.rows) for phase, each in profile.intervals.items()
        },
        "spread_elsewhere": {},
        "rows": profile.rows,
        "models": profile.models,
        "devices": list(profile.devices),
        "labels": list(profile.labels),
        "seen": fields_of(profile.seen),
        "waiting": profile.waiting,
    }


def _key(parameter: str) -> str:
    return PROFILE_KEYS.get(parameter, parameter)


def _spreads(measured: Measured, left: Left, rows: Indices, ends: Ends = quantiles) -> Spreads:
    """The interval by phase, where there are ten rows, and over all phases; of runs that of their
    tokens. Prompts that were not measured have a wider one than what was."""
    logs, group = left
    spreads = {}
    for name in ("prefill", "token", "iteration"):
        chosen = rows[of_phase(measured.phase[rows], name)]
        if len(chosen) >= LEAST_OF_A_PHASE:
            spreads[name] = _ends(logs[chosen], group[chosen], ends)
    low, high, _ = spreads["all"] = _ends(logs[rows], group[rows], ends)
    if "token" in spreads and "prefill" not in spreads:
        low, high = widened(low, high, ("prompts",))
        spreads["prefill"] = round(low, 4), round(high, 4), 0
    return spreads


def _ends(logs: Array, group: Indices, ends: Ends) -> tuple[float, float, int]:
    low, high = ends(logs, group)
    return round(float(np.exp(low)), 4), round(float(np.exp(high)), 4), len(logs)


def profile_from_rows(raw_rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """A profile from one's own measured rows, around what all published engines do.

    The published rows stay in as the centre that few rows of one's own are pulled toward; the
    interval is that of held-out groups of one's own rows. UsageError for fewer than five.
    """
    mine = [row for row in expected_rows(raw_rows) if row.question.engine]
    mine = [row for row in mine if row.phase != "client"]
    if len(mine) < LEAST_OWN_ROWS:
        raise UsageError(
            f"{len(mine)} rows can be compared: expected at least {LEAST_OWN_ROWS} to calibrate"
        )
    renamed = [replace(row, question=replace(row.question, engine=name)) for row in mine]
    measured = Measured([*renamed, *separate(expected_rows(carried_rows()))[0]])
    measured.engine[: len(mine)] = name
    places = np.arange(len(mine))
    residuals = np.zeros(len(measured.measured))
    group = np.zeros(len(measured.measured), dtype=np.int64)
    folds = list(enumerate(folds_of(measured, name)))
    for number, fold in tracked(folds, "holding out group", lambda each: str(each[0] + 1)):
        group[fold] = number
        rest = np.setdiff1d(places, fold)
        without = measured.fitted(name, rest) if len(rest) else measured.pooled(name)
        residuals[fold] = np.log(measured.seconds[fold] / measured.predicted(without, fold))
    left = residuals, group
    return _profile(name, measured, measured.fitted(name, places), left, left, places)


# Below this there is nothing to take a spread from.
LEAST_OWN_ROWS = 5


def write_own(rows_path: str, profile_path: str) -> None:
    """A profile from a file of rows, written to a file that ``profile=`` takes."""
    import json
    import os

    from thermoflop.cost.published.files import read_rows

    name = os.path.splitext(os.path.basename(profile_path))[0]  # noqa: PTH119, PTH122
    profile = profile_from_rows(read_rows(rows_path), name)
    write_text(profile_path, json.dumps(profile, ensure_ascii=False, indent=1) + "\n")


def main() -> None:
    """Rewrite the carried profiles."""
    import json
    from pathlib import Path

    made = {
        "profiles": build_profiles(carried_rows()),
        "training_profiles": build_training_profiles(data.published("training")),
    }
    for name, built in made.items():
        path = str(Path(data.__file__).with_name(f"{name}.jsonl"))
        lines = (f"{json.dumps(profile, ensure_ascii=False)}\n" for profile in built)
        write_text(path, "".join(lines))


if __name__ == "__main__":
    main()
