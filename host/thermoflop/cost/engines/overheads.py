"""What engines do besides the operators of a model: bytes that the model does not ask for.

A step's ``Work`` says what must be done; these functions say what an engine does: copies of a cache
that grows, and weights that are written out in 16 bits before they are multiplied. The bound knows
of one alone: tokens that travel to their experts in 8 bits.
"""

from __future__ import annotations

from math import log1p, log2

from thermoflop.base.number import Number, kind_of, maximum, minimum, one_where
from thermoflop.base.record import replace
from thermoflop.cost.engines.engine import NARROW, Engine
from thermoflop.cost.engines.ggml import STEP, UNPACKED
from thermoflop.cost.work.work import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.hardware.precision import Precision

WIDE_BYTES = 2.0
DEQUANTIZE = "dequantize"
# Choosing experts is a chain of small kernels: scores, top k, tokens counted, sorted and padded by
# expert (fused_moe of vLLM and SGLang, the permutation of TensorRT-LLM).
ROUTING_LAUNCHES = 5
# Kernels of a gated delta rule's graph in llama.cpp beside those that are operators here: both
# states and the last inputs of its convolution are gathered, joined and copied back, keys and
# queries are normalized, and the gates are a sigmoid, a sum, a softplus and a product
# (``build_layer_attn_linear`` of its qwen35moe.cpp, delta-net-base.cpp; the state is written where
# it stays since its pull 23940). States are in 32 bits.
DELTA_LAUNCHES = 2 + 1 + 1 + 2 + 4
STATE_BYTES = 4.0
# Matrices that serving engines lay beside another one of the same input: one product for both.
KEYS = frozenset({"k_proj", "v_proj"})
UPWARD = frozenset({"up_proj", "expert up", "shared up"})
GATED = " x up"
# Both halves of a latent attention's way down are one product (``fused_qkv_a_proj`` of vLLM, SGLang
# and TensorRT-LLM).
LATENTS = ("q_a_proj", "kv_a_proj")
# Products whose inputs are narrowed where their weights are, and those among them that stay wide.
NARROWED = frozenset({"attn_proj", "cross_attn_proj", "linear_attn_proj", "mlp", "experts",
                      "shared_experts", "ssm_proj", "short_conv_proj", "indexer_proj"})  # fmt: skip
KEPT_WIDE = frozenset({"absorb keys", "absorb values", "in_proj_ba", "b_proj", "index_weights"})
# How unevenly experts are chosen: the shape of the gamma distribution of their popularity. Of 0.5,
# 1, 2, 4 and all alike this misses tokens least over the three ways of ``fitting.together``.
POPULARITY = 1.0
# Expected maximum of 1, 2, 4, ... 256 standard normal variables (Tippett 1925; Harter 1961).
HIGHEST_OF = (0.0, 0.564, 1.029, 1.424, 1.766, 2.070, 2.343, 2.594, 2.826)
# An unfused score in 32 bits: written, read and written by the softmax, and read, written and read
# in 16 bits by the product with the values (ggml-cuda.cu), where 16 bits throughout are 8 bytes.
SCORE_BYTES = 3 * 4 + 4 + 2 + 2
# An activation that is sent to its expert in 8 bits, with a scale of 32 for 128 of them; results
# come back in 16 bits (DeepEP's README: FP8 dispatching and BF16 combining).
SENT_BYTES = 1 + 4 / 128


def apply_engine(
    works: list[Work], engine: Engine, precision: Precision, held: float = 0.0, ep: int = 1,
    chosen: float = 0.0,
) -> list[Work]:  # fmt: skip
    """The operators of a step as an engine runs them; ``held`` experts lie on each of ``ep``
    devices, of which a token chooses a share ``chosen`` (0: not known)."""
    if engine.merges:
        works = as_sent(works, precision)
        if held and engine.narrows:
            works = _of_experts(works, held, ep, chosen)
        names, merged = {work.name for work in works}, set(KEYS)
        if any(name.endswith(GATED) for name in names):
            merged |= UPWARD
        if engine.narrows and LATENTS[0] in names:
            merged.add(LATENTS[1])
        narrows = engine.narrows and _narrows(works, precision)
        works = [_as_launched(work, merged, narrows) for work in works]
    if engine.waits == precision.family:
        works = [_waited_for(work) for work in works]
    if engine.narrows and precision.compute in NARROW:
        works = [_of_width(work) for work in works]
    works = [_as_laid_out(work, engine) for work in works]
    if engine.tile and held and chosen:
        works = [_in_tiles(work, engine, held * chosen) for work in works]
    if engine.dequantizes is not None and precision.weight_bits < 16:
        works = [each for work in works for each in _dequantized(work, engine)]
    return works if engine.vectors is None else [_of_vectors(work, engine) for work in works]


