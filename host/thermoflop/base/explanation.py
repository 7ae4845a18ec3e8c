"""What is behind one number: the formula that it comes from, filled in, and what binds it."""

from __future__ import annotations

from thermoflop.base.record import record


@record
class Explanation:
    """Why a number is what it is, in lines and cells ready to be printed or put on a page.

    ``title`` names the number and ``value`` is its text. ``formula`` are lines: one that begins
    with a blank is the line before it with this run's numbers filled in. ``columns`` head
    ``rows``, the parts that the number is made of; ``binds`` is the resource that limits it, empty
    where none does; ``notes`` are sentences on what the number assumes.
    """

    title: str
    value: str
    formula: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    binds: str = ""
    notes: tuple[str, ...] = ()
