"""The bound: seconds below which no run of a step goes on a device.

The data sheet's rates with nothing wasted: computing, moving and sending overlap entirely;
activations, and as many bytes as the on-chip cache holds, may never reach memory; half-precision
sums and 8-bit products are used where the device has them and the format allows (see
``rates.fastest_peak``). Over pipeline stages a token still passes every layer, but
sequences may be in different stages at once.
"""

from __future__ import annotations

from thermoflop.base.number import Number, maximum, minimum
from thermoflop.base.record import record
from thermoflop.cost.hardware.device import Device, is_switched
from thermoflop.cost.roofline.decode import positive_sum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.work.work import Work


SWITCH_GAIN = 2.0


@record
class Sums:
    """What a step adds up to on one device: FLOPs, bytes of weights and cache, bytes sent within a
    node. The network between nodes may be any: the bound leaves it out."""

    flops: Number
    weight_bytes: Number
    kv_bytes: Number
    wire_bytes: Number


def sums_of(works: Sequence[Work]) -> Sums:
    """The sums over all operators. Element-wise work counts no FLOPs: it may be free."""
    flops: Number = 0.0
    weights: Number = 0.0
    cache: Number = 0.0
    wire: Number = 0.0
    for work in works:
        if work.kind == "network":
            wire = wire + work.times * work.near_bytes
            continue
        weights = weights + work.times * work.weight_bytes
        cache = cache + work.times * work.kv_bytes
        if work.kind in ("contraction", "attention", "scan"):
            flops = flops + work.times * work.flops
    return Sums(flops, weights, cache, wire)


@record
class Limits:
    """A device at its best: FLOP/s, bytes a second of memory and links, bytes kept on chip."""

    peak_flops_s: float
    bandwidth_bytes_s: float
    link_bytes_s: float
    cache_bytes: float
    stages: int = 1


def limits_of(device: Device, peak_flops_s: float, stages: int = 1) -> Limits:
    """The limits of a device with that peak.

    A switch that adds up what devices send takes half of an all-reduce's bytes off the links: 8
    H100 took 4.01 ms for 1 GiB (TensorRT-LLM's row in ``data/kernels.json.gz``), where twice 7/8
    of it over 450 GB/s are 4.18 ms. Other collectives are given as much: no row tells them apart.
    """
    fabric = device.fabric_bytes_s * (SWITCH_GAIN if is_switched(device) else 1.0)
    return Limits(peak_flops_s, device.bandwidth_bytes_s, fabric, device.cache_bytes, stages)


def parts_of(sums: Sums, limits: Limits, sequences: Number) -> tuple[Number, Number, Number]:
    """Seconds of computing, moving and sending, each alone."""
    overlap = minimum(limits.stages, maximum(sequences, 1))
    moved = sums.weight_bytes + sums.kv_bytes / overlap - limits.cache_bytes
    return (
        sums.flops / overlap / limits.peak_flops_s,
        moved / limits.bandwidth_bytes_s,
        sums.wire_bytes / overlap / limits.link_bytes_s,
    )


def bound_step_s(works: Sequence[Work], limits: Limits, sequences: Number) -> Number:
    """The bound of one step."""
    return bound_s(sums_of(works), limits, sequences)


def bound_s(sums: Sums, limits: Limits, sequences: Number) -> Number:
    """The bound of what a step adds up to."""
    computing, moving, sending = parts_of(sums, limits, sequences)
    return maximum(maximum(computing, moving), sending)


@record
class Piece:
    """``count`` decode steps whose sums go evenly from those of the first to those of the last: see
    ``roofline.decode``."""

    count: Number
    first: Sums
    last: Sums

    def total(self) -> Sums:
        """The sums over all its steps."""
        first, last = self.first.__dict__, self.last.__dict__
        return Sums(*((first[name] + last[name]) * self.count / 2 for name in first))


def bound_decode_s(pieces: Sequence[Piece], limits: Limits, sequences: Number) -> Number:
    """The bound of decode steps, in closed form."""
    total: Number = 0.0
    sent: Number = 0.0
    for piece in pieces:
        low = parts_of(piece.first, limits, sequences)
        high = parts_of(piece.last, limits, sequences)
        above = positive_sum(low[0] - low[1], high[0] - high[1], piece.count)
        total = total + (low[1] + high[1]) * piece.count / 2 + above
        sent = sent + low[2] * piece.count
    return maximum(total, sent)
