"""Which profiles are meant by words: names with them, or the one that speaks for what they name."""

from __future__ import annotations

from thermoflop.base.messages import expected
from thermoflop.base.record import record
from thermoflop.base.units import shortened, table, wrapped
from thermoflop.cost.catalogue.profiles import find_profile, profiles, training_profiles
from thermoflop.cost.catalogue.profiles_text import profiles_json, profiles_text, trainers
from thermoflop.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

NOTE = (
    "Trainers, for `train --profile`. An interval holds 80 % of the measured iterations of models "
    "that a fit has not seen; what follows a / is a kind of model."
)


@record
class Asked:
    """Names of profiles of engines and of trainers; ``said`` where another name speaks for it."""

    engines: tuple[str, ...]
    trainers: tuple[str, ...]
    said: str = ""

    def json(self) -> list[dict[str, Any]]:
        """One object a profile."""
        return [*profiles_json(self.engines.__contains__), *map(_trainer_json, self.trainers)]

    def __str__(self) -> str:
        parts = [wrapped(self.said)] if self.said else []
        parts += [profiles_text(self.engines.__contains__)] if self.engines else []
        return "\n\n".join([*parts, *(_trainers_text(self.trainers) if self.trainers else ())])


def asked_profiles(words: Sequence[str]) -> Asked:
    """The profiles whose names have all of these words; where none has, the one that speaks for
    what they name, as ``vllm@0.11`` for ``vllm@0.6``. InputError where none does."""
    wanted = [word.lower() for word in words]

    def named(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if all(word in name for word in wanted))

    known = tuple(profiles())
    trained = tuple(name for name in training_profiles() if name != "default") if words else ()
    found = Asked(named(known), named(trained))
    if found.engines or found.trainers:
        return found
    asked = " ".join(words)
    try:
        name = find_profile(asked).name
    except InputError:
        name = ""
    if name not in known:
        near = expected(asked, [*known, *trainers()])
        raise InputError(f"{asked!r:.60} is in no profile's name: {near}")
    return Asked((name,), (), f"{asked}: the profile {name} speaks for it")


def _trainer_json(name: str) -> dict[str, Any]:
    profile = training_profiles()[name]
    return {
        "name": name, "rows": profile.rows, "models": profile.models,
        "devices": list(profile.devices), "labels": list(profile.labels),
        "intervals": {phase: [each.low, each.high] for phase, each in profile.intervals.items()},
    }  # fmt: skip


def _trainers_text(names: Sequence[str]) -> list[str]:
    rows = [["", "rows", "models", "devices", "iteration, 80 %"]]
    for name in names:
        profile = training_profiles()[name]
        spread = profile.intervals.get("iteration") or profile.intervals["all"]
        rows.append(
            [shortened(name, 30), f"{profile.rows:,}", str(profile.models),
             str(len(profile.devices)), f"x {spread.low:.2f} .. {spread.high:.2f}"]
        )  # fmt: skip
    return [table(rows, least=("models", "devices")), wrapped(NOTE)]
