"""Charts as SVG, written by hand: no library is needed to draw a line.

An ``Axis`` puts values at pixels, the functions draw what charts are made of as SVG elements, and
``document`` puts elements together. ``log_log`` and ``log_panels`` are whole charts with
logarithmic axes.
"""

from __future__ import annotations

from html import escape
from itertools import groupby
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.base.units import digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Ticks = list[tuple[float, str]]


# told apart without colour vision: Okabe and Ito 2008, "Color universal design"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
INK, SOFT, GRID = "#1f2937", "#6b7280", "#e5e7eb"
WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BASE = 72, WIDTH - 24, 40, HEIGHT - 56  # edges of the plot of ``log_log``
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
_LETTER_PX = 6.4  # mean width of a letter at 12 px, for what stands beside a text
_MERGE_PX = 0.3  # bands that are nearer than this are drawn as one: nobody sees the difference

# longest time shown, its unit, the unit in seconds, and the steps that people read a clock by
_TIME_UNITS: tuple[tuple[float, str, float, tuple[float, ...]], ...] = (
    (180.0, "seconds", 1.0, (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30)),
    (3 * 3600.0, "minutes", 60.0, (0.5, 1, 2, 5, 10, 15, 20, 30)),
    (4 * 86400.0, "hours", 3600.0, (0.5, 1, 2, 3, 6, 12)),
    (float("inf"), "days", 86400.0, (0.5, 1, 2, 5, 7, 14, 30, 60, 180, 365)),
)


@record
class Axis:
    """``low`` to ``high`` lie at ``start_px`` to ``end_px``; what is beyond lies at the end."""

    low: float
    high: float
    start_px: float
    end_px: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value lies, in pixels; a logarithmic axis takes positive values alone."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = log10(low), log10(high), log10(value)
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self, most: int = 6) -> Ticks:
        """Round values with labels: powers of ten, or what cuts the axis in ``most`` at most."""
        if self.log:
            powers = range(round(log10(self.low)), round(log10(self.high)) + 1)
            return [(10.0**power, digits(10.0**power)) for power in powers]
        step = nice_step(self.high - self.low, most)
        places = decimals(step)
        return [(n * step, f"{n * step:.{places}f}") for n in self._multiples(step)]

    def time_ticks(self) -> tuple[str, Ticks]:
        """The unit that an axis of seconds is labelled in, and its ticks."""
        span_s = self.high - self.low
        unit, unit_s, steps = time_unit(span_s)
        span = span_s / unit_s
        step = next((each for each in steps if span / each <= 10), nice_step(span, 8))
        multiples = self._multiples(step * unit_s)
        return unit, [(n * step * unit_s, f"{n * step:g}") for n in multiples]

    def _multiples(self, step: float) -> range:
        """The multiples of a step on the axis, those at its very ends included."""
        return range(ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9) + 1)


def decades(values: Iterable[float], start_px: float, end_px: float) -> Axis:
    """A logarithmic axis of whole powers of ten around positive values, one decade at least."""
    logs = [log10(value) for value in values]
    low, high = floor(min(logs)), ceil(max(logs))
    return Axis(10.0**low, 10.0 ** max(high, low + 1), start_px, end_px, log=True)


def time_unit(span_s: float) -> tuple[str, float, tuple[float, ...]]:
    """What a time of ``span_s`` is told in: the unit, its length in seconds, and good steps."""
    return next(row[1:] for row in _TIME_UNITS if span_s <= row[0])


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that cuts ``span`` in ``most`` at most."""
    power = 10.0 ** floor(log10(span / most))
    return next((m * power for m in (1, 2, 2.5, 5) if span / (m * power) <= most), 10 * power)


def decimals(step: float) -> int:
    """Decimals of the labels of a ``nice_step``: one of 2.5 needs one more than one of 2."""
    power = floor(log10(step) + 1e-9)
    return max(0, -power + int(abs(step / 10.0**power - 2.5) < 1e-6))


def text(
    x: float, y: float, content: str, fill: str = INK, *, anchor: str = "start", size: int = 12,
    weight: int = 400,
) -> str:  # fmt: skip
    """Words at a place, that cannot leave their element; ``anchor`` is start, middle or end."""
    style = f'fill="{fill}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{_escaped(content)}</text>'


def _escaped(content: str) -> str:
    """What XML allows: many control characters are an error in it even when they are escaped."""
    return escape("".join(c if c.isprintable() else "?" for c in content), quote=False)


def path(d: str, stroke: str, width: float = 1, dash: str = "") -> str:
    """A line along SVG's path commands ``d``; ``dash`` are the pixels drawn and left out."""
    style = f'stroke="{stroke}" stroke-width="{width}" stroke-linejoin="round"'
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="{d}" fill="none" {style}{dashed}/>'


