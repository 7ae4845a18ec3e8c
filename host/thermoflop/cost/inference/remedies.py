"""What to do where a model does not fit: another format, less at once, more devices, the host."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import TYPE_CHECKING

from thermoflop.base.record import record, replace
from thermoflop.base.units import gigabytes
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.budget import EngineMemory, engine_memory
from thermoflop.cost.engines.footprint import Load, placement_of
from thermoflop.cost.engines.raised import raised
from thermoflop.cost.hardware.device import is_its_hosts
from thermoflop.cost.inference.held_to import check_engine
from thermoflop.cost.inference.hosted import Hosted, hosted_of, whole_of
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError
from thermoflop.model.config.published_forms import MLX_FORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from thermoflop.cost.catalogue.profile import Profile
    from thermoflop.cost.engines.placement import PlacedLayer
    from thermoflop.cost.inference.room import Room
    from thermoflop.cost.inference.unequal import Split

# Formats to try, from the widest on, by what engines load: GGUF's k and i ones, since those that
# came before them (q5_1, q4_0, ...) are worse at their width, and ternary ones need their models.
_GGUF = (
    "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "iq4_xs", "q3_k_l", "q3_k_m",
    "iq3_m", "q3_k_s", "iq3_s", "iq3_xs", "iq3_xxs", "q2_k", "iq2_m", "iq2_s", "iq2_xs",
    "iq2_xxs", "iq1_m", "iq1_s",
)  # fmt: skip
_SERVED = ("fp8", "int4")
_NARROWER = _GGUF[_GGUF.index("q3_k_m") :]  # than int4's 4.16 bits
_CACHES = {"layers": ("q8_0", "q4_0"), "heads": ("fp8", "nvfp4")}
MOST_HOST_BYTES = 8e12  # more than a server's sockets take: that is no remedy


@record
class Remedy:
    """A change by which a run fits.

    Attributes:
        kind: ``engine option``, ``dtype``, ``kv_dtype``, ``devices``, ``batch``, ``context``,
            ``experts on the host`` or ``layers on the host``; of training ``micro_batch``,
            ``loss``, ``recompute``, ``zero``, ``offload``, ``optimizer``, ``together``,
            ``devices`` or ``lora``.
        value: the format, the option as ``NAME=VALUE``, or how many.
        text: what to change, in words.
        tokens_per_s: tokens a second of each sequence while decoding; None where the change costs
            no speed.

    Example:
        >>> import thermoflop as tf
        >>> [remedy.kind for remedy in tf.fit("llama-3-70b", "h100").remedies]
        ['dtype', 'devices', 'layers on the host']
    """

    kind: str
    value: str | int
    text: str
    tokens_per_s: float | None = None


def remedies_of(
    room: Room, plan: Layout, load: Load, fewest: Layout | None, host_gb_s: float | None
) -> Iterator[Remedy]:
    """Every change that alone makes a replica's load fit, the least first."""
    share = room.share(plan)

    def held(other: Room) -> str | None:
        memory = other.memory(other.share(plan), load)
        return f"{gigabytes(memory.weight_bytes)} a device" if memory.fits else None

    if room.engine is not None and (more := raised(room.engine, share, load)) is not None:
        yield Remedy("engine option", f"{more.option}={more.value:g}", more.text)
    yield from _formats(room, _narrower(room), held)
    most = plan.dp * room.most(share, load) if load.sequences > 1 else 0
    yield from _less(most, room.longest(share, load))
    if fewest is not None:  # also as many or fewer, in another layout
        yield Remedy("devices", fewest.devices, f"{fewest.devices} devices ({fewest.label})")
    for remedy, _ in on_host(room, plan, load, host_gb_s):
        yield remedy


def _narrower(room: Room) -> Sequence[str]:
    """Formats of the files that the engine loads."""
    alone = "" if room.asked is None else find_profile(room.asked).engine.alone
    if alone == "MLX":
        return MLX_FORMS
    if alone == "GGUF" or (room.asked is None and room.splits == "layers"):
        return _GGUF
    served = room.engine is not None and room.splits == "heads"
    return _SERVED if served else (*_SERVED, *_NARROWER)


def remedies_over_cards(split: Split, load: Load, batch: int, context: int) -> Iterator[Remedy]:
    """The same for cards that are not alike, which hold so many sequences, or so many tokens."""

    def held(other: Room) -> str | None:
        cards = replace(split, room=other, share=other.share(Layout())).place(load)
        weights = gigabytes(sum(card.memory.weight_bytes for card in cards))
        return f"{weights} on all cards" if all(card.memory.fits for card in cards) else None

    yield from _formats(split.room, _GGUF, held, _CACHES["layers"])
    yield from _less(batch, context)


def _less(batch: int, context: int) -> Iterator[Remedy]:
    """Fewer sequences, and fewer tokens of each, where any are held."""
    if batch:
        yield Remedy(
            "batch", batch, f"at most {batch:,} sequence{'s' * (batch != 1)} at this context"
        )
    if context:
        yield Remedy("context", context, f"at most {context:,} tokens at this batch")


