"""FLOPs of an iteration: of the model, and of what the devices compute."""

from __future__ import annotations

from collections.abc import Sequence

from thermoflop.cost.training.iteration import Iteration
from thermoflop.model.operators.kinds import MatMul
from thermoflop.model.operators.training import in_layers


def document_tokens(lengths: Sequence[int]) -> int:
    """The length of equal documents with as many pairs of tokens a token as those of ``lengths``:
    sum of squares over sum. Attention meets the tokens of a document alone."""
    return round(sum(length**2 for length in lengths) / sum(lengths))


def training_flops(iteration: Iteration, attention: str) -> tuple[int, int]:
    """FLOPs of an iteration on all devices without recomputation, and with it.

    Frozen matrices run forward and pass gradients on, twice a product instead of thrice; adapters
    run three times. Padding is computed, and is none of the model's FLOPs.
    """
    model, lora = iteration.model, iteration.lora
    tokens = int(iteration.global_batch) * iteration.sequence
    document = iteration.document or iteration.sequence
    counts = model.training(
        document, 1, recompute=iteration.recompute, attention=attention,
        encoder=iteration.source or 0,
    )  # fmt: skip
    of_model, of_hardware = counts.model_flops, counts.flops
    if lora is not None:
        frozen = sum(
            each.flops
            for each in counts.forward
            if isinstance(each, MatMul) and (in_layers(each) or not lora.embeddings)
        )
        beside = lora.flops(model.description, document, iteration.source or 0)
        of_model += 3 * beside - frozen
        of_hardware += (4 if iteration.recompute == "full" else 3) * beside - frozen
    if iteration.recomputed and iteration.recompute != "full":
        again = sum(each.flops for each in counts.forward if in_layers(each))
        of_hardware += round(iteration.recomputed * (again - counts.recomputed_flops))
    once, parts = divmod(tokens, document)
    computed = of_hardware * once + of_hardware * parts // document
    counted = of_model * once + of_model * parts // document
    return without_padding(counted, iteration.padded), computed


def without_padding(count: int, padded: float) -> int:
    """The part of a count that belongs to tokens which are no padding."""
    return round(count * (1 - padded)) if padded else count
