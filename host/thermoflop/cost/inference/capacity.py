"""``tf.fit``: what fits in memory: the largest batch, the longest context, the fewest devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import plain, record
from thermoflop.base.sheet import Row, column, figure, figures_of
from thermoflop.base.units import gigabytes
from thermoflop.cost.inference.arguments import checked_whole, validate_arguments
from thermoflop.cost.inference.formats import choose_formats
from thermoflop.cost.memory import Memory, copies_of_cache, memory_json, memory_of, memory_sheet
from thermoflop.cost.work.share import Layout, Share, choose_layout
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import Any

    from thermoflop.base.sheet import Grid
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.model.model import Model

LARGEST = 2**40
DEVICES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


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
        longest_context: tokens, prompt and generated, that fit at this batch; 0 where not one does.
        fewest_devices: devices on which this run fits, heads divided up to 8 ways and layers
            beyond; None where 1024 are too few.
        fewest_plan: how it is spread over them; None likewise.
        cache_copies: how many times the devices together hold the cache.

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

    @property
    def fits(self) -> bool:
        """Whether this run fits."""
        return bool(self.memory.fits)

    def __str__(self) -> str:
        return fit_text(self)


def largest(holds: Callable[[int], bool], most: int = LARGEST) -> int:
    """The largest whole number for which something holds that holds for all smaller ones; or 0."""
    if not holds(1):
        return 0
    low, high = 1, 2
    while high <= most and holds(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


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
    batch: int = 1,
    prompt: int | None = None,
    generate: int | None = None,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    page: int | None = None,
    images: str | None = None,
    audio: str | float | None = None,
) -> Fit:
    """What fits in memory: this run, the largest batch, the longest context, the fewest devices.

    Sizes are single whole numbers, not arrays.

    Args:
        model: a ``Model``, or what ``load_model`` takes: a path, a dictionary or a name.
        hardware: a ``Device``, or what ``find_device`` takes: a name such as ``h100``, or the path
            of a TOML file.
        devices: how many devices. None: the product of the degrees below.
        tp: tensor-parallel degree, which splits heads and MLPs. None: what ``devices`` leaves over.
        pp: pipeline stages, which split the layers; 1 by default.
        dp: data-parallel replicas, 1 by default, which share the batch.
        ep: expert-parallel degree, 1 by default: devices of a stage over which experts are spread.
        cp: context-parallel degree, 1 by default, which splits the sequence.
        batch: sequences in all replicas, 1 by default.
        prompt: tokens of each prompt. None: 1024, or as many as the model has room for.
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
    for name, size, least in (
        ("batch", batch, 1),
        ("prompt", prompt, 1),
        ("generate", generate, 0),
    ):
        if size is not None or name == "batch":
            checked_whole(name, size, least)
    known, device, workload = validate_arguments(
        model, hardware, batch, prompt, generate, 0, page, images=images, audio=audio
    )
    prompt, generate, batch = workload.prompt, workload.generate, workload.batch
    plan = choose_layout(devices, tp, pp, dp, ep, cp)
    if batch % dp:
        raise UsageError(f"dp={dp} does not divide batch={batch}")
    precision, checkpoint = choose_formats(known, device, dtype, kv_dtype)
    share = Share(known.description, plan, precision, checkpoint)

    def holds(sequences: int, context: int) -> bool:
        read = max(1, min(prompt, context))
        return bool(memory_of(share, device, read, context - read, sequences, page).fits)

    context = prompt + generate
    most = known.max_positions or LARGEST
    longest = min(most, largest(lambda tokens: holds(batch // dp, tokens), most))
    fewest = _fewest(share, device, (prompt, generate, batch), page)
    memory = memory_of(share, device, prompt, generate, batch // dp, page)
    return Fit(
        known.name, device, plan, precision, batch, prompt, generate, memory,
        dp * largest(lambda sequences: holds(sequences, context)), longest,
        None if fewest is None else fewest.devices, fewest, copies_of_cache(share),
    )  # fmt: skip


def _fewest(
    asked: Share,
    device: Device,
    sizes: tuple[int, int, int],
    page: int | None,
) -> Layout | None:
    """The smallest plan that fits: heads divided as far as they go, up to 8; layers beyond."""
    prompt, generate, batch = sizes
    for devices in DEVICES:
        for tp in (8, 4, 2, 1):
            if devices % tp:
                continue
            plan = Layout(tp, devices // tp)
            try:
                share = Share(asked.whole, plan, asked.precision, asked.checkpoint)
            except UsageError:
                continue
            if memory_of(share, device, prompt, generate, batch, page).fits:
                return plan
    return None


def fit_sheet(capacity: Fit) -> Grid:
    """The largest batch, the longest context and the fewest devices."""
    batch, context = capacity.largest_batch, capacity.longest_context
    most = f"more than {DEVICES[-1]:,}"
    devices = most if capacity.fewest_plan is None else describe_devices(capacity)
    batches = figure("fit.batch", "largest batch", batch, "sequences", f"{batch:,}")
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
    memory, plan = capacity.memory, capacity.plan
    verdict = "it fits" if capacity.fits else f"no: {gigabytes(memory.shortfall_bytes)} missing"
    *parts, has = figures_of([memory_sheet(memory)])
    sizes = [f"  {part.label:<13}{part.text:>10}" for part in parts]
    batch, context, devices = fit_sheet(capacity).rows
    lines = [
        (
            f"{capacity.model_name} on {plan.devices} x {capacity.device.name} ({plan.label}), "
            f"{capacity.precision.label}, batch {capacity.batch}, "
            f"{capacity.prompt} + {capacity.generate} tokens: {verdict}"
        ),
        "",
        *sizes[:-1],
        f"{sizes[-1]} of {has.text} a device (GB is 1e9 bytes)",
        "",
        f"{batch.label + ':':<34}{capacity.largest_batch:,}",
        f"{context.label + ':':<34}{capacity.longest_context:,}",
        f"{devices.label + ':':<34}{describe_devices(capacity)}",
    ]
    if capacity.cache_copies > 1:
        lines.append(f"the cache is kept {capacity.cache_copies:g} times over the devices")
    return "\n".join([*lines, "", memory.assumption])


def describe_devices(capacity: Fit) -> str:
    """The fewest devices, and how they are used."""
    if capacity.fewest_plan is None:
        return f"more than {DEVICES[-1]}"
    return f"{capacity.fewest_devices} ({capacity.fewest_plan.label})"


def fit_json(capacity: Fit) -> dict[str, Any]:
    """What fits, as one object."""
    return {
        **plain(capacity),
        "device": capacity.device.name,
        "memory": memory_json(capacity.memory),
        "fits": capacity.fits,
    }
