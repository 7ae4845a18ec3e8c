"""One training iteration: which model, on what, how it is divided and recomputed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.cost.work.share import Layout

if TYPE_CHECKING:
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.model.model import Model


@record
class TrainingQuestion:
    """One iteration: ``global_batch`` sequences of ``sequence`` tokens over ``plan``.

    ``virtual`` is the number of interleaved stages a device holds; ``recompute`` is ``none``,
    ``selective`` (attention) or ``full``; ``recomputed`` the share of layers that are recomputed
    entirely besides.
    """

    row_id: str
    source: str
    engine: str
    model_name: str
    device: Device
    model: Model
    precision: Precision
    plan: Layout
    global_batch: float
    micro_batch: float
    sequence: int
    virtual: int
    recompute: str
    fused: bool
    zero: int
    measured_s: float
    assumed: tuple[str, ...] = ()
    phase: str = "iteration"
    expected: bool = True
    recomputed: float = 0.0

    @property
    def tokens(self) -> float:
        """Tokens of one iteration."""
        return self.global_batch * self.sequence
