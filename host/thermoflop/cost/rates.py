"""Rates: how fast a device really is, for each class of operator; and the rates of the bound.

The time of an operator is its launches plus the larger of computing and moving:

    flops (1 + pad_rows/m) / (peak e_class)   and   sum of bytes / (bandwidth e_kind)

``pad_rows`` is the half-size of the Hockney form m/(m + m_half) (Hockney 1982): small products run
below the rate of large ones. ``stream`` is how many bytes of weights the kernels of an engine take
in per core and clock: what holds fast memory back on a chip with few or slow cores. The form keeps
every time affine in the context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.cost.engines import DEFAULT, attention_peak_of, peak_of
from thermoflop.model.algebra import maximum, minimum
from thermoflop.model.record import record

if TYPE_CHECKING:
    from thermoflop.cost.curves import Curves
    from thermoflop.cost.engines import Engine
    from thermoflop.cost.hardware import Device
    from thermoflop.cost.precision import Precision
    from thermoflop.cost.work import Work
    from thermoflop.model.algebra import Number

_MOVING = ("normalization", "element-wise", "gather")


@record
class Efficiency:
    """Fractions of the data sheet's rates, and what every launch, step and sequence costs.

    ``matmul`` and ``attention`` are fractions of the peak; ``weights``, ``cache`` and
    ``activations`` of the memory bandwidth; ``link`` of the links. ``launch_s`` is for each kernel,
    ``step_s`` for each forward step (host, scheduler, sampling), ``sequence_s`` for each sequence
    in it, ``collective_s`` for each step of a collective.
    """

    matmul: float = 1.0
    attention: float = 1.0
    weights: float = 1.0
    cache: float = 1.0
    activations: float = 1.0
    link: float = 1.0
    pad_rows: float = 0.0
    launch_s: float = 0.0
    step_s: float = 0.0
    sequence_s: float = 0.0
    collective_s: float = 0.0
    stream: float = float("inf")


@record
class Rates:
    """A device in one number format under one ``Efficiency``, or under measured ``curves``."""

    peak_flops_s: Number
    bandwidth_bytes_s: Number
    link_bytes_s: Number
    core_hz: Number
    attention_flops_s: Number
    efficiency: Efficiency
    curves: Curves | None = None


def rates_of(
    device: Device,
    precision: Precision,
    efficiency: Efficiency,
    engine: Engine | None = None,
    curves: Curves | None = None,
) -> Rates:
    """The rates at which a device is expected to run. UsageError for a format it lacks."""
    peak = peak_of(engine or DEFAULT, device, precision.compute)
    fabric = device.fabric_bytes_s
    attention = attention_peak_of(engine or DEFAULT, device, precision.compute)
    bandwidth = device.bandwidth_bytes_s
    return Rates(peak, bandwidth, fabric, device.core_hz, attention, efficiency, curves)


def fastest_peak(device: Device, precision: Precision) -> float:
    """The highest peak that any engine may use for these weights: what the bound is made with.

    Weights of 8 bits and fewer may be multiplied in 8 bits, and half-precision products may be
    accumulated in half precision where that is faster (consumer cards).
    """
    peak = device.peak(precision.compute)
    if precision.family == "16" and device.half_accumulate_flops_s:
        peak = max(peak, device.half_accumulate_flops_s)
    if precision.family in ("4", "8", "8w", "4w"):
        peak = max(peak, *(device.peaks.get(name, 0.0) for name in ("int8", "fp8", "fp4")))
    return peak


def bound_rates(device: Device, precision: Precision) -> Rates:
    """Nothing wasted: the data sheet's rates."""
    peak = fastest_peak(device, precision)
    fabric = device.fabric_bytes_s
    bandwidth = device.bandwidth_bytes_s
    return Rates(peak, bandwidth, fabric, device.core_hz, peak, Efficiency())


def compute_s(work: Work, rates: Rates) -> Number:
    """Seconds that one occurrence computes, padding included."""
    if work.kind in _MOVING or work.kind == "network":
        return 0.0
    efficiency = rates.efficiency
    if rates.curves is not None:
        return rates.curves.seconds(work) * _side(work, rates)[0]
    if work.kind in ("attention", "scan"):
        return work.flops / (rates.attention_flops_s * efficiency.attention)
    padded = work.flops + efficiency.pad_rows * work.row_flops
    return padded / (rates.peak_flops_s * efficiency.matmul)


def memory_s(work: Work, rates: Rates) -> Number:
    """Seconds that one occurrence moves bytes: to memory, or to other devices."""
    efficiency = rates.efficiency
    if work.kind == "network":
        wire = work.activation_bytes / (rates.link_bytes_s * efficiency.link)
        return wire + work.flops * efficiency.collective_s
    if rates.curves is not None:
        return rates.curves.seconds(work) * _side(work, rates)[1]
    weighted = (
        work.weight_bytes / efficiency.weights
        + work.kv_bytes / efficiency.cache
        + work.activation_bytes / efficiency.activations
    )
    taken_in = work.weight_bytes / (rates.core_hz * efficiency.stream)
    return weighted / rates.bandwidth_bytes_s + taken_in


def _side(work: Work, rates: Rates) -> tuple[Number, Number]:
    """Shares of a measured time that computing and moving take: 1 for the one that binds, for the
    other as much less as the roofline says."""
    if work.kind in _MOVING:
        return 0.0, 1.0
    computing = work.flops / rates.peak_flops_s
    moving = maximum(work.bytes / rates.bandwidth_bytes_s, 1e-30)
    return minimum(1.0, computing / moving), minimum(1.0, moving / maximum(computing, 1e-30))


def operator_s(work: Work, rates: Rates) -> Number:
    """Seconds of all occurrences of one operator, launches included."""
    busy = maximum(compute_s(work, rates), memory_s(work, rates))
    return work.times * (busy + work.launches * rates.efficiency.launch_s)


def step_overhead_s(sequences: Number, rates: Rates) -> Number:
    """Seconds that a step costs besides its operators."""
    return rates.efficiency.step_s + sequences * rates.efficiency.sequence_s
