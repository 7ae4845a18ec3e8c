"""Patches and tokens of an image under each processor's rule, worked out by hand in small sizes."""

from __future__ import annotations

import pytest
from thermoflop.model.architecture.grid import Grid, Seen, near_pairs, see

# a token is 20 x 20 pixels of four patches, unless an image is resized
SMART = Grid("smart", (10, 10), merge=2, limits=(1600, 6400))
PADDED = Grid("padded", (10, 10), merge=2, limits=(12, 6))
WIDE, FEW = (Grid("padded", (10, 10), merge=2, limits=limits) for limits in ((100, 6), (4, 6)))
LONGEST = Grid("longest", (10, 10), merge=2, limits=(100,), breaks=True)
BUDGET = Grid("budget", (10, 10), merge=2, limits=(64,))
SPLIT = Grid("split", (10, 10), (40, 40), merge=2, limits=(1600, 3200, 6))
FIXED = Grid("fixed", (16, 8), (64, 96))
SHAPE = Grid("shape", (5, 5), (10, 20), limits=(6,))
CUT = Grid("cut", (5, 5), (20, 20))
CANVAS = Grid("canvas", (5, 5), (10, 20), limits=(6,))
POINTS = Grid("pinpoints", (5, 5), (20, 20), sizes=((20, 40), (40, 20), (40, 40)))
OVERLAP = Grid("overlap", (10, 10), (40, 40), limits=(6, 1))
CASES: list[tuple[Grid, int, int, tuple[int, ...]]] = [
    # grid, height, width: tiles, rows and columns of a tile, tokens (5 are left of a whole tile)
    (FIXED, 3, 999, (1, 4, 12, 5)),
    # sides are rounded to whole tokens: 50 / 20 is 2, 70 / 20 is 4; 80 x 80 is not too much
    (SMART, 50, 70, (1, 4, 8, 8)),
    (SMART, 80, 80, (1, 8, 8, 16)),
    # 200 x 40 is too much: smaller by sqrt(200 x 50 / 6400) = 1.25, rounded down
    (SMART, 200, 50, (1, 16, 4, 16)),
    (SMART, 50, 200, (1, 4, 16, 16)),
    # and one token wide at least: 2000 / 1.936 is 51 tokens
    (SMART, 2000, 12, (1, 102, 2, 51)),
    (SMART, 12, 2000, (1, 2, 102, 51)),
    # 40 x 40 is enough; 20 x 40 is too little: larger by sqrt(1600 / 600) = 1.633, rounded up
    (SMART, 40, 40, (1, 4, 4, 4)),
    (SMART, 20, 30, (1, 4, 6, 6)),
    (SMART, 30, 20, (1, 6, 4, 6)),
    # 12 patches are allowed, and padded to whole tokens
    (PADDED, 30, 40, (1, 4, 4, 4)),
    (PADDED, 25, 45, (1, 4, 6, 6)),
    # 20 patches are too many: smaller by sqrt(12 / 20), 38 x 30
    (PADDED, 50, 40, (1, 4, 4, 4)),
    # 6 patches a side: 100 becomes 60; 3 x 0.2 is still one pixel
    (PADDED, 100, 5, (1, 6, 2, 3)),
    (PADDED, 5, 100, (1, 2, 6, 3)),
    (PADDED, 3, 300, (1, 2, 6, 3)),
    (PADDED, 300, 3, (1, 6, 2, 3)),
    # where a side decides, and where the patches of a thin image do: 50 x sqrt(4 / 5) = 44.7
    (WIDE, 100, 50, (1, 6, 4, 6)),
    (WIDE, 50, 100, (1, 4, 6, 6)),
    (FEW, 5, 50, (1, 2, 6, 3)),
    (FEW, 50, 5, (1, 6, 2, 3)),
    # half as large, 100 x 75, rounded up; a row of four tokens ends in a fifth
    (LONGEST, 200, 150, (1, 10, 8, 25)),
    (LONGEST, 150, 200, (1, 8, 10, 24)),
    (LONGEST, 30, 50, (1, 4, 6, 8)),
    (LONGEST, 1000, 1, (1, 10, 2, 10)),
    (LONGEST, 1, 1000, (1, 2, 10, 6)),
    # 64 patches are 6400 pixels: twice as large, or 1.6 times
    (BUDGET, 40, 40, (1, 8, 8, 16)),
    (BUDGET, 100, 25, (1, 16, 4, 16)),
    (BUDGET, 25, 100, (1, 4, 16, 16)),
    # thinner than a token: one is kept, 64 / 4 of them long
    (BUDGET, 10, 400, (1, 2, 32, 16)),
    (BUDGET, 400, 10, (1, 32, 2, 16)),
    # up to twice 3200 pixels, in whole tokens, as it is, made smaller; beyond, in tiles of 4 x 4
    # patches and whole: 91 x 80 made smaller by sqrt(7280 / 3200) is 60 x 40
    (SPLIT, 90, 80, (1, 6, 4, 6)),
    (SPLIT, 91, 80, (5, 4, 4, 4 * 5 + 6)),
    # 40 x 240 made smaller by sqrt(9600 / 3200) is 20 x 120
    (SPLIT, 40, 240, (7, 4, 4, 6 * 5 + 6)),
    # a tile is 10 high and 20 wide: 400 pixels are not over half of two by two, 441 are
    (SHAPE, 20, 20, (1, 2, 4, 5)),
    (SHAPE, 21, 21, (5, 2, 4, 25)),
    # three columns, six columns, two rows of three: a tile more for the whole
    (SHAPE, 10, 30, (4, 2, 4, 20)),
    (SHAPE, 10, 90, (7, 2, 4, 35)),
    (SHAPE, 20, 11, (3, 2, 4, 15)),
    (SHAPE, 40, 60, (7, 2, 4, 35)),
    # the longest side is four tiles: 60 of 80 are three
    (CUT, 30, 40, (13, 4, 4, 65)),
    (CUT, 40, 30, (13, 4, 4, 65)),
    (CUT, 31, 40, (17, 4, 4, 85)),
    (CUT, 1, 100, (5, 4, 4, 25)),
    (CUT, 100, 1, (5, 4, 4, 25)),
    # the least enlarged: one tile holds 10 x 20, three rows of two hold 30 x 40
    (CANVAS, 10, 20, (1, 2, 4, 5)),
    (CANVAS, 3, 20, (1, 2, 4, 5)),
    (CANVAS, 11, 20, (3, 2, 4, 15)),
    (CANVAS, 30, 40, (7, 2, 4, 35)),
    # none holds it: the least reduced, of the smallest of these
    (CANVAS, 1000, 20, (7, 2, 4, 35)),
    (CANVAS, 30, 999, (7, 2, 4, 35)),
    (CANVAS, 999, 999, (7, 2, 4, 35)),
    # 4 x 8 patches of two tiles, each row of tokens with an end, and 16 of the whole
    (POINTS, 20, 40, (3, 4, 4, 16 + 4 * 9)),
    (POINTS, 40, 20, (3, 4, 4, 16 + 8 * 5)),
    (POINTS, 40, 40, (5, 4, 4, 16 + 8 * 9)),
    # padding is left out, as much on both sides: 8 x 24 / 40 is 4, and of 8 x 28 / 40 = 5, 6 stay
    (POINTS, 40, 24, (5, 4, 4, 16 + 8 * 5)),
    (POINTS, 40, 28, (5, 4, 4, 16 + 8 * 7)),
    (POINTS, 28, 40, (5, 4, 4, 16 + 6 * 9)),
    # crops end to end after the whole, each of 16 patches that meet, and of which 20 x 20 pixels
    # are its own: one where a side of the image has no more
    (OVERLAP, 40, 100, (1, 2 * 4, 4, 5, 2 * 16**2)),
    # 40 x 60 beyond the edges is two rows of three; of 100 x 100, 25 are too many: 5 sqrt(6 / 25)
    (OVERLAP, 60, 80, (1, 7 * 4, 4, 5, 7 * 16**2)),
    (OVERLAP, 120, 120, (1, 5 * 4, 4, 5, 5 * 16**2)),
    (OVERLAP, 50, 120, (1, 4 * 4, 4, 5, 4 * 16**2)),
    # 21 x 60 asks for two rows, and for sqrt(6 x 60 / 21) = 4 columns: three are left
    (OVERLAP, 41, 80, (1, 7 * 4, 4, 5, 7 * 16**2)),
    (OVERLAP, 80, 41, (1, 7 * 4, 4, 5, 7 * 16**2)),
]  # fmt: skip


