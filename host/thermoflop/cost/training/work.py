"""One training iteration on one device, as weighted steps of operators.

A micro-batch runs forward once and backward at twice the cost, and its layers once more where they
are recomputed. Over ``p`` stages and ``m`` micro-batches a device works for m of them and idles
for (p - 1)/v more (Narayanan et al. 2021: the bubble is (p - 1)/(v m)). The optimizer reads and
writes its states. What replicas tell each other is in ``training.replicas``; a share of it hides
behind computing.
"""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.base.record import record, replace
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.engines.engine import find_engine
from thermoflop.cost.roofline.bound import bound_step_s, limits_of
from thermoflop.cost.roofline.rates import Rates, rates_of
from thermoflop.cost.training.iteration import STOPS_EARLY, Iteration
from thermoflop.cost.training.lora import ADAPTERS, WRITTEN_OUT, Lora
from thermoflop.cost.training.narrow import BETWEEN_PARTS, cast_works, gathered_narrow
from thermoflop.cost.training.overlap import warm_up_share
from thermoflop.cost.training.power import at_power
from thermoflop.cost.training.replicas import muon_works, optimizer_work, replica_works
from thermoflop.cost.training.stages import TO_STAGES, at_last_stage, send_works, slots_of
from thermoflop.cost.training.stream import divided_stream
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.weights import layers_of, stage_share
from thermoflop.cost.work.work import Work, pass_work, work_of
from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.operators.again import made_again, products
from thermoflop.model.operators.kinds import MatMul, Pass
from thermoflop.model.operators.step import Step

# What the loss moves of an element of the logits. One kernel each way reads 16 bits for the sum,
# and for the gradient that it writes. PyTorch casts to 32 bits (2 + 4 bytes), makes logarithms
# (4 + 4), fills their gradient (4), makes that of the logits (8 + 4), and casts it back (4 + 2).
LOSS_BYTES, LOSS_BYTES_ALONE = 6.0, 36.0
LAST = "down_proj"
TO_EXPERTS = "all-to-all"
# Trainers that multiply for all experts of a device in one kernel (PyTorch's and JAX's grouped
# products, MegaBlocks); Transformer Engine starts one for each, over four streams
# (common/gemm/cublaslt_gemm.cu, ``nvte_multi_stream_cublas_gemm``), and so it casts for them.
IN_ONE_KERNEL = frozenset({"torchtitan", "llm-foundry", "maxtext"})
# FlashAttention computes the scores again in its backward pass: five products for the two of the
# forward pass (Dao 2023, section 4.1), one more than a backward pass that has them.
FLASH_BACKWARD = 0.5


@record
class Phase:
    """``works`` run ``weight`` times one after the other, and ``behind`` them what devices send:
    of each such work a share hides as long as computing goes on, the rest takes its own time."""

    weight: float
    works: list[Work]
    behind: list[tuple[Work, float]]

    def seconds(self, rates: Rates) -> float:
        """Seconds expected of all runs."""
        alone = rates.device_s(self.works)
        sending = [(rates.operator_s(work), hidden) for work, hidden in self.behind]
        exposed = sum((1 - hidden) * each for each, hidden in sending)
        return float(self.weight * max(alone + exposed, sum(each for each, _ in sending)))


def backward_factor(
    work: Work, recompute: str, recomputed: float = 0.0, *, early: bool = False
) -> float:
    """Executions that a micro-batch stands for: forward, two of them backward, recomputation.

    Where that stops ``early``, it leaves out what a layer ends with: nothing needs its result.
    """
    if recomputed and recompute != "full":
        some = backward_factor(work, recompute)
        return some + recomputed * (backward_factor(work, "full", early=early) - some)
    if work.kind == "network":
        return 3.0 if recompute == "full" and work.name != "send" else 2.0
    left_out = "head" in work.part or (early and work.name == LAST and work.group == "mlp")
    again = recompute == "full" and not left_out
    selected = recompute == "selective" and (work.kind == "attention" or work.group == "softmax")
    return 4.0 if again or selected else 3.0


def rates_for(iteration: Iteration, profile: Profile) -> Rates:
    """The rates of a trainer on the device."""
    device, precision, devices = iteration.device, iteration.precision, iteration.plan.devices
    efficiency = profile.efficiency(device, precision, iteration.engine, iteration.kind)
    engine = find_engine(iteration.engine)
    return rates_of(at_power(device), precision, efficiency, engine, devices=devices)


def micro_step(
    sequence: Number, micro_batch: Number, source: int | None = None, *, fused: bool
) -> Step:
    """The forward step of one micro-batch; eager attention computes under the mask too."""
    kernels = "fused" if fused else "eager"
    attention = "causal" if fused else "full"
    return Step(
        micro_batch, sequence, 0, source or 0, attention=attention, kernels=kernels, mla="expanded"
    )


