"""The corrected answer as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.units import digits, gigabytes, scaled, seconds
from thermoflop.cost.roofline.rates import binding, operator_s
from thermoflop.cost.why.operator import parts_shown
from thermoflop.web.estimator.answer import Answer, Figure, Grid, Row
from thermoflop.web.estimator.chart_data import charts_of
from thermoflop.web.estimator.corrected import batches_of, computed, forms

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.cost.inference.compare import Variant
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.roofline.span import Span
    from thermoflop.cost.why.operator import Part
    from thermoflop.model.model import Model
    from thermoflop.web.estimator.corrected import Computed
    from thermoflop.web.estimator.inputs import Inputs

_PHASES = {"prefill": "Operators that read the prompt", "decode": "Operators of one more token"}


def corrected_answer(inputs: Inputs) -> Answer:
    """Everything of the real estimator. FieldError names the input that makes no sense."""
    asked = computed(inputs)
    found = asked.found
    grown, variants = batches_of(asked), forms(inputs, asked)
    grids = [_times(found), _rates(found), _memory(found), _room(asked), _energy(found)]
    grids += [_model(asked)]
    if variants:
        grids.append(_forms(variants))
    for phase, part in parts_shown(found).items():
        grids.append(_operators(asked, phase, part))
    conventions = "; ".join(f"{name}: {words}" for name, words in found.conventions.items())
    notes = (
        found.provenance,
        "Bound: the data sheet with everything overlapped; no real run is faster.",
        f"Memory: {found.memory.assumption}.",
        f"Conventions: {conventions}.",
        *asked.model.notes,
    )
    return Answer(
        inputs, _title(asked), _headline(found), tuple(grid for grid in grids if grid.rows),
        _verdict(found), bool(found.memory.fits), tuple(_sentence(note) for note in notes),
        charts=charts_of(asked, grown),
    )  # fmt: skip


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _title(asked: Computed) -> str:
    found = asked.found
    return (
        f"{found.model_name} on {found.plan.devices} × {found.device.name} ({found.plan.label}), "
        f"{found.precision.name}, batch {found.batch:,}, "
        f"{found.prompt:,} token{'s' if found.prompt > 1 else ''} read, "
        f"{found.generate:,} generated"
    )


def _verdict(found: Estimate) -> str:
    memory = found.memory
    of = f"{gigabytes(memory.total_bytes)} of {gigabytes(memory.capacity_bytes)} a device"
    if memory.fits:
        return f"Fits: {of}."
    return f"Does not fit: {of}, {gigabytes(memory.shortfall_bytes)} missing."


def _figure(key: str, label: str, text: str, value: float, unit: str, why: str = "") -> Figure:
    return Figure(key, label, text, value, unit, why or key)


def _headline(found: Estimate) -> tuple[Figure, ...]:
    later = found.generate > 1
    name, span, words = (
        ("token", found.per_token, "Each token")
        if later
        else ("first", found.first_token, "First token")
    )
    rate = found.decode_tokens_per_s if later else found.prefill_tokens_per_s
    kind = "rate.decode" if later else "rate.prefill"
    memory = found.memory
    between = f"80 %: {seconds(span.low_s)} to {seconds(span.high_s)}"
    return (
        Figure(f"head.{name}", words, seconds(span.expected_s), span.expected_s, "s",
               f"{name}.expected", between),
        Figure("head.rate", "Throughput", f"{digits(rate)} tokens/s", rate, "tokens/s", kind,
               "while decoding" if later else "while reading"),
        Figure("head.memory", "Memory", gigabytes(memory.total_bytes), memory.total_bytes / 1e9,
               "GB", "memory.total",
               f"{'fits in' if memory.fits else 'does not fit in'} "
               f"{gigabytes(memory.capacity_bytes)}"),
    )  # fmt: skip


def _times(found: Estimate) -> Grid:
    spans = [("first", "first token", found.first_token)]
    if found.generate > 1:
        spans += [("token", "each token after it", found.per_token), ("total", "all", found.total)]
    columns = ("bound", "expected", "80 % low", "80 % high")
    return Grid("time", "Time", columns, tuple(_span(*each) for each in spans))


def _span(key: str, label: str, span: Span) -> Row:
    ends = (("bound", span.bound_s, "bound"), ("expected", span.expected_s, "expected"),
            ("low", span.low_s, "interval"), ("high", span.high_s, "interval"))  # fmt: skip
    return Row(
        label,
        tuple(
            _figure(f"{key}.{name}", f"{label}, {name}", seconds(value), value, "s", f"{key}.{why}")
            for name, value, why in ends
        ),
    )


def _rates(found: Estimate) -> Grid:
    rates = [("rate.prefill", "prompt tokens", found.prefill_tokens_per_s)]
    if found.generate > 1:
        rates += [
            ("rate.decode", "generated, while decoding", found.decode_tokens_per_s),
            ("rate.all", "generated, prompt included", found.tokens_per_s),
        ]
    return Grid("rates", "Throughput of all sequences", ("expected",), tuple(
        Row(label, (_figure(key, label, f"{digits(value)} tokens/s", value, "tokens/s"),))
        for key, label, value in rates
    ))  # fmt: skip


def _memory(found: Estimate) -> Grid:
    memory = found.memory
    parts = (
        ("memory.weights", "weights", memory.weight_bytes),
        ("memory.cache", "cache", memory.kv_bytes),
        ("memory.activations", "activations", memory.activation_bytes),
        ("memory.reserve", "reserve", memory.reserve_bytes),
        ("memory.total", "together", memory.total_bytes),
    )
    rows = [_sized(*part) for part in parts]
    whole = memory.capacity_bytes
    capacity = Figure("memory.capacity", "the device has", gigabytes(whole), whole / 1e9, "GB")
    rows.append(Row("the device has", (capacity,)))
    return Grid("memory", "Memory of the fullest device", ("",), tuple(rows), "GB is 1e9 bytes.")


def _sized(key: str, label: str, size: float) -> Row:
    return Row(label, (_figure(key, label, gigabytes(size), size / 1e9, "GB"),))


def _room(asked: Computed) -> Grid:
    room = asked.room
    many = room.fewest_devices
    words = "more than 1,024" if room.fewest_plan is None else f"{many} ({room.fewest_plan.label})"
    rows = [
        Row("largest batch at this context", (Figure(
            "fit.batch", "largest batch", f"{room.largest_batch:,}", room.largest_batch,
            "sequences", "fit.batch"),)),
        Row("longest context at this batch", (Figure(
            "fit.context", "longest context", f"{room.longest_context:,} tokens",
            room.longest_context, "tokens", "fit.context"),)),
        Row("fewest devices for this", (Figure(
            "fit.devices", "fewest devices", words, many, "devices", "fit.devices"),)),
    ]  # fmt: skip
    return Grid("fit", "What fits", ("",), tuple(rows))


def _energy(found: Estimate) -> Grid:
    energy = found.energy
    title = "Energy and heat"
    if energy is None:
        return Grid("energy", title, ("",), ())
    unit = "a generated token" if found.generate else "a sequence"
    rows = [
        Row("power of a device", (_figure("energy.power", "power", f"{digits(energy.power_w)} W",
                                          energy.power_w, "W"),)),
        Row(f"energy of {unit}", (_figure("energy.token", f"energy of {unit}",
            f"{digits(energy.per_token_j)} J", energy.per_token_j, "J"),)),
        Row("energy of the run", (_figure("energy.run", "energy of the run",
            scaled(energy.energy_j, "J"), energy.energy_j, "J"),)),
    ]  # fmt: skip
    if energy.rise_c is not None:
        rise = f"{digits(energy.rise_c)} °C"
        rows.append(Row("above its coolant", (
            _figure("energy.rise", "above its coolant", rise, energy.rise_c, "°C"),)))  # fmt: skip
    return Grid("energy", title, ("expected",), tuple(rows))


def _model(asked: Computed) -> Grid:
    model = asked.model
    rows = [Row("parameters", (_figure("model.params", "parameters", f"{model.params:,}",
                                       model.params, "parameters"),))]  # fmt: skip
    if not model.is_encoder:
        held = _token_bytes(model, asked.found)
        rows.append(Row("cache of a token", (
            _figure("model.kv", "cache of a token", f"{held:,.0f} B", held, "B"),)))  # fmt: skip
    return Grid("model", "Model", ("",), tuple(rows))


def _token_bytes(model: Model, estimate: Estimate) -> float:
    """Bytes that one token adds to the cache of the whole model, in the run's format."""
    return float(model.kv_bytes(1, dtype="fp8")) * estimate.precision.kv_bytes


