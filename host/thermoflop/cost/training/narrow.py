"""What training in 8 or 4 bits does besides its products: casts, and sends in fewer bytes."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.stream import stream_works
from thermoflop.cost.work.work import Work, pass_work
from thermoflop.model.architecture.description import Description
from thermoflop.model.operators.kinds import MatMul

NARROW = ("8", "4")  # families of formats that products are computed in
CAST_BYTES = 5.0  # that casting an element moves
BETWEEN_PARTS = "all-reduce"


def cast_works(works: list[Work], iteration: Iteration, description: Description) -> list[Work]:
    """Casting to 8 or 4 bits what products meet in layers: inputs in the forward pass, gradients of
    results in the backward pass. In 16 bits an element is read for the largest, read again, and
    written in one byte (Micikevicius et al. 2022; Transformer Engine's current scaling). Products
    of one input, of queries, keys and values or of a gate, meet it cast once (Transformer Engine
    has one product for them; torch.compile makes an expression once). What is gathered, behind the
    stream and before it, each device casts of its own tokens. Heads and routers stay in 16 bits,
    and so do convolutions."""
    if iteration.precision.family not in NARROW:
        return []
    divides = iteration.plan.tp if iteration.plan.sequence else 1
    stream = [*stream_works(works, description), False]
    made: list[Work] = []
    before: MatMul | None = None
    gathered = False
    for place, work in enumerate(works):
        operator = work.operator if isinstance(work.operator, MatMul) else None
        if operator is not None and not operator.unquantized:
            seen = before is not None and _same_input(before, operator)
            gathered = gathered if seen else place > 0 and stream[place - 1]
            inputs = 0 if seen else operator.k / (divides if gathered else 1)
            results = operator.n / (divides if stream[place + 1] else 1)
            elements = operator.batch * operator.m * (inputs + results) / iteration.plan.cp
            moved = CAST_BYTES * elements
            made.append(pass_work("cast", work.part, work.group, work.times, moved, work.launches))
        before = operator
    return made


def _same_input(before: MatMul, operator: MatMul) -> bool:
    """Whether a product that follows another has the same input: both as wide and as long, and the
    other's result is not what it reads."""
    alike = ("part", "group", "m", "k", "sets", "unquantized")
    return all(getattr(before, name) == getattr(operator, name) for name in alike)


def gathered_narrow(works: list[Work], iteration: Iteration) -> list[Work]:
    """What is gathered for products in 8 or 4 bits is cast before it is sent, where norms are
    divided; what is summed is not: half of what an all-reduce sends (Transformer Engine,
    pytorch/distributed.py, ``gather_along_first_dim``; torchao, ``Float8ColwiseParallel``)."""
    precision = iteration.precision
    if precision.family not in NARROW or not iteration.plan.sequence:
        return works
    share = (1 + precision.weight_bytes / precision.activation_bytes) / 2
    return [_smaller(work, share) if work.name == BETWEEN_PARTS else work for work in works]


def _smaller(work: Work, share: float) -> Work:
    return replace(
        work, activation_bytes=share * work.activation_bytes, far_bytes=share * work.far_bytes
    )
