"""From inputs to the answer and the explanations of its numbers, whatever the mode."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from thermoflop.errors import ThermoflopError
from thermoflop.web.estimator.fields import FieldError

if TYPE_CHECKING:
    from thermoflop.base.explanation import Explanation
    from thermoflop.web.estimator.answer import Answer
    from thermoflop.web.estimator.inputs import Inputs


@lru_cache(maxsize=64)
def answer(inputs: Inputs) -> Answer:
    """Everything that the page shows. FieldError names the input that makes no sense."""
    if inputs.corrected:
        from thermoflop.web.estimator.corrected_answer import corrected_answer

        return corrected_answer(inputs)
    from thermoflop.web.estimator.original import original_answer

    return original_answer(inputs)


def formulas() -> tuple[tuple[str, str, str], ...]:
    """The original's formulas: kernel, FLOP, bytes; none where sympy is not installed."""
    from thermoflop.web.estimator.original import original_formulas

    return original_formulas()


def why(inputs: Inputs, key: str) -> Explanation:
    """What is behind the number of a key. FieldError where there is no such number."""
    try:
        if inputs.corrected:
            from thermoflop.web.estimator.corrected import corrected_why

            return corrected_why(inputs, key)
        from thermoflop.web.estimator.original import original_why

        return original_why(inputs, key)
    except FieldError:
        raise
    except ThermoflopError as error:
        raise FieldError("mode", str(error)) from None
