"""The seeds' counts as a report: three numbers, and why they differ."""

from __future__ import annotations

from thermoflop.errors import UsageError
from thermoflop.model.mults import (
    exact_mults,
    page_mults,
    script_mults,
    script_params,
    shape_of,
    true_mults,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.model import Model

PAGE = "L*(h*(2*d_model*d_head + n_ctx*d_head + d_model*d_model + n_ctx*d_model) + 2*d_model*d_ff)"
SCRIPT = "L*(h*(4*d_model*d_head + n_ctx*d_head + n_ctx*d_model) + 2*d_model*d_ff) + d_model*vocab"
EXACT = "L*(h*d_head*(4*d_model + 2*n_ctx) + 2*d_model*d_ff) + d_model*vocab"


def mults_record(model: Model, context: int | None, vocab: int | None) -> dict[str, Any]:
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
        "exact_model": true_mults(model, shape.n_ctx),
        "script_parameters": script_params(shape),
        "parameters": model.params,
        "conventions": {"step": "one new token that attends to n_ctx keys", "logits": "included"},
    }


def mults_report(
    model: Model, context: int | None = None, vocab: int | None = None, as_json: bool = False
) -> str:
    """The counts for a person, or as JSON."""
    found = mults_record(model, context, vocab)
    if as_json:
        import json

        return json.dumps(found, indent=2)
    shape = found["shape"]
    sizes = ", ".join(f"{name} {value:,}" for name, value in shape.items())
    counts = [
        ("the page's formula", found["page"], PAGE),
        ("the script's formula", found["script"], SCRIPT),
        ("the same network, exactly", found["exact_plain"], EXACT),
        ("this model, from its operators", found["exact_model"], "sum of batch*m*k*n"),
    ]
    lines = [f"{model.name}: multiplications for one new token that attends to n_ctx keys", sizes]
    for title, count, formula in counts:
        lines += ["", f"{title:<32} {count:>24,}", f"  {formula}"]
    lines += [
        "",
        f"{'parameters, by the script':<32} {found['script_parameters']:>24,}",
        f"{'parameters of this model':<32} {found['parameters']:>24,}",
        "",
        *_why(found),
    ]
    return "\n".join(lines)


def _why(found: dict[str, Any]) -> list[str]:
    """What tells the counts apart, in numbers."""
    shape = found["shape"]
    layers, heads = shape["layers"], shape["heads"]
    width, dim, keys = shape["d_model"], shape["d_head"], shape["n_ctx"]
    over = layers * heads * keys * (width - dim)
    output = layers * heads * (width * width - 2 * width * dim)
    head = width * shape["vocab"]
    lines = [
        "Why they differ:",
        "  The page and the script charge n_ctx*d_model for each head, where a head sums over",
        f"  d_head alone: {over:,} too many in both.",
        "  The page charges d_model^2 for each head where the other two projections of a head take",
        f"  2*d_model*d_head: {output:,} too many; and it has no logits: {head:,} too few.",
    ]
    rest = found["exact_model"] - found["exact_plain"]
    if rest:
        lines.append(
            "  This model is not that network: grouped heads, a gated MLP, windows, experts"
        )
        lines.append(f"  or another vocabulary make {rest:+,} multiplications.")
    else:
        lines.append("  This model is exactly that network, so both exact counts agree.")
    lines.append("A multiplication comes with an addition: FLOPs are twice as many.")
    return lines
