"""Numbers as people read them: three significant digits and a unit. GB is 1e9, GiB 2**30."""

from __future__ import annotations

from math import isfinite

from thermoflop.base.paper import NARROWEST, PARAGRAPH, columns, kept, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SCALES = ((1e24, "Y"), (1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"),
           (1e3, "k"))  # fmt: skip


def digits(value: float) -> str:
    """Three significant digits, never in powers of ten below a million."""
    if not isfinite(value):
        return "-"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3g}"


def counted(value: float) -> str:
    """A number of things: a whole one as it is, a mean in three digits."""
    return f"{value:,.0f}" if value == round(value) else digits(value)


def three_digits(value: float) -> str:
    """Three significant digits at any size, zeros after them: what an estimate supports."""
    return digits(float(f"{value:.3g}"))


def seconds(value: float) -> str:
    """``12.3 ms``; days and hours only from three of them on."""
    for size, unit in _TIMES:
        if abs(value) >= (3 * size if size > 60 else size):
            return f"{digits(value / size)} {unit}"
    return f"{digits(value / 1e-6)} µs"


def scaled(value: float, unit: str) -> str:
    """``3.35 TB/s``: powers of a thousand."""
    for size, letter in _SCALES:
        if abs(value) >= size:
            return f"{digits(value / size)} {letter}{unit}"
    return f"{digits(value)} {unit}"


def degrees(value: float | None) -> str:
    """A temperature in tenths of a degree, the same wherever it stands; a dash for none."""
    return "–" if value is None else f"{value:.1f}"


def kwh_per_million(joules: float) -> str:
    """The energy of a million of what takes so many joules: a kWh is 3.6e6 J."""
    return f"{digits(joules / 3.6)} kWh"


def gigabytes(value: float) -> str:
    """Bytes in GB = 1e9."""
    return f"{digits(value / 1e9)} GB"


def shortened(name: str, most: int) -> str:
    """A name in at most so many characters, never cut inside its brackets."""
    if len(name) <= most:
        return name
    whole = name.split(" (")[0]
    return whole if len(whole) <= most else whole[: most - 2].rstrip() + ".."


def table(
    rows: list[list[str]],
    left: int = 1,
    gap: str = "  ",
    least: Sequence[str] = (),
    alike: Sequence[str] = (),
) -> str:
    """Columns as wide as their widest cell, as many of them as the page has room for.

    Args:
        rows: cells; the first row has the heads. Cells are never wrapped.
        left: how many columns stand to the left; the others stand to the right.
        gap: what is between two columns.
        least: heads of the columns that a narrow page goes without, the least important first.
            After them the first column is shortened, and then the last ones go.
        alike: heads of columns that a narrow page goes without before those, where all rows say
            the same: it is said once, above them.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    once = {head: cells[0] for head, *cells in zip(*rows, strict=True)
            if head in alike and len(set(cells)) == 1}  # fmt: skip
    stay = kept(rows[0], widths, len(gap), [*(head for head in alike if head in once), *least])
    said = [f"{head} {once[head]}" for n, head in enumerate(rows[0])
            if head in once and n not in stay]  # fmt: skip
    page = columns()
    while page is not None and (over := _over(widths, stay, gap, page)) > 0 and len(stay) > 1:
        if widths[0] - over >= min(NARROWEST, widths[0]):
            widths[0] -= over
        else:
            stay.pop()
    lines = [wrapped(f"all rows: {', '.join(said)}"), ""] if said else []
    for row in rows:
        cells = [shortened(row[0], widths[0]), *row[1:]]
        aligned = [
            cells[column].ljust(widths[column])
            if column < left
            else cells[column].rjust(widths[column])
            for column in stay
        ]
        lines.append(gap.join(aligned).rstrip())
    return "\n".join(lines)


def _over(widths: list[int], stay: list[int], gap: str, page: int) -> int:
    """By how many characters the columns that stay are wider than the page."""
    return sum(widths[column] + len(gap) for column in stay) - len(gap) - page


def wrapped(text: str, indent: str = "  ") -> str:
    """A paragraph of at most 98 columns, fewer on a narrower page."""
    return "\n".join(wrap(text, min(PARAGRAPH, columns() or PARAGRAPH), indent))
