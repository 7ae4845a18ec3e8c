"""The answer of the corrected mode: the estimate's sheet, and tables of the page alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import replace
from thermoflop.base.sheet import Figure, Grid, Row, column, figure, figures_of
from thermoflop.base.units import digits, gigabytes, scaled, seconds
from thermoflop.cost.inference.capacity import fit_sheet
from thermoflop.cost.inference.result import estimate_sheet
from thermoflop.cost.roofline.rates import binding, operator_s
from thermoflop.cost.why.operator import parts_shown
from thermoflop.web.estimator.answer import Answer
from thermoflop.web.estimator.chart_data import charts_of
from thermoflop.web.estimator.corrected import compute, growing_batches, variants_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from thermoflop.cost.inference.compare import Variant
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.why.operator import Part
    from thermoflop.web.estimator.corrected import Computed
    from thermoflop.web.estimator.inputs import Inputs

    # A number of a column: its text, its value, its unit.
    Cell = tuple[str, float, str]

_PHASES = {"prefill": "Operators that read the prompt", "decode": "Operators of one more token"}


def corrected_answer(inputs: Inputs) -> Answer:
    """Answer with the estimator. Raises FieldError naming the input that makes no sense."""
    computed = compute(inputs)
    estimate = computed.estimate
    times, rates, memory, energy = estimate_sheet(estimate)
    grids = [times, rates, memory, fit_sheet(computed.capacity), energy, _model(computed)]
    grids.append(_variants(variants_of(inputs, computed)))
    for phase, part in parts_shown(estimate).items():
        grids.append(_operators(estimate, phase, part))
    conventions = "; ".join(f"{name}: {choice}" for name, choice in estimate.conventions.items())
    notes = (
        estimate.provenance,
        "Bound: the data sheet with everything overlapped; no real run is faster.",
        f"Memory: {estimate.memory.assumption}.",
        f"Conventions: {conventions}.",
        *computed.model.notes,
    )
    figures = {each.key: each for each in figures_of(grids)}
    return Answer(
        inputs, _title(estimate), _headline(estimate, figures),
        tuple(grid for grid in grids if grid.rows), _verdict(estimate, figures),
        bool(estimate.memory.fits), tuple(_sentence(note) for note in notes),
        charts=charts_of(estimate, growing_batches(computed), figures_of([memory])),
    )  # fmt: skip


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _title(estimate: Estimate) -> str:
    plan, prompt = estimate.plan, estimate.prompt
    return (
        f"{estimate.model_name} on {plan.devices} × {estimate.device.name} ({plan.label}), "
        f"{estimate.precision.name}, batch {estimate.batch:,}, "
        f"{prompt:,} token{'s' if prompt > 1 else ''} read, {estimate.generate:,} generated"
    )


def _verdict(estimate: Estimate, figures: dict[str, Figure]) -> str:
    of = f"{figures['memory.total'].text} of {figures['memory.capacity'].text} a device"
    if estimate.memory.fits:
        return f"Fits: {of}."
    return f"Does not fit: {of}, {gigabytes(estimate.memory.shortfall_bytes)} missing."


def _headline(estimate: Estimate, figures: dict[str, Figure]) -> tuple[Figure, ...]:
    """The three headline figures, taken from the sheet with its explanations."""
    name, label, rate, while_ = (
        ("token", "Each token", "rate.decode", "while decoding")
        if estimate.generate > 1
        else ("first", "First token", "rate.prefill", "while reading")
    )
    interval = f"80 %: {figures[f'{name}.low'].text} to {figures[f'{name}.high'].text}"
    fits = "fits in" if estimate.memory.fits else "does not fit in"
    heads = (
        (name, label, f"{name}.expected", interval),
        ("rate", "Throughput", rate, while_),
        ("memory", "Memory", "memory.total", f"{fits} {figures['memory.capacity'].text}"),
    )
    return tuple(
        replace(figures[key], key=f"head.{head}", label=label, detail=detail)
        for head, label, key, detail in heads
    )


def _model(computed: Computed) -> Grid:
    model = computed.model
    lines = [figure("model.params", "parameters", model.params, "parameters", f"{model.params:,}")]
    if not model.is_encoder:
        text, size, unit = _token_bytes(computed.estimate)
        lines.append(figure("model.kv", "cache of a token", size, unit, text))
    return column("model", "Model", lines)


def _variants(variants: list[Variant]) -> Grid:
    """The attention variants in columns; a grid without rows if there are none."""
    rows = list(_variant_rows(variants)) if variants else []
    columns = tuple(variant.name for variant in variants)
    return Grid("forms", "Attention what-ifs", columns, tuple(rows))


def _variant_rows(variants: list[Variant]) -> Iterable[Row]:
    def row(label: str, why: str, of: Callable[[Variant], Cell], name: str = "") -> Row:
        """``of`` gives a variant's number, ``why`` is the key that explains it."""
        cells = []
        for variant in variants:
            form = f"form.{variant.name}"
            text, value, unit = of(variant)
            key = f"{form}.{name or why}"
            cells.append(Figure(key, f"{variant.name} {label}", text, value, unit, f"{form}.{why}"))
        return Row(label, tuple(cells))

    yield row("parameters", "model.params", _parameters)
    yield row("cache a token", "model.kv", lambda v: _token_bytes(v.estimate))
    yield row("cache a device", "memory.cache", lambda v: _size(v.estimate.memory.kv_bytes))
    yield row("first token", "first.expected", lambda v: _time(v.estimate.first_token.expected_s))
    if variants[0].estimate.generate > 1:
        mha_s = variants[0].estimate.per_token.expected_s
        yield row("each token", "token.expected", lambda v: _time(v.estimate.per_token.expected_s))
        yield row("bound of it", "token.bound", lambda v: _time(v.estimate.per_token.bound_s))
        yield row("throughput", "rate.decode", lambda v: _rate(v.estimate.decode_tokens_per_s))

        def faster(variant: Variant) -> Cell:
            ratio = mha_s / variant.estimate.per_token.expected_s
            return f"{ratio:.2f} ×", ratio, "times"

        yield row("times faster than MHA", "token.expected", faster, "faster")
    yield row("largest batch", "fit.batch", _batch)


