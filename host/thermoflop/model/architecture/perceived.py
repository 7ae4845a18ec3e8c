"""A tower on an image or a clip of some size: its positions, and the tokens that the text reads."""

from __future__ import annotations

from math import ceil, isqrt

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Stack
from thermoflop.model.architecture.grid import RESIZED, near_pairs, see

# Mel frames a second: a hop of 160 samples of 16,000 (Radford et al. 2022, section 2.2).
FRAMES_PER_S = 100
# Frames of a position of Whisper's encoder: the stride of its second convolution (section 2.2).
FRAMES_PER_POSITION = 2


def tower_on(stack: Stack, height: int, width: int) -> Stack:
    """The tower on the tiles of one image of that size."""
    if stack.grid is None or stack.positions is None:
        return stack
    grid = replace(stack.grid, merge=isqrt(stack.patches // max(1, stack.pooled)))
    seen = see(grid, height, width, stack.pooled)
    patches = seen.rows * seen.columns
    window, own = grid.window, (*RESIZED, "packed", "crops")
    return replace(
        stack,
        positions=patches + stack.positions - stack.patches,
        patches=patches,
        pooled=patches // grid.merge**2 if grid.rule in own else stack.pooled,
        tiles=seen.tiles,
        tokens=0 if stack.tokens == 0 else seen.tokens,  # what the text attends to is no token
        near=near_pairs(seen.rows, seen.columns, window) if window else seen.pairs,
    )


def tower_hearing(stack: Stack, seconds: float) -> Stack:
    """The tower on one clip.

    A tower that always has as many positions (Whisper's: 30 s, padded) runs once for each piece;
    one that takes any length has ``stack.patches`` frames to a position.
    """
    assert stack.positions is not None  # noqa: S101 - towers know how many they have
    if stack.grid is None:
        piece_s = FRAMES_PER_POSITION * stack.positions / FRAMES_PER_S
        return replace(stack, tiles=max(1, ceil(seconds / piece_s)))
    positions = max(1, ceil(seconds * FRAMES_PER_S / stack.grid.patch[0]))
    pooled = max(1, ceil(positions / stack.grid.merge))
    if stack.grid.window:  # so many queries on each window
        pooled = ceil(positions / stack.grid.window) * stack.grid.merge
    near = None if stack.near is None else stack.near * positions // stack.positions
    return replace(stack, positions=positions, patches=positions, pooled=pooled, near=near)
