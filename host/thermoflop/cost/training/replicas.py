"""What devices that hold the same weights tell each other in an iteration, and the optimizer.

ZeRO (Rajbhandari et al. 2020, section 7): gradients are summed over the replicas once an iteration,
an all-reduce, or the reduce-scatter and all-gather that it is made of (stages 0 and 1). Where
gradients are shared out (2), each micro-batch ends in a reduce-scatter; where weights are (3), they
are gathered before its forward and again before its backward pass. Stages of a pipeline keep the
gathered weights for all micro-batches (torchtitan: ``reshard_after_forward`` is off under
pipelining). Hybrid sharding shares within ``shard`` devices and sums the parts over the groups.
"""

from __future__ import annotations

from functools import partial
from math import ceil, log2

from thermoflop.cost.memory import parameters_held
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.lora import Lora
from thermoflop.cost.training.states import ADAPTER_RECIPE, optimizer_bytes
from thermoflop.cost.work.network import collective_work
from thermoflop.cost.work.share import Share
from thermoflop.cost.work.weights import layer_matrices, layers_of, stage_share
from thermoflop.cost.work.work import Work, pass_work
from thermoflop.model.architecture.description import Description
from thermoflop.model.architecture.parameters import expert_parameters, mixtures


def optimizer_work(iteration: Iteration, share: Share) -> Work:
    """Reading and writing what the optimizer keeps, of the parameters that are the device's; none
    where the host does it."""
    recipe = iteration.recipe if iteration.lora is None else ADAPTER_RECIPE
    moved = owned_parameters(iteration, share) * optimizer_bytes(recipe, iteration.optimizer)
    if iteration.offload is not None and "optimizer" in iteration.offload.parts:
        moved = 0.0
    return pass_work("optimizer", "training", "optimizer", 1, moved)


# Newton-Schulz iterations of a step of Muon (Jordan et al. 2024).
NEWTON_SCHULZ = 5


def muon_works(iteration: Iteration, share: Share) -> list[Work]:
    """Making the moments of the layers' matrices orthogonal: 4 n m^2 + 2 m^3 FLOPs an iteration of
    Newton-Schulz for n x m, m the smaller; replicas share the matrices out under ZeRO."""
    if iteration.optimizer != "muon" or iteration.lora is not None:
        return []
    stage = stage_share(share.description, iteration.plan.pp)
    apart = stage / (iteration.shared_by if iteration.zero else 1)
    works = []
    for run, part in layer_matrices(share.description):
        short, long = sorted((float(part.inputs), float(part.outputs)))
        flops = NEWTON_SCHULZ * (4 * long * short**2 + 2 * short**3)
        moved = NEWTON_SCHULZ * 2.0 * (4 * long * short + 4 * short**2)
        works.append(
            Work(f"orthogonal {part.name}", "training", "optimizer", "contraction",
                 run.sets * part.copies * apart, flops, flops / long, 0.0, 0.0, moved,
                 launches=3 * NEWTON_SCHULZ)
        )  # fmt: skip
    return works


def owned_parameters(iteration: Iteration, share: Share) -> float:
    """Parameters that a device steps: its share of those that are trained."""
    alike = iteration.shared_by if iteration.zero else 1
    if iteration.lora is not None:
        return adapters_held(iteration, iteration.lora, share) / alike
    dense, experts = held_parameters(iteration, share)
    return dense / alike + experts / experts_shared_by(iteration, alike)


def held_parameters(iteration: Iteration, share: Share) -> tuple[float, float]:
    """Parameters of a stage on a device: those that all replicas have, and its experts' where
    experts are spread."""
    on_stage = stage_share(share.description, iteration.plan.pp)
    held = parameters_held(share)
    if iteration.plan.ep == 1:
        return on_stage * held, 0.0
    experts = in_experts(share.description)
    return on_stage * (held - experts), on_stage * experts


def in_experts(description: Description) -> float:
    """Parameters of the experts of all layers."""
    return float(sum(sets * expert_parameters(moe) for sets, moe in mixtures(description)))


def adapters_held(iteration: Iteration, lora: Lora, share: Share) -> float:
    """Parameters that are trained of a stage on a device: its adapters, and its embeddings."""
    description, stages = share.description, iteration.plan.pp
    on_stage = stage_share(description, stages)
    return on_stage * lora.parameters(description) + lora.embedded_on(description, stages)


def experts_shared_by(iteration: Iteration, replicas: int) -> int:
    """Devices that hold the same experts: fewer by those over which experts are spread."""
    return max(1, replicas // max(1, iteration.plan.ep // iteration.plan.tp))


def replica_works(iteration: Iteration, share: Share) -> tuple[list[Work], list[Work]]:
    """What is sent in every micro-batch, and what once an iteration."""
    replicas = iteration.plan.dp * iteration.plan.cp
    dense, experts = held_parameters(iteration, share)
    spread = experts_shared_by(iteration, replicas)
    sent = partial(_sent, iteration)
    if iteration.lora is not None:
        return _adapter_works(iteration, iteration.lora, share, dense + experts)
    zero = iteration.zero if iteration.plan.pp == 1 else 1  # or 0, which sends the same
    works: list[Work] = []
    for name, params, alike in (("", dense, replicas), (" of experts", experts, spread)):
        shard = min(iteration.shard or alike, alike)
        if not params or alike == 1:
            continue
        if zero < 2:
            works.append(sent(f"gradients{name}", 1, "all-reduce", params, alike))
            continue
        gathers = 2 if zero == 3 else 0
        if gathers and shard > 1:
            works.append(sent(f"gather weights{name}", gathers, "all-gather", params, shard))
        if shard > 1:
            works.append(sent(f"gradients{name}", 1, "reduce-scatter", params, shard))
        if shard < alike:
            works.append(
                sent(f"sum of groups{name}", 1, "all-reduce", params / shard, alike // shard, shard)
            )
    if zero < 2:
        return [], works
    once = [sent("gather weights", 1, "all-gather", dense, replicas)] if zero == 2 else []
    return works, once if replicas > 1 else []


def _adapter_works(
    iteration: Iteration, lora: Lora, share: Share, base: float
) -> tuple[list[Work], list[Work]]:
    """Gradients of the adapters once; a frozen base that is shared out is gathered as it is."""
    sent, alike = partial(_sent, iteration), iteration.plan.dp * iteration.plan.cp
    if alike == 1:
        return [], []
    adapters = adapters_held(iteration, lora, share)
    once = [sent("gradients of adapters", 1, "all-reduce", adapters, alike)]
    shard = min(iteration.shard or alike, alike)
    if iteration.zero < 3 or shard == 1 or iteration.plan.pp > 1:
        return [], once
    width = lora.base_bytes(share.description, 1) / base
    width /= iteration.precision.activation_bytes
    return [sent("gather weights", 2, "all-gather", width * base, shard)], once


def _sent(
    iteration: Iteration, name: str, times: int, collective: str, params: float, ranks: int,
    apart: int = 1,
) -> Work:  # fmt: skip
    """A collective over replicas, whose ranks are a tensor-parallel group apart: one for each layer
    of the stage, ``params`` in all."""
    plan, description = iteration.plan, iteration.model.description
    layers_held = layers_of(description) * stage_share(description, plan.pp)
    each_bytes = params * iteration.precision.activation_bytes / layers_held
    return collective_work(
        name, times * layers_held, collective, each_bytes, ranks,
        steps=float(ceil(log2(ranks))), apart=apart * plan.tp, node_size=plan.node_size,
    )  # fmt: skip
