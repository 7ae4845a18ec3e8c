"""One training iteration: which model, on what, how it is divided and recomputed."""

from __future__ import annotations

from thermoflop.base.messages import check_word
from thermoflop.base.record import record
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.training.lora import Lora
from thermoflop.cost.training.offload import Offload
from thermoflop.cost.training.states import Recipe, recipe_of
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.weights import has_experts
from thermoflop.errors import UsageError
from thermoflop.model.architecture.recurrences import Recurrence
from thermoflop.model.model import Model
from thermoflop.model.operators.again import FINE_GRAINED
from thermoflop.model.operators.training import RECOMPUTE

# Trainers whose recomputation of a layer ends with what its backward pass needs last: PyTorch's
# checkpoints that are not reentrant stop there since 2.1 (torch.utils.checkpoint,
# ``set_checkpoint_early_stop``), and XLA drops what nothing needs.
STOPS_EARLY = frozenset({"llm-foundry", "torchtitan", "maxtext"})
# Trainers that run PyTorch as it is, whose norms, activations and sums are kernels of their own.
EAGER = frozenset({"llm-foundry"})
# Every other product, which comes to half of the layers.
BY_OPERATOR, HALF = "operators", 0.5


def recomputation(recompute: str, recomputed: float) -> tuple[str, float, bool]:
    """``recompute``, ``recomputed`` and ``by_operator`` of an iteration, as asked. UsageError for
    what is not known."""
    check_word("recompute", recompute, (*RECOMPUTE, BY_OPERATOR))
    if recompute == "full" and recomputed:
        raise UsageError(
            f"recomputed={recomputed!r:.40} is a share of the layers, and full recomputes all of "
            "them: expected one of the two"
        )
    if recompute != BY_OPERATOR:
        return recompute, recomputed, False
    if recomputed:
        raise UsageError(
            f"recomputed={recomputed!r:.40} is a share of the layers, and {BY_OPERATOR} recomputes "
            "in all of them: expected one of the two"
        )
    return "none", HALF, True


@record
class Iteration:
    """``global_batch`` sequences of ``sequence`` tokens over ``plan``, in micro-batches.

    ``engine`` is the trainer; ``virtual`` is the number of interleaved stages a device holds;
    ``recompute`` is ``none``, ``fine-grained`` (norms, activations, what comes of latents),
    ``selective`` (attention) or ``full``, ``recomputed`` the share of layers that are recomputed
    entirely besides; ``fused``: scores of attention stay on the chip;
    ``zero`` is the stage of ZeRO (Rajbhandari et al. 2020), over ``shard`` of the devices that hold
    the same weights (None: all of them); ``optimizer`` as in ``states.MOMENTS``, ``loss`` as in
    ``loss.LOSSES``. With ``lora`` adapters alone are trained. Attention meets the
    ``document`` tokens of a document (None: the sequence); a share ``padded`` of the tokens is
    padding. ``offload`` is what the host keeps. Not ``compiled``: norms, activations
    and sums are kernels of their own, beside one of attention. ``by_operator``: what is recomputed
    is every other product of every layer, rather than a share of the layers. ``source`` are the
    positions that an encoder reads beside each sequence; None without one. ``expert_overlap`` is
    the share of what tokens send to experts that hides behind computing, ``stage_overlap`` of what
    interleaved stages send each other while forward and backward alternate, ``tensor_overlap`` of
    what tensor-parallel devices tell each other. ``kept_dtype`` is the format that what
    products and activations read is kept in; None: that of the activations. ``in_backward``: the
    optimizer steps with each gradient as it is made. ``feed_forward`` is how kernels of gated
    feed-forwards make their gradients, as in ``discarded.FEED_FORWARDS``; None: beside what is
    kept. ``gradient_dtype`` is the format that gradients are summed in; None: the trainer's.
    """

    engine: str
    model: Model
    device: Device
    plan: Layout
    precision: Precision
    global_batch: float
    micro_batch: float
    sequence: int
    virtual: int = 1
    recompute: str = "none"
    fused: bool = True
    zero: int = 1
    recomputed: float = 0.0
    optimizer: str = "adamw"
    loss: str = "full"
    shard: int | None = None
    lora: Lora | None = None
    document: int | None = None
    padded: float = 0.0
    offload: Offload | None = None
    compiled: bool = True
    by_operator: bool = False
    source: int | None = None
    expert_overlap: float = 0.0
    stage_overlap: float = 0.0
    tensor_overlap: float = 0.0
    kept_dtype: str | None = None
    in_backward: bool = False
    feed_forward: str | None = None
    gradient_dtype: str | None = None

    def tokens(self, role: str = "decoder") -> float:
        """Tokens of a micro-batch on a device that run through a stack of that role."""
        length = self.sequence if role != "encoder" or self.source is None else self.source
        return self.micro_batch * length / self.plan.cp

    @property
    def kind(self) -> str:
        """The kind of a model whose layers are not attention and one feed-forward: mixtures of
        experts, or layers with a state; "" for all others."""
        description = self.model.description
        if any(isinstance(each, Recurrence) and each.scanned for each in description.mixers):
            return "stateful"
        return "experts" if has_experts(description) else ""

    @property
    def asked(self) -> tuple[str, float]:
        """``recompute`` and ``recomputed`` as they were asked for."""
        return (BY_OPERATOR, 0.0) if self.by_operator else (self.recompute, self.recomputed)

    @property
    def fine_grained(self) -> bool:
        """Whether norms, activations and what comes of latents are made again."""
        return self.recompute == FINE_GRAINED

    @property
    def recipe(self) -> Recipe:
        """Bytes a parameter that the trainer keeps."""
        how = self.optimizer, self.zero, self.gradient_dtype
        return recipe_of(self.engine, self.precision, *how)

    @property
    def micro_batches(self) -> float:
        """Micro-batches that pass through a replica in an iteration."""
        return max(1.0, self.global_batch / self.plan.dp / self.micro_batch)

    @property
    def shared_by(self) -> int:
        """Devices that share states under ZeRO: replicas and parts of a sequence hold the same
        weights (FSDP shards over dp x cp); hybrid sharding takes a part of them."""
        return self.shard or self.plan.dp * self.plan.cp


