"""The profiles that are known, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thermoflop.base.units import shortened, table, wrapped
from thermoflop.cost.catalogue.profile import PHASES, Profile
from thermoflop.cost.catalogue.profiles import profiles, training_profiles
from thermoflop.cost.engines.options import option_defaults

# Engines whose options are told below the table.
MOST_TOLD = 3
ELSEWHERE = (
    "`thermoflop profiles vllm` also lists the options that decide on its memory, for "
    "`--engine-option NAME=VALUE` of fit, serving and plan; other engines likewise"
)
TRAINERS = "Trainers, for `train --profile` (`thermoflop profiles NAME` says more): {}"
NOTE = (
    "An engine's own name means its newest generation; a version names the one that holds it "
    "(vllm@0.6). An interval holds 80 % of the measured times of models that a fit has not seen, "
    "and is widened for a device, format, kind of model or version that none of the rows had."
)


def profiles_json(named: Callable[[str], bool] = bool) -> list[dict[str, Any]]:
    """One object a profile, of those whose name is one that is asked for."""
    return [_as_json(profile) for name, profile in profiles().items() if named(name)]


def _as_json(profile: Profile) -> dict[str, Any]:
    generation = profile.generation
    return {
        "name": profile.name,
        "versions": generation.versions if generation is not None else None,
        "until": generation.until if generation is not None else None,
        "fitted": profile.fitted,
        "rows": profile.rows,
        "models": profile.models,
        "devices": list(profile.devices),
        "labels": list(profile.labels),
        "engine_options": option_defaults(profile.engine.name),
        "intervals": {
            phase: [profile.intervals[phase].low, profile.intervals[phase].high]
            for phase in PHASES
            if phase in profile.intervals
        },
    }


def profiles_text(named: Callable[[str], bool] = bool) -> str:
    """A table of the same, the newest generation of an engine before the older ones."""
    rows = [["", "versions", "until", "fitted", "rows", "models", "devices", "token, 80 %"]]
    for name, profile in sorted(each for each in profiles().items() if named(each[0])):
        generation = profile.generation
        spread = profile.intervals.get("token") or profile.intervals["all"]
        rows.append(
            [
                shortened(name, 30), generation.versions if generation is not None else "-",
                generation.until if generation is not None else "-", profile.fitted,
                f"{profile.rows:,}", str(profile.models), str(len(profile.devices) or "-"),
                f"x {spread.low:.2f} .. {spread.high:.2f}",
            ]
        )  # fmt: skip
    least = ("until", "fitted", "models", "devices", "versions")
    shown = table(rows, left=4, least=least)
    return "\n\n".join([shown, wrapped(NOTE), *map(wrapped, _options(rows[1:]))])


def trainers() -> list[str]:
    """The trainers that have a profile."""
    return [name for name in training_profiles() if name != "default" and "/" not in name]


def _options(rows: list[list[str]]) -> list[str]:
    """What options decide on the memory of the engines of a table, with what each is where nothing
    is said; of all engines where they are told."""
    engines = list(dict.fromkeys(name.partition("@")[0] for name, *_ in rows))
    if len(engines) > MOST_TOLD:
        return [TRAINERS.format(", ".join(trainers())), ELSEWHERE]
    engines += ["ollama"] if "llama.cpp" in engines else []
    told = {name: option_defaults(name) for name in engines}
    return [
        f"memory of {name} (fit, serving and plan --engine-option NAME=VALUE): "
        + "; ".join(f"{option} ({default})" for option, default in options.items())
        for name, options in told.items()
        if options
    ]
