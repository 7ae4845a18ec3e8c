"""Numbers as people read them: three significant digits and a unit. GB is 1e9, GiB 2**30."""

from __future__ import annotations

from math import isfinite

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


def gigabytes(value: float) -> str:
    """Bytes in GB = 1e9."""
    return f"{digits(value / 1e9)} GB"


def shortened(name: str, most: int) -> str:
    """A name in at most so many characters, never cut inside its brackets."""
    if len(name) <= most:
        return name
    whole = name.split(" (")[0]
    return whole if len(whole) <= most else whole[: most - 2].rstrip() + ".."


def table(rows: list[list[str]], left: int = 1, gap: str = "  ") -> str:
    """Columns as wide as their widest cell; the first ``left`` to the left, others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(gap.join(cells).rstrip())
    return "\n".join(lines)


def wrapped(text: str, indent: str = "  ") -> str:
    """A paragraph of at most 98 columns."""
    import textwrap

    return textwrap.fill(text, 98, subsequent_indent=indent)
