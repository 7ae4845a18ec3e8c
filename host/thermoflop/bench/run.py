"""From what was asked on the command line to a finished benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermoflop.bench.backends import open_backend
from thermoflop.bench.check import check
from thermoflop.bench.limits import best_from, find_best, open_pool
from thermoflop.bench.suite import (
    SUITES,
    Found,
    Suite,
    Wanted,
    cases_of,
    check_cases,
    check_profile,
    run_suite,
)
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from thermoflop.bench.measure import OperatorRow, StepRow
    from thermoflop.cost.catalogue.profiles import Profile

NAME = "mine"


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """The words of the command line; None is what was not said."""

    models: Sequence[str] = ()
    batches: Sequence[int] | None = None
    prompts: Sequence[int] | None = None
    generate: int | None = None
    layers: int | None = None
    suite: str | None = None
    only: str | None = None
    profile: str | None = None
    calibrate: bool = False
    backend: str | None = None
    device: str | None = None
    dtype: str | None = None


def run_bench(
    asked: BenchOptions,
    tell: Callable[[OperatorRow | StepRow | str], None],
    say: Callable[[str], None],
) -> Found:
    """Open what was asked for, check that it computes right, and run every case.

    ``tell`` gets rows as they come, ``say`` sentences for people. UsageError and InputError for
    what makes no sense, before anything runs.
    """
    from thermoflop.cost.catalogue.profiles import find_profile

    cases = cases_of(
        asked.models, asked.batches, asked.prompts, asked.generate, asked.layers, asked.suite
    )
    check_cases(cases)
    profile = None
    if asked.profile is not None and not asked.calibrate:
        profile = find_profile(asked.profile)
    habits = _habits(asked, profile)
    backend = open_backend(
        asked.backend or habits.backend, asked.device or habits.device, asked.dtype or habits.dtype
    )
    if profile is not None:
        check_profile(profile, backend.gpu())
        _check_habits(profile, backend.name, backend.dtype)
    error = check(backend)
    say(f"{backend.name} in {backend.dtype}: logits within {error:.1g} of float64")
    if asked.calibrate:
        from thermoflop.bench.calibrate.run import calibrate

        calibrate(asked.profile or NAME, backend, say=say)
        profile = find_profile(asked.profile or NAME)
    pool = open_pool(backend)
    if profile is not None and profile.machine is not None:
        best = best_from(profile.machine.levels, profile.machine.device, backend.dtype)
    else:
        say("looking for this machine's best rates, some seconds")
        best = find_best(backend, pool)
    wanted = Wanted(cases, asked.only != "decoder", asked.only != "operators")
    found = run_suite(wanted, backend, pool, best, profile, tell)
    found.best = best
    found.facts["float64_error"] = error
    return found


def _habits(asked: BenchOptions, profile: Profile | None) -> Suite:
    """The backend, device and format of a profile or a suite, unless said otherwise."""
    if profile is not None and profile.machine is not None:
        own = profile.machine
        return Suite((), own.backend, str(own.made.get("device", "cpu")), own.dtype)
    if asked.suite is not None and asked.backend is None:
        return SUITES[asked.suite]
    return Suite(())


def _check_habits(profile: Profile, backend: str, dtype: str) -> None:
    own = profile.machine
    if own is not None and (own.backend, own.dtype) != (backend, dtype):
        raise UsageError(
            f"profile {profile.name} was measured with {own.backend} in {own.dtype}, "
            f"not with {backend} in {dtype}"
        )
