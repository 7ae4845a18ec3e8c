"""``tf.train``: FLOPs, memory, time of an iteration, days and cost of training a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.cost.training.activations import form_of, generalized_layer_bytes
from thermoflop.cost.arguments import as_model, checked_whole
from thermoflop.cost.hardware.device import Device, as_device
from thermoflop.cost.memory import layers_of, stage_share, weight_bytes
from thermoflop.cost.work.share import Plan, Share, choose_plan
from thermoflop.cost.hardware.precision import Precision, choose_precision
from thermoflop.cost.published.training import TrainingQuestion
from thermoflop.errors import UsageError
from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parameters import expert_parameters, mixtures
from thermoflop.model.architecture.parts import Convolution
from thermoflop.base.record import record

if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

    from thermoflop.cost.inference.estimate import Span
    from thermoflop.model.architecture.description import Layer
    from thermoflop.model.model import Model

RECOMPUTE = ("none", "selective", "full")
CONVENTIONS = ("full", "causal")
# Families of formats that products of a training step are computed in.
TRAINABLE = frozenset({"16", "32", "tf32", "8", "4"})


@record
class TrainingMemory:
    """Bytes on the fullest device. States are gradients, master weights and Adam's moments."""

    weight_bytes: float
    gradient_bytes: float
    optimizer_bytes: float
    activation_bytes: float
    capacity_bytes: float
    form: str

    @property
    def total_bytes(self) -> float:
        """Everything together."""
        return (
            self.weight_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes
        )

    @property
    def fits(self) -> bool:
        """Whether it fits."""
        return self.total_bytes <= self.capacity_bytes

    @property
    def shortfall_bytes(self) -> float:
        """What is missing; 0 where it fits."""
        return max(0.0, self.total_bytes - self.capacity_bytes)


