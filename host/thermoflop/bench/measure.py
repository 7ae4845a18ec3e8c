"""Time every operator of a step, and whole steps, and set bound and expectation beside each.

An operator runs alone, its weights and its part of the cache coming from memory (see ``kernels``);
a step is the whole decoder. What is reported is the median, with the fastest and slowest beside it.
Each is a phase of a recording, marked with what was expected of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from statistics import median
from typing import TYPE_CHECKING, Any

from thermoflop.bench.backend import Backend, times
from thermoflop.bench.decoder import Decoder, check_runs, with_layers
from thermoflop.bench.kernels import Pool, kernel
from thermoflop.bench.limits import Best, cold_share
from thermoflop.cost.engines.engine import Engine
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.estimate import estimate
from thermoflop.cost.roofline.rates import Rates, rates_of
from thermoflop.cost.work.steps import decode_step, middle_context, prefill_step
from thermoflop.cost.work.work import Work, works
from thermoflop.errors import UsageError
from thermoflop.marks import mark, note

if TYPE_CHECKING:
    from thermoflop.cost.catalogue.profile import Profile
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.roofline.span import Span
    from thermoflop.model.model import Model

PHASES = ("prefill", "decode")
_MEMORY_SHARE = 0.85  # of what is free may be taken by a decoder
PREFILLS = 5  # timed, at least


@dataclass(frozen=True, slots=True)
class Case:
    """One shape to run: ``generate`` decode steps behind a prompt, ``layers`` (None: all)."""

    model: str
    batch: int = 1
    prompt: int = 128
    generate: int = 16
    layers: int | None = None


class _Timed:
    """A row with the seconds that were measured beside those that were expected."""

    measured_s: float | None
    expected_s: float | None

    @property
    def error(self) -> float | None:
        """Measured over expected, less 1."""
        measured_s, expected_s = self.measured_s, self.expected_s
        return measured_s / expected_s - 1 if measured_s and expected_s else None


@dataclass(frozen=True)
class OperatorRow(_Timed):
    """One occurrence of one operator, in seconds; ``measured_s`` None when it was not run.

    ``flops`` and bytes are of one occurrence, too; there are ``times`` of them in a step.
    """

    model: str
    batch: int
    phase: str
    name: str
    kind: str
    times: float
    flops: float
    weight_bytes: float
    kv_bytes: float
    activation_bytes: float
    bound_s: float
    expected_s: float | None
    measured_s: float | None
    fastest_s: float | None
    slowest_s: float | None
    runs: int

    def to_json(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {**asdict(self), "error": self.error}


@dataclass(frozen=True)
class StepRow(_Timed):
    """A step of the whole decoder, in seconds. ``low_s`` to ``high_s``: 80 % of runs expected."""

    model: str
    batch: int
    phase: str
    context: int
    layers: int
    all_layers: int
    tokens: int
    bound_s: float
    expected_s: float | None
    low_s: float | None
    high_s: float | None
    measured_s: float
    fastest_s: float
    slowest_s: float
    runs: int

    @property
    def is_inside(self) -> bool | None:
        """Whether the interval holds the measured time."""
        if self.low_s is None or self.high_s is None:
            return None
        return self.low_s <= self.measured_s <= self.high_s

    def to_json(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {**asdict(self), "error": self.error, "is_inside": self.is_inside}


class Bench:
    """One case on one backend. ``best`` gives the bounds, ``profile`` (or None) expectations."""

    def __init__(
        self, case: Case, model: Model, backend: Backend, pool: Pool, best: Best,
        profile: Profile | None = None,
    ) -> None:  # fmt: skip
        """``model`` is the whole one; it is cut to the case's layers, or to those that fit."""
        self.case, self.backend, self.pool, self.best = case, backend, pool, best
        self.profile = profile
        check_case(case, model)
        self.all_layers = layers_of(model)
        self.layers = case.layers or layers_that_fit(model, backend, case)
        self.model = with_layers(model, self.layers)
        self.precision = choose_precision(backend.dtype)

    @property
    def device(self) -> Device:
        """The device whose rates are the bounds: the profile's, or this machine's best."""
        if self.profile is not None and self.profile.machine is not None:
            return self.profile.machine.device
        return self.best.device("this machine", self.backend.dtype)

    @cached_property
    def rates(self) -> Rates | None:
        """The rates at which single operators are expected to run; None without a profile."""
        profile, device = self.profile, self.device
        if profile is None:
            return None
        efficiency = profile.efficiency(device, self.precision)
        curves = profile.curves(device, self.precision)
        return rates_of(device, self.precision, efficiency, profile.engine, curves)

    def works(self, phase: str) -> list[Work]:
        """The operators of a phase as this backend runs them; decoding at the middle step."""
        case, engine = self.case, Engine("bench", (), kernels=self.backend.kernels)
        step = prefill_step(case.prompt, case.batch)
        if phase == "decode":
            step = decode_step(middle_context(case.prompt, case.generate), case.batch)
        return works(self.model.description, step, self.precision, engine.kernels)

    def operators(self, phase: str) -> Iterator[OperatorRow]:
        """Every operator of a phase in turn."""
        around = self.pool.pass_through() if self.backend.device == "cpu" else None
        kept = cold_share(self.pool, self.best)
        for work in self.works(phase):
            bound_s = self.best.bound_s(work, kept)
            expected_s = self._expected_s(work, bound_s)
            seconds = self._timed(work, phase, bound_s, expected_s, around)
            yield OperatorRow(
                model=self.case.model, batch=self.case.batch, phase=phase, name=work.name,
                kind=work.kind, times=float(work.times), flops=float(work.flops),
                weight_bytes=float(work.weight_bytes), kv_bytes=float(work.kv_bytes),
                activation_bytes=float(work.activation_bytes), bound_s=bound_s,
                expected_s=expected_s, measured_s=median(seconds) if seconds else None,
                fastest_s=min(seconds, default=None), slowest_s=max(seconds, default=None),
                runs=len(seconds),
            )  # fmt: skip

    def _expected_s(self, work: Work, bound_s: float) -> float | None:
        if self.rates is None:
            return None
        alone = self.rates.curves
        scale = alone.scale if alone is not None else 1.0
        launching = float(self.rates.gap_s(work))
        busy_s = float(self.rates.operator_s(work)) / float(work.times) - launching
        return max(bound_s, busy_s / scale + launching)

    def _timed(
        self, work: Work, phase: str, bound_s: float, expected_s: float | None,
        around: Callable[[], Any] | None,
    ) -> list[float]:  # fmt: skip
        call = kernel(work, self.pool)
        if call is None:
            return []
        predicted = {"bound_s": bound_s, **({"expected_s": expected_s} if expected_s else {})}
        mark(f"{phase} {work.name}", **predicted)
        seconds = times(self.backend, call, around)
        note(measured_s=median(seconds))
        mark(None)
        return seconds

    def steps(self) -> Iterator[StepRow]:
        """The whole decoder: reading the prompt, then one token after the other."""
        import numpy as np

        case, backend = self.case, self.backend
        decoder = self.decoder()
        most = vocabulary_of(self.model)
        rng = np.random.default_rng(1)
        prompt = backend.ids(rng.integers(0, most, case.batch * case.prompt))
        spans = self.spans()
        mark(None)
        decoder.forward(prompt, 0)
        read = partial(decoder.forward, prompt, 0)
        yield self._step("prefill", spans["prefill"], case.prompt, read, PREFILLS)
        token = backend.ids(rng.integers(0, most, case.batch))
        decoder.forward(token, case.prompt)
        positions = iter(range(case.prompt, case.prompt + case.generate))

        def go_on() -> Any:
            return decoder.forward(token, next(positions))

        yield self._step("decode", spans["decode"], 1, go_on, case.generate)

    def decoder(self) -> Decoder:
        """The decoder with random weights and a cache for the whole generation."""
        case = self.case
        return Decoder(self.model, self.backend, case.batch, case.prompt + case.generate)

    def spans(self) -> dict[str, Span]:
        """Bound, expectation and interval of both phases."""
        case = self.case
        predicted = estimate(
            self.model, self.device, batch=case.batch, prompt=case.prompt,
            generate=case.generate, dtype=self.backend.dtype, profile=self.profile,
        )  # fmt: skip
        return {"prefill": predicted.first_token, "decode": predicted.per_token}

    def _step(
        self, phase: str, span: Span, new: int, call: Callable[[], Any], runs: int
    ) -> StepRow:
        case = self.case
        predicted = {"bound_s": float(span.bound_s)}
        if self.profile is not None:
            names = ("expected_s", "low_s", "high_s")
            predicted |= {name: float(getattr(span, name)) for name in names}
        mark(f"{case.model} batch {case.batch} {phase} {case.prompt}", **predicted)
        seconds = self.backend.timed(call, runs)
        tokens = case.batch * new
        note(measured_s=median(seconds), tokens=tokens * len(seconds))
        mark(None)
        return StepRow(
            model=case.model, batch=case.batch, phase=phase, context=case.prompt,
            layers=self.layers, all_layers=self.all_layers, tokens=tokens,
            bound_s=predicted["bound_s"], expected_s=predicted.get("expected_s"),
            low_s=predicted.get("low_s"), high_s=predicted.get("high_s"),
            measured_s=median(seconds), fastest_s=min(seconds), slowest_s=max(seconds),
            runs=len(seconds),
        )  # fmt: skip


