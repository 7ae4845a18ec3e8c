"""The answer for any model on any GPU: the estimate's sheet, and tables of the page alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thermoflop.base.record import replace
from thermoflop.base.sheet import Figure, Grid, Row, column, figure, figures_of
from thermoflop.base.units import digits, gigabytes, scaled, seconds
from thermoflop.cost.inference.compare import Variant, token_bytes, variant_figures
from thermoflop.cost.inference.result import Estimate, estimate_sheet, first_of, times_of
from thermoflop.cost.inference.what_fits import fit_sheet
from thermoflop.cost.memory import memory_sheet
from thermoflop.cost.reports.price import million_cost
from thermoflop.cost.roofline.rates import peak_said
from thermoflop.cost.why.labels import labels
from thermoflop.cost.why.steps import Part, parts_shown
from thermoflop.cost.why.table import conventions_said
from thermoflop.model.config.catalogue import sized_as
from thermoflop.runs.check import held_against
from thermoflop.runs.judged import off_text
from thermoflop.runs.measured import read_number
from thermoflop.web.estimator.answer import Answer
from thermoflop.web.estimator.chart_data import charts_of
from thermoflop.web.estimator.computed import (
    compute,
    growing_batches,
    positions_of,
    served,
    variants_of,
)
from thermoflop.web.estimator.fields import FIELDS
from thermoflop.web.estimator.markup import spoken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from thermoflop.cost.inference.remedies import Remedy
    from thermoflop.cost.roofline.span import Span
    from thermoflop.cost.serving.result import Serving
    from thermoflop.runs.measured import Measured
    from thermoflop.web.estimator.computed import Computed
    from thermoflop.web.estimator.inputs import Inputs

_PHASES = {
    "media": "Operators that encode images and sound",
    "prefill": "Operators that read the prompt",
    "remainder": "Operators that read what is left of it",
    "decode": "Operators of one more token",
}


def estimate_answer(inputs: Inputs) -> Answer:
    """Answer with the estimator. Raises FieldError naming the input that makes no sense."""
    computed = compute(inputs)
    estimate = computed.estimate
    client = estimate.client_first_token
    times, rates, _, energy = estimate_sheet(estimate)
    times, memory = _with_client(times, client), _memory(computed)
    grids = [times, rates, memory, fit_sheet(computed.capacity), energy, _model(computed)]
    grids.append(_variants(variants_of(inputs, computed), first_of(computed.model)))
    for phase, part in parts_shown(estimate).items():
        grids.append(_operators(estimate, phase, part))
    peak, meant = peak_said(estimate.device, estimate.precision), sized_as(inputs.model)
    least = estimate.setting.least_said
    notes = (
        estimate.provenance,
        f"Bound: the data sheet ({peak}) with {least}; no real run is faster.",
        f"Memory: {computed.capacity.memory.assumption}.",
        f"Conventions: {conventions_said(estimate)}.",
        *([f"The name {inputs.model} is counted as {meant}, whose sizes it has"] * bool(meant)),
        *computed.model.notes,
    )
    figures = {each.key: each for each in figures_of(grids)}
    drawn = charts_of(
        estimate, growing_batches(computed), figures_of([memory]), first_of(computed.model)
    )
    remedies = computed.capacity.remedies
    headline, measured = _headline(computed, figures, client, served(inputs)), ""
    number = read_number(inputs.measured) if inputs.is_used("measured") else None
    if number is not None:
        beside, measured = _beside(computed, number)
        headline = (*headline, beside)
    return Answer(
        inputs, _title(inputs, computed), headline,
        tuple(grid for grid in grids if grid.rows), _verdict(computed, figures, remedies),
        computed.capacity.fits, tuple(_sentence(note) for note in notes), charts=drawn,
        remedies=tuple(_changes(computed, remedies)), measured=measured,
    )  # fmt: skip


def _memory(computed: Computed) -> Grid:
    """The memory as the engine shares it out; explained where that is what the estimate counts."""
    memory = computed.capacity.memory
    grid = memory_sheet(memory)
    if memory.total_bytes == computed.estimate.memory.total_bytes:
        return grid
    rows = (
        replace(row, cells=tuple(replace(cell, why="") for cell in row.cells)) for row in grid.rows
    )
    return replace(grid, rows=tuple(rows))


def _with_client(times: Grid, client: Span | None) -> Grid:
    """The times, and when a client of a busy server has its first token, where that is known."""
    if client is None:
        return times
    first, *others = times.rows
    label = "first token at a client"
    cells = (replace(cell, why="") for cell in times_of("client", label, client))
    return replace(times, rows=(first, Row(label, tuple(cells)), *others))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _title(inputs: Inputs, computed: Computed) -> str:
    estimate, most = computed.estimate, positions_of(inputs)[0]
    plan, prompt = estimate.plan, estimate.prompt
    room = f", of the model's {most:,} positions" if most is not None else ""
    return (
        f"{estimate.model_name} on {plan.devices} × {estimate.device.name} ({plan.label}), "
        f"{estimate.precision.label}, {estimate.batch:,} user{'s' if estimate.batch > 1 else ''}, "
        f"{prompt:,} token{'s' if prompt > 1 else ''} read, {estimate.generate:,} generated{room}"
    )


def _verdict(computed: Computed, figures: dict[str, Figure], remedies: Sequence[Remedy]) -> str:
    """Whether it fits, and below that what would make it fit, each on its line."""
    total, has = figures["memory.total"].text, figures["memory.capacity"].text
    capacity = computed.capacity
    if capacity.fits:
        return f"Fits: {total} of {has} a GPU."
    missing = gigabytes(capacity.memory.shortfall_bytes)
    texts = ",\nor ".join(remedy.text for remedy in remedies)
    would = f"It would fit with {texts}." if texts else "No remedy is known."
    return (
        f"Does not fit: it takes {total} and a GPU has {has}, {missing} are missing. "
        f"Below: as if it fitted.\n{would}"
    )


def _changes(
    computed: Computed, remedies: Sequence[Remedy]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The remedies that the page has inputs for, in words and as what they change."""
    plan, caches = computed.capacity.fewest_plan, FIELDS["kv_dtype"].listed()
    for remedy in remedies:
        if remedy.kind == "dtype":
            yield f"Weights in {remedy.value}", {"dtype": remedy.value}
        elif remedy.kind == "kv_dtype" and remedy.value in caches:
            yield f"Cache in {remedy.value}", {"kv_dtype": remedy.value}
        elif remedy.kind == "batch":
            yield f"{remedy.value:,} users", {"users": remedy.value}
        elif remedy.kind == "devices" and plan is not None:
            degrees = {name: getattr(plan, name) for name in ("tp", "pp", "dp", "ep")}
            yield f"{plan.devices} GPUs ({plan.label})", degrees


