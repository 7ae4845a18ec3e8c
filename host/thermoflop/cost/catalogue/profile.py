"""A profile: measured rates of an engine, with their spread and what they rest on.

A profile is made by ``fitting.profiles`` from rows that people published, or from rows of
one's own. ``default`` is pooled over all engines and is what speaks for one that is not known. The
interval of an expectation comes from held-out residuals: of other models on devices that the
profile knows, of other devices (wider) on those that it does not.
"""

from __future__ import annotations

from math import exp

from thermoflop.base.record import record, replace
from thermoflop.cost.catalogue.seen import (
    COMPILED,
    SAID,
    Seen,
    kind_of_model,
    moves_of,
    nothing_like,
    of_another_maker,
    tells_format,
    unseen_of_device,
    widened,
)
from thermoflop.cost.engines.abilities import plugin_of
from thermoflop.cost.engines.engine import ENGINES, RENEWED, Engine
from thermoflop.cost.engines.generation import (
    Generation,
    age_of,
    engine_of,
    generation_named,
    version_of,
)
from thermoflop.cost.engines.ggml import apart
from thermoflop.cost.hardware.sustained import carried_over, held_words, of_sheet, sustained_words
from thermoflop.cost.roofline.formula import TIED, Efficiency
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.catalogue.machine import MachineProfile
    from thermoflop.cost.catalogue.own_kernels import OwnKernels
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.cost.roofline.curves import Curves
    from thermoflop.model.model import Model

# Rates of a data sheet that were recalled lay within 2.4 % of what was read later: 21 of 22
# bandwidths and 72 of 78 peaks (gpus.json against gpus_2026.json of the published rows).
RECALLED, RECALLED_RATE = "recalled", 1.024
PHASES = ("prefill", "client", "token", "total")


@record
class Spread:
    """An 80 % interval of measured over expected time, and the held-out rows behind it."""

    low: float
    high: float
    rows: int

    def wider(self, unseen: tuple[str, ...]) -> Spread:
        """The same with what was never seen, by the names of ``seen.EXTRA``."""
        return Spread(*widened(self.low, self.high, unseen), self.rows) if unseen else self


# What a phase is called in a sentence.
WHAT = {"prefill": "prompt", "token": "token"}