def _formats(
    room: Room,
    names: Sequence[str],
    held: Callable[[Room], str | None],
    caches: Sequence[str] = (),
) -> Iterator[Remedy]:
    """The widest cache and the widest weights that fit; ``held`` says where, None where not."""
    for name in caches or _CACHES[room.splits]:
        narrow = room.in_format(room.dtype, name)
        runs = _runs(room.asked, room, room.dtype, name)
        if runs and narrow.precision.kv_bytes < room.precision.kv_bytes and held(narrow):
            yield Remedy("kv_dtype", name, f"a cache in {name}")
            break
    for name in names:
        if not _runs(room.asked, room, name, room.kv_dtype):
            continue
        narrow = room.in_format(name, room.kv_dtype)
        if not _computes(narrow) or narrow.precision.weight_bits >= room.precision.weight_bits:
            continue
        if where := held(narrow):
            yield Remedy("dtype", name, f"weights in {name}: {where}")
            break


def _goes_to_host(room: Room) -> bool:
    """Whether the engine leaves weights to the host: llama.cpp does, which also stands in where
    no engine is named, for what it runs; where memory is the host's there is no other. How fast
    an encoder is so is not known."""
    if is_its_hosts(room.device) or not room.model.generates:
        return False
    if room.asked is None:
        return _runs("llama.cpp", room, room.dtype, room.kv_dtype)
    return room.engine is not None and room.engine.key == "llama.cpp"


def _runs(
    profile: str | Profile | None, room: Room, dtype: str | None, kv_dtype: str | None
) -> bool:
    """Whether an engine runs the model in these formats; of none, whether it is not refused."""
    try:
        check_engine(profile, room.device, dtype, kv_dtype, room.model)
    except UsageError:
        return False
    return True


def _computes(room: Room) -> bool:
    """Whether the device multiplies in the formats of a room, as far as its peaks are known."""
    return not room.device.peaks or room.device.has_peak(room.precision.compute)


def on_host(
    room: Room, plan: Layout, load: Load, host_gb_s: float | None
) -> Iterator[tuple[Remedy, Hosted]]:
    """The fewest layers whose experts go to the host, and the most layers that stay, each with its
    speed; nothing where no engine leaves weights there."""
    from thermoflop.cost.engines.placement import placed_layers

    if plan.devices != plan.pp or not _goes_to_host(room):
        return
    share = room.share(plan)
    engine = room.engine or engine_memory("llama.cpp", room.device, None)[0]
    within = replace(room, engine=engine)  # whose cache it is, whoever was named
    layers, alone = placed_layers(share), room.share(Layout())
    options, whole = engine.options, cache(lambda: whole_of(room, load))
    trials = []
    has_experts = any(layer.expert_bytes for layer in layers)
    if has_experts and not options["cpu_moe"] and engine.engine != "ollama":  # it has no -ncmoe
        trials.append(("experts on the host", "n_cpu_moe", range(1, len(layers) + 1)))
    trials.append(("layers on the host", "n_gpu_layers", range(len(layers), -1, -1)))
    for kind, name, values in trials:

        def tried(value: int, name: str = name) -> EngineMemory:
            return replace(engine, options={**options, name: value})

        # each value leaves less on the device than the one before it
        place = bisect_left(values, True, key=lambda value: tried(value).memory(share, load).fits)
        if place < len(values):
            placed = placement_of(alone, tried(values[place]).options, load.sequences)
            hosted = hosted_of(within, alone, load, placed, host_gb_s, whole())
            found = _remedy(kind, values[place], layers, room, hosted, plan.devices)
            yield from () if found is None else ((found, hosted),)


def _remedy(
    kind: str, value: int, every: Sequence[PlacedLayer], room: Room, hosted: Hosted, devices: int
) -> Remedy | None:
    """None where no host has so much memory. Layers are divided evenly over devices, of which the
    first then holds the least, unless its user says otherwise."""
    if hosted.host_bytes > MOST_HOST_BYTES:
        return None
    layers = len(every)
    ollama = room.engine is not None and room.engine.engine == "ollama"
    flag, many = "num_gpu" if ollama else "-ngl", f"{layers - value} of {layers} layers"
    flag += f" {value}"
    if kind.startswith("experts"):
        flag, expert = f"-ncmoe {value}", [layer.expert_bytes > 0 for layer in every]
        # llama.cpp counts from the first layer, and DeepSeek's first three have no experts
        counts = "" if all(expert) else ", which counts those without experts"
        split = ", fewer if -ts gives the first device more layers" if devices > 1 else ""
        flag, many = (
            flag + counts + split,
            f"experts of {sum(expert[:value])} of {sum(expert)} layers",
        )
    elif value == layers:
        many = "the output layer"
    whose = "llama.cpp's " if room.asked is None else ""
    text = f"{many} in the computer's memory ({whose}{flag}: {hosted.size}): {hosted.speed}"
    return Remedy(kind, value, text, hosted.tokens_per_s[1])
