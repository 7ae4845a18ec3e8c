"""Files that are no profile are refused in a sentence."""

from __future__ import annotations

import pytest
from thermoflop.cost.catalogue.profiles import profile_from
from thermoflop.errors import InputError


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, r"not a profile: it has no 'name' \(expected what"),
        ({"name": "a", "points": {}}, "not a profile: it has no '"),
        ({"name": "a", "points": 3}, r"not a profile: a part has another form \(expected what"),
    ],
)
def test_a_file_that_is_no_profile_is_refused_without_the_words_of_python(raw, words):
    with pytest.raises(InputError, match=words) as refused:
        profile_from(raw)
    assert "Error(" not in str(refused.value)
