"""``tf.estimate``: what a run costs in time, memory and energy, with bound, expectation, interval.

One code path for one configuration and for grids: ``batch``, ``prompt`` and ``generate`` may be
numpy arrays of one shape, and then every number of the result is an array. A grid is worked off in
blocks that stay in the processor's cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.cost.roofline.bound import limits_of
from thermoflop.cost.engines.overheads import as_run
from thermoflop.cost.work.share import Share, choose_plan
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.roofline.rates import device_s, fastest_peak, host_s, rates_of, step_overhead_s
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.cost.work.work import window_ends
from thermoflop.errors import UsageError
from thermoflop.base.number import kind_of, maximum
from thermoflop.base.record import record, replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import Any

    from thermoflop.cost.energy import Energy
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.memory import Memory
    from thermoflop.cost.work.share import Plan
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.cost.catalogue.profiles import Profile, Spread
    from thermoflop.cost.roofline.rates import Rates
    from thermoflop.cost.work.work import Work
    from thermoflop.base.number import Number
    from thermoflop.model.model import Model
    from thermoflop.model.operators.step import Step


# Contexts between which measured times are taken to grow evenly.
CURVE_ENDS = tuple(2**power for power in range(4, 21))


@record
class Span:
    """A time in seconds: the bound that no run beats, the expectation, and its 80 % interval."""

    bound_s: Number
    expected_s: Number
    low_s: Number
    high_s: Number


@record
class Estimate:
    """What one run costs. Seconds, bytes, joules; tokens per second over all replicas.

    ``first_token`` is the time to the first token, ``per_token`` the mean time of the following
    ones, ``total`` both together; for an encoder there is the first alone.
    """

    model_name: str
    device: Device
    plan: Plan
    precision: Precision
    batch: Number
    prompt: Number
    generate: Number
    first_token: Span
    per_token: Span
    total: Span
    memory: Memory
    energy: Energy | None
    provenance: str
    conventions: dict[str, str]

    @property
    def tokens_per_s(self) -> Number:
        """Generated tokens a second expected of all sequences, prefill included."""
        return self.batch * self.generate / self.total.expected_s

    @property
    def decode_tokens_per_s(self) -> Number:
        """Generated tokens a second of all sequences once the prompt has been read; 0 for none."""
        seconds = self.per_token.expected_s
        return (seconds > 0) * self.batch / maximum(seconds, 1e-300)

    @property
    def prefill_tokens_per_s(self) -> Number:
        """Prompt tokens a second of all sequences."""
        return self.batch * self.prompt / self.first_token.expected_s

    def __str__(self) -> str:
        from thermoflop.cost.inference.text import estimate_text

        return estimate_text(self)

    def _repr_html_(self) -> str:
        from thermoflop.cost.inference.text import estimate_text

        return f"<pre>{estimate_text(self)}</pre>"


class Setting:
    """What an estimate is made of: a share of a model, a device, a profile, and its rates.

    ``prefix`` tokens of the prompt are cached already, ``chunk`` are read at once (None: as the
    engine does): what the reasons of an estimate are told for.
    """

    def __init__(
        self,
        model: Model,
        device: Device,
        plan: Plan,
        precision: Precision,
        profile: Profile,
        *,
        prefix: int = 0,
        chunk: int | None = None,
    ) -> None:
        self.model, self.device, self.plan, self.precision = model, device, plan, precision
        self.profile, self.prefix = profile, prefix
        self.chunk = profile.engine.chunk if chunk is None else chunk
        self.share = Share(model.description, plan, precision)
        efficiency = profile.efficiency(device, precision)
        curves = profile.curves(device, precision)
        self.rates = rates_of(device, precision, efficiency, profile.engine, curves)
        self.limits = limits_of(device, fastest_peak(device, precision), plan.pp)
        self.ends = window_ends(model.description)
        self.is_eager = profile.engine.kernels != "fused"
        if self.is_eager:
            self.ends = tuple(sorted({*self.ends, *CURVE_ENDS}))

    def prefill(self, prompt: Number, batch: Number, cached: Number = 0) -> list[Work]:
        """The operators that read the prompt."""
        return self.works(self._reading(prompt, batch, cached))

    def least_prefill(self, prompt: Number, batch: Number, cached: Number = 0) -> list[Work]:
        """The same where nothing is wasted: what the bound is made of."""
        return self.share.works(self._reading(prompt, batch, cached))

    def _reading(self, prompt: Number, batch: Number, cached: Number) -> Step:
        logits = "none" if self.model.is_encoder else "last"
        return prefill_step(prompt, batch, cached, logits)

    def works(self, step: Step) -> list[Work]:
        """The operators of a step as the engine runs them: see ``thermoflop.cost.engines.overheads``."""
        engine = self.profile.engine
        if engine.unfused:
            step = replace(step, kernels="eager")
        return as_run(self.share.works(step, engine.kernels), engine, self.precision)

    def check_step(self, new: int, batch: Number, cached: Number) -> Step:
        """The step that checks ``new`` drafted tokens: logits at every one of them."""
        return prefill_step(new, batch, cached, "all")

    def decoding(self, batch: Number) -> Callable[[Number], list[Work]]:
        """The operators of a decode step, by the number of cached tokens."""
        return lambda cached: self.works(decode_step(cached, batch))

    def least_decoding(self, batch: Number) -> Callable[[Number], list[Work]]:
        """The same where nothing is wasted."""
        return lambda cached: self.share.works(decode_step(cached, batch))

    def spread(self, phase: str) -> Spread:
        """The interval of a phase."""
        return self.profile.interval(phase, self.device)

    def span(self, phase: str, bound: Number, expected: Number) -> Span:
        """A span: neither the expectation nor its interval passes the bound."""
        spread = self.spread(phase)
        sure = maximum(expected, bound)
        low, high = maximum(sure * spread.low, bound), maximum(sure * spread.high, bound)
        return Span(bound, sure, low, high)


def step_s(found: list[Work], sequences: Number, rates: Rates, *, recorded: bool = False) -> Number:
    """Seconds expected of one step; ``recorded``: launched at once, as a graph."""
    device = device_s(found, rates)
    if not recorded:
        device = maximum(device, host_s(found, rates))
    return device + step_overhead_s(sequences, rates)


def estimate(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    *,
    devices: int | None = None,
    tp: int | None = None,
    pp: int = 1,
    dp: int = 1,
    ep: int = 1,
    cp: int = 1,
    batch: Number = 1,
    prompt: Number = 1024,
    generate: Number = 128,
    dtype: str = "bf16",
    kv_dtype: str | None = None,
    profile: str | Profile | None = None,
    prefix: Number = 0,
    chunk: int | None = None,
    page: int | None = None,
    overlap: float = 0.0,
) -> Estimate:
    """Time, memory and energy of reading ``prompt`` tokens and generating ``generate`` more.

    ``batch`` sequences run together, ``batch / dp`` in each replica. ``prefix`` tokens of the
    prompt are in the cache already; ``chunk`` prompt tokens are read at once (None: all);
    ``overlap`` is the share of the network's time that hides behind computing. Raises
    UsageError for what makes no sense, naming the value. Source: Williams 2009 (roofline), Hockney
    1982 (padding), published rows (rates).
    """
    from thermoflop.cost.arguments import ask

    known, device, asked = ask(model, hardware, batch, prompt, generate, prefix, page)
    plan = choose_plan(devices, tp, pp, dp, ep, cp, overlap=overlap)
    precision = choose_precision(dtype, kv_dtype)
    setting = Setting(known, device, plan, precision, find_profile(profile))
    _check_replicas(asked.batch, dp)
    from thermoflop.cost.inference.blocks import in_blocks

    return in_blocks(setting, asked, _chunk_of(chunk, setting))


def _chunk_of(chunk: int | None, setting: Setting) -> int | None:
    """Prompt tokens read at once: as asked for, else as the engine does."""
    if chunk is None:
        return setting.profile.engine.chunk
    from thermoflop.cost.arguments import checked_size

    checked_size("chunk", chunk, 1)
    return chunk


def _check_replicas(batch: Number, dp: int) -> None:
    """UsageError where sequences cannot be shared out evenly."""
    if kind_of(batch) == "int" and batch % dp:
        raise UsageError(f"dp={dp} does not divide batch={batch}")
