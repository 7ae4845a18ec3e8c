"""Pictures of an estimate: saturation, memory, and operators under the roof (Williams 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base import chart
from thermoflop.base.record import record
from thermoflop.base.units import gigabytes
from thermoflop.cost.memory import Memory, memory_parts
from thermoflop.cost.roofline.rates import peak_said
from thermoflop.cost.why.table import steps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.reports.saturation import Saturation


@record
class Dot:
    """One operator under the roof: its name, FLOP/byte, TFLOP/s reached, and what binds it."""

    name: str
    intensity: float
    tflops_s: float
    binds: str


@record
class Roof:
    """The data sheet's roof as corners and its name, which says what products its peak is of (the
    bound's own), and the operators of each step by the step's title."""

    corners: tuple[tuple[float, float], ...]
    dots: dict[str, tuple[Dot, ...]]
    name: str = "roof: data sheet"


def roofline(estimate: Estimate) -> Roof:
    """TFLOP/s reached against FLOP/byte: the data sheet's roof, and each operator as expected."""
    setting = estimate.setting
    peak, bandwidth = setting.limits.peak_flops_s, setting.limits.bandwidth_bytes_s
    ridge = peak / bandwidth
    dots = {
        title: tuple(
            Dot(
                reason.name,
                reason.intensity,
                reason.flops / reason.time_s / 1e12,
                reason.binds,
            )
            for reason in reasons
            if reason.flops and reason.time_s and reason.bytes
        )
        for title, (reasons, _) in steps_of(estimate).items()
    }
    ends = [dot.intensity for each in dots.values() for dot in each] or [1.0]
    low, high = min(*ends, ridge / 100), max(*ends, ridge * 10)
    corners = ((low, low * bandwidth / 1e12), (ridge, peak / 1e12), (high, peak / 1e12))
    return Roof(corners, dots, f"roof: data sheet, {peak_said(setting.device, setting.precision)}")


def saturation_picture(rows: Sequence[Saturation], estimate: Estimate) -> str:
    """Time of a token and throughput against the batch, each on an axis of its own unit."""
    token = tuple((float(row.batch), row.per_token_s * 1e3) for row in rows)
    rate = tuple((float(row.batch), row.tokens_per_s) for row in rows)
    title = f"{estimate.model_name} on {estimate.plan.devices} x {estimate.device.name}"
    later = estimate.generate > 1
    name = "time of a token" if later else "time of the prompt"
    panels = [
        ("ms", [chart.Curve(name, token)]),
        ("tokens/s", [chart.Curve("tokens/s of all sequences", rate)]),
    ]
    return chart.log_panels(title, "batch, sequences", panels)


def memory_picture(title: str, name: str, memory: Memory) -> str:
    """A bar of weights, cache, activations and reserve, with the device's capacity as a line."""
    x = chart.Axis(0.0, 1.0, chart.LEFT, chart.RIGHT)
    most = max(memory.total_bytes, memory.capacity_bytes) / 1e9
    y = chart.Axis(0.0, 1.08 * most, chart.BASE, chart.TOP)
    parts = [
        chart.text(chart.LEFT, 24, title, size=15),
        *chart.y_grid(x, y, ink=chart.INK),
        chart.y_title("GB a device (1e9 bytes)", chart.TOP, chart.BASE),
    ]
    below, entries = 0.0, []
    for part, colour in zip(memory_parts(memory), chart.COLOURS, strict=False):
        size_gb = float(part.value or 0)
        lower, upper = y(below), y(below + size_gb)
        parts.append(chart.box(x(0.1), upper, x(0.6) - x(0.1), lower - upper, colour))
        entries.append((f"{part.label} {part.text}", f'fill="{colour}"'))
        below += size_gb
    together = f"{name}: {gigabytes(memory.total_bytes)} together"
    capacity = y(memory.capacity_bytes / 1e9)
    parts += [
        chart.text(x(0.35), chart.BASE + 18, together, anchor="middle"),
        chart.path(f"M{chart.LEFT} {capacity:.1f}H{chart.RIGHT}", chart.INK, 1.5, "6 4"),
        chart.text(chart.RIGHT, capacity - 5, f"the device has {gigabytes(memory.capacity_bytes)}",
                   weight=600, anchor="end"),
        *chart.legend(entries, chart.LEFT, chart.HEIGHT - 12, ink=chart.INK, sample_px=10),
    ]  # fmt: skip
    return chart.document(chart.WIDTH, chart.HEIGHT, title, parts)


def roofline_picture(estimate: Estimate) -> str:
    """The operators of each step as dots under the roof of the device's data sheet."""
    roof = roofline(estimate)
    curves = [
        chart.Curve(title, tuple((dot.intensity, dot.tflops_s) for dot in dots), dots=True)
        for title, dots in roof.dots.items()
    ]
    title = f"{estimate.model_name} on {estimate.device.name}, {estimate.precision.label}"
    lines = [chart.Curve(roof.name, roof.corners), *curves]
    return chart.log_log(title, "FLOP/byte", "TFLOP/s", lines)