def _headline(
    computed: Computed, figures: dict[str, Figure], client: Span | None, server: Serving | None
) -> tuple[Figure, ...]:
    """The answer in four or five figures, each with its interval; beside those of users at once
    what ``server`` gives them, where prompts are read in between."""
    estimate = computed.estimate
    named = first_of(computed.model).capitalize()
    first = ("first", named, figures["first.expected"], _first_detail(estimate, client))
    heads = [first]
    if estimate.generate > 1:
        span = estimate.per_token
        ends = (1 / span.bound_s, 1 / span.high_s, 1 / span.low_s)
        user = figure("user", "each user", 1 / span.expected_s, "tokens/s", ends=ends,
                      why="token.expected")  # fmt: skip
        every, between = f"a token every {figures['token.expected'].text}", "while decoding"
        if server is not None:
            alone, all_of_them = digits(1 / server.token_s[1]), digits(server.tokens_per_s)
            every += f"; with prompts read in between {alone} tokens/s"
            between += f"; with prompts read in between {all_of_them} tokens/s"
        heads = [
            ("user", "Each user gets", user, every),
            ("all", "All users together", figures["rate.decode"], between),
            first,
            ("total", "Whole answer", figures["total.expected"], f"{estimate.generate:,} tokens"),
        ]
    else:
        rate = figures["rate.prefill"]
        heads.append(("all", "Throughput", rate, "tokens read"))
    if computed.price:
        cost = million_cost(estimate, computed.price)
        heads.append(("cost", "A million tokens", cost, "in the price's currency"))
    return tuple(
        replace(each, key=f"head.{key}", label=label, detail=detail)
        for key, label, each, detail in heads
    )


