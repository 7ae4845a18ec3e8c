"""Pictures as SVG, written by hand: no library to draw a line.

Both axes may be logarithmic; colours are told apart without colour vision (Okabe and Ito 2008).
"""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.base.units import digits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 40, 56
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")


@record
class Curve:
    """Points of one line; ``dots`` draws them as dots instead."""

    name: str
    points: tuple[tuple[float, float], ...]
    dots: bool = False


def escaped(text: str) -> str:
    """Text that cannot leave its element."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _axis(values: Sequence[float]) -> tuple[float, float]:
    """Whole powers of ten around positive values."""
    low, high = log10(min(values)), log10(max(values))
    return floor(low), max(ceil(high), floor(low) + 1)


def chart(title: str, x_name: str, y_name: str, curves: Sequence[Curve]) -> str:
    """A chart with two logarithmic axes."""
    xs = [x for curve in curves for x, _ in curve.points if x > 0]
    ys = [y for curve in curves for _, y in curve.points if y > 0]
    x_low, x_high = _axis(xs)
    y_low, y_high = _axis(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - x_low) / (x_high - x_low)
        up = (log10(y) - y_low) / (y_high - y_low)
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
        )

    body = [*_grid(int(x_low), int(x_high), int(y_low), int(y_high), place)]
    for number, curve in enumerate(curves):
        body += _drawn(curve, COLOURS[number % len(COLOURS)], number, place)
    middle = (LEFT + WIDTH - RIGHT) / 2
    body.append(label(middle, HEIGHT - 12, x_name, "middle"))
    body.append(
        f'<text x="16" y="{HEIGHT / 2:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 16 {HEIGHT / 2:.0f})">{escaped(y_name)}</text>'
    )
    return framed(title, body)


def _grid(
    x_low: int,
    x_high: int,
    y_low: int,
    y_high: int,
    place: Callable[[float, float], tuple[float, float]],
) -> list[str]:
    """Lines and labels at powers of ten."""
    body = []
    for power in range(x_low, x_high + 1):
        x, y = place(10.0**power, 10.0**y_low)
        body.append(f'<path class="grid" d="M{x:.1f} {y:.1f}V{TOP}"/>')
        body.append(label(x, y + 18, digits(10.0**power), "middle"))
    for power in range(y_low, y_high + 1):
        x, y = place(10.0**x_low, 10.0**power)
        body.append(f'<path class="grid" d="M{x:.1f} {y:.1f}H{WIDTH - RIGHT}"/>')
        body.append(label(x - 8, y + 4, digits(10.0**power), "end"))
    return body


def _drawn(
    curve: Curve, colour: str, number: int, place: Callable[[float, float], tuple[float, float]]
) -> list[str]:
    """One curve and its line in the legend."""
    spots = [place(x, y) for x, y in curve.points if x > 0 and y > 0]
    body = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in spots]
    if not curve.dots and spots:
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
        body.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    y = TOP + 14 + 18 * number
    body.append(f'<rect x="{LEFT + 12}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
    body.append(label(LEFT + 28, y, curve.name, "start"))
    return body


def label(x: float, y: float, words: str, anchor: str) -> str:
    """Words at a place; ``anchor`` is start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(words)}</text>'


def framed(title: str, body: Sequence[str]) -> str:
    """The whole file."""
    style = (
        "text{font:12px system-ui,sans-serif;fill:#222}.title{font-size:15px}"
        ".grid{stroke:#ddd;stroke-width:1;fill:none}"
    )
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                f'width="{WIDTH}" height="{HEIGHT}" role="img">'
            ),
            f"<title>{escaped(title)}</title><style>{style}</style>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            f'<text class="title" x="{LEFT}" y="24">{escaped(title)}</text>',
            *body,
            "</svg>\n",
        ]
    )
