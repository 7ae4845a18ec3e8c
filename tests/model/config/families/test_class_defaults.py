"""What a configuration leaves out is what its class takes: every key of every family.

tests/data/defaults.json.gz holds, for each family that is a class of transformers 5.24.0, the
defaults that the class states of the keys that are read here (tests/truth/defaults.py).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from thermoflop.model.config.families import find_family
from thermoflop.model.config.family import Section

DATA = Path(__file__).resolve().parents[3] / "data" / "defaults.json.gz"
STATED: dict[str, dict[str, Any]] = json.loads(gzip.decompress(DATA.read_bytes()))
# a null flag is false, and the tanh form of a gelu counts as its erf form
SAME = {None: False, "gelu_new": "gelu"}
SECTIONS = [name for name in STATED if "/" in name]


def differing(ours: dict[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    """Keys whose value is neither the class's nor one that means the same."""
    plain = {key: list(each) if isinstance(each, tuple) else each for key, each in ours.items()}
    return {
        key: (each, stated[key])
        for key, each in plain.items()
        if each != stated[key]
        and (isinstance(stated[key], list) or each != SAME.get(stated[key], stated[key]))
    }


@pytest.mark.parametrize("name", [name for name in STATED if name not in SECTIONS])
def test_a_default_is_the_one_that_the_class_states(name: str) -> None:
    """Where a family has none, it works out what the class does (see test_mappings.py)."""
    family = find_family(name)
    assert family is not None
    keys = {key: rule.default for key, rule in family.keys.items() if key in STATED[name]}
    stated = {key: default for key, default in keys.items() if default is not None}
    assert differing(stated, STATED[name]) == {}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_is_absent_has_the_sizes_that_its_wrapper_gives_it(name: str) -> None:
    wrapper, _, key = name.partition("/")
    family = find_family(wrapper)
    assert family is not None
    sections = [each for value in family.traits.values() for each in sections_of(value)]
    found = [section.init for section in sections if section.key == key and section.init]
    assert found
    for each in found:
        assert differing(dict(each), STATED[name]) == {}


def sections_of(value: Any) -> Iterator[Section]:
    if isinstance(value, Section):
        yield value
    for each in value if isinstance(value, tuple) else ():
        yield from sections_of(each)


def test_nearly_every_family_is_held_to_its_class() -> None:
    assert len(STATED) >= 437 + 22
    assert sum(map(len, STATED.values())) >= 4200 + 140
