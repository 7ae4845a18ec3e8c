"""Why an iteration of training takes what it takes: operator by operator, formulas filled in."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.base.units import digits, scaled, wrapped
from thermoflop.cost.catalogue.trainers import find_training_profile
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import Rates
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.overlap import hidden_lines
from thermoflop.cost.training.power import at_power
from thermoflop.cost.training.work import rates_for, trained
from thermoflop.cost.why.table import BELOW, Reason, network_lines, reasons, reasons_text


def training_rates(iteration: Iteration, profile: str | None) -> Rates:
    """The rates of a trainer's profile on the device."""
    return rates_for(iteration, find_training_profile(profile, iteration.kind))


def training_reasons(iteration: Iteration, profile: str | None) -> tuple[list[Reason], float]:
    """Every operator of an iteration on one device, and the seconds besides."""
    rates = training_rates(iteration, profile)
    listed: list[Reason] = []
    for phase in trained(iteration):
        works, behind = (
            reasons([replace(each, times=phase.weight * each.times) for each in group], rates)
            for group in (phase.works, [work for work, _ in phase.behind])
        )
        shares = [1 - hidden for _, hidden in phase.behind]
        left = phase.seconds(rates) - sum(reason.time_s for reason in works)
        listed += works + _exposed(behind, shares, left)
    return _joined(listed), rates.efficiency.step_s


def _exposed(behind: list[Reason], shares: list[float], seconds_: float) -> list[Reason]:
    """What runs behind computing, with the part of its time that does not hide: its share, and of
    what goes on when computing has ended as much as it has of it all."""
    exposed = [share * each.time_s for share, each in zip(shares, behind, strict=True)]
    hidden = [each.time_s - part for part, each in zip(exposed, behind, strict=True)]
    late = max(0.0, seconds_ - sum(exposed)) / sum(hidden) if sum(hidden) else 0.0
    parts = zip(behind, exposed, hidden, strict=True)
    return [replace(each, time_s=part + late * other) for each, part, other in parts]


def _joined(listed: list[Reason]) -> list[Reason]:
    """One reason for an operator that runs in several phases."""
    joined: dict[tuple[str, str], Reason] = {}
    for each in listed:
        key = each.part, each.name
        other = joined.get(key)
        if other is not None:
            sums = ("times", "flops", "bytes", "compute_s", "memory_s", "launch_s", "time_s")
            added = {name: getattr(other, name) + getattr(each, name) for name in sums}
            each = replace(other, **added)
        joined[key] = each
    return list(joined.values())


def _in_experts(iteration: Iteration, e: Efficiency) -> str:
    return f"{e.expert_matmul:.2f} in those of experts, " if iteration.kind == "experts" else ""


def _power_lines(iteration: Iteration) -> list[str]:
    device = iteration.device
    if at_power(device) is device:
        return []
    return [f"            (what the chip of {device.name} multiplies at {device.power_w:.0f} W)"]


def training_why_text(iteration: Iteration, profile: str | None) -> str:
    """The formula with this device's numbers, then the operators."""
    rates = training_rates(iteration, profile)
    e, plan = rates.efficiency, iteration.plan
    count = iteration.global_batch / plan.dp / iteration.micro_batch
    lines = [
        "time of an iteration = sum over operators of x (gap + max(compute, memory)) + gradients",
        (
            f"  x       = layers x ({digits(count)} micro-batches + "
            f"{digits((plan.pp - 1) / iteration.virtual)} of a bubble) / pp={plan.pp}"
        ),
        "            x (1 forward + 2 backward, 2.5 in attention that keeps no scores,",
        "            + 1 where recomputed)",
        wrapped(
            f"  compute = (FLOP + {e.m_half:.0f} rows of padding) / "
            f"({scaled(rates.peak_flops_s, 'FLOP/s')} x e), e = {e.matmul:.2f} in products, "
            f"{_in_experts(iteration, e)}{e.attention:.2f} in attention; "
            f"sides that are no multiple of 64 cost {100 * e.tile_penalty:.0f} % more",
            BELOW,
        ),
        *_power_lines(iteration),
        wrapped(
            f"  memory  = bytes / ({scaled(rates.bandwidth_bytes_s, 'B/s')} x e), e = "
            f"{e.weights:.2f} for weights, {e.activations:.2f} for activations",
            BELOW,
        ),
        *network_lines(iteration.device, plan, rates),
        *(f"            {line}" for line in hidden_lines(iteration)),
    ]
    shown = reasons_text("an iteration on one device", *training_reasons(iteration, profile))
    return "\n".join([*lines, "", shown])
