"""Rates: how fast a device really is, for each class of operator, and the peak of the bound.

The time of an operator is its gap plus the larger of computing and moving:

    flops (1 + pad_rows/m) / (peak e_class)   and   sum of bytes / (bandwidth e_kind)

A step takes as long as its operators, or as the host takes to launch them where that is longer:
kernels are launched ahead of the device, so the two overlap. ``pad_rows`` is the half-size of the
Hockney form m/(m + m_half) (Hockney 1982): small products run below the rate of large ones;
``pad_queries`` is the same for the queries of a head, of which decoding has one. ``stream`` is how
many bytes of weights the kernels of an engine take in per core and clock: what holds fast memory
back on a chip with few or slow cores. The form keeps every time affine in the context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.number import maximum, minimum
from thermoflop.base.record import record
from thermoflop.cost.engines.engine import DEFAULT, attention_peak_of, peak_of
from thermoflop.cost.work.work import launches_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.base.number import Number
    from thermoflop.cost.engines.engine import Engine
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.cost.roofline.curves import Curves
    from thermoflop.cost.work.work import Work

# Classes that are a pass over memory: nothing to compute.
MOVING = ("normalization", "element-wise", "gather")


@record
class Efficiency:
    """Fractions of the data sheet's rates, and what every launch, step and sequence costs.

    ``matmul`` and ``attention`` are fractions of the peak; ``weights``, ``cache`` and
    ``activations`` of the memory bandwidth; ``link`` of the links. ``launch_s`` is the device's gap
    before each kernel, ``host_s`` what a launch costs the host, ``step_s`` is for each forward
    step (scheduler, sampling), ``prompt_s`` for each batch of prompts that is read, ``sequence_s``
    for each sequence in a step, ``collective_s`` for each step of a collective. ``uneven`` is what
    products with sides that are no multiple of a tile take longer.
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
    host_s: float = 0.0
    prompt_s: float = 0.0
    pad_queries: float = 0.0
    uneven: float = 0.0


@record
class Rates:
    """A device in one number format under one ``Efficiency``, or under measured ``curves``, with
    the habits of an engine."""

    peak_flops_s: Number
    bandwidth_bytes_s: Number
    link_bytes_s: Number
    core_hz: Number
    attention_flops_s: Number
    efficiency: Efficiency
    curves: Curves | None = None
    graphs: bool = True
    host: float = 1.0


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
    habits = engine or DEFAULT
    return Rates(
        peak, bandwidth, fabric, device.core_hz, attention, efficiency, curves, habits.graphs,
        habits.host,
    )  # fmt: skip


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


def compute_s(work: Work, rates: Rates) -> Number:
    """Seconds that one occurrence computes, padding included."""
    if work.kind in MOVING or work.kind == "network":
        return 0.0
    efficiency = rates.efficiency
    if rates.curves is not None:
        return rates.curves.seconds(work) * _side(work, rates)[0]
    if work.kind in ("attention", "scan"):
        padded = work.flops + efficiency.pad_queries * work.row_flops
        return padded / (rates.attention_flops_s * efficiency.attention)
    padded = work.flops * (1 + efficiency.uneven * work.uneven)
    padded = padded + efficiency.pad_rows * work.row_flops
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
    if work.kind in MOVING:
        return 0.0, 1.0
    computing = work.flops / rates.peak_flops_s
    moving = maximum(work.bytes / rates.bandwidth_bytes_s, 1e-30)
    return minimum(1.0, computing / moving), minimum(1.0, moving / maximum(computing, 1e-30))


def operator_s(work: Work, rates: Rates) -> Number:
    """Seconds of all occurrences of one operator, launches included."""
    busy = maximum(compute_s(work, rates), memory_s(work, rates))
    return work.times * (busy + work.launches * rates.efficiency.launch_s)


def device_s(found: Sequence[Work], rates: Rates) -> Number:
    """Seconds of the operators of a step on the device, one after the other."""
    total: Number = 0.0
    for work in found:
        total = total + operator_s(work, rates)
    return total


def host_s(found: Sequence[Work], rates: Rates) -> Number:
    """Seconds that the host takes to launch the kernels of a step."""
    return rates.efficiency.host_s * rates.host * launches_of(found)


def waiting_s(found: Sequence[Work], rates: Rates) -> float:
    """Seconds by which the host is slower in launching a step than the device in running it."""
    return max(0.0, float(host_s(found, rates) - device_s(found, rates)))


def binding(work: Work, rates: Rates) -> str:
    """What takes the larger part of an operator's time: compute, memory, launch or network."""
    if work.kind == "network":
        return "network"
    computing, moving = compute_s(work, rates), memory_s(work, rates)
    if work.launches * rates.efficiency.launch_s > max(computing, moving):
        return "launch"
    return "compute" if computing > moving else "memory"


def step_overhead_s(sequences: Number, rates: Rates) -> Number:
    """Seconds that a step costs besides its operators."""
    return rates.efficiency.step_s + sequences * rates.efficiency.sequence_s
