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


@pytest.mark.parametrize("halves", [[5], [5, 6, 7]])
def test_a_tower_of_two_halvings_has_two_widths(halves: list[int]) -> None:
    sections = {"vision_config": {"sam_config": {"downsample_channels": halves}}}
    with pytest.raises(InputError, match=r"downsample_channels is .* where the widths of two are"):
        read_model({"model_type": "unlimited_ocr", **sections})


def test_more_dense_layers_than_there_are_make_all_of_them_dense() -> None:
    layers = {"model_type": "cohere2_moe", "num_hidden_layers": 3}
    most = [read_model({**layers, "first_k_dense_replace": first}).params for first in (3, 128)]
    assert most[0] == most[1]


def test_a_list_where_a_width_is_passed_by_is_said_as_it_is() -> None:
    heads = read_model({"model_type": "hunyuan_v1_moe", "attention_head_dim": ["x", 1]})
    assert any("attention_head_dim is ['x', 1]" in note for note in heads.notes)
