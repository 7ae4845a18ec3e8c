"""What a public function takes where nothing is said is the number that its text states."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import thermoflop as tf


def stated(function: Callable[..., Any]) -> dict[str, str]:
    """The text of each argument, by its name."""
    text = (inspect.getdoc(function) or "").partition("Args:")[2].partition("\nReturns:")[0]
    entries = re.finditer(
        r"^ {4}\**(\w+): (.*?)(?=^ {4}\**\w+: |\Z)", text, re.MULTILINE | re.DOTALL
    )
    return {entry[1]: " ".join(entry[2].split()) for entry in entries}


def numbers() -> Iterator[tuple[str, str, float]]:
    """Function, argument and default of every argument whose default is a number."""
    for name in sorted(dir(tf)):
        function = getattr(tf, name)
        if inspect.isfunction(function):
            for argument in inspect.signature(function).parameters.values():
                if type(argument.default) in (int, float):
                    yield name, argument.name, argument.default


def test_public_functions_have_numbers_by_default():
    assert len([*numbers()]) > 40


@pytest.mark.parametrize(("function", "argument", "default"), [*numbers()])
def test_a_default_is_the_number_that_the_text_states(function, argument, default):
    text = stated(getattr(tf, function))[argument]
    assert re.search(rf"(?<![\d.]){re.escape(f'{default:,}')}(?!\.?\d)", text), text
