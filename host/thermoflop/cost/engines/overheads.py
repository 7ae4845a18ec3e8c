"""What engines do besides the operators of a model: bytes that the model does not ask for.

A step's ``Work`` says what must be done; these functions say what an engine does: copies of a cache
that grows, and weights that are written out in 16 bits before they are multiplied. The bound knows
of one alone: tokens that travel to their experts in 8 bits.
"""

from __future__ import annotations

from thermoflop.base.number import kind_of
from thermoflop.base.record import replace
from thermoflop.cost.work.work import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.cost.engines.engine import Engine
    from thermoflop.cost.hardware.precision import Precision

WIDE_BYTES = 2.0
DEQUANTIZE = "dequantize"
# Choosing experts is a chain of small kernels: scores, top k, tokens counted, sorted and padded by
# expert (fused_moe of vLLM and SGLang, the permutation of TensorRT-LLM).
ROUTING_LAUNCHES = 5
# Matrices that serving engines lay beside another one of the same input: one product for both.
KEYS = frozenset({"k_proj", "v_proj"})
UPWARD = frozenset({"up_proj", "expert up", "shared up"})
GATED = " x up"
# An activation that is sent to its expert in 8 bits, with a scale of 32 for 128 of them; results
# come back in 16 bits (DeepEP's README: FP8 dispatching and BF16 combining).
SENT_BYTES = 1 + 4 / 128


def apply_engine(works: list[Work], engine: Engine, precision: Precision) -> list[Work]:
    """The operators of a step as an engine runs them."""
    if engine.merges:
        works = as_sent(works, precision)
        gated = any(work.name.endswith(GATED) for work in works)
        counts = [_launches(work, gated) for work in works]
        works = [
            work if count == work.launches else replace(work, launches=count)
            for work, count in zip(works, counts, strict=True)
        ]
    if engine.regrows:
        works = [_with_cache_copies(work) if work.kind == "attention" else work for work in works]
    if engine.dequantizes is not None and precision.family in ("4w", "8w"):
        works = [each for work in works for each in _dequantized(work, engine)]
    return works


def as_sent(works: list[Work], precision: Precision) -> list[Work]:
    """The operators of a step where tokens go to experts that multiply in 8 or 4 bits."""
    if precision.family not in ("8", "4"):
        return works
    share = (SENT_BYTES + precision.activation_bytes) / (2 * precision.activation_bytes)
    return [
        replace(
            work, activation_bytes=share * work.activation_bytes, far_bytes=share * work.far_bytes
        ) if work.name == "all-to-all" else work
        for work in works
    ]  # fmt: skip


def apply_engine_to(work: Work, engine: Engine, *, written: bool) -> Work:
    """One operator as an engine runs it; ``written``: its weights were dequantized before."""
    if engine.regrows and work.kind == "attention":
        return _with_cache_copies(work)
    if not written:
        return work
    return replace(work, weight_bytes=work.weight_bytes * (WIDE_BYTES / work.element_bytes))


def _launches(work: Work, gated: bool) -> int:
    """The kernels that a serving engine has for one operator."""
    if work.name.startswith("routing"):
        return ROUTING_LAUNCHES
    if work.name == "combine experts" or work.name.endswith(GATED):
        return 1
    return 0 if work.name in KEYS or (gated and work.name in UPWARD) else work.launches


def _with_cache_copies(work: Work) -> Work:
    """Cache bytes when it is read and written anew (2 passes), and repeated for the query heads.

    Repeating reads it once and writes it ``sharing`` times, and as much is read by attention.
    """
    passes = 3.0 if work.sharing == 1 else 3.0 + 2.0 * work.sharing
    return replace(work, kv_bytes=passes * work.kv_bytes)


def _dequantized(work: Work, engine: Engine) -> list[Work]:
    """A product of many rows as two kernels: weights written in 16 bits, then multiplied."""
    if work.kind != "contraction" or "head" in work.part or not _any(work.row_flops > 0):
        return [work]
    if work.element_bytes >= WIDE_BYTES:  # a matrix that its checkpoint leaves wide
        return [work]
    many = (work.flops / work.row_flops >= (engine.dequantizes or 0)) * 1.0
    if not _any(many > 0):
        return [work]
    elements = many * work.weight_bytes / work.element_bytes
    first = Work(
        DEQUANTIZE, work.part, work.group, "element-wise", work.times, 0.0, 0.0, 0.0, 0.0,
        elements * (work.element_bytes + WIDE_BYTES), 0,
    )  # fmt: skip
    wide = elements * WIDE_BYTES + (1 - many) * work.weight_bytes
    return [first, replace(work, weight_bytes=wide)]


def _any(condition: Number) -> bool:
    return bool(condition.any() if kind_of(condition) == "numpy" else condition)
