"""The multiplication counts of the two seeds, next to the exact one.

Both come from cirosantilli.github.io: the page (artificial-intelligence.bigb) and its script
(llm_count_mults.py) count the multiplications of one new token of a decoder with full-width
multi-head attention and an MLP of two matrices. They differ from each other, and both charge the
attention scores d_model instead of d_head for each head. Whole numbers throughout: the board
computes the same digits with ``//`` and no floats.
"""

from __future__ import annotations

from thermoflop.errors import UsageError
from thermoflop.model.architecture.mixers import Attention
from thermoflop.base.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.model.model import Model


@record
class SeedShape:
    """The seven numbers that the seeds' formulas take."""

    layers: Number
    heads: Number
    d_model: Number
    d_head: Number
    n_ctx: Number
    d_ff: Number
    vocab: Number


def page_mults(shape: SeedShape) -> Number:
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


def script_mults(shape: SeedShape) -> Number:
    """The script's count.

    L (h (4 d_model d_head + n_ctx d_head + n_ctx d_model) + 2 d_model d_ff) + d_model V
    """
    per_head = (
        4 * shape.d_model * shape.d_head + shape.n_ctx * shape.d_head + shape.n_ctx * shape.d_model
    )
    layer = shape.heads * per_head + 2 * shape.d_model * shape.d_ff
    return shape.layers * layer + shape.d_model * shape.vocab


def script_params(shape: SeedShape) -> Number:
    """The script's parameters: L (4 h d_model d_head + 2 d_ff d_model) + d_model V."""
    layer = 4 * shape.heads * shape.d_model * shape.d_head + 2 * shape.d_ff * shape.d_model
    return shape.layers * layer + shape.d_model * shape.vocab


def exact_mults(shape: SeedShape) -> Number:
    """The same network, counted right.

    L (h d_head (4 d_model + 2 n_ctx) + 2 d_model d_ff) + d_model V: queries, keys, values and
    output are 4 d_model d_head for each head; scores and values n_ctx d_head each. The tests
    derive it from the operators.
    """
    per_head = shape.d_head * (4 * shape.d_model + 2 * shape.n_ctx)
    layer = shape.heads * per_head + 2 * shape.d_model * shape.d_ff
    return shape.layers * layer + shape.d_model * shape.vocab


def shape_of(model: Model, context: Number | None = None, vocab: Number | None = None) -> SeedShape:
    """The seven numbers of a model, at a context of ``context`` tokens (None: its longest).

    Raises UsageError for a model without plain attention, MLP or head: the formulas have no place
    for it.
    """
    stack, head = model.description.stack("decoder"), model.description.head
    run = stack.runs[0] if stack is not None and stack.runs else None
    mixer = run.layer.mixer if run is not None else None
    feed = run.layer.feed if run is not None else None
    inner = getattr(feed, "inner", None)
    if run is None or not isinstance(mixer, Attention) or inner is None or head is None:
        raise UsageError(
            f"{model.name} has no plain attention, MLP and head in each layer, and the formulas of "
            "the seeds have no place for anything else"
        )
    n_ctx = context if context is not None else model.max_positions
    if n_ctx is None:
        raise UsageError(f"{model.name} states no longest context: say --context")
    layers: Number = 0
    for each in stack.runs if stack is not None else ():
        layers = layers + each.times
    return SeedShape(
        layers,
        mixer.heads,
        mixer.hidden,
        mixer.head_dim,
        n_ctx,
        inner,
        head.outputs if vocab is None else vocab,
    )


def true_mults(model: Model, n_ctx: Number) -> Number:
    """Multiplications of one decode step that attends to ``n_ctx`` keys, from the operators."""
    return model.decode(n_ctx - 1).multiplications
