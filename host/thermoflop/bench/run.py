"""From the options of ``thermoflop bench`` to its results."""

from __future__ import annotations

from collections.abc import Callable

from thermoflop.bench.backends import open_backend
from thermoflop.bench.check import check
from thermoflop.bench.limits import best_from, find_best, open_pool
from thermoflop.bench.measure import OperatorRow, StepRow
from thermoflop.bench.suite import (
    SUITES,
    BenchOptions,
    BenchResult,
    Selection,
    Suite,
    cases_of,
    check_cases,
    check_profile,
    run_suite,
)
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.errors import UsageError

NAME = "mine"


def run_bench(
    options: BenchOptions,
    on_row: Callable[[OperatorRow | StepRow | str], None],
    notify: Callable[[str], None],
) -> BenchResult:
    """Open the backend, check that it computes a decoder right, and run every case.

    ``on_row`` gets rows as they come, ``notify`` sentences for people. UsageError and InputError
    for options that make no sense, before anything runs.
    """

    cases = cases_of(options)
    check_cases(cases)
    profile = None
    if options.profile is not None and not options.calibrate:
        profile = find_profile(options.profile)
    defaults = _default_backend(options, profile)
    backend = open_backend(
        options.backend or defaults.backend,
        options.device or defaults.device,
        options.dtype or defaults.dtype,
    )
    if profile is not None:
        check_profile(profile, backend.gpu())
        _check_backend(profile, backend.name, backend.dtype)
    error = check(backend)
    notify(f"{backend.name} in {backend.dtype}: logits within {error:.1g} of float64")
    if options.calibrate:
        from thermoflop.bench.calibrate.run import calibrate

        calibrate(options.profile or NAME, backend, notify=notify)
        profile = find_profile(options.profile or NAME)
    pool = open_pool(backend)
    if profile is not None and profile.machine is not None:
        best = best_from(profile.machine.levels, profile.machine.device, backend.dtype)
    else:
        notify("looking for this machine's best rates, some seconds")
        best = find_best(backend, pool)
    selection = Selection(cases, options.only != "decoder", options.only != "operators")
    result = run_suite(selection, backend, pool, best, profile, on_row)
    result.best = best
    result.facts["float64_error"] = error
    return result


def _default_backend(options: BenchOptions, profile: Profile | None) -> Suite:
    """The backend, device and format that a profile was measured with or a suite is for."""
    if profile is not None and profile.machine is not None:
        machine = profile.machine
        return Suite((), machine.backend, str(machine.made.get("device", "cpu")), machine.dtype)
    if options.suite is not None and options.backend is None:
        return SUITES[options.suite]
    return Suite(())


def _check_backend(profile: Profile, backend: str, dtype: str) -> None:
    machine = profile.machine
    if machine is not None and (machine.backend, machine.dtype) != (backend, dtype):
        raise UsageError(
            f"profile {profile.name} was measured with {machine.backend} in {machine.dtype}, "
            f"not with {backend} in {dtype}"
        )