def _beside(computed: Computed, measured: Measured) -> tuple[Figure, str]:
    """What was measured in the interval of what is expected, and the verdict of ``check``."""
    device = computed.estimate.device
    check = held_against(computed.model, device, computed.options, measured)
    each, unit = check.figures[0], "tokens/s" if check.figures[0].is_rate else "s"
    found = figure(
        "head.measured", "You measured", each.measured, unit,
        why="" if check.missing else "token.expected",
        ends=(each.bound, each.low, each.high),
        detail=f"{spoken(each.expected, unit)} expected, {off_text(each)}",
    )  # fmt: skip
    return found, f"{found.text} measured. {check.verdict}"


def _first_detail(estimate: Estimate, client: Span | None) -> str:
    """Whose first token, or result, it is: of many users' prompts in one step, no client waits for
    all."""
    replicas = estimate.plan.dp
    if estimate.batch == replicas:
        return "after the prompt is sent"
    served = "" if client is None else f"; a client has its own after {seconds(client.expected_s)}"
    read = "prompts" if estimate.setting.model.generates else "sequences"
    step = "one step" + " of each replica" * (replicas > 1)
    return f"of all {estimate.batch:,} {read}, read in {step}{served}"


def _model(computed: Computed) -> Grid:
    model = computed.model
    lines = [figure("model.params", "parameters", model.params, "parameters", f"{model.params:,}")]
    if not model.is_encoder:
        lines.append(token_bytes(computed.estimate))
    return column("model", "Model", lines)


_VARIANT_ROWS = (
    ("parameters", "model.params"), ("cache a token", "model.kv"),
    ("cache a device", "memory.cache"), ("", "first.expected"),
    ("each token", "token.expected"), ("bound of it", "token.bound"),
    ("throughput", "rate.decode"), ("times faster than MHA", "faster"),
    ("largest batch", "fit.batch"),
)  # fmt: skip


def _variants(variants: list[Variant], first: str) -> Grid:
    """The attention variants in columns; a grid without rows if there are none. ``first`` is what
    comes of a prompt that was read."""
    named = list(zip((f"form.{each.name}" for each in variants), variant_figures(variants),
                     strict=True))  # fmt: skip
    columns = tuple(variant.name for variant in variants)
    rows = [
        Row(label, tuple(
            replace(figures[key], key=f"{form}.{key}", why=f"{form}.{figures[key].why}",
                    label=f"{form.removeprefix('form.')} {label}")
            for form, figures in named
        ))
        for label, key in ((label or first, key) for label, key in _VARIANT_ROWS)
        if named and key in named[0][1]
    ]  # fmt: skip
    return Grid("forms", "Attention what-ifs", columns, tuple(rows))


def _operators(estimate: Estimate, phase: str, part: Part) -> Grid:
    rates = estimate.setting.rates
    times = [float(rates.operator_s(work)) for work in part.works]
    whole = sum(times) or 1.0
    rows = []
    names = labels(part.works)
    for number, (work, time_s) in enumerate(zip(part.works, times, strict=True)):
        if time_s <= 0:
            continue
        flops = 0.0 if work.kind == "network" else work.times * work.flops
        moved = work.times * work.bytes
        dense, share = flops / moved if moved else 0.0, 100 * time_s / whole
        binds = rates.binding(work)
        cells = (
            (".times", "times", f"{work.times:g}", work.times, ""),
            (".flop", "FLOP", scaled(flops, "FLOP") if flops else "–", flops, "FLOP"),
            (".bytes", "bytes", scaled(moved, "B"), moved, "B"),
            (".intensity", "FLOP/B", digits(dense) if flops else "–", dense, "FLOP/B"),
            ("", "time", seconds(time_s), time_s, "s"),
            (".share", "share", f"{share:.1f} %", share, "%"),
            (".binds", "binds", binds, binds, ""),
        )
        key, name = f"op.{phase}.{number}", names[number]
        figures = (
            Figure(key + suffix, f"{name}, {what}", text, value, unit, key)
            for suffix, what, text, value, unit in cells
        )
        rows.append(Row(name, tuple(figures)))
    columns = ("times", "FLOP", "bytes", "FLOP/B", "time", "share", "binds")
    return Grid(f"ops.{phase}", _PHASES[phase], columns, tuple(rows), _sentence(part.label))
