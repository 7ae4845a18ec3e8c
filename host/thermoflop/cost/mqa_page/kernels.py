"""The kernels of the MHA-against-MQA page one by one: counts, times, what binds, formulas.

Numbers and formulas come from ``Page.kernels`` alone: given integers it counts, given sympy symbols
it states its formula.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from thermoflop.base.record import record
from thermoflop.cost.mqa_page.page import Page

# How often each kernel runs in a layer, as ``Page.layer_ms`` adds them up.
OCCURS = {"qkv": 1, "att1": 1, "softmax": 1, "att2": 1, "out": 1, "ln": 5, "mlp": 2}
NAMES = {
    "qkv": "queries, keys, values",
    "att1": "scores: queries x keys",
    "softmax": "softmax",
    "att2": "weights x values",
    "out": "output projection",
    "ln": "norm, residual, GELU",
    "mlp": "MLP matrix",
}
MEANINGS = {
    "b": "batch", "d": "dimension", "h": "heads", "k": "dimension of a head, d/h",
    "n": "tokens attended to",
}  # fmt: skip
# The page's devices under their names in the catalogue: the same peak and bandwidth.
CATALOGUE_NAMES = {"A100": "A100-PCIe-80GB", "V100": "V100-PCIe-32GB"}


@record
class Kernel:
    """One kernel of a layer at one context. ``overhead_ms`` is what the floor adds to its time."""

    key: str
    name: str
    times: int
    flops: int
    bytes: int
    compute_ms: float
    memory_ms: float
    time_ms: float
    overhead_ms: float
    binds: str


def page_kernels(page: Page, attention: str, tokens: int) -> list[Kernel]:
    """Every kernel of a layer that attends to ``tokens``, for ``mha`` or ``mqa``."""
    counts = page.kernels(attention, tokens)
    return [_kernel(page, key, int(flops), int(size)) for key, (flops, size) in counts.items()]


def _kernel(page: Page, key: str, flops: int, size: int) -> Kernel:
    computing, moving = float(page.compute_ms(flops)), float(page.memory_ms(size))
    busy, floor = max(computing, moving), page.floor_ms
    binds = "overhead" if floor > busy else "compute" if computing > moving else "memory"
    return Kernel(
        key, NAMES[key], OCCURS[key], flops, size, computing, moving, max(busy, floor),
        max(floor - busy, 0.0), binds,
    )  # fmt: skip


@lru_cache(maxsize=2)
def page_formulas(attention: str) -> dict[str, tuple[Any, Any]]:
    """FLOPs and bytes of each kernel as sympy expressions in the letters of ``MEANINGS``.

    MissingExtra without sympy.
    """
    from thermoflop.model.formulas.symbolic import require_sympy

    sympy = require_sympy()
    b, d, h, k, n = sympy.symbols("b d h k n", positive=True, integer=True)
    kernels = Page(batch=b, heads=h, width=d).kernels(attention, n)
    head = sympy.floor(d / h)
    return {
        key: tuple(sympy.expand(sympy.sympify(each).subs(head, k)) for each in counts)
        for key, counts in kernels.items()
    }


def formula_lines(page: Page, attention: str, key: str, tokens: int) -> tuple[str, ...]:
    """The formulas of a kernel: in letters, with numbers, and what they come to."""
    from thermoflop.model.formulas.text import written

    lines = []
    sizes = {"b": page.batch, "d": page.width, "h": page.heads,
             "k": page.width // page.heads, "n": tokens}  # fmt: skip
    formulas, counts = page_formulas(attention)[key], page.kernels(attention, tokens)[key]
    for unit, expression, count in zip(("FLOP", "bytes"), formulas, counts, strict=True):
        if expression == 0:
            lines.append(f"{unit} = 0, as the page has it")
            continue
        values = {letter: sizes[str(letter)] for letter in expression.free_symbols}
        lines.append(f"{unit} = {written(expression)}")
        lines.append(f"  = {written(expression, values)} = {int(count):,}")
    return tuple(lines)
