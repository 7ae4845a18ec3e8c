"""The formulas of a model as `thermoflop explain` prints them."""

from __future__ import annotations

from thermoflop.model.formulas.explain import explain
from thermoflop.model.formulas.text import explain_text
from thermoflop.model.model import Model


def explained(model: Model, batch: int = 1, tokens: int | None = None) -> str:
    """For so many sequences and tokens."""
    return explain_text(explain(model, batch, tokens), model)
