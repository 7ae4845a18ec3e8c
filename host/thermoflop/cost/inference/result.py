"""What ``tf.estimate`` returns: the record, its sheet of figures, its text and its JSON."""

from __future__ import annotations

from thermoflop.base.number import Number, any_of, maximum
from thermoflop.base.record import fields_of, plain, record
from thermoflop.base.sheet import Figure, Grid, Row, column, figure, figures_of
from thermoflop.base.units import (
    digits,
    kwh_per_million,
    scaled,
    seconds,
    table,
    wrapped,
)
from thermoflop.cost.hardware.device import CALIBRATED, Device
from thermoflop.cost.inference.arguments import unread_source
from thermoflop.cost.inference.divided import (
    differing,
    differs,
    divided,
    divided_line,
    fits_as_divided,
    load_of,
)
from thermoflop.cost.inference.formats import formats_line
from thermoflop.cost.inference.source import source_said
from thermoflop.cost.memory import (
    memory_json,
    memory_parts,
    memory_sheet,
    occupied_text,
    too_little,
)
from thermoflop.cost.roofline.rates import peak_said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.energy import Energy
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.cost.inference.divided import Divided
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.cost.memory import Memory
    from thermoflop.cost.roofline.span import Span
    from thermoflop.cost.work.share import Layout
    from thermoflop.model.model import Model


@record
class Estimate:
    """What one run costs, made by ``estimate``. Print it for a report.

    Numbers are scalars; arrays where sizes were. Rates are of all replicas together.

    Attributes:
        model_name: the model's name.
        device: the device, as its data sheet or a calibration describes it.
        plan: how the model is spread over devices.
        precision: the number formats of the run.
        batch: sequences in all replicas.
        prompt: tokens of each prompt.
        generate: tokens generated after each.
        first_token: seconds to the first token; of an encoder, to its result.
        per_token: seconds for each later token of a sequence, on average; 0 where there is none.
        total: seconds for everything.
        memory: bytes on the fullest device.
        energy: joules and watts; None where the device's power is not known.
        provenance: what the expectation rests on, as a sentence.
        conventions: how operators are counted: name to sentence.
        setting: what the estimate was made of; its reasons are read from it.

    Example:
        >>> import thermoflop as tf
        >>> e = tf.estimate("llama-3-8b", "h100", batch=8, profile="vllm")
        >>> round((e.first_token.expected_s + 127 * e.per_token.expected_s) / e.total.expected_s, 9)
        1.0
        >>> e.decode_tokens_per_s == 8 / e.per_token.expected_s
        True
        >>> e.prefill_tokens_per_s == 8 * 1024 / e.first_token.expected_s
        True
    """

    model_name: str
    device: Device
    plan: Layout
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
    setting: Setting

    @property
    def tokens_per_s(self) -> Number:
        """Generated tokens a second expected of all sequences, prefill included."""
        return self.batch * self.generate / self.total.expected_s

    @property
    def decode_tokens_per_s(self) -> Number:
        """Generated tokens a second of all sequences once the prompt has been read; 0 for none."""
        token_s = self.per_token.expected_s
        return (token_s > 0) * self.batch / maximum(token_s, 1e-300)

    @property
    def client_first_token(self) -> Span | None:
        """Seconds from a request to its first token as a client sees it, ``batch`` in flight.

        ``first_token`` is the prefill of the whole batch on an idle device; a client of a full
        server waits for HTTP and scheduling, for a step of the others and for prompts that came
        with its own, and never for less than a client that is alone. None for an engine whose
        clients nobody measured, or without generation.
        """
        if self.setting.profile.waiting is None or not any_of(self.generate > 1):
            return None
        from thermoflop.cost.inference.steady import InFlight, alone_s, client_s, lone_client_s
        from thermoflop.cost.roofline.span import not_before
        from thermoflop.cost.work.steps import middle_context

        clients, context = self.batch / self.plan.dp, middle_context(self.prompt, self.generate)
        setting, prefix, new = self.setting, self.setting.prefix, self.prompt - self.setting.prefix
        load = InFlight(clients, new, self.generate, context, prefix)
        bound, expected = client_s(setting, load)
        alone = setting.span("prefill", bound, alone_s(setting, new, prefix))
        expected = maximum(expected, lone_client_s(setting, new, prefix))
        return not_before(setting.span("client", bound, expected), alone)

    @property
    def fits(self) -> Number:
        """Whether it fits, as ``fit`` says: by its engine's own rule where that is known, else as
        ``memory`` adds it up."""
        sizes = self.batch, self.prompt, self.generate
        return fits_as_divided(self.setting, *sizes, self.memory)

    @property
    def prefill_tokens_per_s(self) -> Number:
        """Prompt tokens a second of all sequences."""
        return self.batch * self.prompt / self.first_token.expected_s

    def __str__(self) -> str:
        return estimate_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{estimate_text(self)}</pre>"


