"""``tf.estimate``: what a run costs in time, memory and energy, with bound, expectation, interval.

One code path for one configuration and for grids: ``batch``, ``prompt`` and ``generate`` may be
numpy arrays of one shape, and then every number of the result is an array. A grid is worked off in
blocks that stay in the processor's cache.
"""

from __future__ import annotations

from thermoflop.base.number import Number, kind_of, maximum
from thermoflop.base.record import is_record, replace
from thermoflop.cost.energy import Energy, energy_of
from thermoflop.cost.hardware.nodes import network_text, with_network
from thermoflop.cost.inference.held_to import meant_format, setting_of
from thermoflop.cost.inference.result import Estimate
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.working import working_share
from thermoflop.cost.memory import memory_of
from thermoflop.cost.roofline.bound import Piece, Sums, bound_decode_s, bound_s, sums_of
from thermoflop.cost.roofline.decode import decode_s, segments
from thermoflop.cost.roofline.span import Span
from thermoflop.cost.work.share import check_degrees, choose_layout
from thermoflop.cost.work.steps import ABSORBED, CONVENTIONS, OF_ENCODERS, decode_step
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

    from thermoflop.cost.catalogue.profile import Profile
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.inference.arguments import Workload
    from thermoflop.cost.work.work import Work
    from thermoflop.model.model import Model

# Elements worked on at once: a few dozen arrays of them stay in a core's own cache.
BLOCK = 16384
_SIZES = ("batch", "prompt", "generate", "prefix")


def estimate(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    *,
    devices: int | None = None,
    tp: int | None = None,
    pp: int = 1,
    dp: int = 1,
    ep: int = 1,
    cp: int = 1,
    batch: Number | None = None,
    prompt: Number | None = None,
    generate: Number | None = None,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    profile: str | Profile | None = None,
    prefix: Number = 0,
    chunk: int | None = None,
    page: int | None = None,
    overlap: float = 0.0,
    node_size: int | None = None,
    network_gb_s: float | None = None,
    images: str | None = None,
    audio: str | float | None = None,
    encoder: int | str | None = None,
) -> Estimate:
    """Time, memory and energy of reading a prompt and generating tokens after it.

    Sizes may be numpy arrays of one shape, or of shapes that broadcast to one: then every number
    of the result is an array of it. Source: Williams 2009 (roofline), Hockney 1982 (padding),
    published rows (rates).

    Args:
        model: a ``Model``, or what ``load_model`` takes: a path, a dictionary or a name.
        hardware: a ``Device``, or what ``find_device`` takes: a name such as ``h100``, or the path
            of a TOML file; or several: ``2x4090``, or cards that are not alike,
            ``rtx-3090 + rtx-4090``: layers by memory, one card after the other, or as fast as the
            slowest where the profile's engine gives each the same share.
        devices: how many devices. None: the product of the degrees below.
        tp: tensor-parallel degree, which splits heads and MLPs. None: what ``devices`` leaves over.
        pp: pipeline stages, which split the layers; 1 by default.
        dp: data-parallel replicas, 1 by default, which share the batch.
        ep: expert-parallel degree, 1 by default: devices of a stage over which experts are spread.
        cp: context-parallel degree, 1 by default, which splits the sequence.
        batch: sequences that run together, in all replicas; a whole number or an array. None: one
            in each replica.
        prompt: tokens of each prompt; a whole number, an array, or as on the command line
            (``32k`` is 32,768). None: 1024, or as many as the model has room for.
        generate: tokens generated after each prompt; the prefill gives the first. A whole number or
            an array. None: 128, or what the model has room for, the last tokens of a prompt that
            takes all of it; 0 for an encoder.
        dtype: number format of weights and arithmetic. None: each matrix as the model is published;
            where nothing is said, bf16, or fp32 where the device does no other. Else bf16, fp16,
            fp32, fp8, int8, int4, awq, gptq, mxfp4, nvfp4, nf4, q4_k_m, ``int4-g64``,
            ``exl2-4.0``, ``gptq-int4-g128``, ``bnb-nf4``, ``fp8-block128``, ...
        kv_dtype: number format of the cache: fp32, bf16, fp16, fp8, int8, int4, q8_0, q5_1, q4_0,
            nvfp4, ... None: as the model is published, where the engine reads that, else as
            wide as the activations.
        profile: whose efficiency: an engine's name (``vllm``, ``llama.cpp``, ...), a machine that
            ``thermoflop calibrate`` measured, the path of a profile, or a ``Profile``. None: all
            engines pooled; ``llama.cpp`` for GGUF formats, on an Apple GPU, or where no other
            server runs (Pascal).
        prefix: tokens of each prompt that the cache holds already, 0 by default; whole or an array.
        chunk: prompt tokens that are read at once. None: as many as the profile's engine reads.
        page: tokens in a block of a paged cache. None: as many tokens as there are.
        overlap: share of the network's time that hides behind computing, 0.0 (default) to 1.0.
        node_size: devices that fast links join. None: those of the maker's systems, 8 of an H100.
        network_gb_s: GB/s that each device sends to other nodes, in one direction. None: likewise,
            50 of an H100.
        images: what each prompt brings for a model that sees, as ``2x1024x768``: count x width x
            height in pixels; their tokens come on top of ``prompt``. None: no images.
        audio: the clip that each prompt brings for a model that hears: seconds, or ``30s``; its
            tokens come on top as well. None: no sound.
        encoder: tokens that the encoder beside a decoder (T5, BART) reads for each sequence. None:
            what it always reads (Whisper), else it is not counted, which is said.

    Returns:
        The estimate: seconds with bound and interval, bytes, joules, and what they rest on.

    Raises:
        UsageError: for a value that makes no sense, naming it.
        InputError: for a device that is not known, or a file that is not what it should be.
        UnknownModel: an InputError, for a model that is not known.

    Example:
        >>> import thermoflop as tf
        >>> e = tf.estimate("llama-3-8b", "h100", prompt=2048, generate=256)
        >>> e.total.bound_s <= e.total.low_s <= e.total.expected_s <= e.total.high_s
        True
        >>> bool(e.memory.fits), e.memory.weight_bytes == 2 * 8_030_261_248
        (True, True)

        Three batches at once:

        >>> import numpy as np
        >>> tf.estimate("llama-3-8b", "h100", batch=np.array([1, 8, 64])).tokens_per_s.shape
        (3,)
    """
    from thermoflop.cost.inference.arguments import (
        as_model,
        check_replicas,
        checked_size,
        validate_arguments,
        written,
    )

    check_degrees(devices=devices, tp=tp, pp=pp, dp=dp, ep=ep, cp=cp)
    batch = dp if batch is None else batch
    cards: tuple[Device, ...] = ()
    if isinstance(hardware, str) or devices is not None:
        from thermoflop.cost.catalogue.cards import pooled, unlike

        cards, model = unlike(hardware), as_model(model)
        hardware, devices, tp, pp = pooled(
            hardware, devices, tp, pp, profile, dp=dp * cp, dtype=meant_format(model, dtype)
        )
    if encoder is not None:
        from thermoflop.cost.inference.source import with_source

        model = with_source(model, encoder)
    known, device, workload = validate_arguments(
        model, hardware, batch, prompt, generate, prefix, page, images=images, audio=audio
    )
    device = with_network(device, node_size, network_gb_s)
    nodes = device.network.node_size
    plan = choose_layout(devices, tp, pp, dp, ep, cp, overlap=overlap, node_size=nodes)
    chunk = None if chunk is None else checked_size("chunk", written("chunk", chunk), 1)
    if chunk is not None and known.is_encoder_decoder:
        raise UsageError(
            f"chunk={chunk} is for a decoder alone: {known.name} has an encoder besides"
        )
    setting = setting_of(
        known, device, plan, dtype, kv_dtype, profile,
        prefix=workload.prefix, chunk=chunk, media=workload.media, cards=cards,
    )  # fmt: skip
    check_replicas(workload.batch, dp)
    return in_blocks(setting, workload)


