"""The two published formulas for multiplications per token, next to the exact count.

Both come from cirosantilli.github.io: the page (artificial-intelligence.bigb) and its script
(llm_count_mults.py) count the multiplications of one new token of a decoder with full-width
multi-head attention and an MLP of two matrices. They differ from each other, and both charge the
attention scores d_model instead of d_head for each head. Whole numbers throughout: the board
computes the same digits with ``//`` and no floats.
"""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.base.units import wrapped
from thermoflop.errors import UsageError
from thermoflop.model.architecture.mixers import Attention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.base.number import Number
    from thermoflop.model.model import Model


@record
class DecoderShape:
    """The seven sizes of a plain decoder that the published formulas take."""

    layers: Number
    heads: Number
    d_model: Number
    d_head: Number
    n_ctx: Number
    d_ff: Number
    vocab: Number


def page_mults(shape: DecoderShape) -> Number:
    """The page's count, without the logits.

    L (h (2 d_model d_head + n_ctx d_head + d_model^2 + n_ctx d_model) + 2 d_model d_ff)
    """
    per_head = (
        2 * shape.d_model * shape.d_head
        + shape.n_ctx * shape.d_head
        + shape.d_model * shape.d_model
        + shape.n_ctx * shape.d_model
    )
    return shape.layers * (shape.heads * per_head + 2 * shape.d_model * shape.d_ff)


def script_mults(shape: DecoderShape) -> Number:
    """The script's count.

    L (h (4 d_model d_head + n_ctx d_head + n_ctx d_model) + 2 d_model d_ff) + d_model V
    """
    per_head = (
        4 * shape.d_model * shape.d_head + shape.n_ctx * shape.d_head + shape.n_ctx * shape.d_model
    )
    layer = shape.heads * per_head + 2 * shape.d_model * shape.d_ff
    return shape.layers * layer + shape.d_model * shape.vocab


def script_params(shape: DecoderShape) -> Number:
    """The script's parameters: L (4 h d_model d_head + 2 d_ff d_model) + d_model V."""
    layer = 4 * shape.heads * shape.d_model * shape.d_head + 2 * shape.d_ff * shape.d_model
    return shape.layers * layer + shape.d_model * shape.vocab


def exact_mults(shape: DecoderShape) -> Number:
    """The same network, counted right.

    L (h d_head (4 d_model + 2 n_ctx) + 2 d_model d_ff) + d_model V: queries, keys, values and
    output are 4 d_model d_head for each head; scores and values n_ctx d_head each. The tests
    derive it from the operators.
    """
    per_head = shape.d_head * (4 * shape.d_model + 2 * shape.n_ctx)
    layer = shape.heads * per_head + 2 * shape.d_model * shape.d_ff
    return shape.layers * layer + shape.d_model * shape.vocab


def shape_of(
    model: Model, context: Number | None = None, vocab: Number | None = None
) -> DecoderShape:
    """The seven numbers of a model, at a context of ``context`` tokens (None: its longest).

    Raises UsageError for a model without plain attention, MLP or head: the formulas have no place
    for it.
    """
    if model.is_encoder_decoder:
        raise UsageError(
            f"{model.name} has an encoder, and the published formulas have no place for its source"
        )
    stack, head = model.description.stack("decoder"), model.description.head
    runs = () if stack is None else stack.runs
    layer = runs[0].layer if runs else None
    mixer, feed = (getattr(layer, name, None) for name in ("mixer", "feed"))
    inner = getattr(feed, "inner", None)
    if not isinstance(mixer, Attention) or inner is None or head is None:
        raise UsageError(
            f"{model.name} has no plain attention, MLP and head in each layer, and the "
            "published formulas have no place for anything else"
        )
    n_ctx = context if context is not None else model.max_positions
    if n_ctx is None:
        raise UsageError(f"{model.name} states no longest context: say --context")
    sizes = (mixer.heads, mixer.hidden, mixer.head_dim, n_ctx, inner)
    words = head.outputs if vocab is None else vocab
    return DecoderShape(sum(run.times for run in runs), *sizes, words)


PAGE = "L*(h*(2*d_model*d_head + n_ctx*d_head + d_model*d_model + n_ctx*d_model) + 2*d_model*d_ff)"
SCRIPT = "L*(h*(4*d_model*d_head + n_ctx*d_head + n_ctx*d_model) + 2*d_model*d_ff) + d_model*vocab"
EXACT = "L*(h*d_head*(4*d_model + 2*n_ctx) + 2*d_model*d_ff) + d_model*vocab"


def mults_record(
    model: Model, context: int | None = None, vocab: int | None = None
) -> dict[str, Any]:
    """All counts of one model."""
    for name, value in (("context", context), ("vocab", vocab)):
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value} makes no sense: expected a whole number >= 1")
    shape = shape_of(model, context, vocab)
    return {
        "model": model.name,
        "shape": dict(shape.__dict__),
        "page": page_mults(shape),
        "script": script_mults(shape),
        "exact_plain": exact_mults(shape),
        "exact_model": model.decode(shape.n_ctx - 1).multiplications,
        "script_parameters": script_params(shape),
        "parameters": model.params,
        "conventions": {"step": "one new token that attends to n_ctx keys", "logits": "included"},
    }


def mults_text(counts: dict[str, Any]) -> str:
    """The counts for a person."""
    shape = counts["shape"]
    sizes = ", ".join(f"{name} {value:,}" for name, value in shape.items())
    rows = [
        ("cirosantilli.github.io, page", counts["page"], PAGE),
        ("cirosantilli.github.io, script", counts["script"], SCRIPT),
        ("the same network, exactly", counts["exact_plain"], EXACT),
        ("this model, from its operators", counts["exact_model"], "sum of batch*m*k*n"),
    ]
    lines = [
        f"{counts['model']}: multiplications for one new token that attends to n_ctx keys",
        sizes,
    ]
    for title, count, formula in rows:
        lines += ["", f"{title:<32} {count:>24,}", f"  {formula}"]
    lines += [
        "",
        f"{'parameters, by that script':<32} {counts['script_parameters']:>24,}",
        f"{'parameters of this model':<32} {counts['parameters']:>24,}",
        "",
        *_why(counts),
    ]
    return "\n".join(lines)


def _why(counts: dict[str, Any]) -> list[str]:
    """What tells the counts apart, in numbers."""
    shape = counts["shape"]
    layers, heads = shape["layers"], shape["heads"]
    width, dim, keys = shape["d_model"], shape["d_head"], shape["n_ctx"]
    over = layers * heads * keys * (width - dim)
    output = layers * heads * (width * width - 2 * width * dim)
    head = width * shape["vocab"]
    lines = [
        "Why they differ:",
        (
            "  That page and script charge n_ctx*d_model for each head, where a head sums over "
            f"d_head alone: {over:,} too many in both."
        ),
        (
            "  The page charges d_model^2 for each head where the other two projections of a head "
            f"take 2*d_model*d_head: {output:,} too many; and it has no logits: {head:,} too few."
        ),
    ]
    rest = counts["exact_model"] - counts["exact_plain"]
    if rest:
        lines.append(
            "  This model is not that network: grouped heads, a gated MLP, windows, experts "
            f"or another vocabulary make {rest:+,} multiplications."
        )
    else:
        lines.append("  This model is exactly that network, so both exact counts agree.")
    lines.append("A multiplication comes with an addition: FLOPs are twice as many.")
    return [wrapped(line, "    ") for line in lines]
