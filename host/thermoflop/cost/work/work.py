"""What one device does in a step, operator by operator: FLOPs and bytes as plain numbers.

A ``Work`` is an operator after its number formats are known and its share of the model is cut. The
three operators of fused attention become one kernel. Every count is affine in the number of cached
tokens between the lengths at which a sliding window fills; ``roofline.decode`` rests on
that. Counts are floats and may be numpy arrays; bytes cover one occurrence, ``times`` of them run.
"""

from __future__ import annotations

from thermoflop.base.number import where_zero
from thermoflop.base.record import record, replace
from thermoflop.model.architecture.cache import limits
from thermoflop.model.operators.build import build_operators
from thermoflop.model.operators.kinds import (
    SOFTMAX_OPERATIONS,
    Attend,
    Lookup,
    MatMul,
    Pass,
    Softmax,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypeAlias

    from thermoflop.base.number import Number
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.operators.operator import Moved, Operator
    from thermoflop.model.operators.step import Step

    Widths: TypeAlias = Mapping[tuple[str, str], float]

# Elements of 16 bits in a line of 128 bytes: tensor cores are fed at full rate in multiples of it
# (NVIDIA, Matrix Multiplication Background User's Guide).
TILE = 64


@record
class Work:
    """One operator on one device, ``times`` times.

    ``row_flops`` are the FLOPs that one more row of the left matrix costs: what padding to whole
    tiles is charged by. In attention the queries of all heads that share a key are rows of one
    tile, as kernels for decoding lay them (FlashInfer, Ye et al. 2025; FlashMLA). ``launches``
    kernels are started for each occurrence; ``followers`` of them cost the host nothing, since
    another one's dispatch starts them. ``element_flops`` are operations on single elements, which
    no time is made of. ``sharing`` query heads read one head of the cache. ``uneven`` is 1
    where a matrix is no multiple of ``TILE`` wide or deep. ``operator`` is what it was made from,
    for its shape; attention's parts carry the scores. ``element_bytes`` are those of an element of
    its matrix. ``far_bytes`` of a collective's bytes go to other nodes. ``wide``: a product in 16
    bits where others are in fewer. ``padding_flops`` fill the tiles of experts that are wider than
    the rows which each of them gets.
    """

    name: str
    part: str
    group: str
    kind: str
    times: Number
    flops: Number
    row_flops: Number
    weight_bytes: Number
    kv_bytes: Number
    activation_bytes: Number
    launches: int = 1
    element_flops: Number = 0.0
    operator: Operator | None = None
    sharing: float = 1.0
    uneven: Number = 0.0
    element_bytes: float = 0.0
    far_bytes: Number = 0.0
    followers: int = 0
    wide: bool = False
    padding_flops: Number = 0.0

    @property
    def near_bytes(self) -> Number:
        """Bytes of a collective over the links of a node."""
        return self.activation_bytes - self.far_bytes

    @property
    def bytes(self) -> Number:
        """Everything that one occurrence moves."""
        return self.weight_bytes + self.kv_bytes + self.activation_bytes

    @property
    def rated(self) -> str:
        """The kind that rates are fitted by: experts' products have their own, and wide ones."""
        if self.kind == "contraction" and self.group == "experts":
            return "experts"
        return "wide" if self.wide else self.kind  # attention too, where it runs as products do

    @property
    def uneven_flops(self) -> Number:
        """FLOPs of a product whose sides are no multiple of a tile."""
        return self.uneven * self.flops

    @property
    def collective_steps(self) -> Number:
        """Steps of a collective that follow one another; ``network_work`` has them in ``flops``."""
        return self.flops if self.kind == "network" else 0.0


def pass_work(
    name: str, part: str, group: str, times: Number, moved: Number, launches: int = 1
) -> Work:
    """A pass over memory that moves so many bytes of activations."""
    return Work(
        name, part, group, "element-wise", times, 0.0, 0.0, 0.0, 0.0, moved, launches
    )  # fmt: skip


def works(
    description: Description,
    step: Step,
    precision: Precision,
    kernels: str = "fused",
    widths: Widths | None = None,
) -> list[Work]:
    """The work of one step, in the order in which it runs; ``widths`` as in ``works_of``.

    ``kernels`` as in ``engine.Engine``: ``fused``; ``eager`` runs every operator alone and computes
    all pairs of the mask; ``attention`` has one kernel for it that leaves out the rest.
    """
    step, joined = as_run(step, kernels)
    return works_of(build_operators(description, step), precision, widths, joined=joined)


def as_run(step: Step, kernels: str) -> tuple[Step, bool]:
    """The step under the conventions of some kernels, and whether attention is one of them."""
    if kernels == "fused":
        return step, step.kernels == "fused"
    joined = kernels == "attention"
    pairs = step.attention if joined else "full"
    return replace(step, kernels="eager", attention=pairs), joined


def works_of(
    operators: Iterable[Operator],
    precision: Precision,
    widths: Widths | None = None,
    *,
    joined: bool,
) -> list[Work]:
    """Operators with their formats; ``joined``: attention is one kernel, its scores on the chip.

    ``widths``: bytes of an element of each matrix of a checkpoint, by part of the model and name.
    """
    done: list[Work] = []
    pending: Work | None = None
    scores: Attend | None = None
    for operator in operators:
        if isinstance(operator, Attend):
            scores = operator
        if joined and isinstance(operator, Attend | Softmax):
            pending = _joined(pending, operator, precision)
            if isinstance(operator, Attend) and operator.values:
                done.append(pending)
                pending = None
            continue
        work = work_of(operator, precision, widths)
        done.append(replace(work, operator=scores) if isinstance(operator, Softmax) else work)
    return done


def work_of(operator: Operator, precision: Precision, widths: Widths | None = None) -> Work:
    """One operator with its formats filled in."""
    moved = operator.moved
    weights, element_bytes = weights_of(operator, moved, precision, widths)
    wide = precision.activation_bytes
    flops, row_flops, elements, launches, sharing, uneven = 0.0, 0.0, 0.0, 1, 1.0, 0.0
    kind = operator.kind
    if isinstance(operator, MatMul):
        each_row = 2.0 * operator.batch * operator.k * operator.n
        row_flops, flops = each_row * operator.sets, each_row * operator.m
        uneven = where_zero(operator.k % TILE + operator.n % TILE, 0.0, 1.0)
    elif isinstance(operator, Attend):
        kind = "attention"
        flops = 2.0 * operator.heads * operator.dim * operator.sequences * operator.pairs
        sharing = operator.heads / operator.kv_heads
        row_flops = flops / (operator.queries * sharing)
    elif isinstance(operator, Pass):
        launches = 0 if operator.fused else 1
        elements = operator.operations * operator.n * operator.m
    elif isinstance(operator, Softmax):
        elements = float(SOFTMAX_OPERATIONS) * operator.heads * operator.sequences * operator.pairs
    elif not isinstance(operator, Lookup):
        kind = "scan" if kind == "scan" else "contraction"
        flops = 2.0 * operator.m * operator.k * operator.n
    return Work(
        operator.name,
        operator.part,
        operator.group,
        kind,
        operator.times,
        flops,
        row_flops,
        weights,
        (moved.kv_read + moved.kv_written) * precision.kv_bytes,
        (moved.read + moved.written) * wide,
        launches,
        elements,
        operator,
        sharing,
        uneven,
        element_bytes,
    )


def weights_of(
    operator: Operator, moved: Moved, precision: Precision, widths: Widths | None
) -> tuple[Number, float]:
    """Bytes of an operator's weights, and of an element of its matrix."""
    narrow, wide = precision.weight_bytes, precision.kept_bytes
    if widths is None:
        return moved.weights * narrow + moved.unquantized * wide, narrow
    width = widths.get((operator.part, operator.name), wide)
    bias: Number = 0
    if isinstance(operator, MatMul) and operator.bias:
        bias = operator.sets * operator.batch * operator.n
    return (moved.weights + moved.unquantized - bias) * width + bias * wide, width


def _joined(pending: Work | None, operator: Attend | Softmax, precision: Precision) -> Work:
    """Scores, softmax and values as the one kernel that fused attention is."""
    new = work_of(operator if operator.fused else replace(operator, fused=True), precision)
    if pending is None:
        return Work("attention", *tuple(new.__dict__.values())[1:])
    return Work(
        "attention",
        new.part,
        pending.group,
        "attention",
        new.times,
        pending.flops + new.flops,
        pending.row_flops + new.row_flops,
        0.0,
        pending.kv_bytes + new.kv_bytes,
        pending.activation_bytes + new.activation_bytes,
        operator=pending.operator,
        sharing=pending.sharing,
    )


def window_ends(description: Description) -> tuple[int, ...]:
    """Cached lengths at which a window or chunk is full: where counts change their slope."""
    return tuple(sorted(limit - 1 for limit in limits(description)))


def launches_of(works: Sequence[Work]) -> Number:
    """Kernels that the host launches in a step."""
    return sum(work.times * (work.launches - work.followers) for work in works)
