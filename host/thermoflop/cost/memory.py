"""What a run keeps in device memory: weights, cache, activations in flight, and a reserve.

Bytes are of the fullest device. The reserve (contexts of driver and libraries, workspaces,
fragmentation) is an assumption, stated with every result: ``RESERVE_BYTES`` and
``RESERVE_SHARE`` of the device's memory; what engines report on NVIDIA devices is 0.6 to 3 GB.
Of a Mac's memory it is, in the place of that share, what Metal keeps from the GPU.
"""

from __future__ import annotations

from thermoflop.base.number import Number, maximum, minimum
from thermoflop.base.record import plain, record, replace
from thermoflop.base.sheet import Figure, Grid, column, figure, figures_of
from thermoflop.base.units import gigabytes, wrapped
from thermoflop.cost.work.network import replicated_latent
from thermoflop.cost.work.weights import (
    Mix,
    Uniform,
    is_mix,
    stage_share,
    weights_held,
    weights_on_fullest,
)
from thermoflop.model.architecture.cache import cache_elements, states_kept
from thermoflop.model.architecture.feedforward import Moe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.work.share import Share
    from thermoflop.cost.work.weights import Formats
    from thermoflop.model.architecture.description import Layer

RESERVE_BYTES = 0.7e9
RESERVE_SHARE = 0.02
# No row is of a larger device, and a processor's memory is what its board could hold.
LARGEST_DEVICE = 300e9
# 80 % of what was reported besides weights and cache lies within these factors of the assumption
# (rows of transformers, AutoAWQ, ExLlama and FasterTransformer, ``validate memory``).
SPREAD = (0.5, 2.0)
RECALLED_SHARE = 1 / 16
# Recurrent states are kept in fp32 whatever the format of the cache: llama.cpp does; vLLM where a
# model's configuration says so.
STATE_BYTES = 4.0
# Prompt tokens that are in flight at once: what serving engines chunk prefills to by default.
TOKENS_IN_FLIGHT = 8192


@record
class Memory:
    """Bytes on the fullest device; arrays where the sizes of an estimate were.

    Attributes:
        weight_bytes: weights.
        kv_bytes: keys, values and recurrent states, when sequences are at their longest.
        activation_bytes: activations in flight.
        reserve_bytes: what driver, libraries and fragmentation take, assumed.
        capacity_bytes: what the device has.
        page_tokens: tokens in a block of a paged cache; None, the default: not paged.
        spread: factors within which 80 % of what runs reported besides weights and cache lies.
        spread_bytes: bytes that these hold for; 0.0, the default: activations and reserve.
        assumed: what the reserve rests on where an engine was named, or a Mac; "", the default:
            nothing.
        recalled: whether the capacity was recalled, not read; False by default. Then the high end
            is a sixteenth of it higher: what error correction takes of GDDR.

    Example:
        >>> import thermoflop as tf
        >>> memory = tf.fit("llama-3-8b", "h100", prompt=1024, generate=128).memory
        >>> memory.kv_bytes == (1024 + 128) * 131_072  # 2 x 32 layers x 8 heads x 128 x 2 bytes
        True
        >>> memory.fits, memory.shortfall_bytes
        (True, 0)
    """

    weight_bytes: Number
    kv_bytes: Number
    activation_bytes: Number
    reserve_bytes: Number
    capacity_bytes: Number
    page_tokens: int | None = None
    spread: tuple[float, float] = SPREAD
    spread_bytes: Number = 0.0
    assumed: str = ""
    recalled: bool = False

    @property
    def low_bytes(self) -> Number:
        """Low end of an 80 % interval of the total."""
        return self.total_bytes + (self.spread[0] - 1) * self._uncertain_bytes

    @property
    def high_bytes(self) -> Number:
        """High end of it, with what the device may have less than stated."""
        less = RECALLED_SHARE * shared_bytes(self.capacity_bytes) if self.recalled else 0.0
        return self.total_bytes + (self.spread[1] - 1) * self._uncertain_bytes + less

    @property
    def _uncertain_bytes(self) -> Number:
        return self.spread_bytes if self.assumed else self.activation_bytes + self.reserve_bytes

    @property
    def total_bytes(self) -> Number:
        """Bytes of everything together."""
        return self.weight_bytes + self.kv_bytes + self.activation_bytes + self.reserve_bytes

    @property
    def fits(self) -> Number:
        """Whether everything together is at most the capacity."""
        return self.total_bytes <= self.capacity_bytes

    @property
    def shortfall_bytes(self) -> Number:
        """Bytes that are missing; 0 where it fits."""
        return maximum(self.total_bytes - self.capacity_bytes, 0)

    @property
    def assumption(self) -> str:
        """The blocks of the cache and the reserve, as a phrase."""
        doubt = "; the device's memory is recalled, not read" if self.recalled else ""
        if self.assumed:
            return self.assumed + doubt
        reserve = f"reserve {RESERVE_BYTES / 1e9:g} GB + {RESERVE_SHARE:.0%} assumed"
        return f"{_blocks(self.page_tokens)}; {reserve}{doubt}"


