"""The figures of the MHA-against-MQA page, as its own formulas give them."""

from __future__ import annotations

from thermoflop.base.sheet import Figure, Grid, Row, figure
from thermoflop.base.units import digits
from thermoflop.cost.mqa_page.kernels import Kernel, page_kernels
from thermoflop.cost.mqa_page.page import FORMS, Page, page_numbers

# Row, key, unit, units in one of the page's numbers, and the number's name.
_MEMORY = (
    ("parameters", "params", "M", 1e6, "parameters"),
    ("weights (fp16)", "weights", "GB", 1, "weight_gb"),
    ("cache at the end", "kv", "MB", 1e6, "kv_bytes"),
)
_KERNEL = ("in a layer", "GFLOP", "MB", "time, ms", "overhead, ms", "binds")


def page_sheet(page: Page) -> tuple[tuple[Figure, ...], tuple[Grid, ...]]:
    """The totals with their speed-up, then memory and the kernels. UsageError without a step."""
    numbers = page_numbers(page)
    ratio, steps = numbers["mqa"]["speed_up"], f"{page.end - page.start:,} steps"
    totals = [(form, name, numbers[form]["total_ms"]) for form, name in FORMS.items()]
    headline = (
        *(
            figure(f"{form}.total", f"{name}, all steps", ms, "ms", f"{ms:.2f} ms", detail=steps)
            for form, name, ms in totals
        ),
        figure("speed_up", "Speed-up", ratio, "times", f"{ratio:.2f} ×", detail="MHA / MQA"),
    )
    rows = tuple(
        Row(label, tuple(
            figure(f"{form}.{key}", f"{name} {label}", value, unit, f"{value:,.3f} {unit}")
            for form, name in FORMS.items()
            for value in (numbers[form][field] / scale,)
        ))
        for label, key, unit, scale, field in _MEMORY
    )  # fmt: skip
    note = "M is 1e6, MB is 1e6 bytes, GB 1e9."
    memory = Grid("memory", "Memory", tuple(FORMS.values()), rows, note)
    return headline, (memory, *(_kernels(page, form) for form in FORMS))


def _kernels(page: Page, form: str) -> Grid:
    rows = (Row(kernel.name, _cells(form, kernel)) for kernel in page_kernels(page, form, page.end))
    title = f"{FORMS[form]}: kernels of one layer at {page.end:,} tokens"
    return Grid(f"{form}.kernels", title, _KERNEL, tuple(rows))


def _cells(form: str, kernel: Kernel) -> tuple[Figure, ...]:
    """The cells of one kernel, all explained by its key."""
    key, gflop, megabytes = f"{form}.{kernel.key}", kernel.flops / 1e9, kernel.bytes / 1e6
    cells = (
        ("times", "in a layer", str(kernel.times), kernel.times, ""),
        ("flop", "FLOP", _small(gflop, 4), gflop, "GFLOP"),
        ("bytes", "bytes", _small(megabytes, 3), megabytes, "MB"),
        ("time", "time", _small(kernel.time_ms, 5), kernel.time_ms, "ms"),
        ("overhead", "overhead", _small(kernel.overhead_ms, 5), kernel.overhead_ms, "ms"),
        ("binds", "binds", kernel.binds, kernel.binds, ""),
    )
    return tuple(
        figure(f"{key}.{cell}", f"{FORMS[form]} {kernel.name}, {what}", value, unit, text, why=key)
        for cell, what, text, value, unit in cells
    )


def _small(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}" if value < 1e6 else digits(value)