def bubble_share(pp: int, micro_batches: float, virtual: int = 1) -> float:
    """Idle over working time of a pipeline: (p - 1)/(v m) (Narayanan et al. 2021)."""
    return (pp - 1) / (virtual * micro_batches)


def check_replicas(global_batch: int, replica: int) -> None:
    """UsageError where the batch cannot be shared out in whole micro-batches."""
    if global_batch % replica:
        raise UsageError(
            f"global_batch={global_batch} is no multiple of dp x micro-batch ({replica:,}): "
            f"expected such as {max(1, round(global_batch / replica)) * replica}"
        )


def check_shard(shard: int | None, alike: int) -> None:
    """UsageError where states cannot be shared over so many devices."""
    if shard is not None and (type(shard) is not int or shard < 1 or alike % shard):
        raise UsageError(
            f"shard={shard!r:.40} does not divide the {alike} devices that hold the same weights"
        )


def check_in_backward(iteration: Iteration) -> None:
    """UsageError where gradients are summed over micro-batches, or are those of adapters: what a
    backward pass makes is no whole gradient there, or none worth it."""
    if not iteration.in_backward:
        return
    if iteration.micro_batches > 1 or iteration.plan.pp > 1 or iteration.lora is not None:
        raise UsageError(
            "in_backward=True (--optimizer-in-backward) steps with a gradient as soon as it is "
            "made: expected one micro-batch an iteration in each replica (global_batch = dp x "
            "micro_batch), no pipeline and no lora"
        )


def check_interleaved(layers: int, pp: int, virtual: int) -> None:
    """UsageError where a device has no whole layers for each of its interleaved stages (Narayanan
    et al. 2021, section 2.2). Layers that stages do not share evenly are left to who places them.
    """
    each = -(-layers // pp)
    if virtual > each or (pp > 1 and layers % pp == 0 and each % virtual):
        whole = ", ".join(str(n) for n in range(1, each + 1) if each % n == 0)
        raise UsageError(
            f"virtual={virtual} (--interleave) does not divide a stage of {each} "
            f"layer{'s' * (each > 1)}: expected one of {whole}"
        )
