"""Profiles by name, by the label of an engine, or from a file: those that the package carries and
those of one's own."""

from __future__ import annotations

from functools import cache, lru_cache

from thermoflop.base.messages import expected
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profile import Profile, Spread
from thermoflop.cost.catalogue.seen import Seen
from thermoflop.cost.engines.engine import ENGINES
from thermoflop.cost.engines.generation import profile_name
from thermoflop.cost.roofline.formula import PARAMETERS, PROFILE_KEYS, TIED
from thermoflop.errors import InputError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.catalogue.machine import MachineProfile
    from thermoflop.cost.catalogue.own_kernels import OwnKernels

_ENGINES_FILE, _TRAINERS_FILE = "profiles", "training_profiles"


def profiles() -> dict[str, Profile]:
    """Every profile of an inference engine that the package carries, by name."""
    return {name: _carried(_ENGINES_FILE, name) for name in _lines(_ENGINES_FILE)}


def training_profiles() -> dict[str, Profile]:
    """Every trainer's profile, and the pooled ``default``."""
    return {name: _carried(_TRAINERS_FILE, name) for name in _lines(_TRAINERS_FILE)}


@cache
def _lines(file: str) -> dict[str, str]:
    """What one data file says of each profile, by name: who asks for one has its line alone read,
    which begins with its name."""
    from thermoflop.cost.data import read_lines

    return {line.split('"', 4)[3]: line for line in read_lines(file)}


@cache
def _carried(file: str, name: str) -> Profile:
    """A profile that the package carries, made when it is asked for."""
    import json

    return profile_from(json.loads(_lines(file)[name]))


def profile_from(raw: dict[str, Any]) -> Profile:
    """A profile from its JSON object. InputError for what is not one."""
    try:
        return Profile(
            raw["name"],
            {
                name: float(raw["points"][PROFILE_KEYS.get(name, name)])
                for name in PARAMETERS
                if name not in TIED or name in raw["points"]
            },
            {group: _by_parameter(offsets) for group, offsets in raw["moves"].items()},
            {phase: Spread(*ends) for phase, ends in raw["spread"].items()},
            {phase: Spread(*ends) for phase, ends in raw["spread_elsewhere"].items()},
            raw["rows"],
            raw["models"],
            tuple(raw["devices"]),
            tuple(raw["labels"]),
            seen=Seen(**{name: tuple(names) for name, names in raw.get("seen", {}).items()}),
            waiting=raw.get("waiting"),
            lacking={phase: tuple(names) for phase, names in raw.get("lacking", {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        lacks = f"it has no {error}" if isinstance(error, KeyError) else "a part has another form"
        raise InputError(
            f"not a profile: {lacks:.100} (expected what 'thermoflop calibrate --rows' writes)"
        ) from error


def _by_parameter(offsets: dict[str, float]) -> dict[str, float]:
    """Offsets under the names of ``Efficiency``, from those on disk."""
    names = {key: name for name, key in PROFILE_KEYS.items()}
    return {names.get(key, key): float(value) for key, value in offsets.items()}


def custom_profile(efficiency: float, launch_s: float) -> Profile:
    """A launch cost and a compute efficiency of one's own; other rates are those of ``default``.

    UsageError for an efficiency outside of 0 to 1 or a launch that is negative.
    """
    if not 0 < efficiency <= 1:
        raise UsageError(f"efficiency={efficiency!r:.40} makes no sense: expected above 0, up to 1")
    if not 0 <= launch_s <= 1:
        raise UsageError(f"launch_s={launch_s!r:.40} makes no sense: expected seconds from 0 to 1")
    fixed = {"matmul": efficiency, "attention": efficiency, "kernel_gap_s": launch_s}
    return replace(find_profile(None), fixed=fixed)


def find_profile(name: str | Profile | None) -> Profile:
    """A profile by name, by the label of an engine, from a JSON file, or ``default`` for None."""
    if isinstance(name, Profile):
        return name
    if name is None:
        return _carried(_ENGINES_FILE, "default")
    if not isinstance(name, str):
        raise UsageError(f"profile={name!r:.60} is no profile: expected a name or a file")
    if name.endswith(".json"):
        return _read_profile(name)
    known, low = _lines(_ENGINES_FILE), _name_on_disk(name)
    if low in known:
        return _of_version(low, name)
    from thermoflop.cost.catalogue.machine import machine_profile_names
    from thermoflop.cost.catalogue.own_kernels import find_own

    if (own := find_own(low)) is not None:
        return profile_of(own)
    asked = expected(low, [*known, *machine_profile_names()])
    raise InputError(f"{name!r:.60} is no profile (`thermoflop profiles` lists them): {asked}")


@lru_cache(maxsize=64)  # one answer asks six times
def _name_on_disk(name: str) -> str:
    low = name.strip().lower()
    is_engine = any(low.startswith((engine.name, *engine.prefixes)) for engine in ENGINES)
    return profile_name(low) if is_engine else low


@lru_cache(maxsize=64)
def _of_version(low: str, name: str) -> Profile:
    """The profile with the offsets of a version, where ``name`` is one that it was fitted to."""
    profile, plain = _carried(_ENGINES_FILE, low), name.strip().lower()
    label = next((label for label in profile.labels if label.lower() == plain), "")
    return replace(profile, label=label, asked=name)


def profile_of(own: MachineProfile | OwnKernels) -> Profile:
    """A machine of one's own as a profile, or an engine's with kernels of one's own."""
    from thermoflop.cost.catalogue.own_kernels import OwnKernels

    if isinstance(own, OwnKernels):
        return replace(find_profile(own.engine), own=own)
    machine = own
    spread = {phase: Spread(*ends) for phase, ends in machine.spread.items()}
    count, name = int(machine.made["measurements"]), machine.device.name
    return Profile(machine.name, {}, {}, spread, spread, count, 0, (name,), (), machine)


def _read_profile(path: str) -> Profile:
    from thermoflop.base.files import read_json

    raw = read_json(path, "a profile")
    if "made" in raw:
        from thermoflop.cost.catalogue.own_kernels import own_from

        return profile_of(own_from(raw, path))
    return profile_from(raw)
