"""The time of an operator, written once: a table of terms.

    time of an operator = times x (gap + max(compute, memory))

Compute, memory and gap are sums of terms. A term is a quantity of a ``Work`` (FLOPs, bytes,
launches) over a rate of the device's data sheet, divided by an efficiency or multiplied by a cost
of ``Efficiency``. The estimate adds the terms up, the fit differentiates them by their parameters,
and an explanation fills them in: all three read ``TERMS``.

A step takes as long as its operators, or as the host takes to launch them where that is longer
(kernels are launched ahead of the device, so the two overlap; where an engine waits for its
products they do not), and besides ``step_s`` and
``sequence_s`` for each sequence. Every term is affine in the cached context, on which the closed
form of a generation rests (``roofline.decode``).

Sources: compute and memory overlap (roofline: Williams, Waterman and Patterson 2009, CACM 52(4));
``m_half`` and ``q_half`` are the half-performance length of Hockney and Jesshope (Parallel
Computers, 1981): a product of m rows runs at m/(m + m_half) of its best rate.
"""

from __future__ import annotations

from thermoflop.base.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from thermoflop.base.number import Number
    from thermoflop.cost.work.work import Work

    class DataSheet(Protocol):
        """The rates of a device in one format, under the names that ``Term.rate`` has, and what is
        expected of them: see ``rates.Rates``."""

        peak_flops_s: float
        attention_flops_s: float
        wide_flops_s: float
        scan_flops_s: float
        bandwidth_bytes_s: float
        link_bytes_s: float
        network_bytes_s: float
        core_hz: float
        efficiency: Efficiency


COMPUTE, MEMORY, GAP = "compute", "memory", "gap"

# Kinds of work. What is neither a product nor attention is a pass over memory: nothing to compute.
DENSE = ("contraction",)
WIDE = ("wide",)  # products in 16 bits where others are in fewer
EXPERTS = ("experts",)
ATTENTION = ("attention",)
SCAN = ("scan",)  # recurrences
PASSES = ("normalization", "element-wise", "gather")
NETWORK = ("network",)
NO_EXPERTS = DENSE + WIDE + ATTENTION + SCAN + PASSES
ON_DEVICE = EXPERTS + NO_EXPERTS


@record
class Efficiency:
    """How far a device and an engine stay behind the data sheet, and what they cost besides.

    Fractions, of which a time is divided by: ``matmul`` and ``attention`` of the peak, ``weights``,
    ``cache`` and ``activations`` of the memory's bandwidth, ``link`` of links and network.
    ``weight_bytes_per_core_cycle`` is how many bytes of weights the kernels take in per core and
    clock: what holds fast memory back on a chip with few or slow cores.

    Costs, by which a time grows: ``m_half`` rows of padding in each product and ``q_half`` queries
    for each head of the cache in attention (decoding has one of each head that shares it);
    ``tile_penalty``, the share by which a product takes longer whose sides are no multiple of a
    tile; ``kernel_gap_s`` before each kernel on the device; ``collective_s`` for each step of a
    collective. For a whole step: ``launch_overhead_s`` that the host takes to launch a kernel,
    ``step_s`` for each forward step (scheduler, sampling), ``sequence_s`` for each sequence in it,
    ``prompt_s`` for each batch of prompts that is read. ``expert_matmul`` and ``expert_weights``
    are the fractions of the peak and of the bandwidth that the products of experts reach.
    """

    matmul: float = 1.0
    attention: float = 1.0
    weights: float = 1.0
    cache: float = 1.0
    activations: float = 1.0
    link: float = 1.0
    m_half: float = 0.0
    kernel_gap_s: float = 0.0
    step_s: float = 0.0
    sequence_s: float = 0.0
    collective_s: float = 0.0
    weight_bytes_per_core_cycle: float = float("inf")
    launch_overhead_s: float = 0.0
    prompt_s: float = 0.0
    q_half: float = 0.0
    tile_penalty: float = 0.0
    expert_matmul: float = 1.0
    expert_weights: float = 1.0


PARAMETERS = tuple(Efficiency.__annotations__)
# Rates of experts where they were not fitted apart: those of other matrices.
TIED = {"expert_matmul": "matmul", "expert_weights": "weights"}
# What profiles on disk call them; the names of the others are the same.
PROFILE_KEYS = {
    "m_half": "pad_rows",
    "kernel_gap_s": "launch_s",
    "weight_bytes_per_core_cycle": "stream",
    "launch_overhead_s": "host_s",
    "q_half": "pad_queries",
    "tile_penalty": "uneven",
}


