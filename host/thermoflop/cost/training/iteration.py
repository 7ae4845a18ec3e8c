"""One training iteration: which model, on what, how it is divided and recomputed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record

if TYPE_CHECKING:
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.cost.work.share import Layout
    from thermoflop.model.model import Model


@record
class Iteration:
    """``global_batch`` sequences of ``sequence`` tokens over ``plan``, in micro-batches.

    ``engine`` is the trainer; ``virtual`` is the number of interleaved stages a device holds;
    ``recompute`` is ``none``, ``selective`` (attention) or ``full``, ``recomputed`` the share of
    layers that are recomputed entirely besides; ``fused``: scores of attention stay on the chip;
    ``zero`` is the stage of ZeRO (Rajbhandari et al. 2020), over ``shard`` of the devices that hold
    the same weights (None: all of them); ``optimizer`` as in ``states.MOMENTS``, ``loss`` as in
    ``memory.LOSSES``.
    """

    engine: str
    model: Model
    device: Device
    plan: Layout
    precision: Precision
    global_batch: float
    micro_batch: float
    sequence: int
    virtual: int = 1
    recompute: str = "none"
    fused: bool = True
    zero: int = 1
    recomputed: float = 0.0
    optimizer: str = "adamw"
    loss: str = "full"
    shard: int | None = None

    @property
    def micro_batches(self) -> float:
        """Micro-batches that pass through a replica in an iteration."""
        return max(1.0, self.global_batch / self.plan.dp / self.micro_batch)

    @property
    def shared_by(self) -> int:
        """Devices that share states under ZeRO: replicas and parts of a sequence hold the same
        weights (FSDP shards over dp x cp); hybrid sharding takes a part of them."""
        return self.shard or self.plan.dp * self.plan.cp