def in_blocks(setting: Setting, workload: Workload) -> Estimate:
    """One estimate; of a grid, the blocks' results put together again."""
    sizes = [getattr(workload, name) for name in _SIZES]
    if all(kind_of(size) != "numpy" for size in sizes):
        return one(setting, workload)
    import numpy as np

    shaped = np.broadcast_arrays(*(np.asarray(size, dtype=np.float64) for size in sizes))
    shape = shaped[0].shape
    flat = [array.reshape(-1) for array in shaped]
    blocks = (
        {name: array[at : at + BLOCK] for name, array in zip(_SIZES, flat, strict=True)}
        for at in range(0, len(flat[0]), BLOCK)
    )
    joined: Estimate = _joined([one(setting, replace(workload, **each)) for each in blocks], shape)
    return joined


def _joined(parts: list[Any], shape: tuple[int, ...]) -> Any:
    """Records of arrays, one after the other; what is no array must be the same in all."""
    import numpy as np

    first = parts[0]
    if is_record(first):
        columns = ([getattr(part, name) for part in parts] for name in first.__record_fields__)
        return type(first)(*(_joined(column, shape) for column in columns))
    if isinstance(first, np.ndarray):
        return np.concatenate(parts).reshape(shape)
    return first


def read_at_once(setting: Setting, workload: Workload) -> list[Work]:
    """The operators of the whole prompt where nothing is wasted."""
    batch, new = workload.batch / setting.plan.dp, workload.prompt - workload.prefix
    return setting.plain_works(setting.whole_prompt(new, batch, workload.prefix))


