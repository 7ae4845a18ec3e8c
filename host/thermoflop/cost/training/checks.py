"""Sizes of a training run that have to divide each other."""

from __future__ import annotations

from thermoflop.errors import UsageError


def check_replicas(global_batch: int, replica: int) -> None:
    """UsageError where the batch cannot be shared out in whole micro-batches."""
    if global_batch % replica:
        raise UsageError(
            f"global_batch={global_batch} is no multiple of dp x micro_batch={replica}: expected "
            f"such as {max(1, round(global_batch / replica)) * replica}"
        )


def check_shard(shard: int | None, alike: int) -> None:
    """UsageError where states cannot be shared over so many devices."""
    if shard is not None and (type(shard) is not int or shard < 1 or alike % shard):
        raise UsageError(
            f"shard={shard!r:.40} does not divide the {alike} devices that hold the same weights"
        )


def check_interleaved(layers: int, pp: int, virtual: int) -> None:
    """UsageError where a device has no whole layers for each of its interleaved stages (Narayanan
    et al. 2021, section 2.2). Layers that stages do not share evenly are left to who places them.
    """
    each = -(-layers // pp)
    if virtual > each or (pp > 1 and layers % pp == 0 and each % virtual):
        whole = ", ".join(str(n) for n in range(1, each + 1) if each % n == 0)
        raise UsageError(
            f"virtual={virtual} (--interleave) does not divide a stage of {each} "
            f"layer{'s' * (each > 1)}: expected one of {whole}"
        )
