"""How fast llama.cpp decodes where the host's memory holds a part of the model.

A token waits for the device's part, for what the host reads of its memory, and at every layer of
which a part is on the host for its threads and for the way there and back. ``HOST_SHARE`` of the
host's bandwidth and ``LAYER_S`` are what published runs ask for whose memory is known: 36.7
tokens/s of Qwen3-30B-A3B in Q4_K_M with the experts of 36 of 48 layers at a measured 102 GB/s
(llmfit, pull request 755), 25.6 of gpt-oss-120b with those of all 36 beside a 14900K, and 6.17 of
GLM-4.7 in MXFP4 beside a 9950X, both with two channels of DDR5-6000 (gokawiil.com/article/74814,
postl.ai/?p=53). These are 39.7, 23.9 and 7.09 here, and three whose memory was not said 57.3, 68.5
and 32.2 at a desktop's (52 of Qwen3.5-35B-A3B, ik_llama.cpp's pull request 1593; 64 of gpt-oss-20b,
smeltcore.com; 32.3 of gpt-oss-120b, ai-maestro.online).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record, replace
from thermoflop.base.units import digits, gigabytes
from thermoflop.cost.engines.placement import Placement, placed_layers
from thermoflop.cost.hardware.device import is_its_hosts

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


@record
class Hosted:
    """Decoding of sequences with a part of the model in the host's memory.

    Attributes:
        host_bytes: bytes of weights, and of the cache of layers, that are there.
        host_gb_s: GB a second of that memory.
        tokens_per_s: tokens a second of each sequence: low end, expectation, high end (80 %).
        sequences: how many.

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

    @property
    def size(self) -> str:
        """What the host holds, and how fast it reads, in words."""
        return f"{gigabytes(self.host_bytes)} at {self.host_gb_s:g} GB/s"

    @property
    def speed(self) -> str:
        """Tokens a second and their interval in words."""
        low, expected, high = map(digits, self.tokens_per_s)
        return f"{expected} tokens/s{' each' if self.sequences > 1 else ''} ({low} to {high})"


def hosted_of(
    room: Room, share: Share, load: Load, placed: Placement, host_gb_s: float | None, whole_s: float
) -> Hosted:
    """The speed of a placement on one device, on which all of a decode step would take ``whole_s``;
    ``host_gb_s`` None: a desktop's, or the device's where it shares the computer's memory."""
    if host_gb_s is None:
        shared = is_its_hosts(room.device)
        host_gb_s = room.device.bandwidth_bytes_s / 1e9 if shared else HOST_BANDWIDTH_GB_S
    # a layer's cache lies where the layer does
    away = 1 - placed.layers / len(placed_layers(share))
    kept, read = (away * each for each in _caches(room, share, load))
    speed = 1 / hosted_s(placed, whole_s, host_gb_s, read)
    ends = speed / HOST_SPREAD, speed, speed * HOST_SPREAD
    return Hosted(placed.host_bytes + kept, host_gb_s, ends, load.sequences)


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


def whole_s(room: Room, load: Load) -> float:
    """Seconds of a decode step as llama.cpp is expected to run it, if the device held it all: one
    after the prompt where nothing is generated, or before the model's last position."""
    from thermoflop.cost.inference.estimate import estimate

    generate = max(2, load.context - load.prompt)
    most = room.model.max_positions
    prompt = load.prompt if most is None else max(1, min(load.prompt, most - generate))
    return float(
        estimate(
            room.model, room.device, batch=load.sequences, prompt=prompt,
            generate=generate, dtype=room.dtype, kv_dtype=room.kv_dtype,
            profile="llama.cpp",
        ).per_token.expected_s
    )  # fmt: skip
