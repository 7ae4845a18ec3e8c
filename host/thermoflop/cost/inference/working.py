"""For how much of a run a device computes or moves, where it waits for the host to launch kernels.

An engine that records graphs keeps its device awake from kernel to kernel, as those did that the
power was fitted to. One that launches kernel by kernel leaves it waiting, and it draws less; so
does a card with GDDR between the kernels of any, which draws all that it may where it works.
"""

from __future__ import annotations

from thermoflop.base.number import Number, maximum, minimum
from thermoflop.base.record import replace
from thermoflop.cost.energy import has_gddr
from thermoflop.cost.roofline.decode import decode_s
from thermoflop.cost.roofline.rates import Rates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.inference.arguments import Workload
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.cost.roofline.span import Span

# What passes besides the operators of a step.
COSTS = ("kernel_gap_s", "collective_s", "step_s", "sequence_s", "launch_overhead_s", "prompt_s")


def working_share(setting: Setting, workload: Workload, total: Span) -> Number | None:
    """The share of a run in which a device computes or moves, for its own stage; None: it waits
    for no host, and draws what it does without."""
    waits = not setting.rates.graphs and setting.rates.efficiency.launch_overhead_s
    if not waits and not has_gddr(setting.device):
        return None
    rates = at_work(setting.rates)
    batch, new = workload.batch / setting.plan.dp, workload.prompt - workload.prefix
    seconds: Number = 0.0
    for weight, step in setting.prompt_steps(new, batch, workload.prefix):
        seconds = seconds + weight * rates.device_s(setting.works(step))
    steps, works = maximum(workload.generate - 1, 0), setting.decoding(batch)
    seconds = seconds + decode_s(works, workload.prompt, steps, batch, rates, setting.ends)
    return minimum(1.0, seconds / total.expected_s / setting.plan.pp)


def at_work(rates: Rates) -> Rates:
    """The same rates where nothing passes between operators."""
    return Rates(
        rates.peak_flops_s, rates.bandwidth_bytes_s, rates.link_bytes_s, rates.core_hz,
        rates.attention_flops_s, replace(rates.efficiency, **dict.fromkeys(COSTS, 0.0)),
        rates.curves, network_bytes_s=rates.network_bytes_s, wide_flops_s=rates.wide_flops_s,
        scan_flops_s=rates.scan_flops_s,
    )  # fmt: skip
