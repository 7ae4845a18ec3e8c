"""Why an iteration of training takes what it takes: operator by operator, formulas filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import replace
from thermoflop.base.units import digits, scaled, seconds
from thermoflop.cost.catalogue.profiles import find_training_profile
from thermoflop.cost.roofline.rates import rates_of
from thermoflop.cost.training.work import trained
from thermoflop.cost.why.table import reasons, reasons_text

if TYPE_CHECKING:
    from thermoflop.cost.roofline.rates import Rates
    from thermoflop.cost.training.iteration import Iteration
    from thermoflop.cost.why.table import Reason


def training_rates(iteration: Iteration, profile: str | None) -> Rates:
    """The rates of a trainer's profile on the device."""
    trainer = find_training_profile(profile)
    efficiency = trainer.efficiency(iteration.device, iteration.precision, iteration.engine)
    return rates_of(iteration.device, iteration.precision, efficiency)


def training_reasons(iteration: Iteration, profile: str | None) -> tuple[list[Reason], float]:
    """Every operator of an iteration on one device, and the seconds besides."""
    rates = training_rates(iteration, profile)
    works = [
        replace(work, times=weight * work.times)
        for weight, part in trained(iteration)
        for work in part
    ]
    return reasons(works, rates), rates.efficiency.step_s


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
        ("            x (1 forward + 2 backward + 1 where recomputed)"),
        (
            f"  compute = (FLOP + {e.m_half:.0f} rows of padding) / "
            f"({scaled(rates.peak_flops_s, 'FLOP/s')} x e), e = {e.matmul:.2f} in products,"
        ),
        (
            f"            {e.attention:.2f} in attention; sides that are no multiple of 64 cost "
            f"{100 * e.tile_penalty:.0f} % more"
        ),
        (
            f"  memory  = bytes / ({scaled(rates.bandwidth_bytes_s, 'B/s')} x e), e = "
            f"{e.weights:.2f} for weights, {e.activations:.2f} for activations"
        ),
        (
            f"  network = bytes / ({scaled(rates.link_bytes_s, 'B/s')} x {e.link:.2f}) + "
            f"{seconds(e.collective_s)} a step of a collective"
        ),
    ]
    return (
        "\n".join(lines)
        + "\n\n"
        + reasons_text("an iteration on one device", *training_reasons(iteration, profile))
    )