def _parameters(variant: Variant) -> Cell:
    return f"{variant.params / 1e9:.3f} G", variant.params, "parameters"


def _token_bytes(estimate: Estimate) -> Cell:
    """Bytes that one token adds to the cache of the whole model, in the run's format."""
    elements = float(estimate.setting.model.kv_bytes(1, dtype="fp8"))
    size = elements * estimate.precision.kv_bytes
    return f"{size:,.0f} B", size, "B"


def _size(size: float) -> Cell:
    return gigabytes(size), size / 1e9, "GB"


def _batch(variant: Variant) -> Cell:
    return f"{variant.largest_batch:,}", variant.largest_batch, "sequences"


def _time(value: float) -> Cell:
    return seconds(value), value, "s"


def _rate(value: float) -> Cell:
    return f"{digits(value)} tokens/s", value, "tokens/s"


def _operators(estimate: Estimate, phase: str, part: Part) -> Grid:
    rates = estimate.setting.rates
    times = [float(operator_s(work, rates)) for work in part.works]
    whole = sum(times) or 1.0
    rows = []
    for number, (work, time_s) in enumerate(zip(part.works, times, strict=True)):
        if time_s <= 0:
            continue
        flops = 0.0 if work.kind == "network" else work.times * work.flops
        moved = work.times * work.bytes
        dense, share = flops / moved if moved else 0.0, 100 * time_s / whole
        binds = binding(work, rates)
        cells = (
            (".times", "times", f"{work.times:g}", work.times, ""),
            (".flop", "FLOP", scaled(flops, "FLOP") if flops else "–", flops, "FLOP"),
            (".bytes", "bytes", scaled(moved, "B"), moved, "B"),
            (".intensity", "FLOP/B", digits(dense) if flops else "–", dense, "FLOP/B"),
            ("", "time", *_time(time_s)),
            (".share", "share", f"{share:.1f} %", share, "%"),
            (".binds", "binds", binds, binds, ""),
        )
        key, name = f"op.{phase}.{number}", work.name
        figures = (
            Figure(key + suffix, f"{name}, {what}", text, value, unit, key)
            for suffix, what, text, value, unit in cells
        )
        rows.append(Row(name, tuple(figures)))
    columns = ("times", "FLOP", "bytes", "FLOP/B", "time", "share", "binds")
    return Grid(f"ops.{phase}", _PHASES[phase], columns, tuple(rows), _sentence(part.words))
