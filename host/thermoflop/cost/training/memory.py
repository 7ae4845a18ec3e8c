"""Memory of training on the fullest device: weights, gradients, optimizer, activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.cost.memory import layers_of, stage_share, weight_bytes
from thermoflop.cost.training.activations import form_of, generalized_layer_bytes
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import UsageError
from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parameters import expert_parameters, mixtures

if TYPE_CHECKING:
    from thermoflop.cost.training.iteration import Iteration
    from thermoflop.model.architecture.description import Layer


@record
class TrainingMemory:
    """Bytes on the fullest device while training.

    Attributes:
        weight_bytes: weights in the format of the products.
        gradient_bytes: gradients.
        optimizer_bytes: master weights and Adam's two moments.
        activation_bytes: activations that are stored for the backward pass.
        capacity_bytes: what the device has.
        form: how activations are stored: ``none``, ``tensor``, ``tensor, selective``, ``full``, ...

    Example:
        >>> import thermoflop as tf
        >>> memory = tf.train("llama-3-8b", "h100", devices=8, global_batch=64).memory
        >>> memory.optimizer_bytes * 8 == 12 * 8_030_261_248  # ZeRO-1: shared by 8 replicas
        True
        >>> memory.fits == (memory.total_bytes <= memory.capacity_bytes)
        True
    """

    weight_bytes: float
    gradient_bytes: float
    optimizer_bytes: float
    activation_bytes: float
    capacity_bytes: float
    form: str

    @property
    def total_bytes(self) -> float:
        """Bytes of everything together."""
        return (
            self.weight_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes
        )

    @property
    def fits(self) -> bool:
        """Whether everything together is at most the capacity."""
        return self.total_bytes <= self.capacity_bytes

    @property
    def shortfall_bytes(self) -> float:
        """Bytes that are missing; 0 where it fits."""
        return max(0.0, self.total_bytes - self.capacity_bytes)


def state_bytes(params: float, zero: int, dp: int, wide: float = 2.0) -> tuple[float, float, float]:
    """Bytes of weights, gradients and optimizer states on a device under ZeRO 0 to 3.

    2 + 2 + 12 bytes a parameter in mixed precision with Adam; stage 1 divides the optimizer's
    states over the replicas, 2 the gradients too, 3 the weights too (Rajbhandari et al. 2020).
    """
    if zero not in (0, 1, 2, 3):
        raise UsageError(f"zero={zero!r:.40} is no stage of ZeRO: expected 0, 1, 2 or 3")
    weights = wide * params / (dp if zero >= 3 else 1)
    gradients = wide * params / (dp if zero >= 2 else 1)
    return weights, gradients, 12.0 * params / (dp if zero >= 1 else 1)


def _layer_bytes(layer: Layer, form: str, iteration: Iteration) -> float:
    """What one layer keeps of a micro-batch."""
    tokens = iteration.micro_batch * iteration.sequence / iteration.plan.cp
    hidden, mixer, feed = layer.hidden, layer.mixer, layer.feed
    attention, scores = 4.0 * hidden, 0.0
    if isinstance(mixer, Attention):
        attention = 2.0 * mixer.q_width + 2.0 * mixer.kv_width
        scores = float(mixer.heads * iteration.sequence)
    if isinstance(feed, Moe):
        inner = feed.expert.inner * feed.top_k * (3 if feed.expert.gated else 2)
    elif feed is not None:
        inner = feed.inner * (3 if feed.gated else 2)
    else:
        inner = 0
    return float(
        generalized_layer_bytes(form, tokens, hidden, attention, inner, scores, iteration.plan.tp)
    )


def training_memory(iteration: Iteration) -> TrainingMemory:
    """Memory of the first stage, which keeps the activations of as many micro-batches as there
    are stages (Korthikanti et al. 2022: L/p layers x p micro-batches, x (1 + (p-1)/(p v)) when
    interleaved). Experts have fewer replicas than the rest: ``dp / ep`` beyond a group."""
    plan, description = iteration.plan, iteration.model.description
    share = Share(description, Layout(plan.tp, plan.pp, 1, plan.ep, plan.cp), iteration.precision)
    params = weight_bytes(share) / share.precision.weight_bytes
    layers = layers_of(description)
    shared = sum(sets * expert_parameters(moe) for sets, moe in mixtures(share.description))
    experts = float(shared) * stage_share(layers, plan.pp)
    beyond = max(1, plan.ep // plan.tp)
    replicas = max(1, plan.dp // beyond)
    dense = state_bytes(params - experts, iteration.zero, plan.dp)
    sparse = state_bytes(experts, iteration.zero, replicas)
    weights, gradients, optimizer = (
        mine + theirs for mine, theirs in zip(dense, sparse, strict=True)
    )
    form = form_of(iteration.recompute, plan.tp, sequence=plan.sequence, fused=iteration.fused)
    kept = sum(
        run.times * _layer_bytes(run.layer, form, iteration)
        for stack in description.stacks
        for run in stack.runs
    )
    micro_batches = iteration.global_batch / plan.dp / iteration.micro_batch
    alive = min(float(plan.pp), micro_batches)
    if iteration.virtual > 1:
        alive *= 1 + (plan.pp - 1) / (plan.pp * iteration.virtual)
    kept *= stage_share(layers, plan.pp) * alive
    capacity = iteration.device.memory_bytes
    return TrainingMemory(weights, gradients, optimizer, kept, capacity, form)
