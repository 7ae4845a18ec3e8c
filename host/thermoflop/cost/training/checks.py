"""What ``train`` refuses: sizes, shares and words that make no sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thermoflop.base.messages import check_word
from thermoflop.base.plain import checked_between, checked_within
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.inference.arguments import BEYOND, checked_whole
from thermoflop.cost.training.counts import document_tokens
from thermoflop.cost.training.discarded import FEED_FORWARDS, is_in_place
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.kept import KEPT_BYTES
from thermoflop.cost.training.narrow import NARROW
from thermoflop.cost.training.states import ADAPTER_RECIPE, GRADIENT_BYTES, PURE
from thermoflop.errors import UsageError
from thermoflop.model.model import Model

BELOW_ONE = ("padded", "lora_dropout")
CONVENTIONS = ("windowed", "full", "causal")


def check_sizes(known: Model, sizes: dict[str, int]) -> None:
    """UsageError for a size that makes no sense."""
    for name, size in sizes.items():
        checked_whole(name, size, 1)
    sequence = sizes["sequence"]
    if known.max_positions is not None and sequence > known.max_positions:
        raise UsageError(
            f"sequence={sequence} passes the {known.max_positions} positions of {known.name}: "
            "expected no more",
            also=f", or {BEYOND}",
        )


def document_of(lengths: int | Sequence[int] | None, sequence: int) -> int | None:
    """Tokens of the documents in a sequence. UsageError for lengths that make no sense."""
    if lengths is None:
        return None
    each: list[Any] = list(lengths) if isinstance(lengths, list | tuple) else [lengths]
    if not each or any(type(one) is not int or not 1 <= one <= sequence for one in each):
        raise UsageError(
            f"lengths={lengths!r:.60}: expected whole numbers of tokens from 1 to "
            f"sequence={sequence}"
        )
    return document_tokens(each)


def check_shares(shares: dict[str, float | None]) -> None:
    """UsageError for a share that is none; all of the tokens cannot be padding, nor dropped."""
    for name, share in shares.items():
        if share is None and name in ("padded", "recomputed", "lora_dropout"):
            raise UsageError(f"{name}=None makes no sense: expected a share of 0 to 1")
        most, words = (1 - 1e-9, "below 1") if name in BELOW_ONE else (1, "1")
        checked_within(name, share, 0, most, f"a share of 0 to {words}")


def check_words(attention: str, tokens: float | None, price: float | None) -> None:
    """UsageError for an option that is not one."""
    check_word("attention", attention, CONVENTIONS)
    for name, amount in (("tokens", tokens), ("price", price)):
        checked_between(name, amount, 0, 1e30, "above 0, below 10^30")


def check_feed_forward(known: Model, how: str | None) -> None:
    """UsageError for kernels of gated feed-forwards that are not known, or of a model without."""
    if how is None:
        return
    check_word("feed_forward", how, FEED_FORWARDS)
    if not any(is_in_place(run.layer.feed, how) for run in known.description.runs):
        raise UsageError(
            f"feed_forward={how!r:.40} is for gated feed-forwards outside of experts, of which "
            f"{known.name} has none"
        )


def check_kept(kept_dtype: str | None, precision: Precision) -> None:
    """UsageError for a format that nothing is kept in, or that no product reads."""
    if kept_dtype is None:
        return
    check_word("kept_dtype", kept_dtype, KEPT_BYTES)
    if precision.family not in NARROW:
        raise UsageError(
            f"kept_dtype={kept_dtype!r:.40} is for products in 8 or 4 bits, which "
            f"{precision.name} has not: expected dtype fp8 or nvfp4"
        )


def check_gradients(iteration: Iteration) -> None:
    """UsageError for a format that gradients are not summed in, or that is not that of weights
    without masters: PyTorch gives a gradient its weight's format, FSDP once it has summed it
    (``_cast_grad_to_param_dtype``)."""
    asked, precision = iteration.gradient_dtype, iteration.precision
    if asked is None:
        return
    check_word("gradient_dtype", asked, GRADIENT_BYTES)
    recipe = iteration.recipe if iteration.lora is None else ADAPTER_RECIPE
    if recipe.beside or GRADIENT_BYTES[asked] == recipe.weight:
        return
    whose = f"profile={iteration.engine}"
    if iteration.lora is not None:
        whose = "lora"
    elif iteration.optimizer in PURE:
        whose = f"optimizer={iteration.optimizer}"
    elif precision.activation_bytes >= 4:
        whose = f"dtype={precision.name}"
    raise UsageError(
        f"gradient_dtype={asked!r:.40} is not that of {whose}, whose gradients are in "
        f"{'fp32' if recipe.weight >= 4 else '16 bits'}, as its weights"
    )