def _forms(variants: list[Variant]) -> Grid:
    first = variants[0].estimate
    rows = [
        _form_row("parameters", variants, "model.params",
                  lambda v: (f"{v.params / 1e9:.3f} G", v.params, "parameters")),
        _form_row("cache a token", variants, "model.kv",
                  lambda v: _bytes(_token_bytes(v.estimate.setting.model, v.estimate))),
        _form_row("cache a device", variants, "memory.cache",
                  lambda v: (gigabytes(v.estimate.memory.kv_bytes),
                             v.estimate.memory.kv_bytes / 1e9, "GB")),
        _form_row("first token", variants, "first.expected",
                  lambda v: _time(v.estimate.first_token.expected_s)),
    ]  # fmt: skip
    if first.generate > 1:
        base = first.per_token.expected_s
        rows += [
            _form_row("each token", variants, "token.expected",
                      lambda v: _time(v.estimate.per_token.expected_s)),
            _form_row("bound of it", variants, "token.bound",
                      lambda v: _time(v.estimate.per_token.bound_s)),
            _form_row("throughput", variants, "rate.decode",
                      lambda v: (f"{digits(v.estimate.decode_tokens_per_s)} tokens/s",
                                 v.estimate.decode_tokens_per_s, "tokens/s")),
            _form_row("times faster than MHA", variants, "token.expected",
                      lambda v: (f"{base / v.estimate.per_token.expected_s:.2f} ×",
                                 base / v.estimate.per_token.expected_s, "times"), "faster"),
        ]  # fmt: skip
    rows.append(
        _form_row("largest batch", variants, "fit.batch",
                  lambda v: (f"{v.largest_batch:,}", v.largest_batch, "sequences"))
    )  # fmt: skip
    columns = tuple(variant.name for variant in variants)
    return Grid("forms", "Attention what-ifs", columns, tuple(rows))


