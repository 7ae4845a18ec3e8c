"""What is a number, an object or a list among the values of a file."""

from __future__ import annotations

from math import inf, nan

import pytest
from thermoflop.base.plain import finite, inside, is_between, is_number, mapping, mappings


@pytest.mark.parametrize(
    ("value", "number", "between", "known"),
    [
        (2, True, True, 2.0), (2.5, True, True, 2.5), (1, True, False, 1.0), (3, True, False, 3.0),
        (inf, True, False, None), (nan, True, False, None), (True, False, False, None),
        (False, False, False, None), ("2", False, False, None), (None, False, False, None),
        ([2], False, False, None), (10**400, False, False, None), (-(10**400), False, False, None),
        (10**300, True, False, 1e300),
    ],
)  # fmt: skip
def test_truth_and_words_are_no_numbers_and_ends_lie_not_between(value, number, between, known):
    assert (is_number(value), is_between(value, 1, 3), finite(value)) == (number, between, known)


@pytest.mark.parametrize(
    ("data", "value", "one", "many"),
    [
        ({"a": {"b": {"c": 1}}}, {"c": 1}, {"c": 1}, []),
        ({"a": {"b": [{"c": 1}, 2, {}]}}, [{"c": 1}, 2, {}], {}, [{"c": 1}, {}]),
        ({"a": {"b": 0}}, 0, {}, []), ({"a": [1]}, None, {}, []), ({}, None, {}, []),
        (None, None, {}, []),
    ],
)  # fmt: skip
def test_what_is_not_there_or_something_else_is_none_or_empty(data, value, one, many):
    found = inside(data, "a", "b"), mapping(data, "a", "b"), mappings(data, "a", "b")
    assert found == (value, one, many)
