"""Lists in lists, and objects in them, are refused in a sentence wherever a family takes either."""

from __future__ import annotations

from contextlib import suppress

import pytest
from thermoflop.errors import InputError
from thermoflop.model.config.families import FAMILY_NAMES, find_family
from thermoflop.model.load import read_model

NESTED = ([[]], [{}], [[1], "x"], {"a": [[]]}, [None], [1.5], -1)


def taken() -> list[tuple[str, str]]:
    """Each key that may hold a list or an object, of the first family that has it in a module."""
    found: dict[tuple[str, object], str] = {}
    for name in FAMILY_NAMES:
        family = find_family(name)
        assert family is not None
        for key, rule in family.keys.items():
            if rule.kind in ("any", "mapping", "names", "indices"):
                found.setdefault((key, family.traits.get("kinds", family.reader)), name)
    return [(name, key) for (key, _), name in found.items()]


@pytest.mark.parametrize(("name", "key"), taken())
def test_nested_nonsense_is_counted_or_refused_in_a_sentence(name: str, key: str) -> None:
    for value in NESTED:
        with suppress(InputError):
            assert read_model({"model_type": name, key: value}).params > 0