@record
class TrainingEstimate:
    """One iteration and a whole run. ``model_flops`` leave recomputation out, ``hardware_flops``
    count it; both with every query meeting every key (``attention='full'``) or under the mask."""

    model_name: str
    params: int
    device: Device
    plan: Plan
    precision: Precision
    global_batch: int
    micro_batch: int
    sequence: int
    recompute: str
    attention: str
    model_flops: int
    hardware_flops: int
    six_n_flops: int
    iteration: Span
    bubble: float
    memory: TrainingMemory
    provenance: str
    train_tokens: float | None = None
    price_per_device_hour: float | None = None
    question: TrainingQuestion | None = None
    profile: str | None = None

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second on all devices."""
        return float(self.global_batch * self.sequence / self.iteration.expected_s)

    @property
    def mfu(self) -> float:
        """Model FLOPs utilization (Chowdhery et al. 2022): recomputation counts for nothing."""
        return self._utilization(self.model_flops)

    @property
    def hfu(self) -> float:
        """Hardware FLOPs utilization: recomputation counts."""
        return self._utilization(self.hardware_flops)

    def _utilization(self, flops: float) -> float:
        peak = self.device.peak(self.precision.compute)
        return float(flops / (self.iteration.expected_s * peak * self.plan.devices))

    @property
    def days(self) -> tuple[float, float, float] | None:
        """Expected days for ``train_tokens``, and the ends of the 80 % interval."""
        if self.train_tokens is None:
            return None
        iterations = self.train_tokens / (self.global_batch * self.sequence)
        span = self.iteration
        expected, low, high = (
            iterations * seconds / 86400 for seconds in (span.expected_s, span.low_s, span.high_s)
        )
        return expected, low, high

    @property
    def device_hours(self) -> float | None:
        """Device hours expected for ``train_tokens``."""
        return None if self.days is None else self.days[0] * 24 * self.plan.devices

    @property
    def price(self) -> float | None:
        """Device hours times their price."""
        if self.device_hours is None or self.price_per_device_hour is None:
            return None
        return self.device_hours * self.price_per_device_hour

    def why(self) -> str:
        """Every operator of an iteration, the formula filled in, and what binds."""
        from thermoflop.cost.training.why import training_why_text

        assert self.question is not None  # noqa: S101 - every estimate that train makes has one
        return training_why_text(self.question, self.profile)

    def __str__(self) -> str:
        from thermoflop.cost.training.text import training_text

        return training_text(self)


def training_days(tokens: float, params: float, devices: int, flops_s: float) -> float:
    """8 T P / (n X): days with one recomputation (Narayanan et al. 2021, section 5.1).

    GPT-3: 300e9 tokens, 175e9 parameters, 1024 devices at 140e12 FLOP/s: 34 days.
    """
    return 8 * tokens * params / (devices * flops_s) / 86400


def bubble_share(pp: int, micro_batches: float, virtual: int = 1) -> float:
    """Idle over working time of a pipeline: (p - 1)/(v m) (Narayanan et al. 2021)."""
    return (pp - 1) / (virtual * micro_batches)


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


def _layer_bytes(layer: Layer, form: str, question: TrainingQuestion) -> float:
    """What one layer keeps of a micro-batch."""
    tokens = question.micro_batch * question.sequence / question.plan.cp
    hidden, mixer, feed = layer.hidden, layer.mixer, layer.feed
    attention, scores = 4.0 * hidden, 0.0
    if isinstance(mixer, Attention):
        attention = 2.0 * mixer.q_width + 2.0 * mixer.kv_width
        scores = float(mixer.heads * question.sequence)
    if isinstance(feed, Moe):
        inner = feed.expert.inner * feed.top_k * (3 if feed.expert.gated else 2)
    elif feed is not None:
        inner = feed.inner * (3 if feed.gated else 2)
    else:
        inner = 0
    return float(
        generalized_layer_bytes(form, tokens, hidden, attention, inner, scores, question.plan.tp)
    )


def training_memory(question: TrainingQuestion) -> TrainingMemory:
    """Memory of the first stage, which keeps the activations of as many micro-batches as there
    are stages (Korthikanti et al. 2022: L/p layers x p micro-batches, x (1 + (p-1)/(p v)) when
    interleaved). Experts have fewer replicas than the rest: ``dp / ep`` beyond a group."""
    plan, description = question.plan, question.model.description
    share = Share(description, Plan(plan.tp, plan.pp, 1, plan.ep, plan.cp), question.precision)
    params = weight_bytes(share) / share.precision.weight_bytes
    layers = layers_of(description)
    shared = sum(sets * expert_parameters(moe) for sets, moe in mixtures(share.description))
    experts = float(shared) * stage_share(layers, plan.pp)
    beyond = max(1, plan.ep // plan.tp)
    replicas = max(1, plan.dp // beyond)
    dense = state_bytes(params - experts, question.zero, plan.dp)
    sparse = state_bytes(experts, question.zero, replicas)
    weights, gradients, optimizer = (
        mine + theirs for mine, theirs in zip(dense, sparse, strict=True)
    )
    form = form_of(question.recompute, plan.tp, sequence=plan.sequence, fused=question.fused)
    kept = sum(
        run.times * _layer_bytes(run.layer, form, question)
        for stack in description.stacks
        for run in stack.runs
    )
    micro_batches = question.global_batch / plan.dp / question.micro_batch
    alive = min(float(plan.pp), micro_batches)
    if question.virtual > 1:
        alive *= 1 + (plan.pp - 1) / (plan.pp * question.virtual)
    kept *= stage_share(layers, plan.pp) * alive
    capacity = question.device.memory_bytes
    return TrainingMemory(weights, gradients, optimizer, kept, capacity, form)


def train(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    *,
    devices: int | None = None,
    tp: int | None = None,
    pp: int = 1,
    dp: int | None = None,
    ep: int = 1,
    cp: int = 1,
    sequence_parallel: bool = True,
    global_batch: int = 512,
    micro_batch: int = 1,
    sequence: int = 2048,
    virtual: int = 1,
    recompute: str = "none",
    zero: int = 1,
    flash: bool = True,
    attention: str = "full",
    dtype: str = "bf16",
    tokens: float | None = None,
    price: float | None = None,
    profile: str | None = None,
) -> TrainingEstimate:
    """Time, memory and utilization of training; ``dp`` is what ``devices`` leave over.

    Raises UsageError, naming the value, for what makes no sense. MFU counts ``attention``.
    """
    known, device = as_model(model), as_device(hardware)
    precision = choose_precision(dtype)
    sizes = {"global_batch": global_batch, "micro_batch": micro_batch, "sequence": sequence,
             "virtual": virtual}  # fmt: skip
    _check_sizes(known, sizes)
    _check_model(known, precision)
    _check_words(recompute, attention, tokens, price)
    plan = _training_plan(devices, tp, pp, dp, ep, cp, sequence=sequence_parallel)
    _check_replicas(global_batch, plan.dp * micro_batch)
    question = TrainingQuestion(
        "", "", profile or "default", known.name, device, known, precision, plan,
        float(global_batch), float(micro_batch), sequence, virtual, recompute, flash, zero, 1.0,
    )  # fmt: skip
    return _estimated(question, attention, profile, tokens, price)


def _estimated(
    question: TrainingQuestion,
    attention: str,
    profile: str | None,
    tokens: float | None,
    price: float | None,
) -> TrainingEstimate:
    """The estimate that answers a question."""
    from thermoflop.cost.training_profile import expect_training

    model, plan, sequence = question.model, question.plan, question.sequence
    batch, micro = int(question.global_batch), int(question.micro_batch)
    question.device.peak(question.precision.compute)
    span, provenance = expect_training(question, profile)
    recompute = question.recompute
    counts = model.training(sequence, batch, recompute=recompute, attention=attention)
    bubble = bubble_share(plan.pp, batch / plan.dp / micro, question.virtual)
    return TrainingEstimate(
        model.name, model.params, question.device, plan, question.precision, batch, micro,
        sequence, recompute, attention, counts.model_flops, counts.flops,
        6 * model.active_params * batch * sequence, span, bubble, training_memory(question),
        provenance, tokens, price, question, profile,
    )  # fmt: skip


def _check_model(known: Model, precision: Precision) -> None:
    """UsageError for a model that reads no text, or a format that no gradient is computed in."""
    fronts = (placed.part for stack in known.description.stacks for placed in stack.front)
    if any(isinstance(part, Convolution) for part in fronts):
        raise UsageError(f"{known.name} reads no tokens: train is for models of text")
    if precision.family not in TRAINABLE or precision.name == "int8":
        raise UsageError(
            f"dtype={precision.name!r} is no format to train in: expected bf16, fp16, fp32, tf32, "
            "fp8 or nvfp4"
        )


def _check_sizes(known: Model, sizes: dict[str, int]) -> None:
    """UsageError for a size that makes no sense."""
    for name, size in sizes.items():
        checked_whole(name, size, 1)
    sequence = sizes["sequence"]
    if known.max_positions is not None and sequence > known.max_positions:
        raise UsageError(f"sequence={sequence} passes the {known.max_positions} of {known.name}")


def _check_replicas(global_batch: int, replica: int) -> None:
    """UsageError where the batch cannot be shared out in whole micro-batches."""
    if global_batch % replica:
        raise UsageError(
            f"global_batch={global_batch} is no multiple of dp x micro_batch={replica}"
        )


def _check_words(recompute: str, attention: str, tokens: float | None, price: float | None) -> None:
    """UsageError for an option that is not one."""
    if recompute not in RECOMPUTE:
        raise UsageError(f"recompute={recompute!r:.40}: expected one of {', '.join(RECOMPUTE)}")
    if attention not in CONVENTIONS:
        raise UsageError(f"attention={attention!r:.40}: expected full or causal")
    for name, amount in (("tokens", tokens), ("price", price)):
        if amount is not None and not 0 < amount < 1e30:
            raise UsageError(f"{name}={amount!r:.40} makes no sense: expected a number > 0")


def _training_plan(
    devices: int | None,
    tp: int | None,
    pp: int,
    dp: int | None,
    ep: int,
    cp: int,
    *,
    sequence: bool,
) -> Plan:
    """The plan; replicas are what the other degrees leave over of the devices."""
    tp = 1 if tp is None else tp
    degrees = [("tp", tp), ("pp", pp), ("cp", cp)]
    for name, value in degrees if dp is None else [*degrees, ("dp", dp)]:
        if type(value) is not int or value < 1:
            raise UsageError(f"{name}={value!r:.40} makes no sense: expected a whole number >= 1")
    inner = tp * pp * cp
    if dp is None:
        dp = 1 if devices is None or type(devices) is not int else devices // inner
    return choose_plan(devices, tp, pp, max(dp, 1), ep, cp, sequence and tp > 1)
