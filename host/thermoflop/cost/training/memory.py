"""Memory of training on the fullest device: weights, gradients, optimizer, activations.

Activations are kept for the backward pass, bytes of a layer: Korthikanti et al. 2022 (table 2), for
a layer of width h with a heads, sequences of s tokens in micro-batches of b, in 16 bits, dropout
masks of one byte, t-way tensor parallel:

    none                              s b h (34 + 5 a s / h)
    tensor                            s b h (10 + 24/t + 5 a s / (h t))
    tensor + sequence                 s b h / t (34 + 5 a s / h)
    tensor, selective                 s b h (10 + 24/t)
    tensor + sequence, selective      34 s b h / t
    full                              2 s b h

Under sequence parallelism the inputs of the layers, all that ``full`` keeps, are over t as well.

FlashAttention keeps no scores (Dao et al. 2022): what selective recomputation leaves. The forms
hold for attention of all heads and a plain feed-forward of 4h; for other widths the 24 (of it 16
behind the attention's input) is replaced by what the layer's own parts keep.

Of the 10 that are the norms' inputs (4), their results (4) and the dropout masks (2), fine-grained
recomputation discards the results; of the 24 the result of the activation.
"""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.base.record import record, replace
from thermoflop.cost.memory import parameters_held, reserve_bytes
from thermoflop.cost.training.discarded import (
    blocks_of,
    discarded_norms,
    dispatched,
    gradients_of_feed,
    kept_eagerly,
    kept_of_attention,
    kept_of_feed,
    made_inside,
    neurons,
    remade_of_feed,
    results_of_heads,
    whole_attention,
)
from thermoflop.cost.training.host import left_on_device
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.kept import KEPT_BYTES, kept_of_scores, narrowed
from thermoflop.cost.training.lora import Lora, is_on_source, sets_run
from thermoflop.cost.training.loss import gathered_elements, loss_bytes
from thermoflop.cost.training.replicas import adapters_held, experts_shared_by, in_experts
from thermoflop.cost.training.source import cross_elements, encoder_bytes
from thermoflop.cost.training.states import (
    ADAPTER_RECIPE,
    spared_bytes,
    state_bytes,
    stepping_bytes,
)
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.weights import layer_matrices, stage_share
from thermoflop.model.architecture.description import Description, Layer
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.operators.again import FINE_GRAINED

# What an allocator cannot use again of memory that comes and goes in other sizes: measured of
# torchtitan on H100 and of BigScience's runs on A100 (see ``validate memory``).
FRAGMENTED = 0.2
# What a trainer keeps besides: DeepSpeed's buckets of gradients and of gathered weights and its
# communicators, fitted to 100 published rows of BigScience.
BUFFERS = {"megatron-deepspeed": 3e9}

# An 80 % interval of what is not states, over what is expected: of the runs that validate memory
# judges, and of trainers that it has no row of, three of whose published runs took 0.63 to 0.76
# (torchtune's 70B LoRA on A100, a Phi-3 mini of one's own making on H100, whole and LoRA).
MEASURED = frozenset({"megatron-deepspeed", "torchtitan"})
MEMORY_SPREAD, UNMEASURED_SPREAD = (0.85, 1.17), (0.6, 1.67)


