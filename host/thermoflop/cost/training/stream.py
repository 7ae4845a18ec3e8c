"""What sequence parallelism divides besides products: norms and sums of the residual stream.

Between the blocks of a tensor-parallel group each device has the stream of its share of the tokens
(Korthikanti et al. 2022, section 4.2.2).
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.work.work import Work
from thermoflop.model.architecture.description import Description


def stream_works(works: list[Work], description: Description) -> list[bool]:
    """Which works run over the residual stream: its sums, and norms before and behind blocks."""
    runs = [run.layer for run in description.runs]
    norms = {norm.name for layer in runs for norm in layer.norms if norm.width == layer.hidden}
    return [
        work.group == "residual"
        or (work.kind == "normalization" and (work.name in norms or work.part.endswith("tail")))
        for work in works
    ]


def divided_stream(works: list[Work], iteration: Iteration, description: Description) -> list[Work]:
    """The works with those of the stream on a device's share of the tokens."""
    if not iteration.plan.sequence:
        return works
    divided = stream_works(works, description)
    return [_part(w, iteration.plan.tp) if s else w for w, s in zip(works, divided, strict=True)]


def _part(work: Work, parts: int) -> Work:
    return replace(work, activation_bytes=work.activation_bytes / parts)
