"""An estimate for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.number import maximum
from thermoflop.base.record import fields_of, plain, record
from thermoflop.base.units import digits, gigabytes, seconds, table
from thermoflop.cost.hardware.device import CALIBRATED
from thermoflop.cost.roofline.span import Span

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.base.number import Number
    from thermoflop.cost.energy import Energy
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.cost.memory import Memory
    from thermoflop.cost.work.share import Layout


def _span_row(name: str, span: Span) -> list[str]:
    return [
        name,
        seconds(span.bound_s),
        seconds(span.expected_s),
        f"{seconds(span.low_s)} .. {seconds(span.high_s)}",
    ]


def estimate_text(found: Estimate) -> str:
    """The whole estimate, at most 100 columns wide; of arrays of them, what they span."""
    if getattr(found.batch, "ndim", 0):
        return _spanned(found)
    plan = found.plan
    lines = [
        (
            f"{found.model_name} on {plan.devices} x {found.device.name} ({plan.label}), "
            f"{found.precision.name}"
        ),
        f"batch {found.batch}, prompt {found.prompt}, {found.generate} generated",
        "",
        _times(found),
        "",
        *_rates(found),
        "",
        *_memory(found),
        *_energy(found),
        "",
        *_notes(found),
    ]
    return "\n".join(lines)


def _spanned(found: Estimate) -> str:
    """Estimates in arrays: how many, and the smallest and largest expectation."""
    where = f"{found.model_name} on {found.plan.devices} x {found.device.name}"
    lines = [f"{found.batch.size:,} estimates of {where}; expected, smallest .. largest:"]
    parts = (("first token", found.first_token), ("each token", found.per_token))
    for name, span in (*parts, ("all", found.total)):
        low, high = float(span.expected_s.min()), float(span.expected_s.max())
        lines.append(f"{name:<12} {seconds(low)} .. {seconds(high)}")
    return "\n".join(lines)


def _times(found: Estimate) -> str:
    rows = [["", "bound", "expected", "80 % interval"], _span_row("first token", found.first_token)]
    if found.generate > 1:
        rows.append(_span_row("each token after it", found.per_token))
        rows.append(_span_row("all", found.total))
    return table(rows)


def _rates(found: Estimate) -> list[str]:
    lines = [f"prompt tokens   {digits(found.prefill_tokens_per_s):>10} /s"]
    if found.generate > 1:
        lines += [
            f"while decoding  {digits(found.decode_tokens_per_s):>10} tokens/s",
            f"overall         {digits(found.tokens_per_s):>10} tokens/s",
        ]
    return lines


def _memory(found: Estimate) -> list[str]:
    memory = found.memory
    fits = "fits" if memory.fits else f"DOES NOT FIT: {gigabytes(memory.shortfall_bytes)} missing"
    return [
        (
            f"memory a device: {gigabytes(memory.total_bytes)} of "
            f"{gigabytes(memory.capacity_bytes)}, "
            f"{fits}"
        ),
        (
            f"  weights {gigabytes(memory.weight_bytes)}, cache {gigabytes(memory.kv_bytes)}, "
            f"activations {gigabytes(memory.activation_bytes)}, reserve "
            f"{gigabytes(memory.reserve_bytes)}"
        ),
        f"  {memory.assumption}",
    ]


def _energy(found: Estimate) -> list[str]:
    energy = found.energy
    if energy is None:
        return ["energy: the design power of this device is not known"]
    low, high = digits(energy.power_low_w), digits(energy.power_high_w)
    unit = "generated token" if found.generate else "sequence"
    lines = [
        (
            f"power a device: {digits(energy.power_w)} W ({low} .. {high}); "
            f"{digits(energy.per_token_j)} J a {unit}"
        ),
    ]
    if energy.rise_c is not None:
        lines.append(f"  settles {digits(energy.rise_c)} °C above its coolant")
    return lines


def _notes(found: Estimate) -> list[str]:
    import textwrap

    rates = "data sheet" if found.device.source != CALIBRATED else "best rates it showed"
    bound = f"bound: {rates}, everything overlapped; no real run is faster"
    conventions = "; ".join(f"{name}: {choice}" for name, choice in found.conventions.items())
    return [
        line
        for text in (found.provenance, bound, conventions)
        for line in textwrap.wrap(text, 98, subsequent_indent="  ")
    ]


def estimate_json(found: Estimate) -> dict[str, Any]:
    """The estimate as one object, with what follows from it."""
    shown = plain({name: value for name, value in fields_of(found).items() if name != "setting"})
    shown["device"] = found.device.name
    shown["memory"]["total_bytes"] = found.memory.total_bytes
    shown["memory"]["fits"] = bool(found.memory.fits)
    shown["memory"]["shortfall_bytes"] = found.memory.shortfall_bytes
    shown["tokens_per_s"] = found.tokens_per_s
    shown["decode_tokens_per_s"] = found.decode_tokens_per_s if found.generate > 1 else None
    shown["prefill_tokens_per_s"] = found.prefill_tokens_per_s
    return dict(shown)


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
        seconds = self.per_token.expected_s
        return (seconds > 0) * self.batch / maximum(seconds, 1e-300)

    @property
    def prefill_tokens_per_s(self) -> Number:
        """Prompt tokens a second of all sequences."""
        return self.batch * self.prompt / self.first_token.expected_s

    def __str__(self) -> str:
        return estimate_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{estimate_text(self)}</pre>"
