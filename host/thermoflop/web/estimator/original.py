"""The page as the original computed: its inputs, its outputs, its digits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from thermoflop.base.sheet import Figure, Grid, Row
from thermoflop.base.units import digits
from thermoflop.cost.mqa_page.kernels import NAMES, page_formulas, page_kernels
from thermoflop.cost.mqa_page.page import CORRECTED, DEVICES, Page, page_numbers
from thermoflop.cost.mqa_page.why import page_why
from thermoflop.errors import MissingExtra, UsageError
from thermoflop.web.estimator.answer import Answer
from thermoflop.web.estimator.fields import MOST_ORIGINAL_TOKENS, FieldError

if TYPE_CHECKING:
    from thermoflop.base.explanation import Explanation
    from thermoflop.cost.mqa_page.kernels import Kernel
    from thermoflop.web.estimator.inputs import Inputs

FORMS = {"mha": "MHA", "mqa": "MQA"}


def page_of(inputs: Inputs) -> Page:
    """The original's page with these inputs. FieldError for what it cannot compute."""
    if inputs.end > MOST_ORIGINAL_TOKENS:
        raise FieldError(
            "end",
            f"end {inputs.end:,} tokens is too long: the original sums every step, and is bounded "
            f"to {MOST_ORIGINAL_TOKENS:,} here",
        )
    if inputs.start >= inputs.end:
        raise FieldError(
            "end", f"end {inputs.end:,} is not above start {inputs.start:,}: there is no step"
        )
    if inputs.heads > inputs.width:
        raise FieldError(
            "heads", f"heads {inputs.heads:,} are more than the dimension {inputs.width:,}"
        )
    peak, bandwidth = DEVICES[inputs.gpu]
    return Page(
        inputs.batch, inputs.heads, inputs.width, inputs.layers, inputs.start, inputs.end,
        peak, bandwidth, inputs.efficiency, inputs.overhead_ms,
    )  # fmt: skip


def original_why(inputs: Inputs, key: str) -> Explanation:
    """What is behind a number of this mode."""
    return page_why(page_of(inputs), key)


def original_answer(inputs: Inputs) -> Answer:
    """The original's outputs."""
    page = page_of(inputs)
    try:
        numbers = page_numbers(page)
    except UsageError as error:
        raise FieldError("end", str(error)) from None
    speed_up = numbers["mqa"]["speed_up"]
    steps = page.end - page.start
    headline = (
        *(_total(form, numbers[form]["total_ms"], steps) for form in FORMS),
        Figure(
            "speed_up", "Speed-up", f"{speed_up:.2f} ×", speed_up, "times", "speed_up", "MHA / MQA"
        ),
    )
    kernels = {form: page_kernels(page, form, page.end) for form in FORMS}
    grids = (_memory(numbers), *(_kernels(form, page.end, kernels[form]) for form in FORMS))
    title = f"{page.layers} layers of {page.width:,}, batch {page.batch:,}, on {inputs.gpu}"
    notes = tuple(line[0].upper() + line[1:] + "." for line in CORRECTED)
    return Answer(inputs, title, headline, grids, notes=notes)


def _total(form: str, total_ms: float, steps: int) -> Figure:
    return Figure(
        f"{form}.total", f"{FORMS[form]}, all steps", f"{total_ms:.2f} ms", total_ms, "ms",
        f"{form}.total", f"{steps:,} steps",
    )  # fmt: skip


def _memory(numbers: dict[str, dict[str, float]]) -> Grid:
    def row(label: str, what: str, unit: str, scale: float, decimals: int, field: str) -> Row:
        return Row(
            label,
            tuple(
                Figure(
                    f"{form}.{what}",
                    f"{FORMS[form]} {label}",
                    f"{numbers[form][field] / scale:,.{decimals}f} {unit}",
                    numbers[form][field] / scale,
                    unit,
                    f"{form}.{what}",
                )
                for form in FORMS
            ),
        )

    rows = (
        row("parameters", "params", "M", 1e6, 3, "parameters"),
        row("weights (fp16)", "weights", "GB", 1, 3, "weight_gb"),
        row("cache at the end", "kv", "MB", 1e6, 3, "kv_bytes"),
    )
    return Grid("memory", "Memory", ("MHA", "MQA"), rows, "M is 1e6, MB is 1e6 bytes, GB 1e9.")


def _kernels(form: str, tokens: int, kernels: list[Kernel]) -> Grid:
    columns = ("in a layer", "GFLOP", "MB", "time, ms", "overhead, ms", "binds")
    rows = tuple(Row(kernel.name, _cells(form, kernel)) for kernel in kernels)
    title = f"{FORMS[form]}: kernels of one layer at {tokens:,} tokens"
    return Grid(f"{form}.kernels", title, columns, rows)


def _cells(form: str, kernel: Kernel) -> tuple[Figure, ...]:
    why = f"{form}.{kernel.key}"
    name = f"{FORMS[form]} {kernel.name}"
    return (
        Figure(f"{why}.times", f"{name}, in a layer", str(kernel.times), kernel.times, "", why),
        Figure(f"{why}.flop", f"{name}, FLOP", _small(kernel.flops / 1e9, 4), kernel.flops / 1e9,
               "GFLOP", why),
        Figure(f"{why}.bytes", f"{name}, bytes", _small(kernel.bytes / 1e6, 3),
               kernel.bytes / 1e6, "MB", why),
        Figure(f"{why}.time", f"{name}, time", _small(kernel.time_ms, 5), kernel.time_ms, "ms",
               why),
        Figure(f"{why}.overhead", f"{name}, overhead", _small(kernel.overhead_ms, 5),
               kernel.overhead_ms, "ms", why),
        Figure(f"{why}.binds", f"{name}, binds", kernel.binds, kernel.binds, "", why),
    )  # fmt: skip


def _small(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}" if value < 1e6 else digits(value)


@lru_cache(maxsize=1)
def original_formulas() -> tuple[tuple[str, str, str], ...]:
    """Kernel, its FLOP and its bytes in letters; empty without sympy."""
    from thermoflop.model.formulas.text import written

    found = []
    for form, name in FORMS.items():
        try:
            formulas = page_formulas(form)
        except MissingExtra:
            return ()
        for key, (flop, size) in formulas.items():
            label = f"{name}: {NAMES[key]}"
            found.append((label, written(flop), written(size)))
    return tuple(found)