def over_ring(works: list[Work], ranks: int) -> list[Work]:
    """The steps of all-reduces between devices that PCIe alone joins: those of NCCL's ring, or
    RCCL's, r - 1 of which follow one another.

    Serving engines' own all-reduce asks for links among more than two devices ("not supported on
    more than two PCIe-only GPUs", ``custom_all_reduce.py`` of vLLM and SGLang), and among AMD's for
    CDNA 3 or 4 (``use_custom_allreduce`` of vLLM's ``platforms/rocm.py``). Of up to 32 kB NCCL
    takes 13.2 to 15.6 us on 4 RTX PRO 6000 and 24.1 to 26.2 on 8, 48 where it does not know the
    host (voipmonitor/rtx6kpro, ``pcie-oneshot-allreduce.md``, ``pcie-bandwidth.md`` and
    ``nccl-tuning.md``), and a graph of SGLang or TensorRT-LLM of up to 4 kB 5.4, 12.2 to 15.0 and
    21.7 to 27.6 on 2, 4 and 8 L40S (the published kernels); a step of these engines is 4.1.
    """
    return [
        replace(work, flops=ranks - 1.0) if work.name.startswith("all-reduce") else work
        for work in works
    ]


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
    work = _as_laid_out(work, engine)
    if not written or (engine.regrows and work.kind == "attention"):
        return work
    return replace(work, weight_bytes=work.weight_bytes * (WIDE_BYTES / work.element_bytes))


def _narrows(works: list[Work], precision: Precision) -> bool:
    """Whether narrowing the inputs of products is a kernel beside each of them.

    Checkpoints of experts in 8 bits have scales for blocks of 128, and their inputs for 128 of a
    token (DeepSeek-V3, section 3.3): ``per_token_group_quant`` of vLLM and SGLang and
    ``fp8_quantize_1x128`` of TensorRT-LLM. One scale for a whole matrix lets the kernel before it
    narrow. In 4 bits it is a kernel of its own for dense models (``scaled_fp4_quant``); kernels of
    experts do it themselves, and the rest of those checkpoints stays wide.
    """
    if precision.family not in ("8", "4"):
        return False
    experts = any(work.group == "experts" for work in works)
    return precision.family == ("8" if experts else "4")


def _as_launched(work: Work, merged: set[str], narrows: bool) -> Work:
    """An operator with the kernels that a serving engine has for it."""
    name, count = work.name, work.launches
    if name in merged:
        count = 0
    elif name == "combine experts" or name.endswith(GATED):
        count = 1
    elif name.startswith("routing"):
        count = ROUTING_LAUNCHES
    elif narrows and _is_narrowed(work):
        return replace(work, launches=count + 1, followers=1)
    return work if count == work.launches else replace(work, launches=count)


def _is_narrowed(work: Work) -> bool:
    """Whether the inputs of a product are narrowed as its weights are."""
    narrow = work.group in NARROWED and work.name not in KEPT_WIDE
    return narrow and work.element_bytes < WIDE_BYTES


def _waited_for(work: Work) -> Work:
    """A product that the host waits for: a kernel narrows its inputs, and another replaces what is
    no number in its result (``FP8Linear`` of transformers' finegrained_fp8.py)."""
    if work.kind != "contraction" or "head" in work.part or work.element_bytes >= WIDE_BYTES:
        return work
    return replace(work, launches=work.launches + 2)


def _of_experts(works: list[Work], held: float, ep: int, chosen: float) -> list[Work]:
    """The products of experts, some of which are chosen more than others, on that of ``ep`` devices
    which reads the most of them. Those of a layer have the same rows, and are asked for once."""
    made = list[Work]()
    shares: dict[tuple[int, int], tuple[Number, Number]] = {}
    for work in works:
        if work.group == "experts" and work.rated == "experts" and work.operator is not None:
            operator = work.operator
            rows = id(getattr(operator, "m", None)), id(getattr(operator, "sets", None))
            if rows not in shares:
                shares[rows] = _shares_met(work, held, ep, chosen)
            most, met = shares[rows]
            work = replace(
                work, weight_bytes=work.weight_bytes * most, row_flops=work.row_flops * met
            )
        made.append(work)
    return made


def _shares_met(work: Work, held: float, ep: int, chosen: float) -> tuple[Number, Number]:
    """The experts that are read, and that have tokens, for one that would be if all were alike."""
    even = getattr(work.operator, "sets", held)
    met = even
    if 0 < chosen < 1:
        tokens = work.flops / work.row_flops * even / (held * chosen)
        met = minimum(even, _met(tokens, held, chosen))
    most = met if ep == 1 else _on_fullest(met, held, ep)
    return most / even, met / even


