"""Pictures of an estimate: saturation, memory, and operators under the roof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.chart import (
    BOTTOM,
    COLOURS,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Curve,
    chart,
    framed,
    label,
)
from thermoflop.cost.reports.roofline import roofline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.memory import Memory
    from thermoflop.cost.reports.saturation import Saturation


def saturation_picture(rows: Sequence[Saturation], found: Estimate) -> str:
    """Time of a token and throughput against the batch."""
    token = tuple((float(row.batch), row.per_token_s * 1e3) for row in rows)
    rate = tuple((float(row.batch), row.tokens_per_s) for row in rows)
    title = f"{found.model_name} on {found.plan.devices} x {found.device.name}"
    curves = (Curve("ms a token", token), Curve("tokens/s of all sequences", rate))
    return chart(title, "batch", "ms, tokens/s", curves)


def memory_picture(title: str, bars: Sequence[tuple[str, Memory]]) -> str:
    """Bars of weights, cache, activations and reserve, with the device's capacity as a line."""
    most = max([m.total_bytes for _, m in bars] + [m.capacity_bytes for _, m in bars])
    step = (WIDTH - LEFT - RIGHT) / max(len(bars), 1)
    height = HEIGHT - TOP - BOTTOM
    body = []
    for number, (name, memory) in enumerate(bars):
        x, base = LEFT + number * step + step * 0.15, float(HEIGHT - BOTTOM)
        parts = (
            memory.weight_bytes, memory.kv_bytes, memory.activation_bytes, memory.reserve_bytes,
        )  # fmt: skip
        for part, colour in zip(parts, COLOURS, strict=False):
            tall = height * part / most
            base -= tall
            body.append(
                f'<rect x="{x:.1f}" y="{base:.1f}" width="{step * 0.7:.1f}" height="{tall:.1f}" '
                f'fill="{colour}"/>'
            )
        line = HEIGHT - BOTTOM - height * memory.capacity_bytes / most
        body.append(f'<path d="M{x - 6:.1f} {line:.1f}h{step * 0.7 + 12:.1f}" stroke="#222"/>')
        body.append(label(x + step * 0.35, HEIGHT - BOTTOM + 18, name, "middle"))
    for number, name in enumerate(("weights", "cache", "activations", "reserve")):
        place = LEFT + 120 * number
        body.append(label(place + 16, HEIGHT - 12, name, "start"))
        body.append(
            f'<rect x="{place}" y="{HEIGHT - 21}" width="10" height="10" fill="{COLOURS[number]}"/>'
        )
    return framed(title, body)


def roofline_picture(found: Estimate) -> str:
    """The same as a picture."""
    roof = roofline(found)
    curves = [
        Curve(title, tuple((dot.intensity, dot.tflops_s) for dot in dots), dots=True)
        for title, dots in roof.dots.items()
    ]
    title = f"{found.model_name} on {found.device.name}, {found.precision.name}"
    lines = [Curve("roof: data sheet", roof.corners), *curves]
    return chart(title, "FLOP/byte", "TFLOP/s", lines)