def estimate_sheet(estimate: Estimate) -> tuple[Grid, Grid, Grid, Grid]:
    """Time, throughput, memory and energy of one estimate, not of arrays of them."""
    memory = memory_sheet(estimate.memory)
    return _times(estimate), _rates(estimate), memory, _energy(estimate)


def first_of(model: Model, batch: Number = 1) -> str:
    """What comes of ``batch`` prompts that were read in one step: what generates nothing has no
    first token."""
    if not model.generates:
        return "each step" if model.purpose == "unmask" else "the result"
    return "first token" if batch == 1 else f"first token of all {batch} prompts"


def _times(estimate: Estimate) -> Grid:
    spans = [("first", first_of(estimate.setting.model, estimate.batch), estimate.first_token)]
    if estimate.generate > 1:
        spans.append(("token", "each token after it", estimate.per_token))
        spans.append(("total", "all", estimate.total))
    rows = tuple(Row(label, times_of(key, label, span)) for key, label, span in spans)
    return Grid("time", "Time", ("bound", "expected", "80 % low", "80 % high"), rows)


def times_of(key: str, label: str, span: Span) -> tuple[Figure, ...]:
    """A span as four figures; both ends of the interval have one explanation."""
    ends = (
        ("bound", span.bound_s, "bound", ()),
        ("expected", span.expected_s, "expected", (span.bound_s, span.low_s, span.high_s)),
        ("low", span.low_s, "interval", ()),
        ("high", span.high_s, "interval", ()),
    )
    return tuple(
        figure(f"{key}.{name}", f"{label}, {name}", time_s, "s", why=f"{key}.{why}",
               ends=interval or (None, None, None))
        for name, time_s, why, interval in ends
    )  # fmt: skip


def _rates(estimate: Estimate) -> Grid:
    batch, generate = estimate.batch, estimate.generate
    rates = [_rate("prefill", "prompt tokens", estimate.first_token, batch * estimate.prompt)]
    if generate > 1:
        rates.append(_rate("decode", "generated, while decoding", estimate.per_token, batch))
        rates.append(_rate("all", "generated, prompt included", estimate.total, batch * generate))
    return column("rates", "Throughput of all sequences", rates, "expected")


def _rate(key: str, label: str, span: Span, tokens: Number) -> Figure:
    """Tokens a second; the bound is the highest rate, and the longest time the lowest."""
    bound, low, high = (
        tokens / time if time else None for time in (span.bound_s, span.high_s, span.low_s)
    )
    ends = (bound, low, high)
    return figure(f"rate.{key}", label, tokens / span.expected_s, "tokens/s", ends=ends)


def _energy(estimate: Estimate) -> Grid:
    energy, title = estimate.energy, "Energy and heat"
    if energy is None:
        return column("energy", title, ())
    per_token = "energy of a generated token" if estimate.generate else "energy of a sequence"
    tokens = estimate.batch * maximum(estimate.generate, 1)
    low_j, high_j = energy.energy_low_j / tokens, energy.energy_high_j / tokens
    low_w, high_w = energy.power_low_w, energy.power_high_w
    power = figure("energy.power", "power", energy.power_w, "W", ends=(None, low_w, high_w))
    run_j = energy.energy_j
    lines: list[Figure | Row] = [
        Row("power of a device", (power,)),
        figure("energy.token", per_token, energy.per_token_j, "J", ends=(None, low_j, high_j)),
        figure("energy.run", "energy of the run", run_j, "J", scaled(run_j, "J")),
    ]
    if energy.rise_c is not None:
        a_watt = energy.rise_c / (energy.power_w or 1.0)
        ends = (None, a_watt * low_w, a_watt * high_w)
        lines.append(figure("energy.rise", "above its coolant", energy.rise_c, "°C", ends=ends))
    return column("energy", title, lines, "expected")


