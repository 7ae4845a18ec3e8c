"""A pipeline's slowest stage, whose pace all others keep, and what stages send each other."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.work.network import network_work
from thermoflop.cost.work.share import Share
from thermoflop.cost.work.weights import layers_of, stage_share
from thermoflop.cost.work.work import Work

TO_STAGES = "send"


def slots_of(iteration: Iteration) -> float:
    """Micro-batches of the whole model that a device's time is worth, bubble included."""
    passes = iteration.micro_batches + _waited(iteration)
    return float(passes * stage_share(iteration.model.description, iteration.plan.pp))


def _waited(iteration: Iteration) -> float:
    """Micro-batches for which a device waits while the pipeline fills and drains."""
    return (iteration.plan.pp - 1) / iteration.virtual


def at_last_stage(works: list[Work], iteration: Iteration) -> list[Work]:
    """The works of a micro-batch with the head and the loss as the last of the stages has them.

    They come on top of as many layers as any stage has, with each of its own micro-batches: what it
    waits for, while the pipeline fills and drains, are stages that have none. Where stages cannot
    share the layers evenly, whoever places them leaves out of the last one what the head is worth:
    BLOOM's 70 layers and the embeddings before and behind them are 12 stages of 6 (bigscience,
    train/tr11-176B-ml/README.md, ``--pp-partition-method 'type:transformer|embedding'``), and so
    does ``account_for_loss_in_pipeline_split`` of Megatron-Core.
    """
    stages, layers = iteration.plan.pp, layers_of(iteration.model.description)
    if stages == 1:
        return works
    heads = [is_head(work) for work in works]
    flops = [float(work.times * work.flops) for work in works if work.kind != "network"]
    head = sum(
        float(work.times * work.flops) for work, last in zip(works, heads, strict=True) if last
    )
    left_out = -(-layers // stages) * stages - layers
    spared = left_out * (sum(flops) - head) / layers
    on_stage = stage_share(iteration.model.description, stages)
    share = max(0.0, 1.0 - spared / head) / on_stage if head else 0.0
    share *= iteration.micro_batches / (iteration.micro_batches + _waited(iteration))
    return [
        replace(work, times=work.times * share) if last else work
        for work, last in zip(works, heads, strict=True)
    ]


def is_head(work: Work) -> bool:
    """Whether a work makes logits, or the loss of them."""
    return "head" in work.part


def send_works(share: Share, iteration: Iteration, slots: float) -> list[Work]:
    """A micro-batch's activations over one boundary of each chunk of layers and their gradients
    back, in each of so many ``slots``: b s h elements in one direction (Narayanan et al. 2021,
    section 3.2), over t where each tensor-parallel device sends its part (section 4.1)."""
    stack, plan = share.description.stacks[-1], iteration.plan
    if plan.pp == 1:
        return []
    size = iteration.tokens() * stack.hidden * iteration.precision.activation_bytes / plan.tp
    far = size if 0 < plan.node_size < plan.devices else 0.0
    times = 2.0 * iteration.micro_batches * iteration.virtual / slots
    return [network_work(TO_STAGES, times, size, far=far)]