def prompt_s(setting: Setting, workload: Workload, reading: list[Work]) -> tuple[Number, Number]:
    """Bound and expectation of reading the prompt.

    The bound is of ``reading`` it at once: an engine that reads it in chunks reads the weights
    again for each.
    """
    batch, new = workload.batch / setting.plan.dp, workload.prompt - workload.prefix
    whole = setting.whole_prompt(new, batch, workload.prefix)
    least = setting.least_reading(whole, reading)
    bound = bound_s(sums_of(least), setting.limits, batch * new)
    steps = setting.prompt_steps(new, batch, workload.prefix)
    return bound, setting.rates.efficiency.prompt_s + setting.steps_s(steps)


def decoding_sums(setting: Setting, workload: Workload) -> tuple[list[Piece], list[Piece]]:
    """What the ``generate - 1`` decode steps add up to where nothing is wasted, and with all luck
    in routing."""
    batch, steps = workload.batch / setting.plan.dp, maximum(workload.generate - 1, 0)
    plain, least = list[Piece](), list[Piece]()
    for first, last, count in segments(workload.prompt, steps, setting.ends):
        works = [setting.plain_works(decode_step(cached, batch)) for cached in (first, last)]
        plain.append(Piece(count, *map(sums_of, works)))
        if setting.routes:
            least.append(Piece(count, *(sums_of(setting.least_of(each)) for each in works)))
    return plain, least or plain


def decoding_s(setting: Setting, workload: Workload, least: list[Piece]) -> tuple[Number, Number]:
    """Bound and expectation of the decode steps, both in closed form."""
    batch, steps = workload.batch / setting.plan.dp, maximum(workload.generate - 1, 0)
    works, ends = setting.decoding(batch), setting.ends
    return (
        bound_decode_s(least, setting.limits, batch),
        decode_s(works, workload.prompt, steps, batch, setting.rates, ends),
    )


def one(setting: Setting, workload: Workload) -> Estimate:
    """The estimate of one configuration, or of one block of a grid."""
    reading = read_at_once(setting, workload)
    first_bound, first = prompt_s(setting, workload, reading)
    decoding, least = decoding_sums(setting, workload)
    done = [sums_of(reading), *(piece.total() for piece in decoding)]
    later_bound, later = decoding_s(setting, workload, least)
    steps = maximum(workload.generate - 1, 0)
    first_span = setting.span("prefill", first_bound, first)
    each = maximum(steps, 1)
    later_span = setting.span("token", later_bound / each, later / each)
    total = _total(first_span, later_span, first_bound + later_bound, steps)
    memory = memory_of(
        setting.share, setting.device, workload.prompt, workload.generate,
        workload.batch / setting.plan.dp, workload.page,
    )  # fmt: skip
    return Estimate(
        setting.model.name, setting.device, setting.plan, setting.precision, workload.batch,
        workload.prompt, workload.generate, first_span, later_span, total,
        memory, _energy(setting, workload, done, total),
        _provenance(setting), _conventions(setting), setting,
    )  # fmt: skip


def _conventions(setting: Setting) -> dict[str, str]:
    """How operators are counted."""
    if setting.model.is_encoder:
        everywhere = {**OF_ENCODERS, "logits": "at every position"}
        return everywhere if setting.logits == "all" else OF_ENCODERS
    said = {**CONVENTIONS, "mla": ABSORBED} if setting.engine.absorbs else CONVENTIONS
    return said if setting.logits == "last" else {**said, "logits": "not computed"}


def _provenance(setting: Setting) -> str:
    """What the estimate rests on, and what it assumes of the links between devices."""
    rests = setting.profile.provenance(setting.device, setting.precision, setting.model)
    devices, link_bytes_s = setting.plan.devices, setting.rates.link_bytes_s
    if devices == 1:
        return rests
    return f"{rests}; {network_text(setting.device, devices, link_bytes_s)}"


def _total(first: Span, later: Span, bound: Number, steps: Number) -> Span:
    """Both phases; the interval is the phases' own, weighed by their times."""
    expected = first.expected_s + steps * later.expected_s
    low = first.low_s + steps * later.low_s
    high = first.high_s + steps * later.high_s
    return Span(bound, maximum(expected, bound), maximum(low, bound), maximum(high, bound))


def _energy(setting: Setting, workload: Workload, done: list[Sums], total: Span) -> Energy | None:
    """Energy of the run, from what its steps add up to where nothing is wasted."""
    plan = setting.plan
    flops = sum(each.flops for each in done)
    moved = sum(each.weight_bytes + each.kv_bytes for each in done)
    tokens = workload.batch * maximum(workload.generate, 1)
    return energy_of(
        setting.device, plan.devices, setting.limits.peak_flops_s, flops / plan.pp,
        moved / plan.pp, total.expected_s, tokens, working_share(setting, workload, total),
        (total.low_s, total.high_s),
    )  # fmt: skip