def _time(value: float) -> tuple[str, float, str]:
    return seconds(value), value, "s"


def _bytes(value: float) -> tuple[str, float, str]:
    return f"{value:,.0f} B", value, "B"


def _form_row(
    label: str,
    variants: list[Variant],
    why: str,
    of: Callable[[Variant], tuple[str, float, str]],
    name: str = "",
) -> Row:
    """``of`` gives a variant's text, value and unit."""
    cells = []
    for variant in variants:
        text, value, unit = of(variant)
        key = f"form.{variant.name}.{name or why}"
        cells.append(Figure(key, f"{variant.name} {label}", text, value, unit,
                            f"form.{variant.name}.{why}"))  # fmt: skip
    return Row(label, tuple(cells))


def _operators(asked: Computed, phase: str, part: Part) -> Grid:
    rates = asked.found.setting.rates
    times = [float(operator_s(work, rates)) for work in part.works]
    whole = sum(times) or 1.0
    rows = []
    for number, (work, time_s) in enumerate(zip(part.works, times, strict=True)):
        if time_s <= 0:
            continue
        key, name = f"op.{phase}.{number}", work.name
        flops = 0.0 if work.kind == "network" else work.times * work.flops
        moved = work.times * work.bytes
        dense = flops / moved if moved else 0.0
        cells = (
            Figure(f"{key}.times", f"{name}, times", f"{work.times:g}", work.times, "", key),
            Figure(f"{key}.flop", f"{name}, FLOP", scaled(flops, "FLOP") if flops else "–", flops,
                   "FLOP", key),
            Figure(f"{key}.bytes", f"{name}, bytes", scaled(moved, "B"), moved, "B", key),
            Figure(f"{key}.intensity", f"{name}, FLOP/B", digits(dense) if flops else "–", dense,
                   "FLOP/B", key),
            Figure(key, f"{name}, time", seconds(time_s), time_s, "s", key),
            Figure(f"{key}.share", f"{name}, share", f"{100 * time_s / whole:.1f} %",
                   100 * time_s / whole, "%", key),
            Figure(f"{key}.binds", f"{name}, binds", binding(work, rates), binding(work, rates), "",
                   key),
        )  # fmt: skip
        rows.append(Row(name, cells))
    columns = ("times", "FLOP", "bytes", "FLOP/B", "time", "share", "binds")
    return Grid(f"ops.{phase}", _PHASES[phase], columns, tuple(rows), _sentence(part.words))
