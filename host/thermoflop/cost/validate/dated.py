"""Rows after a date predicted by a fit to the rows before it: what a user of today gets next year.

A row without a date has that of the first row of its version that has one; a version that no row
dates counts as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.base.record import replace
from thermoflop.cost.engines.engine import find_engine
from thermoflop.cost.engines.generation import version_of
from thermoflop.cost.fitting.together import Together, name_of, spanned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.published.row import Row
    from thermoflop.cost.roofline.span import Span

BORDER = "2026-03"


def months_of(rows: Sequence[Row]) -> list[str]:
    """The month of each row, such as ``2026-04``; empty where nothing dates it."""
    first: dict[tuple[str, object], str] = {}
    for row in rows:
        key, date = _version(row), _date(row)
        if date:
            first[key] = min(first.get(key, date), date)
    return [_date(row) or first.get(_version(row), "") for row in rows]


def _version(row: Row) -> tuple[str, object]:
    label = row.question.engine
    return find_engine(label).name, version_of(label) or label.partition(" (")[0]


def _date(row: Row) -> str:
    return str(getattr(row.question, "date", ""))[:7]


def predicted_later(together: Together, border: str = BORDER) -> list[tuple[Row, Span]]:
    """The rows from ``border`` on, each by the fit to those before it.

    The interval is what those rows show when each of their models is left out.
    """
    before = np.array([month < border for month in months_of(together.rows)])
    later = np.flatnonzero(~before)
    if not len(later) or not before.any():
        return []
    fitted = together.fitted(before)
    intervals = together.left_out(before)[0].intervals()
    bounds = together.bounds()
    return [
        (
            row,
            spanned(
                row, replace(fitted[1][name_of(row)], intervals=intervals), seconds, bounds[at]
            ),
        )
        for at, seconds in zip(later, together.expected(fitted, later).tolist(), strict=True)
        for row in (together.rows[at],)
    ]