def share_of(iteration: Iteration, lora: Lora | None = None) -> Share:
    """A device's part of all layers; with ``lora`` of the frozen weights as they are kept."""
    plan = iteration.plan
    inner = Layout(
        plan.tp, 1, 1, plan.ep, plan.cp, sequence=plan.sequence, node_size=plan.node_size
    )
    if lora is not None:
        return Share(iteration.model.description, inner, lora.base, lora.checkpoint)
    return Share(iteration.model.description, inner, iteration.precision)


def trained(iteration: Iteration) -> list[Phase]:
    """The phases of one iteration on one device: micro-batches, sending to the next stage, and
    what is done once, behind the last micro-batch where it can be."""
    plan, lora, share = iteration.plan, iteration.lora, share_of(iteration)
    document = iteration.document or iteration.sequence
    documents = iteration.micro_batch * iteration.sequence / document
    step = micro_step(document, documents, iteration.source, fused=iteration.fused)
    kernels = "fused" if iteration.compiled or not iteration.fused else "attention"
    works = share.works(step, kernels)
    if lora is not None:
        frozen = share_of(iteration, lora)
        seen = iteration.tokens(), iteration.tokens("encoder")
        adapters = lora.works(share, seen, iteration.precision.activation_bytes)
        works = [*lora.dequantized(frozen.works(step, kernels)), *adapters]
    works = gathered_narrow(launched_by_expert(works, iteration, share), iteration)
    works = divided_stream(works, iteration, share.description)
    alone = products_works(works, iteration)
    again = made_again(works, share.description) if iteration.fine_grained else frozenset()
    again -= {(work.part, work.name) for work in alone}
    micro = [
        replace(work, times=work.times * _executions(work, iteration, again)) for work in works
    ]
    micro += alone
    micro += [*cast_works(works, iteration, share.description), *loss_works(works, iteration)]
    micro += dropout_works(works, iteration)
    slots = slots_of(iteration)
    micro += [*permuted_works(iteration), *send_works(share, iteration, slots)]
    micro, sent = _apart(at_last_stage(micro, iteration), iteration)
    each, once = replica_works(iteration, share)
    if each:
        parts = [Phase(slots, micro, [*sent, *_behind(each, plan.overlap)])]
    else:
        last = min(slots, stage_share(iteration.model.description, plan.pp))
        behind = _behind([replace(work, times=work.times / last) for work in once], plan.overlap)
        parts = [Phase(slots - last, micro, sent), Phase(last, micro, [*sent, *behind])]
        once = []
    step_works = [optimizer_work(iteration, share), *muon_works(iteration, share)]
    return [*parts, Phase(1.0, [*step_works, *once], [])]


def _apart(works: list[Work], iteration: Iteration) -> tuple[list[Work], list[tuple[Work, float]]]:
    """The works of a micro-batch without what partly hides of what devices send, and that with the
    share that hides."""
    waits = warm_up_share(iteration.plan.pp, iteration.micro_batches, iteration.virtual)
    shares = {
        TO_EXPERTS: iteration.expert_overlap, BETWEEN_PARTS: iteration.tensor_overlap,
        TO_STAGES: iteration.stage_overlap * (1.0 - waits),
    }  # fmt: skip
    pairs = [(work, shares.get(work.name, 0.0)) for work in works]
    return [work for work, share in pairs if not share], [pair for pair in pairs if pair[1]]


def _behind(works: list[Work], overlap: float) -> list[tuple[Work, float]]:
    return [(work, overlap) for work in works]


def launched_by_expert(works: list[Work], iteration: Iteration, share: Share) -> list[Work]:
    """The works with a kernel for each expert of the device, where the trainer has no other."""
    if iteration.engine in IN_ONE_KERNEL:
        return works
    held = max(1, round(share.experts_held))
    return [replace(work, launches=held) if work.rated == "experts" else work for work in works]


def products_works(works: list[Work], iteration: Iteration) -> list[Work]:
    """Activations times gates that fine-grained recomputation makes again, where the forward pass
    has them in a neighbour's kernel: the backward pass of the last product reads them, so that
    they are written by one of their own, or by that of their gradient."""
    if not iteration.fine_grained:
        return []
    runs = iteration.model.description.runs
    names = frozenset().union(*(products(run.layer) for run in runs))
    share = (1.0 - iteration.recomputed) / iteration.plan.cp
    made = []
    for work in works:
        operator = work.operator
        if work.name in names and isinstance(operator, Pass) and operator.fused:
            alone = work_of(replace(operator, fused=False), iteration.precision)
            made.append(replace(alone, times=share * work.times))
    return made


