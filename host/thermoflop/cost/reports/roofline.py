"""The roofline of a device with the operators of a step (Williams et al. 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.cost.roofline.rates import peak_said
from thermoflop.cost.why.table import steps_of

if TYPE_CHECKING:
    from thermoflop.cost.inference.result import Estimate


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
