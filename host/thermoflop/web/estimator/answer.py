"""What the estimator page shows: numbers with their units and the key of their reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.web.estimator.inputs import Inputs

Value = float | int | str | None


@record
class Figure:
    """One number: ``text`` as people read it with its unit, ``value`` in ``unit`` for programs.

    ``why`` is the key that ``why`` takes; empty where there is nothing behind it.
    """

    key: str
    label: str
    text: str
    value: Value = None
    unit: str = ""
    why: str = ""
    detail: str = ""


@record
class Row:
    """One line of a grid."""

    label: str
    cells: tuple[Figure, ...]


@record
class Grid:
    """A table of figures; ``columns`` head its cells."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


@record
class Answer:
    """Everything that the page shows for some inputs; ``charts`` are data for pictures."""

    inputs: Inputs
    title: str
    headline: tuple[Figure, ...]
    grids: tuple[Grid, ...]
    verdict: str = ""
    fits: bool | None = None
    notes: tuple[str, ...] = ()
    charts: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def figures(self) -> list[Figure]:
        """Every number, once."""
        cells = [cell for grid in self.grids for row in grid.rows for cell in row.cells]
        return [*self.headline, *cells]
