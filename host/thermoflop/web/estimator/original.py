"""The original mode: the MHA-against-MQA page, to its digits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from thermoflop.cost.mqa_page.kernels import NAMES, page_formulas
from thermoflop.cost.mqa_page.page import CORRECTED, DEVICES, FORMS, Page
from thermoflop.cost.mqa_page.sheet import page_sheet
from thermoflop.cost.mqa_page.why import page_why
from thermoflop.errors import MissingExtra
from thermoflop.web.estimator.answer import Answer
from thermoflop.web.estimator.fields import MOST_ORIGINAL_TOKENS, FieldError

if TYPE_CHECKING:
    from thermoflop.base.explanation import Explanation
    from thermoflop.web.estimator.inputs import Inputs


def page_of(inputs: Inputs) -> Page:
    """The original page with these inputs. Raises FieldError for what it cannot compute."""
    start, end = inputs.start, inputs.end
    if end > MOST_ORIGINAL_TOKENS:
        raise FieldError(
            "end",
            f"end {end:,} tokens is too long: the original sums every step, and is bounded "
            f"to {MOST_ORIGINAL_TOKENS:,} here",
        )
    if start >= end:
        raise FieldError("end", f"end {end:,} is not above start {start:,}: there is no step")
    if inputs.heads > inputs.width:
        raise FieldError(
            "heads", f"heads {inputs.heads:,} are more than the dimension {inputs.width:,}"
        )
    return Page(
        inputs.batch, inputs.heads, inputs.width, inputs.layers, start, end,
        *DEVICES[inputs.gpu], inputs.efficiency, inputs.overhead_ms,
    )  # fmt: skip


def original_why(inputs: Inputs, key: str) -> Explanation:
    """Explain a figure of this mode."""
    return page_why(page_of(inputs), key)


def original_answer(inputs: Inputs) -> Answer:
    """Answer with the original's formulas."""
    page = page_of(inputs)
    headline, grids = page_sheet(page)
    title = f"{page.layers} layers of {page.width:,}, batch {page.batch:,}, on {inputs.gpu}"
    notes = tuple(line[0].upper() + line[1:] + "." for line in CORRECTED)
    return Answer(inputs, title, headline, grids, notes=notes)


@lru_cache(maxsize=1)
def original_formulas() -> tuple[tuple[str, str, str], ...]:
    """The formulas as (kernel, FLOP, bytes); empty without sympy."""
    from thermoflop.model.formulas.text import written

    try:
        return tuple(
            (f"{name}: {NAMES[key]}", written(flop), written(size))
            for form, name in FORMS.items()
            for key, (flop, size) in page_formulas(form).items()
        )
    except MissingExtra:
        return ()
