"""A grid's arithmetic: its parts hold every combination once, and a range its numbers."""

from __future__ import annotations

from itertools import product

import pytest
from thermoflop.cost.sweep import part
from thermoflop.cost.sweep.grid import Cell, Grid, grid_of, shard_of
from thermoflop.errors import InputError, UsageError

GRID = Grid(("a", "b"), ("c", "d", "e"), ("bf16", None), (1, 2), (1,), (1, 2), (1,),
            (1, 2, 3), (10, 20), (5,), None, 4)  # fmt: skip


def test_a_grid_counts_its_cells_sizes_and_parts():
    assert (GRID.sizes, GRID.cells) == (6, 2 * 3 * 2 * 2 * 2)
    assert (GRID.parts_of_a_cell, GRID.parts, GRID.total_rows) == (2, 96, 288)
    exact = Grid(("a",), ("c",), batch=(1, 2), prompt=(1, 2), rows=4)
    assert (exact.parts_of_a_cell, exact.parts) == (1, 1)


def test_the_parts_hold_every_cell_in_order_and_each_of_its_sizes_once():
    parts = [GRID.part(number) for number in range(GRID.parts)]
    cells = [Cell(*each) for each in product(
        GRID.models, GRID.devices, GRID.dtypes, GRID.tp, GRID.pp, GRID.dp, GRID.ep)]  # fmt: skip
    assert [cell for cell, _ in parts[::2]] == cells == [cell for cell, _ in parts[1::2]]
    assert [list(sizes) for _, sizes in parts] == [[0, 1, 2, 3], [4, 5]] * len(cells)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("3:5", (3, 4, 5)), ("1:10:3", (1, 4, 7, 10)), ("1:20:*3", (1, 3, 9)), ("2:8:*2", (2, 4, 8)),
     ([1, "4:5"], (1, 4, 5)), (7, (7,)), ("1k:3k:1k", (1000, 2000, 3000))],
)  # fmt: skip
def test_a_range_has_both_its_ends(text, numbers):
    assert grid_of({"models": "m", "devices": "d", "batch": text}).batch == numbers


def test_a_thousand_tokens_are_1024_and_nothing_may_be_generated():
    grid = grid_of({"models": "m", "devices": "d", "prompt": "1k", "generate": ["0", "2k"],
                    "dtypes": ["published", "fp8"], "rows": 9})  # fmt: skip
    assert (grid.prompt, grid.generate, grid.rows) == ((1024,), (0, 2048), 9)
    assert grid.dtypes == (None, "fp8")


@pytest.mark.parametrize(
    "value",
    ["5:3", "1:2:0", "0:9:*2", "1:9:*1", "1:2:3:4", "x", True, -1, 1.5, [1, 1], [], 0, "1:1000001"],
)
def test_what_is_no_range_is_refused(value):
    with pytest.raises(InputError, match="batch"):
        grid_of({"models": "m", "devices": "d", "batch": value})


@pytest.mark.parametrize("value", [["m", "n", "m"], [], 7, [None], ["m", 7]])
def test_names_that_are_none_or_stand_twice_are_refused(value):
    for key in ("models", "devices"):
        with pytest.raises(InputError, match=key):
            grid_of({"models": "m", "devices": "d", key: value})
    assert grid_of({"models": ["m", "n"], "devices": "d"}).models == ("m", "n")


@pytest.mark.parametrize(
    ("text", "found"), [("3/16", (3, 16)), ("1/1", (1, 1)), ("0/4", None), ("5/4", None)]
)
def test_a_shard_is_one_of_so_many(text, found):
    if found is not None:
        assert shard_of(text) == found
        return
    with pytest.raises(UsageError, match="expected I/N"):
        shard_of(text)


def test_a_cell_is_asked_for_with_its_own_degrees_and_sizes(monkeypatch):
    asked = {}

    def refuse(_model, device, **options):
        asked.update(options, device=device)
        raise UsageError("not that")

    monkeypatch.setattr(part, "estimate", refuse)
    grid = Grid(("gpt2",), ("d",), batch=(3,), prompt=(10, 20), generate=(5,), profile="vllm")
    found = part.rows(grid, Cell("gpt2", "d", "fp8", 2, 3, 4, 6), range(2))
    sizes = {name: asked.pop(name).tolist() for name in ("batch", "prompt", "generate")}
    assert sizes == {"batch": [3, 3], "prompt": [10, 20], "generate": [5, 5]}
    assert asked == {
        "device": "d", "tp": 2, "pp": 3, "dp": 4, "ep": 6, "dtype": "fp8", "profile": "vllm",
    }  # fmt: skip
    assert found["refused"] == ["not that"] * 2
    assert {name: found[name].tolist() for name in ("tp", "pp", "dp", "ep")} == {
        "tp": [2, 2], "pp": [3, 3], "dp": [4, 4], "ep": [6, 6],
    }  # fmt: skip
