"""Several shapes in one go, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from thermoflop.base.plain import attributes
from thermoflop.base.record import plain
from thermoflop.bench.backend import Backend
from thermoflop.bench.kernels import Pool
from thermoflop.bench.limits import Best
from thermoflop.bench.measure import PHASES, Bench, Case, OperatorRow, StepRow, check_case
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.errors import InputError, UsageError

_GPU_MODELS = ("gpt2-xl", "llama-3-8b", "mixtral-8x7b")


@dataclass(frozen=True, slots=True)
class Suite:
    """Shapes, and the backend, device and format that they are for."""

    cases: tuple[Case, ...]
    backend: str = "numpy"
    device: str = "cpu"
    dtype: str = "fp32"


SUITES = {
    "cpu": Suite((
        Case("gpt2", 1, 128, 32), Case("gpt2", 1, 512, 32), Case("gpt2", 4, 128, 16),
        Case("opt-125m", 8, 32, 16), Case("pythia-160m", 2, 256, 16),
        Case("smollm2-135m", 1, 192, 16), Case("smollm2-360m", 1, 64, 16),
        Case("qwen2-0.5b", 1, 128, 12),
    )),
    "gpu": Suite(
        tuple(Case(model, batch, 512, 64) for model in _GPU_MODELS for batch in (1, 8, 64)),
        "torch", "cuda", "bf16",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """Options of the command line; None where one was not given."""

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


@dataclass(frozen=True, slots=True)
class Selection:
    """The shapes to run, and whether operators alone, whole decoder steps, or both."""

    cases: Sequence[Case]
    operators: bool = True
    steps: bool = True


@dataclass(slots=True)
class BenchResult:
    """What was measured; ``absent`` names what was not run, and why."""

    operators: list[OperatorRow] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    best: Best | None = None

    @property
    def median_operator_error(self) -> float | None:
        """Median of the absolute errors of all operators that ran; None without expectations."""
        errors = [abs(row.error) for row in self.operators if row.error is not None]
        return median(errors) if errors else None

    @property
    def inside(self) -> tuple[int, int]:
        """Steps whose interval holds the measured time, and steps that have one."""
        held = [row.is_inside for row in self.steps if row.is_inside is not None]
        return sum(held), len(held)

    @property
    def faster_than_bound(self) -> list[str]:
        """What ran faster than its bound: one of the two is wrong."""
        rows: list[tuple[str, float | None, float]] = [
            (f"{row.model} {row.phase} {row.name}", row.fastest_s, row.bound_s)
            for row in self.operators
        ]
        rows += [(f"{row.model} {row.phase}", row.fastest_s, row.bound_s) for row in self.steps]
        return [name for name, fastest_s, bound_s in rows if fastest_s and fastest_s < bound_s]

    def to_json(self) -> dict[str, Any]:
        """Everything as data."""
        inside, intervals = self.inside
        return {
            **self.facts,
            "operators": [row.to_json() for row in self.operators],
            "steps": [row.to_json() for row in self.steps],
            **attributes(self, "absent", "median_operator_error"),
            "steps_inside": inside,
            "steps_with_interval": intervals,
            "faster_than_bound": self.faster_than_bound,
        }


def cases_of(options: BenchOptions) -> tuple[Case, ...]:
    """A suite's shapes with its sizes replaced by those given, or all models with all sizes."""
    suite, models, generate = options.suite, options.models, options.generate
    if suite is not None and models:
        raise UsageError(f"--suite {suite} names its own models: expected it or {models[0]!r:.40}")
    if suite is None and not models:
        raise UsageError("nothing to run: expected a MODEL, or --suite cpu or gpu")
    changed = [
        replace(
            case, batch=batch, prompt=prompt, layers=options.layers,
            generate=case.generate if generate is None else generate,
        )
        for case in (SUITES[suite].cases if suite is not None else map(Case, models))
        for batch in options.batches or (case.batch,)
        for prompt in options.prompts or (case.prompt,)
    ]  # fmt: skip
    return tuple(dict.fromkeys(changed))


def check_cases(cases: Sequence[Case]) -> None:
    """Refuse models that cannot be read, and cases of which none can be run, in no time."""
    from thermoflop.model.load import load_model

    refused = []
    for case in cases:
        try:
            check_case(case, load_model(case.model))
        except UsageError as error:
            refused.append(error)
    if cases and len(refused) == len(cases):
        raise refused[0]


def run_suite(
    selection: Selection, backend: Backend, pool: Pool, best: Best, profile: Profile | None,
    on_row: Callable[[OperatorRow | StepRow | str], None],
) -> BenchResult:  # fmt: skip
    """Run every case; ``on_row`` gets each row, and a sentence before each case."""
    from thermoflop.model.load import load_model

    result = BenchResult()
    result.facts = {
        "backend": backend.name, "device": backend.device, "dtype": backend.dtype,
        "libraries": backend.describe(), "gpu": backend.gpu(), "best": plain(best),
        "profile": profile.machine.provenance if profile is not None and profile.machine else None,
    }  # fmt: skip
    models = {case.model: load_model(case.model) for case in selection.cases}
    for case in selection.cases:
        try:
            bench = Bench(case, models[case.model], backend, pool, best, profile)
        except UsageError as error:
            if len(selection.cases) == 1:
                raise
            result.absent.append(f"{case.model} batch {case.batch}: {error}")
            on_row(result.absent[-1])
            continue
        try:
            _run_case(bench, selection, result, on_row)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            result.absent.append(f"{case.model} batch {case.batch}: memory ran out ({error})"[:200])
            on_row(result.absent[-1])
    return result


def _is_out_of_memory(error: Exception) -> bool:
    """numpy's and Python's own error, or torch's, which is known by its name alone."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _run_case(
    bench: Bench, selection: Selection, result: BenchResult,
    on_row: Callable[[OperatorRow | StepRow | str], None],
) -> None:  # fmt: skip
    case = bench.case
    fewer = "" if bench.layers == bench.all_layers else f" of {bench.all_layers}"
    on_row(
        f"{case.model}: {bench.layers}{fewer} layers, batch {case.batch}, "
        f"prompt {case.prompt}, {case.generate} tokens generated"
    )
    if selection.operators:
        for phase in PHASES:
            for operator in bench.operators(phase):
                result.operators.append(operator)
                on_row(operator)
                if operator.measured_s is None:
                    result.absent.append(f"{case.model} {phase} {operator.name}: no kernel for it")
    if selection.steps:
        for step in bench.steps():
            result.steps.append(step)
            on_row(step)


def check_profile(profile: Profile, gpu: str) -> None:
    """InputError for a profile that was not measured on this machine, or not measured at all."""
    from thermoflop.cost.catalogue.machine import machine

    machine_profile = profile.machine
    if machine_profile is None:
        raise UsageError(
            f"profile {profile.name} rests on published rows: expected one of this machine, "
            "made with 'thermoflop calibrate'"
        )
    here, there = machine(gpu), machine_profile.made["machine"]
    if here != there:
        differs = [key for key in {**here, **there} if here.get(key) != there.get(key)]
        key = differs[0]
        raise InputError(
            f"profile {profile.name} is of another machine ({key} {there.get(key)!r:.60}, "
            f"here {here.get(key)!r:.60}): make one here with 'thermoflop calibrate'"
        )