@pytest.mark.parametrize(("grid", "height", "width", "seen"), CASES)
def test_an_image_is_cut_as_its_rule_says(
    grid: Grid, height: int, width: int, seen: tuple[int, ...]
) -> None:
    assert see(grid, height, width, pooled=5) == Seen(*seen)


def test_tokens_beyond_a_limit_are_interpolated_where_they_pass_it_by_a_tenth() -> None:
    """LLaVA-OneVision: 8 x 8 patches, of which ``limits`` tiles of 4 x 4 are allowed."""
    for tiles, side in ((4, 8), (3.4, 8), (3.2, 7), (1, 4)):
        grid = Grid("pinpoints", (5, 5), (20, 20), limits=(tiles,), sizes=((40, 40),))  # type: ignore[arg-type]
        # sqrt(64 / (3.4 x 16)) = 1.085 and sqrt(64 / (3.2 x 16)) = 1.118
        assert see(grid, 40, 40, 5) == Seen(5, 4, 4, 16 + side * (side + 1))


def test_without_points_the_canvas_is_one_tile() -> None:
    assert see(Grid("pinpoints", (5, 5), (20, 20)), 40, 40, 5) == Seen(2, 4, 4, 16 + 4 * 5)


def test_pieces_keep_the_shape_of_an_image() -> None:
    """448 x 896 is two tiles; of 2 alone, 2 side by side have its shape. Whole it is 316 high (448
    / sqrt 2) and 633 wide; each slice is 448 x 448."""
    whole, slices = 23 * 45, 32 * 32
    assert see(Grid("slices", (14, 14)), 448, 896, 5) == Seen(3, 23, 45, 15)
    packed = see(Grid("packed", (14, 14), limits=(1,)), 448, 896, 5)
    patches = whole + 2 * slices
    assert packed == Seen(1, patches, 1, patches, whole**2 + 2 * slices**2)
    four = see(Grid("packed", (14, 14), limits=(4,)), 448, 896, 5)  # whole tokens of 4 x 4
    assert four.tokens == (24 * 44 + 2 * 32 * 32) // 16


def test_windows_meet_their_own_patches_and_the_rests_theirs() -> None:
    """9 rows in windows of 4: two and one of 1; 6 columns: one and one of 2."""
    assert near_pairs(9, 6, 4) == (4**2 + 4**2 + 1) * (4**2 + 2**2)
