"""``tf.fit``: what fits in memory: the largest batch, the longest context, the fewest devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import checked_between
from thermoflop.base.record import fields_of, plain, record, replace
from thermoflop.base.sheet import Grid, Row, column, figure, figures_of
from thermoflop.base.units import gigabytes, wrapped
from thermoflop.cost.catalogue.cards import alike, named_cards
from thermoflop.cost.engines.budget import Budget, budget_text
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.inference.arguments import (
    check_replicas,
    checked_whole,
    unread_source,
    validate_arguments,
    written,
)
from thermoflop.cost.inference.formats import formats_line
from thermoflop.cost.inference.held_to import as_run, check_cards, check_layout
from thermoflop.cost.inference.remedies import Remedy, remedies_of, remedies_over_cards
from thermoflop.cost.inference.room import LARGEST, MOST_DEVICES, Room, largest, room_of
from thermoflop.cost.inference.source import source_said, with_source
from thermoflop.cost.inference.started import not_started, would_hold
from thermoflop.cost.inference.unequal import Card, Split, fullest
from thermoflop.cost.memory import Memory, copies_of_cache, memory_json, memory_sheet
from thermoflop.cost.work.share import Layout, check_degrees
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from os import PathLike

    from thermoflop.cost.catalogue.profiles import Profile
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.model.model import Model


# What an engine that reads a chunk at a time keeps of an encoder's sequences: nothing.
NO_LIMIT = "no limit: read in chunks, nothing kept"


@record
class Fit:
    """What fits in memory, made by ``fit``. Print it for a report. Numbers are scalars.

    Attributes:
        model_name: the model's name.
        device: the device.
        plan: how the model is spread over devices.
        precision: the number formats of the run.
        batch: sequences in all replicas.
        prompt: tokens of each prompt.
        generate: tokens generated after each.
        memory: bytes on the fullest device of this run.
        largest_batch: sequences that fit at this context; 0 where not one does.
        longest_context: tokens that fit at this batch, of which ``generate`` are generated and the
            rest are the prompt; 0 where not one does.
        fewest_devices: devices on which this run fits, heads divided up to 8 ways and layers
            beyond: any number up to 8, then whole nodes of 8 (of an engine that spreads layers, any
            number up to 64); None where 1024 are too few (one, of a plugin).
        fewest_plan: how it is spread over them; None likewise.
        cache_copies: how many times the devices together hold the cache.
        budget: what the engine makes of a device; None where none was named, or not in detail.
        cards: layers and memory of each card where they are not alike; (), the default: they are.
        room: what the answer was made of; remedies are read from it.
        larger: cards that were named and are counted as ``device``, the smallest of those named,
            where the engine gives every card the same share; (), the default: none.

    Example:
        >>> import thermoflop as tf
        >>> f = tf.fit("llama-3-70b", "h100")  # 141 GB of weights, 85.5 GB of memory
        >>> f.fits, f.largest_batch, f.fewest_devices, f.fewest_plan.label
        (False, 0, 2, 'tp=2')
    """

    model_name: str
    device: Device
    plan: Layout
    precision: Precision
    batch: int
    prompt: int
    generate: int
    memory: Memory
    largest_batch: int
    longest_context: int
    fewest_devices: int | None
    fewest_plan: Layout | None
    cache_copies: float
    budget: Budget | None = None
    cards: tuple[Card, ...] = ()
    room: tuple[Room, Load, float | None] | None = None
    larger: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether this run fits."""
        return bool(self.memory.fits)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What would make it fit, each alone; () where it does."""
        if self.fits or self.room is None:
            return ()
        room, load, host_gb_s = self.room
        if self.cards:
            cards = tuple(card.device for card in self.cards)
            split = Split(room, cards, room.share(Layout()))
            most = self.largest_batch, self.longest_context
            return tuple(remedies_over_cards(split, load, *most))
        return tuple(remedies_of(room, self.plan, load, self.fewest_plan, host_gb_s))

    def __str__(self) -> str:
        return fit_text(self)


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
    batch: int | str = 1,
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
        batch: sequences in all replicas, 1 by default.
        prompt: tokens of each prompt; ``32k`` is 32,768. None: 1024, or as many as the model has
            room for.
        generate: tokens generated after each. None: 128, or what the model has room for; 0 for an
            encoder.
        dtype: number format of weights and arithmetic. None: each matrix as the model is published;
            where nothing is said, bf16, or fp32 where the device does no other. Else bf16, fp16,
            fp32, fp8, int8, int4, awq, gptq, mxfp4, nvfp4, nf4, q4_k_m, ``int4-g64``,
            ``exl2-4.0``, ``gptq-int4-g128``, ``bnb-nf4``, ``fp8-block128``, ...
        kv_dtype: number format of the cache: fp32, bf16, fp16, fp8, int8, int4, q8_0, q5_1, q4_0,
            nvfp4, ... None: as wide as the activations.
        page: tokens in a block of a paged cache. None: as many tokens as there are.
        images: what each prompt brings for a model that sees, as ``2x1024x768``: count x width x
            height in pixels; their tokens come on top of ``prompt``. None: no images.
        audio: the clip that each prompt brings for a model that hears: seconds, or ``30s``; its
            tokens come on top as well. None: no sound.
        profile: whose memory: ``vllm``, ``sglang``, ``tensorrt-llm``, ``llama.cpp``, ``ollama`` or
            ``transformers`` divide a device by their own rules (``vllm 0.11``: those of that
            version). None, or another: weights, cache and activations with an assumed reserve;
            None on an Apple GPU, or where no other server runs (Pascal): ``llama.cpp``.
        engine_options: options of that engine which decide on memory, by its own names, such as
            ``{"gpu_memory_utilization": 0.85}``. None: its defaults.
        host_bandwidth: GB a second of the host's memory, for layers that are left there. None:
            89.6, two channels of DDR5-5600.
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
        if size is not None or name == "batch":
            checked_whole(name, written(name, size), 0 if name == "generate" else 1)
    checked_between("host_bandwidth", host_bandwidth, 0, 1e5 + 1, "GB a second above 0")
    check_degrees(devices=devices, tp=tp, pp=pp, dp=dp, ep=ep, cp=cp)
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
    load = Load(sequences // dp, workload.prompt, workload.prompt + workload.generate)
    if room.engine is not None:
        room.engine.check(load)
    if cards and (room.splits == "layers" or profile is None):
        return _over_cards(
            Split(room, tuple(cards), room.share(Layout())), load, (devices, tp, pp, dp, ep, cp)
        )
    devices = len(cards) if cards and devices is None else devices
    plan = room.plan(devices, tp, pp, dp, ep, cp)
    check_layout(profile, plan, device)
    share = room.share(plan)
    fewest = room.fewest(replace(load, sequences=sequences))
    budget = None if room.engine is None else room.engine.budget(share, load)
    return Fit(
        known.name, device, plan, room.precision, sequences, workload.prompt, workload.generate,
        room.memory(share, load), dp * room.most(share, load), room.longest(share, load),
        None if fewest is None else fewest.devices, fewest, copies_of_cache(share), budget,
        room=(room, load, host_bandwidth),
        larger=tuple(card.name for card in cards if card.name != device.name),
    )  # fmt: skip


def _over_cards(split: Split, load: Load, degrees: tuple[int | None, ...]) -> Fit:
    """What fits on cards that are not alike. UsageError for degrees of parallelism besides."""
    if degrees != (None, None, 1, 1, 1, 1):
        raise UsageError("cards that are not alike share layers: give no devices and no degrees")
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
        None if fewest is None else Layout(1, fewest), 1.0, None, cards,
        room=(room, load, None),
    )  # fmt: skip


def fit_sheet(capacity: Fit) -> Grid:
    """The largest batch, the longest context and the fewest devices."""
    batch, context = capacity.largest_batch, capacity.longest_context
    devices = describe_devices(capacity)
    held = NO_LIMIT if batch >= LARGEST else f"{batch:,}"
    batches = figure("fit.batch", "largest batch", batch, "sequences", held)
    tokens = figure("fit.context", "longest context", context, "tokens", f"{context:,} tokens")
    number = capacity.fewest_devices
    lines = (
        Row("largest batch at this context", (batches,)),
        Row("longest context at this batch", (tokens,)),
        Row("fewest devices for this",
            (figure("fit.devices", "fewest devices", number, "devices", devices),)),
    )  # fmt: skip
    return column("fit", "What fits", lines)


def fit_text(capacity: Fit) -> str:
    """What fits, at most 100 columns wide."""
    memory = capacity.memory
    verdict = "it fits" if capacity.fits else f"no: {missing_text(capacity)}"
    *parts, has = figures_of([memory_sheet(memory)])
    sizes = [f"  {part.label:<13}{part.text:>10}" for part in parts]
    batch, context, devices = fit_sheet(capacity).rows
    beside = () if capacity.room is None else unread_source(capacity.room[0].model)
    low, high = gigabytes(float(memory.low_bytes)), gigabytes(float(memory.high_bytes))
    lines = [
        wrapped(
            f"{capacity.model_name} on {_where(capacity)}, {capacity.precision.label}, "
            f"batch {capacity.batch}, {capacity.prompt} + {capacity.generate} tokens"
            f"{_source_of(capacity)}: {verdict}"
        ),
        *(wrapped(said) for said in (*beside, _formats_of(capacity)) if said),
        "",
        *sizes[:-1],
        f"{sizes[-1]} of {has.text} a device (GB is 1e9 bytes)",
        f"  80 % interval {low} .. {high}",
        "",
        f"{batch.label + ':':<34}{batch.cells[0].text}",
        f"{context.label + ':':<34}{capacity.longest_context:,}",
        f"{devices.label + ':':<34}{describe_devices(capacity)}",
    ]
    if capacity.cache_copies > 1:
        lines.append(f"the cache is kept {capacity.cache_copies:g} times over the devices")
    if capacity.budget is not None:
        lines += ["", *budget_text(capacity.budget)]
    lines += [_card_text(card) for card in capacity.cards]
    if capacity.larger:
        names = " and ".join(dict.fromkeys(capacity.larger))
        lines += ["", wrapped(
            f"{names} counts as {capacity.device.name}: the engine gives every card the same "
            "share, so the smallest decides (llama.cpp divides layers by what each holds)"
        )]  # fmt: skip
    if remedies := capacity.remedies:
        lines += ["", "it would fit with", *(f"  {remedy.text}" for remedy in remedies)]
    said = _unstarted(capacity)
    return "\n".join([*lines, "", wrapped(memory.assumption), *([wrapped(said)] if said else [])])


def _unstarted(capacity: Fit) -> str:
    """Which servers do not hold what fits as it is added up, where none is named."""
    if capacity.room is None or capacity.cards or not capacity.fits:
        return ""
    room, load, _ = capacity.room
    if room.engine is not None or room.asked is not None:
        return ""
    share = room.share(capacity.plan)
    each = capacity.largest_batch // capacity.plan.dp
    return not_started(room.model, room.device, share, load) or would_hold(room, share, load, each)


def missing_text(capacity: Fit) -> str:
    """What is missing: on the fullest device, or on cards that are not alike in all."""
    short = f"{gigabytes(capacity.memory.shortfall_bytes)} missing"
    if not capacity.cards:
        return short
    memories = [card.memory for card in capacity.cards]
    missing = float(sum(memory.total_bytes - memory.capacity_bytes for memory in memories))
    if missing <= 0:  # there would be room, but not for whole layers
        return f"{short} on {capacity.device.name}"
    return f"{gigabytes(missing)} missing on all cards together"


def _source_of(capacity: Fit) -> str:
    """How much an encoder reads, where one does."""
    return "" if capacity.room is None else source_said(capacity.room[0].model)


def _formats_of(capacity: Fit) -> str:
    """How the weights are kept, where matrices differ."""
    if capacity.room is None:
        return ""
    room = capacity.room[0]
    return formats_line(room.model, room.checkpoint, room.precision)


def _where(capacity: Fit) -> str:
    """The devices and how they are used, or the cards."""
    if capacity.cards:
        return " + ".join(card.device.name for card in capacity.cards)
    return f"{capacity.plan.devices} x {capacity.device.name} ({capacity.plan.label})"


def _card_text(card: Card) -> str:
    """One of several cards: its layers and its memory."""
    memory, output = card.memory, " and the output" if card.output else ""
    return (
        f"{card.device.name}: {card.layers} layers{output}, {gigabytes(memory.total_bytes)} of "
        f"{gigabytes(memory.capacity_bytes)}"
    )


def describe_devices(capacity: Fit) -> str:
    """The fewest devices, and how they are used."""
    if capacity.fewest_plan is None:
        most = MOST_DEVICES if capacity.room is None else capacity.room[0].most_devices
        return "more than these" if capacity.cards else f"more than {most:,}"
    return f"{capacity.fewest_devices} ({capacity.fewest_plan.label})"


def fit_json(capacity: Fit) -> dict[str, Any]:
    """What fits, as one object."""
    fields = {name: value for name, value in fields_of(capacity).items() if name != "room"}
    return {
        **plain({**fields, "cards": [_card_json(card) for card in capacity.cards]}),
        "device": capacity.device.name,
        "memory": memory_json(capacity.memory),
        "fits": capacity.fits,
        "remedies": [plain(remedy) for remedy in capacity.remedies],
    }


def _card_json(card: Card) -> dict[str, Any]:
    """A card as one object."""
    return {
        "device": card.device.name, "layers": card.layers, "output": card.output,
        "memory": memory_json(card.memory),
    }  # fmt: skip
