"""A tower on an image or a clip of a size, in small sizes by hand."""

from __future__ import annotations

import pytest
from thermoflop.model.architecture.description import Stack
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.architecture.perceived import tower_hearing, tower_on

SMART = Grid("smart", (10, 10), (80, 80), limits=(1600, 10**6), window=2)
TILES = Grid("cut", (5, 5), (20, 20))


def test_a_tower_of_any_size_has_the_positions_of_the_image() -> None:
    """60 x 100 pixels are 6 x 10 patches, 2 x 2 of which are a token; a token for the class more;
    every patch meets the four of its window."""
    tower = Stack("image", 8, (), positions=64 + 1, patches=64, pooled=16, near=99, grid=SMART)
    seen = tower_on(tower, 60, 100)
    found = (seen.positions, seen.patches, seen.pooled, seen.tiles, seen.tokens, seen.near)
    assert found == (61, 60, 15, 1, 15, 60 * 4)


def test_a_tower_of_tiles_has_as_many_more_of_them() -> None:
    """3 x 4 tiles and the whole, of 16 patches and 5 tokens each."""
    tower = Stack("image", 8, (), positions=18, patches=16, pooled=5, grid=TILES)
    seen = tower_on(tower, 30, 40)
    found = (seen.positions, seen.patches, seen.pooled, seen.tiles, seen.tokens, seen.near)
    assert found == (18, 16, 5, 13, 65, None)


def test_what_the_text_attends_to_is_no_token_and_what_has_no_rule_stays() -> None:
    tower = Stack("image", 8, (), positions=18, patches=16, pooled=5, tokens=0, grid=TILES)
    assert tower_on(tower, 30, 40).tokens == 0
    assert tower_on(bare := Stack("image", 8, (), positions=18), 30, 40) is bare
    assert tower_on(bare := Stack("image", 8, (), grid=TILES), 30, 40) is bare


@pytest.mark.parametrize(("seconds", "pieces"), [(0.1, 1), (30, 1), (30.1, 2), (60, 2), (90.5, 4)])
def test_whisper_hears_thirty_seconds_at_a_time(seconds: float, pieces: int) -> None:
    """1500 positions of two mel frames, 100 of which are a second."""
    tower = Stack("audio", 8, (), positions=1500, pooled=1500)
    heard = tower_hearing(tower, seconds)
    assert (heard.tiles, heard.positions, heard.pooled) == (pieces, 1500, 1500)


@pytest.mark.parametrize(
    ("seconds", "positions", "pooled"),
    # four frames a position, three positions a token
    [(30, 750, 250), (1, 25, 9), (0.01, 1, 1), (0.05, 2, 1), (0.16, 4, 2)],
)
def test_a_tower_of_any_length_has_a_position_for_so_many_frames(
    seconds: float, positions: int, pooled: int
) -> None:
    grid = Grid("fixed", (4, 1), merge=3)
    tower = Stack("audio", 8, (), positions=750, patches=750, pooled=250, near=7500, grid=grid)
    heard = tower_hearing(tower, seconds)
    assert (heard.positions, heard.patches, heard.pooled) == (positions, positions, pooled)
    assert heard.near == positions * 10
    assert heard.tiles == 1


def test_queries_on_each_window_of_positions_are_as_many_as_windows() -> None:
    """30 positions in windows of 12 are three; two queries each."""
    grid = Grid("fixed", (2, 1), merge=2, window=12)
    tower = Stack("audio", 8, (), positions=100, patches=100, pooled=4, grid=grid)
    heard = tower_hearing(tower, 0.6)
    assert (heard.positions, heard.pooled, heard.near) == (30, 6, None)