def memory_sheet(memory: Memory) -> Grid:
    """The parts of the memory of the fullest device, their sum, and what the device has."""
    sizes = (
        ("weights", "weights", memory.weight_bytes),
        ("cache", "cache", memory.kv_bytes),
        ("activations", "activations", memory.activation_bytes),
        ("reserve", "reserve", memory.reserve_bytes),
        ("total", "together", memory.total_bytes),
    )
    figures = [figure(f"memory.{key}", label, size / 1e9, "GB") for key, label, size in sizes]
    whole = memory.capacity_bytes
    has = Figure("memory.capacity", "the device has", gigabytes(whole), whole / 1e9, "GB")
    title = "Memory of the fullest device"
    return column("memory", title, [*figures, has], note="GB is 1e9 bytes.")


def memory_parts(memory: Memory) -> list[Figure]:
    """Weights, cache, activations and reserve."""
    return figures_of([memory_sheet(memory)])[:4]


def occupied_text(total_bytes: float, capacity_bytes: float, *, surely: bool = True) -> str:
    """How much of a device is taken, and whether that is too much, ``surely`` or perhaps."""
    missing, verdict = total_bytes - capacity_bytes, "DOES NOT FIT" if surely else "may not fit"
    fits = f"{verdict}: {gigabytes(missing)} missing" if missing > 0 else "fits"
    return f"memory a device: {gigabytes(total_bytes)} of {gigabytes(capacity_bytes)}, {fits}"


def too_little(total_bytes: float, capacity_bytes: float) -> list[str]:
    """What is said before times that no such device shows; nothing where there is room."""
    if total_bytes <= capacity_bytes:
        return []
    sizes = f"{gigabytes(total_bytes)} of {gigabytes(capacity_bytes)} a device"
    return [wrapped(f"DOES NOT FIT: {sizes}; the times are those of a device with room for it")]


def memory_json(memory: Any) -> dict[str, Any]:
    """Memory of serving or training as one object, with its sum and whether it fits."""
    follows = ("total_bytes", "fits", "shortfall_bytes", "low_bytes", "high_bytes")
    return {**plain(memory), **{name: plain(getattr(memory, name)) for name in follows}}


def weight_bytes(share: Share) -> float:
    """Bytes of the weights on the fullest device."""
    formats = share.checkpoint or uniform(share)
    return share.fact(
        "weight bytes", lambda: weights_on_fullest(share.description, share.plan.pp, formats)
    )


def uniform(share: Share) -> Formats:
    """The widths of a share without a checkpoint."""
    if is_mix(share.precision.name):
        return Mix(share.precision, share.description)
    return Uniform(share.precision.weight_bytes, share.precision.kept_bytes)


def parameters_held(share: Share) -> float:
    """Parameters on the fullest device, whatever their format: its share of the layers, and where
    there are stages the largest part of what lies outside them."""
    held, pp = list(weights_held(share.description, Uniform(1.0, 1.0))), share.plan.pp
    inside = sum(each.sets * each.bytes_each for each in held if each.layers)
    outside = [each.bytes_each for each in held if not each.layers]
    if pp == 1:
        return inside + sum(outside)
    return inside * stage_share(share.description, pp) + max(outside, default=0.0)


