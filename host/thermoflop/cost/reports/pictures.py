"""Pictures of an estimate: saturation, memory, and operators under the roof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base import chart
from thermoflop.cost.reports.roofline import roofline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.memory import Memory
    from thermoflop.cost.reports.saturation import Saturation


def saturation_picture(rows: Sequence[Saturation], estimate: Estimate) -> str:
    """Time of a token and throughput against the batch."""
    token = tuple((float(row.batch), row.per_token_s * 1e3) for row in rows)
    rate = tuple((float(row.batch), row.tokens_per_s) for row in rows)
    title = f"{estimate.model_name} on {estimate.plan.devices} x {estimate.device.name}"
    curves = (chart.Curve("ms a token", token), chart.Curve("tokens/s of all sequences", rate))
    return chart.log_log(title, "batch", "ms, tokens/s", curves)


def memory_picture(title: str, bars: Sequence[tuple[str, Memory]]) -> str:
    """Bars of weights, cache, activations and reserve, with the device's capacity as a line."""
    most = max(max(memory.total_bytes, memory.capacity_bytes) for _, memory in bars)
    y = chart.Axis(0.0, most, chart.BASE, chart.TOP)
    step = (chart.RIGHT - chart.LEFT) / len(bars)
    parts = [chart.text(chart.LEFT, 24, title, size=15)]
    for number, (name, memory) in enumerate(bars):
        x, below = chart.LEFT + (number + 0.15) * step, 0.0
        sizes = (
            memory.weight_bytes, memory.kv_bytes, memory.activation_bytes, memory.reserve_bytes,
        )  # fmt: skip
        for size, colour in zip(sizes, chart.COLOURS, strict=False):
            upper = y(below + size)
            parts.append(chart.box(x, upper, step * 0.7, y(below) - upper, colour))
            below += size
        line = f"M{x - 6:.1f} {y(memory.capacity_bytes):.1f}h{step * 0.7 + 12:.1f}"
        parts.append(chart.path(line, chart.INK))
        parts.append(chart.text(x + step * 0.35, chart.BASE + 18, name, anchor="middle"))
    names = ("weights", "cache", "activations", "reserve")
    styles = (f'fill="{colour}"' for colour in chart.COLOURS)
    entries = list(zip(names, styles, strict=False))
    parts += chart.legend(entries, chart.LEFT, chart.HEIGHT - 12, ink=chart.INK, sample_px=10)
    return chart.document(chart.WIDTH, chart.HEIGHT, title, parts)


def roofline_picture(estimate: Estimate) -> str:
    """The operators of each step as dots under the roof of the device's data sheet."""
    roof = roofline(estimate)
    curves = [
        chart.Curve(title, tuple((dot.intensity, dot.tflops_s) for dot in dots), dots=True)
        for title, dots in roof.dots.items()
    ]
    title = f"{estimate.model_name} on {estimate.device.name}, {estimate.precision.label}"
    lines = [chart.Curve("roof: data sheet", roof.corners), *curves]
    return chart.log_log(title, "FLOP/byte", "TFLOP/s", lines)
