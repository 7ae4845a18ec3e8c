"""The tab of the original: the MHA-against-MQA page, to its digits, beside the estimator's."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

from thermoflop.base.explanation import Explanation
from thermoflop.base.record import replace
from thermoflop.base.sheet import Figure, Grid, Row, figure
from thermoflop.cost.catalogue.devices import catalogue
from thermoflop.cost.catalogue.profiles import custom_profile
from thermoflop.cost.mqa_page.kernels import CATALOGUE_NAMES, NAMES, page_formulas
from thermoflop.cost.mqa_page.page import CORRECTED, DEVICES, FORMS, Page
from thermoflop.cost.mqa_page.sheet import page_sheet
from thermoflop.cost.mqa_page.why import page_why
from thermoflop.errors import MissingExtra
from thermoflop.model.load import read_model
from thermoflop.web.estimator.answer import Answer
from thermoflop.web.estimator.fields import MOST_ORIGINAL_TOKENS, FieldError
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
    if inputs.width % inputs.heads == 0:  # else no model has that shape
        grids = (beside(inputs, headline), *grids)
    title = f"{page.layers} layers of {page.width:,}, batch {page.batch:,}, on {inputs.gpu}"
    notes = tuple(line[0].upper() + line[1:] + "." for line in CORRECTED)
    return Answer(inputs, title, headline, grids, notes=notes)


def beside(inputs: Inputs, headline: tuple[Figure, ...]) -> Grid:
    """The page's totals beside what the estimator says of the same shape, GPU and rates."""
    from thermoflop.cost.inference.compare import changed, grouped
    from thermoflop.cost.inference.estimate import estimate

    page = page_of(inputs)
    model = read_model(page.config(), "the page's shape", "shape")
    profile = custom_profile(inputs.efficiency, inputs.overhead_ms / 1000)
    sizes: dict[str, Any] = {
        "prompt": inputs.start,
        "generate": inputs.end - inputs.start,
        "dtype": "fp16",
    }
    device, totals = catalogue()[CATALOGUE_NAMES[inputs.gpu]], []
    for name, groups in (("MHA", inputs.heads), ("MQA", 1)):
        form = changed(model, name, partial(grouped, groups=groups))
        total = estimate(form, device, batch=inputs.batch, profile=profile, **sizes).total
        totals.append(1e3 * float(total.expected_s))
    texts = [f"{ms:.2f} ms" for ms in totals] + [f"{totals[0] / totals[1]:.2f} ×"]
    values = [*totals, totals[0] / totals[1]]
    rows = tuple(
        Row(shown.label, (
            replace(shown, key=f"page.{shown.key}", detail=""),
            figure(f"beside.{shown.key}", f"{shown.label}, by the estimator", value, shown.unit,
                   text, why=""),
        ))
        for shown, value, text in zip(headline, values, texts, strict=True)
    )  # fmt: skip
    note = "Both with this overhead and efficiency; below stands what makes the difference."
    columns = ("as the page computed", "by the estimator")
    return Grid("beside", "Its digits, and the estimator's", columns, rows, note)


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