@record
class Term:
    """``quantity`` of a work / ``rate`` of the device, divided by or times ``parameter``.

    It belongs to the sum of its ``side`` for works of these ``kinds``. ``rate`` None: each counts
    ``parameter`` seconds. ``divides``: the parameter is a fraction of the rate, not a cost.
    ``over`` is the efficiency at which the cost is computed as well: padding runs at the rate of
    what it pads.
    """

    parameter: str
    side: str
    kinds: tuple[str, ...]
    quantity: str
    rate: str | None = None
    divides: bool = False
    over: str | None = None

    def at_data_sheet(self, work: Work, rates: DataSheet) -> Number:
        """Seconds of one occurrence where the parameter is 1, 0 for a kind it does not hold for."""
        if work.rated not in self.kinds:
            return 0.0
        quantity = getattr(work, self.quantity)
        return quantity if self.rate is None else quantity / getattr(rates, self.rate)

    def factor(self, rates: DataSheet) -> float:
        """Seconds for one of the quantity under an ``Efficiency``."""
        value = getattr(rates.efficiency, self.parameter)
        factor = 1 / value if self.divides else value
        if self.over is not None:
            factor = factor / getattr(rates.efficiency, self.over)
        return float(factor if self.rate is None else factor / getattr(rates, self.rate))


TERMS = (
    Term("matmul", COMPUTE, DENSE, "flops", "peak_flops_s", divides=True),
    Term("matmul", COMPUTE, WIDE, "flops", "wide_flops_s", divides=True),
    Term("expert_matmul", COMPUTE, EXPERTS, "flops", "peak_flops_s", divides=True),
    Term("m_half", COMPUTE, DENSE, "row_flops", "peak_flops_s", over="matmul"),
    Term("m_half", COMPUTE, WIDE, "row_flops", "wide_flops_s", over="matmul"),
    Term("m_half", COMPUTE, EXPERTS, "row_flops", "peak_flops_s", over="expert_matmul"),
    Term("tile_penalty", COMPUTE, DENSE, "uneven_flops", "peak_flops_s", over="matmul"),
    Term("tile_penalty", COMPUTE, WIDE, "uneven_flops", "wide_flops_s", over="matmul"),
    Term("tile_penalty", COMPUTE, EXPERTS, "uneven_flops", "peak_flops_s", over="expert_matmul"),
    Term("expert_matmul", COMPUTE, EXPERTS, "padding_flops", "peak_flops_s", divides=True),
    Term("attention", COMPUTE, ATTENTION, "flops", "attention_flops_s", divides=True),
    Term("q_half", COMPUTE, ATTENTION, "row_flops", "attention_flops_s", over="attention"),
    Term("attention", COMPUTE, SCAN, "flops", "scan_flops_s", divides=True),
    Term("q_half", COMPUTE, SCAN, "row_flops", "scan_flops_s", over="attention"),
    Term("weights", MEMORY, NO_EXPERTS, "weight_bytes", "bandwidth_bytes_s", divides=True),
    Term("expert_weights", MEMORY, EXPERTS, "weight_bytes", "bandwidth_bytes_s", divides=True),
    Term("cache", MEMORY, ON_DEVICE, "kv_bytes", "bandwidth_bytes_s", divides=True),
    Term("activations", MEMORY, ON_DEVICE, "activation_bytes", "bandwidth_bytes_s", divides=True),
    Term("weight_bytes_per_core_cycle", MEMORY, ON_DEVICE, "weight_bytes", "core_hz", divides=True),
    # a collective's bytes within a node and between nodes are on their way at the same time
    Term("link", MEMORY, NETWORK, "near_bytes", "link_bytes_s", divides=True),
    Term("link", COMPUTE, NETWORK, "far_bytes", "network_bytes_s", divides=True),
    Term("collective_s", GAP, NETWORK, "collective_steps"),
    Term("kernel_gap_s", GAP, ON_DEVICE, "launches"),
)


class Coefficients:
    """Seconds for one of each quantity, by kind and side: ``TERMS`` under some rates."""

    def __init__(self, rates: DataSheet) -> None:
        self._of: dict[tuple[str, str], list[tuple[str, float]]] = {}
        for term in TERMS:
            factor = term.factor(rates)
            if factor:
                for kind in term.kinds:
                    self._of.setdefault((kind, term.side), []).append((term.quantity, factor))

    def seconds(self, work: Work, side: str) -> Number:
        """Seconds of one occurrence of a work on one side."""
        total: Number = 0.0
        for quantity, factor in self._of.get((work.rated, side), ()):
            value = getattr(work, quantity)
            # adding nothing to an array would cost a pass over it
            if type(value) is not float or value:
                total = total + value * factor
        return total
