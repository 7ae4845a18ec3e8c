"""An answer of the estimator page, and its export as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from thermoflop.base.record import fields_of, record
from thermoflop.base.sheet import COLUMNS, Figure, Grid, figures_of
from thermoflop.web.estimator.address import PACKED, fits_address, to_query
from thermoflop.web.estimator.inputs import Inputs


@record
class Answer:
    """Everything that the page shows for its inputs; ``charts`` holds the data of the charts,
    ``remedies`` what would make it fit, each in words and as inputs to change, ``measured``
    whether what was measured is good."""

    inputs: Inputs
    title: str
    headline: tuple[Figure, ...]
    grids: tuple[Grid, ...]
    verdict: str = ""
    fits: bool | None = None
    notes: tuple[str, ...] = ()
    charts: dict[str, Any] = {}  # noqa: RUF012 - never changed
    remedies: tuple[tuple[str, dict[str, Any]], ...] = ()
    measured: str = ""

    def figures(self) -> list[Figure]:
        """All figures of the headline and the tables."""
        return [*self.headline, *figures_of(self.grids)]


def _inputs(answer: Answer) -> dict[str, Any]:
    """The inputs without an uploaded configuration, which would drown the rest."""
    return {name: value for name, value in fields_of(answer.inputs).items() if name != PACKED}


def as_json(answer: Answer) -> str:
    """The inputs and every number with its unit, as one object."""
    contents: dict[str, Any] = {
        "title": answer.title,
        "inputs": _inputs(answer),
        "address": to_query(answer.inputs),
        "address_is_complete": fits_address(answer.inputs),
        "fits": answer.fits,
        **({"measured": answer.measured} if answer.measured else {}),
        "figures": [dict(zip(COLUMNS, figure.cells(), strict=True)) for figure in answer.figures()],
        "notes": list(answer.notes),
    }
    return json.dumps(contents, ensure_ascii=False, indent=1, allow_nan=False)


def as_csv(answer: Answer) -> str:
    """One line for each number; no cell is taken for a formula by a spreadsheet."""
    from thermoflop.runs.folder.export import safe_cell

    rows: list[tuple[Any, ...]] = [COLUMNS, ("title", "", answer.title, "")]
    rows += [(f"input.{name}", "", value, "") for name, value in _inputs(answer).items()]
    rows += [figure.cells() for figure in answer.figures()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([safe_cell("" if cell is None else cell) for cell in row] for row in rows)
    return text.getvalue()
