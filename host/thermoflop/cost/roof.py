"""A picture of the operators of a step under the roof of their device (Williams et al. 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.cost.picture import Curve, chart
from thermoflop.cost.why import steps_of

if TYPE_CHECKING:
    from thermoflop.cost.estimate import Estimate, Setting


def roofline_picture(found: Estimate, setting: Setting) -> str:
    """TFLOP/s reached against FLOP/byte: the data sheet's roof, and each operator as expected."""
    peak, bandwidth = setting.rates.peak_flops_s, setting.rates.bandwidth_bytes_s
    ridge = peak / bandwidth
    dots: list[Curve] = []
    for title, (reasons, _) in steps_of(found, setting).items():
        spots = tuple(
            (reason.intensity, reason.flops / reason.time_s / 1e12)
            for reason in reasons
            if reason.flops and reason.time_s and reason.bytes
        )
        dots.append(Curve(title, spots, dots=True))
    ends = [x for curve in dots for x, _ in curve.points] or [1.0]
    low, high = min(*ends, ridge / 100), max(*ends, ridge * 10)
    roof = ((low, low * bandwidth / 1e12), (ridge, peak / 1e12), (high, peak / 1e12))
    title = f"{found.model_name} on {found.device.name}, {found.precision.name}"
    return chart(title, "FLOP/byte", "TFLOP/s", [Curve("roof: data sheet", roof), *dots])
