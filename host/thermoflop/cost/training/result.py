"""What ``tf.train`` returns, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thermoflop.base.record import fields_of, plain, record
from thermoflop.base.units import digits, gigabytes, scaled, seconds, wrapped
from thermoflop.cost.energy import Energy, energy_of
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.memory import memory_json, occupied_text, too_little
from thermoflop.cost.training.counts import training_flops
from thermoflop.cost.training.host import HOST_MEMORY_BYTES_S, HostUse
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.kept import kept_text
from thermoflop.cost.training.lora import Adapters
from thermoflop.cost.training.memory import TrainingMemory
from thermoflop.cost.work.share import Layout

if TYPE_CHECKING:
    from thermoflop.cost.inference.remedies import Remedy
    from thermoflop.cost.roofline.span import Span


@record
class TrainingEstimate:
    """What training costs, made by ``train``. Print it for a report. Numbers are scalars.

    Attributes:
        model_name: the model's name.
        params: its parameters.
        device: the device.
        plan: how the model is spread over devices.
        precision: the number formats of the run.
        global_batch: sequences of an iteration in all replicas.
        micro_batch: sequences that run at once in a replica.
        sequence: tokens of each sequence.
        recompute: what the backward pass computes again, as ``train`` was asked: ``none``,
            ``fine-grained``, ``selective``, ``operators`` or ``full``.
        attention: how MFU counts attention: ``windowed``, ``full`` or ``causal``.
        model_flops: FLOPs of an iteration on all devices, without recomputation.
        hardware_flops: the same with recomputation.
        six_n_flops: 6 x active parameters x tokens, the rule of thumb, to compare.
        iteration: seconds of one iteration.
        bubble: idle over working time of the pipeline, 0 without stages.
        memory: bytes on the fullest device.
        provenance: what the expectation rests on, as a sentence.
        question: what the estimate was made of; its reasons are read from it.
        train_tokens: tokens of the whole run, or None (default).
        price_per_device_hour: price of a device hour, or None (default).
        profile: whose efficiency, or None: all trainers pooled.
        trained_params: parameters that are trained; with ``lora`` those of the adapters.
        lora: the adapters beside frozen weights, or None (default): all weights are trained.
        document: tokens of a document, within which attention stays; None (default): the sequence.
        padded: share of the tokens that is padding; 0.0 by default.
        host: what the host keeps and does for a device; None (default): nothing.
        recomputed: share of the layers that are recomputed entirely besides; 0.0 by default.
        compiled: whether small operators are fused; True by default.
        encoder: positions that an encoder reads beside each sequence, whose tokens are the
            decoder's; None (default) without one.

    Example:
        >>> import thermoflop as tf
        >>> t = tf.train("llama-3-8b", "h100", devices=8, global_batch=64, tokens=1e12, price=2.0)
        >>> t.mfu == t.hfu  # nothing is recomputed
        True
        >>> round(t.days[0] * 86400 * t.tokens_per_s / 1e12, 6)
        1.0
        >>> t.device_hours == 8 * 24 * t.days[0], t.price == 2 * t.device_hours
        (True, True)
    """

    model_name: str
    params: int
    device: Device
    plan: Layout
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
    question: Iteration
    train_tokens: float | None = None
    price_per_device_hour: float | None = None
    profile: str | None = None
    trained_params: int | None = None
    lora: Adapters | None = None
    document: int | None = None
    padded: float = 0.0
    host: HostUse | None = None
    recomputed: float = 0.0
    compiled: bool = True
    encoder: int | None = None

    @property
    def counted_tokens(self) -> float:
        """Tokens of an iteration, without padding."""
        return self.global_batch * self.sequence * (1 - self.padded)

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second on all devices, without padding."""
        return float(self.counted_tokens / self.iteration.expected_s)

    @property
    def mfu(self) -> float:
        """Model FLOPs utilization, 0 to 1 (Chowdhery et al. 2022): without recomputation."""
        return self._utilization(self.model_flops)

    @property
    def hfu(self) -> float:
        """Hardware FLOPs utilization, 0 to 1: with recomputation."""
        return self._utilization(self.hardware_flops)

    def _utilization(self, flops: float) -> float:
        peak = self.device.peak(self.precision.compute)
        return float(flops / (self.iteration.expected_s * peak * self.plan.devices))

    @property
    def energy(self) -> Energy | None:
        """Power and energy of an iteration and of a token that counts, from the FLOPs with
        recomputation alone; None where the device's power is not known."""
        devices = self.plan.devices
        return energy_of(
            self.device, devices, self.device.peak(self.precision.compute),
            self.hardware_flops / devices, 0.0, self.iteration.expected_s, self.counted_tokens,
            ends=(self.iteration.low_s, self.iteration.high_s),
        )  # fmt: skip

    @property
    def days(self) -> tuple[float, float, float] | None:
        """Expected days for ``train_tokens`` and the ends of the 80 % interval; None without."""
        if self.train_tokens is None:
            return None
        iterations = self.train_tokens / self.counted_tokens
        span = self.iteration
        expected, low, high = (
            iterations * seconds / 86400 for seconds in (span.expected_s, span.low_s, span.high_s)
        )
        return expected, low, high

    @property
    def device_hours(self) -> float | None:
        """Device hours expected for ``train_tokens``; None without."""
        return None if self.days is None else self.days[0] * 24 * self.plan.devices

    @property
    def price(self) -> float | None:
        """Price of the whole run, in the currency of ``price_per_device_hour``; None without."""
        if self.device_hours is None or self.price_per_device_hour is None:
            return None
        return self.device_hours * self.price_per_device_hour

    def why(self) -> str:
        """Where the time of an iteration goes.

        Returns:
            A text: every operator, its formula filled in, and what binds it.

        Example:
            >>> import thermoflop as tf
            >>> "lm_head" in tf.train("gpt2", "a100", sequence=1024).why()
            True
        """
        from thermoflop.cost.training.why import training_why_text

        return training_why_text(self.question, self.profile)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What would make it fit, the least change first; () where it does."""
        if self.memory.fits:
            return ()
        from thermoflop.cost.training.remedies import training_remedies

        return training_remedies(self.question)

    def __str__(self) -> str:
        return training_text(self)


def training_text(estimate: TrainingEstimate) -> str:
    """The whole estimate, at most 100 columns wide."""
    plan, memory = estimate.plan, estimate.memory
    kept = kept_text(memory.form, estimate.question)
    lines = [
        wrapped(
            f"training {estimate.model_name} ({estimate.params:,} parameters) on {plan.devices} x "
            f"{estimate.device.name} ({plan.label}), {estimate.precision.name}"
        ),
        (
            f"batch {estimate.global_batch} x {estimate.sequence} tokens, "
            f"micro-batch {estimate.micro_batch}, recompute {estimate.recompute}{_share(estimate)}"
        ),
        *_special(estimate),
        *(too_little(memory.total_bytes, memory.capacity_bytes) if _surely(memory) else []),
        "",
        *_iteration(estimate),
        "",
        _occupied(memory),
        (
            f"  weights {gigabytes(memory.weight_bytes)}, "
            f"gradients {gigabytes(memory.gradient_bytes)}, "
            f"optimizer {gigabytes(memory.optimizer_bytes)} ({estimate.question.optimizer})"
        ),
        f"  activations {gigabytes(memory.activation_bytes)} ({kept})",
        (
            f"  logits {gigabytes(memory.logit_bytes)} (loss {estimate.question.loss}), "
            f"while working {gigabytes(memory.working_bytes)}, "
            f"reserve {gigabytes(memory.reserve_bytes)} assumed"
        ),
        *_remedies(estimate),
        *_run(estimate),
        "",
        wrapped(f"{estimate.provenance}{_rests(estimate)}"),
    ]
    return "\n".join(lines)


def _surely(memory: TrainingMemory) -> bool:
    """Whether not even the low end of the interval fits."""
    return memory.low_bytes > memory.capacity_bytes


def _occupied(memory: TrainingMemory) -> str:
    """How much of a device is taken, whether that is too much, and how sure that is."""
    said = occupied_text(memory.total_bytes, memory.capacity_bytes, surely=_surely(memory))
    ends = f"{gigabytes(memory.low_bytes)} .. {gigabytes(memory.high_bytes)}"
    beyond = memory.total_bytes <= memory.capacity_bytes < memory.high_bytes
    return f"{said}\n  80 % interval {ends}{', more than the device has' if beyond else ''}"


def _remedies(estimate: TrainingEstimate) -> list[str]:
    if estimate.memory.fits:
        return []
    found = [wrapped(f"  {remedy.text}") for remedy in estimate.remedies]
    return ["it would fit with", *found] if found else ["nothing that train knows makes it fit"]


def _share(estimate: TrainingEstimate) -> str:
    """The layers that are recomputed entirely besides, and kernels that are not fused."""
    share = f", {100 * estimate.recomputed:g} % of the layers entirely"
    share = share if estimate.recomputed else ""
    share += f", feed-forward {how}" if (how := estimate.question.feed_forward) else ""
    return share + ("" if estimate.compiled else ", not compiled")


def _published(estimate: TrainingEstimate) -> str:
    """In what format weights are published that are quantized, or that nobody here knows."""
    model = estimate.question.model
    if model.quantization is not None:
        return f"in {model.quantization.default or model.quantization.method}"
    unknown = model.format_unknown
    return f"in a format that is not understood ({unknown})" if unknown else ""


def _special(estimate: TrainingEstimate) -> list[str]:
    """Adapters, documents and the host, where there are any."""
    lora, host, lines = estimate.lora, estimate.host, []
    if lora is not None and estimate.trained_params is not None:
        share = 100 * estimate.trained_params / estimate.params
        beside = ", ".join(lora.targets[:8]) + (", ..." if len(lora.targets) > 8 else "")
        lines.append(
            f"LoRA of rank {lora.ranked} beside {beside}: {estimate.trained_params:,} parameters "
            f"are trained ({share:.2g} %), the base is frozen in {lora.frozen}"
        )
    if lora is None and (published := _published(estimate)):
        lines.append(
            f"weights are published {published}: all are trained, in {estimate.precision.name}"
        )
    if estimate.encoder is not None:
        lines.append(
            f"an encoder reads {estimate.encoder:,} positions beside each sequence; tokens are the "
            "decoder's"
        )
    if estimate.document is not None or estimate.padded:
        document = estimate.document or estimate.sequence
        lines.append(
            f"documents of {document:,} tokens, within which attention stays; "
            f"{100 * estimate.padded:g} % of the tokens are padding"
        )
    if host is not None:
        rate = f"{digits(host.link_bytes_s / 1e9)} GB/s a device and direction"
        lines.append(
            f"the host keeps {', '.join(host.parts)}: {gigabytes(host.host_bytes)} a device "
            f"({gigabytes(host.host_bytes * host.sharing)} for {host.sharing}); it moves "
            f"{gigabytes(host.moved_bytes)} an iteration at {rate} and steps in "
            f"{seconds(host.step_s)} (memory of the host at {HOST_MEMORY_BYTES_S / 1e9:g} GB/s "
            f"assumed): {seconds(host.exposed_s)} more an iteration"
        )
    return [wrapped(line) for line in lines]


def _iteration(estimate: TrainingEstimate) -> list[str]:
    span, ratio = estimate.iteration, estimate.six_n_flops / estimate.model_flops
    computed = estimate.precision.compute
    peak = f"{scaled(estimate.device.peak(computed), 'FLOP/s')} {computed}"
    counted = ", masked keys too" if _counts_masked(estimate) else ""
    bubble = f"pipeline bubble {100 * estimate.bubble:.1f} % of the time without it"
    done = f", {scaled(estimate.hardware_flops, 'FLOP')} with recomputation"
    again = "" if estimate.hardware_flops == estimate.model_flops else done
    return [
        (
            f"an iteration  {seconds(span.expected_s)} expected, {seconds(span.low_s)} .. "
            f"{seconds(span.high_s)} in 80 %, bound {seconds(span.bound_s)}"
        ),
        wrapped(
            f"throughput    {digits(estimate.tokens_per_s)} tokens/s, "
            f"{digits(estimate.tokens_per_s / estimate.plan.devices)} a device{_power(estimate)}"
        ),
        (
            f"MFU {100 * estimate.mfu:.1f} %, HFU {100 * estimate.hfu:.1f} % of {peak} "
            f"(attention {estimate.attention}{counted})"
        ),
        *([bubble] if estimate.plan.pp > 1 else []),
        (
            f"FLOPs an iteration: {scaled(estimate.model_flops, 'FLOP')} of the model"
            f"{again}; 6N is {100 * ratio:.1f} % of it"
        ),
    ]


def _power(estimate: TrainingEstimate) -> str:
    """Watts of a device and joules of a token, where its power is known."""
    if (energy := estimate.energy) is None:
        return ""
    low, power, high = map(digits, (energy.power_low_w, energy.power_w, energy.power_high_w))
    return f"; {power} W a device ({low} .. {high}), {digits(energy.per_token_j)} J a token"


def _counts_masked(estimate: TrainingEstimate) -> bool:
    """Whether MFU counts keys that no token attends to: at the bound, which computes none of them,
    it may be above 100 %."""
    return training_flops(estimate.question, "causal")[0] < estimate.model_flops


def _run(estimate: TrainingEstimate) -> list[str]:
    if estimate.days is None or estimate.train_tokens is None or estimate.device_hours is None:
        return []
    sizes = {"days": 1, "hours": 24, "minutes": 1440}
    unit = next((unit for unit, size in sizes.items() if estimate.days[0] * size >= 1), "minutes")
    expected, low, high = (digits(sizes[unit] * each) for each in estimate.days)
    tokens = scaled(estimate.train_tokens, "").strip()
    used = f"{digits(estimate.device_hours)} device hours{_energy(estimate, estimate.train_tokens)}"
    lines = ["", f"{tokens} tokens: {expected} {unit} ({low} .. {high}), {used}"]
    if estimate.price is not None:
        lines.append(
            f"  at {estimate.price_per_device_hour:g} a device hour: {digits(estimate.price)}"
        )
    return lines


def _rests(estimate: TrainingEstimate) -> str:
    """What the power rests on."""
    rests = "; power is what devices draw that serve: none of training was fitted"
    return "" if estimate.energy is None else rests


def _energy(estimate: TrainingEstimate, tokens: float) -> str:
    """Energy of the whole run, of its devices alone."""
    each = estimate.energy
    return "" if each is None else f", {scaled(each.per_token_j * tokens / 3600, 'Wh')}"


def training_json(estimate: TrainingEstimate, *, why: bool = False) -> dict[str, Any]:
    """The estimate as one object, with what follows from it; with ``why`` every operator."""
    fields = {name: value for name, value in fields_of(estimate).items() if name != "question"}
    contents = {
        **plain(fields),
        "device": estimate.device.name,
        "memory": memory_json(estimate.memory),
        "remedies": plain(estimate.remedies),
    }
    if why:
        from thermoflop.cost.training.why import training_reasons

        contents["why"] = plain(training_reasons(estimate.question, estimate.profile)[0])
    follows = ("tokens_per_s", "mfu", "hfu", "energy", "days", "device_hours", "price")
    return {**contents, **{name: plain(getattr(estimate, name)) for name in follows}}
