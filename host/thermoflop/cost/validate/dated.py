"""Rows after a date predicted by a fit to the rows before it: what a user of today gets next year.

A row without a date has that of the first row of its version that has one; a version that no row
dates counts as before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thermoflop.base.record import replace
from thermoflop.cost.engines.engine import find_engine
from thermoflop.cost.engines.generation import version_of
from thermoflop.cost.fitting.together import Together, name_of, spanned
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


def predicted_later(together: Together) -> list[tuple[Row, Span]]:
    """The rows from ``BORDER`` on, each by the fit to those before it.

    The interval is what those rows show when each of their models is left out, wider for a version
    that none of them ran.
    """
    before = np.array([month < BORDER for month in months_of(together.rows)])
    later = np.flatnonzero(~before)
    if not len(later) or not before.any():
        return []
    fitted = together.fitted(before)
    left, _ = together.left_out(before)
    bounds = together.bounds()
    versions = {_version(together.rows[at]) for at in np.flatnonzero(before)}
    profiles = {
        name: replace(profile, intervals=left.intervals(name))
        for name, profile in fitted[1].items()
    }
    found = []
    for at, seconds in zip(later, together.expected(fitted, later).tolist(), strict=True):
        row = together.rows[at]
        unseen = () if _version(row) in versions else ("version",)
        found.append((row, spanned(row, profiles[name_of(row)], seconds, bounds[at], unseen)))
    return found
