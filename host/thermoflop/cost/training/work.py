"""One training iteration on one device, as weighted steps of operators.

A micro-batch runs forward once and backward at twice the cost, and its layers once more where they
are recomputed. Over ``p`` stages and ``m`` micro-batches a device works for m of them and idles
for (p - 1)/v more (Narayanan et al. 2021: the bubble is (p - 1)/(v m)). Gradients are reduced over
the replicas once, weights gathered for each micro-batch under ZeRO-3; the optimizer reads and
writes its states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import replace
from thermoflop.cost.memory import parameters_held
from thermoflop.cost.roofline.bound import bound_step_s, limits_of
from thermoflop.cost.roofline.rates import fastest_peak
from thermoflop.cost.work.network import network_work, wire_bytes
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.weights import layers_of, stage_share
from thermoflop.cost.work.work import Work
from thermoflop.model.architecture.parameters import expert_parameters, mixtures
from thermoflop.model.operators.step import Step

if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.cost.training.iteration import Iteration

# Bytes a parameter that Adam reads and writes: gradient, both moments and master weight in fp32
# (Rajbhandari et al. 2020), the 16-bit weight written.
OPTIMIZER_BYTES = 4 + 2 * (4 + 4 + 4) + 2
# One direction between nodes for each device: 200 Gbit/s, common for A100 and H100 clusters.
NODE_BYTES_S = 25e9
NODE_DEVICES = 8


def backward_factor(work: Work, recompute: str, recomputed: float = 0.0) -> float:
    """Executions that a micro-batch stands for: forward, two of them backward, recomputation."""
    if recomputed and recompute != "full":
        some, all_of_it = backward_factor(work, recompute), backward_factor(work, "full")
        return some + recomputed * (all_of_it - some)
    if work.kind == "network":
        return 3.0 if recompute == "full" and work.name != "send" else 2.0
    again = recompute == "full" and "head" not in work.part
    return 4.0 if again or (recompute == "selective" and work.kind == "attention") else 3.0


def micro_step(sequence: Number, micro_batch: Number, *, fused: bool) -> Step:
    """The forward step of one micro-batch; eager attention computes under the mask too."""
    kernels = "fused" if fused else "eager"
    attention = "causal" if fused else "full"
    return Step(micro_batch, sequence, 0, attention=attention, kernels=kernels, mla="expanded")


def trained(iteration: Iteration) -> list[tuple[float, list[Work]]]:
    """Weighted work of one iteration on one device."""
    plan = iteration.plan
    inner = Layout(plan.tp, 1, 1, plan.ep, plan.cp, plan.sequence)
    share = Share(iteration.model.description, inner, iteration.precision)
    step = micro_step(iteration.sequence, iteration.micro_batch, fused=iteration.fused)
    micro = [
        replace(work, times=work.times * _executions(work, iteration)) for work in share.works(step)
    ]
    slots = slots_of(iteration)
    parts = [(slots, micro)]
    if plan.pp > 1:
        parts.append((2.0 * iteration.micro_batches, _sends(share, iteration)))
    return [*parts, (1.0, _once(share, iteration))]


def _executions(work: Work, iteration: Iteration) -> float:
    return backward_factor(work, iteration.recompute, iteration.recomputed)


def slots_of(iteration: Iteration) -> float:
    """Micro-batches of the whole model that a device's time is worth, bubble included."""
    plan = iteration.plan
    layers = layers_of(iteration.model.description)
    idle = (plan.pp - 1) / iteration.virtual
    return float((iteration.micro_batches + idle) * stage_share(layers, plan.pp))


def _sends(share: Share, iteration: Iteration) -> list[Work]:
    """A micro-batch's activations over one boundary of each chunk of layers: b s h elements in one
    direction (Narayanan et al. 2021, section 3.2), over t where each tensor-parallel device sends
    its part (section 4.1)."""
    stack = share.description.stacks[-1]
    tokens = iteration.micro_batch * iteration.sequence
    size = tokens * stack.hidden * iteration.precision.activation_bytes / iteration.plan.tp
    return [network_work("send", iteration.virtual, size)]


def _once(share: Share, iteration: Iteration) -> list[Work]:
    """What an iteration does once: reducing gradients, stepping the optimizer."""
    plan, replicas = iteration.plan, iteration.plan.dp * iteration.plan.cp
    params = parameters_held(share) * stage_share(layers_of(share.description), plan.pp)
    whole = Share(share.whole, Layout(plan.tp, 1, 1, 1, plan.cp), share.precision)
    dense = params if plan.ep == 1 else min(params, _dense_params(whole))
    owned = params if iteration.zero == 0 else dense / iteration.shared_by + (params - dense)
    optimizer = Work(
        "optimizer", "training", "optimizer", "element-wise", 1, 0.0, 0.0, 0.0, 0.0,
        owned * OPTIMIZER_BYTES,
    )  # fmt: skip
    if replicas == 1:
        return [optimizer]
    far = plan.devices > NODE_DEVICES
    slower = iteration.device.fabric_bytes_s / NODE_BYTES_S if far else 1.0
    wire = wire_bytes("all-reduce", 2.0 * dense, replicas) * max(1.0, slower)
    return [optimizer, network_work("gradients", 1, wire)]


def _dense_params(share: Share) -> float:
    """Parameters on a device that every replica has: all but the experts."""
    experts = sum(sets * expert_parameters(moe) for sets, moe in mixtures(share.description))
    return parameters_held(share) - float(experts)


def bound_training_s(iteration: Iteration) -> float:
    """The bound of an iteration: FLOPs of forward and backward at the peak, on all devices evenly.

    Attention is counted under the causal mask, recomputation not at all, and every other cost is
    left out: a run that recomputes nothing may overlap all the rest.
    """
    share = Share(iteration.model.description, Layout(), iteration.precision)
    step = micro_step(iteration.sequence, 1, fused=True)
    peak = fastest_peak(iteration.device, iteration.precision)
    limits = limits_of(iteration.device, peak)
    flops = [replace(work, weight_bytes=0.0, kv_bytes=0.0) for work in share.works(step)]
    once = bound_step_s(flops, limits, 1)
    return float(3.0 * once * iteration.global_batch / iteration.plan.devices)
