"""``tf.fit``: what fits in memory: the largest batch, the longest context, the fewest devices."""

from __future__ import annotations

from os import PathLike
from typing import Any

from thermoflop.base.plain import checked_within
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.cards import alike, named_cards
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.inference.arguments import (
    check_replicas,
    checked_whole,
    validate_arguments,
    written,
)
from thermoflop.cost.inference.held_to import as_run, check_cards, check_layout
from thermoflop.cost.inference.products import check_computed
from thermoflop.cost.inference.room import LARGEST, largest, room_of
from thermoflop.cost.inference.source import with_source
from thermoflop.cost.inference.unequal import Split, fullest
from thermoflop.cost.inference.what_fits import Fit
from thermoflop.cost.memory import copies_of_cache
from thermoflop.cost.work.share import Layout, check_degrees
from thermoflop.errors import UsageError
from thermoflop.model.model import Model


def fit(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    *,
    devices: int | None = None,
    tp: int | None = None,
    pp: int = 1,
    dp: int = 1,
    ep: int = 1,
    cp: int = 1,
    batch: int | str | None = None,
    prompt: int | str | None = None,
    generate: int | str | None = None,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    page: int | None = None,
    images: str | None = None,
    audio: str | float | None = None,
    profile: str | Profile | None = None,
    engine_options: dict[str, Any] | None = None,
    host_bandwidth: float | None = None,
    encoder: int | str | None = None,
) -> Fit:
    """What fits in memory: this run, the largest batch, the longest context, the fewest devices.

    Sizes are single whole numbers, not arrays.

    Args:
        model: a ``Model``, or what ``load_model`` takes: a path, a dictionary or a name.
        hardware: a ``Device``, or what ``find_device`` takes: a name such as ``h100``, or the path
            of a TOML file; or several: ``2x4090``, or ``rtx-3090 + 2 x rtx-4090``, over which
            layers are spread by memory as llama.cpp does it.
        devices: how many devices. None: the product of the degrees below.
        tp: tensor-parallel degree, which splits heads and MLPs. None: what ``devices`` leaves over.
        pp: pipeline stages, which split the layers; 1 by default.
        dp: data-parallel replicas, 1 by default, which share the batch.
        ep: expert-parallel degree, 1 by default: devices of a stage over which experts are spread.
        cp: context-parallel degree, 1 by default, which splits the sequence.
        batch: sequences in all replicas. None: one in each.
        prompt: tokens of each prompt; ``32k`` is 32,768. None: 1024, or as many as the model has
            room for.
        generate: tokens generated after each. None: 128, or what the model has room for, the
            last tokens of a prompt that takes all of it; 0 for an encoder.
        dtype: number format of weights and arithmetic. None: each matrix as the model is published;
            where nothing is said, bf16, or fp32 where the device does no other. Else bf16, fp16,
            fp32, fp8, int8, int4, awq, gptq, mxfp4, nvfp4, nf4, q4_k_m, ``int4-g64``,
            ``exl2-4.0``, ``gptq-int4-g128``, ``bnb-nf4``, ``fp8-block128``, ...
        kv_dtype: number format of the cache: fp32, bf16, fp16, fp8, int8, int4, q8_0, q5_1, q4_0,
            nvfp4, ... None: as the model is published, where the engine reads that, else as
            wide as the activations.
        page: tokens in a block of a paged cache. None: as many tokens as there are.
        images: what each prompt brings for a model that sees, as ``2x1024x768``: count x width x
            height in pixels; their tokens come on top of ``prompt``. None: no images.
        audio: the clip that each prompt brings for a model that hears: seconds, or ``30s``; its
            tokens come on top as well. None: no sound.
        profile: whose memory: ``vllm``, ``sglang``, ``tensorrt-llm``, ``llama.cpp``, ``ollama`` or
            ``transformers`` divide a device by their own rules (``vllm 0.11``: those of that
            version). None, or another: weights, cache and activations with an assumed reserve;
            None for GGUF formats, on an Apple GPU, or where no other server runs (Pascal):
            ``llama.cpp``.
        engine_options: options of that engine which decide on memory, by its own names, such as
            ``{"gpu_memory_utilization": 0.85}``. None: its defaults.
        host_bandwidth: GB a second of the host's memory, for layers that are left there. None:
            89.6, two channels of DDR5-5600, or the device's where it shares the computer's memory.
        encoder: tokens that the encoder beside a decoder (T5, BART) reads for each sequence. None:
            what it always reads (Whisper), else it is not counted, which is said.

    Returns:
        What fits, with the memory of this run.

    Raises:
        UsageError: for a value that makes no sense, naming it.
        InputError: for a device that is not known, or a file that is not what it should be.
        UnknownModel: an InputError, for a model that is not known.

    Example:
        >>> import thermoflop as tf
        >>> f = tf.fit("llama-3-8b", "h100", prompt=4096, generate=1024)
        >>> f.fits, f.longest_context  # the longest that the model was made for
        (True, 8192)
        >>> tf.fit("llama-3-8b", "h100", prompt=4096, generate=1024, batch=f.largest_batch).fits
        True
        >>> tf.fit("llama-3-8b", "h100", prompt=4096, generate=1024, batch=f.largest_batch + 1).fits
        False
    """
    for name, size in {"batch": batch, "prompt": prompt, "generate": generate}.items():
        if size is not None:
            checked_whole(name, written(name, size), 0 if name == "generate" else 1)
    checked_within("host_bandwidth", host_bandwidth, 1, 1e5, "GB a second from 1 to 100,000")
    check_degrees(devices=devices, tp=tp, pp=pp, dp=dp, ep=ep, cp=cp)
    batch = dp if batch is None else batch
    hardware, devices = alike(hardware, devices)
    cards = named_cards(hardware)
    smallest = min(cards, key=lambda card: card.memory_bytes) if cards else hardware
    known, device, workload = validate_arguments(
        with_source(model, encoder), smallest, batch,
        prompt, generate, 0, page, images=images, audio=audio,
    )  # fmt: skip
    sequences = workload.batch
    check_replicas(sequences, dp)
    check_cards(profile, cards)
    known = as_run(known, device, profile, dtype)
    room = room_of(known, device, dtype, kv_dtype, page, profile, engine_options)
    check_computed(device, room.precision)
    load = Load(sequences // dp, workload.prompt, workload.prompt + workload.generate)
    if room.engine is not None:
        room.engine.check(load)
    if cards and (room.splits == "layers" or profile is None):
        return _over_cards(
            Split(room, tuple(cards), room.share(Layout())), load, (devices, tp, pp, dp, ep, cp),
            host_bandwidth,
        )  # fmt: skip
    devices = len(cards) if cards and devices is None else devices
    plan = room.plan(devices, tp, pp, dp, ep, cp)
    check_layout(profile, plan, device, known, dtype)
    share = room.share(plan)
    fewest, memory = room.fewest(replace(load, sequences=sequences)), room.memory(share, load)
    if memory.fits and (fewest is None or plan.devices < fewest.devices):
        fewest = plan  # it holds heads, experts or contexts where layers alone were tried
    budget = None if room.engine is None else room.engine.budget(share, load)
    return Fit(
        known.name, device, plan, room.precision, sequences, workload.prompt, workload.generate,
        memory, dp * room.most(share, load), room.longest(share, load),
        None if fewest is None else fewest.devices, fewest, copies_of_cache(share),
        (room, load, host_bandwidth), budget,
        larger=tuple(card.name for card in cards if card.name != device.name),
    )  # fmt: skip


def _over_cards(
    split: Split, load: Load, degrees: tuple[int | None, ...], host_gb_s: float | None = None
) -> Fit:
    """What fits on cards that are not alike. UsageError for degrees of parallelism besides."""
    if degrees != (None, None, 1, 1, 1, 1):
        raise UsageError("cards that are not alike share layers: give no devices and no degrees")
    split.check()
    room, cards = split.room, split.place(load)
    most_full = fullest(cards)
    plan, fewest = Layout(1, len(cards)), split.fewest(load)
    most = room.model.max_positions or LARGEST

    def holds(tokens: int) -> bool:
        return split.fits(load.of_length(tokens))

    return Fit(
        room.model.name, most_full.device, plan, room.precision, load.sequences, load.prompt,
        load.context - load.prompt, most_full.memory,
        split.most(load), min(most, largest(holds, most)), fewest,
        None if fewest is None else Layout(1, fewest), 1.0, (room, load, host_gb_s), cards=cards,
    )  # fmt: skip