def kv_bytes(share: Share, tokens: Number, batch: Number, page: int | None = None) -> Number:
    """Bytes of cache and recurrent states on the fullest device, in whole pages of ``page``.

    KV heads that are fewer than the devices are kept more than once, MLA's latent on every device.
    Of an encoder with a number of positions of its own (Whisper) the keys and values that its
    decoder attends to are kept as well, whatever the ``tokens``.
    """
    description, plan = share.description, share.plan
    encoder = description.stack("encoder")
    source = (encoder.positions if encoder is not None else 0) or 0
    cached = cache_elements(description, tokens, source, page) * share.precision.kv_bytes
    on_stage = stage_share(description, plan.pp)
    return (cached + STATE_BYTES * states_kept(description)) * batch * on_stage / plan.cp


def beside_bytes(share: Share, tokens: Number, batch: Number) -> tuple[float, Number]:
    """Weights and cache of a draft model on the same device; 0 without one."""
    draft = share.beside
    return (0.0, 0.0) if draft is None else (weight_bytes(draft), kv_bytes(draft, tokens, batch))


def copies_of_cache(share: Share) -> float:
    """How many times the devices together hold the cache."""
    plan = share.plan
    if replicated_latent(share.whole, plan.tp):
        return float(plan.tp)
    whole, part = cache_elements(share.whole, 1), cache_elements(share.description, 1)
    return plan.tp * part / whole if whole else 1.0


def _layer_width(layer: Layer) -> float:
    """The widest activations of a layer, in elements a token: what is alive at once."""
    feed = layer.feed
    if isinstance(feed, Moe):
        inner = feed.expert.inner * max(1, feed.top_k) * (2 if feed.expert.gated else 1)
    elif feed is not None:
        inner = feed.inner * (2 if feed.gated else 1)
    else:
        inner = 0
    return float(2 * layer.hidden + max(inner, 4 * layer.hidden / 2))


def tokens_in_flight(share: Share, prompt: Number, batch: Number) -> Number:
    """Tokens that are computed at once: a chunk of the prompts, or a token of every sequence; of an
    encoder, which has one step, all that the batch has."""
    decoder = share.description.stack("decoder")
    if decoder is None or not decoder.causal:
        return prompt * batch
    return minimum(prompt * batch, maximum(TOKENS_IN_FLIGHT, batch))


def activation_bytes(share: Share, prompt: Number, batch: Number) -> Number:
    """Bytes of activations in flight: the widest layer, and logits in fp32, of every sequence, or
    of every position of what removes masks."""
    description = share.description
    widest = max((_layer_width(run.layer) for run in description.runs), default=0.0)
    tokens = tokens_in_flight(share, prompt, batch)
    head = description.head
    rows = tokens if description.unmasks else batch
    logits = 0 if head is None else 4 * head.outputs * rows
    return tokens * widest * share.precision.activation_bytes / share.plan.cp + logits


def shared_bytes(memory_bytes: Number) -> Number:
    """What a share of a device's memory is taken of: all, as far as devices were measured."""
    return minimum(memory_bytes, LARGEST_DEVICE)


def memory_of(
    share: Share,
    device: Device,
    prompt: Number,
    generate: Number,
    batch: Number,
    page: int | None = None,
) -> Memory:
    """Memory of the fullest device while ``batch`` sequences of a replica are at their longest."""
    weights, cache = beside_bytes(share, prompt + generate, batch)
    passing = activation_bytes(share, prompt, batch)
    memory = Memory(
        weight_bytes(share) + weights,
        kv_bytes(share, prompt + generate, batch, page) + cache,
        passing,
        reserve_bytes(device),
        device.memory_bytes,
        page,
        recalled=device.recalls("memory"),
    )
    if device.vendor != "Apple":
        return memory
    from thermoflop.cost.hardware.metal import metal_words

    assumed = f"{_blocks(page)}; reserve {RESERVE_BYTES / 1e9:g} GB assumed beside what Metal keeps"
    words = f"{assumed}; {metal_words(device.memory_bytes)}"
    return replace(memory, spread_bytes=passing + RESERVE_BYTES, assumed=words)


def reserve_bytes(device: Device) -> float:
    """What is left alone of a device: assumed, and of a Mac what Metal keeps from its GPU."""
    if device.vendor == "Apple":
        from thermoflop.cost.hardware.metal import metal_bytes

        return RESERVE_BYTES + device.memory_bytes - metal_bytes(device.memory_bytes)
    return RESERVE_BYTES + RESERVE_SHARE * float(shared_bytes(device.memory_bytes))


def _blocks(page: int | None) -> str:
    """How the cache is divided."""
    return "logical cache" if page is None else f"pages of {page}"
