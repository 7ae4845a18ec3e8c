"""Tokens of an image against the image processors of transformers, at sizes of every kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from thermoflop.model.architecture.grid import Grid, see

# by tests/truth/images.py: no figure of it comes from thermoflop
KNOWN = json.loads(
    (Path(__file__).resolve().parents[2] / "data" / "image_tokens.json").read_text("utf-8")
)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("known", KNOWN, ids=[known["name"] for known in KNOWN])
def test_tokens_and_tiles_are_those_of_the_processor(known: dict[str, Any]) -> None:
    grid = Grid(**{name: _tuples(value) for name, value in known["grid"].items()})
    for height, width, tiles, tokens in known["rows"]:
        seen = see(grid, height, width, known["pooled"])
        assert (seen.tiles, seen.tokens) == (tiles, tokens), (height, width)


@pytest.mark.parametrize("known", KNOWN, ids=[known["name"] for known in KNOWN])
def test_patches_are_as_many_as_their_tokens_are_made_of(known: dict[str, Any]) -> None:
    """A token is a square of ``merge`` patches of an image that is resized; a packed image's come
    end to end, each meeting those of its slice."""
    grid = Grid(**{name: _tuples(value) for name, value in known["grid"].items()})
    for height, width, _, tokens in known["rows"]:
        seen = see(grid, height, width, known["pooled"])
        if grid.rule in ("smart", "padded", "budget"):
            assert seen.rows * seen.columns == tokens * grid.merge**2
        elif grid.rule == "longest":
            assert seen.rows * seen.columns == (tokens - seen.rows // grid.merge) * grid.merge**2
        elif grid.rule == "packed":
            assert (seen.rows, seen.columns) == (tokens * grid.limits[0] ** 2, 1)
            assert seen.rows <= (seen.pairs or 0) <= seen.rows**2
        elif seen.tiles > 1:  # of the tower's one size
            assert (seen.rows, seen.columns) == tuple(side // grid.patch[0] for side in grid.side)