def _brought(estimate: Estimate) -> str:
    """How much of the prompt is images and sound."""
    tokens = estimate.setting.media.tokens
    return f" ({tokens} of them images or sound)" if tokens else ""


NEAR = 0.5  # of a device: below it few servers lack room, and what asks them is slow to import
# What the terminal calls the rates of the sheet, in its order.
_RATES = (("prompt tokens", "/s"), ("while decoding", "tokens/s"), ("overall", "tokens/s"))


def estimate_text(estimate: Estimate) -> str:
    """The whole estimate, at most 100 columns wide; of arrays of them, what they span."""
    if getattr(estimate.batch, "ndim", 0):
        return _spanned(estimate)
    plan, memory, own = estimate.plan, estimate.memory, _own(estimate)
    times, rates, _, energy = estimate_sheet(estimate)
    time_rows = [["", "bound", "expected", "80 % interval"]]
    for row in times.rows:
        bound, expected, low, high = (cell.text for cell in row.cells)
        time_rows.append([row.label, bound, expected, f"{low} .. {high}"])
    where = f"{estimate.model_name} on {plan.devices} x {estimate.device.name} ({plan.label})"
    prompt = f"prompt {estimate.prompt}{_brought(estimate)}"
    source = source_said(estimate.setting.model)
    lines = [
        f"{where}, {estimate.precision.label}",
        f"batch {estimate.batch}, {prompt}, {estimate.generate} generated{source}",
        *_told_first(estimate, own),
        "",
        table(time_rows, least=("bound",)),
        "",
        *_client_lines(estimate),
        *(
            f"{label:<16}{rate.text.split()[0]:>10} {unit}"
            for (label, unit), rate in zip(_RATES, figures_of([rates]), strict=False)
        ),
        "",
        _occupied(estimate, own),
        "  " + ", ".join(f"{part.label} {part.text}" for part in memory_parts(memory)),
        wrapped(f"  {memory.assumption}"),
        *divided_line(own, memory),
        *_unstarted(estimate, own),
        *_energy_lines(estimate, figures_of([energy])),
        "",
        *_notes(estimate),
    ]
    return "\n".join(lines)


def _told_first(estimate: Estimate, own: Divided | None) -> list[str]:
    """What changes the meaning of the figures, which stand below it."""
    memory, beside = estimate.memory, unread_source(estimate.setting.model)
    share, said = estimate.setting.share, differing(own, memory, estimate.setting)
    kept = formats_line(estimate.setting.model, share.checkpoint, share.precision)
    return [
        *(wrapped(text) for text in (*beside, *((kept,) if kept else ()))),
        *(said or too_little(memory.total_bytes, memory.capacity_bytes)),
    ]


def _own(estimate: Estimate) -> Divided | None:
    """The memory of a device as the engine divides it; None where it is not known, or of arrays."""
    if getattr(estimate.batch, "ndim", 0):
        return None
    sizes = estimate.batch, estimate.prompt, estimate.generate
    return divided(estimate.setting, *sizes, estimate.memory.page_tokens)


def counted_bytes(estimate: Estimate) -> float:
    """Bytes on the fullest device, by the rule that says whether it fits."""
    own = _own(estimate)
    return float((estimate.memory if own is None else own.memory).total_bytes)


def _occupied(estimate: Estimate, own: Divided | None) -> str:
    """How much of a device is taken; the verdict is the engine's, below, where it differs."""
    said = occupied_text(estimate.memory.total_bytes, estimate.memory.capacity_bytes)
    return said.rpartition(", ")[0] + ", added up" if differs(own, estimate.memory) else said


