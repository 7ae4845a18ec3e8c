"""Answers and explanations of the estimator page, in either mode."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from thermoflop.errors import ThermoflopError
from thermoflop.web.estimator.fields import FieldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.base.explanation import Explanation
    from thermoflop.web.estimator.answer import Answer
    from thermoflop.web.estimator.inputs import Inputs


_FIRST = threading.Lock()


def answer_first(inputs: Inputs) -> None:
    """Answer what the page opens with while nobody waits: importing alone takes a second."""
    with _FIRST:
        _answer(inputs)


def answer(inputs: Inputs) -> Answer:
    """Answer the inputs. Raises FieldError naming the input that makes no sense."""
    with _FIRST:  # who comes before the first is there waits for it, and makes it not once more
        pass
    return _answer(inputs)


@lru_cache(maxsize=64)
def _answer(inputs: Inputs) -> Answer:
    if inputs.original:
        from thermoflop.web.estimator.original import original_answer

        return original_answer(inputs)
    from thermoflop.web.estimator.estimate_answer import estimate_answer

    return estimate_answer(inputs)


def why(inputs: Inputs, key: str) -> Explanation:
    """Explain the figure with that key. Raises FieldError when there is none."""
    try:
        if inputs.original:
            from thermoflop.web.estimator.original import original_why

            return original_why(inputs, key)
        from thermoflop.web.estimator.computed import estimate_why

        return estimate_why(inputs, key)
    except FieldError:
        raise
    except ThermoflopError as error:
        raise FieldError("mode", str(error)) from None


def caught(function: Callable[..., Any], *values: Any) -> Any:
    """What a function returns, or its refusal as a value: an exception is lost between threads."""
    try:
        return function(*values)
    except FieldError as error:
        return error
