"""What fits in memory, made by ``tf.fit``, and its words."""

from __future__ import annotations

from typing import Any

from thermoflop.base.record import fields_of, plain, record
from thermoflop.base.sheet import Grid, Row, column, figure, figures_of
from thermoflop.base.units import gigabytes, wrapped
from thermoflop.cost.engines.budget import Budget, budget_text
from thermoflop.cost.engines.footprint import Load, placement_of
from thermoflop.cost.engines.placement import placed_layers
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.inference.arguments import unread_source
from thermoflop.cost.inference.formats import formats_line
from thermoflop.cost.inference.hosted import Hosted, hosted_of, whole_of
from thermoflop.cost.inference.remedies import Remedy, remedies_of, remedies_over_cards
from thermoflop.cost.inference.room import LARGEST, Room
from thermoflop.cost.inference.source import source_said
from thermoflop.cost.inference.started import not_started, would_hold
from thermoflop.cost.inference.unequal import Card, Split
from thermoflop.cost.memory import Memory, memory_json, memory_sheet
from thermoflop.cost.work.share import Layout

# What an engine that reads a chunk at a time keeps of an encoder's sequences: nothing.
NO_LIMIT = "no limit: read in chunks, nothing kept"
# Of llama.cpp with no layer on the device; of a state that does not grow with what was read.
NO_LIMIT_THERE, NO_LONGEST = "no limit on the device: the host keeps all", "no limit"