def _unstarted(estimate: Estimate, own: Divided | None) -> list[str]:
    """Which servers do not hold what fits as it is added up, where none is named."""
    setting, memory = estimate.setting, estimate.memory
    near = NEAR * memory.capacity_bytes < memory.total_bytes <= memory.capacity_bytes
    if own is not None or setting.asked is not None or not near:
        return []
    from thermoflop.cost.inference.started import not_started

    sizes = estimate.batch, estimate.prompt, estimate.generate
    said = not_started(setting.model, setting.device, setting.share, load_of(setting, *sizes))
    return [wrapped(f"  {said}", "    ")] if said else []


def _client_lines(estimate: Estimate) -> list[str]:
    """The first token of a client, where it is known: the prefill is only a part of it."""
    span = estimate.client_first_token
    if span is None:
        return []
    each = seconds(span.expected_s)
    ends = f"{seconds(span.low_s)} .. {seconds(span.high_s)}"
    flying = "1 request" if estimate.batch == 1 else f"{estimate.batch} requests"
    return [wrapped(f"first token at a client with {flying} in flight: {each} ({ends})"), ""]


def _energy_lines(estimate: Estimate, figures: list[Figure]) -> list[str]:
    if estimate.energy is None:
        return ["energy: the design power of this device is not known"]
    power, token, _, *rise = figures
    between = f"{digits(estimate.energy.power_low_w)} .. {digits(estimate.energy.power_high_w)}"
    unit = "generated token" if estimate.generate else "sequence"
    return [
        wrapped(
            f"power a device: {power.text} ({between}); {token.text} a {unit}, "
            f"{kwh_per_million(estimate.energy.per_token_j)} a million"
        ),
        *(f"  settles {each.text} {each.label}" for each in rise),
    ]


def _spanned(estimate: Estimate) -> str:
    """Estimates in arrays: how many, and the smallest and largest expectation."""
    where = f"{estimate.model_name} on {estimate.plan.devices} x {estimate.device.name}"
    lines = [f"{estimate.batch.size:,} estimates of {where}; expected, smallest .. largest:"]
    parts = (("first token", estimate.first_token), ("each token", estimate.per_token))
    for name, span in (*parts, ("all", estimate.total)):
        low, high = float(span.expected_s.min()), float(span.expected_s.max())
        lines.append(f"{name:<12} {seconds(low)} .. {seconds(high)}")
    return "\n".join(lines)


def _notes(estimate: Estimate) -> list[str]:
    rates = "data sheet" if estimate.device.source != CALIBRATED else "best rates it showed"
    peak = peak_said(estimate.device, estimate.precision)
    bound = f"bound: {rates} ({peak}), {estimate.setting.least_said}; no real run is faster"
    said = [estimate.provenance, bound]
    if estimate.plan.pp > 1 and any_of(estimate.generate > 1):
        said.insert(0, "one batch: its stages wait for each other; `serving` keeps each at work")
    return [wrapped(text) for text in said]


def _memory_json(estimate: Estimate, own: Divided | None) -> dict[str, Any]:
    """What the model needs, added up, and what its engine makes of that, whose verdict both say."""
    memory = memory_json(estimate.memory)
    if own is None:
        return {"memory": memory, "as_divided": None}
    as_divided = {"engine": own.name, **memory_json(own.memory)}
    verdict = {name: as_divided[name] for name in ("fits", "shortfall_bytes")}
    return {"memory": {**memory, **verdict}, "as_divided": as_divided}


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """The estimate as one object, with what follows from it."""
    fields = {name: value for name, value in fields_of(estimate).items() if name != "setting"}
    client = estimate.client_first_token
    rate = estimate.decode_tokens_per_s if estimate.generate > 1 else None
    return {
        **plain(fields),
        "device": estimate.device.name,
        "fits": plain(estimate.fits),
        **_memory_json(estimate, _own(estimate)),
        "client_first_token": plain(client and fields_of(client)),
        "tokens_per_s": plain(estimate.tokens_per_s),
        "decode_tokens_per_s": plain(rate),
        "prefill_tokens_per_s": plain(estimate.prefill_tokens_per_s),
    }
