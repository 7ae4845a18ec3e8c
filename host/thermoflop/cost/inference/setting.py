"""What an estimate is made of: a share of a model, a device, a profile, and its rates."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.engines.chosen import as_gathered, forms_of, keys_chosen
from thermoflop.cost.engines.engine import with_tiles
from thermoflop.cost.engines.overheads import apply_engine, as_sent, over_ring
from thermoflop.cost.hardware.nodes import are_linked
from thermoflop.cost.inference.products import check_products
from thermoflop.cost.roofline.bound import limits_of
from thermoflop.cost.roofline.rates import fastest_peak, rates_of
from thermoflop.cost.roofline.span import Span, span_of
from thermoflop.cost.work.mixed import Mixed, merged
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import (
    Weighted,
    check_step,
    decode_step,
    prefill_step,
    prompt_steps,
)
from thermoflop.cost.work.work import Work, window_ends
from thermoflop.model.media import Media
from thermoflop.model.operators.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.base.number import Number
    from thermoflop.cost.catalogue.profile import Profile, Spread
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.cost.work.weights import Checkpoint
    from thermoflop.model.model import Model


# Contexts between which measured times are taken to grow evenly.
CURVE_ENDS = tuple(2**power for power in range(4, 21))


class Setting:
    """What an estimate is made of: a share of a model, a device, a profile, and its rates.

    Attributes:
        model: the whole model.
        device: the data sheet of one device.
        plan: how the model is spread over devices.
        precision: widths of weights, activations and cache.
        profile: the engine, its fitted rates and their intervals.
        prefix: tokens of the prompt that are cached already.
        chunk: tokens of a prompt that are read at once; None reads all of them.
        media: images and sound that each prompt brings.
        asked: the profile as it was asked for; None: none was named.
        cards: cards that are not alike, which the device stands for; () where they are.
        share: the part of the model that one device holds.
        rates: what is expected of the device, in seconds for each kind of work.
        limits: what the bound is made with.
        engine: the engine, as it runs on the device.
        ring: whether all-reduces run over NCCL's or RCCL's ring: see ``overheads.over_ring``.
        keys_chosen: keys that attention meets at most, by the choice of an indexer, where the
            engine has kernels for that; else 0.
        has_sinks: whether the engine runs attention with sinks by kernels of its own.
        ends: cached lengths between which every time grows evenly.
    """

    def __init__(
        self,
        model: Model,
        device: Device,
        plan: Layout,
        precision: Precision,
        profile: Profile,
        checkpoint: Checkpoint | None = None,
        *,
        prefix: Number = 0,
        chunk: int | None = None,
        media: Media | None = None,
        share: Share | None = None,
        asked: str | Profile | None = None,
        cards: tuple[Device, ...] = (),
    ) -> None:
        self.model, self.device, self.plan, self.precision = model, device, plan, precision
        self.profile, self.prefix, self.media = profile, prefix, media or Media()
        self.asked, self.cards = asked, cards
        self.chunk = profile.engine.chunk if chunk is None else chunk
        if model.is_encoder_decoder:
            self.chunk = None  # the encoder runs once, with the first of the decoder's tokens
        self.share = share or Share(model.description, plan, precision, checkpoint)
        check_products(device, precision)
        efficiency = profile.efficiency(device, precision)
        curves = profile.curves(device, precision)
        group = max(plan.tp * plan.cp, plan.ep)  # who send each other the most
        self.engine = with_tiles(profile.engine, device)
        self.rates = rates_of(device, precision, efficiency, self.engine, curves, group)
        self.ring = self.engine.narrows and device.vendor in ("NVIDIA", "AMD") and plan.tp > 2
        self.ring = self.ring and not are_linked(device, plan.tp)
        self.keys_chosen = keys_chosen(model.description) if self.engine.narrows else 0
        self.has_sinks = False
        if self.engine.triton_sinks:
            from thermoflop.cost.engines.sinks import has_sinks

            self.has_sinks = has_sinks(model.description)
        self.limits = limits_of(device, fastest_peak(device, precision), plan.pp)
        self.ends = window_ends(model.description)
        if profile.engine.kernels != "fused":
            self.ends = tuple(sorted({*self.ends, *CURVE_ENDS}))

    @property
    def logits(self) -> str:
        """Where the logits of a prompt are computed: at every mask; an encoder has none, nor what
        embeds."""
        if self.model.description.unmasks:
            return "all"
        return "none" if self.model.is_encoder or self.model.purpose == "embed" else "last"

    def prompt_steps(self, new: Number, batch: Number, cached: Number = 0) -> Weighted:
        """The steps that read a prompt, each with how often it runs."""
        stages = min(self.plan.pp, self.profile.engine.in_flight or self.plan.pp)
        steps = prompt_steps(
            new, batch, cached, chunk=self.chunk, stages=stages, logits=self.logits
        )
        if self.engine.lazy and self.skips:
            steps = [(weight, replace(step, last_only=True)) for weight, step in steps]
        return [(1.0, self.media_step(batch)), *steps] if self.media else steps

    def media_step(self, batch: Number) -> Step:
        """The towers alone on what each of the prompts brings."""
        return self._perceived(Step(batch, 0), batch)

    def _perceived(self, step: Step, batch: Number) -> Step:
        """The step with the towers on what each of the prompts brings."""
        media = self.media
        return replace(step, images=media.images * batch, audio=media.clips * batch)

    def whole_prompt(self, new: Number, batch: Number, cached: Number = 0) -> Step:
        """The prompt read at once: what the bound is made of."""
        step = prefill_step(new, batch, cached, self.logits)
        return self._perceived(step, batch) if self.media else step

    def check_step(self, new: int, batch: Number, cached: Number) -> Step:
        """The step that checks ``new`` drafted tokens."""
        return check_step(new, cached, batch)

    def works(self, step: Step | Mixed) -> list[Work]:
        """The operators of a step as the engine runs them: see ``engines.overheads``."""
        if isinstance(step, Mixed):
            return merged(self.works(step.decode), self.works(step.chunk))
        engine = self.engine
        if engine.unfused:
            step = replace(step, kernels="eager")
        forms = forms_of(step, self.keys_chosen, engine)
        if len(forms) == 1:
            return self._as_run(forms[0][1])
        each = [(share, work) for share, form in forms for work in self._as_run(form)]
        return [replace(work, times=share * work.times) for share, work in each]

    def _as_run(self, step: Step) -> list[Work]:
        """The operators of a step in its form, as the engine runs them."""
        engine, share = self.engine, self.share
        works = share.works(step, engine.kernels_in(self.precision.family, step.new))
        works = apply_engine(
            works, engine, self.precision, share.experts_held, self.plan.ep, share.chosen
        )
        if self.ring:
            works = over_ring(works, self.plan.tp)
        if step.encode is not False and self.has_sinks:
            from thermoflop.cost.engines.sinks import as_tiled

            works = as_tiled(works, self.device)
        if not self.keys_chosen:
            return works
        cache_bytes = self.precision.kv_bytes
        return as_gathered(works, step, engine, self.device, self.keys_chosen, cache_bytes)

    def form(self, new: float, batch: float, cached: float) -> str:
        """The form of latent attention in which the engine reads a prompt."""
        step = prefill_step(new, batch, cached, self.logits)
        return forms_of(step, self.keys_chosen, self.engine)[0][1].mla

    def plain_works(self, step: Step) -> list[Work]:
        """The operators of a step where nothing is wasted: what energy is counted by."""
        return as_sent(self.share.works(step), self.precision)

    def least_works(self, step: Step) -> list[Work]:
        """The operators of a step that the bound is made of."""
        return self.least_of(self.plain_works(step))

    def least_of(self, works: list[Work]) -> list[Work]:
        """Plain operators with all luck in routing: all tokens choose the same experts, and each
        token those of its own device."""
        return self.share.routed_alike(works) if self.routes else works

    def least_reading(self, step: Step, works: list[Work] | None = None) -> list[Work]:
        """The operators of a step that reads prompts, of which the bound is made; ``works`` are all
        of them where nothing is wasted, if they are known."""
        if self.skips:
            return self.least_works(replace(step, last_only=True))
        return self.least_works(step) if works is None else self.least_of(works)

    @property
    def skips(self) -> bool:
        """Whether nothing reads what some layers make of a prompt's tokens but the last."""
        return self.logits == "last" and self.share.fact("keyless", self._has_keyless)

    def _has_keyless(self) -> bool:
        return any(stack.keyless for stack in self.model.description.stacks)

    @property
    def routes(self) -> bool:
        """Whether the model has experts, of which a router chooses."""
        return self.share.experts_held > 0

    @property
    def scans(self) -> bool:
        """Whether the model has recurrences."""
        return any(work.kind == "scan" for work in self.plain_works(decode_step(1, 1)))

    @property
    def least_said(self) -> str:
        """What the bound assumes besides the data sheet's rates."""
        alike = ", all tokens at the same experts" if self.routes else ""
        last = ", the last token of a prompt alone in layers without keys" if self.skips else ""
        return f"everything overlapped{alike}{last}"

    def decoding(self, batch: Number) -> Callable[[Number], list[Work]]:
        """The operators of a decode step, by the number of cached tokens."""
        return lambda cached: self.works(decode_step(cached, batch))

    def least_decoding(self, batch: Number) -> Callable[[Number], list[Work]]:
        """The same where nothing is wasted."""
        return lambda cached: self.least_works(decode_step(cached, batch))

    def steps_s(self, steps: Weighted) -> Number:
        """Seconds expected of steps, each as often as it runs; decode steps as recorded graphs."""
        total: Number = 0.0
        for weight, step in steps:
            total = total + weight * self.step_s(step)
        return total

    def step_s(self, step: Step | Mixed) -> Number:
        """Seconds expected of one step; one that decodes runs as a recorded graph."""
        recorded = step.encode is False and self.records(step)
        return self.rates.step_s(self.works(step), step.batch, recorded=recorded)

    def records(self, step: Step | Mixed) -> bool:
        """Whether a full server does not wait for the host to launch a step: it is a graph, or its
        launches hide behind those that are."""
        eager = self.profile.engine.eager_chunks and isinstance(step, Mixed)
        return self.rates.graphs and not eager

    def spread(self, phase: str) -> Spread:
        """The interval of a phase."""
        return self.profile.interval(phase, self.device, self.precision, self.model)

    def stream_spread(self, prompt_share: float) -> Spread:
        """The interval of steps of whose time a share goes to prompts: between that of tokens and
        that of a prompt, as far as the share says."""
        token, prompt = self.spread("token"), self.spread("prefill")
        low, high = (
            one ** (1 - prompt_share) * other**prompt_share
            for one, other in ((token.low, prompt.low), (token.high, prompt.high))
        )
        return replace(token, low=low, high=high)

    def span(self, phase: str, bound: Number, expected: Number) -> Span:
        """A span: neither the expectation nor its interval passes the bound."""
        spread = self.spread(phase)
        return span_of(bound, expected, spread.low, spread.high)
