"""How an image of some size becomes patches, and how many tokens of it the text model reads.

Each rule is that of the image processor of a class of transformers 5, by name; what its settings
say beside the model's own configuration is in ``limits``, as published with the first model of the
class. Tokens that only mark where an image starts or ends are not counted. Slices are those of
``get_sliced_grid``, ``find_best_resize`` and ``get_refine_size`` of image_processing_minicpmv.py
(beside the weights of 2.5 to 4.5) and of ``MiniCPMV4_6ImageProcessor`` of transformers 5.24, with
the settings published: nine at most, each of the area of 448 x 448 pixels.
"""

from __future__ import annotations

from math import ceil, floor, log, sqrt

from thermoflop.base.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_SLICES = 9
SIDE = 448


@record
class Grid:
    """The rule of a tower: sizes in pixels, (height, width).

    ``fixed``: every image is resized to ``side``. ``smart``: sides are rounded to whole tokens,
    between ``limits`` pixels (Qwen, GLM). ``padded``: made smaller until ``limits`` patches (in
    all, and a side) are enough, and padded to whole tokens (Kimi). ``longest``: made smaller until
    no side passes ``limits`` (Pixtral). ``budget``: as large as ``limits`` patches allow (Gemma 4).
    ``patches``: sides are rounded up to patches, between ``limits`` of them, then to whole tokens
    (Nemotron Nano Omni).
    The others cut an image into tiles of ``side``, and show it whole in one more: ``shape``, up to
    ``limits`` tiles as near as possible to its shape (InternVL); ``crops``, the same with tiles of
    ``sizes``, two at least, and a mark before the whole (DeepSeek-OCR-2); ``canvas``, the smallest
    canvas that it fits on (Llama 4); ``pinpoints``, the canvas of ``sizes`` that fits best
    (LLaVA-NeXT). ``cut``: resized until its longest side is four tiles, then cut (Idefics 3).
    ``split``: ``smart`` while that is not much smaller, else ``shape`` (LFM2-VL). ``slices``:
    pieces that keep the image's shape, all padded to the largest (MiniCPM-V); ``packed``: the same
    end to end, each patch meeting those of its piece, ``limits`` patches of a side becoming one
    token; ``overlap``: crops with edges of ``limits`` patches in common become as many tokens as
    one. ``breaks``: each row of tokens ends in one more. ``window``: patches of a side of a
    window.
    """

    rule: str
    patch: tuple[int, int]
    side: tuple[int, int] = (0, 0)
    merge: int = 1
    limits: tuple[int, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    breaks: bool = False
    window: int = 0


@record
class Seen:
    """One image: ``tiles`` of ``rows`` x ``columns`` patches each, ``tokens`` for the text.

    ``pairs`` of patches meet, where not all of a tile do.
    """

    tiles: int
    rows: int
    columns: int
    tokens: int
    pairs: int | None = None


def see(grid: Grid, height: int, width: int, pooled: int) -> Seen:
    """An image of ``height`` x ``width`` pixels; ``pooled`` tokens are left of a whole tile."""
    if grid.rule == "split" and _is_large(grid, height, width):
        tiles = _shape(grid, height, width, grid.limits[2])
        small = see(grid, *_smart(grid, height, width, grid.patch[0] * grid.merge), pooled)
        rows, columns = grid.side[0] // grid.patch[0], grid.side[1] // grid.patch[1]
        return Seen(tiles + 1, rows, columns, tiles * pooled + small.tokens)
    if grid.rule in RESIZED:
        step = grid.patch[0] * grid.merge
        rows, columns = (
            side // grid.patch[0] for side in RESIZED[grid.rule](grid, height, width, step)
        )
        across = columns // grid.merge + int(grid.breaks)
        return Seen(1, rows, columns, rows // grid.merge * across)
    if grid.rule in ("slices", "packed"):
        return _pieces(grid, height, width, pooled)
    if grid.rule == "crops":
        return _crops(grid, height, width, pooled)
    rows, columns = grid.side[0] // grid.patch[0], grid.side[1] // grid.patch[1]
    if grid.rule == "overlap":
        tiles = 1 + _overlapping(grid, height, width)
        return Seen(1, tiles * rows, columns, pooled, tiles * (rows * columns) ** 2)
    if grid.rule == "pinpoints":
        return _pinpoints(grid, height, width, (rows, columns))
    tiles = 1
    if grid.rule == "shape":
        tiles = _shape(grid, height, width, grid.limits[0])
    elif grid.rule == "cut":
        longest = 4 * grid.side[0] / max(height, width)
        down, across = (-(-int(side * longest) // grid.side[0]) for side in (height, width))
        tiles = max(1, down) * max(1, across)
    elif grid.rule == "canvas":
        tiles = _canvas(grid, height, width)
    tiles += int(tiles > 1)
    return Seen(tiles, rows, columns, tiles * pooled)


def _smart(grid: Grid, height: int, width: int, step: int) -> tuple[int, int]:
    """``smart_resize`` of Qwen2-VL, and of LFM2-VL, which keeps a token a side."""
    least, most = grid.limits[:2]
    shortest = step if grid.rule == "split" else 0
    tall, wide = (max(shortest, round(side / step) * step) for side in (height, width))
    if tall * wide > most:
        beta = sqrt(height * width / most)
        return max(step, floor(height / beta / step) * step), max(
            step, floor(width / beta / step) * step
        )
    if tall * wide < least:
        beta = sqrt(least / (height * width))
        return ceil(height * beta / step) * step, ceil(width * beta / step) * step
    return tall, wide


def _is_large(grid: Grid, height: int, width: int) -> bool:
    """``_is_image_too_large`` of LFM2-VL: twice what one image may have, in whole tokens."""
    step = grid.patch[0] * grid.merge
    tall, wide = (max(grid.patch[0], round(side / step) * step) for side in (height, width))
    return tall * wide > 2 * grid.limits[1]


def _padded(grid: Grid, height: int, width: int, step: int) -> tuple[int, int]:
    """``navit_resize`` of Kimi K2.5."""
    patch, (most, most_a_side) = grid.patch[0], grid.limits
    patches = max(1, height // patch) * max(1, width // patch)
    longest = most_a_side * patch
    scale = min(1.0, sqrt(most / patches), longest / height, longest / width)
    sides = (min(max(1, int(side * scale)), longest) for side in (height, width))
    tall, wide = (-(-side // step) * step for side in sides)
    return tall, wide


def _longest(grid: Grid, height: int, width: int, step: int) -> tuple[int, int]:
    """``get_resize_output_image_size`` of Pixtral."""
    ratio = max(height / grid.limits[0], width / grid.limits[0], 1)
    tall, wide = (-(-floor(side / ratio) // step) * step for side in (height, width))
    return max(step, tall), max(step, wide)


def _budget(grid: Grid, height: int, width: int, step: int) -> tuple[int, int]:
    """``get_aspect_ratio_preserving_size`` of Gemma 4."""
    factor = sqrt(grid.limits[0] * grid.patch[0] ** 2 / (height * width))
    tall, wide = (floor(factor * side / step) * step for side in (height, width))
    # less than a token high, it is wider by more tokens than there may be: all of them in a row
    longest = grid.limits[0] // grid.merge**2 * step
    if tall == 0 or wide == 0:
        return (step, longest) if tall == 0 else (longest, step)
    return tall, wide


def _patches(grid: Grid, height: int, width: int, step: int) -> tuple[int, int]:
    """``DynamicResolutionImageTiler`` of vLLM, where the prompt leaves room for the image."""
    (least, most), patch = grid.limits, grid.patch[0]
    near = [round(side / patch + 0.5) for side in (height, width)]
    factor = min(1.0, sqrt(most / (near[0] * near[1])))
    tall, wide = (max(1, floor(factor * side)) for side in near)
    if tall * wide < least < most:
        factor = sqrt(least / (tall * wide))
        tall, wide = ceil(factor * tall), ceil(factor * wide)
    tall = _whole(tall, wide, most, step // patch)
    wide = _whole(wide, tall, most, step // patch)
    return tall * patch, wide * patch


def _whole(count: int, other: int, most: int, unit: int) -> int:
    """Patches of a side as whole tokens: the next more, or, beyond the most in all, fewer."""
    more = -(-count // unit) * unit
    return more if more * other <= most else max(unit, min(count, most // other) // unit * unit)


RESIZED = {
    "smart": _smart,
    "patches": _patches,
    "padded": _padded,
    "longest": _longest,
    "budget": _budget,
    "split": _smart,
}


def _arrangements(most: int) -> list[tuple[int, int]]:
    """Columns and rows of up to ``most`` tiles, fewest tiles first."""
    pairs = ((a, b) for a in range(1, most + 1) for b in range(1, most // a + 1))
    return sorted(pairs, key=lambda pair: pair[0] * pair[1])


def _crops(grid: Grid, height: int, width: int, pooled: int) -> Seen:
    """``DeepseekOcr2ImageProcessor``. The whole view, of larger sides than a tile, works as the
    nearest number of tiles."""
    own = grid.sizes[0]
    whole, tile = (side[0] // grid.patch[0] for side in (grid.side, own))
    if max(height, width) <= max(own):
        return Seen(1, whole, whole, pooled + 1)
    count = _shape(replace(grid, side=own), height, width, grid.limits[0], fewest=2)
    tokens = count * (pooled * tile**2 // whole**2) + pooled + 1
    return Seen(count + round(whole**2 / tile**2), tile, tile, tokens)


def _overlapping(grid: Grid, height: int, width: int) -> int:
    """``select_tiling`` of Moondream 2: crops beside the whole, by what each shows alone."""
    most, margin = grid.limits
    edge = 2 * margin * grid.patch[0]
    own, sides = grid.side[0] - edge, (height - edge, width - edge)
    if min(sides) <= own:
        return 1
    least = [ceil(side / own) for side in sides]
    if least[0] * least[1] > most:
        ratio = sqrt(most / (least[0] * least[1]))
        down, across = (max(1, floor(few * ratio)) for few in least)
        return down * across
    ratio = sides[0] / sides[1]
    down, across = (
        max(least[0], floor(sqrt(most * ratio))),
        max(least[1], floor(sqrt(most / ratio))),
    )
    if down * across > most:
        fewer = min(down, across)
        return fewer * (most // fewer)
    return down * across


def _shape(grid: Grid, height: int, width: int, most: int, fewest: int = 1) -> int:
    """``get_optimal_tiled_canvas`` of GOT-OCR2, which InternVL has: tiles of the nearest shape."""
    tile, least = grid.side[0] * grid.side[1], float("inf")
    arrangements = [pair for pair in _arrangements(most) if pair[0] * pair[1] >= fewest]
    best = arrangements[0]
    for pair in arrangements:
        difference = abs(width / height - pair[0] / pair[1])
        enough = height * width > 0.5 * tile * pair[0] * pair[1]
        if difference < least or (difference == least and enough):
            best, least = pair, difference
    return best[0] * best[1]


def _pieces(grid: Grid, height: int, width: int, pooled: int) -> Seen:
    """MiniCPM-V: the image whole, and its slices."""
    packed = grid.rule == "packed"
    step = grid.limits[0] if packed else 1
    pieces = _sliced(height, width, grid.patch[0], step)
    if packed:
        patches = sum(count * rows * columns for count, rows, columns in pieces)
        pairs = sum(count * (rows * columns) ** 2 for count, rows, columns in pieces)
        return Seen(1, patches, 1, patches // step**2, pairs)
    tiles = sum(count for count, _, _ in pieces)
    _, rows, columns = max(pieces, key=lambda piece: piece[1] * piece[2])
    return Seen(tiles, rows, columns, tiles * pooled)


def _canvas(grid: Grid, height: int, width: int) -> int:
    """``get_best_fit`` of Llama 4: the least enlarged, else the least reduced; smallest first."""
    scaled = [
        (min(grid.side[0] * b / height, grid.side[1] * a / width), a * b)
        for a, b in _arrangements(grid.limits[0])
    ]
    larger = [scale for scale, _ in scaled if scale >= 1]
    chosen = min(larger) if larger else max(scale for scale, _ in scaled)
    return min(tiles for scale, tiles in scaled if scale == chosen)


def _best_size(sizes: Iterable[tuple[int, int]], height: int, width: int) -> tuple[int, int]:
    """``select_best_resolution``: most of the image kept, then least canvas wasted."""

    def worth(size: tuple[int, int]) -> tuple[int, int]:
        scale = min(size[1] / width, size[0] / height)
        kept = min(int(width * scale) * int(height * scale), height * width)
        return kept, kept - size[0] * size[1]

    return max(sizes, key=worth)


def _pinpoints(grid: Grid, height: int, width: int, patches: tuple[int, int]) -> Seen:
    """LLaVA-NeXT: tiles, the image whole, and tokens of the tiles without the padding."""
    rows, columns = patches
    best = _best_size(grid.sizes or (grid.side,), height, width)
    down, across = max(1, best[0] // grid.side[0]), max(1, best[1] // grid.side[1])
    tall, wide = rows * down, columns * across
    if width / height > wide / tall:
        tall -= (tall - int(round(height * (wide / width), 7))) // 2 * 2
    else:
        wide -= (wide - int(round(width * (tall / height), 7))) // 2 * 2
    if grid.limits:
        ratio = sqrt(tall * wide / (grid.limits[0] * rows**2))
        if ratio > 1.1:
            tall, wide = int(tall // ratio), int(wide // ratio)
    return Seen(down * across + 1, rows, columns, rows * columns + tall * (wide + 1))


def near_pairs(rows: int, columns: int, window: int) -> int:
    """Pairs of patches within the windows of an image, those at its edge smaller."""

    def squares(side: int) -> int:
        return side // window * window**2 + (side % window) ** 2

    return squares(rows) * squares(columns)


def _sliced(height: int, width: int, patch: int, step: int) -> list[tuple[int, int, int]]:
    """The image whole, and its slices: how many, their rows and their columns of patches.

    Rows and columns are multiples of ``step``, the side of what becomes one token.
    """
    across, down = _arrangement(height, width)
    count, unit = across * down, patch * step
    rows, columns = _resized(height, width, unit)
    pieces = [(1, rows // patch, columns // patch)]
    if count > 1:
        refined = (_nearest(height, down) / down, _nearest(width, across) / across)
        rows, columns = _resized(*refined, unit)
        pieces.append((count, rows // patch, columns // patch))
    return pieces


def _arrangement(height: int, width: int) -> tuple[int, int]:
    """Columns and rows: as many slices as the image is large, one fewer or one more, of the shape
    nearest by its logarithm, the taller of two alike."""
    wanted = min(ceil(height * width / SIDE**2), MOST_SLICES)
    if wanted <= 1:
        return 1, 1
    counts = [n for n in (wanted - 1, wanted, wanted + 1) if n != 1 and n <= MOST_SLICES]
    shapes = [(n // rows, rows) for n in counts for rows in range(1, n + 1) if n % rows == 0]
    aim = log(width / height)
    return min(shapes, key=lambda shape: (abs(aim - log(shape[0] / shape[1])), -shape[1]))


def _resized(height: float, width: float, unit: int) -> tuple[int, int]:
    """The area of a slice in the shape of the image, in whole units."""
    ratio = width / height
    tall = int(SIDE / sqrt(ratio))
    return _nearest(tall, unit), _nearest(int(tall * ratio), unit)


def _nearest(length: float, unit: int) -> int:
    """``ensure_divide``: the nearest multiple, one at least."""
    return max(round(length / unit) * unit, unit)
