"""``tf.train``: FLOPs, memory, time of an iteration, days and cost of training a model."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.cards import pooled
from thermoflop.cost.catalogue.devices import as_device
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.trainers import find_training_profile
from thermoflop.cost.hardware.device import Device, check_4_bits
from thermoflop.cost.hardware.nodes import network_text, with_network
from thermoflop.cost.hardware.precision import Precision, choose_precision
from thermoflop.cost.inference.arguments import as_model, checked_whole, in_16_bits, written
from thermoflop.cost.inference.formats import choose_formats
from thermoflop.cost.roofline.span import Span, span_of
from thermoflop.cost.training.checks import (
    check_feed_forward,
    check_gradients,
    check_kept,
    check_shares,
    check_sizes,
    check_words,
    document_of,
)
from thermoflop.cost.training.counts import training_flops, without_padding
from thermoflop.cost.training.host import HostUse, host_use
from thermoflop.cost.training.iteration import (
    EAGER,
    Iteration,
    bubble_share,
    check_in_backward,
    check_interleaved,
    check_replicas,
    check_shard,
    recomputation,
)
from thermoflop.cost.training.lora import ALL, Lora, choose_lora
from thermoflop.cost.training.loss import usual_loss
from thermoflop.cost.training.memory import kept_by_a_micro_batch
from thermoflop.cost.training.offload import check_host, choose_offload
from thermoflop.cost.training.overlap import hidden_text, overlap_of, overlaps_of
from thermoflop.cost.training.replicas import held_parameters, owned_parameters
from thermoflop.cost.training.result import TrainingEstimate
from thermoflop.cost.training.source import check_source, hears, six_n, source_of, text_of
from thermoflop.cost.training.states import PAGED, optimizer_named
from thermoflop.cost.training.unseen import (
    interval_of_training,
    memory_of,
    unmeasured,
    unseen_in_training,
)
from thermoflop.cost.training.work import bound_training_s, rates_for, share_of, trained
from thermoflop.cost.work.share import Layout, check_degrees, choose_layout, left_over
from thermoflop.cost.work.weights import is_mix, layers_of, stage_share
from thermoflop.errors import UsageError
from thermoflop.model.architecture.parts import Convolution
from thermoflop.model.model import Model

SEQUENCE = 2048  # tokens, where nothing is said
# Families of formats that products of a training step are computed in.
TRAINABLE = frozenset({"16", "32", "tf32", "8", "4"})


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
    sequence: int | str | None = None,
    encoder: int | None = None,
    virtual: int = 1,
    recompute: str = "none",
    recomputed: float = 0.0,
    zero: int = 1,
    shard: int | None = None,
    optimizer: str = "adamw",
    in_backward: bool = False,
    loss: str | None = None,
    lora: int | None = None,
    lora_targets: str = ALL,
    lora_dropout: float = 0.0,
    train_embeddings: bool = False,
    base_dtype: str | None = None,
    held_inputs: int | None = None,
    kept_dtype: str | None = None,
    gradient_dtype: str | None = None,
    feed_forward: str | None = None,
    offload: str | None = None,
    host_gb_s: float | None = None,
    lengths: int | Sequence[int] | None = None,
    padded: float = 0.0,
    overlap: float | None = None,
    expert_overlap: float | None = None,
    stage_overlap: float | None = None,
    tensor_overlap: float | None = None,
    node_size: int | None = None,
    network_gb_s: float | None = None,
    flash: bool = True,
    compiled: bool = True,
    attention: str = "windowed",
    dtype: str = "bf16",
    tokens: float | str | None = None,
    price: float | None = None,
    profile: str | None = None,
) -> TrainingEstimate:
    """Time, memory and utilization of training: one iteration, and a whole run.

    Sizes are single whole numbers, not arrays.

    Args:
        model: a ``Model``, or what ``load_model`` takes: a path, a dictionary or a name.
        hardware: a ``Device``, or what ``find_device`` takes: a name such as ``h100``, or the path
            of a TOML file; or several: ``2x4090``, or cards that are not alike,
            ``rtx-3090 + rtx-4090``: as fast and as large as the least of them.
        devices: how many devices. None: the product of the degrees below.
        tp: tensor-parallel degree, which splits heads and MLPs. None: 1.
        pp: pipeline stages, which split the layers; 1 by default.
        dp: data-parallel replicas. None: what ``devices`` leaves over.
        ep: expert-parallel degree, 1 by default: devices of a stage over which experts are spread.
        cp: context-parallel degree, 1 by default, which splits the sequence.
        sequence_parallel: whether norms and residuals are split along with ``tp`` (default).
        global_batch: sequences of an iteration in all replicas, 512 by default.
        micro_batch: sequences that run at once in a replica, 1 by default.
        sequence: tokens of each; ``8k`` is 8,192. None: 2048, or the positions of the model.
        encoder: positions that an encoder-decoder's encoder reads beside each sequence, which is
            then the decoder's. None: as many as the sequence, or those that the model always has.
        virtual: interleaved stages that a device holds, 1 by default.
        recompute: what the backward pass computes again: ``none`` (default), ``fine-grained``
            (norms, activations, and queries, keys and values of latents: Megatron-Core's modules
            layernorm, moe_act and mla_up_proj), ``selective`` (scores, softmax and values),
            ``operators`` (every other product and what lies between, as torchtitan's selective
            checkpointing) or ``full`` (all layers).
        recomputed: share of the layers that are recomputed entirely, whatever ``recompute`` says of
            the others; 0.0 by default, 0.5 of every other layer.
        zero: stage of ZeRO, 0 to 3: what replicas share out of optimizer (1, the default),
            gradients (2) and weights (3), over the replicas and the parts of a sequence.
        shard: devices over which ``zero`` shares, of those that hold the same weights (hybrid
            sharding). None: all of them.
        optimizer: what keeps states: ``adamw`` (default), ``adamw-8bit``, ``paged-adamw-8bit``,
            ``adamw-bf16`` (all in 16 bits; of the 8-bit ones ``adamw-8bit-bf16`` and its paged
            kin), ``adamw-torch`` and ``adamw-torch-bf16`` (PyTorch's own, not fused, which makes
            as much as a moment when it steps), ``adafactor``, ``muon``, ``sgd-momentum`` or
            ``sgd``.
        in_backward: whether the optimizer steps with each gradient as it is made and frees it
            (torchtune's ``optimizer_in_bwd``); False by default. One micro-batch an iteration.
        loss: how the loss holds its logits: ``full`` (16 bits and fp32 of every token, and of their
            gradients), ``16-bit`` (none in fp32), ``compiled`` (16 bits, and their gradients),
            ``in-place`` (gradients in the place of logits: llm.c, Transformer Engine), ``chunked``
            (fp32 of an eighth at a time) or ``fused`` (never as a whole: Liger, Unsloth). None: the
            trainer's own; else ``compiled``, and ``full`` where nothing is or tp divides it.
        lora: rank of adapters beside frozen weights, which are not trained. None: all weights are.
        lora_targets: the matrices with adapters: ``all-linear`` (default: all of the layers but
            routers), ``attention``, ``mlp``, or names such as ``q,v``.
        lora_dropout: share of what adapters read that is dropped, 0.0 (default) to below 1.0: each
            then keeps what it reads for itself, and a mask (PEFT).
        train_embeddings: whether the table of tokens and the head are trained whole beside adapters
            (PEFT's modules_to_save): in fp32, or as narrow as the optimizer.
        base_dtype: how frozen weights are kept: bf16, nf4, int8, ... None: as the model is
            published, else bf16.
        held_inputs: micro-batches whose inputs frozen weights hold, where ``recompute`` does not
            discard them: 1 of bitsandbytes' 4 bits before July 2024, 2 where a loop has its last
            loss while it runs forward again (LitGPT). None: 1 of int8, else 0.
        kept_dtype: how what products in 8 or 4 bits and activations read is kept for the backward
            pass: ``fp8`` (DeepSeek-V3, section 3.3.3). None: as the trainer does; mostly 16 bits.
        gradient_dtype: gradients beside masters in ``fp32`` or ``bf16``. None: the trainer's own.
        feed_forward: how gated feed-forwards make their gradients: ``in-place`` (those of gate and
            up in their places: Liger) or ``fused`` (the product made again besides: Unsloth).
            None: beside what is kept.
        offload: what the host keeps: some of ``optimizer``, ``parameters`` (with zero 3) and
            ``activations``, with commas; UsageError where its memory is the device's. None:
            nothing.
        host_gb_s: GB/s between a device and its host, in one direction. None: its PCIe.
        lengths: tokens of the documents that are packed into sequences: one number for all, or
            their lengths; attention stays within a document. None: a sequence is one document.
        padded: share of the tokens that is padding, 0.0 (default) to below 1.0: computed, but
            counted neither as tokens nor in MFU.
        overlap: share of what replicas send each other (gradients, gathered weights) that hides
            behind computing, 0.0 to 1.0. None: as the trainer does; printed with the result.
        expert_overlap: share of what tokens send to experts and back that hides behind computing.
            None: 0.9 where experts are spread over nodes (DualPipe); 0.0 within one, and for
            ``megatron-bridge``.
        stage_overlap: share of what interleaved stages send each other that hides behind computing
            while forward and backward alternate. None: 0.9, as Megatron-LM since 2023; 0.0 for
            ``megatron-lm`` (2021 and 2022) and ``torchtitan``, and where nothing is interleaved.
        tensor_overlap: share of what tensor-parallel devices tell each other that hides behind
            their products. None: 0.0; 0.9 for ``megatron-bridge``, but in 4 bits.
        node_size: devices that fast links join. None: those of the maker's systems, 8 of an H100.
        network_gb_s: GB/s that each device sends to other nodes, in one direction. None: likewise,
            50 of an H100.
        flash: whether attention is one kernel that keeps no scores (default).
        compiled: whether norms, activations and sums are fused into few kernels (default), as
            torch.compile and the fused kernels of Megatron do; False: each is one of its own that
            writes its result, and keeps inputs of norms in fp32 (PyTorch, transformers, PEFT), as
            under the profile ``llm-foundry``.
        attention: how MFU counts attention: ``windowed`` (default: as many keys as a window holds,
            as the time does), ``full`` (all keys) or ``causal`` (those before a query).
        dtype: number format of the products: bf16 (default), fp16, fp32, tf32, fp8 or nvfp4.
        tokens: tokens of the whole run, ``15T``, for days and device hours. None: no whole run.
        price: price of a device hour, in any currency. None: no price of the run.
        profile: whose efficiency: ``megatron-lm``, ``llm-foundry``, ... None: all trainers pooled.

    Returns:
        The estimate: seconds with bound and interval, bytes, utilization, days and price.

    Raises:
        UsageError: for a value that makes no sense, naming it.
        InputError: for a device that is not known, or a file that is not what it should be.
        UnknownModel: an InputError, for a model that is not known.

    Example:
        >>> import thermoflop as tf
        >>> t = tf.train("llama-3-8b", "h100", devices=8, global_batch=64)
        >>> t.six_n_flops == 6 * 8_030_261_248 * 64 * 2048
        True
        >>> t.iteration.bound_s <= t.iteration.expected_s
        True
    """
    known = text_of(as_model(model))
    hardware, devices, tp, pp = pooled(hardware, devices, tp, pp, evenly=True)
    device = with_network(as_device(hardware), node_size, network_gb_s)
    precision = choose_precision(in_16_bits(device, dtype))
    check_4_bits(device, precision.name)
    check_kept(kept_dtype, precision)
    length = written("sequence", sequence)
    if length is None:
        length = min(SEQUENCE, known.max_positions or SEQUENCE)
    sizes = {"global_batch": global_batch, "micro_batch": micro_batch, "sequence": length,
             "virtual": virtual}  # fmt: skip
    check_sizes(known, sizes)
    zero = checked_whole("zero", zero, 0, 3)
    _check_model(known, precision)
    check_words(attention, total := written("tokens", tokens), price)
    check_shares(
        {"overlap": overlap, "expert_overlap": expert_overlap, "stage_overlap": stage_overlap,
         "tensor_overlap": tensor_overlap, "padded": padded, "recomputed": recomputed,
         "lora_dropout": lora_dropout}
    )  # fmt: skip
    plan = _training_plan(devices, tp, pp, dp, ep, cp, sequence=sequence_parallel)
    trainer, is_compiled = profile or "default", compiled and profile not in EAGER
    hidden = overlap_of(trainer) if overlap is None else overlap
    plan = replace(plan, overlap=hidden, node_size=device.network.node_size)
    asked = {
        "expert_overlap": expert_overlap,
        "stage_overlap": None if virtual == 1 else stage_overlap,
        "tensor_overlap": None if plan.tp == 1 else tensor_overlap,
    }
    usual = overlaps_of(trainer, plan, virtual, precision)
    check_replicas(global_batch, plan.dp * micro_batch)
    check_shard(shard, plan.dp * plan.cp)
    check_interleaved(layers_of(known.description), plan.pp, virtual)
    again, share, by_operator = recomputation(recompute, recomputed)
    iteration = Iteration(
        trainer, known, device, plan, precision, float(global_batch),
        float(micro_batch), length, virtual, again, flash, zero, share,
        optimizer=optimizer_named(optimizer), in_backward=in_backward, shard=shard,
        loss=loss or usual_loss(trainer, compiled=is_compiled, divided=plan.tp > 1),
        lora=_adapters(known, device, lora, lora_targets, lora_dropout, base_dtype, held_inputs,
                       embeddings=train_embeddings),
        document=document_of(lengths, length), padded=padded,
        offload=choose_offload(device, offload, host_gb_s, zero, plan.devices),
        compiled=is_compiled, by_operator=by_operator,
        source=source_of(known, encoder, length),
        kept_dtype=kept_dtype, feed_forward=feed_forward, gradient_dtype=gradient_dtype,
        **{**usual, **{name: each for name, each in asked.items() if each is not None}},
    )  # fmt: skip
    check_source(iteration)
    check_gradients(iteration)
    check_in_backward(iteration)
    check_feed_forward(known, feed_forward)
    if iteration.optimizer in PAGED:
        check_host(device, f"optimizer={optimizer!r:.60}")
    return _estimated(iteration, attention, profile, total, price, loss)


def _estimated(
    iteration: Iteration, attention: str, profile: str | None, tokens: float | None,
    price: float | None, loss: str | None,
) -> TrainingEstimate:  # fmt: skip
    """The estimate that answers an iteration."""
    model, plan, sequence = iteration.model, iteration.plan, iteration.sequence
    batch, micro = int(iteration.global_batch), int(iteration.micro_batch)
    iteration.device.peak(iteration.precision.compute)
    trainer = find_training_profile(profile, iteration.kind)
    span, provenance, host = expect_training(iteration, trainer)
    (recompute, share), lora = iteration.asked, iteration.lora
    of_model, computed = training_flops(iteration, attention)
    bubble = bubble_share(plan.pp, batch / plan.dp / micro, iteration.virtual)
    return TrainingEstimate(
        model.name, model.params, iteration.device, plan, iteration.precision, batch, micro,
        sequence, recompute, attention, of_model, computed,
        without_padding(six_n(iteration), iteration.padded), span, bubble,
        memory_of(iteration, loss), provenance, iteration, tokens, price, profile,
        model.params if lora is None else int(lora.parameters(model.description) + lora.embeddings),
        None if lora is None else lora.record(model.description), iteration.document,
        iteration.padded, host, share, iteration.compiled, iteration.source,
    )  # fmt: skip


def _check_model(known: Model, precision: Precision) -> None:
    """UsageError for a model that reads no text, or a format that no gradient is computed in."""
    stacks = [stack for stack in known.description.stacks if not hears(stack)]
    fronts = (placed.part for stack in stacks for placed in stack.front)
    if known.description.needs_images or any(isinstance(part, Convolution) for part in fronts):
        raise UsageError(f"{known.name} reads no tokens: train is for models of text")
    if precision.family not in TRAINABLE or precision.name == "int8":
        raise UsageError(
            f"dtype={precision.name!r} is no format to train in: expected bf16, fp16, fp32, tf32, "
            "fp8 or nvfp4"
        )


def _adapters(
    model: Model, device: Device, rank: int | None, targets: str, dropout: float,
    base_dtype: str | None, held_inputs: int | None, *, embeddings: bool,
) -> Lora | None:  # fmt: skip
    """The adapters, beside weights as they are kept. UsageError for a base without adapters."""
    if rank is None:
        if base_dtype is not None:
            raise UsageError(f"base_dtype={base_dtype!r:.40} needs lora: weights are frozen there")
        if held_inputs is not None:
            raise UsageError(
                f"held_inputs={held_inputs!r:.40} needs lora: weights are frozen there"
            )
        if dropout:
            raise UsageError(f"lora_dropout={dropout!r:.40} needs lora: it is of adapters")
        if embeddings:
            raise UsageError("train_embeddings needs lora: all weights are trained without")
        return None
    if is_mix(model.named_format or ""):  # nothing is trained beside a file of llama.cpp's
        model = replace(model, named_format=None)
    return choose_lora(
        model, rank, targets, *choose_formats(model, device, base_dtype, None),
        held_inputs, dropout, embeddings=embeddings,
    )  # fmt: skip


def _training_plan(
    devices: int | None,
    tp: int | None,
    pp: int,
    dp: int | None,
    ep: int,
    cp: int,
    *,
    sequence: bool,
) -> Layout:
    """The plan; replicas are what the other degrees leave over of the devices."""
    check_degrees(devices=devices, tp=tp, pp=pp, cp=cp, ep=ep)
    if dp is not None:
        check_degrees(dp=dp)
    tp = 1 if tp is None else tp
    if dp is None:
        dp = left_over(devices, tp=tp, pp=pp, cp=cp)
    return choose_layout(devices, tp, pp, dp, ep, cp, sequence and tp > 1)


def expect_training(iteration: Iteration, profile: Profile) -> tuple[Span, str, HostUse | None]:
    """Bound, expectation and interval of an iteration, what they rest on, and what a host does."""
    device, precision, devices = iteration.device, iteration.precision, iteration.plan.devices
    rates = rates_for(iteration, profile)
    # the kernels of training are long: the host's launches never hold them up
    busy = sum(phase.seconds(rates) for phase in trained(iteration))
    bound, host = bound_training_s(iteration), _host(iteration, busy)
    expected = busy + rates.efficiency.step_s + (0.0 if host is None else host.exposed_s)
    unseen = unseen_in_training(iteration, profile)
    spread = interval_of_training(profile, device, unseen)
    span = span_of(bound, float(expected), spread.low, spread.high)
    rests = "; ".join(
        [profile.provenance(device, precision), *unmeasured(iteration, profile, unseen)]
    )
    if devices > 1:
        network = network_text(device, devices, rates.link_bytes_s)
        rests += f"; {network}; {hidden_text(iteration)}"
    return span, rests, host


def _host(iteration: Iteration, busy_s: float) -> HostUse | None:
    if iteration.offload is None:
        return None
    share, lora = share_of(iteration), iteration.lora
    stage = stage_share(iteration.model.description, iteration.plan.pp)
    weights = iteration.precision.activation_bytes * sum(held_parameters(iteration, share))
    if lora is not None:
        weights = stage * lora.base_bytes(share.description, 1)
    return host_use(
        iteration, owned_parameters(iteration, share), weights / iteration.shared_by,
        kept_by_a_micro_batch(iteration), busy_s,
    )  # fmt: skip