@record
class TrainingMemory:
    """Bytes on the fullest device while training.

    Attributes:
        weight_bytes: weights that products are made with.
        gradient_bytes: gradients.
        optimizer_bytes: master weights and the moments of the optimizer.
        activation_bytes: activations that are stored for the backward pass.
        capacity_bytes: what the device has.
        form: how activations are stored: ``none``, ``tensor``, ``tensor, selective``, ``full``, ...
        logit_bytes: logits, and their fp32 copy that the loss needs; 0 on the first of several
            stages where that is the fullest.
        working_bytes: what is alive at the fullest moment besides: gradients of the logits, or a
            layer that is recomputed, its gradients and gathered weights; or what the optimizer
            makes when it steps, where that is more than all that passes.
        reserve_bytes: what driver, libraries and fragmentation take, assumed.
        spread: the ends of an 80 % interval of what is not states, over what is expected.

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
    logit_bytes: float = 0.0
    working_bytes: float = 0.0
    reserve_bytes: float = 0.0
    spread: tuple[float, float] = (1.0, 1.0)

    @property
    def low_bytes(self) -> float:
        """Low end of an 80 % interval of the total."""
        return self.state_bytes + self.spread[0] * (self.total_bytes - self.state_bytes)

    @property
    def high_bytes(self) -> float:
        """High end of it."""
        return self.state_bytes + self.spread[1] * (self.total_bytes - self.state_bytes)

    @property
    def state_bytes(self) -> float:
        """Bytes of weights, gradients and optimizer: what stays from one iteration to the next."""
        return self.weight_bytes + self.gradient_bytes + self.optimizer_bytes

    @property
    def total_bytes(self) -> float:
        """Bytes of everything together."""
        passing = self.activation_bytes + self.logit_bytes + self.working_bytes
        return self.state_bytes + passing + self.reserve_bytes

    @property
    def fits(self) -> bool:
        """Whether everything together is at most the capacity."""
        return self.total_bytes <= self.capacity_bytes

    @property
    def shortfall_bytes(self) -> float:
        """Bytes that are missing; 0 where it fits."""
        return max(0.0, self.total_bytes - self.capacity_bytes)


def form_of(iteration: Iteration, recompute: str) -> str:
    """The form that a run keeps its activations in where it recomputes so much."""
    if recompute == "full":
        return "full"
    kept = recompute in ("none", FINE_GRAINED) and not iteration.fused
    if iteration.plan.tp == 1:
        return "none" if kept else "tensor, selective"
    split = "tensor+sequence" if iteration.plan.sequence else "tensor"
    return split if kept else f"{split}, selective"


def generalized_layer_bytes(
    form: str, tokens: Number, hidden: Number, attention: Number, feed: Number, scores: Number,
    t: Number, wide: float, blocks: int, discarded: float = 0,
) -> Number:  # fmt: skip
    """Bytes of a layer whose parts keep ``attention``, ``feed`` and ``scores`` elements a token.

    What tensor parallelism divides is the inside of both blocks; their inputs, the norms' inputs
    and the dropout masks (10 bytes a token and element, of Korthikanti's 34) are on every device
    unless the sequence is divided too: 5 a block, which are attention, feed-forward and
    a decoder's cross attention. For a = heads, h and 4h this is Korthikanti's formula. The results
    of so many norms are ``discarded``.
    """
    if form == "full":
        return wide * tokens * hidden
    inside = tokens * (attention + feed) * wide
    kept = 0 if form.endswith("selective") else tokens * scores * 2.5 * wide
    outside = tokens * hidden * (2.5 * blocks - discarded) * wide
    if form == "none" or form.startswith("tensor+sequence"):
        return (inside + kept + outside) / t
    return (inside + kept) / t + outside


def _layer_bytes(layer: Layer, form: str, iteration: Iteration, role: str = "decoder") -> float:
    """What one layer of a stack keeps of a micro-batch."""
    hidden, plan = layer.hidden, iteration.plan
    wide = iteration.precision.activation_bytes
    attention, scores = 4.0 * hidden, 0.0
    for mixer in (each for each in layer.mixers if isinstance(each, Attention)):
        attention = 2.0 * mixer.q_width + 2.0 * mixer.kv_width
        keys = iteration.source if role == "encoder" else iteration.document
        scores = float(mixer.heads * (keys or iteration.sequence))
    attention = whole_attention(layer, attention)
    across, met = cross_elements(layer, iteration)
    inner, tokens, norms, again = kept_of_feed(layer.feed, plan), iteration.tokens(role), 0.0, 0.0
    lora, width = iteration.lora, wide
    if iteration.fine_grained:
        norms, attention = discarded_norms(layer), kept_of_attention(layer, attention)
        inner -= neurons(layer.feed)
        again = hidden * norms + neurons(layer.feed)
    elif remade := remade_of_feed(layer.feed, iteration.feed_forward):
        inner -= remade
        again = remade if lora is not None and not lora.reads_product(layer) else 0.0
    if lora is not None and not lora.reads_feed(layer):
        inner -= dispatched(layer.feed, plan)
    if iteration.kept_dtype is not None:
        width = KEPT_BYTES[iteration.kept_dtype]
    attention, inner, norms = narrowed(layer, iteration, attention, inner, norms)
    kept = generalized_layer_bytes(
        form, tokens, hidden, attention + across, inner, kept_of_scores(iteration, scores + met),
        plan.tp, wide, blocks_of(layer), norms,
    )  # fmt: skip
    if lora is not None and form != "full":
        dropped = max(0.0, lora.dropped_elements(layer) - again)
        held = wide * lora.held_elements(layer) + lora.dropout_bytes(layer, wide, plan)
        kept += tokens * (held - width * dropped) / plan.tp
    if not iteration.compiled and form != "full":
        eagerly = kept_eagerly(layer, wide, iteration.feed_forward, again=iteration.fine_grained)
        kept += tokens * eagerly / plan.tp
    return float(kept / plan.tp if form == "full" and plan.sequence else kept)


def _states(iteration: Iteration, share: Share) -> tuple[float, float, float]:
    """Weights, gradients and optimizer. Experts have fewer replicas than the rest: ``dp / ep``
    beyond a group."""
    plan, description = iteration.plan, share.description
    on_stage = stage_share(description, plan.pp)
    if iteration.lora is not None:
        return _adapter_states(iteration, iteration.lora, share)
    recipe = iteration.recipe
    experts = on_stage * in_experts(description)
    dense = parameters_held(share) - experts
    inside = sum(run.sets * part.matrix_parameters for run, part in layer_matrices(description))
    matrices = on_stage * float(inside) - experts
    replicas = iteration.shared_by
    fewer = experts_shared_by(iteration, replicas)
    of_dense = state_bytes(
        matrices, dense - matrices, recipe, iteration.optimizer, iteration.zero, replicas
    )
    of_experts = state_bytes(experts, 0.0, recipe, iteration.optimizer, iteration.zero, fewer)
    weights, gradients, optimizer = (
        one + other for one, other in zip(of_dense, of_experts, strict=True)
    )
    if iteration.in_backward:
        # a gradient is stepped with and freed before the next matrix has its own
        return weights, recipe.gradient * _largest(share.description), optimizer
    if plan.pp > 1 and iteration.zero == 3 and replicas > 1:
        # stages keep gathered weights and whole gradients until their last micro-batch
        gathered = iteration.precision.activation_bytes * (dense + experts)
        return weights + gathered, recipe.gradient * (dense + experts), optimizer
    return weights, gradients, optimizer


def _largest(description: Description) -> float:
    """Parameters of the largest tensor: a layer's, an embedding's or a head's. Experts' matrices
    are one (torchtune, ``GroupedExperts``)."""
    inside = [part.matrix_parameters for _, part in layer_matrices(description)]
    stacks = description.stacks
    tables = (placed.part for stack in stacks for placed in (*stack.front, *stack.tail))
    outside = [] if description.head is None else [description.head.parameters]
    return float(max([*inside, *outside, *(part.parameters for part in tables)]))


def _adapter_states(iteration: Iteration, lora: Lora, share: Share) -> tuple[float, float, float]:
    """The frozen base with the adapters, their gradients and their optimizer."""
    adapters, replicas = adapters_held(iteration, lora, share), iteration.shared_by
    weights, gradients, optimizer = state_bytes(
        adapters, 0.0, ADAPTER_RECIPE, iteration.optimizer, iteration.zero, replicas
    )
    description, stages = share.description, iteration.plan.pp
    spared = spared_bytes(iteration.optimizer, lora.embedded_on(description, stages))
    gradients -= spared / (replicas if iteration.zero >= 2 else 1)
    base = lora.base_bytes(description, stages) - spared
    return base / (replicas if iteration.zero == 3 else 1) + weights, gradients, optimizer


def _layer_work(iteration: Iteration, share: Share, form: str) -> float:
    """Bytes alive in the backward pass of the largest layer: what is recomputed of it, gradients
    of its widest activations, and under ZeRO-3 its gathered weights, those of the next one, and
    its gradients before they are shared out; of a narrow frozen base a matrix in 16 bits."""
    plan = iteration.plan
    layers = [run.layer for run in share.description.runs]
    stacks = iteration.model.description.stacks
    whole = [(run.layer, stack.role) for stack in stacks for run in stack.runs]
    again = 0.0
    if form == "full" or iteration.recomputed:
        entire = replace(iteration, recompute="none")
        kept = form_of(entire, "none")
        again = max(_layer_bytes(layer, kept, entire, role) for layer, role in whole)
    elif iteration.fine_grained:
        again = max(_made_again(layer, iteration, role) for layer, role in whole)
    more, how = 3 * gathered_elements(iteration), iteration.feed_forward
    widest = max(
        iteration.tokens(role)
        * (2 * layer.hidden + gradients_of_feed(layer.feed, plan, how) / plan.tp + more)
        for layer, role in whole
    )
    gathered = 0.0
    if iteration.zero == 3 and iteration.shared_by > 1:
        recipe = iteration.recipe
        largest = max(sum(part.parameters for part in layer.parts()) for layer in layers)
        lora, width = iteration.lora, 2 * iteration.precision.activation_bytes + recipe.gradient
        gathered = largest * (width if lora is None else 2 * lora.base.weight_bytes)
    if iteration.lora is not None and iteration.lora.is_narrow:
        matrices = layer_matrices(share.description)
        gathered += 2.0 * max(part.inputs * part.outputs for _, part in matrices)
    return float(again + iteration.precision.activation_bytes * widest + gathered)


def _made_again(layer: Layer, iteration: Iteration, role: str) -> float:
    """Bytes of what a layer discards, all of it made again at once."""
    plan, wide = iteration.plan, iteration.precision.activation_bytes
    norms = discarded_norms(layer) * layer.hidden / (plan.tp if plan.sequence else 1)
    return float(iteration.tokens(role) * wide * (made_inside(layer) / plan.tp + norms))


def _saved_by_operator(layer: Layer, iteration: Iteration, role: str) -> float:
    """Bytes of a layer that keeps its input and the results of attention and of every other
    product, the first of them included (torchtitan, ``_save_list``)."""
    products = [part for part in layer.parts() if isinstance(part, Linear)][::2]
    inside = sum(
        iteration.tokens("encoder" if is_on_source(role, layer, part) else role)
        * part.outputs * sets_run(part, layer.feed)
        for part in products
    )  # fmt: skip
    attending = [mixer for mixer in layer.mixers if isinstance(mixer, Attention)]
    attending += [] if layer.cross is None else [layer.cross]
    results = sum(mixer.q_width for mixer in attending) + results_of_heads(layer)
    inside += iteration.tokens(role) * results
    once = _layer_bytes(layer, "full", iteration, role)
    return float(once + iteration.precision.activation_bytes * inside / iteration.plan.tp)


def _kept_bytes(iteration: Iteration, form: str) -> float:
    """What all layers keep of a micro-batch, a share of them recomputed entirely."""
    stacks = iteration.model.description.stacks
    runs = [(run, stack.role) for stack in stacks for run in stack.runs]
    outside = encoder_bytes(iteration)
    if iteration.by_operator:
        each = (run.times * _saved_by_operator(run.layer, iteration, role) for run, role in runs)
        return float(sum(each)) + outside
    share = 0.0 if form == "full" else iteration.recomputed
    return outside + float(
        sum(
            part * run.times * _layer_bytes(run.layer, kept_as, iteration, role)
            for run, role in runs
            for part, kept_as in ((1 - share, form), (share, "full"))
            if part
        )
    )


def kept_by_a_micro_batch(iteration: Iteration) -> float:
    """Bytes of activations of one micro-batch in the layers of a stage."""
    plan = iteration.plan
    form = form_of(iteration, iteration.recompute)
    share = stage_share(iteration.model.description, plan.pp)
    return share * _kept_bytes(iteration, form)


def training_memory(iteration: Iteration) -> TrainingMemory:
    """Memory of the fullest device.

    The first stage keeps the activations of as many micro-batches as there are stages (Korthikanti
    et al. 2022: L/p layers x p micro-batches, x (1 + (p-1)/(p v)) when interleaved), the last one
    those of one micro-batch, and the logits.
    """
    plan, description = iteration.plan, iteration.model.description
    share = Share(description, Layout(plan.tp, plan.pp, 1, plan.ep, plan.cp), iteration.precision)
    form = form_of(iteration, iteration.recompute)
    kept = kept_by_a_micro_batch(iteration)
    alive = min(float(plan.pp), iteration.micro_batches)
    if iteration.virtual > 1:
        alive *= 1 + (plan.pp - 1) / (plan.pp * iteration.virtual)
        alive = min(alive, iteration.micro_batches)
    work, (logits, more) = _layer_work(iteration, share, form), loss_bytes(iteration, share)
    last = kept, logits, max(more, work - logits)
    first = (kept * alive, 0.0, work) if plan.pp > 1 else last
    passing = max(first, last, key=sum)
    capacity = iteration.device.memory_bytes
    reserve = reserve_bytes(iteration.device) + BUFFERS.get(iteration.engine, 0.0)
    states, (activations, logits, working) = _states(iteration, share), passing
    left = left_on_device(iteration, states, activations)
    going, stepping = left[-1] + logits + working, _stepping(iteration, left[2])
    reserve += FRAGMENTED * going
    spread = MEMORY_SPREAD if iteration.engine in MEASURED else UNMEASURED_SPREAD
    if stepping > (1 + FRAGMENTED) * going:
        reserve -= FRAGMENTED * going
        left, logits, working = (*left[:-1], 0.0), 0.0, stepping
    return TrainingMemory(*left, capacity, form, logits, working, reserve, spread)


def _stepping(iteration: Iteration, optimizer: float) -> float:
    """Bytes that the optimizer makes when it steps with everything at once."""
    recipe = iteration.recipe if iteration.lora is None else ADAPTER_RECIPE
    return 0.0 if iteration.in_backward else stepping_bytes(recipe, iteration.optimizer, optimizer)