@record
class Fit:
    """What fits in memory, made by ``tf.fit``. Print it for a report. Numbers are scalars.

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
        room: what the answer was made of; remedies are read from it.
        budget: what the engine makes of a device; None where none was named, or not in detail.
        cards: layers and memory of each card where they are not alike; (), the default: they are.
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
    room: tuple[Room, Load, float | None]
    budget: Budget | None = None
    cards: tuple[Card, ...] = ()
    larger: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether this run fits."""
        return bool(self.memory.fits)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What would make it fit, each alone; () where it does."""
        if self.fits:
            return ()
        room, load, host_gb_s = self.room
        if self.cards:
            cards = tuple(card.device for card in self.cards)
            split = Split(room, cards, room.share(Layout()))
            most = self.largest_batch, self.longest_context
            return tuple(remedies_over_cards(split, load, *most))
        return tuple(remedies_of(room, self.plan, load, self.fewest_plan, host_gb_s))

    @property
    def hosted(self) -> Hosted | None:
        """How fast it is with what llama.cpp's options leave in the host's memory; None where that
        is nothing of the layers, where it does not fit, over devices that divide anything else than
        layers, and of encoders."""
        if self.plan.devices > self.plan.pp or self.cards or not self.fits:
            return None
        room, load, host_gb_s = self.room
        if room.engine is None or room.engine.key != "llama.cpp" or not room.model.generates:
            return None
        share = room.share(Layout())  # what a token passes is the same on one device and on several
        placed = placement_of(share, room.engine.options, load.sequences)
        if not placed.host_active_bytes:
            return None
        return hosted_of(room, share, load, placed, host_gb_s, whole_of(room, load))

    def __str__(self) -> str:
        return fit_text(self)


def fit_sheet(capacity: Fit) -> Grid:
    """The largest batch, the longest context and the fewest devices."""
    batch, context = capacity.largest_batch, capacity.longest_context
    devices = describe_devices(capacity)
    held = _no_limit(capacity) if batch >= LARGEST else f"{batch:,}"
    batches = figure("fit.batch", "largest batch", batch, "sequences", held)
    tokens = figure("fit.context", "longest context", context, "tokens", context_text(capacity))
    number = capacity.fewest_devices
    lines = (
        Row("largest batch at this context", (batches,)),
        Row("longest context at this batch", (tokens,)),
        Row("fewest devices for this",
            (figure("fit.devices", "fewest devices", number, "devices", devices),)),
    )  # fmt: skip
    return column("fit", "What fits", lines)


def context_text(capacity: Fit) -> str:
    """The longest context in words."""
    tokens = capacity.longest_context
    return NO_LONGEST if tokens >= LARGEST else f"{tokens:,} tokens"


def _no_limit(capacity: Fit) -> str:
    """Why any number of sequences fits."""
    engine = capacity.room[0].engine
    on_host = engine is not None and engine.options.get("n_gpu_layers") == 0
    return NO_LIMIT_THERE if on_host else NO_LIMIT


def fit_text(capacity: Fit) -> str:
    """What fits, at most 100 columns wide."""
    memory = capacity.memory
    verdict = _verdict(capacity)
    *parts, has = figures_of([memory_sheet(memory)])
    sizes = [f"  {part.label:<13}{part.text:>10}" for part in parts]
    batch, context, devices = fit_sheet(capacity).rows
    room = capacity.room[0]
    kept = formats_line(room.model, room.checkpoint, room.precision)
    low, high = gigabytes(float(memory.low_bytes)), gigabytes(float(memory.high_bytes))
    lines = [
        wrapped(
            f"{capacity.model_name} on {_where(capacity)}, {capacity.precision.label}, "
            f"batch {capacity.batch}, {capacity.prompt} + {capacity.generate} tokens"
            f"{source_said(room.model)}: {verdict}"
        ),
        *(wrapped(said) for said in (*unread_source(room.model), kept) if said),
        "",
        *sizes[:-1],
        f"{sizes[-1]} of {has.text} a device (GB is 1e9 bytes)",
        f"  80 % interval {low} .. {high}",
        "",
        f"{batch.label + ':':<34}{batch.cells[0].text}",
        f"{context.label + ':':<34}{context.cells[0].text.removesuffix(' tokens')}",
        f"{devices.label + ':':<34}{describe_devices(capacity)}",
    ]
    if capacity.cache_copies > 1:
        lines.append(
            f"the devices together keep the cache {capacity.cache_copies:.3g} times: "
            "what they cannot share out is copied"
        )
    if capacity.budget is not None:
        lines += ["", *budget_text(capacity.budget)]
    if capacity.hosted is not None:
        hosted = capacity.hosted
        where = f"{hosted.size} in the computer's memory"
        lines += ["", wrapped(f"{where}: decoding {hosted.speed}")]
    lines += [_card_text(card) for card in capacity.cards]
    if capacity.larger:
        names = " and ".join(dict.fromkeys(capacity.larger))
        lines += ["", wrapped(
            f"{names} counts as {capacity.device.name}: the engine gives every card the same "
            "share, so the smallest decides (llama.cpp divides layers by what each holds)"
        )]  # fmt: skip
    if remedies := capacity.remedies:
        lines += [
            "",
            "it would fit with",
            *(wrapped(f"  {each.text}", "    ") for each in remedies),
        ]
    said = [memory.assumption, *_idle(capacity, remedies), _unstarted(capacity)]
    return "\n".join([*lines, "", *(wrapped(each) for each in said if each)])


def _idle(capacity: Fit, remedies: tuple[Remedy, ...]) -> list[str]:
    """What was asked for and changes nothing: options of llama.cpp for experts that a model lacks,
    and a bandwidth of the host where no speed is made of it."""
    room, _, host_gb_s = capacity.room
    options = {} if room.engine is None else room.engine.options
    asked = [f"n_cpu_moe={count}"] if (count := options.get("n_cpu_moe")) else []
    asked += ["cpu_moe=true"] if options.get("cpu_moe") else []
    said = []
    if asked and not any(layer.expert_bytes for layer in placed_layers(room.share(Layout()))):
        verb = "changes" if len(asked) == 1 else "change"
        said.append(f"{' and '.join(asked)} {verb} nothing: {room.model.name} has no experts")
    speeds = capacity.hosted, *(each.tokens_per_s for each in remedies)
    if host_gb_s is not None and all(each is None for each in speeds):
        why = _not_hosted(room, capacity.plan)
        said.append(f"the host's bandwidth changes nothing: {why}")
    return said


def _not_hosted(room: Room, plan: Layout) -> str:
    """Why no speed is made of a bandwidth."""
    if room.asked is not None and (room.engine is None or room.engine.key != "llama.cpp"):
        return "llama.cpp and Ollama alone leave layers in the computer's memory"
    left = room.engine and placement_of(room.share(Layout()), room.engine.options)
    if plan.devices > plan.pp and left and left.host_active_bytes:
        return (
            "how fast several devices decode with layers in the computer's memory is counted over "
            "stages (pp) alone"
        )
    return "no layer is left in the computer's memory"


def _verdict(capacity: Fit) -> str:
    """Whether it fits, and what of it waits."""
    if not capacity.fits:
        return f"no: {missing_text(capacity)}"
    room, load, _ = capacity.room
    if room.engine is None:
        return "it fits"
    waits = room.engine.waiting(room.share(capacity.plan), load, capacity.plan.dp)
    return f"it fits; {waits}" if waits else "it fits"


def _unstarted(capacity: Fit) -> str:
    """Which servers do not hold what fits as it is added up, where none is named."""
    room, load, _ = capacity.room
    if capacity.cards or not capacity.fits or room.engine is not None or room.asked is not None:
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
        most = capacity.room[0].most_devices
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
        "hosted": plain(capacity.hosted),
        "remedies": [plain(remedy) for remedy in capacity.remedies],
    }


def _card_json(card: Card) -> dict[str, Any]:
    """A card as one object."""
    return {
        "device": card.device.name, "layers": card.layers, "output": card.output,
        "memory": memory_json(card.memory),
    }  # fmt: skip
