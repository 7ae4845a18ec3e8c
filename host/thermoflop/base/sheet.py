"""A sheet: every number of a result once, with its text, its unit and the key that explains it.

The terminal, the page, its JSON and CSV, and the prediction in a run's record read the same sheet,
so that no two of them can say different things.
"""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.base.units import digits, seconds, three_digits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Value = float | int | str | None
Ends = tuple[float | None, float | None, float | None]
COLUMNS = ("key", "label", "value", "unit")


@record
class Figure:
    """One number: ``text`` as people read it with its unit, ``value`` in ``unit`` for programs.

    ``why`` is the key of its explanation, empty where there is none. ``bound`` is the best that
    the hardware allows, ``low`` and ``high`` the ends of the 80 % interval, all in ``unit``; None
    where a number has none.
    """

    key: str
    label: str
    text: str
    value: Value = None
    unit: str = ""
    why: str = ""
    detail: str = ""
    bound: float | None = None
    low: float | None = None
    high: float | None = None

    def cells(self) -> tuple[Value, ...]:
        """What files say of it, under ``COLUMNS``."""
        return (self.key, self.label, self.value, self.unit)


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


def figure(
    key: str,
    label: str,
    value: Value,
    unit: str,
    text: str = "",
    *,
    why: str | None = None,
    detail: str = "",
    ends: Ends = (None, None, None),
) -> Figure:
    """A number; without ``text`` three digits of it and its unit, without ``why`` its own key.

    ``ends`` are its bound, and the low and the high end of its interval.
    """
    if not text:
        number = float(value or 0)
        written = digits if ends[1] is None else three_digits  # what has an interval
        text = seconds(number) if unit == "s" else f"{written(number)} {unit}"
    return Figure(key, label, text, value, unit, key if why is None else why, detail, *ends)


def column(
    key: str, title: str, lines: Iterable[Figure | Row], head: str = "", note: str = ""
) -> Grid:
    """A grid of one column; a figure that is no row yet stands under its own label."""
    rows = (each if isinstance(each, Row) else Row(each.label, (each,)) for each in lines)
    return Grid(key, title, (head,), tuple(rows), note)


def figures_of(grids: Iterable[Grid]) -> list[Figure]:
    """Every figure of some grids, line by line."""
    return [cell for grid in grids for row in grid.rows for cell in row.cells]