@record
class Profile:
    """Fitted rates of an engine, or a machine that was measured.

    ``log_params`` are the fitted points of the parameters of ``Efficiency``, and ``group_offsets``
    what a family of formats, a device or a version adds to them (``fitting.regression``).
    ``intervals`` hold by phase; ``intervals_unseen_device`` on a device that was not fitted, and
    for phases that were not on the devices of ``lacking``, by phase.
    ``label`` is the version of the engine, one of ``labels``, where the user named one; ``asked``
    what they named it by. ``seen`` says what was measured: see ``catalogue.seen``. ``waiting`` is
    what a client waits for (``inference.steady.WAITING``); ``borrowed`` what devices add that
    others told of.

    ``machine``: it was measured on a machine of the user's, and everything comes from there;
    ``own``: kernels were, whose rates replace the fitted ones. ``fixed`` are rates of
    ``Efficiency`` that somebody set, whatever was fitted.
    """

    name: str
    log_params: dict[str, float]
    group_offsets: dict[str, dict[str, float]]
    intervals: dict[str, Spread]
    intervals_unseen_device: dict[str, Spread]
    rows: int
    models: int
    devices: tuple[str, ...]
    labels: tuple[str, ...]
    machine: MachineProfile | None = None
    fixed: dict[str, float] | None = None
    label: str = ""
    asked: str = ""
    seen: Seen = Seen()
    waiting: dict[str, float] | None = None
    own: OwnKernels | None = None
    lacking: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - a record's default is never changed
    borrowed: dict[str, dict[str, float]] = {}  # noqa: RUF012

    @property
    def engine(self) -> Engine:
        """The habits of the engine."""
        named = engine_of(self.name, f"{self.label} {self.asked}")
        return named if self.machine is None else self.machine.engine

    @property
    def counts_prompts(self) -> bool:
        """Whether a step of a full server pays ``prompt_s`` for each prompt that it reads; rates of
        older generations were fitted with that in the passes."""
        return self.generation is not None and self.generation.together

    def knows(self, device: Device) -> bool:
        """Whether rows of this device were fitted."""
        return device.name in self.devices

    @property
    def generation(self) -> Generation | None:
        """The versions that it speaks for; None for a profile of one's own or of one generation."""
        return generation_named(self.name)

    @property
    def fitted(self) -> str:
        """How the rates were fitted."""
        if not self.devices:
            return "all engines pooled"
        generation = self.generation
        alone = generation is None or not generation.together
        return "by itself" if alone else "with others of its time"

    def efficiency(
        self, device: Device, precision: Precision, label: str = "", kind: str = ""
    ) -> Efficiency:
        """The rates for a device and a family of formats, of one version where it is named, and for
        a kind of model that is trained."""
        if self.machine is not None:
            return self.machine.efficiency
        points = dict(self.log_params)
        more = label or self.label, kind, age_of(self.asked or self.name)
        offsets = {**self.borrowed, **self.group_offsets}
        for name, offset in moves_of(offsets, device, precision, *more):
            points[name] += offset
        rates = {name: _value(name, point) for name, point in points.items()}
        if not self.knows(device):
            unseen, today = unseen_of_device(device, self.seen), self.counts_prompts
            rates = carried_over(rates, device, unseen, today=today)
            if device.vendor == "CPU" and not self.engine.ggml:
                rates["m_half"] = 0.0  # a BLAS multiplies one row as a vector, and fills no tile
        if self.own is not None:
            rates |= of_sheet(self.own.rates(device, precision), device, precision.compute)
        rates |= {name: rates[other] for name, other in TIED.items() if name not in rates}
        fixed = of_sheet(self.fixed or {}, device, precision.compute)
        return Efficiency(**{**rates, **fixed})

    def curves(self, device: Device, precision: Precision) -> Curves | None:
        """What was measured on a machine of one's own; None for a profile of published rows.

        UsageError where another device or format is asked for than was measured.
        """
        if self.machine is None:
            return None
        if device.name != self.machine.device.name:
            raise UsageError(
                f"profile {self.name} was measured on {self.machine.device.name}, "
                f"not on {device.name}: leave the device out"
            )
        if precision.name != self.machine.dtype or precision.kv_bytes != precision.activation_bytes:
            raise UsageError(
                f"profile {self.name} was measured in {self.machine.dtype}: "
                f"expected that format, not {precision.name}"
            )
        return self.machine.curves

    def unseen(
        self, device: Device, precision: Precision | None = None, model: Model | None = None
    ) -> tuple[str, ...]:
        """What of a question none of the rows had, by the names of ``seen.EXTRA``.

        Devices that other residuals speak for (``intervals_unseen_device``) are not among them, but
        a maker that none of those had: llama.cpp's and training's have names of their own
        (``engines.ggml.apart``, ``training.unseen``).
        """
        names, elsewhere = list[str](), self.intervals_unseen_device
        serves = {"prefill", "token"} & {*elsewhere} and not self.engine.ggml
        if not (elsewhere or self.knows(device)):
            names += unseen_of_device(device, self.seen)
        elif serves and of_another_maker(device, self.devices):
            names.append("maker")
        kind = kind_of_model(model) if model and self.seen.kinds else ""
        if precision and self.seen.formats and precision.name not in self.seen.formats:
            names.append("expert format" if "experts" in kind else "format")
        names += ["kind"] if kind and kind not in self.seen.kinds else []
        compiled = "maker" in names and device.vendor in COMPILED
        names += ["scans"] if compiled and "recurrent layers" in kind else []
        generation, version = self.generation, version_of(self.asked)
        names += ["version"] if generation and version and not generation.holds(version) else []
        renewed_since = self.engine.name in RENEWED and self.engine not in ENGINES
        names += apart(device) if self.engine.ggml else ()
        return (*names, *(["kernels"] if renewed_since else []))

    def interval(
        self, phase: str, device: Device, precision: Precision | None = None,
        model: Model | None = None, more: tuple[str, ...] = (),
    ) -> Spread:  # fmt: skip
        """The spread of a phase of a question, wider for what was never seen, and for ``more``."""
        measured = self.knows(device) and device.name not in self.lacking.get(phase, ())
        table = (not measured and self.intervals_unseen_device) or self.intervals
        spread = table.get(phase) or table["all"]
        spread = spread.wider((*self.unseen(device, precision, model), *more))
        if device.confidence != RECALLED or self.machine is not None:
            return spread
        return replace(spread, low=spread.low / RECALLED_RATE, high=spread.high * RECALLED_RATE)

    def provenance(self, device: Device, precision: Precision, model: Model | None = None) -> str:
        """What the expectation rests on, in a sentence."""
        parts = [self._rests(), *self.unmeasured(device, precision, model)]
        parts += [] if self.own is None else [self.own.sentence(device, precision)]
        return "; ".join(parts)

    def _rests(self) -> str:
        """The rows or the machine behind the rates."""
        if self.machine is not None:
            return self.machine.provenance
        if self.fixed:
            return (
                f"launch {1e6 * self.fixed['kernel_gap_s']:g} µs and efficiency "
                f"{self.fixed['matmul']:g} are your own; other rates pooled over {self.rows:,} "
                "published rows of all engines, interval that of an engine not seen"
            )
        if not self.devices:
            return (
                f"no engine named: rates pooled over {self.rows:,} published rows of all engines, "
                "interval that of an engine not seen; one that is named has a narrower one "
                "(profile: vllm, llama.cpp, ...)"
            )
        many = len(self.devices)
        models = f"{self.models} model{'s' * (self.models != 1)}"
        rests = f"{self.rows:,} published rows ({models}, {many} device{'s' * (many != 1)})"
        generation = self.generation
        versions = f" of versions {generation.versions}" if generation is not None else ""
        if generation is not None and generation.together:
            versions += " and other engines of its time"
        return f"profile {self.name}: fitted to {rests}{versions}"

    def unmeasured(self, device: Device, precision: Precision, model: Model | None) -> list[str]:
        """What of a question none of the rows had, in parts of a sentence."""
        if self.fixed or self.machine is not None:
            return []
        said = "" if self.knows(device) else held_words(device, precision.compute)
        held = [said] if said else []
        if not self.devices:
            return held
        parts, unseen = list[str](), self.unseen(device, precision, model)
        if not self.knows(device):
            parts.append(f"none of them on {nothing_like(device, unseen)}: interval widened")
        parts += held
        parts += [
            f"no {WHAT[phase]} of them on {device.name}: interval of those widened"
            for phase, names in self.lacking.items()
            if device.name in names
        ]
        if "architecture" in unseen and "maker" in unseen and (words := sustained_words(device)):
            parts.append(words)
        if plugin := plugin_of(self.engine, device):
            parts.append(f"it runs there through {plugin}, whose memory is its own")
        if {"format", "expert format"} & {*unseen}:
            parts.append(f"none of them in {precision.name}: interval widened")
        elif not (tells_format(self.group_offsets, precision) or self.seen.formats):
            parts.append(f"none of them in {precision.name}")
        if model is not None and "kind" in unseen:
            parts.append(f"none of them a model of its kind ({kind_of_model(model)}): widened")
        new = [SAID[name].format(self.asked) for name in unseen if name in SAID]
        parts += [f"{each}: interval widened" for each in new]
        if device.confidence != "read":
            more = ": interval widened" if device.confidence == RECALLED else ""
            parts.append(f"data sheet of {device.name}: {device.confidence}, not read{more}")
        return parts


def _value(name: str, point: float) -> float:
    """An efficiency from its fitted point: see ``thermoflop.cost.fitting.regression.logs_of``."""
    highest = HIGHEST.get(name)
    return exp(point) if highest is None else 1 / (1 / highest + exp(-point))


HIGHEST = {
    "matmul": 0.95, "attention": 0.9, "weights": 0.96, "cache": 0.96, "activations": 0.96,
    "link": 0.95, "expert_matmul": 0.95, "expert_weights": 0.96,
}  # fmt: skip
