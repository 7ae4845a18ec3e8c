"""Rates: how fast a device is expected to run each kind of work, under which parameters.

The form of the time is ``roofline.formula``; here it meets a device, a number format and an engine.
"""

from __future__ import annotations

from thermoflop.base.number import Number, maximum, minimum
from thermoflop.cost.engines.engine import DEFAULT, Engine, attention_peak_of, peak_of, wide_peak_of
from thermoflop.cost.engines.ggml import scan_flops_s
from thermoflop.cost.hardware.nodes import joining_bytes_s
from thermoflop.cost.roofline.formula import COMPUTE, GAP, MEMORY, NETWORK, PASSES, Coefficients
from thermoflop.cost.work.work import Work, launches_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.cost.roofline.curves import Curves
    from thermoflop.cost.roofline.formula import Efficiency


class Rates:
    """A device's data sheet in one number format, and what is expected of it.

    ``efficiency`` holds the parameters of ``TERMS``; ``curves``, where a machine was measured, are
    looked up instead of compute and memory. ``graphs``: a decode step is launched at once;
    ``host``: what a launch costs the host, in launches from compiled code (see ``Engine``);
    ``waits``: it does not launch ahead of the device.
    """

    def __init__(
        self,
        peak_flops_s: float,
        bandwidth_bytes_s: float,
        link_bytes_s: float,
        core_hz: float,
        attention_flops_s: float,
        efficiency: Efficiency,
        curves: Curves | None = None,
        *,
        graphs: bool = True,
        host: float = 1.0,
        waits: bool = False,
        network_bytes_s: float = float("inf"),
        wide_flops_s: float | None = None,
        scan_flops_s: float | None = None,
    ) -> None:
        self.peak_flops_s, self.attention_flops_s = peak_flops_s, attention_flops_s
        self.wide_flops_s = attention_flops_s if wide_flops_s is None else wide_flops_s
        self.scan_flops_s = attention_flops_s if scan_flops_s is None else scan_flops_s
        self.bandwidth_bytes_s, self.link_bytes_s = bandwidth_bytes_s, link_bytes_s
        self.core_hz, self.efficiency, self.curves = core_hz, efficiency, curves
        self.graphs, self.host, self.waits = graphs, host, waits
        self.network_bytes_s = network_bytes_s
        self._coefficients = Coefficients(self)

    def compute_s(self, work: Work) -> Number:
        """Seconds that one occurrence computes, padding included."""
        if self.curves is not None and work.kind not in NETWORK:
            return self.curves.seconds(work) * self._measured_shares(work)[0]
        return self._coefficients.seconds(work, COMPUTE)

    def memory_s(self, work: Work) -> Number:
        """Seconds that one occurrence moves bytes: to memory, or to other devices."""
        if self.curves is not None and work.kind not in NETWORK:
            return self.curves.seconds(work) * self._measured_shares(work)[1]
        return self._coefficients.seconds(work, MEMORY)

    def gap_s(self, work: Work) -> Number:
        """Seconds between the kernels of one occurrence."""
        return self._coefficients.seconds(work, GAP)

    def operator_s(self, work: Work) -> Number:
        """Seconds of all occurrences of one operator."""
        busy = maximum(self.compute_s(work), self.memory_s(work))
        return work.times * (busy + self.gap_s(work))

    def device_s(self, works: Sequence[Work]) -> Number:
        """Seconds of the operators of a step on the device, one after the other."""
        total: Number = 0.0
        for work in works:
            total = total + self.operator_s(work)
        return total

    def host_s(self, works: Sequence[Work]) -> Number:
        """Seconds that the host takes to launch the kernels of a step."""
        return self.efficiency.launch_overhead_s * self.host * launches_of(works)

    def waiting_s(self, works: Sequence[Work]) -> float:
        """Seconds of a step in which the device waits for the host: those by which it is slower in
        launching the step, or all of them."""
        hidden = 0.0 if self.waits else self.device_s(works)
        return max(0.0, float(self.host_s(works) - hidden))

    def overhead_s(self, sequences: Number) -> Number:
        """Seconds that a step costs besides its operators."""
        efficiency = self.efficiency
        return efficiency.step_s + sequences * efficiency.sequence_s

    def step_s(self, works: Sequence[Work], sequences: Number, *, recorded: bool = False) -> Number:
        """Seconds expected of one step; ``recorded``: launched at once, as a graph."""
        device = self.device_s(works)
        if not recorded:
            host = self.host_s(works)
            device = device + host if self.waits else maximum(device, host)
        return device + self.overhead_s(sequences)

    def binding(self, work: Work) -> str:
        """What takes the larger part of an operator's time: compute, memory, launch or network."""
        if work.kind in NETWORK:
            return "network"
        computing, moving = self.compute_s(work), self.memory_s(work)
        if self.gap_s(work) > max(computing, moving):
            return "launch"
        return "compute" if computing > moving else "memory"

    def _measured_shares(self, work: Work) -> tuple[Number, Number]:
        """Shares of a measured time that computing and moving take: 1 for the one that binds, for
        the other as much less as the roofline says."""
        if work.kind in PASSES:
            return 0.0, 1.0
        computing = work.flops / self.peak_flops_s
        moving = maximum(work.bytes / self.bandwidth_bytes_s, 1e-30)
        return minimum(1.0, computing / moving), minimum(1.0, moving / maximum(computing, 1e-30))


def rates_of(
    device: Device,
    precision: Precision,
    efficiency: Efficiency,
    engine: Engine | None = None,
    curves: Curves | None = None,
    devices: int | None = None,
) -> Rates:
    """The rates at which one of ``devices`` should run; None: no more than a bridge joins, where
    one does. UsageError for a format it lacks."""
    engine = engine or DEFAULT
    return Rates(
        peak_of(engine, device, precision.compute, narrow=precision.weight_bits < 16),
        device.bandwidth_bytes_s,
        joining_bytes_s(device, devices), device.core_hz,
        attention_peak_of(engine, device, precision.compute), efficiency, curves,
        graphs=engine.graphs, host=engine.host, waits=engine.waits == precision.family,
        network_bytes_s=device.network.bytes_s,
        wide_flops_s=wide_peak_of(engine, device, precision.compute),
        scan_flops_s=scan_flops_s(device) / efficiency.attention if engine.ggml else None,
    )  # fmt: skip


def fastest_peak(device: Device, precision: Precision) -> float:
    """The highest peak that any engine may use for these weights: what the bound is made with."""
    return fastest_products(device, precision)[0]


def fastest_products(device: Device, precision: Precision) -> tuple[float, str]:
    """That peak, and what products it is of.

    Weights of 8 bits and fewer may be multiplied in 8 bits, of 4 bits in 4, and half-precision
    products may be accumulated in half precision where that is faster (consumer cards).
    """
    known = [(device.peak(precision.compute), precision.compute)]
    if precision.family == "16" and device.half_accumulate_flops_s:
        known.append((device.half_accumulate_flops_s, "fp16 summed in fp16"))
    narrow = {"8": ("int8", "fp8"), "4": ("int8", "fp8", "fp4")}.get(precision.family[0], ())
    known += [(device.peaks.get(name, 0.0), name) for name in narrow]
    return max(known, key=lambda each: each[0])


def peak_said(device: Device, precision: Precision) -> str:
    """That peak in words: ``330 TFLOP/s fp16 summed in fp16``."""
    from thermoflop.base.units import scaled

    peak, products = fastest_products(device, precision)
    return f"{scaled(peak, 'FLOP/s')} {products}"