def loss_works(works: list[Work], iteration: Iteration) -> list[Work]:
    """The loss and its gradient, over the elements that the head computes."""
    alone = not (iteration.compiled and iteration.fused)
    moved, kernels = (LOSS_BYTES_ALONE, 5) if alone else (LOSS_BYTES, 2)
    return [
        pass_work("loss", work.part, work.group, work.times,
                  moved * work.flops / (2 * work.operator.k), kernels)
        for work in works
        if "head" in work.part and isinstance(work.operator, MatMul)
    ]  # fmt: skip


def dropout_works(works: list[Work], iteration: Iteration) -> list[Work]:
    """Dropping weights of attention where they are written out: read, written and a mask of a byte
    beside them, forward and backward (5 bytes an element: Korthikanti et al. 2022, table 2)."""
    width = iteration.precision.activation_bytes
    made = []
    for work in works:
        if work.name == "softmax" and work.activation_bytes:
            moved = work.activation_bytes * (2 * width + 1) / (2 * width)
            times = work.times * (_executions(work, iteration, frozenset()) - 1)
            made.append(pass_work("dropout", work.part, work.group, times, moved))
    return made


def permuted_works(iteration: Iteration) -> list[Work]:
    """Laying the tokens of a micro-batch out by expert and back, forward and backward: each is read
    and written for every expert that it chose, and again where others send them (Megatron-LM,
    core/transformer/moe/token_dispatcher.py). Devices that share the experts of a tensor-parallel
    group, or parts of each, have all of the group's tokens, and lay out those of their experts."""
    plan, wide = iteration.plan, iteration.precision.activation_bytes
    again = 1.0 if iteration.recompute == "full" else iteration.recomputed
    spread = plan.ep > plan.tp
    made = []
    for stack in iteration.model.description.stacks:
        tokens = iteration.tokens(stack.role) / (plan.tp if spread else 1)
        for run in stack.runs:
            feed = run.layer.feed
            if isinstance(feed, Moe):
                chosen = feed.top_k * (3 if spread else 1 / plan.ep)
                passes = 2 * (1 + chosen)
                moved = passes * tokens * feed.expert.hidden * wide
                times, kernels = (2 + again) * run.times, 4 if spread else 2
                made.append(pass_work("permute", "mlp", "experts", times, moved, kernels))
    return made


def _executions(work: Work, iteration: Iteration, again: frozenset[tuple[str, str]]) -> float:
    how = iteration.recompute, iteration.recomputed
    factor = backward_factor(work, *how, early=iteration.engine in STOPS_EARLY)
    if (work.part, work.name) in again:  # of layers that are not recomputed entirely
        factor += 1.0 - iteration.recomputed
    if work.kind == "attention" and iteration.fused:
        factor += FLASH_BACKWARD
    # a frozen matrix passes gradients on, and has none of its own
    return factor - 1.0 if is_frozen(work, iteration) else factor


def is_frozen(work: Work, iteration: Iteration) -> bool:
    """Whether a work multiplies with, or writes out, a matrix that is not trained."""
    multiplies = work.kind == "contraction" or work.name == WRITTEN_OUT
    lora = iteration.lora
    if lora is None or work.part == ADAPTERS or (lora.embeddings and work.part == "head"):
        return False
    return multiplies


def bound_training_s(iteration: Iteration) -> float:
    """The bound of an iteration: FLOPs of forward and backward at the peak, on all devices evenly.

    Attention is counted under the causal mask, recomputation not at all, and every other cost is
    left out: a run that recomputes nothing may overlap all the rest.
    """
    share = Share(iteration.model.description, Layout(), iteration.precision)
    document = iteration.document or iteration.sequence
    step = micro_step(document, iteration.sequence / document, iteration.source, fused=True)
    # products of training are summed in fp32: gradients of thousands of tokens need it
    limits = limits_of(iteration.device, iteration.device.peak(iteration.precision.compute))
    flops = [replace(work, weight_bytes=0.0, kv_bytes=0.0) for work in share.works(step)]
    once = 3.0 * bound_step_s(flops, limits, 1)
    if iteration.lora is not None:
        # matrices have no gradient of their own, and below the first that is trained none is
        # passed on
        layers = layers_of(iteration.model.description)
        frozen = [work for work in flops if is_frozen(work, iteration)]
        below = 0.0 if iteration.lora.embeddings else 1 / layers
        once -= (1 + below) * bound_step_s(frozen, limits, 1)
    return float(once * iteration.global_batch / iteration.plan.devices)
