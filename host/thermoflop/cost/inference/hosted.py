"""How fast llama.cpp is where the host's memory holds a part of the model.

A token waits for the device's part, for what the host reads of its memory, and at every layer of
which a part is on the host for its threads and for the way there and back. ``HOST_SHARE`` of the
host's bandwidth and ``LAYER_S`` are what published runs ask for whose memory is known: 36.7
tokens/s of Qwen3-30B-A3B in Q4_K_M with the experts of 36 of 48 layers at a measured 102 GB/s
(llmfit, pull request 755), 25.6 of gpt-oss-120b with those of all 36 beside a 14900K, and 6.17 of
GLM-4.7 in MXFP4 beside a 9950X, both with two channels of DDR5-6000 (gokawiil.com/article/74814,
postl.ai/?p=53). These are 39.7, 23.9 and 7.09 here, and three whose memory was not said 57.3, 68.5
and 32.2 at a desktop's (52 of Qwen3.5-35B-A3B, ik_llama.cpp's pull request 1593; 64 of gpt-oss-20b,
smeltcore.com; 32.3 of gpt-oss-120b, ai-maestro.online).

Prompts are computed on the device. From ``LEAST_TOKENS`` tokens on it is sent what the host holds
for every micro-batch (``GGML_OP_OFFLOAD_MIN_BATCH`` of ggml-cuda.cu), and nothing is computed
meanwhile (llama.cpp issue 25859). What is left of published prompts without the time on the device
alone: 18 GB/s to an RTX 3060 (Qwen3.6-35B-A3B, 40 to 18 layers, Vulkan) and 28 with memory that is
locked, 15 to an RTX 5070 (the same, Windows), 17 to an RX 6800 (Gemma 4 26B), 20 to an RTX 4080 and
24 to a 3090 (gpt-oss-120b; ik_llama.cpp's pull request 829; ai-maestro.online), their geometric
mean ``SENT_BYTES_S``; 12 of 16 to a laptop's card of eight lanes, ``SENT_SHARE``. Not every expert
is sent that a model has: 72 to 95 of gpt-oss's 128 for 512 tokens (pull request 15346).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record, replace
from thermoflop.base.units import digits, gigabytes
from thermoflop.cost.engines.placement import Placement, outside_bytes, placed_layers
from thermoflop.cost.hardware.device import is_its_hosts, pcie_bytes_s

if TYPE_CHECKING:
    from thermoflop.cost.engines.footprint import Load
    from thermoflop.cost.inference.room import Room
    from thermoflop.cost.work.share import Share

# Bytes a second of two channels of DDR5-5600, a desktop's.
HOST_BANDWIDTH_GB_S = 89.6
HOST_SHARE, LAYER_S = 0.8, 0.28e-3
# Ends of an 80 % interval: those six are missed by up to 15 %, three of them chose the two
# figures above, and cores that are few, or of two sockets, reach less of their memory.
HOST_SPREAD = 1.4
LEAST_TOKENS, MICRO_BATCH = 32, 512
SENT_BYTES_S, SENT_SHARE = 20e9, 0.75
# Locked memory, experts that no token chose and other lanes than the card has are not known.
SENT_SPREAD = 2.0


@record
class Whole:
    """What would take how long with all of the model on the device: seconds of a decode step, and
    of a prompt of so many tokens (low end, expectation, high end)."""

    step_s: float
    prompt_s: tuple[float, float, float]
    prompt: int


@record
class Hosted:
    """Sequences with a part of the model in the host's memory.

    Attributes:
        host_bytes: bytes of weights, and of the cache of layers, that are there.
        host_gb_s: GB a second of that memory.
        tokens_per_s: tokens a second of each sequence: low end, expectation, high end (80 %).
        sequences: how many.
        prompt_tokens_per_s: tokens a second of one prompt likewise; None where the host computes
            it (few tokens, or a device that shares its memory).

    Example:
        >>> import thermoflop as tf
        >>> options = {"n_cpu_moe": 36}
        >>> f = tf.fit("gpt-oss-120b", "rtx 3060", profile="llama.cpp", engine_options=options)
        >>> low, expected, high = f.hosted.tokens_per_s
        >>> 15 < low < expected < high < 40
        True
    """

    host_bytes: float
    host_gb_s: float
    tokens_per_s: tuple[float, float, float]
    sequences: int
    prompt_tokens_per_s: tuple[float, float, float] | None = None

    @property
    def size(self) -> str:
        """What the host holds, and how fast it reads, in words."""
        return f"{gigabytes(self.host_bytes)} at {self.host_gb_s:g} GB/s"

    @property
    def speed(self) -> str:
        """Tokens a second and their interval in words, and those of a prompt."""
        low, expected, high = map(digits, self.tokens_per_s)
        said = f"{expected} tokens/s{' each' if self.sequences > 1 else ''} ({low} to {high})"
        if self.prompt_tokens_per_s is None:
            return said
        low, expected, high = map(digits, self.prompt_tokens_per_s)
        return f"{said}, prompts at {expected} ({low} to {high})"


def hosted_of(
    room: Room, share: Share, load: Load, placed: Placement, host_gb_s: float | None, whole: Whole
) -> Hosted:
    """The speed of a placement on one device, on which all would take as long as ``whole``, or on
    several alike one after the other: with tensors on the host llama.cpp has no pipeline of them
    (``pipeline_parallel`` of llama-context.cpp). ``host_gb_s`` None: a desktop's, or the device's
    where it shares the computer's memory."""
    shared = is_its_hosts(room.device)
    if host_gb_s is None:
        host_gb_s = room.device.bandwidth_bytes_s / 1e9 if shared else HOST_BANDWIDTH_GB_S
    # a layer's cache lies where the layer does
    decode = [layer.decodes for layer in placed_layers(share)]
    away = sum(decode[: len(decode) - placed.layers]) / sum(decode)
    kept, read = (away * each for each in _caches(room, share, load))
    speed = 1 / hosted_s(placed, whole.step_s, host_gb_s, read)
    ends = speed / HOST_SPREAD, speed, speed * HOST_SPREAD
    prompts = None
    if not shared and whole.prompt >= LEAST_TOKENS:
        sent_s = (placed.host_bytes - outside_bytes(share)[0]) / _sent_bytes_s(room)
        prompts = _prompts(whole, sent_s * -(-whole.prompt // _micro_batch(room)))
    return Hosted(placed.host_bytes + kept, host_gb_s, ends, load.sequences, prompts)


def _prompts(whole: Whole, sent_s: float) -> tuple[float, float, float]:
    """Tokens a second of a prompt for which ``sent_s`` are spent on what the host sends."""
    times = 1 / SENT_SPREAD, 1.0, SENT_SPREAD
    most, expected, least = (
        whole.prompt / (on_device_s + sent_s * each)
        for on_device_s, each in zip(whole.prompt_s, times, strict=True)
    )
    return least, expected, most


def _sent_bytes_s(room: Room) -> float:
    """Bytes a second at which weights come from the host."""
    lanes = pcie_bytes_s(room.device.pcie)
    return min(SENT_BYTES_S, SENT_SHARE * lanes) if lanes else SENT_BYTES_S


def _micro_batch(room: Room) -> int:
    """Tokens that are computed at once."""
    options = {} if room.engine is None else room.engine.options
    return int(options.get("ubatch_size") or MICRO_BATCH)


def _caches(room: Room, share: Share, load: Load) -> tuple[float, float]:
    """Bytes of the cache of all layers as it is laid out, and what a step reads of it: an option
    may ask for more room than sequences fill."""
    if room.engine is None:
        each = float(room.memory(share, load).kv_bytes)
        return each, each
    options = {**room.engine.options, "n_gpu_layers": None}
    filled = {**options, "ctx_size": None, "parallel": None}
    kept, read = (
        float(replace(room.engine, options=each).memory(share, load).kv_bytes)
        for each in (options, filled)
    )
    return kept, read


def hosted_s(placed: Placement, whole_s: float, host_gb_s: float, cached: float = 0.0) -> float:
    """Seconds of a decode step that takes ``whole_s`` where all is on the device, with ``cached``
    bytes of the cache on the host."""
    on_device = 1 - placed.host_active_bytes / placed.active_bytes
    host_s = (placed.host_active_bytes + cached) / (HOST_SHARE * host_gb_s * 1e9)
    return float(whole_s * on_device + host_s + LAYER_S * placed.host_layers)


def whole_of(room: Room, load: Load) -> Whole:
    """What llama.cpp is expected to take if the device held all: for a decode step after the prompt
    where nothing is generated, or before the model's last position."""
    from thermoflop.cost.inference.estimate import estimate

    generate = max(2, load.context - load.prompt)
    most = room.model.max_positions
    prompt = load.prompt if most is None else max(1, min(load.prompt, most - generate))
    run = estimate(
        room.model, room.device, batch=load.sequences, prompt=prompt,
        generate=generate, dtype=room.dtype, kv_dtype=room.kv_dtype, profile="llama.cpp",
        chunk=None if room.model.is_encoder_decoder else _micro_batch(room),
    )  # fmt: skip
    first = run.first_token
    low, expected, high = (
        float(each) / load.sequences for each in (first.low_s, first.expected_s, first.high_s)
    )
    return Whole(float(run.per_token.expected_s), (low, expected, high), prompt)