def line(
    points: Iterable[tuple[float, float | None]], x: Axis, y: Axis, stroke: str, width: float = 1.8
) -> list[str]:
    """A line through points in order of x, broken where y is None; a point alone is a dot.

    However many points there are, the file stays small and the picture the same.
    """
    parts = []
    for _, stretch in groupby(points, lambda point: point[1] is None):
        placed = [(x(at), y(value)) for at, value in stretch if value is not None]
        columns = groupby(placed, lambda spot: int(spot[0]))
        spots = [spot for _, column in columns for spot in _outline(list(column))]
        if len(spots) == 1:
            parts.append(dot(*spots[0], 1.5, stroke))
        elif spots:
            commands = "M" + " ".join(f"{across:.1f},{down:.1f}" for across, down in spots)
            parts.append(path(commands, stroke, width))
    return parts


def _outline(column: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """What a column of pixels shows: its first, highest, lowest and last point.

    With these four the drawn pixels stay the same (Jugel et al. 2014, "M4").
    """
    heights = [down for _, down in column]
    ends = {0, heights.index(min(heights)), heights.index(max(heights)), len(column) - 1}
    return [column[index] for index in sorted(ends)]


def dot(x: float, y: float, radius: float, fill: str) -> str:
    """A dot around a place."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}"/>'


def box(x: float, y: float, width: float, height: float, fill: str) -> str:
    """A box with its upper left corner at a place."""
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{fill}"/>'


def bands(
    spans: Iterable[Sequence[float]], x: Axis, top: float, height: float, style: str,
    least_px: float = 0.5,
) -> str:  # fmt: skip
    """Columns over (start, end) spans in order of start, each wide enough to be seen.

    They are one shape, so that where two touch, a pale ``style`` is not laid on twice.
    """
    columns: list[tuple[float, float]] = []
    for start, end in spans:
        left, right = x(start), max(x(end), x(start) + least_px)
        if columns and left - columns[-1][1] < _MERGE_PX:
            columns[-1] = (columns[-1][0], max(right, columns[-1][1]))
        else:
            columns.append((left, right))
    d = "".join(f"M{a:.1f} {top}h{b - a:.1f}v{height}h{a - b:.1f}z" for a, b in columns)
    return f'<path d="{d}" {style}/>' if d else ""


def pale(fill: str, opacity: float = 0.1) -> str:
    """The style of a band that is seen through."""
    return f'fill="{fill}" fill-opacity="{opacity}"'


def y_grid(x: Axis, y: Axis, most: int = 6, ink: str = SOFT) -> list[str]:
    """A line across the plot at each tick of y, labelled on the left."""
    parts = []
    for value, label in y.ticks(most):
        parts.append(path(f"M{x.start_px} {y(value):.1f}H{x.end_px}", GRID))
        parts.append(text(x.start_px - 9, y(value) + 4, label, ink, anchor="end"))
    return parts


def x_ticks(
    ticks: Ticks, x: Axis, top: float, length: float = 5, stroke: str = SOFT, ink: str = SOFT
) -> list[str]:
    """A mark at each tick of x, from ``top`` on ``length`` pixels down, labelled below it."""
    parts = []
    for value, label in ticks:
        parts.append(path(f"M{x(value):.1f} {top}v{length}", stroke))
        parts.append(text(x(value), top + 18, label, ink, anchor="middle"))
    return parts


def legend(
    entries: Sequence[tuple[str, str]], x: float, y: float, *, ink: str = SOFT, sample_px: int = 20,
    anchor: str = "start", rows: bool = False,
) -> list[str]:  # fmt: skip
    """Names with a sample of their style: a box where that begins with a fill, else a line.

    They stand side by side and start or end at x, as ``anchor`` says, or in ``rows``.
    """
    wide = [sample_px + 32 + _LETTER_PX * len(name) for name, _ in entries]
    if anchor == "end":
        x -= sum(wide) - 20  # names of wide letters end at x, others a few pixels before
    parts = []
    for (name, style), entry_px in zip(entries, wide, strict=True):
        sample = f"M{x:.0f} {y - 4:.0f}h{sample_px}"
        if style.startswith("fill"):
            sample = f"M{x:.0f} {y - 9:.0f}h{sample_px}v10h-{sample_px}z"
        parts += [f'<path d="{sample}" {style}/>', text(x + sample_px + 6, y, name, ink)]
        x, y = (x, y + 18) if rows else (x + entry_px, y)
    return parts


def document(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """The text of an SVG file. It has a light background, so that it can be read on any page."""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    font = f'font-family="{_FONT}" font-size="12"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {font}>',
        f"<title>{_escaped(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="10" fill="#fff"/>',
    ]
    return "\n".join([*head, *filter(None, parts), "</svg>", ""])


@record
class Curve:
    """Points of one line; ``dots`` draws them without the line."""

    name: str
    points: tuple[tuple[float, float], ...]
    dots: bool = False


def log_log(title: str, x_name: str, y_name: str, curves: Sequence[Curve]) -> str:
    """A whole chart with two logarithmic axes; points that are not positive are left out."""
    return log_panels(title, x_name, [(y_name, curves)])


def log_panels(title: str, x_name: str, panels: Sequence[tuple[str, Sequence[Curve]]]) -> str:
    """Panels one below the other on one x: each has a y of its own, as each unit needs one.

    All axes are logarithmic, and points that are not positive are left out.
    """
    kept = [[positive(curve) for curve in curves] for _, curves in panels]
    x = decades((at for panel in kept for points in panel for at, _ in points), LEFT, RIGHT)
    pitch = BASE - TOP + 20
    parts = [text(LEFT, 24, title, size=15)]
    colour_of = iter(COLOURS * (1 + sum(len(curves) for _, curves in panels)))
    for number, ((y_name, curves), panel) in enumerate(zip(panels, kept, strict=True)):
        base, top = BASE + number * pitch, TOP + number * pitch
        y = decades((up for points in panel for _, up in points), base, top)
        ticks = x.ticks()
        if number < len(panels) - 1:  # the numbers of x stand once, below the last panel
            ticks = [(value, "") for value, _ in ticks]
        parts += [*x_ticks(ticks, x, base, top - base, GRID, INK), *y_grid(x, y, ink=INK)]
        parts.append(y_title(y_name, top, base))
        entries = []
        for curve, points in zip(curves, panel, strict=True):
            colour = next(colour_of)
            entries.append((curve.name, f'fill="{colour}"'))
            parts += [dot(x(across), y(up), 3.5, colour) for across, up in points]
            parts += [] if curve.dots else line(points, x, y, colour, 2)
        parts += legend(entries, LEFT + 12, top + 14, ink=INK, sample_px=10, rows=True)
    height = HEIGHT + (len(panels) - 1) * pitch
    parts.append(text((LEFT + RIGHT) / 2, height - 12, x_name, anchor="middle"))
    return document(WIDTH, height, title, parts)


def positive(curve: Curve) -> list[tuple[float, float]]:
    """The points of a curve that logarithmic axes have a place for."""
    return [point for point in curve.points if min(point) > 0]


def y_title(name: str, top: float, base: float) -> str:
    """The name and unit of a y axis, upright beside its numbers."""
    turned = text(0, 0, name, anchor="middle")
    return f'<g transform="translate(16 {(top + base) / 2}) rotate(-90)">{turned}</g>'