def _met(tokens: Number, held: float, chosen: float) -> Number:
    """How many of the ``held`` experts so many tokens meet whose popularity is spread.

    An expert like all others is missed by T tokens with the chance (1 - chosen)^T = e^-x. Where
    popularity has a gamma distribution of the shape a, it is (1 + x/a)^-a (the negative binomial
    distribution in place of Poisson's); so of the tokens after the first, which meets its own.
    """
    later = maximum(tokens - 1.0, 0.0) * -log1p(-chosen)
    return held * (1 - (1 - chosen) * (1 + later / POPULARITY) ** -POPULARITY)


def _on_fullest(met: Number, held: float, ep: int) -> Number:
    """Experts that the device reads on which the most are chosen, for which the others wait.

    Of the ``held`` experts of a device a mean number is chosen, with the variance of as many
    independent ones; the highest of ep such numbers is that of normal ones.
    """
    spread = maximum(met * (1 - met / held), 0.0) ** 0.5
    power = min(log2(ep), len(HIGHEST_OF) - 1.001)
    below, share = int(power), power % 1
    highest = HIGHEST_OF[below] + share * (HIGHEST_OF[below + 1] - HIGHEST_OF[below])
    return minimum(held, met + highest * spread)


def _in_tiles(work: Work, engine: Engine, chosen: float) -> Work:
    """A product of experts in tiles: each expert that has rows fills its own, the last of them by
    half on average (``engines.ggml``); ``chosen``: experts that a token chooses on this device."""
    if work.rated != "experts" or work.operator is None:
        return work
    rows = work.flops / work.row_flops
    tokens = rows * getattr(work.operator, "sets", 1) / chosen
    tile = minimum(engine.tile, minimum(tokens, maximum(rows, STEP)) if engine.fits else tokens)
    filled = maximum(1.0, rows / tile + 0.5) * (tile + UNPACKED) / (1 + UNPACKED / engine.tile)
    many = one_where(tokens > (engine.vectors or 0))
    return replace(
        work,
        row_flops=(1 - many) * work.row_flops,
        padding_flops=many * maximum(filled - rows, 0.0) * work.row_flops,
    )


def _of_width(work: Work) -> Work:
    """A product of a matrix that is left in 16 bits runs at the peak of 16 bits."""
    wide = work.kind == "contraction" and work.element_bytes >= WIDE_BYTES
    return replace(work, wide=True) if wide else work


def _as_laid_out(work: Work, engine: Engine) -> Work:
    """An operator with the bytes that an engine's kernels make of its data."""
    if engine.unfused and work.kind != "network":
        wider = SCORE_BYTES / 8 if work.group == "attn_score" else 2.0
        work = replace(work, activation_bytes=work.activation_bytes * wider)
    if work.kind == "scan" and engine.ggml:
        return _gathered(work)
    if work.kind != "attention":
        return work
    if engine.tiled > 1 and kind_of(work.sharing) != "sympy" and work.sharing < engine.tiled:
        work = replace(work, row_flops=0.0)
    if engine.by_head:
        return replace(work, kv_bytes=maximum(work.sharing, 1) * work.kv_bytes)
    return _with_cache_copies(work) if engine.regrows else work


def _gathered(work: Work) -> Work:
    """A recurrence in ggml: its state in 32 bits; that of a delta rule is copied before it is read,
    with the kernels that its graph has beside the scan."""
    assert work.operator is not None  # noqa: S101 - a scan is made of one
    state = work.operator.moved.kv_read + work.operator.moved.kv_written
    delta = work.group == "linear_attn_scan"
    return replace(
        work, kv_bytes=STATE_BYTES * state * (2 if delta else 1),
        launches=work.launches + (DELTA_LAUNCHES if delta else 0),
    )  # fmt: skip


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
    many = one_where(work.flops / work.row_flops >= (engine.dequantizes or 0))
    if not _any(many > 0):
        return [work]
    elements = many * work.weight_bytes / work.element_bytes
    first = Work(
        DEQUANTIZE, work.part, work.group, "element-wise", work.times, 0.0, 0.0,
        elements * (work.element_bytes + WIDE_BYTES), 0.0, 0.0, 0,
    )  # fmt: skip
    wide = elements * WIDE_BYTES + (1 - many) * work.weight_bytes
    return [first, replace(work, weight_bytes=wide)]


def _of_vectors(work: Work, engine: Engine) -> Work:
    """A product of few rows as one of a matrix and vectors, whose time grows row by row until it is
    that of the smallest product which is padded: there an engine goes over from one to the other
    (ne11_mm_min of ggml-metal, "the break-even point")."""
    if work.kind != "contraction":
        return work
    least = work.flops / ((engine.vectors or 0) + 1)
    return replace(work, row_flops=minimum(work.row_flops, least))


def _any(condition: Number) -> bool:
    return bool(condition.any() if kind_of(condition) == "numpy" else condition)