def check_case(case: Case, model: Model) -> None:
    """UsageError for a case that no machine can run."""
    check_runs(model)
    for name in ("batch", "prompt", "generate"):
        value = getattr(case, name)
        if type(value) is not int or not 1 <= value <= 10**6:
            raise UsageError(
                f"--{name} {value!r:.40} makes no sense: expected a whole number from 1 to 1000000"
            )
    most = model.max_positions
    if most is not None and case.prompt + case.generate > most:
        raise UsageError(
            f"--prompt {case.prompt} and --generate {case.generate} pass the {most} positions "
            f"of {model.name}"
        )
    if case.layers is not None:
        with_layers(model, case.layers)


def layers_of(model: Model) -> int:
    """How many layers the decoder has."""
    return int(sum(run.times for run in model.description.stacks[0].runs))


def vocabulary_of(model: Model) -> int:
    """Outputs of the head: the token ids that a prompt may hold."""
    head = model.description.head
    return int(head.outputs) if head is not None else 2


def decoder_bytes(model: Model, backend: Backend, case: Case) -> float:
    """Bytes of a decoder's weights, its cache and its largest activations."""
    head = model.description.head
    # a tied head is kept apart from the embedding here
    extra = float(head.matrix_parameters) if head is not None and model.tied else 0.0
    weights = float(model.params) + extra
    bf16_bytes = float(model.kv_bytes(case.prompt + case.generate, dtype="bf16"))
    cache = case.batch * bf16_bytes / 2
    mixer: Any = model.description.stacks[0].runs[0].layer.mixer
    scores = float(mixer.heads) * case.prompt if backend.kernels == "eager" else 0.0
    # of each row: scores, their mask and their softmax; then the residual stream, its norm, q, k,
    # v, what attention gives, and a feed-forward of some six widths
    hidden = float(model.description.stacks[0].hidden)
    activations = case.batch * case.prompt * (3 * scores + 12 * hidden)
    return backend.element_bytes * (weights + cache + activations)


def layers_that_fit(model: Model, backend: Backend, case: Case) -> int:
    """All layers, or as many as fit into memory. UsageError where not one fits."""
    free_bytes = _MEMORY_SHARE * backend.memory_bytes()
    least, most = 0, layers_of(model)
    while least < most:
        middle = (least + most + 1) // 2
        if decoder_bytes(with_layers(model, middle), backend, case) <= free_bytes:
            least = middle
        else:
            most = middle - 1
    if not least:
        raise UsageError(
            f"not one layer of {model.name} at batch {case.batch} fits into the "
            f"{free_bytes / 1e9:.1f} GB that are free: expected a smaller model or batch"
        )
    return least
